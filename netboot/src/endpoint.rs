//! The sockets on each of our addresses, and the tasks behind them.

mod v4;
mod v6;

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use netboot_protocol::Network;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::connection;
use crate::files::Files;
use crate::firmware::FirmwareTimes;
use crate::http::HttpService;
use crate::leases::{JournalQueue, LeaseTable};
use crate::networks::Networks;
use crate::scripts::{Announced, Scripts};
use crate::server::NetbootError;
use crate::source::BootSource;
use crate::tftp;

pub(crate) use v4::EndpointV4;
pub(crate) use v6::EndpointV6;

/// What all services share.
pub(crate) struct Shared<S> {
    pub(crate) config: Config,
    pub(crate) files: Files,
    pub(crate) leases: LeaseTable,
    pub(crate) leases6: LeaseTable<Ipv6Addr>,
    pub(crate) queue: JournalQueue,
    pub(crate) networks: Networks,
    pub(crate) source: Arc<S>,
    pub(crate) firmware: FirmwareTimes,
    pub(crate) cancel: CancellationToken,
}

/// Tasks that end when the service is cancelled.
pub(crate) type Tasks = JoinSet<Result<(), NetbootError>>;

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
            networks: networks.clone(),
            http_port: self.http_port,
            announced: Announced::default(),
            shared: shared.clone(),
        });
        tasks.spawn(tftp::serve(self.tftp, networks, scripts.clone()));
        let http = HttpService {
            scripts,
            shared: shared.clone(),
        };
        tasks.spawn(connection::serve(self.http, Arc::new(http)));
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

/// Network names for messages.
fn names(networks: &[Network]) -> String {
    let names: Vec<&str> = networks.iter().map(Network::name).collect();
    names.join(", ")
}
