//! Builds what machines boot and what is installed on them, into `.slipway/`, if the inputs have changed.
//!
//! `artefacts mini-os --agent FILE` makes `mini-os/full` and `mini-os/small`; `artefacts image` makes the
//! image of the recipe that demo and tests use.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use e2e::artefacts::{RECIPE, state, workspace};
use mini_os::{Arch, Request, Variant};

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["mini-os", "--agent", agent] => mini_os(Path::new(agent)),
        ["image"] => image(),
        _ => bail!("usage: artefacts mini-os --agent FILE | artefacts image"),
    }
}

fn mini_os(agent: &Path) -> Result<()> {
    for (variant, name) in [(Variant::Full, "full"), (Variant::Small, "small")] {
        let out = state().join("mini-os").join(name);
        if !mini_os::has_loaders(&out) {
            mini_os::fetch_loaders(&out, &cache()?).context("fetching the loaders")?;
        }
        if mini_os::is_current(&out, variant, agent).is_some() {
            eprintln!("mini-os {name}: up to date");
            continue;
        }
        eprintln!(
            "mini-os {name}: building from Debian's kernel packages and {}",
            agent.display()
        );
        let start = Instant::now();
        let request = Request {
            arch: Arch::Amd64,
            variant,
            agent: agent.to_owned(),
            out,
            cache: cache()?,
        };
        let made = mini_os::build(&request).with_context(|| format!("building mini-os {name}"))?;
        eprintln!(
            "mini-os {name}: kernel {} and initramfs {}, {} modules, in {} s",
            megabytes(made.kernel_bytes),
            megabytes(made.initramfs_bytes),
            made.modules,
            start.elapsed().as_secs()
        );
    }
    Ok(())
}

fn image() -> Result<()> {
    let path = workspace().join("images/recipes").join(format!("{RECIPE}.toml"));
    let recipe = images::RecipeFile::load(&path)?;
    let out = state().join("images");
    if let Some(image) = images::is_current(&recipe, &out) {
        eprintln!("image {}: up to date", image.manifest.name);
        return Ok(());
    }
    eprintln!("image {RECIPE}: building, this takes some minutes");
    let start = Instant::now();
    let image = images::build(&recipe, &out, &cache()?).with_context(|| format!("building {RECIPE}"))?;
    eprintln!(
        "image {} {}: {}, in {} s",
        image.manifest.name,
        image.manifest.version,
        megabytes(image.manifest.compressed_bytes),
        start.elapsed().as_secs()
    );
    Ok(())
}

/// Downloads, shared by all builds.
fn cache() -> Result<PathBuf> {
    let path = state().join("cache");
    std::fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
    Ok(path)
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
