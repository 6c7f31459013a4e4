//! The keys of an invented site: Debian's package ovmf has firmware variables with them enrolled (PK, KEK and
//! db), and the private key with a public passphrase.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::artefacts::program;
use crate::boot_path::BootPath;

const KEY: &str = "/usr/share/ovmf/PkKek-1-snakeoil.key";
/// The certificate in the firmware's db.
pub const CERTIFICATE: &str = "/usr/share/ovmf/PkKek-1-snakeoil.pem";

/// The private key without its passphrase, in `dir`.
pub fn key(dir: &Path) -> Result<PathBuf> {
    let key = dir.join("site.key");
    let mut command = Command::new("openssl");
    command
        .args(["rsa", "-in", KEY, "-passin", "pass:snakeoil", "-out"])
        .arg(&key);
    run(&mut command)?;
    Ok(key)
}

/// Adds a signature to an EFI program.
pub fn sign(key: &Path, from: &Path, to: &Path) -> Result<()> {
    let mut command = Command::new("sbsign");
    command
        .arg("--key")
        .arg(key)
        .args(["--cert", CERTIFICATE, "--output"]);
    run(command.arg(to).arg(from))
}

/// Signs the path's own mini-os as an operator would: on the server, then restarts it.
pub async fn sign_mini_os(path: &mut BootPath) -> Result<()> {
    let key = key(path.directory.path())?;
    path.server.kill();
    let mut sign = Command::new(program("slipway")?);
    sign.args(["mini-os", "sign", "--cert", CERTIFICATE, "--key"])
        .arg(&key);
    sign.arg("--config")
        .arg(path.directory.path().join("slipway.toml"));
    run(&mut sign)?;
    path.server.power_on().await
}

pub fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("starting {name}"))?;
    if !output.status.success() {
        bail!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
