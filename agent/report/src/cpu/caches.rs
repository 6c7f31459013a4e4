//! Caches from sysfs: /sys/devices/system/cpu/cpuN/cache/indexM.

use std::collections::{BTreeMap, HashSet};

use inventory_api::report::CpuCache;

use super::super::roots::{Roots, attribute, is_numbered, names, number};

/// Levels that are read; s390 has four.
const LEVEL_LIMIT: u32 = 8;

/// One entry per level and kind, sorted; a cache shared by several threads counts once.
pub(super) fn caches(roots: &Roots, threads: &[String]) -> Vec<CpuCache> {
    let mut seen = HashSet::new();
    let mut caches: BTreeMap<(u32, String), CpuCache> = BTreeMap::new();
    for thread in threads {
        let folder = roots.sys(format!("devices/system/cpu/{thread}/cache"));
        for index in names(&folder) {
            let folder = folder.join(&index);
            if !is_numbered(&index, "index") {
                continue;
            }
            let text = |name: &str| attribute(&folder.join(name));
            let level = number(&folder.join("level")).filter(|level| (1..=LEVEL_LIMIT).contains(level));
            let kind = text("type").and_then(|kind| named(&kind));
            let size = text("size").and_then(|size| bytes(&size));
            let (Some(level), Some(kind), Some(bytes)) = (level, kind, size) else {
                continue;
            };
            let key = (level, kind.to_owned());
            // Without a list of sharing threads it belongs to this thread.
            let shared = text("shared_cpu_list").or_else(|| text("shared_cpu_map"));
            if !seen.insert((key.clone(), shared.unwrap_or_else(|| thread.clone()))) {
                continue;
            }
            let cache = caches.entry(key.clone()).or_insert_with(|| CpuCache {
                level: key.0,
                kind: key.1,
                ..CpuCache::default()
            });
            cache.instances += 1;
            cache.total_bytes = cache.total_bytes.saturating_add(bytes);
        }
    }
    caches.into_values().collect()
}

fn named(kind: &str) -> Option<&'static str> {
    match kind {
        "Data" => Some("data"),
        "Instruction" => Some("instruction"),
        "Unified" => Some("unified"),
        _ => None,
    }
}

/// "32K", "1024K", "12M"; zero is no cache.
fn bytes(size: &str) -> Option<u64> {
    let digits = size.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let scale: u64 = match size.get(digits.len()..)? {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        _ => return None,
    };
    digits
        .parse::<u64>()
        .ok()?
        .checked_mul(scale)
        .filter(|bytes| *bytes != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_the_kernel_writes_them() {
        assert_eq!(bytes("32K"), Some(32 << 10));
        assert_eq!(bytes("12M"), Some(12 << 20));
        for none in [
            "",
            "K",
            "-1K",
            "0K",
            "12X",
            "99999999999999999999K",
            "18446744073709551615K",
        ] {
            assert_eq!(bytes(none), None, "{none}");
        }
    }
}
