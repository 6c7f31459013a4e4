//! Commands to a TPM 2.0 (TCG TPM 2.0 library, part 3) and their answers, which may be any bytes.

use std::io;

use inventory_api::report::TpmFacts;

use super::super::clean;
use super::{Commands, spki};

const NO_SESSIONS: u16 = 0x8001;
const SESSIONS: u16 = 0x8002;
const GET_CAPABILITY: u32 = 0x17a;
const READ_PUBLIC: u32 = 0x173;
const CREATE_PRIMARY: u32 = 0x131;
const FLUSH_CONTEXT: u32 = 0x165;
/// Where makers and operating systems store the RSA endorsement key (TCG TPM v2.0 Provisioning Guidance,
/// 7.8).
const EK_HANDLE: u32 = 0x8101_0001;
const ENDORSEMENT: u32 = 0x4000_000b;
/// PolicySecret of the endorsement hierarchy (TCG EK Credential Profile, B.6.2).
const POLICY: [u8; 32] = [
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd,
    0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
];

/// Fills in maker, firmware and the hash of the endorsement key.
///
/// # Errors
/// The TPM does not answer, or provides no endorsement key.
pub(super) fn fill(tpm: &mut impl Commands, facts: &mut TpmFacts) -> io::Result<()> {
    // TPM_CAP_TPM_PROPERTIES, PT_FIXED, up to 64 of them.
    let answer = run(
        tpm,
        NO_SESSIONS,
        GET_CAPABILITY,
        &[0, 0, 0, 6, 0, 0, 1, 0, 0, 0, 0, 64],
    )?;
    properties(&answer, facts);
    let key = endorsement_key(tpm)?;
    facts.endorsement_key_sha256 = Some(spki::sha256(&key));
    Ok(())
}

/// The stored key, or else the one from the default template: both derive from the same seed.
fn endorsement_key(tpm: &mut impl Commands) -> io::Result<Vec<u8>> {
    if let Ok(answer) = run(tpm, NO_SESSIONS, READ_PUBLIC, &EK_HANDLE.to_be_bytes())
        && let Some(key) = public_key(&mut Reader(&answer))
    {
        return Ok(key);
    }
    create(tpm, &rsa_template()).or_else(|first| create(tpm, &ecc_template()).map_err(|_| first))
}

fn create(tpm: &mut impl Commands, template: &[u8]) -> io::Result<Vec<u8>> {
    let mut body = ENDORSEMENT.to_be_bytes().to_vec();
    // One password session with an empty password.
    body.extend([0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0]);
    // No authorisation value and no data; the template; no outside info; no PCR.
    body.extend([0, 4, 0, 0, 0, 0]);
    body.extend((template.len() as u16).to_be_bytes());
    body.extend(template);
    body.extend([0, 0, 0, 0, 0, 0]);
    let answer = run(tpm, SESSIONS, CREATE_PRIMARY, &body)?;
    let mut reader = Reader(&answer);
    let made = reader.u32().and_then(|handle| {
        reader.u32()?;
        Some((handle, public_key(&mut reader)))
    });
    let (handle, key) = made.ok_or_else(|| invalid("CreatePrimary: a short answer"))?;
    // The kernel's resource manager flushes it anyway; the raw device does not.
    let _ = run(tpm, NO_SESSIONS, FLUSH_CONTEXT, &handle.to_be_bytes());
    key.ok_or_else(|| invalid("CreatePrimary: not the key that was asked for"))
}

/// Templates L-1 and L-2 of the TCG EK Credential Profile: name algorithm SHA-256, restricted decryption key,
/// AES-128-CFB.
fn template(kind: u16, scheme_and_unique: &[u8]) -> Vec<u8> {
    let mut out = kind.to_be_bytes().to_vec();
    out.extend([0x00, 0x0b, 0x00, 0x03, 0x00, 0xb2, 0x00, 0x20]);
    out.extend(POLICY);
    out.extend([0x00, 0x06, 0x00, 0x80, 0x00, 0x43, 0x00, 0x10]);
    out.extend(scheme_and_unique);
    out
}

fn rsa_template() -> Vec<u8> {
    // 2048 bits, default exponent, a unique field of 256 zeros.
    let mut rest = vec![0x08, 0x00, 0, 0, 0, 0, 0x01, 0x00];
    rest.extend([0; 256]);
    template(1, &rest)
}

fn ecc_template() -> Vec<u8> {
    // P-256, no KDF, a unique field of two times 32 zeros.
    let mut rest = vec![0x00, 0x03, 0x00, 0x10];
    for _ in 0..2 {
        rest.extend([0, 32]);
        rest.extend([0; 32]);
    }
    template(0x23, &rest)
}

/// Sends a command and strips the header from its answer.
fn run(tpm: &mut impl Commands, tag: u16, code: u32, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut command = tag.to_be_bytes().to_vec();
    command.extend((10 + body.len() as u32).to_be_bytes());
    command.extend(code.to_be_bytes());
    command.extend(body);
    let answer = tpm.run(&command)?;
    let mut reader = Reader(&answer);
    let (Some(_), Some(_), Some(result)) = (reader.u16(), reader.u32(), reader.u32()) else {
        return Err(invalid("an answer without a header"));
    };
    if result != 0 {
        return Err(io::Error::other(format!(
            "command {code:#x}: TPM error {result:#x}"
        )));
    }
    Ok(reader.0.to_vec())
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// TPMS_CAPABILITY_DATA with tagged properties (part 2, 10.8.2, 6.13).
pub(super) fn properties(answer: &[u8], facts: &mut TpmFacts) {
    let mut reader = Reader(answer);
    let (Some(_), Some(6), Some(count)) = (reader.u8(), reader.u32(), reader.u32()) else {
        return;
    };
    let mut version: [Option<u32>; 2] = [None; 2];
    for _ in 0..count.min(256) {
        let (Some(property), Some(value)) = (reader.u32(), reader.u32()) else {
            break;
        };
        match property {
            0x100 => facts.version = letters(value).or(facts.version.take()),
            0x105 => facts.manufacturer = letters(value),
            0x10b => version[0] = Some(value),
            0x10c => version[1] = Some(value),
            _ => {}
        }
    }
    // "7.85.4555.0", as written by makers and tpm2-tools.
    facts.firmware = version[0].map(|first| {
        let second = version[1].unwrap_or(0);
        format!(
            "{}.{}.{}.{}",
            first >> 16,
            first & 0xffff,
            second >> 16,
            second & 0xffff
        )
    });
}

/// Four letters in a number, as in maker ids: "IFX".
pub(super) fn letters(number: u32) -> Option<String> {
    clean::text(&String::from_utf8_lossy(&number.to_be_bytes()))
}

/// TPM2B_PUBLIC of an RSA or P-256 key as SubjectPublicKeyInfo.
pub(super) fn public_key(reader: &mut Reader<'_>) -> Option<Vec<u8>> {
    let mut public = Reader(reader.sized()?);
    let kind = public.u16()?;
    // Name algorithm, attributes, policy.
    public.u16()?;
    public.u32()?;
    public.sized()?;
    // The symmetric algorithm has two more fields unless it is TPM_ALG_NULL; the scheme has one more.
    if public.u16()? != 0x10 {
        public.u32()?;
    }
    if public.u16()? != 0x10 {
        public.u16()?;
    }
    match kind {
        1 => {
            let bits = public.u16()?;
            let exponent = match public.u32()? {
                0 => 65537,
                exponent => exponent,
            };
            let modulus = public.sized()?;
            (modulus.len() == usize::from(bits) / 8 && !modulus.is_empty())
                .then(|| spki::rsa(modulus, exponent))
        }
        0x23 => {
            let curve = public.u16()?;
            if public.u16()? != 0x10 {
                public.u16()?;
            }
            let (x, y) = (public.sized()?, public.sized()?);
            (curve == 3 && x.len() == 32 && y.len() == 32).then(|| spki::p256(x, y))
        }
        _ => None,
    }
}

/// Big-endian fields, one after the other.
pub(super) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn sized(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chip with or without a stored key; CreatePrimary returns the same key.
    struct Chip {
        kept: bool,
        asked: Vec<u32>,
    }

    fn public() -> Vec<u8> {
        let mut key = rsa_template();
        let at = key.len() - 256;
        key[at..].fill(0xc5);
        [&(key.len() as u16).to_be_bytes()[..], &key].concat()
    }

    impl Commands for Chip {
        fn run(&mut self, command: &[u8]) -> io::Result<Vec<u8>> {
            assert_eq!(
                command.len() as u32,
                u32::from_be_bytes(command[2..6].try_into().unwrap())
            );
            let code = u32::from_be_bytes(command[6..10].try_into().unwrap());
            self.asked.push(code);
            let (result, body): (u32, Vec<u8>) = match code {
                GET_CAPABILITY => {
                    let mut body = vec![0, 0, 0, 0, 6, 0, 0, 0, 4];
                    for (property, value) in [
                        (0x100_u32, *b"2.0\0"),
                        (0x105, *b"IFX\0"),
                        (0x10b, [0, 7, 0, 85]),
                        (0x10c, [0x11, 0xcb, 0, 0]),
                    ] {
                        body.extend(property.to_be_bytes());
                        body.extend(value);
                    }
                    (0, body)
                }
                READ_PUBLIC if self.kept => (0, [public(), vec![0, 0, 0, 0]].concat()),
                // TPM_RC_HANDLE for the first handle.
                READ_PUBLIC => (0x18b, vec![]),
                CREATE_PRIMARY => {
                    assert!(command.ends_with(&[[0; 256].as_slice(), &[0, 0, 0, 0, 0, 0]].concat()));
                    (0, [vec![0x80, 0, 0, 1, 0, 0, 1, 0x50], public()].concat())
                }
                FLUSH_CONTEXT => {
                    assert_eq!(command[10..], [0x80, 0, 0, 1]);
                    (0, vec![])
                }
                _ => unreachable!("{code:#x}"),
            };
            Ok([
                &[0x80, 1][..],
                &(10 + body.len() as u32).to_be_bytes(),
                &result.to_be_bytes(),
                &body,
            ]
            .concat())
        }
    }

    #[test]
    fn a_kept_key_and_a_made_one_have_one_hash() {
        let ask = |kept| {
            let mut chip = Chip { kept, asked: vec![] };
            let mut facts = TpmFacts::default();
            fill(&mut chip, &mut facts).unwrap();
            (facts, chip.asked)
        };
        let (facts, asked) = ask(true);
        assert_eq!(asked, [GET_CAPABILITY, READ_PUBLIC]);
        assert_eq!(
            (facts.version.as_deref(), facts.manufacturer.as_deref()),
            (Some("2.0"), Some("IFX"))
        );
        assert_eq!(facts.firmware.as_deref(), Some("7.85.4555.0"));
        assert_eq!(
            facts.endorsement_key_sha256,
            Some(spki::sha256(&spki::rsa(&[0xc5; 256], 65537)))
        );
        let (made, asked) = ask(false);
        assert_eq!(
            asked,
            [GET_CAPABILITY, READ_PUBLIC, CREATE_PRIMARY, FLUSH_CONTEXT]
        );
        assert_eq!(made, facts);
    }

    proptest::proptest! {
        #[test]
        fn any_answer_is_read_without_a_panic(answer in proptest::collection::vec(proptest::num::u8::ANY, 0..700)) {
            super::super::fuzz::door(&answer);
        }
    }
}
