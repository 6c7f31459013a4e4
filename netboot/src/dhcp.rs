//! DHCP: receive, decode, look up, decide, make durable, send, report. [`v4`] and [`v6`] do so with their own
//! packets; [`Shell`] is what they share.

mod admission;
pub(crate) mod probe;
pub(crate) mod release_frames;
pub(crate) mod server_listener;
pub(crate) mod v4;
pub(crate) mod v6;

use std::fmt::Display;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use inventory_api::Mac;
use inventory_api::boot::BootEventKind;
use inventory_api::dhcp::{DhcpAnswer, DhcpMessage, DhcpReply};
use inventory_api::network::Sender;
use netboot_protocol::{Address, Addresses, Asker, BootFile, Unanswered};
use parking_lot::Mutex;

use crate::leases::LeaseTable;
use crate::log;
use crate::now;
use crate::shared::Shared;
use crate::source::BootSource;
use admission::{Admission, WorkPermit};

/// A network's name and addresses.
type Served<'a, A> = (&'a str, &'a Addresses<A>);

/// What the services of both protocols share.
pub(crate) struct Shell<S, A> {
    /// "DHCP" or "DHCPv6".
    protocol: &'static str,
    /// The network that messages from none of our networks are counted for.
    catch_all: String,
    admission: Mutex<Admission>,
    leases: LeaseTable<A>,
    shared: Arc<Shared<S>>,
}

impl<S: BootSource, A: Address> Shell<S, A> {
    /// `networks`: names of the networks served, and whether each is local.
    pub(crate) fn new<'a>(
        protocol: &'static str,
        mut networks: impl Iterator<Item = (&'a str, bool)>,
        leases: &LeaseTable<A>,
        shared: &Arc<Shared<S>>,
    ) -> Shell<S, A> {
        let first = networks.next();
        let local = first.into_iter().chain(networks).find(|(_, is_local)| *is_local);
        Shell {
            protocol,
            catch_all: local.or(first).map_or("", |(name, _)| name).to_owned(),
            admission: Mutex::default(),
            leases: leases.clone(),
            shared: shared.clone(),
        }
    }

    /// Counts a datagram that is not a client's message.
    fn ignored(&self, from: impl Display, why: Unanswered, sender: Option<Sender>) {
        tracing::debug!(%from, reason = why.code(), "datagram ignored");
        let networks = &self.shared.networks;
        networks.count_unanswered(&self.catch_all, why, sender);
    }

    /// A permit to work on a client's message. `None`: it is dropped. `circuit`: the relay and the port on it
    /// that the message came through.
    fn admit(
        &self,
        mac: Mac,
        known: bool,
        network: Option<Served<'_, A>>,
        circuit: Option<(IpAddr, &Vec<u8>)>,
        asker: impl FnOnce() -> Asker,
    ) -> Option<WorkPermit> {
        let standing = self.leases.standing(network, mac, known, now());
        let mut admission = self.admission.lock();
        let why = match admission.admit(mac, standing, circuit) {
            Ok(permit) => return Some(permit),
            Err(why) => why,
        };
        let record = admission.should_record(mac);
        drop(admission);
        let (name, protocol, reason) = (network.map(|(name, _)| name), self.protocol, why.code());
        tracing::debug!(%mac, reason, "{protocol} message dropped");
        if why == Unanswered::Busy {
            log::paced!(warn; protocol, reason, known; %mac, "too many {protocol} messages at once: one was dropped");
        }
        let networks = &self.shared.networks;
        networks.count_unanswered(name.unwrap_or(&self.catch_all), why, None);
        if record {
            self.report(asker(), name, None, why.into(), None, false);
        }
        None
    }

    /// Counts and reports a message that is not answered. `detail`: for the operator, if the reason concerns
    /// the whole network.
    fn unanswered(
        &self,
        asker: Asker,
        network: Option<Served<'_, A>>,
        why: Unanswered,
        detail: Option<String>,
    ) {
        let name = network.map(|(name, _)| name);
        let (networks, counted) = (&self.shared.networks, name.unwrap_or(&self.catch_all));
        let exhausted = network.and_then(|(_, addresses)| self.exhausted(addresses, why));
        if let Some(detail) = detail.or(exhausted) {
            networks.record(counted, why.code(), detail);
        }
        networks.count_unanswered(counted, why, None);
        self.report(asker, name, None, why.into(), None, true);
    }

    fn exhausted(&self, addresses: &Addresses<A>, why: Unanswered) -> Option<String> {
        let family = if self.protocol == "DHCPv6" { "IPv6: " } else { "" };
        let (pool, share) = (addresses.pool().len(), addresses.unknown_share());
        match why {
            Unanswered::Exhausted => Some(format!(
                "{family}all {pool} pool addresses are in use: a machine got none"
            )),
            Unanswered::KeptForKnown => Some(format!(
                "{family}machines that are not enrolled hold {share} % of the pool (unknown_share): the rest is reserved for enrolled ones"
            )),
            _ => None,
        }
    }

    /// Reports what would have been answered if the network were not only observed.
    fn observed(&self, asker: Asker, network: &str, would: Result<(DhcpReply, BootFile), Unanswered>) {
        let (answer, boot) = match would {
            Ok((reply, boot)) => (DhcpAnswer::Would(reply), boot),
            Err(why) => (DhcpAnswer::WouldNot(why.code().to_owned()), BootFile::None),
        };
        self.report(asker, Some(network), None, answer, boot.name(), true);
    }

    /// Reports an answer. `ip`: the address it gives.
    fn answered(
        &self,
        asker: Asker,
        network: &str,
        sent: io::Result<()>,
        answer: DhcpAnswer,
        ip: Option<A>,
        boot: &BootFile,
    ) {
        let (protocol, mac) = (self.protocol, asker.mac);
        let answer = sent.map_or_else(
            |error| {
                log::paced!(warn; protocol, "send", asker.known; %mac, %error, "cannot send a {protocol} reply");
                Unanswered::SendFailed.into()
            },
            |()| answer,
        );
        self.report(asker, Some(network), ip, answer, boot.name(), true);
    }

    /// Records a message in its machine's journey and its network's status. `line`: also log it.
    fn report(
        &self,
        asker: Asker,
        network: Option<&str>,
        ip: Option<A>,
        answer: DhcpAnswer,
        boot_file: Option<&str>,
        line: bool,
    ) {
        let Asker {
            mac,
            known,
            message,
            client,
            facts,
        } = asker;
        let networks = &self.shared.networks;
        // The address given, else the one in use.
        let ip = ip.or_else(|| self.leases.address_of(network?, mac, now()));
        let ip: Option<IpAddr> = ip.map(Into::into);
        if let (Some(IpAddr::V4(wants)), Some(server)) = (facts.wants, facts.server)
            && message == DhcpMessage::Request
            && !networks.is_ours(server)
        {
            networks.elsewhere().put(wants, mac);
        }
        if line {
            let (message, answer) = (message.to_string(), answer.to_string());
            let ip = ip.map(tracing::field::display);
            log::paced!(info; "dhcp", &format!("{message} {answer}"), known;
                %mac, network, message, client, answer, ip, boot_file, "dhcp"
            );
        }
        let visitor = facts.who.clone().filter(|_| !known);
        networks.asked(network.unwrap_or(&self.catch_all), mac, ip, visitor);
        let what = BootEventKind::Dhcp {
            message,
            client,
            answer,
            boot_file: boot_file.map(str::to_owned),
            facts,
        };
        self.shared.record(mac, ip, network.map(str::to_owned), what);
    }
}
