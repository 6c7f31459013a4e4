//! Selects the boot files that the server hands out from those on the host.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use netboot_protocol::GRUB;
use netboot_protocol::Loader;

use crate::app::{AppError, io};
use config::Config;

const HOST_GRUB: &str = "/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed";

/// Boot files in memory, by the name that clients request.
pub(crate) struct BootFiles {
    /// For every protocol.
    pub all: BTreeMap<String, Bytes>,
    /// Replacements for requests over HTTP.
    pub by_http: BTreeMap<String, Bytes>,
    /// The mini-os signed with the site's own key, if any.
    pub unified: Option<PathBuf>,
}

impl BootFiles {
    /// Reads the boot files. Optional ones that are missing are only logged.
    ///
    /// # Errors
    /// `undionly.kpxe`, `snponly.efi` or a file of `[boot] signed_ipxe` is missing, or an iPXE or site-signed
    /// loader cannot be read. An unreadable shim or GRUB is only a warning, even a configured one, and so are
    /// incomplete or outdated site-signed files.
    pub(crate) fn read(config: &Config, site_archive: &[u8]) -> Result<BootFiles, AppError> {
        let boot = &config.boot;
        let mut all = BTreeMap::new();
        for loader in [
            Loader::Undionly,
            Loader::Snponly,
            Loader::IpxeBios,
            Loader::IpxeEfi,
            Loader::IpxeArm64,
        ] {
            let path = config.loader_file(loader);
            if !matches!(loader, Loader::Undionly | Loader::Snponly) && !path.exists() {
                tracing::info!(path = %path.display(), "not there: machines that need this loader cannot boot");
                continue;
            }
            let bytes = fs::read(&path).map_err(io(format!(
                "read the boot loader {} (install Debian's package ipxe, or set [boot] loaders)",
                path.display()
            )))?;
            all.insert(loader.file().to_owned(), bytes.into());
        }
        // Debian's packages shim-signed and grub-efi-amd64-signed are optional.
        let beside = config.mini_os.dir.join(mini_os::GRUB_FOR_HTTP);
        let newer = beside.is_file().then_some(beside);
        let grub_http = boot.grub_http.clone().or_else(|| newer.clone());
        // Prefer the newer GRUB: with proxyDHCP, Debian 12's looks for its script on the server that gave the
        // address (rhboot/grub2#87).
        let grub = boot.grub.clone().or(newer).unwrap_or_else(|| HOST_GRUB.into());
        let mut by_http = BTreeMap::new();
        for (path, name, http) in [
            (Some(&boot.shim), Loader::Signed.file(), false),
            (Some(&grub), GRUB, false),
            (grub_http.as_ref(), GRUB, true),
        ] {
            let Some(path) = path else { continue };
            match fs::read(path) {
                Ok(bytes) if http => by_http.insert(name.to_owned(), bytes.into()),
                Ok(bytes) => all.insert(name.to_owned(), bytes.into()),
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "no signed loader: a machine with Secure Boot cannot boot this way");
                    None
                }
            };
        }
        if let Some(dir) = &boot.signed_ipxe {
            // shim starts the second file as "ipxe.efi" from its own directory, so the signed one replaces
            // the unsigned one.
            for name in [Loader::SignedIpxe.file(), Loader::IpxeEfi.file()] {
                let path = dir.join(name);
                let bytes = fs::read(&path).map_err(io(format!(
                    "read {}: [boot] signed_ipxe names a directory of iPXE's release files {} and {}",
                    path.display(),
                    Loader::SignedIpxe.file(),
                    Loader::IpxeEfi.file(),
                )))?;
                all.insert(name.to_owned(), bytes.into());
            }
        }
        let mut unified = None;
        match mini_os::signed_files(&config.mini_os.dir, site_archive, &command_line(config)) {
            Ok(None) => {}
            Ok(Some(signed)) => {
                for (name, path) in signed.loaders {
                    // Keep the file signed by Microsoft: firmware trusts it without the site's key.
                    if boot.signed_ipxe.is_some() && name == Loader::IpxeEfi.file() {
                        continue;
                    }
                    let what = format!("read the signed loader {}", path.display());
                    all.insert(name, fs::read(&path).map_err(io(what))?.into());
                }
                unified = Some(signed.unified);
            }
            Err(error) => tracing::warn!(
                error = inventory_api::text::with_causes(&error),
                "machines that trust only the site's own key cannot boot"
            ),
        }
        Ok(BootFiles {
            all,
            by_http,
            unified,
        })
    }
}

/// The command line that is signed with the mini-os. It is the same for all machines; each asks the boot
/// service of its network for the rest.
fn command_line(config: &Config) -> String {
    let mut urls: Vec<String> = config
        .networks
        .iter()
        .map(|network| format!("http://{}:{}", network.server(), config.boot.http_port))
        .collect();
    urls.dedup();
    let mut words = config.mini_os.kernel_args.clone();
    words.push(inventory_api::boot::ask_word(&urls));
    words.join(" ")
}

/// Signs the mini-os for the server whose authority has this certificate (PEM). Returns the output directory.
pub(crate) fn sign(
    config: &Config,
    ca_pem: &str,
    key: &Path,
    certificate: &Path,
) -> Result<PathBuf, AppError> {
    if config.networks.is_empty() {
        return Err(AppError::Sign(
            "no [[network]] is configured: a signed mini-os would not know whom to ask".to_owned(),
        ));
    }
    let site_archive = mini_os::site_archive(ca_pem.as_bytes());
    mini_os::sign(&mini_os::Signing {
        mini_os: &config.mini_os.dir,
        host_loaders: config.loaders(),
        site_archive: &site_archive,
        command_line: &command_line(config),
        key,
        certificate,
    })
    .map_err(|error| AppError::Sign(inventory_api::text::with_causes(&error)))?;
    Ok(config.mini_os.dir.join(mini_os::SIGNED_DIR))
}
