//! A full report of each captured machine: time and memory.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};

/// Must run before any other child: the kernel reports only the largest child so far.
pub fn section() -> Result<String> {
    let agent = std::env::var("SLIPWAY_AGENT").unwrap_or_default();
    if !Path::new(&agent).is_file() {
        bail!("SLIPWAY_AGENT does not name the agent: run `make bench`");
    }
    let fixtures = fixtures::root();
    let mut rows = Vec::new();
    for set in ["smbios/norm", "smbios/rebuilt", "smbios/linuxhw"] {
        let Ok(machines) = std::fs::read_dir(fixtures.join(set)) else {
            continue;
        };
        for machine in machines.flatten() {
            let directory = tempfile::tempdir()?;
            let tables = directory.path().join("sys/firmware/dmi/tables");
            std::fs::create_dir_all(&tables)?;
            for file in ["DMI", "smbios_entry_point"] {
                std::fs::copy(machine.path().join(file), tables.join(file))
                    .with_context(|| format!("{}", machine.path().display()))?;
            }
            let root = directory.path().display().to_string();
            rows.push(report(&agent, &["--root", &root])?);
        }
    }
    if rows.is_empty() {
        return Ok(format!(
            "\n## Report\n\nNo captured machines in {}.\n",
            fixtures.display()
        ));
    }
    rows.sort_by(f64::total_cmp);
    let (median, slowest) = (rows[rows.len() / 2], rows[rows.len() - 1]);
    let captured = peak_mib()?;
    let live = report(&agent, &[])?;
    Ok(format!(
        "\n## Report\n\n`slipway-agent report --json` (the mini-os's own binary, a process each): with `--root` on each of {} captured \
         machines, and of this machine. Targets: under 3 s, under 64 MB.\n\n| | median s | slowest s | most memory MiB |\n| --- | --- | --- | --- |\n\
         | captured machines | {median:.3} | {slowest:.3} | {captured:.1} |\n| this machine | {live:.3} | | {:.1} |\n\n\
         Of the live machine's time 2 s are spent listening for LLDP neighbours.\n",
        rows.len(),
        peak_mib()?
    ))
}

/// Seconds of one report.
fn report(agent: &str, more: &[&str]) -> Result<f64> {
    let begun = Instant::now();
    let output = Command::new(agent)
        .args(["report", "--json"])
        .args(more)
        .stderr(Stdio::piped())
        .output()?;
    let seconds = begun.elapsed().as_secs_f64();
    if !output.status.success() {
        bail!(
            "{agent} report {more:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let report: inventory_api::report::AssetReport = serde_json::from_slice(&output.stdout)?;
    if !more.is_empty() && report.system.is_none() {
        bail!("{agent} report {more:?} knows no system: {:?}", report.problems);
    }
    Ok(seconds)
}

/// Largest resident size of all children so far, MiB.
fn peak_mib() -> Result<f64> {
    Ok(getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss() as f64 / 1024.0)
}
