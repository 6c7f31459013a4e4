//! A machine whose last event was a DHCP message.

use std::net::IpAddr;

use inventory_api::boot::{BootEvent, BootEventKind, BootTarget, TftpEnd};
use inventory_api::dhcp::{DhcpAnswer, DhcpMessage, DhcpReply};
use inventory_api::network::NetworkStatus;
use netboot_protocol::{Unanswered, unsupported_client};

use super::asked::{Asked, asked};
use super::attempt::Attempt;
use super::{Facts, QUIET, Stage, address_servers, agent, boot_servers, silence};
use crate::text::{if_any, value_or};

/// How long a rate-limited message remains the main news, in milliseconds.
const RATE_MS: u64 = 10_000;

/// "the address 10.77.0.5", or "an address" if it is unknown.
fn the_address(ip: Option<IpAddr>) -> String {
    value_or("the address ", ip, "an address")
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
        let said = silence::of(facts, &limited, Unanswered::TooMany.code());
        return (Stage::Asks, said);
    }
    let has_address = asked.answer.confirms() || asked.is_silent(Unanswered::AddressServer);
    if asked.client == "slipway" && has_address {
        let said = agent::not_heard(facts, attempt, "The mini-os runs");
        return (Stage::MiniOs, said);
    }
    if let Some(who) = &asked.facts.who {
        return stranger(facts, attempt, &asked, who);
    }
    let stage = match asked.stage() {
        Stage::Addressed => Stage::Addressed.max(attempt.reach()),
        _ if asked.is_addressed_elsewhere() => Stage::Addressed,
        stage => stage,
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
        DhcpAnswer::Would(_) => observed(facts, asked, "In server mode it would have been answered."),
        DhcpAnswer::WouldNot(code) => observed(facts, asked, &silence::of(facts, asked, code)),
        DhcpAnswer::Silent(_) if asked.is_addressed_elsewhere() => addressed_elsewhere(facts, attempt, asked),
        DhcpAnswer::Silent(code) => silence::of(facts, asked, code),
    }
}

/// A DHCPv6 answer with a status code instead of an address (RFC 8415, 21.13).
fn by_status(facts: &Facts<'_>, asked: &Asked<'_>, status: &str) -> String {
    let (name, ago) = (facts.network_name(asked.event), facts.ago(asked.event));
    let why = match status {
        "no-address" => {
            let v6 = facts.network(asked.event).and_then(|network| network.v6.as_ref());
            let held = v6.map_or(String::new(), |v6| {
                format!(" ({} of {} in use or offered)", v6.held, v6.pool)
            });
            format!(
                "no IPv6 address is left for it{held}, or unknown machines hold their share (unknown_share): enlarge pools in [network.v6] \
                 of {name}"
            )
        }
        "no-binding" => {
            "it names an IPv6 address that this server did not give it; it starts over next".to_owned()
        }
        "not-on-link" => {
            format!("it names an IPv6 address that is not in network {name}; it starts over next")
        }
        other => format!("the status is {other}"),
    };
    let (message, client) = (asked.message, asked.client);
    format!("Its DHCPv6 {message} ({client}) was answered {ago} s ago without an address: {why}.")
}

/// Firmware for which there is no loader; `None`: there is one.
fn unsupported(asked: &Asked<'_>) -> Option<String> {
    let firmware = unsupported_client(asked.client)?;
    let number = asked.facts.architecture.map_or(String::new(), |number| {
        format!(" (client architecture {number}, DHCP option 93)")
    });
    let (name, advice) = (firmware.name, firmware.advice);
    Some(format!(
        "It asks as {name}{number}, for which there is no boot file: {advice}."
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
    let (event, client, server) = (asked.event, asked.client, facts.server(asked.event));
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
                "it took no address from {others}: is that server's pool exhausted, or does its answer not reach the machine?"
            ),
        };
        return format!(
            "It asked {times} times ({client}), last {ago} s ago, and was offered boot data by {server}, but did not continue. If this does not \
             change: {why}."
        );
    }
    let (offer, why) = (the_address(event.ip), why_not_taken(network, &server, asked));
    let asks = match times {
        1 => "once".to_owned(),
        _ => format!("{times} times in a row"),
    };
    format!(
        "It asked for an address {asks} ({client}), was offered {offer} by {server}, last {ago} s ago, and has not taken it. If this does not \
         change: {why}."
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
            "the offers are lost on the way back to the relay {relay}, UDP port 67. There must be a route and no filter from {server} to it, and \
             it must pass the answers of {server} on to the machine"
        ),
        None => format!(
            "the offers do not reach it: its VLAN, DHCP snooping (trust the switch port of {server}, UDP port 67), or a switch port that starts \
             forwarding too late (spanning tree: make it an edge port). Or a DHCP server that Slipway cannot hear answers first"
        ),
    }
}

/// It has an address and perhaps a boot file to load.
fn addressed(facts: &Facts<'_>, attempt: &Attempt<'_>, asked: &Asked<'_>) -> String {
    let (has, server, client) = (
        the_address(asked.event.ip),
        facts.server(asked.event),
        asked.client,
    );
    match asked.boot_file {
        Some(file) => not_fetched(
            facts,
            attempt,
            asked,
            &format!("It has {has} from {server}"),
            file,
        ),
        None => format!("It has {has} ({client}); no boot file was requested or given."),
    }
}

/// Proxy mode: the address is from another server, the boot data from Slipway.
fn addressed_elsewhere(facts: &Facts<'_>, attempt: &Attempt<'_>, asked: &Asked<'_>) -> String {
    let from = if_any(" from ", asked.facts.server);
    let has = format!("It has {}{from}", the_address(asked.facts.wants));
    match attempt.told() {
        Some(file) => not_fetched(facts, attempt, asked, &has, file),
        None => format!("{has}; no boot file was requested from Slipway or given by it."),
    }
}

fn not_fetched(facts: &Facts<'_>, attempt: &Attempt<'_>, asked: &Asked<'_>, has: &str, file: &str) -> String {
    let (server, ago) = (facts.server(asked.event), facts.ago(asked.event));
    let confirmed = |event: &&BootEvent| self::asked(event).is_some_and(|a| a.answer.confirms());
    let again = match attempt.events.iter().filter(confirmed).count() {
        0 | 1 => String::new(),
        tries => format!(" {tries} times"),
    };
    let port = match file.starts_with("http:") {
        true => format!("HTTP (TCP port {} of {server})", facts.ports.http),
        false => format!(
            "TFTP (UDP port {} of {server}, answers from ports above 1023)",
            facts.ports.tftp
        ),
    };
    let runs = if asked.client == "ipxe" { "iPXE runs. " } else { "" };
    let other = boot_servers(facts.network(asked.event)).map_or(String::new(), |others| {
        format!(" Or it loads from another PXE server, {others}: switch off that server's boot data.")
    });
    let only_length = attempt.events.iter().any(|event| match &event.what {
        BootEventKind::Http { head, .. } => *head,
        BootEventKind::Tftp { end, .. } => *end == TftpEnd::SizeAsked,
        _ => false,
    });
    let asked_for = match only_length {
        true => "it has asked how long that is, but not for the file itself",
        false => "the file has not been requested yet",
    };
    let proxied = match asked.is_silent(Unanswered::AddressServer) {
        true => format!(" UEFI asks {server} on UDP port 4011 first."),
        false => String::new(),
    };
    format!(
        "{runs}{has} and was told{again} to load {file} {ago} s ago; {asked_for}. If this does not change, {port} is filtered between the machine \
         and this server.{proxied}{other}"
    )
}

fn nak(facts: &Facts<'_>, asked: &Asked<'_>) -> String {
    let (wanted, server, ago) = (
        the_address(asked.facts.wants),
        facts.server(asked.event),
        facts.ago(asked.event),
    );
    let place = facts.network(asked.event).map_or(String::new(), |network| {
        format!(" in network {} ({})", network.name, network.subnet)
    });
    format!(
        "It asked for {wanted}, which it may not use{place}: another machine has that address, or it belongs to another network. {server} refused \
         it (NAK) {ago} s ago; the machine starts over next. If it keeps asking for the same address, that address is fixed or remembered: \
         restart its DHCP client."
    )
}

fn observed(facts: &Facts<'_>, asked: &Asked<'_>, would: &str) -> String {
    let (message, name) = (asked.message, facts.network_name(asked.event));
    let other = address_servers(facts.network(asked.event))
        .map_or(String::new(), |others| format!(" Addresses come from {others}."));
    format!(
        "Its DHCP {message} was heard and not answered: network {name} is only observed (mode = \"observe\"). {would}{other} Set mode = \"proxy\" \
         (beside another DHCP server) or mode = \"server\" in [[network]] {name} and restart Slipway."
    )
}

/// A client that asks for addresses and does not netboot.
fn stranger(facts: &Facts<'_>, attempt: &Attempt<'_>, asked: &Asked<'_>, who: &str) -> (Stage, String) {
    let ago = facts.ago(asked.event);
    let local_disk = BootEventKind::Script {
        target: BootTarget::LocalDisk,
    };
    if asked.client == "system" && attempt.events.iter().any(|event| event.what == local_disk) {
        let said = format!("It boots its own disk, as it was told: {who} asked for an address {ago} s ago.");
        return (Stage::Disk, said);
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
        "petitboot" => "OpenPOWER petitboot is not supported: there is no mini-os for it.",
        "onie" => {
            "It is a switch in ONIE, which looks for an installer: Slipway does not install switches. Give it its image from another DHCP \
             server or network."
        }
        "switch" | "bmc" | "appliance" => {
            "It does not boot from the network: there is no machine to provision at this MAC."
        }
        "u-boot" => {
            "As it is, U-Boot asks for files of its own: configure it to start an EFI program from the network (standard boot, method efi), \
             or to boot like PXE."
        }
        _ => {
            "It does not boot from the network now: to provision it, restart it with network boot first in the firmware's boot order."
        }
    };
    let vendor = asked.facts.vendor.as_ref();
    let vendor = vendor.map_or(String::new(), |vendor| format!(" (it says {vendor:?})"));
    let quiet = match ago {
        QUIET.. => format!(", {ago} s ago"),
        _ => String::new(),
    };
    let said = format!("This is {who}{vendor}{quiet}, not firmware that boots. {got} {advice}");
    (asked.stage(), said)
}
