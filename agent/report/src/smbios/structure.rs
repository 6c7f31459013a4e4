//! One structure: fields by offset, strings by number. Split by smbios-lib.

use smbioslib::UndefinedStruct;

use super::super::{Problems, clean};

/// A structure with at least its type's minimum length.
pub(crate) struct Structure(UndefinedStruct);

impl Structure {
    /// From the header to the double zero after the strings, as found by the walk over the table.
    pub fn new(bytes: &[u8]) -> Structure {
        Structure(UndefinedStruct::new(&bytes.to_vec()))
    }

    pub fn kind(&self) -> u8 {
        self.0.header.struct_type()
    }

    pub fn handle(&self) -> u16 {
        *self.0.header.handle()
    }

    /// Length of the header and the fields.
    pub fn length(&self) -> usize {
        self.0.fields.len()
    }

    /// Itself, if it is long enough for fields added in a later version.
    pub fn since(&self, length: usize) -> Option<&Structure> {
        (self.length() >= length).then_some(self)
    }

    pub fn byte(&self, offset: usize) -> Option<u8> {
        self.0.get_field_byte(offset)
    }

    pub fn word(&self, offset: usize) -> Option<u16> {
        self.0.get_field_word(offset)
    }

    pub fn dword(&self, offset: usize) -> Option<u32> {
        self.0.get_field_dword(offset)
    }

    pub fn qword(&self, offset: usize) -> Option<u64> {
        self.0.get_field_qword(offset)
    }

    pub fn bytes(&self, start: usize, end: usize) -> Option<&[u8]> {
        self.0.get_field_data(start, end)
    }

    /// The text for a code.
    pub fn named(&self, offset: usize, words: fn(u8) -> Option<&'static str>) -> Option<String> {
        self.byte(offset).and_then(words).map(str::to_owned)
    }

    /// A string with a name or number from the maker; placeholders and fillers give None.
    pub fn fact(&self, offset: usize, problems: &mut Problems) -> Option<String> {
        clean::serial(&self.string(offset, problems)?)
    }

    /// A string that names a place: a slot, a bank, a socket.
    pub fn place(&self, offset: usize, problems: &mut Problems) -> Option<String> {
        clean::place(&self.string(offset, problems)?)
    }

    /// The string whose number is at the offset. None if the structure ends before it, or the number is zero.
    fn string(&self, offset: usize, problems: &mut Problems) -> Option<String> {
        let number = self.byte(offset)?;
        if number == 0 {
            return None;
        }
        let text = self.string_number(number);
        if text.is_none() {
            problems.note(format_args!(
                "type {} handle 0x{:04x}: refers to string {number} of {}",
                self.kind(),
                self.handle(),
                self.0.strings.iter().take_while(|text| !text.is_empty()).count()
            ));
        }
        text
    }

    /// String `number`, from 1. An empty string ends the list.
    pub fn string_number(&self, number: u8) -> Option<String> {
        let mut strings = self.0.strings.iter().take_while(|text| !text.is_empty());
        let text = strings.nth(usize::from(number.checked_sub(1)?))?;
        Some(decode(text))
    }
}

/// The specification requires UTF-8 since 3.5 and ASCII before. An invalid byte or a control character
/// becomes a dot as in dmidecode: dropping it would make a different serial number that looks valid.
fn decode(bytes: &[u8]) -> String {
    let printable = |b: &u8| matches!(b, b' '..=b'~');
    match std::str::from_utf8(bytes) {
        Ok(text) => text
            .chars()
            .map(|c| if c.is_control() { '.' } else { c })
            .collect(),
        Err(_) => bytes
            .iter()
            .map(|b| if printable(b) { char::from(*b) } else { '.' })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn structure(strings: &[u8]) -> Structure {
        Structure::new(&[&[1, 5, 0, 1, 1][..], strings, &[0, 0]].concat())
    }

    #[test]
    fn strings_are_counted_from_one_and_end_at_the_first_empty_one() {
        let s = structure(b"Acme\0Rack 1");
        assert_eq!(s.string_number(1).as_deref(), Some("Acme"));
        assert_eq!(s.string_number(2).as_deref(), Some("Rack 1"));
        assert_eq!((s.string_number(0), s.string_number(3)), (None, None));
        assert_eq!(structure(b"").string_number(1), None);
        assert_eq!(structure(b"\0Acme").string_number(2), None);
    }

    #[test]
    fn a_damaged_character_stays_visible() {
        assert_eq!(decode(b"R6\xb330"), "R6.30");
        assert_eq!(decode(b"R6\x0130"), "R6.30");
        assert_eq!(decode(b"\xff\xff\xff\xff"), "....");
        assert_eq!(decode("Müller".as_bytes()), "Müller");
    }

    #[test]
    fn a_string_that_is_not_there_is_a_problem() {
        let mut problems = Problems::new("smbios");
        let s = Structure::new(&[1, 5, 0, 1, 250, b'A', 0, 0]);
        assert_eq!(s.fact(4, &mut problems), None);
        assert_eq!(
            problems.found[0].detail,
            "type 1 handle 0x0100: refers to string 250 of 1"
        );
    }
}
