//! JSON: a list of entries or one entry, read one by one so that a fault has its line and column.

use serde::de::DeserializeOwned;

use super::{Entry, Fault, MAX_ROWS};

/// Reads the entries of a file.
///
/// # Errors
/// The first fault.
pub(super) fn entries<T: DeserializeOwned>(bytes: &[u8]) -> Result<Vec<Entry<T>>, Fault> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let rest = std::str::from_utf8(bytes).map_err(|e| {
        let good = &bytes[..e.valid_up_to()];
        let lines = good.iter().filter(|b| **b == b'\n').count() as u64;
        Fault::new(lines + 1, 0, "", "the file is not UTF-8")
    })?;
    let mut cursor = Cursor {
        rest,
        line: 1,
        column: 1,
    };
    if !cursor.take('[') {
        let only = cursor.entry()?;
        return match cursor.rest {
            "" => Ok(vec![only]),
            _ => Err(cursor.fault("something follows the entry: put several entries in a list [ ]")),
        };
    }
    if cursor.take(']') {
        return Err(cursor.fault("the list is empty"));
    }
    let mut all = vec![cursor.entry()?];
    while cursor.take(',') {
        if all.len() >= MAX_ROWS {
            return Err(cursor.fault(&format!("a file can have {MAX_ROWS} entries: split it")));
        }
        all.push(cursor.entry()?);
    }
    if !cursor.take(']') {
        return Err(cursor.fault("expected a comma or the end of the list"));
    }
    match cursor.rest {
        "" => Ok(all),
        _ => Err(cursor.fault("something follows the end of the list")),
    }
}

struct Cursor<'a> {
    rest: &'a str,
    line: u64,
    column: u64,
}

impl Cursor<'_> {
    fn advance(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at(bytes);
        let (lines, last) = match passed.rsplit_once('\n') {
            Some((lines, last)) => (lines.matches('\n').count() as u64 + 1, last),
            None => (0, passed),
        };
        let before = if lines == 0 { self.column } else { 1 };
        self.column = before + last.chars().count() as u64;
        self.line += lines;
        self.rest = rest;
    }

    fn skip_space(&mut self) {
        let space = self.rest.len() - self.rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
        self.advance(space);
    }

    /// Whether `expected` comes next, after white space; skips it and the white space behind it.
    fn take(&mut self, expected: char) -> bool {
        self.skip_space();
        let found = self.rest.starts_with(expected);
        if found {
            self.advance(expected.len_utf8());
            self.skip_space();
        }
        found
    }

    /// Reads one entry and the white space behind it.
    fn entry<T: DeserializeOwned>(&mut self) -> Result<Entry<T>, Fault> {
        self.skip_space();
        let line = self.line;
        let mut stream = serde_json::Deserializer::from_str(self.rest).into_iter::<T>();
        let value = match stream.next() {
            Some(Ok(value)) => value,
            Some(Err(e)) => {
                // serde_json counts lines and columns from the start of this entry.
                let (l, c) = (e.line() as u64, e.column() as u64);
                let column = if l <= 1 {
                    self.column + c.saturating_sub(1)
                } else {
                    c
                };
                let text = e.to_string();
                let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(s, _)| s);
                return Err(Fault::new(line + l.saturating_sub(1), column, "", text));
            }
            None => return Err(self.fault("expected an entry, and the file ends")),
        };
        let used = stream.byte_offset();
        self.advance(used);
        self.skip_space();
        Ok(Entry { value, line })
    }

    fn fault(&self, detail: &str) -> Fault {
        Fault::new(self.line, self.column, "", detail)
    }
}
