//! Which boot file a client gets.

use std::net::Ipv4Addr;

use inventory_api::Mac;

use crate::client::{ClientKind, PxeClient};
use crate::loader::Loader;

/// Where our HTTP boot service is, seen from a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootUrls {
    /// Our address on the network.
    pub server: Ipv4Addr,
    /// Port of the HTTP boot service.
    pub http_port: u16,
}

impl BootUrls {
    /// `http://ADDRESS:PORT`, without a slash at the end. With an IP literal no name server is needed.
    pub fn base(&self) -> String {
        format!("http://{}:{}", self.server, self.http_port)
    }

    /// URL of a machine's boot script.
    pub fn script(&self, mac: Mac) -> String {
        format!("{}/boot.ipxe?mac={mac}", self.base())
    }

    /// URL of a boot file.
    pub fn file(&self, name: &str) -> String {
        format!("{}/boot/{name}", self.base())
    }
}

/// Why a client gets an address and no boot data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoBoot {
    /// It does not boot from the network.
    NotBooting,
    /// Firmware of an architecture that we have no loader for.
    UnsupportedArchitecture,
    /// Over IPv6 iPXE gets no script: its DHCPv4, which it does as well, has one.
    ScriptByIpv4,
}

impl NoBoot {
    /// Stable short code.
    pub fn code(self) -> &'static str {
        match self {
            NoBoot::NotBooting => "not-booting",
            NoBoot::UnsupportedArchitecture => "unsupported-architecture",
            NoBoot::ScriptByIpv4 => "script-by-ipv4",
        }
    }
}

/// The boot data of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootFile {
    /// A loader by TFTP, for PXE firmware: needs option 60 "PXEClient" with 43.
    Tftp(&'static str),
    /// A loader by HTTP, for UEFI HTTP boot: needs option 60 "HTTPClient".
    Http(String),
    /// A script for iPXE, straight away: it is never given a loader again, which breaks the chainload loop.
    Script(String),
    /// Nothing.
    None(NoBoot),
}

impl BootFile {
    /// The name or URL that is sent.
    pub fn name(&self) -> Option<&str> {
        match self {
            BootFile::Tftp(name) => Some(name),
            BootFile::Http(url) | BootFile::Script(url) => Some(url),
            BootFile::None(_) => None,
        }
    }
}

/// The boot file for a client, by kind and architecture. What is booted in the end (mini-os or local disk) is the
/// script's matter: firmware that gets no boot file at all loses about a minute with timeouts.
pub fn boot_file(client: &PxeClient, urls: &BootUrls) -> BootFile {
    let loader = client.loader.or(Loader::list(client.kind).first().copied());
    let unsupported = BootFile::None(NoBoot::UnsupportedArchitecture);
    let by_tftp = match loader {
        Some(loader) => BootFile::Tftp(loader.file()),
        None => BootFile::None(NoBoot::UnsupportedArchitecture),
    };
    match client.kind {
        ClientKind::Bios | ClientKind::UefiX64 => by_tftp,
        // Not every server has a loader and a mini-os for it: only what who knows the files has named.
        ClientKind::UefiArm64 => client
            .loader
            .map_or(unsupported, |loader| BootFile::Tftp(loader.file())),
        ClientKind::UefiArm64Http => client
            .loader
            .map_or(unsupported, |loader| BootFile::Http(urls.file(loader.file()))),
        ClientKind::UefiX64Http => loader.map_or(by_tftp, |loader| BootFile::Http(urls.file(loader.file()))),
        ClientKind::Ipxe { http: true, .. } | ClientKind::SlipwayStage { ipxe: true } => {
            BootFile::Script(urls.script(client.mac))
        }
        // An iPXE built without HTTP: our loader has it, and then identifies itself as one that has.
        ClientKind::Ipxe { http: false, efi } => {
            if !efi || client.architectures.iter().any(|arch| matches!(arch, 7 | 9)) {
                by_tftp
            } else {
                BootFile::None(NoBoot::UnsupportedArchitecture)
            }
        }
        ClientKind::OtherFirmware(_) => unsupported,
        ClientKind::SlipwayStage { ipxe: false } | ClientKind::Other => BootFile::None(NoBoot::NotBooting),
    }
}
