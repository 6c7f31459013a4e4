//! TFTP: a read-only table of boot files; no path reaches the file system.
//!
//! Our own engine: why not async-tftp stands in ARCHITECTURE.md. What to send and when is [`netboot_protocol::tftp`]'s;
//! here are the sockets. One task hears the requests; each transfer has a thread and a connected socket, so that transfers
//! run on all cores and the kernel sorts their packets.

mod channel;
pub(crate) mod content;
mod live;
mod transfer;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use inventory_api::boot::{BootEvent, BootEventKind, TftpEnd};
use netboot_protocol::AUTOEXEC;
use netboot_protocol::Network;
use netboot_protocol::menu::grub_script;
use netboot_protocol::tftp::packet::{RefusedRequest, error};
use netboot_protocol::tftp::{
    ErrorCode, Outcome, Packet, Request, TransferMode, netascii, parse, table_name,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::files::{Files, GRUB};
use crate::log;
use crate::now;
use crate::places::{Full, Limits, Places, Standing};
use crate::scripts::Scripts;
use crate::server::NetbootError;
use crate::source::BootSource;
use crate::watch::NetworkBook;
use content::Content;
use live::{Admission, Admitted, Live};
use transfer::Order;

/// Places for transfers; each has a socket. What is asked beyond is not answered, and asked again by the client. A machine has
/// one or two at once; behind address translation more.
const LIMITS: Limits = Limits {
    places: 512,
    per_address: 32,
};
/// Largest file whose line ends are changed, in bytes: it is held a second time. Boot files are fetched as octets.
const NETASCII: u64 = 16 << 20;
/// GRUB asks for its configuration within seconds; a person who plays at its prompt, later.
const GRUB_STARTS: Duration = Duration::from_secs(120);
/// A choice in its menu is made later still.
const GRUB_MENU: Duration = Duration::from_secs(600);
/// RFC 2347 has a request end within 512 bytes; what is longer is cut off.
const REQUEST: usize = 2048;

/// TFTP on one of our addresses.
pub(crate) struct TftpService<S> {
    pub(crate) socket: UdpSocket,
    /// Only clients with an address in one of these are answered.
    pub(crate) networks: Vec<Network>,
    pub(crate) files: Arc<Files>,
    pub(crate) scripts: Arc<Scripts<S>>,
    pub(crate) watch: NetworkBook,
    pub(crate) source: Arc<S>,
}

/// What the transfers of a service share.
struct Desk<S> {
    door: tokio::net::UdpSocket,
    /// The same socket, for transfers that stay on its port.
    shared: Arc<UdpSocket>,
    local: IpAddr,
    networks: Vec<Network>,
    files: Arc<Files>,
    scripts: Arc<Scripts<S>>,
    watch: NetworkBook,
    source: Arc<S>,
    live: Live,
    places: Places,
    batches: channel::Batches,
    /// Who has fetched GRUB, and when; only addresses of our networks can.
    grub_fetched: Mutex<HashMap<IpAddr, Instant>>,
}

impl<S: BootSource> TftpService<S> {
    pub(crate) async fn serve(self, cancel: CancellationToken) -> Result<(), NetbootError> {
        let failed = |source| NetbootError::Io {
            what: "serve TFTP".to_owned(),
            source,
        };
        self.socket.set_nonblocking(true).map_err(failed)?;
        let shared = Arc::new(self.socket.try_clone().map_err(failed)?);
        let door = tokio::net::UdpSocket::from_std(self.socket).map_err(failed)?;
        let desk = Arc::new(Desk {
            local: door.local_addr().map_err(failed)?.ip(),
            door,
            shared,
            networks: self.networks,
            files: self.files,
            scripts: self.scripts,
            watch: self.watch,
            source: self.source,
            live: Live::default(),
            places: Places::new(LIMITS),
            batches: channel::Batches::default(),
            grub_fetched: Mutex::default(),
        });
        let mut transfers = JoinSet::new();
        let mut buffer = [0; REQUEST];
        loop {
            let received = tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                Some(ended) = transfers.join_next() => match ended {
                    Ok(()) => continue,
                    Err(error) => return Err(NetbootError::Panicked(format!("TFTP: {error}"))),
                },
                received = desk.door.recv_from(&mut buffer) => received,
            };
            match received {
                Ok((len, client)) => {
                    if let Some((datagram, admitted)) = desk.admit(&buffer[..len], client).await {
                        transfers.spawn(desk.clone().answer(datagram, client, admitted));
                    }
                }
                Err(error) => {
                    log::paced!(warn; "tftp", "receive", false; %error, "cannot receive a TFTP request");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

impl<S: BootSource> Desk<S> {
    /// Decides whether a datagram begins a transfer; what is refused is answered here.
    async fn admit(&self, datagram: &[u8], client: SocketAddr) -> Option<(Vec<u8>, Admitted)> {
        let Some(network) = self.network_of(client.ip()) else {
            tracing::debug!(%client, "tftp: not answered, the address is in none of the networks");
            return None;
        };
        let one_port = network.settings().tftp_single_port;
        match parse(datagram) {
            Ok(Packet::Read(_)) => {}
            Ok(_) if one_port => {
                self.live.deliver(client, datagram);
                return None;
            }
            // An ERROR is never answered with one, nor is a packet of a transfer that has ended.
            Ok(_) | Err(RefusedRequest::Stray) => return None,
            Err(why) => {
                log::paced!(info; "tftp", "request", false; %client, %why, "tftp: refused");
                self.refuse(client, why.code(), &why.to_string()).await;
                return None;
            }
        }
        match self.live.admit(client, datagram, one_port) {
            Admission::Known => None,
            Admission::New(entry) => match self.places.enter(client.ip(), self.standing(client.ip())) {
                Ok(place) => Some((datagram.to_vec(), Admitted { entry, place })),
                Err(full) => {
                    let what = match full {
                        Full::Address => "too many transfers to this address",
                        Full::Places => "too many transfers",
                    };
                    log::paced!(warn; "tftp", what, false; %client, "tftp: {what}, a request is not answered");
                    self.heard(client.ip(), asked(datagram), 0, TftpEnd::Busy, None);
                    None
                }
            },
        }
    }

    /// What speaks for who asks.
    fn standing(&self, ip: IpAddr) -> Standing {
        match self.watch.whose(ip) {
            Some((Some(_), mac)) if self.source.known(mac) => Standing::Known,
            Some((Some(_), _)) => Standing::Lease,
            Some((None, _)) | None => Standing::Stranger,
        }
    }

    fn network_of(&self, client: IpAddr) -> Option<&Network> {
        self.networks.iter().find(|network| match client {
            IpAddr::V4(ip) => network.subnet().contains(&ip),
            IpAddr::V6(ip) => network.v6().is_some_and(|v6| v6.prefix().contains(&ip)),
        })
    }

    /// Answers a read request to its end.
    async fn answer(self: Arc<Self>, datagram: Vec<u8>, client: SocketAddr, admitted: Admitted) {
        let Ok(Packet::Read(request)) = parse(&datagram) else {
            return;
        };
        let name = table_name(request.name);
        let found = match &name {
            Some(name) => self.find(name, client.ip()).await,
            None => Err(TftpEnd::NotFound),
        };
        let (name, file) = match (name, found) {
            (Some(name), Ok(file)) => (name, file),
            (_, Ok(_)) => return,
            (_, Err(why)) => {
                let file = request.name.escape_ascii();
                log::paced!(info; "tftp", "no such file", false; %client, %file, "tftp: no such file");
                self.refuse(client, ErrorCode::NotFound, "file not found").await;
                return self.heard(client.ip(), asked(&datagram), 0, why, None);
            }
        };
        let Some(file) = in_mode(&request, file) else {
            log::paced!(info; "tftp", "netascii", false; %client, file = name, "tftp: refused, too large for mode netascii");
            self.refuse(
                client,
                ErrorCode::Other,
                "too large for netascii, ask in mode octet",
            )
            .await;
            return;
        };
        let begun = std::time::Instant::now();
        let Admitted { entry, place } = admitted;
        let settings = self.network_of(client.ip()).map(Network::settings);
        let one_port = settings.is_some_and(|settings| settings.tftp_single_port);
        let running = self.watch.transfers().enter(client.ip(), &name, file.len(), None);
        let order = Order {
            datagram,
            file,
            local: self.local,
            client,
            door: one_port.then(|| self.shared.clone()),
            most: settings.and_then(|settings| settings.tftp_blksize_max),
            batches: self.batches.clone(),
            entry,
            meter: running.meter.clone(),
        };
        let ended = match order.start() {
            // The sender is only dropped by a panic: that ends the service, as any panic does.
            Ok(ended) => tokio::select! {
                ended = ended => ended.expect("a transfer's thread panicked"),
                // Somebody with a better claim needs the place: dropping `ended` ends the transfer.
                () = place.taken_away() => return,
            },
            Err(error) => Err(error),
        };
        drop((place, running));
        match ended {
            Ok((outcome, bytes, block)) => self.tell(client, name, bytes, begun.elapsed(), outcome, block),
            Err(error) => {
                log::paced!(warn; "tftp", "broken", false; %client, file = name, %error, "tftp: the server cannot go on with a transfer");
                self.heard(client.ip(), name, 0, TftpEnd::NotFound, None);
            }
        }
    }

    /// The file a name stands for, to this client.
    async fn find(&self, name: &str, client: IpAddr) -> Result<Content, TftpEnd> {
        if let Some(choice) = grub_script(name) {
            if !self.has_fetched_grub(client, choice.map_or(GRUB_STARTS, |_| GRUB_MENU)) {
                log::paced!(warn; "tftp", "grub-not-fetched", false; %client, "tftp: a boot script was asked for by an address that has not fetched GRUB: refused");
                return Err(TftpEnd::NoGrub);
            }
            // Asked for again, it is the same script.
            let made = self.scripts.for_grub(client, choice, true).await;
            return made
                .map(|script| Content::Memory(script.into()))
                .map_err(|_| TftpEnd::NotFound);
        }
        let name = name.strip_prefix("boot/").unwrap_or(name);
        if name == AUTOEXEC {
            return Ok(Content::Memory(self.scripts.autoexec(client).into()));
        }
        self.files.open(name).await.ok_or(TftpEnd::NotFound)
    }

    /// Whether this address has acknowledged every block of GRUB just now. Anybody can write any address into one datagram,
    /// and a script that is made is an event in its machine's life.
    fn has_fetched_grub(&self, ip: IpAddr, within: Duration) -> bool {
        let mut fetched = self.grub_fetched.lock().unwrap_or_else(PoisonError::into_inner);
        fetched.retain(|_, at| at.elapsed() < GRUB_MENU);
        fetched.get(&ip).is_some_and(|at| at.elapsed() < within)
    }

    async fn refuse(&self, client: SocketAddr, code: ErrorCode, why: &str) {
        // Lost like any datagram if it cannot be sent.
        let _ = self.door.send_to(&error(code, why), client).await;
    }

    fn tell(
        &self,
        client: SocketAddr,
        file: String,
        bytes: u64,
        took: Duration,
        outcome: Outcome,
        block: u16,
    ) {
        let ip = client.ip();
        if outcome.is_complete() && file == GRUB {
            let mut fetched = self.grub_fetched.lock().unwrap_or_else(PoisonError::into_inner);
            fetched.insert(ip, Instant::now());
        }
        let ms = took.as_millis() as u64;
        let end = match outcome {
            Outcome::Complete | Outcome::LastUnconfirmed => TftpEnd::Complete,
            // EDK2 asks for `tsize` and aborts; who has got nothing has not begun to boot.
            Outcome::Refused(_) if bytes == 0 => TftpEnd::SizeAsked,
            Outcome::Refused(_) => TftpEnd::Refused,
            Outcome::Silent => TftpEnd::Silent,
            Outcome::NeverAnswered => TftpEnd::NeverAnswered,
            Outcome::Unreachable => TftpEnd::Unreachable,
            Outcome::Superseded => TftpEnd::Superseded,
        };
        if end == TftpEnd::SizeAsked {
            tracing::debug!(%client, file, ms, outcome = outcome.code(), "tftp: nothing fetched");
        } else {
            let known = self.standing(ip) == Standing::Known;
            log::paced!(info; "tftp", outcome.code(), known; %client, file, bytes, ms, outcome = outcome.code(), "tftp");
        }
        self.heard(ip, file, bytes, end, Some(block));
    }

    /// Tells who keeps journeys.
    fn heard(&self, ip: IpAddr, file: String, bytes: u64, end: TftpEnd, block: Option<u16>) {
        let Some((network, mac)) = self.watch.whose(ip) else {
            return;
        };
        self.source.heard(BootEvent {
            at: now(),
            mac,
            ip: Some(ip),
            network,
            what: BootEventKind::Tftp {
                file,
                bytes,
                complete: end == TftpEnd::Complete,
                end,
                block,
            },
        });
    }
}

/// The file that a request names, for people.
fn asked(datagram: &[u8]) -> String {
    match parse(datagram) {
        Ok(Packet::Read(request)) => request
            .name
            .escape_ascii()
            .to_string()
            .chars()
            .take(200)
            .collect(),
        _ => String::new(),
    }
}

/// What to send in the request's mode; `None`: too much to hold it twice, or it cannot be read.
fn in_mode(request: &Request<'_>, file: Content) -> Option<Content> {
    match request.mode {
        TransferMode::Octet => Some(file),
        TransferMode::Netascii if file.len() > NETASCII => None,
        TransferMode::Netascii => {
            let len = file.len();
            let text = netascii(file.reader().part(0..len).ok()?);
            Some(Content::Memory(text.into()))
        }
    }
}
