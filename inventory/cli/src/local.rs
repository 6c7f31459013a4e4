//! Commands that work on local files: images and the mini-os. They need no server. A running server finds a
//! new image by itself, because it lists the directory each time.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use images::{ImportFields, RecipeFile};
use inventory_api::image::ImageManifest;

use super::{CliError, Output};
use inventory_api::text::with_causes;
use words::text::disk_size;

/// `slipway image`.
#[derive(Clone, Debug, Subcommand)]
pub enum ImageCommand {
    /// List the images the server can install
    List,
    /// Build an image from a recipe on this host (needs root)
    Build {
        /// The recipe
        #[arg(value_name = "RECIPE.toml")]
        recipe: PathBuf,
        /// Image directory of the server
        #[arg(long, default_value_os_t = images_dir())]
        dir: PathBuf,
        /// Directory where downloaded packages are cached
        #[arg(long, default_value = "/var/cache/slipway")]
        cache: PathBuf,
    },
    /// Import an ext4 root file system that was made elsewhere
    Import {
        /// The file system image, raw or compressed with zstd
        file: PathBuf,
        /// Name: a-z, 0-9, '-'
        #[arg(long)]
        name: String,
        /// Version: a-z, 0-9, '-', '.'
        #[arg(long = "image-version", value_name = "VERSION")]
        version: String,
        /// Operating system in words; default: from its os-release
        #[arg(long)]
        os: Option<String>,
        /// The image holds secrets: serve it only to machines with a certificate
        #[arg(long)]
        private: bool,
        /// Image directory of the server
        #[arg(long, default_value_os_t = images_dir())]
        dir: PathBuf,
    },
    /// Read every byte of one image, or of all, and compare with the manifest
    Verify {
        /// NAME or NAME@VERSION; default: all
        image: Option<String>,
        /// Image directory of the server
        #[arg(long, default_value_os_t = images_dir())]
        dir: PathBuf,
    },
}

/// `slipway mini-os`.
#[derive(Clone, Debug, Subcommand)]
pub enum MiniOsCommand {
    /// Build kernel and initramfs from Debian packages and the agent
    Build(BuildMiniOs),
    /// Sign the mini-os and its loaders with the site's own key, for Secure Boot machines that trust it
    Sign(SignMiniOs),
}

/// `slipway mini-os sign`.
#[derive(Clone, Debug, Args)]
pub struct SignMiniOs {
    /// Configuration file of the server
    #[arg(long, default_value = "/etc/slipway/slipway.toml")]
    pub config: PathBuf,
    /// Private key, PEM, without a passphrase
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// Certificate of that key, PEM, as enrolled in the machines' firmware
    #[arg(long, value_name = "FILE")]
    pub cert: PathBuf,
}

/// `slipway mini-os build`.
#[derive(Clone, Debug, Args)]
pub struct BuildMiniOs {
    /// Architecture of the machines; arm64 goes into the directory `arm64` below --out
    #[arg(long, default_value = "amd64", value_parser = ["amd64", "arm64"])]
    pub arch: String,
    /// Drivers: full has all for servers, small what virtual machines need
    #[arg(long, default_value = "full", value_parser = ["full", "small"])]
    pub variant: String,
    /// A statically linked slipway-agent
    #[arg(long, value_name = "FILE")]
    pub agent: PathBuf,
    /// Output directory for kernel, initramfs and manifest.json
    #[arg(long, value_name = "DIR", default_value = "/var/lib/slipway/mini-os")]
    pub out: PathBuf,
    /// Directory where downloaded packages are cached
    #[arg(long, value_name = "DIR", default_value = "/var/cache/slipway")]
    pub cache: PathBuf,
}

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
    output.answer(manifest, |m| {
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

impl Verified {
    fn new(image: String, problem: Option<&images::Error>) -> Verified {
        Verified {
            image,
            ok: problem.is_none(),
            problem: problem.map(|e| with_causes(e)),
        }
    }
}

/// Reads every byte of one image (`name` or `name@version`) or of all.
fn verify(wanted: Option<&str>, dir: &Path, output: Output) -> Result<String, CliError> {
    let listing = images::list(dir).map_err(failed)?;
    let mut results = Vec::new();
    for image in &listing.images {
        let name = format!("{}@{}", image.manifest.name, image.manifest.version);
        if wanted.is_none_or(|w| w == name || w == image.manifest.name) {
            results.push(Verified::new(name, image.verify().err().as_ref()));
        }
    }
    match wanted {
        Some(wanted) if results.is_empty() => {
            let text = format!("{} has no image {wanted:?}", dir.display());
            return Err(CliError::failed(text));
        }
        Some(_) => {}
        None => results.extend(
            listing
                .problems
                .iter()
                .map(|e| Verified::new("?".into(), Some(e))),
        ),
    }
    let text = output.answer(&results, |list| {
        let line = |v: &Verified| match &v.problem {
            None => format!("{}: as its manifest says\n", v.image),
            Some(problem) => format!("{}: NOT GOOD: {problem}\n", v.image),
        };
        match list.is_empty() {
            true => format!("{} has no image\n", dir.display()),
            false => list.iter().map(line).collect(),
        }
    })?;
    match results.iter().all(|v| v.ok) {
        true => Ok(text),
        false => Err(CliError::failed(text.trim_end())),
    }
}

/// `slipway mini-os build`.
pub(crate) fn mini_os(build: &BuildMiniOs, output: Output) -> Result<String, CliError> {
    let arch: mini_os::Arch = build.arch.parse().map_err(CliError::usage)?;
    let request = mini_os::Request {
        arch,
        variant: build.variant.parse().map_err(CliError::usage)?,
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
    output.answer(&manifest, |m| {
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
