//! Commands that work on local files: images and the mini-os. They need no server. A running server finds a
//! new image by itself, because it lists the directory each time.

use std::path::{Path, PathBuf};

use images::{ImportFields, RecipeFile};
use inventory_api::image::ImageManifest;

use super::{BuildMiniOs, CliError, ImageCommand, Output, render};
use inventory_api::text::with_causes;
use words::text::disk_size;

/// `slipway image build|import|verify`; `list` asks the server and is handled elsewhere.
pub(crate) fn image(command: &ImageCommand, output: Output) -> Result<String, CliError> {
    match command {
        ImageCommand::List => Err(CliError::usage("image list asks the server")),
        ImageCommand::Build { recipe, dir, cache } => build(recipe, dir, cache, output),
        ImageCommand::Import {
            file,
            name,
            version,
            os,
            private,
            dir,
        } => {
            let fields = ImportFields {
                name: name.clone(),
                version: version.clone(),
                os: os.clone(),
                public: !private,
            };
            images::import(file, &fields, dir)
                .map_err(failed)
                .and_then(|image| made(&image.manifest, &image.dir, output))
        }
        ImageCommand::Verify { image, dir } => verify(image.as_deref(), dir, output),
    }
}

fn failed(error: images::Error) -> CliError {
    CliError::failed(with_causes(&error))
}

fn build(recipe: &Path, dir: &Path, cache: &Path, output: Output) -> Result<String, CliError> {
    let recipe = RecipeFile::load(recipe).map_err(|e| CliError::usage(with_causes(&e)))?;
    let image = match images::is_current(&recipe, dir) {
        Some(image) => image,
        None => images::build(&recipe, dir, cache).map_err(failed)?,
    };
    made(&image.manifest, &image.dir, output)
}

fn made(manifest: &ImageManifest, dir: &Path, output: Output) -> Result<String, CliError> {
    render::answer(output, manifest, |m| {
        format!(
            "{} {}: {}\n  {} to fetch, {} on disk\n  sha256 {}\n  in {}\n",
            m.name,
            m.version,
            m.os,
            disk_size(m.compressed_bytes),
            disk_size(m.content_bytes),
            m.sha256,
            dir.display()
        )
    })
}

#[derive(serde::Serialize)]
struct Verified {
    image: String,
    ok: bool,
    problem: Option<String>,
}

/// Reads every byte of one image (`name` or `name@version`) or of all.
fn verify(wanted: Option<&str>, dir: &Path, output: Output) -> Result<String, CliError> {
    let listing = images::list(dir).map_err(failed)?;
    let mut results: Vec<Verified> = Vec::new();
    for image in &listing.images {
        let name = format!("{}@{}", image.manifest.name, image.manifest.version);
        if wanted.is_some_and(|w| w != name && w != image.manifest.name) {
            continue;
        }
        let problem = image.verify().err().map(|e| with_causes(&e));
        results.push(Verified {
            image: name,
            ok: problem.is_none(),
            problem,
        });
    }
    if let Some(wanted) = wanted.filter(|_| results.is_empty()) {
        return Err(CliError::failed(format!(
            "{} has no image {wanted:?}",
            dir.display()
        )));
    }
    if wanted.is_none() {
        results.extend(listing.problems.iter().map(|e| Verified {
            image: "?".into(),
            ok: false,
            problem: Some(with_causes(e)),
        }));
    }
    let text = render::answer(output, &results, |list| {
        let line = |v: &Verified| match &v.problem {
            None => format!("{}: as its manifest says\n", v.image),
            Some(problem) => format!("{}: NOT GOOD: {problem}\n", v.image),
        };
        if list.is_empty() {
            format!("{} has no image\n", dir.display())
        } else {
            list.iter().map(line).collect()
        }
    })?;
    if results.iter().all(|v| v.ok) {
        Ok(text)
    } else {
        Err(CliError::failed(text.trim_end().to_owned()))
    }
}

/// `slipway mini-os build`.
pub(crate) fn mini_os(build: &BuildMiniOs, output: Output) -> Result<String, CliError> {
    let arch: mini_os::Arch = build.arch.parse().map_err(CliError::Usage)?;
    let request = mini_os::Request {
        arch,
        variant: build.variant.parse().map_err(CliError::Usage)?,
        agent: build.agent.clone(),
        out: arch.directory(&build.out),
        cache: build.cache.clone(),
    };
    let manifest = match mini_os::is_current(&request.out, request.variant, &request.agent) {
        Some(manifest) => manifest,
        None => mini_os::build(&request).map_err(|e| CliError::failed(with_causes(&e)))?,
    };
    // A failed download is only a warning, because most machines boot without these loaders. They go into
    // `--out` itself for all architectures.
    if !mini_os::has_loaders(&build.out)
        && let Err(error) = mini_os::fetch_loaders(&build.out, &request.cache)
    {
        let why = with_causes(&error);
        tracing::warn!(%why, "no newer loaders: UEFI machines boot some seconds later, and not by UEFI HTTP boot with Secure Boot");
    }
    render::answer(output, &manifest, |m| {
        format!(
            "mini-os with Linux {} in {}\n  kernel {}, initramfs {} ({} modules, {} firmware files)\n",
            m.kernel_release,
            request.out.display(),
            disk_size(m.kernel_bytes),
            disk_size(m.initramfs_bytes),
            m.modules,
            m.firmware_files
        )
    })
}

/// Runs blocking work off the async threads.
pub(crate) async fn blocking(
    work: impl FnOnce() -> Result<String, CliError> + Send + 'static,
) -> Result<String, CliError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| CliError::failed(format!("the work ended early: {e}")))?
}

/// The server's default image directory.
pub(crate) fn images_dir() -> PathBuf {
    "/var/lib/slipway/images".into()
}
