//! Whole machines: captured ones, field cases, and a hostile one.

mod captures;
mod cases;
mod hostile;

use super::*;

#[test]
#[ignore = "reads the machine it runs on; the qemu tests do that every time, run this one by hand on new hardware"]
fn on_this_host_no_collector_panics() {
    let report = collect(&Roots::live());
    println!("{}", render_text(&report));
    assert!(
        report.problems.iter().all(|p| !p.detail.contains("panicked")),
        "{:?}",
        report.problems
    );
}

#[test]
fn an_empty_capture_has_no_facts_and_no_problems() {
    let dir = tempfile::tempdir().unwrap();
    let report = collect(&Roots::under(dir.path()));
    let empty = AssetReport {
        schema: REPORT_SCHEMA,
        agent_version: report.agent_version.clone(),
        collected_at: report.collected_at,
        collect_ms: report.collect_ms,
        ..AssetReport::default()
    };
    assert_eq!(report, empty);
}

#[test]
fn what_cannot_be_read_is_a_problem_and_the_rest_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("sys/firmware/dmi/tables/DMI")).unwrap();
    std::fs::create_dir_all(dir.path().join("proc")).unwrap();
    std::fs::write(dir.path().join("sys/block"), "not a folder").unwrap();
    std::fs::write(dir.path().join("proc/meminfo"), "MemTotal: 1024 kB\n").unwrap();
    let report = collect(&Roots::under(dir.path()));
    let mut collectors: Vec<&str> = report.problems.iter().map(|p| p.collector.as_str()).collect();
    collectors.sort_unstable();
    assert_eq!(collectors, ["disks", "smbios"]);
    assert_eq!(report.memory.usable_bytes, Some(1 << 20));
}

#[test]
fn a_collector_that_panics_is_a_problem() {
    let part = start(&Roots::under("/nothing"), "memory", |_, _, _| panic!("boom"));
    let part = part
        .recv_timeout(Duration::from_secs(10))
        .expect("the collector's part within 10 s");
    assert_eq!(part.problems[0].detail, "the collector panicked: boom");
}
