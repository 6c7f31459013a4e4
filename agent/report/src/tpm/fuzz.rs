//! Any bytes as a TPM's answer.

use std::io;

use inventory_api::report::TpmFacts;

use super::super::harmless::assert_harmless;
use super::command::{Reader, fill, properties, public_key};
use super::{Commands, spki};

pub(crate) fn door(answer: &[u8]) {
    struct Chip<'a>(&'a [u8]);
    impl Commands for Chip<'_> {
        fn run(&mut self, _: &[u8]) -> io::Result<Vec<u8>> {
            Ok(self.0.to_vec())
        }
    }
    let mut facts = TpmFacts::default();
    let _ = fill(&mut Chip(answer), &mut facts);
    properties(answer, &mut facts);
    let _ = public_key(&mut Reader(answer));
    let text = String::from_utf8_lossy(answer);
    facts.endorsement_key_sha256 = spki::of_pubek(&text).map(|key| spki::sha256(&key));
    assert_harmless(|report| report.tpm = Some(facts));
}
