//! Where built things are: programs beside the test binary, mini-os and images in `.slipway`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The recipe in `images/recipes` of the image that demo and tests install.
pub const RECIPE: &str = "debian-12-cloud";

pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate is a folder of the workspace")
        .to_owned()
}

/// Built artefacts: `SLIPWAY_ARTEFACTS`, by default `.slipway` in the workspace.
pub fn state() -> PathBuf {
    match std::env::var_os("SLIPWAY_ARTEFACTS") {
        Some(path) => path.into(),
        None => workspace().join(".slipway"),
    }
}

/// A program of this workspace, from the same build as the running one.
pub fn program(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    // Programs are in target/PROFILE, test binaries in target/PROFILE/deps.
    let found = own
        .ancestors()
        .skip(1)
        .take(2)
        .map(|dir| dir.join(name))
        .find(|path| path.is_file());
    found.with_context(|| format!("{name} is not built: run `cargo build --workspace --bins`"))
}

/// A file in `.slipway`; if it is missing, the error names the make target.
pub fn built(relative: &str, target: &str) -> Result<PathBuf> {
    let path = state().join(relative);
    if !path.exists() {
        bail!("{} is not built: run `make {target}`", path.display());
    }
    Ok(path)
}

/// A temporary directory for one run in `.slipway/run`: disks are large, and /tmp may be in memory.
pub fn run_directory(name: &str) -> Result<tempfile::TempDir> {
    let parent = state().join("run");
    std::fs::create_dir_all(&parent).with_context(|| format!("making {}", parent.display()))?;
    let prefix = format!("{name}-{}-", std::process::id());
    tempfile::Builder::new()
        .prefix(&prefix)
        .tempdir_in(&parent)
        .with_context(|| format!("making a directory in {}", parent.display()))
}
