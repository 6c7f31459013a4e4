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
use crate::firmware::FirmwareBook;
use crate::http::HttpService;
use crate::leases::{JournalQueue, LeaseBook};
use crate::scripts::{Announced, Scripts};
use crate::server::NetbootError;
use crate::source::BootSource;
use crate::tftp::TftpService;
use crate::watch::NetworkBook;

pub(crate) use v4::DoorV4;
pub(crate) use v6::DoorV6;

/// What the services behind all doors share.
pub(crate) struct Shared<S> {
    pub(crate) config: Config,
    pub(crate) files: Arc<Files>,
    pub(crate) book: LeaseBook,
    pub(crate) book6: LeaseBook<Ipv6Addr>,
    pub(crate) queue: JournalQueue,
    pub(crate) watch: NetworkBook,
    pub(crate) source: Arc<S>,
    pub(crate) firmware: FirmwareBook,
    pub(crate) cancel: CancellationToken,
}

/// Tasks that end when the service is cancelled.
pub(crate) type Tasks = JoinSet<Result<(), NetbootError>>;

/// Where files are fetched.
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

    fn start<S: BootSource>(self, networks: Vec<Network>, shared: &Shared<S>, tasks: &mut Tasks) {
        let scripts = Arc::new(Scripts {
            files: shared.files.clone(),
            networks: networks.clone(),
            http_port: self.http_port,
            kernel_args: shared.config.kernel_args.clone(),
            trusted: shared.files.trusted(),
            book: shared.book.clone(),
            book6: shared.book6.clone(),
            source: shared.source.clone(),
            firmware: shared.firmware.clone(),
            trust_any_source: shared.config.reply_to_source,
            announced: Announced::default(),
        });
        let tftp = TftpService {
            socket: self.tftp,
            networks,
            files: shared.files.clone(),
            scripts: scripts.clone(),
            watch: shared.watch.clone(),
            source: shared.source.clone(),
        };
        tasks.spawn(tftp.serve(shared.cancel.clone()));
        let http = HttpService {
            files: shared.files.clone(),
            scripts,
            watch: shared.watch.clone(),
            source: shared.source.clone(),
        };
        tasks.spawn(connection::serve(
            self.http,
            Arc::new(http),
            shared.cancel.clone(),
        ));
    }
}

/// Our address with the port of a socket.
fn address_at(server: IpAddr, local: io::Result<SocketAddr>) -> Result<SocketAddr, NetbootError> {
    let failed = |source| NetbootError::Io {
        what: "ask a socket for its port".to_owned(),
        source,
    };
    local
        .map(|local| SocketAddr::new(server, local.port()))
        .map_err(failed)
}

fn failed(
    service: &'static str,
    names: &str,
    server: IpAddr,
    port: u16,
) -> impl FnOnce(io::Error) -> NetbootError + use<> {
    let what = format!("open {service} for network {names} on {server} port {port}");
    move |source| NetbootError::Io { what, source }
}

/// The names of networks, for people.
fn names(networks: &[Network]) -> String {
    let names: Vec<&str> = networks.iter().map(Network::name).collect();
    names.join(", ")
}
