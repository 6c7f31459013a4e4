//! From a recipe to an image: bootstrap a root tree, finish it, make the file system, compress.

mod filesystem;
mod tree;

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use inventory_api::image::ImageManifest;
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
    if !nix_is_root() {
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
    let raw = staging.path().join("root.ext4");
    filesystem::make(&root, &raw, recipe.recipe.slack_percent)?;
    fs::remove_dir_all(&root).map_err(Error::io("remove", &root))?;
    let facts = inspect(&raw)?;
    info!(seconds = started.elapsed().as_secs(), "file system made");

    let file = format!("{}-{version}.ext4.zst", recipe.recipe.name);
    let digests = compress(&raw, &staging.path().join(&file))?;
    fs::remove_file(&raw).map_err(Error::io("remove", &raw))?;
    let manifest = ImageManifest {
        name: recipe.recipe.name.clone(),
        version,
        os: recipe.recipe.os.clone(),
        architecture: "x86_64".to_owned(),
        file,
        sha256: digests.sha256,
        compressed_bytes: digests.compressed_bytes,
        content_sha256: digests.content_sha256,
        content_bytes: digests.content_bytes,
        boot: facts.boot,
        built_at: now,
        public: recipe.recipe.public,
        recipe_sha256: Some(recipe.sha256),
    };
    for mode in [FirmwareMode::Bios, FirmwareMode::Uefi] {
        if !manifest.boot.firmware.contains(&mode) {
            return Err(Error::NotAnImage {
                path: recipe.path.clone(),
                reason: format!(
                    "the built system lacks the boot loader for {mode:?} firmware (packages grub-*, shim-signed)"
                ),
            });
        }
    }
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
    let mut source = Hashing::new(File::open(raw).map_err(Error::io("open", raw))?);
    let file = File::create(target).map_err(Error::io("make", target))?;
    let writing = |what: &'static str| Error::io(what, target);
    let out = BufWriter::with_capacity(1 << 20, Hashing::new(file));
    let mut encoder = zstd::Encoder::new(out, LEVEL).map_err(writing("compress to"))?;
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
    encoder.multithread(threads).map_err(writing("compress to"))?;
    encoder.include_checksum(true).map_err(writing("compress to"))?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = std::io::Read::read(&mut source, &mut buffer).map_err(Error::io("read", raw))?;
        if n == 0 {
            break;
        }
        encoder.write_all(&buffer[..n]).map_err(writing("write"))?;
    }
    let out = encoder.finish().map_err(writing("write"))?;
    let hashing = out.into_inner().map_err(|e| writing("write")(e.into_error()))?;
    let (file, sha256, compressed_bytes) = hashing.finish();
    file.sync_all().map_err(writing("write"))?;
    let (_, content_sha256, content_bytes) = source.finish();
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
    format!(
        "{year:04}{:02}{day:02}.{:02}{:02}",
        u8::from(month),
        time.hour(),
        time.minute()
    )
}

fn nix_is_root() -> bool {
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
