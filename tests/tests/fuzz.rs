//! Some seconds of fuzzing for each target. `make fuzz` is the long run and has the agent's parsers too.
//! tests/fuzz/lib.rs says what must hold.

use std::process::Command;

use e2e::Level;
use e2e::artefacts::workspace;

/// Enough to find what a change broke near the seeds; not a search.
const SECONDS: &str = "10";

fn fuzz(target: &str) {
    if !Level::Fuzz.runs() {
        return;
    }
    let output = Command::new(workspace().join(".ci/fuzz"))
        .args(["run", target, SECONDS])
        .output()
        .expect("bash starts .ci/fuzz");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(
        output.status.success(),
        "{target}: an input breaks it; it is in .slipway/fuzz/found"
    );
    let executed = said
        .lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    let executed: u64 = executed.and_then(|n| n.trim().parse().ok()).unwrap_or(0);
    assert!(executed > 1000, "{target}: only {executed} inputs were tried");
}

#[test]
fn dhcp4() {
    fuzz("dhcp4");
}

#[test]
fn dhcp6() {
    fuzz("dhcp6");
}

#[test]
fn http() {
    fuzz("http");
}

#[test]
fn tftp() {
    fuzz("tftp");
}

#[test]
fn server_report() {
    fuzz("server_report");
}
