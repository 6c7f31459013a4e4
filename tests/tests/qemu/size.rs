//! How much a machine fetches before its agent runs.

use e2e::{Level, artefacts};
use serde_json::Value;

/// Kernel and initramfs of the full mini-os together, in bytes: firmware with 100 Mbit/s loads that in four
/// seconds.
const MOST: u64 = 40_000_000;

#[test]
fn the_full_mini_os_stays_below_40_megabytes() {
    if !Level::Qemu.runs() {
        return;
    }
    let directory = artefacts::built("mini-os/full", "mini-os").unwrap();
    let size = |name: &str| std::fs::metadata(directory.join(name)).unwrap().len();
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(directory.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["variant"], "full");
    let (kernel, initramfs) = (size("kernel"), size("initramfs"));
    assert!(
        kernel + initramfs < MOST,
        "kernel {kernel} and initramfs {initramfs} bytes are {} together; the most is {MOST}",
        kernel + initramfs
    );
}
