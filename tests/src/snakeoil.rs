//! The keys of a made-up site: Debian's package ovmf has firmware variables with them enrolled (PK, KEK and db), and the private
//! key, whose passphrase is public.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

const KEY: &str = "/usr/share/ovmf/PkKek-1-snakeoil.key";
/// The certificate in the firmware's db.
pub const CERTIFICATE: &str = "/usr/share/ovmf/PkKek-1-snakeoil.pem";

/// The private key without its passphrase, in `dir`.
///
/// # Errors
/// A package is missing.
pub fn key(dir: &Path) -> Result<PathBuf> {
    let key = dir.join("site.key");
    let mut command = Command::new("openssl");
    command
        .args(["rsa", "-in", KEY, "-passin", "pass:snakeoil", "-out"])
        .arg(&key);
    run(&mut command)?;
    Ok(key)
}

/// Signs an EFI program with it, beside the signatures that it has.
///
/// # Errors
/// It is none, or a package is missing.
pub fn sign(key: &Path, from: &Path, to: &Path) -> Result<()> {
    let mut command = Command::new("sbsign");
    command
        .arg("--key")
        .arg(key)
        .args(["--cert", CERTIFICATE, "--output"]);
    run(command.arg(to).arg(from))
}

/// Runs a program to its end.
///
/// # Errors
/// It is missing or failed: with what it said.
pub fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("starting {name}"))?;
    if !output.status.success() {
        bail!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
