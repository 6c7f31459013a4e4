//! JSON: a list of entries or one entry, read one by one so that a fault has its line and column.

use serde::de::DeserializeOwned;

use super::{Entry, Fault, Faults, MAX_ROWS};

/// Reads the entries of a file up to the first fault.
pub(super) fn entries<T: DeserializeOwned>(bytes: &[u8], faults: &mut Faults) -> Vec<Entry<T>> {
    let mut all = Vec::new();
    let text = match std::str::from_utf8(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)) {
        Ok(text) => text,
        Err(e) => {
            let line = bytes[..e.valid_up_to().min(bytes.len())]
                .iter()
                .filter(|b| **b == b'\n')
                .count();
            faults.add(Fault::new(line as u64 + 1, 0, "", "the file is not UTF-8"));
            return all;
        }
    };
    let mut cursor = Cursor {
        text,
        at: 0,
        line: 1,
        line_start: 0,
    };
    cursor.skip_space();
    let list = cursor.peek() == Some('[');
    if list {
        cursor.advance(1);
        cursor.skip_space();
        if cursor.peek() == Some(']') {
            faults.add(cursor.fault("the list is empty"));
            return all;
        }
    }
    loop {
        cursor.skip_space();
        let (line, column) = (cursor.line, cursor.column());
        let rest = &text[cursor.at..];
        let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<T>();
        match stream.next() {
            Some(Ok(value)) => all.push(Entry { value, line }),
            Some(Err(e)) => {
                // serde_json counts lines and columns from the start of this entry.
                let (l, c) = (e.line() as u64, e.column() as u64);
                let column = if l <= 1 { column + c.saturating_sub(1) } else { c };
                let said = e.to_string();
                let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(s, _)| s);
                faults.add(Fault::new(line + l.saturating_sub(1), column, "", said));
                return all;
            }
            None => {
                faults.add(cursor.fault("an entry is expected here, and the file ends"));
                return all;
            }
        }
        let used = stream.byte_offset();
        cursor.advance(used);
        cursor.skip_space();
        if all.len() > MAX_ROWS {
            faults.add(cursor.fault(&format!("a file may have {MAX_ROWS} entries: split it")));
            return all;
        }
        match (list, cursor.peek()) {
            (true, Some(',')) => cursor.advance(1),
            (true, Some(']')) => {
                cursor.advance(1);
                cursor.skip_space();
                if cursor.peek().is_some() {
                    faults.add(cursor.fault("the list has ended, and something follows"));
                }
                return all;
            }
            (false, None) => return all,
            (true, _) => {
                faults.add(cursor.fault("a comma or the end of the list is expected here"));
                return all;
            }
            (false, Some(_)) => {
                faults.add(cursor.fault(
                    "the entry has ended, and something follows: several entries stand in a list [ ]",
                ));
                return all;
            }
        }
    }
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
    line: u64,
    line_start: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn column(&self) -> u64 {
        self.text[self.line_start..self.at].chars().count() as u64 + 1
    }

    fn advance(&mut self, bytes: usize) {
        let end = (self.at + bytes).min(self.text.len());
        for (i, b) in self.text.as_bytes()[self.at..end].iter().enumerate() {
            if *b == b'\n' {
                self.line += 1;
                self.line_start = self.at + i + 1;
            }
        }
        self.at = end;
    }

    fn skip_space(&mut self) {
        let rest = &self.text[self.at..];
        let space = rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
        self.advance(space);
    }

    fn fault(&self, detail: &str) -> Fault {
        Fault::new(self.line, self.column(), "", detail)
    }
}
