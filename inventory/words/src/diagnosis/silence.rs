//! Unanswered DHCP messages: what each code means and what to do.

use inventory_api::machine::MachineState;
use inventory_api::network::NetworkStatus;
use netboot_protocol::Unanswered;

use super::asked::Asked;
use super::{Facts, address_servers};
use crate::text::{if_any, value_or};

/// Number of quarantined addresses named.
const NAMED: usize = 4;

/// The sentence for a code.
pub(super) fn of(facts: &Facts<'_>, asked: &Asked<'_>, code: &str) -> String {
    let (message, client, ago) = (asked.message, asked.client, facts.ago(asked.event));
    let heard = format!("Its DHCP {message} ({client}) was heard {ago} s ago");
    match Unanswered::of(code) {
        None => format!("{heard}; the answer was: {code}."),
        Some(Unanswered::Ignored) => ignored(facts),
        Some(Unanswered::Released) => {
            format!("It released its address {ago} s ago: it is shutting down or restarting.")
        }
        Some(reason) => format!("{heard} and not answered: {}.", why(facts, asked, reason)),
    }
}

fn why(facts: &Facts<'_>, asked: &Asked<'_>, reason: Unanswered) -> String {
    let (network, name) = (facts.network(asked.event), facts.network_name(asked.event));
    let (server, mac) = (facts.server(asked.event), facts.mac);
    match reason {
        Unanswered::UnknownNetwork => {
            "it came in on an interface whose network is not configured: add a [[network]] with its subnet and this server's address there"
                .to_owned()
        }
        Unanswered::UnknownRelay => {
            let relay = value_or("the relay ", asked.facts.relay, "a relay");
            format!(
                "it came through {relay}, which belongs to no configured network: add a [[network]] with the subnet behind that relay, or \
                 point the relay at another server"
            )
        }
        Unanswered::Observing => format!(
            "network {name} is only observed: set mode = \"proxy\" or mode = \"server\" in [[network]] {name} and restart Slipway"
        ),
        Unanswered::Looking => format!(
            "Slipway was still listening for other DHCP servers in network {name}, as it does for look_seconds after its start; the machine \
             asks again"
        ),
        Unanswered::ForeignServer => format!(
            "Slipway gives no address in network {name} beside another DHCP server{}: switch that one off, set mode = \"proxy\" in \
             [[network]] {name}, or on_foreign_server = \"warn\"",
            others(network)
        ),
        Unanswered::AddressInUse => format!(
            "the addresses that were tried for it are used by devices that did not get them here{}: give those devices other addresses, then \
             `slipway network unquarantine {name} ADDRESS`",
            quarantined(network)
        ),
        Unanswered::TooMany => format!(
            "it sends more than {} messages a second (or the machines behind its relay's port more than {}): look for a loop in the network \
             or a broken DHCP client",
            netboot_protocol::rate::PER_MAC,
            netboot_protocol::rate::PER_CIRCUIT
        ),
        Unanswered::KeptForKnown => {
            let most = network.and_then(|n| Some((n.strangers, n.strangers_most?)));
            let share = most.map_or(String::new(), |(n, most)| format!(" ({n} of at most {most} addresses)"));
            format!(
                "unknown machines hold their whole share of the pool of network {name}{share}: raise unknown_share or the pools in [[network]] \
                 {name}, or reserve an address for it: `slipway network reserve {name} {mac} ADDRESS`"
            )
        }
        Unanswered::AddressServer => format!(
            "another server gives the addresses of network {name} (mode = \"proxy\"){}",
            others(network)
        ),
        Unanswered::NotBooting => format!(
            "it does not boot from the network, and Slipway gives only boot data in network {name} (mode = \"proxy\")"
        ),
        Unanswered::NoBootFile => {
            let number = value_or("client architecture ", asked.facts.architecture, "its architecture");
            format!("there is no boot file for {number} (DHCP option 93)")
        }
        Unanswered::Exhausted => {
            let use_of = |n: &NetworkStatus| {
                format!(" ({} of {} in use or offered, {} quarantined)", n.held, n.pool, n.quarantined)
            };
            let used = network.map_or(String::new(), use_of);
            format!(
                "no address is left for it in network {name}{used}: enlarge pools in [[network]] {name}, or shorten lease_seconds"
            )
        }
        Unanswered::JournalFailed => format!(
            "{server} could not write its lease journal (data_dir, file leases): is its disk full (df), or read-only? The server's log says \
             which"
        ),
        Unanswered::SendFailed => format!(
            "{server} could not send the reply: is its interface in network {name} up? The server's log says why"
        ),
        Unanswered::Busy => format!("{server} was overloaded; the machine asks again"),
        Unanswered::OtherServer
        | Unanswered::UnknownBinding
        | Unanswered::NoAddress
        | Unanswered::ForeignAddress
        | Unanswered::WrongSender
        | Unanswered::StillInUse
        | Unanswered::Declined => about_address(facts, asked, reason),
        Unanswered::NoMac
        | Unanswered::TooShort
        | Unanswered::TooLong
        | Unanswered::NotRequest
        | Unanswered::HardwareType
        | Unanswered::BadCookie
        | Unanswered::Unicast
        | Unanswered::Bootp
        | Unanswered::MessageType
        | Unanswered::TooManyRelays
        | Unanswered::NothingRelayed
        | Unanswered::NoClientId
        | Unanswered::ServerId
        | Unanswered::Association
        | Unanswered::Ignored
        | Unanswered::Released => reason.words().to_owned(),
    }
}

/// The address that it names is the reason.
fn about_address(facts: &Facts<'_>, asked: &Asked<'_>, reason: Unanswered) -> String {
    let (network, name) = (facts.network(asked.event), facts.network_name(asked.event));
    let (server, mac) = (facts.server(asked.event), facts.mac);
    let wants = value_or("", asked.facts.wants, "an address");
    match reason {
        Unanswered::OtherServer => {
            let other = value_or("the DHCP server ", asked.facts.server, "another DHCP server");
            format!(
                "it took {wants} from {other}, not from {server}: it boots what that server names. Switch that server off here, or set mode = \
                 \"proxy\" in [[network]] {name}"
            )
        }
        Unanswered::UnknownBinding => format!(
            "it names the address {wants}, which this server did not give it{}. It starts over when it gives up; restart it to make it ask at \
             once",
            if_any(
                &format!(" (network {name} is "),
                network.map(|n| format!("{})", n.subnet))
            )
        ),
        Unanswered::NoAddress => "it does not name the address".to_owned(),
        Unanswered::ForeignAddress => format!("its address {wants} is not in network {name}"),
        Unanswered::WrongSender => format!(
            "it says that it is {mac} and cannot have come from it (another source MAC, IP address or port): another device may speak for it, \
             or something rewrites its packets"
        ),
        Unanswered::StillInUse => {
            format!("it released {wants}, and that address still answers there: it stays reserved")
        }
        Unanswered::Declined => format!(
            "it declined {wants}: somebody else uses that address. It is quarantined; find the device that has it (`slipway network show \
             {name}`). The machine asks for another one next"
        ),
        _ => reason.words().to_owned(),
    }
}

/// It gets no answer, on purpose or because its boot target could not be decided.
pub(super) fn ignored(facts: &Facts<'_>) -> String {
    match facts.machine {
        Some(machine)
            if matches!(
                machine.status.state,
                MachineState::Quarantined | MachineState::Retired
            ) =>
        {
            format!(
                "It is {}: Slipway leaves it alone deliberately. `slipway machine show {}` says why.",
                machine.status.state, facts.mac
            )
        }
        _ => "Its boot target could not be decided or stored: see the server's log (is its disk full, df?)."
            .to_owned(),
    }
}

fn others(network: Option<&NetworkStatus>) -> String {
    if_any(", ", address_servers(network))
}

fn quarantined(network: Option<&NetworkStatus>) -> String {
    let all = network
        .into_iter()
        .flat_map(|network| &network.quarantined_addresses);
    let named: Vec<String> = all
        .take(NAMED)
        .map(|q| format!("{} by {}", q.address, q.mac))
        .collect();
    match named.is_empty() {
        true => String::new(),
        false => format!(" ({})", named.join(", ")),
    }
}
