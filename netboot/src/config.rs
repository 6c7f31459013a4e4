//! The boot service's configuration.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use netboot_protocol::Network;

/// Default port of the HTTP boot service.
pub const DEFAULT_HTTP_PORT: u16 = 8067;

/// Everything the boot service needs to start. Files named here are opened by [`crate::Netboot::bind`];
/// kernel and initramfs at each request, so that a new build is served without a restart.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Networks to serve; at least one. Several may share a server address if all but one are behind relays.
    pub networks: Vec<Network>,
    /// DHCP port, 67; 0 picks a free one (tests).
    pub dhcp_port: u16,
    /// TFTP port, 69; 0 picks a free one (tests).
    pub tftp_port: u16,
    /// HTTP port, [`DEFAULT_HTTP_PORT`]; 0 picks a free one (tests).
    pub http_port: u16,
    /// Boot files by name, for TFTP and `/boot/NAME`: [`netboot_protocol::Loader::file`] of each available
    /// loader; for [`netboot_protocol::Loader::Signed`] also `grubx64.efi`.
    pub boot_files: BTreeMap<String, Bytes>,
    /// Files that replace those of the same name over HTTP: a `grubx64.efi` that can load by HTTP (Debian
    /// 12's cannot).
    pub http_boot_files: BTreeMap<String, Bytes>,
    /// The mini-os kernel.
    pub kernel: PathBuf,
    /// The mini-os initramfs.
    pub initramfs: PathBuf,
    /// Directory of `kernel` and `initramfs` for 64-bit ARM; both may be missing.
    pub arm64: PathBuf,
    /// The mini-os as a unified kernel image signed by the site, for Secure Boot with the site's own keys.
    pub unified: Option<PathBuf>,
    /// The second archive (our CA certificate), made at start.
    pub site_archive: Bytes,
    /// Whether the rescue system has a shell: it fetches it from the TLS port.
    pub rescue: bool,
    /// The durable lease journal; its directory must exist.
    pub lease_journal: PathBuf,
    /// Kernel arguments of the mini-os in addition to [`inventory_api::boot::BootArgs`], e.g.
    /// `console=ttyS0`.
    pub kernel_args: Vec<String>,
    /// Test mode for simulated machines on one host: sockets are bound to the server address only (no
    /// interface is looked up), DHCP replies go to the datagram's source address, and an HTTP client need not
    /// hold the lease of the MAC it names.
    pub reply_to_source: bool,
}

impl Config {
    /// The standard ports, no files, normal mode.
    pub fn new(networks: Vec<Network>, lease_journal: PathBuf) -> Config {
        Config {
            networks,
            dhcp_port: 67,
            tftp_port: 69,
            http_port: DEFAULT_HTTP_PORT,
            lease_journal,
            ..Config::default()
        }
    }
}
