//! Whether to believe a message that takes an address away from a machine.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use inventory_api::Mac;
use netboot_protocol::dhcp4::claims::{Belief, PER_MAC};
use netboot_protocol::sender::{believe, gives_up};
use netboot_protocol::{Leases, MessageKind, Network, PxeClient, Unanswered, given_up, probe_of, quarantine};

use super::DhcpV4;
use crate::dhcp::admission::WorkPermit;
use crate::now;
use crate::source::BootSource;

/// After a RELEASE, a client needs a moment to remove the address from its interface.
const GRACE: Duration = Duration::from_millis(300);

impl<S: BootSource> DhcpV4<S> {
    /// Whether another host uses the address; if so, it is quarantined for an hour. `user` is the MAC that
    /// answered ARP, or `None` after a ping reply.
    pub(super) fn is_taken(
        &self,
        client: &PxeClient,
        network: &Network,
        address: Ipv4Addr,
        user: Option<Mac>,
    ) -> bool {
        let name = network.name();
        let who = user.map_or("a host that answers pings".to_owned(), |mac| mac.to_string());
        let pool = network.addresses().pool().len();
        let mut claims = self.claims.lock();
        let belief = claims
            .entry(name.to_owned())
            .or_default()
            .claimed(user, address, pool, now());
        drop(claims);
        let (kind, detail) = match belief {
            Belief::InUse => (
                "address-in-use",
                format!("{address} of the pool is used by {who}, which did not get it from us: quarantined for an hour"),
            ),
            Belief::TooMany => (
                "answers-for-all",
                format!(
                    "{who} answers for more than {PER_MAC} addresses of the pool: its answers are now ignored, and the addresses are handed out. \
                     It is a router that answers ARP for others (disable proxy ARP on it), or an attacker trying to stop machines from booting"
                ),
            ),
            Belief::TooManyInAll => (
                "answers-for-all",
                "a quarter of the pool is quarantined because hosts answer for its addresses: further answers are \
                 ignored. Find out who sends them: `slipway network show` lists the MACs"
                    .to_owned(),
            ),
        };
        let shared = &self.shell.shared;
        shared.networks.record(name, kind, detail);
        let taken = belief == Belief::InUse;
        if taken {
            // The owner may be unknown; then record it under the client we were about to offer it to, as for
            // a DECLINE. No need to wait for the journal: if the record is lost, the address is probed again.
            let who = user.unwrap_or(client.mac);
            let (known, out) = (shared.source.known(who), quarantine(who, address, now()));
            let _ = self
                .shell
                .leases
                .update(name, &shared.queue, known, |_| ((), Some(out)));
        }
        taken
    }

    /// Whether a message came straight from our own link, not through a relay or a router.
    fn is_local(&self, client: &PxeClient, network: &Network) -> bool {
        let near = |from: SocketAddrV4| from.ip().is_unspecified() || network.subnet().contains(from.ip());
        network.is_local() && client.giaddr.is_unspecified() && client.from.is_some_and(near)
    }

    /// Whether a message can come from the client it names, and whether a released or declined address is
    /// really no longer used.
    pub(super) async fn believe(
        &self,
        client: &PxeClient,
        network: &Network,
        permit: &mut WorkPermit,
    ) -> Result<(), Unanswered> {
        believe(client, &self.relays.lock())?;
        let given_up = || {
            let look = |leases: &Leases| given_up(client, leases, now());
            self.shell.leases.look(network.name(), look)
        };
        let before = given_up();
        let farewell = matches!(client.message, MessageKind::Release | MessageKind::Decline);
        let sender = match &self.sockets.release_frames {
            Some(frames) if farewell && self.is_local(client, network) => frames.sender_of(client),
            _ => None,
        };
        // An attacker who forges the machine's MAC could get its lease anyway by asking for it.
        match sender {
            Some(mac) if mac == client.mac => return Ok(()),
            Some(_) if before.is_some() => return Err(Unanswered::WrongSender),
            Some(_) | None => {}
        }
        let (Some(lease), Some(prober)) = (before, self.prober(probe_of(network))) else {
            return Ok(());
        };
        let Some(_waiting) = permit.wait() else {
            return Err(Unanswered::TooMany);
        };
        if client.message == MessageKind::Release {
            tokio::time::sleep(GRACE).await;
        }
        let users = prober.users_of(lease.ip).await;
        // The machine may have restarted DHCP meanwhile and hold another lease.
        if given_up() == before && gives_up(client.message, client.mac, &users) {
            Ok(())
        } else {
            Err(Unanswered::StillInUse)
        }
    }
}
