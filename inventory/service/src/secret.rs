//! Random tickets, tokens, passwords and ids.

use std::str::FromStr;

use inventory_api::{MachineId, PlanId};
use sha2::{Digest as _, Sha256};

/// 256 random bits as 64 hexadecimal digits.
pub fn fresh() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}

/// A password to type: 60 random bits as three groups of letters and digits that are not mistaken for each
/// other. That is enough, since tries are counted and it opens one rescue within a day.
pub(crate) fn password() -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let random: [u8; 12] = rand::random();
    let letters: String = random
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte & 31)]))
        .collect();
    format!("{}-{}-{}", &letters[..4], &letters[4..8], &letters[8..])
}

/// The stored form of a secret. 256 random bits need no salt and no slow hash; a rescue password has fewer,
/// but is valid for a day only.
pub fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

pub(crate) fn machine_id() -> Option<MachineId> {
    random_id::<6, _>("m")
}

pub(crate) fn plan_id() -> Option<PlanId> {
    random_id::<8, _>("p")
}

fn random_id<const BYTES: usize, T: FromStr>(kind: &str) -> Option<T> {
    let mut random = [0; BYTES];
    rand::fill(&mut random[..]);
    format!("{kind}-{}", hex::encode(random)).parse().ok()
}
