//! A machine that has sent no message that can be answered.

use inventory_api::UnixMs;
use inventory_api::network::{NetworkStatus, Sender};
use netboot_protocol::{INFINIBAND, Unanswered};

use super::Facts;
use crate::text::if_any;

/// Number of similar NICs named.
const NEAR: usize = 3;

/// Messages that cannot be answered because of their form, such as InfiniBand's, and when the last was heard.
/// `None`: there are none.
pub(super) fn by_form(facts: &Facts<'_>) -> Option<(UnixMs, String)> {
    let silences = facts
        .networks
        .iter()
        .flat_map(|n| n.silences.iter().map(move |silence| (n, silence)));
    let all = silences.flat_map(|(n, silence)| silence.senders.iter().map(move |s| (n, &silence.reason, s)));
    let (network, reason, sender) = all
        .filter(|(.., sender)| is(facts, sender))
        .max_by_key(|(.., sender)| sender.last)?;
    let relay = if_any(" through the relay ", sender.relay);
    let ago = facts.now.since(sender.last) / 1000;
    let heard = format!("heard {ago} s ago in network {}{relay}", network.name);
    let said = if sender.hardware_type == INFINIBAND {
        let guid = sender.guid.or(facts.guid);
        let who = match (guid, &sender.client_id, &sender.address) {
            (Some(guid), ..) => format!("port GUID {guid}"),
            (None, Some(id), _) => format!("client identifier {id}"),
            (None, None, Some(address)) => format!("address {address}"),
            (None, None, None) => "no address".to_owned(),
        };
        format!(
            "It asks by InfiniBand (hardware type 32, {who}), {heard}; Slipway boots by Ethernet only: set the port to Ethernet (mlxconfig: \
             LINK_TYPE_P1=ETH) or boot another NIC."
        )
    } else {
        let words = Unanswered::of(reason).map_or("", Unanswered::words);
        format!(
            "It sends DHCP messages that cannot be answered, {heard} (hardware type {}): {words} ({reason}). Set the firmware to PXE or HTTP \
             boot over Ethernet.",
            sender.hardware_type
        )
    };
    Some((sender.last, said))
}

/// Whether the sender is this machine: by its MAC, its GUID, or the GUID that its MAC was made from.
fn is(facts: &Facts<'_>, sender: &Sender) -> bool {
    let by_guid = match (sender.guid, facts.guid) {
        (Some(guid), Some(asked)) => guid == asked,
        (Some(guid), None) => guid.mac() == facts.mac,
        (None, _) => false,
    };
    by_guid || sender.address.as_deref() == Some(facts.mac.to_string().as_str())
}

/// Nothing at all was heard from it.
pub(super) fn nothing(facts: &Facts<'_>) -> String {
    let mac = facts.mac;
    let since = match facts.machine {
        Some(_) => format!("Nothing has been heard from {mac} since the server started."),
        None => format!("Nothing was ever heard from {mac}."),
    };
    let near = nearest(facts);
    let networks: Vec<String> = facts
        .networks
        .iter()
        .map(|network| listens(facts, network))
        .collect();
    let place = match networks.join("; ") {
        none if none.is_empty() => {
            "This server has no [[network]]: it answers nobody. Add one to slipway.toml.".to_owned()
        }
        networks => format!(
            "Is it powered on and set to network boot first, and is this NIC cabled to one of these networks, in its VLAN? Slipway listens in \
             {networks}. A switch port that takes 30 s to start forwarding (spanning tree: make it an edge port) looks the same; a machine \
             behind a router needs a DHCP relay to this server."
        ),
    };
    format!("{since}{near} {place}")
}

fn listens(facts: &Facts<'_>, network: &NetworkStatus) -> String {
    let heard = match network.heard_at {
        None => "no DHCP message from anybody was heard there: is the server's own interface up and in the right VLAN, and UDP port 67 open?".to_owned(),
        Some(at) => format!("the last DHCP message from anybody there came {} s ago", facts.now.since(at) / 1000),
    };
    let (name, server, subnet) = (&network.name, network.server, &network.subnet);
    format!("{name} ({server} on {subnet}; {heard})")
}

fn nearest(facts: &Facts<'_>) -> String {
    let seconds = |at: &UnixMs| facts.now.since(*at) / 1000;
    let near = facts.near.iter().take(NEAR);
    let named: Vec<String> = near
        .map(|(mac, at)| format!("{mac} ({} s ago)", seconds(at)))
        .collect();
    match named.join(" and ") {
        none if none.is_empty() => none,
        named => format!(
            " But {named} was heard, which may be another port of the same machine: is the cable in the other port, or does the firmware boot \
             from that one?"
        ),
    }
}
