//! The status of the provisioning networks, and which loaders work on which NICs.

use askama::Template;
use inventory_api::UnixMs;
use inventory_api::loader::{LoaderModel, LoaderOverview};
use inventory_api::network::{
    NetworkEvent, NetworkState, NetworkStatus, NetworkV6Status, OtherServer, SilenceCount,
};

use super::{Shell, segment};
use words::text::Moment;
use words::text::boot::gives;
use words::text::{boot, duration};

/// Events shown per network, the newest ones.
const EVENTS: usize = 20;
/// NIC models shown.
const MODELS: usize = 100;

/// The networks page.
#[derive(Template)]
#[template(path = "networks.html")]
pub struct NetworksPage<'a> {
    /// Page frame.
    pub shell: Shell,
    /// One card each.
    pub networks: Vec<NetworkCard<'a>>,
    /// Loaders by NIC model.
    pub models: &'a [LoaderModel],
    /// Number of models not shown.
    pub more: usize,
    /// The server's clock.
    pub now: UnixMs,
}

/// One network.
pub struct NetworkCard<'a> {
    /// Its status.
    pub status: &'a NetworkStatus,
    /// Its name, percent-encoded as a URL path segment.
    pub key: String,
    /// What Slipway does there over IPv4.
    pub v4: Standing,
    /// What Slipway does there over IPv6; `None`: not configured.
    pub v6: Option<Standing>,
    /// Foreign DHCP servers, those for IPv4 first.
    pub servers: Vec<&'a OtherServer>,
    /// Unanswered messages by reason, the most frequent first.
    pub silences: Vec<&'a SilenceCount>,
}

/// What Slipway does in a network now.
pub struct Standing {
    /// In a few words.
    pub state: &'static str,
    /// Its colour.
    pub color: &'static str,
    /// What it means and, where something is to be done, what.
    pub sentence: &'static str,
    /// Label and value.
    pub facts: Vec<(&'static str, String)>,
}

impl<'a> NetworksPage<'a> {
    /// The page.
    pub fn new(
        shell: Shell,
        networks: &'a [NetworkStatus],
        loaders: &'a LoaderOverview,
        now: UnixMs,
    ) -> NetworksPage<'a> {
        let shown = loaders.models.len().min(MODELS);
        NetworksPage {
            shell,
            networks: networks.iter().map(NetworkCard::new).collect(),
            models: &loaders.models[..shown],
            more: loaders.models.len() - shown,
            now,
        }
    }
}

impl<'a> NetworkCard<'a> {
    fn new(n: &'a NetworkStatus) -> NetworkCard<'a> {
        let mut silences: Vec<_> = n.silences.iter().collect();
        silences.sort_by_key(|s| std::cmp::Reverse(s.count));
        let v6_servers = n.v6.iter().flat_map(|v6| &v6.servers);
        NetworkCard {
            status: n,
            key: segment(&n.name),
            v4: Standing::v4(n),
            v6: n.v6.as_ref().map(Standing::v6),
            servers: n.servers.iter().chain(v6_servers).collect(),
            silences,
        }
    }

    /// Events, newest first; bounded.
    pub fn events(&self) -> impl Iterator<Item = &NetworkEvent> {
        self.status.events.iter().rev().take(EVENTS)
    }
}

/// Why messages were not answered, and who sent the last one. There are no words for an unknown reason code.
fn silence_words(silence: &SilenceCount) -> String {
    let words = boot::silence(&silence.reason);
    let Some(last) = silence.senders.first() else {
        return words.to_owned();
    };
    let address = last.address.as_deref().unwrap_or("no address");
    let (kind, tells) = (last.hardware_type, boot::sender(last));
    format!("{words}; last: {address} (hardware type {kind}) {tells}")
}

impl Standing {
    fn v4(n: &NetworkStatus) -> Standing {
        let (state, color, sentence) = state(n.state);
        let strangers = (n.strangers > 0 || n.strangers_most.is_some()).then(|| {
            let most = n.strangers_most;
            let most = most.map_or(String::new(), |most| format!(", at most {most}"));
            format!("machines hold {}{most}", n.strangers)
        });
        let mut facts = vec![
            ("Subnet", n.subnet.clone()),
            ("Slipway is", n.server.to_string()),
            ("Mode", n.mode.clone()),
        ];
        facts.extend(in_use(n.held, n.pool));
        facts.extend(strangers.map(|words| ("Not enrolled", words)));
        facts.extend(not_usual(n.quarantined, n.watched));
        Standing {
            state,
            color,
            sentence,
            facts,
        }
    }

    fn v6(v6: &NetworkV6Status) -> Standing {
        let (state, color, sentence) = state(v6.state);
        let mut facts = vec![
            ("IPv6 prefix", v6.prefix.clone()),
            ("Slipway is", v6.server.to_string()),
            ("Mode", v6.mode.clone()),
        ];
        facts.extend(in_use(v6.held, v6.pool));
        facts.extend(not_usual(v6.quarantined, v6.watched));
        Standing {
            state,
            color,
            sentence: match v6.state {
                NetworkState::Observing => {
                    "Slipway listens to DHCPv6 and answers nothing: set mode in [network.v6] to server to give out addresses."
                }
                NetworkState::Refusing => {
                    "Another DHCPv6 server gives out addresses here: Slipway offers none beside it. Switch it off, or set \
                     on_foreign_server to warn."
                }
                NetworkState::Proxying
                | NetworkState::Looking
                | NetworkState::Serving
                | NetworkState::Unknown => sentence,
            },
            facts,
        }
    }
}

fn in_use(held: u64, pool: u64) -> Option<(&'static str, String)> {
    (pool > 0).then(|| ("In use", format!("{held} of {pool} addresses")))
}

fn not_usual(quarantined: u64, watched: bool) -> impl Iterator<Item = (&'static str, String)> {
    let quarantined = (quarantined > 0).then(|| ("Out of use", quarantined.to_string()));
    let deaf = (!watched).then(|| ("Other servers", "cannot be heard here".to_owned()));
    quarantined.into_iter().chain(deaf)
}

/// Word, colour and sentence of a state.
fn state(state: NetworkState) -> (&'static str, &'static str, &'static str) {
    match state {
        NetworkState::Observing => (
            "Observes",
            "azure",
            "Slipway listens and answers nothing: set mode to proxy or server to boot machines here.",
        ),
        NetworkState::Proxying => (
            "Boot data only",
            "teal",
            "Slipway gives boot data beside the DHCP server that gives the addresses.",
        ),
        NetworkState::Looking => (
            "Looks for other servers",
            "blue",
            "Slipway looks whether another DHCP server is there before it gives out addresses.",
        ),
        NetworkState::Serving => ("Serves", "green", "Slipway gives out addresses and boot data."),
        NetworkState::Refusing => (
            "Refuses",
            "red",
            "Another DHCP server gives out addresses here: Slipway offers none beside it. Switch it off, set mode to proxy, \
             or on_foreign_server to warn.",
        ),
        NetworkState::Unknown => ("?", "secondary", ""),
    }
}
