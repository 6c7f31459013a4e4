//! Selects the boot files that the server hands out from those on the host.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use config::{Boot, Config};
use netboot_protocol::menu::MEMORY_TEST;
use netboot_protocol::{GRUB, Loader};

use crate::error::{AppError, io};

const HOST_GRUB: &str = "/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed";

/// The boot service's configuration.
///
/// # Errors
/// A boot file that is not optional is missing or cannot be read.
pub(crate) fn netboot_config(config: &Config, ca_pem: &str) -> Result<netboot::Config, AppError> {
    let site_archive = mini_os::site_archive(ca_pem.as_bytes());
    let files = BootFiles::read(config, &site_archive)?;
    let mut netboot = netboot::Config::new(config.networks.clone(), config.data_dir.join("leases"));
    netboot.dhcp_port = config.boot.dhcp_port;
    netboot.tftp_port = config.boot.tftp_port;
    netboot.http_port = config.boot.http_port;
    netboot.boot_files = files.all;
    netboot.http_boot_files = files.by_http;
    netboot.unified = files.unified;
    netboot.kernel = config.mini_os.dir.join("kernel");
    netboot.initramfs = config.mini_os.dir.join("initramfs");
    netboot.arm64 = mini_os::Arch::Arm64.directory(&config.mini_os.dir);
    netboot.site_archive = site_archive.into();
    netboot.rescue = config.boot.menu_seconds > 0 && has_shell(&config.boot);
    netboot.kernel_args.clone_from(&config.mini_os.kernel_args);
    netboot.reply_to_source = config.boot.simulated;
    Ok(netboot)
}

/// Boot files in memory, by the name that clients request.
#[derive(Default)]
struct BootFiles {
    /// For every protocol.
    all: BTreeMap<String, Bytes>,
    /// Replacements for requests over HTTP.
    by_http: BTreeMap<String, Bytes>,
    /// The mini-os signed with the site's own key, if any.
    unified: Option<PathBuf>,
}

impl BootFiles {
    /// Reads the boot files. Optional ones that are missing are only logged.
    ///
    /// # Errors
    /// `undionly.kpxe`, `snponly.efi` or a file of `[boot] signed_ipxe` is missing, or an iPXE or site-signed
    /// loader cannot be read. An unreadable shim or GRUB is only a warning, even a configured one, and so are
    /// incomplete or outdated site-signed files.
    fn read(config: &Config, site_archive: &[u8]) -> Result<BootFiles, AppError> {
        let mut files = BootFiles::default();
        files.add_ipxe(config)?;
        files.add_shim_and_grub(config);
        files.add_signed_ipxe(&config.boot)?;
        files.add_site_signed(config, site_archive)?;
        if config.boot.menu_seconds > 0 {
            files.add_memory_test(&config.boot);
        }
        Ok(files)
    }

    /// `what`: for the error.
    fn add(&mut self, name: &str, path: &Path, what: String) -> Result<(), AppError> {
        let bytes = fs::read(path).map_err(io(what))?;
        self.all.insert(name.to_owned(), bytes.into());
        Ok(())
    }

    fn add_ipxe(&mut self, config: &Config) -> Result<(), AppError> {
        use Loader::{IpxeArm64, IpxeBios, IpxeEfi, Snponly, Undionly};
        for loader in [Undionly, Snponly, IpxeBios, IpxeEfi, IpxeArm64] {
            let path = config.loader_file(loader);
            if !matches!(loader, Undionly | Snponly) && !path.exists() {
                tracing::info!(path = %path.display(), "no such loader: machines that need it cannot boot");
                continue;
            }
            let what = format!(
                "read the boot loader {} (install Debian's package ipxe, or set [boot] loaders)",
                path.display()
            );
            self.add(loader.file(), &path, what)?;
        }
        Ok(())
    }

    /// Debian's packages shim-signed and grub-efi-amd64-signed are optional.
    fn add_shim_and_grub(&mut self, config: &Config) {
        let boot = &config.boot;
        let beside = config.mini_os.dir.join(mini_os::GRUB_FOR_HTTP);
        let newer = beside.is_file().then_some(beside);
        let grub_http = boot.grub_http.clone().or_else(|| newer.clone());
        // Prefer the newer GRUB: with proxyDHCP, Debian 12's looks for its script on the server that gave the
        // address (rhboot/grub2#87).
        let grub = boot.grub.clone().or(newer).unwrap_or_else(|| HOST_GRUB.into());
        let read = |files: &mut BTreeMap<String, Bytes>, name: &str, path: &Path| match fs::read(path) {
            Ok(bytes) => {
                files.insert(name.to_owned(), bytes.into());
            }
            Err(error) => tracing::warn!(path = %path.display(), %error,
                "no signed loader: a machine with Secure Boot cannot boot this way"),
        };
        read(&mut self.all, Loader::Signed.file(), &boot.shim);
        read(&mut self.all, GRUB, &grub);
        if let Some(path) = &grub_http {
            read(&mut self.by_http, GRUB, path);
        }
    }

    fn add_signed_ipxe(&mut self, boot: &Boot) -> Result<(), AppError> {
        let Some(dir) = &boot.signed_ipxe else {
            return Ok(());
        };
        let (first, second) = (Loader::SignedIpxe.file(), Loader::IpxeEfi.file());
        // shim starts the second file as "ipxe.efi" from its own directory, so the signed one replaces the
        // unsigned one.
        for name in [first, second] {
            let path = dir.join(name);
            let what = format!(
                "read {}: [boot] signed_ipxe names a directory of iPXE's release files {first} and {second}",
                path.display()
            );
            self.add(name, &path, what)?;
        }
        Ok(())
    }

    fn add_site_signed(&mut self, config: &Config, site_archive: &[u8]) -> Result<(), AppError> {
        let found = mini_os::signed_files(&config.mini_os.dir, site_archive, &command_line(config));
        let signed = match found {
            Ok(Some(signed)) => signed,
            Ok(None) => return Ok(()),
            Err(error) => {
                tracing::warn!(
                    error = inventory_api::text::with_causes(&error),
                    "machines that trust only the site's own key cannot boot"
                );
                return Ok(());
            }
        };
        for (name, path) in signed.loaders {
            // Keep the file signed by Microsoft: firmware trusts it without the site's key.
            if config.boot.signed_ipxe.is_none() || name != Loader::IpxeEfi.file() {
                self.add(&name, &path, format!("read the signed loader {}", path.display()))?;
            }
        }
        self.unified = Some(signed.unified);
        Ok(())
    }

    /// Memtest86+ for the boot menu. Optional: without its files it is left out of the menu.
    fn add_memory_test(&mut self, boot: &Boot) {
        for (name, file) in MEMORY_TEST
            .into_iter()
            .zip(["memtest86+x64.bin", "memtest86+x64.efi"])
        {
            let path = boot.memory_test.join(file);
            if let Err(error) = self.add(name, &path, format!("read {}", path.display())) {
                tracing::warn!(
                    error = inventory_api::text::with_causes(&error),
                    "no memory test in the boot menu (Debian's package memtest86+, [boot] memory_test)"
                );
            }
        }
    }
}

/// Whether there is a static shell for the rescue system, which the API serves. Without it, rescue is left
/// out of the boot menu.
fn has_shell(boot: &Boot) -> bool {
    let shell = fs::read(&boot.busybox).map_err(|error| error.to_string());
    let usable = shell.and_then(|shell| mini_os::is_static(&shell));
    if let Err(error) = &usable {
        tracing::warn!(path = %boot.busybox.display(), error,
            "no rescue system in the boot menu (Debian's package busybox-static, [boot] busybox)");
    }
    usable.is_ok()
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
        return Err(AppError::NothingToAsk);
    }
    mini_os::sign(&mini_os::Signing {
        mini_os: &config.mini_os.dir,
        host_loaders: config.loaders(),
        site_archive: &mini_os::site_archive(ca_pem.as_bytes()),
        command_line: &command_line(config),
        key,
        certificate,
    })?;
    Ok(config.mini_os.dir.join(mini_os::SIGNED_DIR))
}
