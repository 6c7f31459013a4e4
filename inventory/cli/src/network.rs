//! `slipway network`: state of the provisioning networks, and reservations.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use clap::{Args, Subcommand};
use inventory_api::network::{NetworkState, NetworkStatus, OtherServer, ReserveAddress};
use inventory_api::{Mac, routes};

use super::table::{Table, cell};
use super::{CliError, Remote};
use words::text::boot::{gives, sender};
use words::text::{tame, timestamp};

/// Most senders of unanswered messages shown.
const SENDERS: usize = 40;

/// `slipway network`.
#[derive(Debug, Args)]
pub struct NetworkArgs {
    #[command(subcommand)]
    command: Option<NetworkCommand>,
}

/// Subcommands of `slipway network`.
#[derive(Debug, Subcommand)]
pub enum NetworkCommand {
    /// List the networks: mode, addresses in use, other DHCP servers
    List,
    /// Show one network: other DHCP servers, reservations, events
    Show {
        /// Name in the configuration
        name: String,
    },
    /// Reserve an address for a machine until it is retired
    Reserve {
        /// Name of the network
        name: String,
        /// MAC of the machine's NIC
        mac: Mac,
        /// Address
        address: Ipv4Addr,
    },
    /// Offer an address again that is quarantined because somebody used or declined it
    Unquarantine {
        /// Name of the network
        name: String,
        /// Address
        address: Ipv4Addr,
    },
    /// Remove the reservation of a machine
    Unreserve {
        /// Name of the network
        name: String,
        /// MAC of the machine's NIC
        mac: Mac,
    },
}

pub(super) async fn run(args: NetworkArgs, remote: &Remote) -> Result<String, CliError> {
    let client = &remote.client;
    let (network, done) = match args.command.unwrap_or(NetworkCommand::List) {
        NetworkCommand::List => {
            let networks = client.list(routes::NETWORKS, [], &()).await?;
            return remote.answer(&networks, |networks| list(networks));
        }
        NetworkCommand::Show { name } => {
            let networks = client.list(routes::NETWORKS, [], &()).await?;
            let Some(network) = networks.iter().find(|n| n.name == name) else {
                let names: Vec<&str> = networks.iter().map(|n| n.name.as_str()).collect();
                let names = names.join(", ");
                return Err(CliError::failed(format!(
                    "there is no network {name:?}; networks are: {names}"
                )));
            };
            return remote.answer(network, show);
        }
        NetworkCommand::Reserve { name, mac, address } => (
            client
                .send(
                    routes::RESERVE,
                    [&name, &mac.to_string()],
                    &ReserveAddress { address },
                )
                .await?,
            format!("{address} of {name} is reserved for {mac}\n"),
        ),
        NetworkCommand::Unquarantine { name, address } => (
            client
                .ask(routes::END_QUARANTINE, [&name, &address.to_string()])
                .await?,
            format!("{address} of {name} can be given out again\n"),
        ),
        NetworkCommand::Unreserve { name, mac } => (
            client.ask(routes::UNRESERVE, [&name, &mac.to_string()]).await?,
            format!("no address of {name} is reserved for {mac}\n"),
        ),
    };
    remote.answer(&network, |_| done)
}

fn state(state: NetworkState) -> &'static str {
    match state {
        NetworkState::Observing => "observes",
        NetworkState::Proxying => "boot data only",
        NetworkState::Looking => "looks for other servers",
        NetworkState::Serving => "serves",
        NetworkState::Refusing => "REFUSES",
        NetworkState::Unknown => "?",
    }
}

fn list(networks: &[NetworkStatus]) -> String {
    if networks.is_empty() {
        return "No networks: the server's configuration has no [[network]].\n".to_owned();
    }
    let heading = [
        "NETWORK",
        "SERVER",
        "SUBNET",
        "MODE",
        "STATE",
        "IN USE",
        "POOL",
        "OTHER SERVERS",
    ];
    let mut table = Table::new(&heading);
    let others = |servers: &[OtherServer]| {
        let all: Vec<String> = servers.iter().map(|s| s.address.to_string()).collect();
        all.join(" ")
    };
    for n in networks {
        table.row([
            n.name.clone(),
            n.server.to_string(),
            n.subnet.clone(),
            n.mode.clone(),
            state(n.state).to_owned(),
            n.held.to_string(),
            n.pool.to_string(),
            others(&n.servers),
        ]);
        if let Some(v6) = &n.v6 {
            table.row([
                format!("{} (IPv6)", n.name),
                v6.server.to_string(),
                v6.prefix.clone(),
                v6.mode.clone(),
                state(v6.state).to_owned(),
                v6.held.to_string(),
                v6.pool.to_string(),
                others(&v6.servers),
            ]);
        }
    }
    let mut text = table.text(0);
    let mut said = BTreeSet::new();
    for missing in networks.iter().flat_map(|n| &n.missing) {
        if said.insert(&missing.sentence) {
            text.push_str(&format!("\n{}\n", tame(&missing.sentence, 600)));
        }
    }
    text
}

fn show(n: &NetworkStatus) -> String {
    let mut text = summary(n);
    for table in tables(n) {
        text.push_str(&table.part(0));
    }
    if !n.events.is_empty() {
        text.push('\n');
    }
    for e in &n.events {
        let (kind, detail) = (tame(&e.kind, 40), tame(&e.detail, 400));
        text.push_str(&format!("{}  {kind}: {detail}\n", timestamp(e.at)));
    }
    text
}

fn summary(n: &NetworkStatus) -> String {
    let mut text = format!(
        "{} ({}, server {}): mode {}, {}\n  {} addresses in the pools, {} offered or in use, {} quarantined\n",
        n.name,
        n.subnet,
        n.server,
        n.mode,
        state(n.state),
        n.pool,
        n.held,
        n.quarantined
    );
    if let Some(most) = n.strangers_most {
        text.push_str(&format!(
            "  {} held by machines that nobody enrolled, which may hold {most}\n",
            n.strangers
        ));
    }
    for missing in &n.missing {
        text.push_str(&format!("  {}\n", tame(&missing.sentence, 600)));
    }
    if !n.watched {
        text.push_str("  other DHCP servers cannot be heard here\n");
    }
    if let Some(v6) = &n.v6 {
        text.push_str(&format!(
            "  IPv6: {}, server {}: mode {}, {}\n  {} IPv6 addresses in the pools, {} offered or in use, {} quarantined\n",
            v6.prefix,
            v6.server,
            v6.mode,
            state(v6.state),
            v6.pool,
            v6.held,
            v6.quarantined
        ));
        if !v6.watched {
            text.push_str("  other DHCPv6 servers cannot be heard here\n");
        }
    }
    text
}

fn tables(n: &NetworkStatus) -> [Table; 6] {
    let v6_servers = n.v6.iter().flat_map(|v6| &v6.servers);
    let senders = n
        .silences
        .iter()
        .flat_map(|s| s.senders.iter().map(move |sender| (s, sender)));
    [
        Table::of(
            n.servers.iter().chain(v6_servers),
            &[
                ("OTHER SERVER", &|s| s.address.to_string()),
                ("MAC", &|s| s.mac.to_string()),
                ("GIVES", &|s| tame(&gives(s), 86)),
                ("FIRST HEARD", &|s| timestamp(s.first_seen)),
                ("LAST HEARD", &|s| timestamp(s.last_seen)),
            ],
        ),
        Table::of(
            &n.reservations,
            &[
                ("MAC", &|r| r.mac.to_string()),
                ("RESERVED ADDRESS", &|r| r.address.to_string()),
                ("BY", &|r| {
                    if r.configured { "configuration" } else { "API" }.to_owned()
                }),
            ],
        ),
        Table::of(
            &n.quarantined_addresses,
            &[
                ("QUARANTINED", &|q| q.address.to_string()),
                ("USED BY", &|q| q.mac.to_string()),
                ("UNTIL", &|q| timestamp(q.until)),
            ],
        ),
        Table::of(
            &n.silences,
            &[
                ("NOT ANSWERED", &|s| tame(&s.reason, 40)),
                ("MESSAGES", &|s| s.count.to_string()),
                ("LAST", &|s| timestamp(s.last)),
            ],
        ),
        Table::of(
            senders.take(SENDERS),
            &[
                ("SENT BY", &|(_, one)| {
                    one.address.clone().unwrap_or_else(|| "no address".to_owned())
                }),
                ("REASON", &|(silence, _)| tame(&silence.reason, 40)),
                ("TYPE", &|(_, one)| one.hardware_type.to_string()),
                ("WHAT IT TELLS", &|(_, one)| tame(&sender(one), 120)),
                ("LAST", &|(_, one)| timestamp(one.last)),
            ],
        ),
        Table::of(
            &n.visitors,
            &[
                ("ASKS AND DOES NOT BOOT", &|v| v.mac.to_string()),
                ("ADDRESS", &|v| cell(&v.address)),
                ("WHAT IT IS", &|v| tame(&v.who, 80)),
                ("LAST", &|v| timestamp(v.last)),
            ],
        ),
    ]
}
