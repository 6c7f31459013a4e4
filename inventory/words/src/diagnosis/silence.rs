//! Unanswered DHCP messages: what each code means and what to do.

use inventory_api::machine::MachineState;
use inventory_api::network::NetworkStatus;
use netboot_protocol::Unanswered;

use super::dhcp::Asked;
use super::{Facts, address_servers};

/// Number of quarantined addresses named.
const NAMED: usize = 4;

/// The sentence for a code.
pub(super) fn of(facts: &Facts<'_>, asked: &Asked<'_>, code: &str) -> String {
    let heard = format!(
        "Its DHCP {} ({}) was heard {} s ago",
        asked.message,
        asked.client,
        facts.ago(asked.event)
    );
    let network = facts.network(asked.event);
    let name = facts.network_name(asked.event);
    let server = facts.server(asked.event);
    let mac = facts.mac;
    let wants = asked
        .facts
        .wants
        .map_or("an address".to_owned(), |ip| ip.to_string());
    let Some(reason) = Unanswered::of(code) else {
        return format!("{heard}; the answer was: {code}.");
    };
    let why = match reason {
        Unanswered::Ignored => return ignored(facts),
        Unanswered::UnknownNetwork => "it came in by an interface whose network is not configured: add a [[network]] with its subnet and this server's address there"
            .to_owned(),
        Unanswered::UnknownRelay => {
            let relay = asked
                .facts
                .relay
                .map_or("a relay".to_owned(), |relay| format!("the relay {relay}"));
            format!(
                "it came through {relay}, which belongs to no configured network: add a [[network]] with the subnet behind that relay, or \
                 point the relay at another server"
            )
        }
        Unanswered::Observing => format!(
            "network {name} is only observed: set mode = \"proxy\" or mode = \"server\" in [[network]] {name} and restart Slipway"
        ),
        Unanswered::Looking => format!(
            "Slipway still looked for other DHCP servers in network {name}, as it does for look_seconds after its start; the machine asks \
             again"
        ),
        Unanswered::ForeignServer => format!(
            "Slipway gives no address in network {name} beside another DHCP server{}: switch that one off, set mode = \"proxy\" in \
             [[network]] {name}, or on_foreign_server = \"warn\"",
            others(network)
        ),
        Unanswered::AddressInUse => format!(
            "the addresses that were tried for it are used by somebody who did not get them here{}: give that device another address, then \
             `slipway network unquarantine {name} ADDRESS`",
            quarantined(network)
        ),
        Unanswered::TooMany => format!(
            "it sends more than {} messages a second (or the machines behind its relay's port more than {}): look for a loop in the network \
             or a broken DHCP client",
            netboot_protocol::rate::PER_MAC,
            netboot_protocol::rate::PER_CIRCUIT
        ),
        Unanswered::KeptForKnown => format!(
            "machines that nobody enrolled hold their whole share of the pool of network {name}{}: raise unknown_share or the pools in \
             [[network]] {name}, or keep an address for it: `slipway network reserve {name} {mac} ADDRESS`",
            network.map_or(String::new(), |n| n.strangers_most.map_or(
                String::new(),
                |most| format!(" ({} of at most {most} addresses)", n.strangers)
            ))
        ),
        Unanswered::AddressServer => format!(
            "addresses of network {name} are another server's business (mode = \"proxy\"){}",
            others(network)
        ),
        Unanswered::NotBooting => format!(
            "it does not boot from the network, and network {name} gives boot data alone (mode = \"proxy\")"
        ),
        Unanswered::NoBootFile => {
            let number = asked.facts.architecture;
            let number = number.map_or("its architecture".to_owned(), |n| {
                format!("client architecture {n} (DHCP option 93)")
            });
            format!("there is no boot file for {number}")
        }
        Unanswered::OtherServer => {
            let other = asked.facts.server.map_or("another DHCP server".to_owned(), |ip| {
                format!("the DHCP server {ip}")
            });
            format!(
                "it took {wants} from {other} and not from {server}: what it boots comes from there. Switch that server off here, or set \
                 mode = \"proxy\" in [[network]] {name}"
            )
        }
        Unanswered::UnknownBinding => format!(
            "it names the address {wants}, which this server did not give it ({}). It asks anew when its patience ends; restart it to have \
             it ask at once",
            network.map_or(String::new(), |n| format!("network {name} is {}", n.subnet))
        ),
        Unanswered::Exhausted => format!(
            "no address is left for it in network {name}{}: enlarge pools in [[network]] {name}, or shorten lease_seconds",
            network.map_or(String::new(), |n| format!(
                " ({} of {} in use or offered, {} out of use)",
                n.held, n.pool, n.quarantined
            ))
        ),
        Unanswered::NoAddress => "it does not say for which address".to_owned(),
        Unanswered::ForeignAddress => format!("its address {wants} is none of network {name}"),
        Unanswered::WrongSender => format!(
            "it says that it is {mac} and cannot have come from it (another source MAC, IP address or port): somebody else may speak for it, \
             or something rewrites its packets"
        ),
        Unanswered::StillInUse => {
            format!("it gave back {wants}, and that address still answers there: it stays reserved")
        }
        Unanswered::Released => {
            return format!(
                "It gave its address back {} s ago: it shuts down or restarts.",
                facts.ago(asked.event)
            );
        }
        Unanswered::Declined => format!(
            "it declined {wants}: somebody else uses that address. It is out of use for an hour; find the device that has it (`slipway \
             network show {name}`). The machine asks for another one next"
        ),
        Unanswered::JournalFailed => format!(
            "{server} could not write its lease journal (data_dir, file leases): is its disk full (df), or read-only? The server's log says \
             which"
        ),
        Unanswered::SendFailed => format!(
            "{server} could not send the reply: is its interface in network {name} up? The log says why"
        ),
        Unanswered::Busy => format!("{server} had too much to do; the machine asks again"),
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
        | Unanswered::Association => reason.words().to_owned(),
    };
    format!("{heard} and not answered: {why}.")
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
                "It is {}: Slipway leaves it alone on purpose. `slipway machine show {}` says why.",
                machine.status.state, facts.mac
            )
        }
        _ => "What it boots could not be decided or written: see the server's log (a full disk, df?)."
            .to_owned(),
    }
}

fn others(network: Option<&NetworkStatus>) -> String {
    address_servers(network).map_or(String::new(), |servers| format!(", {servers}"))
}

fn quarantined(network: Option<&NetworkStatus>) -> String {
    let all = network
        .map(|network| network.quarantined_addresses.as_slice())
        .unwrap_or_default();
    let named: Vec<String> = all
        .iter()
        .take(NAMED)
        .map(|q| format!("{} by {}", q.address, q.mac))
        .collect();
    if named.is_empty() {
        String::new()
    } else {
        format!(" ({})", named.join(", "))
    }
}
