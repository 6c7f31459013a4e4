//! From a recipe to an image: bootstrap a root tree, finish it, make the file system, compress.

mod filesystem;
mod tree;

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, IntoInnerError};
use std::path::Path;
use std::time::Instant;

use inventory_api::report::FirmwareMode;
use time::OffsetDateTime;
use tracing::info;

use crate::digest::{Digests, Hashing};
use crate::inspect::inspect;
use crate::store::{Staging, now};
use crate::{Error, Image, RecipeFile, Result, list};

/// zstd level: 10 is near the knee. Decompression is as fast as at 3, and less goes over the network.
const LEVEL: i32 = 10;

/// Builds an image of `recipe` in `out_dir`/NAME-VERSION, with the time as VERSION. Needs root and the
/// network; `cache` keeps downloaded packages for the next build.
///
/// # Errors
/// A program is missing or fails, or the result cannot be booted.
pub fn build(recipe: &RecipeFile, out_dir: &Path, cache: &Path) -> Result<Image> {
    if !is_root() {
        return Err(Error::Recipe {
            path: recipe.path.clone(),
            reason: "building an image needs root (its files belong to several owners)".to_owned(),
        });
    }
    let started = Instant::now();
    let now = now();
    let version = version_of(now.0 / 1000);
    let staging = Staging::new(out_dir, &recipe.recipe.name, &version)?;
    let root = staging.path().join("root");

    tree::bootstrap(&recipe.recipe, &root, cache)?;
    info!(seconds = started.elapsed().as_secs(), "root tree made");
    tree::finish(&recipe.recipe, &root)?;
    let raw = staging.raw();
    filesystem::make(&root, &raw, recipe.recipe.slack_percent)?;
    fs::remove_dir_all(&root).map_err(Error::io("remove", &root))?;
    let facts = inspect(&raw)?;
    info!(seconds = started.elapsed().as_secs(), "file system made");
    let lacks = |mode: &FirmwareMode| !facts.boot.firmware.contains(mode);
    if let Some(mode) = [FirmwareMode::Bios, FirmwareMode::Uefi].into_iter().find(lacks) {
        return Err(Error::NotAnImage {
            path: recipe.path.clone(),
            reason: format!(
                "the built system lacks the boot loader for {mode:?} firmware (packages grub-*, shim-signed)"
            ),
        });
    }

    let digests = compress(&raw, &staging.compressed())?;
    let mut manifest = staging.manifest(digests, facts.boot);
    manifest.os.clone_from(&recipe.recipe.os);
    manifest.built_at = now;
    manifest.public = recipe.recipe.public;
    manifest.recipe_sha256 = Some(recipe.sha256);
    let image = staging.commit(manifest)?;
    info!(
        seconds = started.elapsed().as_secs(),
        bytes = image.manifest.compressed_bytes,
        "image made"
    );
    Ok(image)
}

/// The newest image in `dir` that this builder made from exactly this recipe and whose file exists.
pub fn is_current(recipe: &RecipeFile, dir: &Path) -> Option<Image> {
    let of_recipe = |i: &Image| i.manifest.recipe_sha256 == Some(recipe.sha256) && i.open().is_ok();
    list(dir).ok()?.images.into_iter().find(of_recipe)
}

/// Compresses on all processors and hashes both sides in the same pass.
pub(crate) fn compress(raw: &Path, target: &Path) -> Result<Digests> {
    let source = File::open(raw).map_err(Error::io("open", raw))?;
    let file = File::create(target).map_err(Error::io("make", target))?;
    compress_file(source, file).map_err(Error::io("compress to", target))
}

fn compress_file(source: File, target: File) -> std::io::Result<Digests> {
    let mut source = BufReader::with_capacity(1 << 20, Hashing::new(source));
    let out = BufWriter::with_capacity(1 << 20, Hashing::new(target));
    let mut encoder = zstd::Encoder::new(out, LEVEL)?;
    encoder.multithread(std::thread::available_parallelism().map_or(1, |n| n.get() as u32))?;
    encoder.include_checksum(true)?;
    std::io::copy(&mut source, &mut encoder)?;
    let (file, sha256, compressed_bytes) = encoder
        .finish()?
        .into_inner()
        .map_err(IntoInnerError::into_error)?
        .finish();
    file.sync_all()?;
    let (_, content_sha256, content_bytes) = source.into_inner().finish();
    Ok(Digests {
        sha256,
        compressed_bytes,
        content_sha256,
        content_bytes,
    })
}

/// "20261122.0431": sorts by time, and two builds of one recipe rarely fall into the same minute.
fn version_of(unix_seconds: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(unix_seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = time.to_calendar_date();
    let (month, hour, minute) = (u8::from(month), time.hour(), time.minute());
    format!("{year:04}{month:02}{day:02}.{hour:02}{minute:02}")
}

fn is_root() -> bool {
    // The owner of /proc/self is the effective user.
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_the_time() {
        assert_eq!(version_of(0), "19700101.0000");
        assert_eq!(version_of(1_709_251_199), "20240229.2359");
        assert_eq!(version_of(1_795_321_860), "20261122.0431");
    }
}
