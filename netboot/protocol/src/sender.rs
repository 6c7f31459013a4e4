//! Whether a message can come from the machine it names. Anybody can write any MAC into a datagram, but a
//! source port below 1024 takes privileges on the sending machine, and many networks check source addresses.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4, SocketAddrV6};

use inventory_api::Mac;

use crate::codes::Unanswered;
use crate::dhcp4::client::{MessageKind, PxeClient};
use crate::dhcp6;

/// Port of DHCP clients.
const CLIENT_PORT: u16 = 68;
/// Port of DHCP relays and servers.
const RELAY_PORT: u16 = 67;
const CLIENT_PORT_V6: u16 = 546;
const RELAY_PORT_V6: u16 = 547;
/// Relays remembered per server address.
const MOST: usize = 1024;

/// Relays that completed an exchange: their `giaddr`, and the address they send from, which is often a
/// different one.
#[derive(Debug, Default)]
pub struct Relays(BTreeSet<(Ipv4Addr, Ipv4Addr)>);

impl Relays {
    /// A machine took an offer through this relay, so replies to its `giaddr` arrive.
    pub fn learn(&mut self, client: &PxeClient) {
        let Some(from) = client.from else { return };
        let selects = client.message == MessageKind::Request && client.server_id.is_some();
        if selects && from.port() == RELAY_PORT && !client.giaddr.is_unspecified() && self.0.len() < MOST {
            self.0.insert((client.giaddr, *from.ip()));
        }
    }

    fn has(&self, giaddr: Ipv4Addr, from: SocketAddrV4) -> bool {
        from.port() == RELAY_PORT && (*from.ip() == giaddr || self.0.contains(&(giaddr, *from.ip())))
    }
}

/// Whether to believe a message that ends, declines or extends a lease. Messages that only start an exchange
/// are not checked: their answer goes to the machine, not to whoever forged them.
///
/// # Errors
/// [`Unanswered::WrongSender`]: somebody else sent it. Without a relay, a DHCP client sends from port 68 and
/// from the address it releases or keeps (RFC 2131, 4.4.4 and 4.4.5); a declining client has none (4.4.1).
/// Several clients rebind and release from 0.0.0.0, which takes a raw socket on this link: then [`gives_up`]
/// is checked too.
pub fn believe(client: &PxeClient, relays: &Relays) -> Result<(), Unanswered> {
    // Simulated machines on loopback have neither. Port 4011 is asked from port 4011, and only about the boot
    // file.
    let Some(from) = client.from.filter(|_| !client.to_boot_server) else {
        return Ok(());
    };
    let source = *from.ip();
    let renews = client.message == MessageKind::Request && client.uses().is_some();
    let keeps = from.port() == CLIENT_PORT && (source == client.ciaddr || source.is_unspecified());
    let can = match (client.message, client.giaddr.is_unspecified()) {
        (MessageKind::Decline, true) => {
            let has_none = source.is_unspecified() || source.is_link_local();
            from.port() == CLIENT_PORT && (has_none || client.requested == Some(source))
        }
        (MessageKind::Release, true) => keeps,
        (MessageKind::Request, true) if renews => keeps,
        (MessageKind::Release | MessageKind::Decline, false) => relays.has(client.giaddr, from),
        // No relay is known after a restart, and extending a lease does no harm.
        (MessageKind::Request, false) if renews => from.port() == RELAY_PORT,
        (MessageKind::Discover | MessageKind::Request | MessageKind::Inform, _) => true,
    };
    if can { Ok(()) } else { Err(Unanswered::WrongSender) }
}

/// Like [`believe`], by IPv6. Without a relay, a client sends from port 546 and its link-local address (RFC
/// 8415, 7.2 and 18.2), which no router forwards; a relay sends from port 547 (19.1).
///
/// # Errors
/// [`Unanswered::WrongSender`].
pub fn believe_v6(message: dhcp6::MessageKind, relayed: bool, from: SocketAddrV6) -> Result<(), Unanswered> {
    use dhcp6::MessageKind::{
        Confirm, Decline, InformationRequest, Rebind, Release, Renew, Request, Solicit,
    };
    let can = match message {
        Release | Decline | Renew | Rebind if relayed => from.port() == RELAY_PORT_V6,
        Release | Decline => from.port() == CLIENT_PORT_V6 && from.ip().is_unicast_link_local(),
        // Extending a lease does no harm.
        Renew | Rebind => from.port() == CLIENT_PORT_V6,
        Solicit | Request | Confirm | InformationRequest => true,
    };
    if can { Ok(()) } else { Err(Unanswered::WrongSender) }
}

/// Whether to believe a RELEASE or DECLINE of `mac` after probing the address. `answers`: the MACs that
/// answered ARP, `None` for a ping reply. A machine does not answer for an address it released. A declined
/// address is answered for by another host, or by nobody we can hear.
pub fn gives_up(message: MessageKind, mac: Mac, answers: &[Option<Mac>]) -> bool {
    let itself = answers.contains(&Some(mac));
    match message {
        MessageKind::Release => !itself && !answers.contains(&None),
        MessageKind::Decline => !itself || answers.iter().any(|answer| *answer != Some(mac)),
        MessageKind::Discover | MessageKind::Request | MessageKind::Inform => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dhcp4::client::classify;
    use crate::dhcp4::packet::tests::discover;

    type Given<'a> = (u8, &'a [u8]);

    const HOST: [u8; 4] = [10, 0, 0, 12];

    fn message(kind: u8, ciaddr: [u8; 4], giaddr: [u8; 4], from: &str, options: &[(u8, &[u8])]) -> PxeClient {
        let kind = [kind];
        let mut all = vec![(53, &kind[..])];
        all.extend(options);
        let mut bytes = discover(&all);
        bytes[12..16].copy_from_slice(&ciaddr);
        bytes[24..28].copy_from_slice(&giaddr);
        let mut client = classify(&bytes).unwrap();
        client.from = Some(from.parse().unwrap());
        client
    }

    #[test]
    fn only_plausible_senders_are_believed() {
        let (none, relay) = ([0; 4], [10, 8, 0, 1]);
        let (wish, server): (Given<'_>, Given<'_>) = ((50, &HOST), (54, &[10, 0, 0, 1]));
        let (request, decline, release) = (3, 4, 7);
        for (kind, ciaddr, giaddr, from, options, believed) in [
            // Without a relay.
            (release, HOST, none, "10.0.0.12:68", &[server][..], true),
            (release, HOST, none, "10.0.0.12:57721", &[server], false),
            (release, HOST, none, "10.0.0.50:68", &[server], false),
            (release, HOST, none, "0.0.0.0:68", &[server], true),
            (release, HOST, none, "0.0.0.0:40000", &[server], false),
            (release, HOST, none, "10.0.0.12:67", &[server], false),
            (decline, none, none, "0.0.0.0:68", &[wish, server], true),
            (decline, none, none, "169.254.3.4:68", &[wish, server], true),
            (decline, none, none, "10.0.0.12:68", &[wish, server], true),
            (decline, none, none, "10.0.0.50:68", &[wish, server], false),
            (decline, none, none, "0.0.0.0:40000", &[wish, server], false),
            (request, HOST, none, "10.0.0.12:68", &[], true),
            (request, HOST, none, "0.0.0.0:68", &[], true),
            (request, HOST, none, "10.0.0.50:68", &[], false),
            (request, HOST, none, "10.0.0.12:1068", &[], false),
            // The answer to these goes to the machine.
            (request, none, none, "10.0.0.50:40000", &[wish, server], true),
            (1, none, none, "10.0.0.50:40000", &[], true),
            (8, HOST, none, "10.0.0.50:40000", &[], true),
            // Through a relay.
            (release, HOST, relay, "10.8.0.1:67", &[server], true),
            (release, HOST, relay, "10.8.0.1:1067", &[server], false),
            (release, HOST, relay, "10.9.9.9:67", &[server], false),
            (decline, none, relay, "10.8.0.1:67", &[wish, server], true),
            (decline, none, relay, "10.0.0.50:67", &[wish, server], false),
            (decline, none, relay, "10.0.0.50:68", &[wish, server], false),
            (request, HOST, relay, "10.0.0.5:67", &[], true),
            (request, HOST, relay, "10.0.0.5:68", &[], false),
        ] {
            let client = message(kind, ciaddr, giaddr, from, options);
            let expected = if believed {
                Ok(())
            } else {
                Err(Unanswered::WrongSender)
            };
            assert_eq!(
                believe(&client, &Relays::default()),
                expected,
                "{kind} from {from}: {client:?}"
            );
        }
        let mut firmware = message(request, HOST, none, "10.0.0.12:4011", &[]);
        firmware.to_boot_server = true;
        assert_eq!(believe(&firmware, &Relays::default()), Ok(()));
    }

    #[test]
    fn only_plausible_senders_are_believed_by_ipv6() {
        use dhcp6::MessageKind::{Decline, Rebind, Release, Renew, Solicit};
        for message in [Release, Decline, Renew, Rebind, Solicit] {
            for (relayed, from, can) in [
                (false, "[fe80::1]:546", true),
                (false, "[fe80::1]:40000", false),
                (false, "[fd00::1]:546", message == Renew || message == Rebind),
                (false, "[fe80::1]:547", false),
                (true, "[fd00::1]:547", true),
                (true, "[fd00::1]:40000", false),
            ] {
                let believed = believe_v6(message, relayed, from.parse().unwrap()).is_ok();
                assert_eq!(
                    believed,
                    can || message == Solicit,
                    "{message:?} {relayed} {from}"
                );
            }
        }
    }

    #[test]
    fn a_machine_that_answers_for_an_address_has_not_released_it() {
        use MessageKind::{Decline, Release};
        let (mac, other) = (Mac([2, 0, 0, 0, 0, 1]), Some(Mac([2, 0, 0, 0, 0, 2])));
        for (message, answers, believed) in [
            (Release, &[][..], true),
            (Release, &[Some(mac)], false),
            (Release, &[other], true),
            (Release, &[None], false),
            (Decline, &[], true),
            (Decline, &[other], true),
            (Decline, &[other, Some(mac)], true),
            (Decline, &[Some(mac), Some(mac)], false),
            (Decline, &[None], true),
        ] {
            assert_eq!(
                gives_up(message, mac, answers),
                believed,
                "{message:?} {answers:?}"
            );
        }
    }

    #[test]
    fn a_relay_is_known_after_a_completed_exchange() {
        let relay = [10, 8, 0, 1];
        let (wish, server): (Given<'_>, Given<'_>) = ((50, &HOST), (54, &[10, 0, 0, 1]));
        let decline = |from| message(4, [0; 4], relay, from, &[wish, server]);
        let mut relays = Relays::default();
        relays.learn(&message(1, [0; 4], relay, "10.0.0.5:67", &[]));
        relays.learn(&message(3, [0; 4], relay, "10.0.0.5:6767", &[wish, server]));
        assert_eq!(
            believe(&decline("10.0.0.5:67"), &relays),
            Err(Unanswered::WrongSender)
        );
        relays.learn(&message(3, [0; 4], relay, "10.0.0.5:67", &[wish, server]));
        assert_eq!(believe(&decline("10.0.0.5:67"), &relays), Ok(()));
        assert_eq!(
            believe(&decline("10.0.0.6:67"), &relays),
            Err(Unanswered::WrongSender)
        );
        for n in 0..5000u32 {
            let from = format!("{}:67", Ipv4Addr::from(n));
            relays.learn(&message(3, [0; 4], relay, &from, &[wish, server]));
        }
        assert_eq!(relays.0.len(), MOST);
    }
}
