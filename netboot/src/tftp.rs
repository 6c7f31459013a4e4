//! TFTP: a read-only table of boot files; no path reaches the file system.
//!
//! Why not async-tftp: see ARCHITECTURE.md. [`netboot_protocol::tftp`] decides what to send and when; the
//! sockets are here. One task receives requests; each transfer has a thread and a connected socket, so that
//! transfers run on all cores and the kernel sorts their packets.

mod channel;
mod live;
mod transfer;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use inventory_api::boot::{BootEventKind, TftpEnd};
use netboot_protocol::AUTOEXEC;
use netboot_protocol::Network;
use netboot_protocol::menu::grub_script;
use netboot_protocol::tftp::packet::{RefusedRequest, error};
use netboot_protocol::tftp::{ErrorCode, Outcome, Packet, TransferMode, netascii, parse, table_name};
use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::content::Content;
use crate::error::NetbootError;
use crate::files::GRUB;
use crate::log;
use crate::scripts::Scripts;
use crate::slots::{Full, Limits, Slot, Slots, Standing};
use crate::source::BootSource;
use crate::tasks::{blocking, cannot_receive, panicked};
use live::{Entry, Live};
use transfer::Job;

/// Transfer slots; each takes a socket. Requests beyond are not answered, and clients repeat them. A machine
/// uses one or two at once; an address translator may need more.
const LIMITS: Limits = Limits {
    slots: 512,
    per_address: 32,
};
/// Largest file sent in netascii, in bytes: it takes a second copy. Boot files are fetched as octets.
const NETASCII: u64 = 16 << 20;
/// GRUB asks for its configuration within seconds, or later if a person uses its prompt.
const GRUB_STARTS: Duration = Duration::from_secs(120);
/// A choice in its menu comes later still.
const GRUB_MENU: Duration = Duration::from_secs(600);
/// RFC 2347 limits a request to 512 bytes; anything longer is cut off.
const REQUEST: usize = 2048;

/// TFTP on one of our addresses.
pub(crate) struct TftpService<S> {
    socket: tokio::net::UdpSocket,
    /// The same socket, for transfers that stay on its port.
    shared: Arc<UdpSocket>,
    local: IpAddr,
    /// Only clients with an address in one of its networks are answered.
    scripts: Arc<Scripts<S>>,
    live: Live,
    slots: Slots,
    batches: channel::Batches,
    /// When each address fetched GRUB. Only addresses of our networks can.
    grub_fetched: Mutex<HashMap<IpAddr, Instant>>,
}

impl<S: BootSource> TftpService<S> {
    fn new(socket: UdpSocket, scripts: Arc<Scripts<S>>) -> io::Result<TftpService<S>> {
        socket.set_nonblocking(true)?;
        Ok(TftpService {
            local: socket.local_addr()?.ip(),
            shared: Arc::new(socket.try_clone()?),
            socket: tokio::net::UdpSocket::from_std(socket)?,
            scripts,
            live: Live::default(),
            slots: Slots::new(LIMITS),
            batches: channel::Batches::default(),
            grub_fetched: Mutex::default(),
        })
    }

    pub(crate) async fn serve(socket: UdpSocket, scripts: Arc<Scripts<S>>) -> Result<(), NetbootError> {
        let service = TftpService::new(socket, scripts);
        let service = Arc::new(service.map_err(NetbootError::io("serve TFTP".to_owned()))?);
        let mut transfers = JoinSet::new();
        let mut buffer = [0; REQUEST];
        loop {
            let received = tokio::select! {
                () = service.scripts.shared.cancel.cancelled() => return Ok(()),
                error = panicked(&mut transfers, "TFTP") => return Err(error),
                received = service.socket.recv_from(&mut buffer) => received,
            };
            match received {
                Ok((len, client)) => {
                    let datagram = &buffer[..len];
                    if let Some((entry, slot)) = service.admit(datagram, client).await {
                        transfers.spawn(service.clone().answer(datagram.to_vec(), client, entry, slot));
                    }
                }
                Err(error) => cannot_receive("TFTP", error).await,
            }
        }
    }

    /// Decides whether a datagram starts a transfer; refusals are sent from here.
    async fn admit(&self, datagram: &[u8], client: SocketAddr) -> Option<(Entry, Slot)> {
        let Some(network) = self.network_of(client.ip()) else {
            tracing::debug!(%client, "tftp: not answered, the address is in no configured network");
            return None;
        };
        let one_port = network.settings().tftp_single_port;
        match parse(datagram) {
            Ok(Packet::Read(_)) => {}
            Ok(_) if one_port => {
                self.live.deliver(client, datagram);
                return None;
            }
            // An ERROR, or a packet of an ended transfer, is never answered with an ERROR.
            Ok(_) | Err(RefusedRequest::Stray) => return None,
            Err(why) => {
                log::paced!(info; "tftp", "request", false; %client, %why, "tftp: refused");
                self.refuse(client, why.code(), &why.to_string()).await;
                return None;
            }
        }
        let entry = self.live.admit(client, datagram, one_port)?;
        let standing = self.scripts.shared.standing(client.ip());
        match self.slots.take(client.ip(), standing) {
            Ok(slot) => Some((entry, slot)),
            Err(full) => {
                let what = match full {
                    Full::Address => "too many transfers to this address",
                    Full::Slots => "too many transfers",
                };
                log::paced!(warn; "tftp", what, false; %client, "tftp: {what}, request not answered");
                self.report(client.ip(), asked(datagram), 0, TftpEnd::Busy, None);
                None
            }
        }
    }

    fn network_of(&self, client: IpAddr) -> Option<&Network> {
        self.scripts.networks.iter().find(|network| match client {
            IpAddr::V4(ip) => network.subnet().contains(&ip),
            IpAddr::V6(ip) => network.v6().is_some_and(|v6| v6.prefix().contains(&ip)),
        })
    }

    /// Serves a read request until it ends.
    async fn answer(self: Arc<Self>, datagram: Vec<u8>, client: SocketAddr, entry: Entry, slot: Slot) {
        let Ok(Packet::Read(request)) = parse(&datagram) else {
            return;
        };
        // A name outside our table's alphabet matches nothing.
        let name = table_name(request.name).unwrap_or_default();
        let file = match self.find(&name, client.ip()).await {
            Ok(file) => file,
            Err(why) => {
                let file = request.name.escape_ascii();
                log::paced!(info; "tftp", "no such file", false; %client, %file, "tftp: no such file");
                self.refuse(client, ErrorCode::NotFound, "file not found").await;
                return self.report(client.ip(), asked(&datagram), 0, why, None);
            }
        };
        let file = match request.mode {
            TransferMode::Octet => file,
            TransferMode::Netascii if file.len() > NETASCII => {
                log::paced!(info; "tftp", "netascii", false; %client, file = name, "tftp: refused, too large for mode netascii");
                let why = "too large for netascii, use mode octet";
                return self.refuse(client, ErrorCode::Other, why).await;
            }
            TransferMode::Netascii => {
                let read = move || file.reader().part(0..file.len()).map(netascii);
                match blocking(read).await {
                    Ok(bytes) => Content::Memory(bytes.into()),
                    Err(error) => {
                        self.refuse(client, ErrorCode::Other, "cannot read the file")
                            .await;
                        return self.broken(client, name, &error);
                    }
                }
            }
        };
        let begun = Instant::now();
        let settings = self.network_of(client.ip()).map(Network::settings);
        let one_port = settings.is_some_and(|settings| settings.tftp_single_port);
        let transfers = self.scripts.shared.networks.transfers();
        let meter = transfers.begin(client.ip(), &name, file.len(), None);
        let job = Job {
            datagram,
            file,
            local: self.local,
            client,
            shared: one_port.then(|| self.shared.clone()),
            most: settings.and_then(|settings| settings.tftp_blksize_max),
            batches: self.batches.clone(),
            entry,
            meter,
        };
        let ended = match job.start() {
            // Only a panic drops the sender, and a panic ends the service.
            Ok(ended) => tokio::select! {
                ended = ended => ended.expect("a transfer's thread panicked"),
                // The slot went to a client with a better claim: dropping `ended` ends the transfer.
                () = slot.revoked() => return,
            },
            Err(error) => Err(error),
        };
        drop(slot);
        match ended {
            Ok((outcome, bytes, block)) => self.ended(client, name, bytes, begun.elapsed(), outcome, block),
            Err(error) => self.broken(client, name, &error),
        }
    }

    /// A server error: no socket, or a file that cannot be read.
    fn broken(&self, client: SocketAddr, file: String, error: &io::Error) {
        log::paced!(warn; "tftp", "broken", false; %client, file, %error, "tftp: transfer failed on the server");
        self.report(client.ip(), file, 0, TftpEnd::Failed, None);
    }

    /// The file that a name stands for, for this client.
    async fn find(&self, name: &str, client: IpAddr) -> Result<Content, TftpEnd> {
        if let Some(choice) = grub_script(name) {
            if !self.has_fetched_grub(client, choice.map_or(GRUB_STARTS, |_| GRUB_MENU)) {
                log::paced!(warn; "tftp", "grub-not-fetched", false; %client, "tftp: boot script refused: this address has not fetched GRUB");
                return Err(TftpEnd::NoGrub);
            }
            // If asked for again, it is the same script.
            let made = self.scripts.for_grub(client, choice, true).await;
            return made
                .map(|script| Content::Memory(script.text.into()))
                .map_err(|_| TftpEnd::NotFound);
        }
        let name = name.strip_prefix("boot/").unwrap_or(name);
        if name == AUTOEXEC {
            return Ok(Content::Memory(self.scripts.autoexec(client).into()));
        }
        let file = self.scripts.shared.files.open(name, false).await;
        file.and_then(Result::ok).ok_or(TftpEnd::NotFound)
    }

    /// Whether this address has just acknowledged every block of GRUB. Source addresses of single datagrams
    /// are easily forged, and making a script is an event in its machine's history.
    fn has_fetched_grub(&self, ip: IpAddr, within: Duration) -> bool {
        let mut fetched = self.grub_fetched.lock();
        fetched.retain(|_, at| at.elapsed() < GRUB_MENU);
        fetched.get(&ip).is_some_and(|at| at.elapsed() < within)
    }

    async fn refuse(&self, client: SocketAddr, code: ErrorCode, why: &str) {
        // If it cannot be sent it is lost, like any datagram.
        let _ = self.socket.send_to(&error(code, why), client).await;
    }

    fn ended(
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
            self.grub_fetched.lock().insert(ip, Instant::now());
        }
        let ms = took.as_millis() as u64;
        let end = match outcome {
            Outcome::Complete | Outcome::LastUnconfirmed => TftpEnd::Complete,
            // EDK2 asks for `tsize` and aborts: a client that got nothing has not begun to boot.
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
            let known = self.scripts.shared.standing(ip) == Standing::Known;
            log::paced!(info; "tftp", outcome.code(), known; %client, file, bytes, ms, outcome = outcome.code(), "tftp");
        }
        self.report(ip, file, bytes, end, Some(block));
    }

    /// Records the end in the machine's journey.
    fn report(&self, ip: IpAddr, file: String, bytes: u64, end: TftpEnd, block: Option<u16>) {
        let what = BootEventKind::Tftp {
            file,
            bytes,
            complete: end == TftpEnd::Complete,
            end,
            block,
        };
        self.scripts.shared.report_from(ip, what);
    }
}

/// The file a request names, for display.
fn asked(datagram: &[u8]) -> String {
    match parse(datagram) {
        Ok(Packet::Read(request)) => {
            let name = request.name.escape_ascii().to_string();
            name.chars().take(200).collect()
        }
        _ => String::new(),
    }
}
