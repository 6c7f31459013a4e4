//! Wiping a released disk.

use agent_install::{execute, wipe};

use crate::bench::{Bench, DISK, MIB};

#[tokio::test]
async fn nothing_is_left_of_an_installed_system() {
    let bench = Bench::new();
    let site = bench.site();
    execute(&bench.plan, &bench.credentials(), &site, &bench.server())
        .await
        .expect("installed");
    assert_ne!(bench.disk(bench.root_start(), 4096), [0; 4096]);
    wipe(std::slice::from_ref(&bench.plan.disk), &site)
        .await
        .expect("wiped");
    for (from, len) in [
        (0, 16 * MIB),
        (DISK - 16 * MIB, 16 * MIB),
        (bench.root_start(), MIB),
    ] {
        assert!(
            bench.disk(from, len as usize).iter().all(|b| *b == 0),
            "bytes are left at {from}"
        );
    }
}

#[tokio::test]
async fn all_disks_are_found_or_none_is_written() {
    let bench = Bench::new();
    let before = bench.disk(0, 21 << 20);
    let mut missing = bench.plan.disk.clone();
    missing.serial = Some("gone".into());
    let failure = wipe(&[bench.plan.disk.clone(), missing], &bench.site())
        .await
        .expect_err("refused");
    assert_eq!((failure.code.as_str(), failure.wrote), ("disk-missing", false));
    assert!(bench.disk(0, 21 << 20) == before, "something was written");
}
