//! What the DHCP, TFTP and HTTP loops share: admission, questions about a machine, and reporting.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use inventory_api::Mac;
use inventory_api::boot::{BootEvent, BootEventKind, BootTarget};
use netboot_protocol::shares::Standing;
use netboot_protocol::{ClientKind, Loader, Rates, Unanswered};

use crate::endpoint::Shared;
use crate::log;
use crate::now;
use crate::source::{BootClient, BootSource};
use crate::work_limits::{WorkLimits, WorkPermit};

/// Admission control of one socket.
pub(crate) struct Admission {
    /// "DHCP" or "DHCPv6".
    protocol: &'static str,
    limits: WorkLimits,
    rates: Rates,
    /// The MAC whose dropped message was reported last, and in which second.
    told: Option<(Mac, i64)>,
}

impl Admission {
    pub(crate) fn new(protocol: &'static str) -> Admission {
        Admission {
            protocol,
            limits: WorkLimits::default(),
            rates: Rates::default(),
            told: None,
        }
    }

    /// A permit to work on a message. `circuit`: the relay and the port on it that the message came through.
    ///
    /// # Errors
    /// [`Unanswered::TooMany`] or [`Unanswered::Busy`].
    pub(crate) fn admit(
        &mut self,
        mac: Mac,
        standing: Standing,
        circuit: Option<(IpAddr, &Vec<u8>)>,
    ) -> Result<WorkPermit, Unanswered> {
        let known = standing == Standing::Known;
        if !self.rates.admit(mac, known, circuit, now()) {
            return Err(Unanswered::TooMany);
        }
        self.limits.permit(standing).ok_or(Unanswered::Busy)
    }

    /// Whether to record a dropped message in its machine's journey: at most one a second, so that a flood
    /// cannot fill it.
    pub(crate) fn should_record(&mut self, mac: Mac, known: bool, why: Unanswered) -> bool {
        let (protocol, reason) = (self.protocol, why.code());
        tracing::debug!(%mac, reason, "{protocol} message dropped");
        if why == Unanswered::Busy {
            log::paced!(warn; protocol, reason, known; %mac, "too many {protocol} messages at once: one was dropped");
        }
        let this = Some((mac, now().0 / 1000));
        std::mem::replace(&mut self.told, this) != this
    }
}

/// A receive failed: the interface is down for a moment, or an earlier reply could not be delivered. Logs it
/// and waits briefly.
pub(crate) async fn cannot_receive(protocol: &'static str, error: std::io::Error) {
    log::paced!(warn; protocol, "receive", false; %error, "cannot receive {protocol} messages");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

impl<S: BootSource> Shared<S> {
    /// The loader to try next for firmware of this kind; `None`: we have none for it. `restarted`: the
    /// firmware has started over.
    pub(crate) fn loader(&self, mac: Mac, kind: ClientKind, restarted: bool) -> Option<Loader> {
        if Loader::list(kind).is_empty() {
            return None;
        }
        let by_http = matches!(kind, ClientKind::UefiX64Http | ClientKind::UefiArm64Http);
        let available = |loader| self.files.has(loader, by_http);
        self.source.loader(mac, kind, restarted, &available)
    }

    /// The boot target; clients that do not netboot get `LocalDisk` unasked. `server`: our IPv4 address on
    /// the network.
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

    /// How much we trust a peer address: enrolled machine, lease holder, or stranger.
    pub(crate) fn standing(&self, peer: IpAddr) -> Standing {
        match self.networks.whose(peer) {
            Some((Some(_), mac)) if self.source.known(mac) => Standing::Known,
            Some((Some(_), _)) => Standing::Lease,
            Some((None, _)) | None => Standing::Stranger,
        }
    }

    /// Records an event for the machine that uses `peer`, if one does.
    pub(crate) fn report_from(&self, peer: IpAddr, what: BootEventKind) {
        if let Some((network, mac)) = self.networks.whose(peer) {
            self.source.heard(BootEvent {
                at: now(),
                mac,
                ip: Some(peer),
                network,
                what,
            });
        }
    }

    /// Logs a reply that could not be sent.
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

    /// Records a DHCP message in its machine's journey and its network's status. `home`: the network it is
    /// counted for. `line`: also log it.
    pub(crate) fn report(&self, home: &str, known: bool, line: bool, event: BootEvent) {
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
            let (message, answer) = (message.to_string(), answer.to_string());
            // `ip`: the address given, else the one in use.
            let (mac, network, ip) = (event.mac, &event.network, event.ip.map(tracing::field::display));
            log::paced!(info; "dhcp", &format!("{message} {answer}"), known;
                %mac, network, message, client, answer, ip, boot_file, "dhcp"
            );
        }
        let visitor = facts.who.clone().filter(|_| !known);
        self.networks.asked(home, event.mac, event.ip, visitor);
        self.source.heard(event);
    }
}
