//! As much of ELF as this crate needs.

/// The little-endian number of `len` bytes at `at`; `None` if the bytes end before it.
pub(crate) fn number(bytes: &[u8], at: usize, len: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(len)?)?.iter().rev();
    Some(field.fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// As [`number`], for an offset or a count.
pub(crate) fn place(bytes: &[u8], at: usize, len: usize) -> Option<usize> {
    usize::try_from(number(bytes, at, len)?).ok()
}

/// Whether a program needs only the kernel, as the agent and the rescue shell must: a 64-bit ELF file without
/// a program interpreter (PT_INTERP).
///
/// # Errors
/// Why it cannot run in the mini-os, in words.
pub fn is_static(program: &[u8]) -> Result<(), String> {
    const PT_INTERP: usize = 3;
    // ELF-64, little endian: e_phoff, e_phentsize, e_phnum; p_type is the first word of each entry.
    let field = |at, len| place(program, at, len);
    let headers = || Some((field(32, 8)?, field(54, 2)?, field(56, 2)?));
    let (true, Some((start, size, count))) = (program.starts_with(b"\x7fELF\x02\x01"), headers()) else {
        return Err("it is not a 64-bit ELF program".to_owned());
    };
    for index in 0..count {
        let at = size
            .checked_mul(index)
            .and_then(|offset| offset.checked_add(start));
        match at.and_then(|at| field(at, 4)) {
            Some(PT_INTERP) => {
                return Err(
                    "it needs libraries, but the mini-os has no dynamic loader: it must be static".to_owned(),
                );
            }
            Some(_) => {}
            None => return Err("it is cut off".to_owned()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_must_need_nothing_but_the_kernel() {
        let program = |kinds: &[u32]| {
            let mut bytes = b"\x7fELF\x02\x01".to_vec();
            bytes.resize(64, 0);
            bytes[32] = 64;
            (bytes[54], bytes[56]) = (56, kinds.len() as u8);
            for kind in kinds {
                bytes.extend(kind.to_le_bytes());
                bytes.extend([0; 52]);
            }
            bytes
        };
        assert_eq!(is_static(&program(&[1, 1, 7])), Ok(()));
        let why = |bytes: &[u8]| is_static(bytes).unwrap_err();
        assert!(why(&program(&[1, 3])).contains("needs libraries"));
        assert!(why(b"#!/bin/sh").contains("not a 64-bit ELF program"));
        let mut cut = program(&[1, 1]);
        cut.truncate(100);
        assert!(why(&cut).contains("cut off"));
    }
}
