//! Loads all CPUs with work whose result is known, so that a CPU that computes wrongly is found, not only a
//! slow one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use inventory_api::burn_in::BurnInPart;
use sha2::{Digest as _, Sha256};

use super::{Shared, begun};

/// Edge length of the matrices: two of them fit into a first-level cache.
const EDGE: usize = 40;

/// Works up to `until`, with one thread per CPU.
pub(super) fn burn(shared: &Shared, until: Instant) -> BurnInPart {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (expected, rounds) = (round(), AtomicU64::new(0));
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while Instant::now() < until && !shared.stopped() {
                    if round() != expected {
                        shared.error();
                    }
                    rounds.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let (rounds, errors) = (rounds.into_inner(), shared.errors.load(Ordering::Relaxed));
    let detail = format!("{rounds} rounds on {threads} threads, {errors} with a wrong result");
    BurnInPart {
        score: Some(rounds as f64 / started.elapsed().as_secs_f64().max(1e-3)),
        ..begun("cpu", "rounds/s", errors, detail)
    }
}

/// One round: hashing (integer units) and a matrix product (floating point), reduced to one digest. The
/// result is the same on every CPU because the order of operations is fixed.
fn round() -> [u8; 32] {
    let mut a = [[0.0f64; EDGE]; EDGE];
    let mut b = [[0.0f64; EDGE]; EDGE];
    for i in 0..EDGE {
        for j in 0..EDGE {
            a[i][j] = 1.0 / (1 + i + j) as f64;
            b[i][j] = (i as f64 - j as f64) / 7.0;
        }
    }
    let (a, b) = (std::hint::black_box(a), std::hint::black_box(b));
    let mut hash = Sha256::new();
    for row in &a {
        for j in 0..EDGE {
            let sum = row.iter().zip(&b).fold(0.0, |sum, (x, line)| sum + x * line[j]);
            hash.update(sum.to_bits().to_le_bytes());
        }
    }
    let mut digest: [u8; 32] = hash.finalize().into();
    for _ in 0..64 {
        digest = Sha256::digest(digest).into();
    }
    digest
}

#[cfg(test)]
mod tests {
    /// Computed independently (Python's floats and hashlib): a build or a CPU with another result is wrong.
    #[test]
    fn a_round_has_one_result() {
        let expected = "367ef18ae5aabc3872522892b6b5a5bddd2fd670203c79cab8cc1f3068e142d3";
        assert_eq!(hex::encode(super::round()), expected);
    }
}
