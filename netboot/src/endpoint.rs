//! The sockets on each of our addresses, and the tasks behind them.

mod v4;
mod v6;

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;

use netboot_protocol::Network;
use tokio::net::TcpListener;

use crate::config::Config;
use crate::error::NetbootError;
use crate::http::HttpService;
use crate::scripts::{Announced, Scripts};
use crate::shared::Shared;
use crate::source::BootSource;
use crate::tasks::Tasks;
use crate::tftp::TftpService;

pub(crate) use v4::EndpointV4;
pub(crate) use v6::EndpointV6;

/// Where a network is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundNetwork {
    /// Network name.
    pub network: String,
    /// DHCP: our address and port. (Except in test mode, the socket itself is bound to the interface.)
    pub dhcp: SocketAddr,
    /// PXE boot server: our address and port.
    pub boot_server: SocketAddr,
    /// TFTP socket.
    pub tftp: SocketAddr,
    /// HTTP socket: `http://{http}` is the network's boot URL.
    pub http: SocketAddr,
    /// The IPv6 addresses, where IPv6 is configured.
    pub v6: Option<BoundV6>,
}

/// Where a network is served by IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoundV6 {
    /// DHCPv6: our address and port. (Except in test mode, the socket itself is bound to the interface.)
    pub dhcp: SocketAddr,
    /// TFTP socket.
    pub tftp: SocketAddr,
    /// HTTP socket.
    pub http: SocketAddr,
}

/// The sockets that serve files.
struct FileSockets {
    tftp: UdpSocket,
    http: TcpListener,
    http_port: u16,
}

impl FileSockets {
    async fn open(config: &Config, server: IpAddr, names: &str) -> Result<FileSockets, NetbootError> {
        let tftp = UdpSocket::bind((server, config.tftp_port));
        let tftp = tftp.map_err(failed("TFTP", names, server, config.tftp_port))?;
        let http = TcpListener::bind((server, config.http_port)).await;
        let http = http.map_err(failed("HTTP", names, server, config.http_port))?;
        let http_port = address_at(server, http.local_addr())?.port();
        Ok(FileSockets {
            tftp,
            http,
            http_port,
        })
    }

    fn start<S: BootSource>(self, networks: Vec<Network>, shared: &Arc<Shared<S>>, tasks: &mut Tasks) {
        let scripts = Arc::new(Scripts {
            networks,
            http_port: self.http_port,
            announced: Announced::default(),
            shared: shared.clone(),
        });
        tasks.spawn(TftpService::serve(self.tftp, scripts.clone()));
        tasks.spawn(HttpService { scripts }.serve(self.http));
    }
}

/// Our address with the port of a socket.
fn address_at(server: IpAddr, local: io::Result<SocketAddr>) -> Result<SocketAddr, NetbootError> {
    let failed = NetbootError::io("read a socket's port".to_owned());
    Ok(SocketAddr::new(server, local.map_err(failed)?.port()))
}

fn failed(
    service: &'static str,
    names: &str,
    server: IpAddr,
    port: u16,
) -> impl FnOnce(io::Error) -> NetbootError + use<> {
    NetbootError::io(format!(
        "open {service} for network {names} on {server} port {port}"
    ))
}

/// A socket without which the service runs too: `without` says what it lacks then.
fn or_without<T>(opened: io::Result<T>, network: &Network, without: &str) -> Option<T> {
    let opened = opened.inspect_err(|error| {
        let network = network.name();
        tracing::warn!(%error, network, "{without}: give the process CAP_NET_RAW");
    });
    opened.ok()
}

/// Network names for messages.
fn names(networks: &[Network]) -> String {
    let names: Vec<&str> = networks.iter().map(Network::name).collect();
    names.join(", ")
}
