//! Memory test: writes patterns over most of the free memory and reads them back.

use std::time::Instant;

use inventory_api::burn_in::BurnInPart;

use super::{Shared, begun};

/// Allocation unit; a failed allocation is skipped.
const CHUNK: usize = 16 << 20;
/// Always left free for other processes.
const SPARE: u64 = 48 << 20;
/// Wrong words named in the result.
const NAMED: usize = 4;

type Pattern = fn(u64) -> u64;

/// The value written to the word at each index: all bits both ways, differing neighbours, the address itself,
/// noise.
const PATTERNS: [(&str, Pattern); 6] = [
    ("zeros", |_| 0),
    ("ones", |_| !0),
    ("stripes", |i| {
        if i % 2 == 0 {
            0xaaaa_aaaa_aaaa_aaaa
        } else {
            0x5555_5555_5555_5555
        }
    }),
    ("walking bit", |i| 1 << (i % 64)),
    ("address", |i| i.wrapping_mul(8) ^ 0xdead_beef_0000_0000),
    ("noise", |i| {
        // splitmix64
        let mut z = i.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }),
];

/// Writes and reads back the patterns in turn until the time is up; at least one pattern is completed.
pub(super) fn burn(shared: &Shared, until: Instant, bytes: Option<u64>) -> BurnInPart {
    let Some(bytes) = bytes.map(|b| b.saturating_sub(SPARE)) else {
        let why = "the kernel does not say how much memory is available (MemAvailable in /proc/meminfo)";
        return begun("memory", "MB/s", 1, why);
    };
    let mut chunks: Vec<Vec<u64>> = Vec::new();
    let wanted = usize::try_from(bytes).unwrap_or(usize::MAX) / CHUNK;
    for _ in 0..wanted.max(1) {
        let mut chunk = Vec::new();
        if chunk.try_reserve_exact(CHUNK / 8).is_err() {
            break;
        }
        chunk.resize(CHUNK / 8, 0);
        chunks.push(chunk);
    }
    if chunks.is_empty() {
        return begun("memory", "MB/s", 1, "no memory could be allocated");
    }
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(chunks.len());
    let share = chunks.len().div_ceil(threads);
    let started = Instant::now();
    let (mut moved, mut wrong, mut rounds) = (0u64, Vec::new(), 0u64);
    'time: loop {
        for (name, pattern) in PATTERNS {
            let found: Vec<(u64, Vec<String>)> = std::thread::scope(|scope| {
                let working: Vec<_> = chunks
                    .chunks_mut(share)
                    .enumerate()
                    .map(|(part, mine)| {
                        let first = (part * share * (CHUNK / 8)) as u64;
                        scope.spawn(move || pass(shared, mine, first, name, pattern))
                    })
                    .collect();
                working.into_iter().filter_map(|w| w.join().ok()).collect()
            });
            for (bytes, mut named) in found {
                moved += bytes;
                wrong.append(&mut named);
            }
            rounds += 1;
            if Instant::now() >= until || shared.stopped() {
                break 'time;
            }
        }
    }
    let errors = shared.errors.load(std::sync::atomic::Ordering::Relaxed);
    wrong.truncate(NAMED);
    let tested = (chunks.len() * CHUNK) >> 20;
    let mut detail = format!("{tested} MiB tested with {rounds} patterns, {errors} wrong words");
    if !wrong.is_empty() {
        detail.push_str(&format!(": {}", wrong.join(", ")));
    }
    BurnInPart {
        score: Some(moved as f64 / 1e6 / started.elapsed().as_secs_f64().max(1e-3)),
        ..begun("memory", "MB/s", errors, detail)
    }
}

/// Writes one pattern to all chunks, then reads all back, by which time the caches hold other data.
fn pass(
    shared: &Shared,
    chunks: &mut [Vec<u64>],
    first: u64,
    name: &str,
    pattern: Pattern,
) -> (u64, Vec<String>) {
    let mut index = first;
    for chunk in chunks.iter_mut() {
        for word in chunk.iter_mut() {
            *word = pattern(index);
            index += 1;
        }
        std::hint::black_box(&mut *chunk);
    }
    let (mut index, mut wrong) = (first, Vec::new());
    for chunk in chunks.iter() {
        for word in std::hint::black_box(chunk) {
            let expected = pattern(index);
            if *word != expected {
                shared.error();
                if wrong.len() < NAMED {
                    wrong.push(format!(
                        "word {index} of {name}: bits {:#x} differ",
                        word ^ expected
                    ));
                }
            }
            index += 1;
        }
    }
    ((index - first) * 16, wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_word_is_found_and_named() {
        let shared = Shared::default();
        let mut chunk = vec![vec![0u64; 1024]];
        let (bytes, wrong) = pass(&shared, &mut chunk, 7, "address", PATTERNS[4].1);
        assert_eq!((bytes, wrong.len()), (1024 * 16, 0));
        // A pattern that differs when read back, as if bits had flipped.
        static CALLS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let (_, wrong) = pass(&shared, &mut chunk, 0, "noise", |i| {
            let call = CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            i ^ u64::from(call == 1024 + 5)
        });
        assert_eq!(wrong, ["word 5 of noise: bits 0x1 differ"]);
        assert_eq!(shared.errors.into_inner(), 1);
    }
}
