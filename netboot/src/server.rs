//! `bind` opens, `start` spawns, `run` stays.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use netboot_protocol::{BOOT_SERVER_PORT, Mode, Network};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::arp::Prober;
use crate::config::Config;
use crate::connection;
use crate::dhcp::DhcpService;
use crate::dhcp6::Dhcp6Service;
use crate::files::Files;
use crate::http::HttpService;
use crate::journal::Journal;
use crate::leases::{self, JournalQueue, LeaseBook, Pending};
use crate::link::LinkSocket;
use crate::ra::Advertiser;
use crate::scripts::{Announced, Scripts};
use crate::socket::{DhcpSocket, Interface, interface_of};
use crate::socket6::{Dhcp6Socket, server_duid};
use crate::source::BootSource;
use crate::tftp::TftpService;
use crate::watch::{NetworkBook, Watcher};

/// Why the boot service cannot start or has ended.
#[derive(Debug, thiserror::Error)]
pub enum NetbootError {
    /// The configuration names no network.
    #[error("no network is configured: the boot service has nobody to answer")]
    NoNetworks,
    /// Two networks cannot be told apart.
    #[error("networks {0} and {1}: {2}")]
    Clash(String, String, &'static str),
    /// Something could not be opened, read or written.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried, on what, and what to do.
        what: String,
        /// What came back.
        source: io::Error,
    },
    /// A task panicked: a bug; the process should end.
    #[error("a task of the boot service panicked: {0}")]
    Panicked(String),
}

/// Port of DHCPv6 servers (RFC 8415, 7.2).
const DHCP6_PORT: u16 = 547;

/// Where a network is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundNetwork {
    /// Network name.
    pub network: String,
    /// DHCP: our address and port. (Outside of test mode the socket itself is bound to the interface.)
    pub dhcp: SocketAddr,
    /// Boot server of PXE: our address and port.
    pub boot_server: SocketAddr,
    /// TFTP socket.
    pub tftp: SocketAddr,
    /// HTTP socket: `http://{http}` is the network's boot URL.
    pub http: SocketAddr,
    /// The same by IPv6, where that is configured.
    pub v6: Option<BoundV6>,
}

/// Where a network is served by IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoundV6 {
    /// DHCPv6: our address and port. (Outside of test mode the socket itself is bound to the interface.)
    pub dhcp: SocketAddr,
    /// TFTP socket.
    pub tftp: SocketAddr,
    /// HTTP socket.
    pub http: SocketAddr,
}

/// The sockets on one of our addresses.
struct Door {
    networks: Vec<Network>,
    dhcp: DhcpSocket,
    boot_server: DhcpSocket,
    files: FileSockets,
    advertiser: Option<Advertiser>,
    prober: Option<Arc<Prober>>,
    watcher: Option<Watcher>,
}

/// The sockets on one of our IPv6 addresses.
struct DoorV6 {
    /// Each has DHCPv6.
    networks: Vec<Network>,
    dhcp: Dhcp6Socket,
    files: FileSockets,
}

/// Where files are fetched.
struct FileSockets {
    tftp: UdpSocket,
    http: TcpListener,
    http_port: u16,
}

/// The boot service with its sockets open and nothing running.
pub struct Netboot {
    config: Config,
    doors: Vec<Door>,
    doors_v6: Vec<DoorV6>,
    /// Our DHCPv6 identifier; empty where nothing is served by IPv6.
    duid: Vec<u8>,
    bound: Vec<BoundNetwork>,
    book: LeaseBook,
    book6: LeaseBook<Ipv6Addr>,
    watch: NetworkBook,
    journal: Journal,
    queue: JournalQueue,
    records: mpsc::Receiver<Pending>,
}

impl Netboot {
    /// Opens the journal and all sockets. Needs a tokio runtime; the standard ports need CAP_NET_BIND_SERVICE,
    /// CAP_NET_RAW and CAP_NET_ADMIN.
    pub async fn bind(config: Config) -> Result<Netboot, NetbootError> {
        if config.networks.is_empty() {
            return Err(NetbootError::NoNetworks);
        }
        check_apart(&config.networks)?;
        raise_file_limit();
        let leases::Opened { book, book6, journal } = leases::open(&config.lease_journal, &config.networks)
            .map_err(|source| NetbootError::Io {
            what: format!("open the lease journal {}", config.lease_journal.display()),
            source,
        })?;
        let mut by_server: BTreeMap<Ipv4Addr, Vec<Network>> = BTreeMap::new();
        for network in &config.networks {
            by_server
                .entry(network.server())
                .or_default()
                .push(network.clone());
        }
        let (queue, records) = JournalQueue::new();
        let watch = NetworkBook::new(&config.networks, book.clone(), queue.weak());
        let (mut doors, mut doors_v6, mut bound) = (Vec::new(), Vec::new(), Vec::new());
        for (server, networks) in by_server {
            let door = open_door(&config, server, networks, &watch).await?;
            let address = |local| address_at(server.into(), local);
            for network in &door.networks {
                bound.push(BoundNetwork {
                    network: network.name().to_owned(),
                    dhcp: address(door.dhcp.local_addr())?,
                    boot_server: address(door.boot_server.local_addr())?,
                    tftp: address(door.files.tftp.local_addr())?,
                    http: address(door.files.http.local_addr())?,
                    v6: None,
                });
            }
            doors.push(door);
        }
        let mut by_server_v6: BTreeMap<Ipv6Addr, Vec<Network>> = BTreeMap::new();
        for network in &config.networks {
            if let Some(v6) = network.v6() {
                by_server_v6.entry(v6.server()).or_default().push(network.clone());
            }
        }
        let mut duid = Vec::new();
        if !by_server_v6.is_empty() {
            let path = config.lease_journal.with_file_name("dhcp6-duid");
            duid = server_duid(&path).map_err(|source| NetbootError::Io {
                what: format!("keep our DHCPv6 identifier in {}", path.display()),
                source,
            })?;
        }
        for (server, networks) in by_server_v6 {
            let door = open_door_v6(&config, server, networks).await?;
            let at = |local| address_at(server.into(), local);
            let v6 = BoundV6 {
                dhcp: at(door.dhcp.local_addr())?,
                tftp: at(door.files.tftp.local_addr())?,
                http: at(door.files.http.local_addr())?,
            };
            for there in &mut bound {
                if door.networks.iter().any(|n| n.name() == there.network) {
                    there.v6 = Some(v6);
                }
            }
            doors_v6.push(door);
        }
        let place = |b: &BoundNetwork| config.networks.iter().position(|n| n.name() == b.network);
        bound.sort_by_key(place);
        Ok(Netboot {
            config,
            doors,
            doors_v6,
            duid,
            bound,
            book,
            book6,
            watch,
            journal,
            queue,
            records,
        })
    }

    /// Where each network is served, in the order of the configuration.
    pub fn bound(&self) -> &[BoundNetwork] {
        &self.bound
    }

    /// The leases, now and while the service runs.
    pub fn leases(&self) -> LeaseBook {
        self.book.clone()
    }

    /// The networks as they stand, now and while the service runs.
    pub fn networks(&self) -> NetworkBook {
        self.watch.clone()
    }

    /// Spawns the service's tasks. They end when `cancel` is cancelled.
    pub fn start<S: BootSource>(self, source: Arc<S>, cancel: CancellationToken) -> Running {
        let Netboot {
            config,
            doors,
            doors_v6,
            duid,
            book,
            book6,
            watch,
            journal,
            queue,
            records,
            ..
        } = self;
        book.mark_known(|mac| source.known(mac));
        book6.mark_known(|mac| source.known(mac));
        let mut tasks = JoinSet::new();
        tasks.spawn_blocking(move || {
            leases::write_loop(journal, records);
            Ok(())
        });
        let files = Arc::new(Files::new(&config));
        let serve_files = |tasks: &mut JoinSet<_>, sockets: FileSockets, networks: Vec<Network>| {
            let scripts = Arc::new(Scripts {
                files: files.clone(),
                networks: networks.clone(),
                http_port: sockets.http_port,
                kernel_args: config.kernel_args.clone(),
                trusted: files.trusted(),
                book: book.clone(),
                book6: book6.clone(),
                source: source.clone(),
                trust_any_source: config.reply_to_source,
                announced: Announced::default(),
            });
            let tftp = TftpService {
                socket: sockets.tftp,
                networks,
                files: files.clone(),
                scripts: scripts.clone(),
                book: book.clone(),
                book6: book6.clone(),
                source: source.clone(),
            };
            tasks.spawn(tftp.serve(cancel.clone()));
            let http = HttpService {
                files: files.clone(),
                scripts,
                source: source.clone(),
            };
            tasks.spawn(connection::serve(sockets.http, Arc::new(http), cancel.clone()));
        };
        let duid = Arc::new(duid);
        for door in doors_v6 {
            let dhcp = Dhcp6Service {
                socket: door.dhcp,
                networks: door.networks.clone(),
                http_port: door.files.http_port,
                duid: duid.clone(),
                files: files.clone(),
                book: book6.clone(),
                queue: queue.clone(),
                watch: watch.clone(),
                source: source.clone(),
                reply_to_source: config.reply_to_source,
            };
            tasks.spawn(dhcp.serve(cancel.clone()));
            serve_files(&mut tasks, door.files, door.networks);
        }
        for door in doors {
            let dhcp = DhcpService {
                socket: door.dhcp,
                boot_server: door.boot_server,
                networks: door.networks.clone(),
                http_port: door.files.http_port,
                files: files.clone(),
                book: book.clone(),
                queue: queue.clone(),
                watch: watch.clone(),
                prober: door.prober.clone(),
                source: source.clone(),
                reply_to_source: config.reply_to_source,
            };
            tasks.spawn(dhcp.serve(cancel.clone()));
            serve_files(&mut tasks, door.files, door.networks);
            if let Some(prober) = door.prober {
                tasks.spawn(prober.serve(cancel.clone()));
            }
            if let Some(watcher) = door.watcher {
                tasks.spawn(watcher.serve(cancel.clone()));
            }
            if let Some(advertiser) = door.advertiser {
                tasks.spawn(advertiser.serve(cancel.clone()));
            }
        }
        Running { tasks, cancel }
    }
}

/// Each transfer has a socket or two, and each connection one: more than the 1024 that a shell allows by default. What the
/// system permits is enough; where it does not, requests wait.
fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}

/// Networks have to differ in name and subnet, and one address of ours has at most one local network.
fn check_apart(networks: &[Network]) -> Result<(), NetbootError> {
    for (i, a) in networks.iter().enumerate() {
        for b in &networks[..i] {
            let why = if a.name() == b.name() {
                "have the same name"
            } else if a.subnet().contains(&b.subnet()) || b.subnet().contains(&a.subnet()) {
                "have overlapping subnets"
            } else if let (Some(a), Some(b)) = (a.v6(), b.v6())
                && (a.prefix().contains(&b.prefix()) || b.prefix().contains(&a.prefix()))
            {
                "have overlapping IPv6 prefixes"
            } else {
                continue;
            };
            return Err(NetbootError::Clash(b.name().to_owned(), a.name().to_owned(), why));
        }
    }
    Ok(())
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

async fn open_files(config: &Config, server: IpAddr, names: &str) -> Result<FileSockets, NetbootError> {
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

/// How long an IPv6 address may take until the kernel has made sure that nobody else has it.
const TENTATIVE: Duration = Duration::from_secs(4);

async fn open_door_v6(
    config: &Config,
    server: Ipv6Addr,
    networks: Vec<Network>,
) -> Result<DoorV6, NetbootError> {
    let names: Vec<&str> = networks.iter().map(Network::name).collect();
    let names = names.join(", ");
    let begun = Instant::now();
    let files = loop {
        match open_files(config, server.into(), &names).await {
            Err(NetbootError::Io { source, .. })
                if source.kind() == io::ErrorKind::AddrNotAvailable && begun.elapsed() < TENTATIVE =>
            {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            opened => break opened?,
        }
    };
    let (dhcp, port) = if config.reply_to_source {
        (Dhcp6Socket::on_address(server, 0), 0)
    } else {
        (Dhcp6Socket::on_interface(server, DHCP6_PORT), DHCP6_PORT)
    };
    let dhcp = dhcp.map_err(failed("DHCPv6", &names, server.into(), port))?;
    Ok(DoorV6 {
        networks,
        dhcp,
        files,
    })
}

async fn open_door(
    config: &Config,
    server: Ipv4Addr,
    networks: Vec<Network>,
    watch: &NetworkBook,
) -> Result<Door, NetbootError> {
    let names: Vec<&str> = networks.iter().map(Network::name).collect();
    let names = names.join(", ");
    let failed = |service, port| failed(service, &names, server.into(), port);
    let open_dhcp = |port| {
        if config.reply_to_source {
            DhcpSocket::on_address(server, port)
        } else {
            DhcpSocket::on_interface(server, port)
        }
    };
    let dhcp = open_dhcp(config.dhcp_port).map_err(failed("DHCP", config.dhcp_port))?;
    // Servers of simulated machines share one address: the port that clients know can be only one's.
    let boot_server_port = if config.dhcp_port == 0 || config.reply_to_source {
        0
    } else {
        BOOT_SERVER_PORT
    };
    let boot_server = open_dhcp(boot_server_port).map_err(failed("the PXE boot server", boot_server_port))?;
    let files = open_files(config, server.into(), &names).await?;
    let wanted = networks.iter().any(|network| {
        network.is_local() && network.mode() != Mode::Observe && network.settings().router_advertisements
    });
    let advertiser = if wanted && !config.reply_to_source {
        let opened = interface_of(server).and_then(Advertiser::open);
        // IPv6 may be switched off on this host: machines then only lose time.
        opened
            .inspect_err(|error| {
                tracing::warn!(%error, %names, "cannot answer router solicitations: stock iPXE will wait 13 s longer");
            })
            .ok()
    } else {
        None
    };
    let local = networks
        .iter()
        .find(|network| network.is_local() && !config.reply_to_source);
    let (prober, watcher) = local.map_or((None, None), |network| on_the_link(server, network, watch));
    Ok(Door {
        networks,
        dhcp,
        boot_server,
        files,
        advertiser,
        prober,
        watcher,
    })
}

/// What hears and speaks below UDP. Without CAP_NET_RAW the service runs without.
fn on_the_link(
    server: Ipv4Addr,
    network: &Network,
    watch: &NetworkBook,
) -> (Option<Arc<Prober>>, Option<Watcher>) {
    let without = |what: &'static str| {
        let name = network.name();
        move |error: &io::Error| {
            tracing::warn!(%error, network = name, "{what}: give the process CAP_NET_RAW");
        }
    };
    let interface = interface_of(server);
    let open = |open: fn(&Interface) -> io::Result<LinkSocket>| match &interface {
        Ok(interface) => open(interface),
        Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
    };
    let prober = open(LinkSocket::arp)
        .inspect_err(without(
            "addresses are offered without asking by ARP who uses them",
        ))
        .ok()
        .map(|socket| Arc::new(Prober::new(socket)));
    let watcher = open(LinkSocket::server_replies)
        .inspect_err(without("other DHCP servers cannot be heard"))
        .ok()
        .map(|socket| Watcher {
            socket,
            network: network.clone(),
            book: watch.clone(),
        });
    if watcher.is_some() {
        watch.watched(network);
    }
    (prober, watcher)
}

/// The running boot service.
pub struct Running {
    tasks: JoinSet<Result<(), NetbootError>>,
    cancel: CancellationToken,
}

impl Running {
    /// Stays until the service is cancelled (`Ok`) or a task fails or panics (`Err`; the others are stopped).
    pub async fn run(mut self) -> Result<(), NetbootError> {
        while let Some(ended) = self.tasks.join_next().await {
            let result = ended.unwrap_or_else(|error| Err(NetbootError::Panicked(error.to_string())));
            if result.is_err() {
                self.cancel.cancel();
                return result;
            }
        }
        Ok(())
    }
}
