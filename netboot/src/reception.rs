//! What the loops of DHCP, TFTP and HTTP do alike: whom they let in, what they ask about a machine, and what they tell of it.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use inventory_api::Mac;
use inventory_api::boot::{BootEvent, BootEventKind, BootTarget};
use netboot_protocol::shares::Standing;
use netboot_protocol::{ClientKind, Loader, Rates, Unanswered};

use crate::door::Shared;
use crate::log;
use crate::now;
use crate::room::{Room, Working};
use crate::source::{BootClient, BootSource};

/// Who is let in by one socket.
pub(crate) struct Entrance {
    /// "DHCP" or "DHCPv6".
    protocol: &'static str,
    room: Room,
    rates: Rates,
    /// Whose dropped message was told of last, and in which second.
    told: Option<(Mac, i64)>,
}

impl Entrance {
    pub(crate) fn new(protocol: &'static str) -> Entrance {
        Entrance {
            protocol,
            room: Room::default(),
            rates: Rates::default(),
            told: None,
        }
    }

    /// The right to work on a message. `circuit`: the relay that it came through, and the port there.
    ///
    /// # Errors
    /// [`Unanswered::TooMany`] or [`Unanswered::Busy`].
    pub(crate) fn admit(
        &mut self,
        mac: Mac,
        standing: Standing,
        circuit: Option<(IpAddr, &Vec<u8>)>,
    ) -> Result<Working, Unanswered> {
        let known = standing == Standing::Known;
        if !self.rates.admit(mac, known, circuit, now()) {
            return Err(Unanswered::TooMany);
        }
        self.room.enter(standing).ok_or(Unanswered::Busy)
    }

    /// Whether a message that is dropped gets into the journey of its machine: once a second, a flood must not fill anything.
    pub(crate) fn tells_of(&mut self, mac: Mac, known: bool, why: Unanswered) -> bool {
        let (protocol, reason) = (self.protocol, why.code());
        tracing::debug!(%mac, reason, "a {protocol} message is dropped");
        if why == Unanswered::Busy {
            log::paced!(warn; protocol, reason, known; %mac, "too many {protocol} messages at once: one is dropped");
        }
        let this = Some((mac, now().0 / 1000));
        std::mem::replace(&mut self.told, this) != this
    }
}

/// A socket cannot be read: its interface is down for a moment, or a reply could not be delivered.
pub(crate) async fn cannot_receive(protocol: &'static str, error: std::io::Error) {
    log::paced!(warn; protocol, "receive", false; %error, "cannot receive {protocol} messages");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

impl<S: BootSource> Shared<S> {
    /// The loader whose turn it is for firmware of this kind; `None`: we have none for it. `anew`: it has begun to ask again.
    pub(crate) fn loader(&self, mac: Mac, kind: ClientKind, anew: bool) -> Option<Loader> {
        if Loader::list(kind).is_empty() {
            return None;
        }
        let by_http = matches!(kind, ClientKind::UefiX64Http | ClientKind::UefiArm64Http);
        let there_is = |loader| self.files.has(loader, by_http);
        self.source.loader(mac, kind, anew, &there_is)
    }

    /// What a machine boots now; of who does not boot it is not asked. `server`: our IPv4 address in the network.
    pub(crate) async fn target(
        &self,
        mac: Mac,
        kind: ClientKind,
        network: &str,
        server: Ipv4Addr,
        ip: Option<Ipv4Addr>,
    ) -> BootTarget {
        if !kind.boots() {
            return BootTarget::LocalDisk;
        }
        let asks = BootClient {
            mac,
            ip,
            network: network.to_owned(),
            server,
            firmware_asked: self.firmware.of(mac),
        };
        self.source.target(&asks).await
    }

    /// What speaks for who connects from an address.
    pub(crate) fn standing(&self, peer: IpAddr) -> Standing {
        match self.watch.whose(peer) {
            Some((Some(_), mac)) if self.source.known(mac) => Standing::Known,
            Some((Some(_), _)) => Standing::Lease,
            Some((None, _)) | None => Standing::Stranger,
        }
    }

    /// Tells who keeps journeys what was heard from an address, if it is a machine's.
    pub(crate) fn heard_from(&self, peer: IpAddr, what: BootEventKind) {
        if let Some((network, mac)) = self.watch.whose(peer) {
            self.source.heard(BootEvent {
                at: now(),
                mac,
                ip: Some(peer),
                network,
                what,
            });
        }
    }

    /// A reply to a machine that cannot be sent.
    pub(crate) fn cannot_send(
        &self,
        protocol: &'static str,
        mac: Mac,
        known: bool,
        error: &std::io::Error,
    ) -> Unanswered {
        log::paced!(warn; protocol, "send", known; %mac, %error, "cannot send a {protocol} reply");
        Unanswered::SendFailed
    }

    /// Tells who keeps journeys, and who keeps the networks, of a DHCP message. `home`: the network that it counts for. `line`: the
    /// log too.
    pub(crate) fn heard(&self, home: &str, known: bool, line: bool, event: BootEvent) {
        let BootEventKind::Dhcp {
            message,
            client,
            answer,
            boot_file,
            facts,
        } = &event.what
        else {
            return;
        };
        if line {
            // `ip`: what it is given, else what it has.
            let (mac, network, ip) = (event.mac, &event.network, event.ip.map(tracing::field::display));
            log::paced!(info; "dhcp", &format!("{message} {answer}"), known;
                %mac, network, message, client, answer, ip, boot_file, "dhcp"
            );
        }
        let visitor = facts.who.clone().filter(|_| !known);
        self.watch.asked(home, event.mac, event.ip, visitor);
        self.source.heard(event);
    }
}
