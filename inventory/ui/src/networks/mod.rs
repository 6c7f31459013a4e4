//! The provisioning networks: what Slipway does there, and which loaders work on which NICs.

use std::net::Ipv4Addr;

use askama::Template;
use inventory_api::Mac;
use inventory_api::loader::LoaderOverview;
use inventory_api::network::{NetworkState, NetworkStatus, OtherServer, SilenceCount};

use super::page::{Page, Shell, go_to, html};
use super::session::SignedIn;
use words::text::boot::{gives, sender, silence};
use words::text::{duration, segment};

/// The newest events of a network, and NIC models, that are shown.
const EVENTS: usize = 20;
const MODELS: usize = 100;

#[derive(Template)]
#[template(path = "networks/networks.html")]
pub(crate) struct NetworksPage<'a> {
    pub(crate) shell: Shell,
    pub(crate) networks: &'a [NetworkStatus],
    pub(crate) loaders: &'a LoaderOverview,
}

pub(crate) async fn page(at: SignedIn) -> Page {
    Ok(html(NetworksPage {
        shell: at.shell("Networks", "Networks"),
        networks: &at.service.networks(),
        loaders: &at.service.loaders(),
    }))
}

/// Foreign DHCP servers, those for IPv4 first.
fn servers(n: &NetworkStatus) -> Vec<&OtherServer> {
    let v6 = n.v6.iter().flat_map(|v6| &v6.servers);
    n.servers.iter().chain(v6).collect()
}

/// Unanswered messages by reason, the most frequent first.
fn silences(n: &NetworkStatus) -> Vec<&SilenceCount> {
    let mut silences: Vec<_> = n.silences.iter().collect();
    silences.sort_by_key(|s| std::cmp::Reverse(s.count));
    silences
}

/// Why messages were not answered, and who sent the last one. There are no words for an unknown reason code.
fn silence_words(count: &SilenceCount) -> String {
    let words = silence(&count.reason);
    let Some(last) = count.senders.first() else {
        return words.to_owned();
    };
    let address = last.address.as_deref().unwrap_or("no address");
    let (kind, id) = (last.hardware_type, sender(last));
    format!("{words}; last: {address} (hardware type {kind}) {id}")
}

/// Word and colour of what Slipway does in a network now.
fn state_words(state: NetworkState) -> (&'static str, &'static str) {
    match state {
        NetworkState::Observing => ("Observing", "azure"),
        NetworkState::Proxying => ("Boot data only", "teal"),
        NetworkState::Looking => ("Looking for other servers", "blue"),
        NetworkState::Serving => ("Serving", "green"),
        NetworkState::Refusing => ("Refusing", "red"),
        NetworkState::Unknown => ("?", "secondary"),
    }
}

/// What the state means, and what to do about it.
fn explained(state: NetworkState, v6: bool) -> &'static str {
    match (state, v6) {
        (NetworkState::Observing, false) => {
            "Slipway listens and answers nothing: set mode to proxy or server to boot machines here."
        }
        (NetworkState::Observing, true) => {
            "Slipway listens to DHCPv6 and answers nothing: set mode in [network.v6] to server to hand out addresses."
        }
        (NetworkState::Proxying, _) => {
            "Slipway gives boot data beside the DHCP server that hands out addresses."
        }
        (NetworkState::Looking, _) => "Slipway checks for other DHCP servers before it hands out addresses.",
        (NetworkState::Serving, _) => "Slipway hands out addresses and boot data.",
        (NetworkState::Refusing, false) => {
            "Another DHCP server hands out addresses here, so Slipway offers none. Switch it off, or set mode to proxy or on_foreign_server to warn."
        }
        (NetworkState::Refusing, true) => {
            "Another DHCPv6 server hands out addresses here, so Slipway offers none. Switch it off, or set on_foreign_server to warn."
        }
        (NetworkState::Unknown, _) => "",
    }
}

pub(crate) async fn unreserve(at: SignedIn<(String, Mac)>) -> Page {
    let (network, mac) = &at.path;
    at.service.reserve(network, *mac, None, &at.actor).await?;
    go_to(&format!("/networks#{}", segment(network)))
}

pub(crate) async fn end_quarantine(at: SignedIn<(String, Ipv4Addr)>) -> Page {
    let (network, address) = &at.path;
    at.service.end_quarantine(network, *address, &at.actor).await?;
    go_to(&format!("/networks#{}", segment(network)))
}

pub(crate) async fn forget_model(at: SignedIn<String>) -> Page {
    at.service.forget_model(&at.path, &at.actor).await?;
    go_to("/networks#loaders")
}
