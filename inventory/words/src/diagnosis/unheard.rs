//! A machine that has sent no message that can be answered.

use inventory_api::UnixMs;
use inventory_api::network::{NetworkStatus, Sender};
use netboot_protocol::INFINIBAND;
use netboot_protocol::Unanswered;

use super::Facts;

/// Number of similar NICs named.
const NEAR: usize = 3;

/// Messages that cannot be answered because of their form, such as InfiniBand's, and when the last was heard.
/// `None`: there are none.
pub(super) fn by_form(facts: &Facts<'_>) -> Option<(UnixMs, String)> {
    let of = |network: &NetworkStatus| -> Vec<(Sender, String, String)> {
        let all = network.silences.iter().flat_map(|silence| {
            let named = |sender: &Sender| (sender.clone(), silence.reason.clone(), network.name.clone());
            silence.senders.iter().map(named).collect::<Vec<_>>()
        });
        all.collect()
    };
    let all = facts.networks.iter().flat_map(of);
    let (sender, reason, network) = all
        .filter(|(sender, ..)| is(facts, sender))
        .max_by_key(|(sender, ..)| sender.last)?;
    let ago = facts.now.since(sender.last) / 1000;
    let relay = sender
        .relay
        .map_or(String::new(), |relay| format!(" through the relay {relay}"));
    let said = if sender.hardware_type == INFINIBAND {
        let guid = sender.guid.or(facts.guid);
        let who = match (guid, &sender.client_id, &sender.address) {
            (Some(guid), ..) => format!("port GUID {guid}"),
            (None, Some(id), _) => format!("client identifier {id}"),
            (None, None, Some(address)) => format!("address {address}"),
            (None, None, None) => "no address".to_owned(),
        };
        format!(
            "It asks by InfiniBand (hardware type 32, {who}), heard {ago} s ago in network {network}{relay}; Slipway boots by Ethernet only: \
             set the port to Ethernet (mlxconfig: LINK_TYPE_P1=ETH) or boot another NIC."
        )
    } else {
        let words = Unanswered::of(&reason).map_or("", Unanswered::words);
        format!(
            "What it sends is no DHCP message that can be answered, heard {ago} s ago in network {network}{relay} (hardware type {}): {words} \
             ({reason}). Set the firmware to PXE or HTTP boot over Ethernet.",
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
        Some(_) => format!("Nothing was heard from {mac} since the server started."),
        None => format!("Nothing was ever heard from {mac}."),
    };
    let near = nearest(facts);
    let listening: Vec<String> = facts
        .networks
        .iter()
        .map(|network| listens(facts, network))
        .collect();
    let place = if listening.is_empty() {
        " This server has no [[network]]: it answers nobody. Add one to slipway.toml.".to_owned()
    } else {
        format!(
            " Is it powered on, set to network boot first, and is this NIC cabled to one of these networks, in its VLAN? Slipway listens in {}. \
             A switch port that takes 30 s to forward (spanning tree: make it an edge port) looks the same; a machine behind a router needs a \
             DHCP relay to this server.",
            listening.join("; ")
        )
    };
    format!("{since}{near}{place}")
}

fn listens(facts: &Facts<'_>, network: &NetworkStatus) -> String {
    let heard = match network.heard_at {
        None => "no DHCP message of anybody was heard there: is the server's own interface up and in the right VLAN, and UDP port 67 open?".to_owned(),
        Some(at) => format!("the last DHCP message of anybody there came {} s ago", facts.now.since(at) / 1000),
    };
    format!(
        "{} ({} on {}; {heard})",
        network.name, network.server, network.subnet
    )
}

fn nearest(facts: &Facts<'_>) -> String {
    let named: Vec<String> = facts
        .near
        .iter()
        .take(NEAR)
        .map(|(mac, at)| format!("{mac} ({} s ago)", facts.now.since(*at) / 1000))
        .collect();
    if named.is_empty() {
        return String::new();
    }
    format!(
        " But {} was heard, which may be another port of the same machine: is the cable in the other port, or does the firmware boot by it?",
        named.join(" and ")
    )
}
