//! Which boot file a client gets.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use inventory_api::Mac;

use crate::client::{ClientKind, PxeClient};
use crate::loader::Loader;

/// Where our HTTP boot service is, seen from a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootUrls<A = Ipv4Addr> {
    /// Our address on the network.
    pub server: A,
    /// Port of the HTTP boot service.
    pub http_port: u16,
}

impl<A: Copy + Into<IpAddr>> BootUrls<A> {
    /// `http://ADDRESS:PORT`, without a slash at the end. With an IP literal no name server is needed.
    pub fn base(&self) -> String {
        format!("http://{}", SocketAddr::new(self.server.into(), self.http_port))
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

/// The boot data of a reply, by IPv4 or by IPv6.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootFile {
    /// A loader by TFTP, for PXE firmware. By IPv4 its name, which needs option 60 "PXEClient" with 43; by IPv6 its URL, without a
    /// vendor class.
    Tftp(Cow<'static, str>),
    /// A loader by HTTP, for UEFI HTTP boot: needs the vendor class "HTTPClient" (option 60; UEFI 2.10, 24.7.3.1).
    Http(String),
    /// A script for iPXE, straight away: it is never given a loader again, which breaks the chainload loop.
    Script(String),
    /// Nothing: it does not boot from the network, or there is no loader for its architecture.
    None,
}

impl BootFile {
    /// The name or URL that is sent.
    pub fn name(&self) -> Option<&str> {
        match self {
            BootFile::Tftp(name) => Some(name),
            BootFile::Http(url) | BootFile::Script(url) => Some(url),
            BootFile::None => None,
        }
    }
}

/// The boot file for a client, by kind and architecture. What is booted in the end (mini-os or local disk) is the
/// script's matter: firmware that gets no boot file at all loses about a minute with timeouts.
pub fn boot_file(client: &PxeClient, urls: &BootUrls) -> BootFile {
    let loader = client.loader.or(Loader::list(client.kind).first().copied());
    let of = |loader: Option<Loader>, file: &dyn Fn(Loader) -> BootFile| loader.map_or(BootFile::None, file);
    let tftp = |loader: Loader| BootFile::Tftp(loader.file().into());
    let http = |loader: Loader| BootFile::Http(urls.file(loader.file()));
    match client.kind {
        ClientKind::Bios | ClientKind::UefiX64 => of(loader, &tftp),
        ClientKind::UefiX64Http => of(loader, &http),
        // Not every server has a loader and a mini-os for it: only what who knows the files has named.
        ClientKind::UefiArm64 => of(client.loader, &tftp),
        ClientKind::UefiArm64Http => of(client.loader, &http),
        ClientKind::Ipxe { http: true, .. } | ClientKind::SlipwayStage { ipxe: true } => {
            BootFile::Script(urls.script(client.mac))
        }
        // An iPXE built without HTTP: our loader has it, and then identifies itself as one that has.
        ClientKind::Ipxe { http: false, efi } => {
            let x86 = !efi || client.architectures.iter().any(|arch| matches!(arch, 7 | 9));
            of(loader.filter(|_| x86), &tftp)
        }
        ClientKind::OtherFirmware(_) | ClientKind::SlipwayStage { ipxe: false } | ClientKind::Other => {
            BootFile::None
        }
    }
}
