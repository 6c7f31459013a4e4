//! Boot files, boot scripts, and which loader a machine gets.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use inventory_api::Mac;

pub(crate) mod architecture;
pub(crate) mod experience;
pub(crate) mod loader;
pub mod menu;
pub(crate) mod script;
pub(crate) mod trial;

/// The address of our HTTP boot service on a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootUrls<A = Ipv4Addr> {
    /// Our address on the network.
    pub server: A,
    /// Port of the HTTP boot service.
    pub http_port: u16,
}

impl<A: Copy + Into<IpAddr>> BootUrls<A> {
    /// `http://ADDRESS:PORT`, without a trailing slash. An IP literal needs no name server.
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

/// The boot data of a reply, by IPv4 or IPv6.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootFile {
    /// A loader by TFTP, for PXE firmware. By IPv4 its name, sent with option 60 "PXEClient" and option 43;
    /// by IPv6 its URL, without a vendor class.
    Tftp(Cow<'static, str>),
    /// A loader by HTTP, for UEFI HTTP boot; needs the vendor class "HTTPClient" (option 60; UEFI 2.10,
    /// 24.7.3.1).
    Http(String),
    /// A script for iPXE. iPXE never gets a loader again, which breaks the chainload loop.
    Script(String),
    /// Nothing: the client does not netboot, or there is no loader for its architecture.
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
