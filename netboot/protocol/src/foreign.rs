//! Other DHCP servers in a network: how they are asked for, told from us, remembered, and what that means for us.

use std::collections::BTreeMap;
use std::net::IpAddr;

use dhcproto::v4::MAGIC;
use inventory_api::{Mac, UnixMs};

use crate::client::{MessageKind, PxeClient};
use crate::lease::Leases;
use crate::packet::RawOptions;
use crate::reply::Silence;
use crate::settings::{Mode, NetworkSettings, OnForeignServer};
use crate::stranger::printable;

/// Seconds between two questions who is there, after the first ones.
pub const ASK_SECONDS: u64 = 60;
/// Seconds after which a server that was not heard again is gone: three questions without an answer.
pub const GONE_SECONDS: u64 = 3 * ASK_SECONDS + 10;
/// Servers remembered for one network.
const MOST: usize = 16;
/// Two answers of one server to two questions in turn lie at most this many ms apart, and at least [`APART_MS`].
const IN_TURN_MS: u64 = (ASK_SECONDS + 15) * 1000;
/// Two messages that come sooner one after the other are one answer.
const APART_MS: u64 = 500;

/// What a server gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    /// Addresses.
    Addresses,
    /// Boot data only: a proxyDHCP server.
    BootData,
}

/// An answer that some server sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerReply {
    /// Who sent it: by IPv4 by its own word (option 54), by IPv6 the sender's address.
    pub server: IpAddr,
    /// What it gives.
    pub gives: Gives,
    /// The boot file it names, printable and bounded.
    pub boot_file: Option<String>,
}

/// Reads an OFFER, ACK or NAK; `None` for anything else.
pub fn read_reply(bytes: &[u8]) -> Option<ServerReply> {
    let fixed = bytes.get(..240)?;
    if fixed[..3] != [2, 1, 6] || fixed[236..] != MAGIC || bytes.len() > crate::packet::MAX_BYTES {
        return None;
    }
    let options = RawOptions::of(&bytes[240..]);
    let kind = options.get(53).and_then(|value| value.first().copied());
    let (true, Some(server)) = (matches!(kind, Some(2 | 5 | 6)), options.address(54)) else {
        return None;
    };
    // An ACK to an INFORM has no address either; no server that gives addresses says option 60 in it.
    let boot_only = fixed[16..20] == [0; 4] && options.get(60).is_some();
    // Option 67, or the field `file` with the server that has it.
    let named = options.get(67).unwrap_or(&fixed[108..236]);
    let named = printable(named.split(|byte| *byte == 0).next().unwrap_or_default());
    Some(ServerReply {
        server: server.into(),
        boot_file: (!named.is_empty()).then_some(named),
        gives: if boot_only {
            Gives::BootData
        } else {
            Gives::Addresses
        },
    })
}

/// A DISCOVER that asks who is there. `boots`: as UEFI firmware asks, which proxyDHCP servers answer too.
pub fn question(mac: Mac, xid: u32, boots: bool) -> Vec<u8> {
    let mut bytes = vec![0; 236];
    bytes[..3].copy_from_slice(&[1, 1, 6]);
    bytes[4..8].copy_from_slice(&xid.to_be_bytes());
    bytes[10] = 0x80; // broadcast: we want to hear the answer whatever its address
    bytes[28..34].copy_from_slice(&mac.0);
    bytes.extend(MAGIC);
    bytes.extend([53, 1, 1, 55, 4, 1, 3, 54, 60]);
    if boots {
        let class = b"PXEClient:Arch:00007:UNDI:003000";
        bytes.extend([60, class.len() as u8]);
        bytes.extend(class);
        bytes.extend([93, 2, 0, 7, 94, 3, 1, 3, 0]);
    }
    bytes.push(255);
    bytes.resize(bytes.len().max(300), 0);
    bytes
}

/// A server that is not us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignServer {
    /// Its address, see [`ServerReply::server`].
    pub address: IpAddr,
    /// Link address its last message came from: its own, or that of the relay before it.
    pub link: Mac,
    /// What it gives.
    pub gives: Gives,
    /// See [`ServerReply::boot_file`]; the last that it named.
    pub boot_file: Option<String>,
    /// First heard.
    pub first: UnixMs,
    /// Last heard.
    pub last: UnixMs,
}

/// Whether we may give out addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Yes.
    Open,
    /// Yes, but another server does too: what we did not give may be its.
    Beside,
    /// We still look whether another server does.
    Looking,
    /// Another server does.
    Refused,
}

/// What became of a message of another server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The server.
    pub server: ForeignServer,
    /// It was not known.
    pub new: bool,
    /// From now on no address is offered beside it.
    pub closes: bool,
    /// Whether it is to be asked for by ARP, and [`Watch::proven`] to be told.
    pub unproven: bool,
}

/// A server and what speaks for its being one. One packet is written quickly: only who answers twice in turn, and is a host that
/// answers ARP with the link address its answers come from, keeps us from giving out addresses.
#[derive(Clone, Debug)]
struct Known {
    server: ForeignServer,
    /// Its last answer that counts.
    answered: UnixMs,
    /// Until when its answers in turn are enough; 0: they are not.
    steady_until: UnixMs,
    /// The link address that answered ARP for it.
    proven: Option<Mac>,
    /// It has been said that it closes the gate.
    told: bool,
}

impl Known {
    fn counts(&self, now: UnixMs) -> bool {
        self.server.gives == Gives::Addresses && now < self.steady_until && self.proven.is_some()
    }
}

/// What is known of other servers in one network.
#[derive(Clone, Debug)]
pub struct Watch {
    mode: Mode,
    refuses: bool,
    look_until: UnixMs,
    servers: BTreeMap<IpAddr, Known>,
}

impl Watch {
    /// Nothing known yet, and nothing that could be heard: behind relays, or without the right to listen.
    /// `mode`: that of the protocol in question.
    pub fn deaf(mode: Mode, settings: &NetworkSettings) -> Watch {
        Watch {
            mode,
            refuses: settings.on_foreign_server == OnForeignServer::Refuse,
            look_until: UnixMs(0),
            servers: BTreeMap::new(),
        }
    }

    /// Nothing known yet; it is looked for from now on.
    pub fn new(mode: Mode, settings: &NetworkSettings, now: UnixMs) -> Watch {
        Watch {
            look_until: now.plus_seconds(u64::from(settings.look_seconds)),
            ..Watch::deaf(mode, settings)
        }
    }

    /// Takes in a message of a server that is not us; `None`: there are too many of them already.
    pub fn heard(&mut self, reply: &ServerReply, link: Mac, now: UnixMs) -> Option<Heard> {
        let new = !self.servers.contains_key(&reply.server);
        if new && self.servers.len() >= MOST {
            return None;
        }
        let first = ForeignServer {
            address: reply.server,
            link,
            gives: reply.gives,
            boot_file: reply.boot_file.clone(),
            first: now,
            last: now,
        };
        let known = self.servers.entry(reply.server).or_insert(Known {
            server: first,
            answered: now,
            steady_until: UnixMs(0),
            proven: None,
            told: false,
        });
        (known.server.link, known.server.last) = (link, now);
        if reply.gives == Gives::Addresses {
            known.server.gives = Gives::Addresses;
        }
        if reply.boot_file.is_some() {
            known.server.boot_file.clone_from(&reply.boot_file);
        }
        let apart = now.since(known.answered);
        if apart >= APART_MS && known.proven.is_none_or(|proven| proven == link) {
            if apart <= IN_TURN_MS {
                known.steady_until = now.plus_seconds(GONE_SECONDS);
            }
            known.answered = now;
        }
        let unproven = known.proven != Some(link);
        let server = known.server.clone();
        let closes = self.closes(reply.server, now);
        Some(Heard {
            server,
            new,
            closes,
            unproven,
        })
    }

    /// ARP knows a server: `link` answered for it. Gives it back if from now on no address is offered beside it.
    pub fn proven(&mut self, address: IpAddr, link: Mac, now: UnixMs) -> Option<ForeignServer> {
        let known = self.servers.get_mut(&address)?;
        if known.server.link == link {
            known.proven = Some(link);
        }
        let server = known.server.clone();
        self.closes(address, now).then_some(server)
    }

    /// Whether it is to be said now that a server closes the gate.
    fn closes(&mut self, address: IpAddr, now: UnixMs) -> bool {
        let closes = self.mode == Mode::Server && self.refuses;
        match self.servers.get_mut(&address) {
            Some(known) if closes && known.counts(now) => !std::mem::replace(&mut known.told, true),
            _ => false,
        }
    }

    /// Forgets servers that were not heard for [`GONE_SECONDS`] and gives them back.
    pub fn expire(&mut self, now: UnixMs) -> Vec<ForeignServer> {
        let gone = |known: &Known| known.server.last.plus_seconds(GONE_SECONDS) <= now;
        let out: Vec<_> = self
            .servers
            .values()
            .filter(|known| gone(known))
            .map(|known| known.server.clone())
            .collect();
        self.servers.retain(|_, known| !gone(known));
        out
    }

    /// The servers that are there, by address.
    pub fn servers(&self) -> impl Iterator<Item = &ForeignServer> {
        self.servers.values().map(|known| &known.server)
    }

    /// Whether addresses may be given out now.
    pub fn gate(&self, now: UnixMs) -> Gate {
        let counts = self.servers.values().any(|known| known.counts(now));
        let gives = |known: &Known| known.server.gives == Gives::Addresses;
        let heard = self.servers.values().any(gives);
        if self.mode != Mode::Server {
            Gate::Open
        } else if counts && self.refuses {
            Gate::Refused
        } else if now < self.look_until {
            Gate::Looking
        } else if heard {
            Gate::Beside
        } else {
            Gate::Open
        }
    }
}

/// Whether a message may be answered as the gate stands. What we gave stays given: a machine that has an address from us
/// may keep it, and begin anew with it while we look.
pub fn pass(gate: Gate, client: &PxeClient, leases: &Leases, now: UnixMs) -> Result<(), Silence> {
    let closed = match gate {
        Gate::Open => return Ok(()),
        // INIT-REBOOT: a NAK of ours would take the other server's clients off the network.
        Gate::Beside => {
            let reboots = client.message == MessageKind::Request
                && client.server_id.is_none()
                && client.uses().is_none();
            let theirs = reboots && leases.of(client.mac).is_none();
            return if theirs {
                Err(Silence::UnknownBinding)
            } else {
                Ok(())
            };
        }
        Gate::Looking => Silence::Looking,
        Gate::Refused => Silence::ForeignServer,
    };
    let has = leases.of(client.mac).filter(|lease| lease.is_bound(now));
    let keeps = match client.message {
        MessageKind::Discover => has.is_some() && gate == Gate::Looking,
        MessageKind::Request => {
            has.is_some_and(|lease| client.requested == Some(lease.ip) || client.ciaddr == lease.ip)
        }
        // No answer, or one without an address.
        MessageKind::Release | MessageKind::Decline | MessageKind::Inform => true,
    };
    if keeps || client.to_boot_server {
        Ok(())
    } else {
        Err(closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::classify;
    use crate::lease::{Lease, LeaseState};
    use crate::network::Network;
    use crate::packet::tests::discover;
    use crate::settings::{NetworkSettings, PoolRange};
    use std::net::Ipv4Addr;

    const NOW: UnixMs = UnixMs(1_000_000);
    const OURS: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 99);

    fn network(change: impl FnOnce(&mut NetworkSettings)) -> Network {
        let mut settings =
            NetworkSettings::new("lab", Ipv4Addr::new(10, 0, 0, 1), "10.0.0.0/24".parse().unwrap());
        settings.mode = Mode::Server;
        settings.pools = vec![PoolRange {
            first: Ipv4Addr::new(10, 0, 0, 10),
            last: Ipv4Addr::new(10, 0, 0, 19),
        }];
        change(&mut settings);
        Network::new(settings).unwrap()
    }

    fn watching(network: &Network, now: UnixMs) -> Watch {
        Watch::new(network.mode(), network.settings(), now)
    }

    fn reply(kind: u8, yiaddr: [u8; 4], options: &[(u8, &[u8])]) -> Vec<u8> {
        let mut all = vec![(53, vec![kind]), (54, OTHER.octets().to_vec())];
        all.extend(options.iter().map(|(code, value)| (*code, value.to_vec())));
        let all: Vec<(u8, &[u8])> = all.iter().map(|(code, value)| (*code, &value[..])).collect();
        let mut bytes = discover(&all);
        bytes[0] = 2;
        bytes[16..20].copy_from_slice(&yiaddr);
        bytes
    }

    #[test]
    fn servers_are_told_by_what_they_say() {
        let read = |bytes: &[u8]| read_reply(bytes).map(|reply| (reply.server, reply.gives));
        assert_eq!(
            read(&reply(2, [10, 0, 0, 50], &[])),
            Some((OTHER.into(), Gives::Addresses))
        );
        assert_eq!(
            read(&reply(5, [10, 0, 0, 50], &[(60, b"PXEClient")])),
            Some((OTHER.into(), Gives::Addresses))
        );
        assert_eq!(
            read(&reply(2, [0; 4], &[(60, b"PXEClient")])),
            Some((OTHER.into(), Gives::BootData))
        );
        assert_eq!(
            read(&reply(6, [0; 4], &[])),
            Some((OTHER.into(), Gives::Addresses)),
            "a NAK"
        );
        assert_eq!(read(&reply(1, [0; 4], &[])), None, "a client's message type");
        assert_eq!(
            read(&discover(&[(53, &[2]), (54, &[10, 0, 0, 99])])),
            None,
            "a BOOTREQUEST"
        );
        for cut in 0..240 {
            assert_eq!(read(&reply(2, [10, 0, 0, 50], &[])[..cut]), None);
        }
    }

    #[test]
    fn the_boot_file_of_a_second_pxe_server_is_read() {
        let by_option = read_reply(&reply(2, [10, 0, 0, 50], &[(67, b"pxelinux.0\0")])).unwrap();
        assert_eq!(by_option.boot_file.as_deref(), Some("pxelinux.0"));
        let mut bytes = reply(2, [10, 0, 0, 50], &[]);
        bytes[108..113].copy_from_slice(b"x.efi");
        let by_field = read_reply(&bytes).unwrap();
        assert_eq!(by_field.boot_file.as_deref(), Some("x.efi"));
        let mut watch = watching(&network(|_| {}), NOW);
        watch.heard(&by_field, OURS, NOW);
        watch.heard(&read_reply(&reply(2, [10, 0, 0, 50], &[])).unwrap(), OURS, NOW);
        let kept = watch.servers().next().and_then(|server| server.boot_file.clone());
        assert_eq!(kept.as_deref(), Some("x.efi"), "only who asks by PXE is told");
    }

    #[test]
    fn the_question_is_a_discover_of_a_machine() {
        for (boots, kind) in [(false, "other"), (true, "uefi-x64")] {
            let client = classify(&question(OURS, 7, boots)).unwrap();
            assert_eq!(
                (client.mac, client.xid, client.message),
                (OURS, 7, MessageKind::Discover)
            );
            assert_eq!(client.kind.code(), kind);
            assert!(client.wants_broadcast());
        }
    }

    #[test]
    fn a_server_closes_the_gate_until_it_is_gone() {
        let gives_addresses = read_reply(&reply(2, [10, 0, 0, 50], &[])).unwrap();
        let gives_boot_data = read_reply(&reply(2, [0; 4], &[(60, b"PXEClient")])).unwrap();
        let mut watch = watching(&network(|_| {}), NOW);
        assert_eq!(watch.gate(NOW), Gate::Looking);
        let looked = NOW.plus_seconds(4);
        assert_eq!(watch.gate(looked), Gate::Open);
        let other = gives_addresses.server;
        let second = looked.plus_seconds(1);
        watch.heard(&gives_boot_data, OURS, looked);
        watch.heard(&gives_boot_data, OURS, second);
        watch.proven(other, OURS, second);
        assert_eq!(watch.gate(second), Gate::Open, "it gives no addresses");
        let again = watch.heard(&gives_addresses, OURS, second).unwrap();
        assert!(!again.new && again.closes, "the same server");
        assert_eq!(watch.gate(second), Gate::Refused);
        let soon = second.plus_seconds(GONE_SECONDS - 1);
        assert!(watch.expire(soon).is_empty());
        watch.heard(&gives_addresses, OURS, soon);
        let late = soon.plus_seconds(GONE_SECONDS);
        assert_eq!(watch.expire(late).len(), 1);
        assert_eq!(watch.gate(late), Gate::Open);

        let warns = |s: &mut NetworkSettings| s.on_foreign_server = OnForeignServer::Warn;
        let proxies = |s: &mut NetworkSettings| s.mode = Mode::Proxy;
        for (network, gate) in [(network(warns), Gate::Beside), (network(proxies), Gate::Open)] {
            let mut watch = watching(&network, NOW);
            watch.heard(&gives_addresses, OURS, looked);
            assert_eq!((watch.gate(looked), watch.servers().count()), (gate, 1));
        }
        assert_eq!(
            Watch::deaf(Mode::Server, network(|_| {}).settings()).gate(NOW),
            Gate::Open,
            "who cannot hear need not wait"
        );
    }

    #[test]
    fn one_packet_or_one_that_no_host_stands_behind_closes_nothing() {
        let (host, forger) = (Mac([2, 0, 0, 0, 0, 7]), Mac([2, 0, 0, 0, 0, 6]));
        let answer = read_reply(&reply(2, [10, 0, 0, 50], &[])).unwrap();
        // When answers come in ms, from whom, and which MAC answers ARP for the server; whether the gate closes.
        let minutes = |every: i64| (0..10).map(|n| n * every * 60_000).collect::<Vec<_>>();
        for (what, answers, from, arp, closes) in [
            ("one", vec![0], host, Some(host), false),
            ("the same doubled", vec![0, 1, 20, 300], host, Some(host), false),
            ("every three minutes", minutes(3), host, Some(host), false),
            ("nobody there", minutes(1), forger, None, false),
            ("somebody else there", minutes(1), forger, Some(host), false),
            ("two in turn", vec![0, 1000], host, Some(host), true),
            ("every minute", minutes(1), host, Some(host), true),
        ] {
            let mut watch = watching(&network(|_| {}), UnixMs(-10_000));
            let (mut said, mut at) = (0, UnixMs(0));
            for ms in answers {
                at = UnixMs(ms);
                let heard = watch.heard(&answer, from, at).unwrap();
                said += usize::from(heard.closes);
                if let Some(arp) = arp.filter(|_| heard.unproven) {
                    said += usize::from(watch.proven(answer.server, arp, at).is_some());
                }
            }
            let expected = if closes { Gate::Refused } else { Gate::Beside };
            assert_eq!((watch.gate(at), said), (expected, usize::from(closes)), "{what}");
        }
        // Who forges the answers of a server that is there does not make it go.
        let mut watch = watching(&network(|_| {}), UnixMs(-10_000));
        for ms in [0, 1000, 2000] {
            watch.heard(&answer, host, UnixMs(ms));
            watch.proven(answer.server, host, UnixMs(ms));
            watch.heard(&answer, forger, UnixMs(ms + 600));
            watch.proven(answer.server, host, UnixMs(ms + 600));
        }
        assert_eq!(watch.gate(UnixMs(3000)), Gate::Refused);
    }

    #[test]
    fn memory_is_bounded() {
        let mut watch = watching(&network(|_| {}), NOW);
        for n in 0..1000u32 {
            let reply = ServerReply {
                server: Ipv4Addr::from(n).into(),
                gives: Gives::Addresses,
                boot_file: None,
            };
            watch.heard(&reply, OURS, NOW);
        }
        assert_eq!(watch.servers().count(), MOST);
    }

    #[test]
    fn what_was_given_stays_given() {
        let ip = [10, 0, 0, 12];
        let ask = |kind: u8, options: &[(u8, &[u8])]| {
            let mut all = vec![(53, vec![kind])];
            all.extend(options.iter().map(|(code, value)| (*code, value.to_vec())));
            let all: Vec<(u8, &[u8])> = all.iter().map(|(code, value)| (*code, &value[..])).collect();
            classify(&discover(&all)).unwrap()
        };
        let none = Leases::default();
        let mut bound = Leases::default();
        bound.insert(Lease {
            mac: Mac([0x52, 0x54, 0, 0, 0, 1]),
            ip: ip.into(),
            expires: NOW.plus_seconds(9),
            state: LeaseState::Bound,
        });
        let discover = ask(1, &[]);
        let confirms = ask(3, &[(50, &ip)]);
        let wants_another = ask(3, &[(50, &[10, 0, 0, 13])]);
        let (looking, refused) = (Err(Silence::Looking), Err(Silence::ForeignServer));
        for (gate, leases, client, expected) in [
            (Gate::Open, &none, &discover, Ok(())),
            (Gate::Looking, &none, &discover, looking),
            (Gate::Looking, &bound, &discover, Ok(())),
            (Gate::Refused, &none, &discover, refused),
            (Gate::Refused, &bound, &discover, refused),
            (Gate::Looking, &none, &confirms, looking),
            (Gate::Looking, &bound, &confirms, Ok(())),
            (Gate::Refused, &bound, &confirms, Ok(())),
            (Gate::Refused, &bound, &wants_another, refused),
            (Gate::Refused, &none, &ask(7, &[]), Ok(())),
            // Beside another server a NAK is for our own clients only.
            (Gate::Beside, &none, &discover, Ok(())),
            (Gate::Beside, &bound, &wants_another, Ok(())),
            (Gate::Beside, &none, &wants_another, Err(Silence::UnknownBinding)),
            (Gate::Beside, &none, &ask(3, &[]), Err(Silence::UnknownBinding)),
            (
                Gate::Beside,
                &none,
                &ask(3, &[(50, &ip), (54, &[10, 0, 0, 1])]),
                Ok(()),
            ),
        ] {
            assert_eq!(pass(gate, client, leases, NOW), expected, "{gate:?} {client:?}");
        }
        let expired = NOW.plus_seconds(10);
        assert_eq!(pass(Gate::Refused, &confirms, &bound, expired), refused);
    }
}
