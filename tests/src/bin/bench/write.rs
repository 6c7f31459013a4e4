//! The agent's write path and `zstd -d | dd` on the same bytes to the same kind of target, alternating.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use e2e::artefacts;

/// Each round runs both; the best round counts.
const ROUNDS: usize = 3;

pub fn section() -> Result<String> {
    let images = images::list(&artefacts::built("images", "image")?)?;
    let image = images
        .images
        .iter()
        .find(|i| i.manifest.name == artefacts::RECIPE)
        .context("the image is not built: run `make image`")?;
    let file = image.path();
    let bytes = image.manifest.content_bytes;
    // Built like the agent itself, by `make bench`.
    let program = std::env::var("SLIPWAY_WRITE_PATH").unwrap_or_default();
    if !Path::new(&program).is_file() {
        bail!("SLIPWAY_WRITE_PATH does not name the write_path example: run `make bench`");
    }
    let directory = artefacts::run_directory("bench-write")?;
    let target = directory.path().join("target");
    let (mut ours, mut theirs) = (f64::MAX, f64::MAX);
    for _ in 0..ROUNDS {
        fresh(&target, bytes)?;
        let output = Command::new(&program).arg(&file).arg(&target).output()?;
        if !output.status.success() {
            bail!("write_path failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        let said: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        ours = ours.min(said["seconds"].as_f64().context("write_path said no seconds")?);
        fresh(&target, bytes)?;
        theirs = theirs.min(zstd_dd(&file, &target)?);
    }
    let rate = |seconds: f64| bytes as f64 / seconds / f64::from(1 << 20);
    Ok(format!(
        "\n## Write path\n\n`write_path IMAGE TARGET` (what the agent runs: two digests, decompression, zero runs punched, fsync) and \
         `zstd -dc IMAGE | dd of=TARGET bs=4M conv=notrunc,fsync`, {ROUNDS} rounds in turns, best of each; {} of {:.0} MiB. Target: \
         ratio at least 0.9.\n\n| | seconds | MiB/s of content |\n| --- | --- | --- |\n| Slipway | {ours:.2} | {:.0} |\n\
         | zstd and dd | {theirs:.2} | {:.0} |\n| ratio | | **{:.2}** |\n",
        image.manifest.name,
        bytes as f64 / f64::from(1 << 20),
        rate(ours),
        rate(theirs),
        theirs / ours
    ))
}

fn fresh(target: &Path, bytes: u64) -> Result<()> {
    let _ = std::fs::remove_file(target);
    std::fs::File::create(target)?.set_len(bytes)?;
    nix::unistd::sync();
    Ok(())
}

fn zstd_dd(image: &Path, target: &Path) -> Result<f64> {
    let begun = Instant::now();
    let mut zstd = Command::new("zstd")
        .args(["-q", "-dc"])
        .arg(image)
        .stdout(Stdio::piped())
        .spawn()?;
    let pipe = zstd.stdout.take().context("no pipe")?;
    let dd = Command::new("dd")
        .arg(format!("of={}", target.display()))
        .args(["bs=4M", "iflag=fullblock", "conv=notrunc,fsync", "status=none"])
        .stdin(pipe)
        .status()?;
    if !dd.success() || !zstd.wait()?.success() {
        bail!("zstd | dd failed");
    }
    Ok(begun.elapsed().as_secs_f64())
}
