//! The provisioning networks as they stand, and which loaders work on which NICs.

use askama::Template;
use inventory_api::UnixMs;
use inventory_api::loader::{LoaderModel, LoaderOverview};
use inventory_api::network::{Gives, NetworkState, NetworkStatus, NetworkV6Status};

use super::{Moment, Shell, segment};
use crate::text::boot::{sender, silence};
use crate::text::duration;

/// Events of a network that are shown, the newest.
const EVENTS: usize = 20;
/// Models of NICs that are shown.
const MODELS: usize = 100;

/// The networks.
#[derive(Template)]
#[template(path = "networks.html")]
pub struct NetworksPage {
    /// Around it.
    pub shell: Shell,
    /// The networks.
    pub networks: Vec<NetworkCard>,
    /// Loaders by NIC model.
    pub models: Vec<ModelRow>,
    /// Models that are not shown.
    pub more: usize,
}

/// One network.
pub struct NetworkCard {
    /// Name.
    pub name: String,
    /// The same as a segment of an address.
    pub key: String,
    /// What it does now, in a word.
    pub state: &'static str,
    /// Colour of that.
    pub color: &'static str,
    /// What that means.
    pub sentence: &'static str,
    /// Label and value.
    pub facts: Vec<(&'static str, String)>,
    /// DHCPv6, where it is configured.
    pub v6: Option<V6Part>,
    /// Other DHCP servers, by IPv4 and IPv6.
    pub servers: Vec<ServerRow>,
    /// Reserved addresses.
    pub reservations: Vec<ReservationRow>,
    /// Addresses out of use.
    pub quarantined: Vec<QuarantineRow>,
    /// What keeps machines from booting there.
    pub missing: Vec<String>,
    /// What was not answered.
    pub silences: Vec<SilenceRow>,
    /// Who asks and does not boot.
    pub visitors: Vec<VisitorRow>,
    /// What happened, newest first.
    pub events: Vec<EventRow>,
}

/// DHCPv6 of a network.
pub struct V6Part {
    /// What it does now, in a word.
    pub state: &'static str,
    /// Colour of that.
    pub color: &'static str,
    /// What that means.
    pub sentence: &'static str,
    /// Label and value.
    pub facts: Vec<(&'static str, String)>,
}

/// Another DHCP server.
pub struct ServerRow {
    /// Address.
    pub address: String,
    /// Link address.
    pub mac: String,
    /// What it gives.
    pub gives: String,
    /// First heard.
    pub first: Moment,
    /// Last heard.
    pub last: Moment,
}

/// A reserved address.
pub struct ReservationRow {
    /// The machine's NIC.
    pub mac: String,
    /// Address.
    pub address: String,
    /// It stands in the configuration, and can be ended only there.
    pub configured: bool,
}

/// An address that is out of use.
pub struct QuarantineRow {
    /// Address.
    pub address: String,
    /// Who uses it.
    pub mac: String,
    /// Until when, in words.
    pub left: String,
}

/// Messages that were not answered for one reason.
pub struct SilenceRow {
    /// Code.
    pub reason: String,
    /// The same in words, with who sent the last; empty for one that there are none for.
    pub words: String,
    /// How many.
    pub count: u64,
    /// The last one.
    pub last: Moment,
}

/// Who asks and does not boot.
pub struct VisitorRow {
    /// Its NIC.
    pub mac: String,
    /// Its address, or empty.
    pub address: String,
    /// What it is.
    pub who: String,
    /// When it was heard last.
    pub last: Moment,
}

/// Something that happened.
pub struct EventRow {
    /// When.
    pub at: Moment,
    /// Code.
    pub kind: String,
    /// In words.
    pub detail: String,
}

/// What became of the loaders on NICs of one model.
pub struct ModelRow {
    /// PCI id, or start of the MAC.
    pub model: String,
    /// What that is.
    pub kind: &'static str,
    /// File, worked, failed.
    pub loaders: Vec<(String, u32, u32)>,
}

impl NetworksPage {
    /// The page.
    pub fn new(
        shell: Shell,
        networks: &[NetworkStatus],
        loaders: &LoaderOverview,
        now: UnixMs,
    ) -> NetworksPage {
        NetworksPage {
            shell,
            networks: networks.iter().map(|n| NetworkCard::new(n, now)).collect(),
            models: loaders.models.iter().take(MODELS).map(model_row).collect(),
            more: loaders.models.len().saturating_sub(MODELS),
        }
    }
}

fn model_row(model: &LoaderModel) -> ModelRow {
    let loaders = model.loaders.iter();
    ModelRow {
        model: model.model.clone(),
        kind: match model.kind.as_str() {
            "pci" => "PCI id",
            _ => "start of the MAC",
        },
        loaders: loaders.map(|t| (t.loader.clone(), t.worked, t.failed)).collect(),
    }
}

impl NetworkCard {
    fn new(n: &NetworkStatus, now: UnixMs) -> NetworkCard {
        let (state, color, sentence) = state(n.state);
        let mut facts = vec![
            ("Subnet", n.subnet.clone()),
            ("Slipway is", n.server.to_string()),
            ("Mode", n.mode.clone()),
        ];
        if n.pool > 0 {
            facts.push(("In use", format!("{} of {} addresses", n.held, n.pool)));
        }
        if n.strangers > 0 || n.strangers_most.is_some() {
            let most = n
                .strangers_most
                .map_or(String::new(), |most| format!(", at most {most}"));
            facts.push(("Not enrolled", format!("machines hold {}{most}", n.strangers)));
        }
        if n.quarantined > 0 {
            facts.push(("Out of use", n.quarantined.to_string()));
        }
        if !n.watched {
            facts.push(("Other servers", "cannot be heard here".to_owned()));
        }
        let server = |s: &inventory_api::network::OtherServer| ServerRow {
            address: s.address.to_string(),
            mac: s.mac.to_string(),
            gives: {
                let gives = match s.gives {
                    Gives::Addresses => "addresses",
                    Gives::BootData => "boot data",
                    Gives::Unknown => "?",
                };
                let file = s.boot_file.as_ref();
                file.map_or(gives.to_owned(), |file| format!("{gives}, boot file {file}"))
            },
            first: Moment::new(s.first_seen, now),
            last: Moment::new(s.last_seen, now),
        };
        let mut silences: Vec<SilenceRow> = n
            .silences
            .iter()
            .map(|s| SilenceRow {
                reason: s.reason.clone(),
                words: match s.senders.first() {
                    None => silence(&s.reason).to_owned(),
                    Some(last) => {
                        let address = last.address.as_deref().unwrap_or("no address");
                        let kind = last.hardware_type;
                        let tells = sender(last);
                        format!(
                            "{}; last: {address} (hardware type {kind}) {tells}",
                            silence(&s.reason)
                        )
                    }
                },
                count: s.count,
                last: Moment::new(s.last, now),
            })
            .collect();
        silences.sort_by_key(|s| std::cmp::Reverse(s.count));
        NetworkCard {
            name: n.name.clone(),
            key: segment(&n.name),
            state,
            color,
            sentence,
            facts,
            v6: n.v6.as_ref().map(V6Part::new),
            servers: n
                .servers
                .iter()
                .chain(n.v6.iter().flat_map(|v6| &v6.servers))
                .map(server)
                .collect(),
            reservations: n
                .reservations
                .iter()
                .map(|r| ReservationRow {
                    mac: r.mac.to_string(),
                    address: r.address.to_string(),
                    configured: r.configured,
                })
                .collect(),
            quarantined: n
                .quarantined_addresses
                .iter()
                .map(|q| QuarantineRow {
                    address: q.address.to_string(),
                    mac: q.mac.to_string(),
                    left: duration(q.until.since(now)),
                })
                .collect(),
            missing: n.missing.clone(),
            silences,
            visitors: n
                .visitors
                .iter()
                .map(|v| VisitorRow {
                    mac: v.mac.to_string(),
                    address: v.address.map(|ip| ip.to_string()).unwrap_or_default(),
                    who: v.who.clone(),
                    last: Moment::new(v.last, now),
                })
                .collect(),
            events: n
                .events
                .iter()
                .rev()
                .take(EVENTS)
                .map(|e| EventRow {
                    at: Moment::new(e.at, now),
                    kind: e.kind.clone(),
                    detail: e.detail.clone(),
                })
                .collect(),
        }
    }
}

impl V6Part {
    fn new(v6: &NetworkV6Status) -> V6Part {
        let (state, color, sentence) = state(v6.state);
        let mut facts = vec![
            ("IPv6 prefix", v6.prefix.clone()),
            ("Slipway is", v6.server.to_string()),
            ("Mode", v6.mode.clone()),
        ];
        if v6.pool > 0 {
            facts.push(("In use", format!("{} of {} addresses", v6.held, v6.pool)));
        }
        if v6.quarantined > 0 {
            facts.push(("Out of use", v6.quarantined.to_string()));
        }
        if !v6.watched {
            facts.push(("Other servers", "cannot be heard here".to_owned()));
        }
        V6Part {
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

/// What a network does now: word, colour, sentence.
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
