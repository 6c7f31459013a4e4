//! A machine whose last event was a DHCP message.

use std::net::IpAddr;

use inventory_api::boot::{BootEvent, BootEventKind, BootTarget, DhcpFacts, TftpEnd};
use inventory_api::dhcp::{DhcpAnswer, DhcpMessage, DhcpReply};
use inventory_api::network::NetworkStatus;
use netboot_protocol::{Unanswered, unsupported_client};

use super::attempt::Attempt;
use super::{Facts, QUIET, Stage, address_servers, agent, boot_servers, silence};

/// How long a rate-limited message remains the main news, in milliseconds.
const RATE_MS: u64 = 10_000;

/// A DHCP message and its answer.
pub(super) struct Asked<'a> {
    pub(super) event: &'a BootEvent,
    pub(super) message: &'a DhcpMessage,
    pub(super) client: &'a str,
    pub(super) answer: &'a DhcpAnswer,
    pub(super) boot_file: Option<&'a str>,
    pub(super) facts: &'a DhcpFacts,
}

impl Asked<'_> {
    /// Whether this is the reason why it was not answered.
    pub(super) fn is_silent(&self, why: Unanswered) -> bool {
        matches!(self.answer, DhcpAnswer::Silent(code) if code == why.code())
    }

    /// Whether another server gave the address: in proxy mode, a REQUEST shows that.
    pub(super) fn is_addressed_elsewhere(&self) -> bool {
        *self.message == DhcpMessage::Request && self.is_silent(Unanswered::AddressServer)
    }
}

/// The DHCP message of an event; `None`: it is another kind of event.
pub(super) fn asked(event: &BootEvent) -> Option<Asked<'_>> {
    match &event.what {
        BootEventKind::Dhcp {
            message,
            client,
            answer,
            boot_file,
            facts,
        } => Some(Asked {
            event,
            message,
            client: client.strip_suffix("-v6").unwrap_or(client),
            answer,
            boot_file: boot_file.as_deref(),
            facts,
        }),
        _ => None,
    }
}

/// "the address 10.77.0.5", or "an address" if it is unknown.
fn the_address(ip: Option<IpAddr>) -> String {
    ip.map_or("an address".to_owned(), |ip| format!("the address {ip}"))
}

/// What the last DHCP message of an attempt shows.
pub(super) fn of(facts: &Facts<'_>, attempt: &Attempt<'_>) -> (Stage, String) {
    let Some(asked) = asked(attempt.last) else {
        return (attempt.reach(), String::new());
    };
    // Answers to earlier messages may follow the limited one.
    let limited = attempt.find(|event| {
        let recent = attempt.last.at.since(event.at) < RATE_MS;
        self::asked(event).filter(|asked| recent && asked.is_silent(Unanswered::TooMany))
    });
    if let Some(limited) = limited {
        return (
            Stage::Asks,
            silence::of(facts, &limited, Unanswered::TooMany.code()),
        );
    }
    let has_address = asked.answer.confirms() || asked.is_silent(Unanswered::AddressServer);
    if asked.client == "slipway" && has_address {
        return (
            Stage::MiniOs,
            agent::not_heard(facts, attempt, "The mini-os runs"),
        );
    }
    if let Some(who) = &asked.facts.who {
        return stranger(facts, attempt, &asked, who);
    }
    let stage = match asked.answer {
        answer if answer.confirms() => Stage::Addressed.max(attempt.reach()),
        answer if answer.offers() => Stage::Offered,
        _ if asked.is_addressed_elsewhere() => Stage::Addressed,
        _ => Stage::Asks,
    };
    let mut said = answered(facts, attempt, &asked);
    if asked.client == "slipway" {
        said = format!("The mini-os runs and asks for its address. {said}");
    }
    (stage, said)
}

fn answered(facts: &Facts<'_>, attempt: &Attempt<'_>, asked: &Asked<'_>) -> String {
    let given = asked.answer.gives() || asked.is_silent(Unanswered::NoBootFile);
    if given
        && asked.boot_file.is_none()
        && let Some(said) = unsupported(asked)
    {
        return said;
    }
    match asked.answer {
        DhcpAnswer::Sent(DhcpReply::Offer | DhcpReply::Advertise) => offered(facts, attempt, asked),
        DhcpAnswer::Sent(DhcpReply::Ack | DhcpReply::Reply) => addressed(facts, attempt, asked),
        DhcpAnswer::Sent(DhcpReply::Nak) => nak(facts, asked),
        DhcpAnswer::Status(_, status) => by_status(facts, asked, status),
        DhcpAnswer::Would(_) => observed(facts, asked, "As a server it would have been answered."),
        DhcpAnswer::WouldNot(code) => observed(facts, asked, &silence::of(facts, asked, code)),
        DhcpAnswer::Silent(_) if asked.is_addressed_elsewhere() => addressed_elsewhere(facts, attempt, asked),
        DhcpAnswer::Silent(code) => silence::of(facts, asked, code),
    }
}

/// A DHCPv6 answer with a status code instead of an address (RFC 8415, 21.13).
fn by_status(facts: &Facts<'_>, asked: &Asked<'_>, status: &str) -> String {
    let name = facts.network_name(asked.event);
    let v6 = facts.network(asked.event).and_then(|network| network.v6.as_ref());
    let why = match status {
        "no-address" => {
            let held = v6.map_or(String::new(), |v6| {
                format!(" ({} of {} in use or offered)", v6.held, v6.pool)
            });
            format!(
                "no IPv6 address is left for it{held}, or machines that nobody enrolled hold their share (unknown_share): enlarge pools in [network.v6] of {name}"
            )
        }
        "no-binding" => {
            "it names an IPv6 address that this server did not give it; it asks anew next".to_owned()
        }
        "not-on-link" => {
            format!("it names an IPv6 address that is none of network {name}; it asks anew next")
        }
        other => format!("the status is {other}"),
    };
    format!(
        "Its DHCPv6 {} ({}) was answered {} s ago without an address: {why}.",
        asked.message,
        asked.client,
        facts.ago(asked.event)
    )
}

/// Firmware for which there is no loader; `None`: there is one.
fn unsupported(asked: &Asked<'_>) -> Option<String> {
    let firmware = unsupported_client(asked.client)?;
    let number = asked.facts.architecture;
    let number = number.map_or(String::new(), |number| {
        format!(" (client architecture {number}, DHCP option 93)")
    });
    Some(format!(
        "It asks as {}{number}, for which there is no boot file: {}.",
        firmware.name, firmware.advice
    ))
}

/// Number of consecutive offers at the end of the attempt.
fn offers(attempt: &Attempt<'_>) -> usize {
    let is_offer = |event: &&BootEvent| {
        asked(event).is_some_and(|asked| asked.message.looks_for_server() && asked.answer.offers())
    };
    attempt.events.iter().rev().take_while(is_offer).count()
}

fn offered(facts: &Facts<'_>, attempt: &Attempt<'_>, asked: &Asked<'_>) -> String {
    let (event, server) = (asked.event, facts.server(asked.event));
    let (ago, times) = (facts.ago(event), offers(attempt).max(1));
    let network = facts.network(event);
    if network.is_some_and(|network| network.mode == "proxy") && *asked.message == DhcpMessage::Discover {
        let name = facts.network_name(event);
        let why = match address_servers(network) {
            None => format!(
                "no DHCP server that gives addresses is heard in network {name}, and Slipway gives none there (mode = \"proxy\"): start \
                 the DHCP server, or set mode = \"server\" and pools in [[network]] {name}"
            ),
            Some(others) => format!(
                "it took no address from {others}: is that server's pool full, or does its answer not reach the machine?"
            ),
        };
        return format!(
            "It asked {times} times ({}), last {ago} s ago, and was offered boot data by {server}; it did not go on. If it stays so, {why}.",
            asked.client
        );
    }
    let offer = the_address(event.ip);
    let asks = if times == 1 {
        "once".to_owned()
    } else {
        format!("{times} times in a row")
    };
    format!(
        "It asked for an address {asks} ({}), was offered {offer} by {server}, last {ago} s ago, and has not taken it. If it stays so, {}.",
        asked.client,
        why_not_taken(network, &server, asked)
    )
}

fn why_not_taken(network: Option<&NetworkStatus>, server: &str, asked: &Asked<'_>) -> String {
    if let Some(others) = address_servers(network) {
        return format!(
            "it takes the offer of another DHCP server, {others}: switch that one off here, or set mode = \"proxy\""
        );
    }
    match asked.facts.relay {
        Some(relay) => format!(
            "the offers are lost on the way back: they go to the relay {relay}, UDP port 67. There has to be a route and no filter from {server} \
             to it, and it has to pass answers of {server} on to the machine"
        ),
        None => format!(
            "the offers do not reach it: its VLAN, DHCP snooping (trust the switch port of {server}, UDP port 67), or a switch port that \
             forwards too late (spanning tree: make it an edge port). A DHCP server that Slipway cannot hear may be first, too"
        ),
    }
}

/// It has an address and perhaps a boot file to load.
fn addressed(facts: &Facts<'_>, attempt: &Attempt<'_>, asked: &Asked<'_>) -> String {
    let (event, server) = (asked.event, facts.server(asked.event));
    let ago = facts.ago(event);
    let has = format!("It has {}", the_address(event.ip));
    let Some(file) = asked.boot_file else {
        return format!("{has} ({}); no boot file was asked for or given.", asked.client);
    };
    not_fetched(facts, attempt, asked, &format!("{has} from {server}"), file, ago)
}

/// Proxy mode: the address is from another server, the boot data from Slipway.
fn addressed_elsewhere(facts: &Facts<'_>, attempt: &Attempt<'_>, asked: &Asked<'_>) -> String {
    let address = the_address(asked.facts.wants);
    let from = asked
        .facts
        .server
        .map_or(String::new(), |from| format!(" from {from}"));
    let has = format!("It has {address}{from}");
    match attempt.told() {
        Some(file) => not_fetched(facts, attempt, asked, &has, file, facts.ago(asked.event)),
        None => format!("{has}; no boot file was asked of Slipway or given by it."),
    }
}

fn not_fetched(
    facts: &Facts<'_>,
    attempt: &Attempt<'_>,
    asked: &Asked<'_>,
    has: &str,
    file: &str,
    ago: u64,
) -> String {
    let server = facts.server(asked.event);
    let told = |event: &&BootEvent| self::asked(event).is_some_and(|a| a.answer.confirms());
    let again = match attempt.events.iter().filter(told).count() {
        0 | 1 => String::new(),
        tries => format!(" {tries} times"),
    };
    let port = if file.starts_with("http:") {
        format!("HTTP (TCP port {} of {server})", facts.ports.http)
    } else {
        format!(
            "TFTP (UDP port {} of {server}, answers from ports above 1023)",
            facts.ports.tftp
        )
    };
    let runs = if asked.client == "ipxe" { "iPXE runs. " } else { "" };
    let other = boot_servers(facts.network(asked.event)).map_or(String::new(), |others| {
        format!(" Or it loads from another PXE server, {others}: switch that one's boot data off.")
    });
    let only_length = attempt.events.iter().any(|event| match &event.what {
        BootEventKind::Http { head, .. } => *head,
        BootEventKind::Tftp { end, .. } => *end == TftpEnd::SizeAsked,
        _ => false,
    });
    let asked_for = if only_length {
        "it has asked how long that is, and not for the file yet"
    } else {
        "nobody has asked for it yet"
    };
    let proxied = if asked.is_silent(Unanswered::AddressServer) {
        format!(" UEFI asks {server} on UDP port 4011 first.")
    } else {
        String::new()
    };
    format!(
        "{runs}{has} and was told{again} to load {file} {ago} s ago; {asked_for}. If it stays so, {port} is filtered \
         between the machine and this server.{proxied}{other}"
    )
}

fn nak(facts: &Facts<'_>, asked: &Asked<'_>) -> String {
    let wanted = the_address(asked.facts.wants);
    let network = facts.network(asked.event);
    let place = network.map_or(String::new(), |network| {
        format!(" in network {} ({})", network.name, network.subnet)
    });
    format!(
        "It asked for {wanted}, which it may not have{place}: another machine has it, or it comes from another network. {} told it so \
         (NAK) {} s ago; it asks anew next. If it asks for the same again and again, it has a fixed or remembered address: restart its \
         DHCP client.",
        facts.server(asked.event),
        facts.ago(asked.event)
    )
}

fn observed(facts: &Facts<'_>, asked: &Asked<'_>, would: &str) -> String {
    let name = facts.network_name(asked.event);
    let other = address_servers(facts.network(asked.event))
        .map_or(String::new(), |others| format!(" Addresses come from {others}."));
    format!(
        "Its DHCP {} was heard and not answered: network {name} is only observed (mode = \"observe\"). {would}{other} Set mode = \"proxy\" \
         (beside another DHCP server) or mode = \"server\" in [[network]] {name} and restart Slipway.",
        asked.message
    )
}

/// A client that asks for addresses and does not netboot.
fn stranger(facts: &Facts<'_>, attempt: &Attempt<'_>, asked: &Asked<'_>, who: &str) -> (Stage, String) {
    let ago = facts.ago(asked.event);
    let local_disk = BootEventKind::Script {
        target: BootTarget::LocalDisk,
    };
    if asked.client == "system" && attempt.events.iter().any(|event| event.what == local_disk) {
        return (
            Stage::Disk,
            format!("It boots its own disk, as it was told: {who} asked for an address {ago} s ago."),
        );
    }
    let got = match asked.answer {
        DhcpAnswer::Sent(DhcpReply::Ack | DhcpReply::Reply) => {
            format!("It has {}.", the_address(asked.event.ip))
        }
        DhcpAnswer::Sent(DhcpReply::Offer | DhcpReply::Advertise) => {
            format!("It was offered an address {ago} s ago and has not taken it.")
        }
        DhcpAnswer::Sent(DhcpReply::Nak) => nak(facts, asked),
        DhcpAnswer::Would(_) | DhcpAnswer::WouldNot(_) => observed(facts, asked, ""),
        DhcpAnswer::Status(..) => silence::of(facts, asked, &asked.answer.to_string()),
        DhcpAnswer::Silent(code) => silence::of(facts, asked, code),
    };
    let advice = match asked.client {
        "petitboot" => "OpenPOWER petitboot is not supported: no mini-os is made for it.",
        "onie" => {
            "It is a switch in ONIE, which looks for an installer: Slipway does not install switches. Give it its image by another DHCP \
             server or network."
        }
        "switch" | "bmc" | "appliance" => {
            "It does not boot from the network: no machine to provision is at this MAC."
        }
        "u-boot" => {
            "Have U-Boot start an EFI program from the network (its standard boot, method efi), or boot in PXE's way: as it is, it asks \
             for files of its own."
        }
        _ => {
            "It does not boot from the network now: restart it, with network boot first in the firmware's boot order, to have it \
             provisioned."
        }
    };
    let vendor = asked
        .facts
        .vendor
        .as_ref()
        .map_or(String::new(), |vendor| format!(" (it says {vendor:?})"));
    let stage = match asked.answer {
        answer if answer.confirms() => Stage::Addressed,
        answer if answer.offers() => Stage::Offered,
        _ => Stage::Asks,
    };
    let quiet = match ago {
        QUIET.. => format!(", {ago} s ago"),
        _ => String::new(),
    };
    (
        stage,
        format!("This is {who}{vendor}{quiet}, not firmware that boots. {got} {advice}"),
    )
}
