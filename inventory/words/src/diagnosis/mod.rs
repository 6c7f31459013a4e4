//! `slipway explain`: how far a machine got, what holds it up and what to do, from everything that is known
//! about it. Pure: the caller gathers the facts, including the time.

mod agent;
mod asked;
mod attempt;
mod dhcp;
mod fetch;
mod silence;
mod unheard;

use std::fmt;
use std::net::IpAddr;

use inventory_api::boot::{BootEvent, BootEventKind, BootTarget, Purpose, RunningTransfer};
use inventory_api::machine::{MachineState, MachineSummary};
use inventory_api::network::{Gives, Missing, NetworkStatus, OtherServer};
use inventory_api::{Guid, Mac, UnixMs};
use serde::Serialize;
use uuid::Uuid;

use attempt::Attempt;
pub(crate) use attempt::is_fetched;

/// Silence of this length is worth reporting, in seconds.
const QUIET: u64 = 60;
/// A transfer without progress for this long has stopped, in seconds.
const STOPPED: u64 = 5;
/// Two UUIDs heard from one MAC within this time mean two machines that are both there, in milliseconds.
const TWINS_MS: u64 = 15 * 60_000;

/// Ports of this server.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// TFTP.
    pub tftp: u16,
    /// HTTP boot.
    pub http: u16,
    /// TLS: API and agents.
    pub api: u16,
}

/// Everything that is known about a NIC and its machine.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The NIC in question.
    pub mac: Mac,
    /// Its GUID, if the question was asked by GUID.
    pub guid: Option<Guid>,
    /// Its journey, oldest first.
    pub events: &'a [BootEvent],
    /// Running transfers to its addresses.
    pub running: &'a [RunningTransfer],
    /// Its machine; `None`: not enrolled.
    pub machine: Option<&'a MachineSummary>,
    /// Status of all networks.
    pub networks: &'a [NetworkStatus],
    /// NICs that were heard and have a MAC close to this one or belong to the same machine, with the time.
    pub near: &'a [(Mac, UnixMs)],
    /// What is known about its loaders, as a sentence.
    pub loaders: Option<&'a str>,
    /// This server's ports.
    pub ports: Ports,
    /// The time.
    pub now: UnixMs,
}

/// How far a machine got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Nothing was heard that could be answered.
    Unheard,
    /// It asks for an address and is not answered.
    Asks,
    /// It was offered an address.
    Offered,
    /// It has an address.
    Addressed,
    /// It requests its loader, or is loading it.
    Loader,
    /// It has loaded its loader completely.
    Loaded,
    /// It was given its boot script.
    Script,
    /// It is loading kernel and archives.
    Kernel,
    /// It has loaded all of them, or the mini-os was heard.
    MiniOs,
    /// Its agent was heard.
    Agent,
    /// It boots its own disk.
    Disk,
}

impl fmt::Display for Stage {
    /// Stable short code; docs/boot.md has the list.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// The result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// How far the machine got.
    pub stage: Stage,
    /// What is wrong and what to do, the main sentence first.
    pub sentences: Vec<String>,
}

impl Diagnosis {
    /// All sentences as one text.
    pub fn text(&self) -> String {
        self.sentences.join(" ")
    }
}

/// Says how far the machine got and what to look at.
pub fn diagnose(facts: &Facts<'_>) -> Diagnosis {
    let unheard = unheard::by_form(facts);
    let unheard_by_form = unheard.is_some();
    let (stage, main) = match (facts.events.last(), unheard) {
        (last, Some((at, said))) if last.is_none_or(|last| last.at < at) => (Stage::Unheard, said),
        (None, _) => (Stage::Unheard, unheard::nothing(facts)),
        (Some(_), _) => heard(facts),
    };
    let mut sentences = vec![main];
    sentences.extend(twins(facts.events));
    let before_script = stage < Stage::Script;
    sentences.extend(facts.loaders.map(str::to_owned));
    // Slipway leaves a retired machine alone on purpose.
    let wanted = facts
        .machine
        .is_none_or(|m| m.status.state != MachineState::Retired);
    if before_script && wanted {
        let here = facts
            .events
            .iter()
            .rev()
            .find_map(|event| event.network.as_deref());
        let concerned = |network: &&NetworkStatus| here.is_none_or(|name| name == network.name);
        let lacks = facts.networks.iter().filter(concerned).flat_map(|n| &n.missing);
        for missing in lacks.filter(|missing| concerns(missing, facts.events, unheard_by_form)) {
            if !sentences.contains(&missing.sentence) {
                sentences.push(missing.sentence.clone());
            }
        }
    }
    match facts.machine {
        Some(machine) => sentences.push(machine.status.sentence.clone()),
        None if facts.events.is_empty() || stage <= Stage::Asks => {}
        None => sentences.push("No machine with this MAC is enrolled yet.".to_owned()),
    }
    Diagnosis { stage, sentences }
}

/// Whether something missing concerns this machine, by the architecture that its firmware last asked with.
/// iPXE and the mini-os do not tell theirs. A client that does not netboot lacks nothing. If no firmware was
/// heard, assume x86-64, unless its messages cannot be answered because of their form.
fn concerns(missing: &Missing, events: &[BootEvent], unheard_by_form: bool) -> bool {
    let Some(architecture) = missing.architecture.as_deref() else {
        return true;
    };
    let mut asked = events
        .iter()
        .rev()
        .filter_map(asked::asked)
        .map(|asked| asked.client);
    match asked.find(|client| !matches!(*client, "ipxe" | "slipway")) {
        Some("bios" | "uefi-x64" | "uefi-x64-http") => architecture == "x86-64",
        Some("uefi-arm64" | "uefi-arm64-http") => architecture == "arm64",
        Some(_) => false,
        None => architecture == "x86-64" && !unheard_by_form,
    }
}

/// Judges by the last attempt, or by the one before it if that got further and the last has only just begun.
fn heard(facts: &Facts<'_>) -> (Stage, String) {
    let attempts = attempt::split(facts.events);
    let mut all = attempts.iter().rev().map(|events| Attempt::new(events));
    let Some(last) = all.next() else {
        return (Stage::Unheard, unheard::nothing(facts));
    };
    let before = all.next().filter(|before| {
        let begun = last.events.first().map_or(facts.now, |event| event.at);
        last.has_only_begun()
            && before.reach() > last.reach()
            && last.reach() <= Stage::Offered
            && facts.now.since(begun) < QUIET * 500
    });
    match before {
        Some(before) if before.reach() < Stage::Agent && before.reach() != Stage::Disk => {
            let (stage, said) = conclude(facts, &before);
            (stage, format!("It is starting over now; the last time: {said}"))
        }
        _ => conclude(facts, &last),
    }
}

/// How an attempt ended, or how far it is.
fn conclude(facts: &Facts<'_>, attempt: &Attempt<'_>) -> (Stage, String) {
    let last = attempt.last;
    let stage = attempt.reach();
    if let Some(said) = agent::of(facts, attempt) {
        return said;
    }
    let begun = attempt.events.first().map_or(UnixMs(0), |event| event.at);
    let running = facts.running.iter().filter(|one| one.begun >= begun);
    if let Some(one) = running.max_by_key(|one| one.begun) {
        return (stage.max(Stage::Loader), fetch::running(facts, attempt, one));
    }
    let said = match &last.what {
        BootEventKind::Dhcp { .. } => return dhcp::of(facts, attempt),
        BootEventKind::Tftp {
            file,
            bytes,
            end,
            block,
            ..
        } => fetch::tftp(facts, attempt, file, *bytes, *end, *block),
        BootEventKind::Http { .. } => fetch::http(facts, attempt),
        BootEventKind::Connection { port, end, .. } => agent::connection(facts, last, *port, *end),
        BootEventKind::Agent { .. } => String::new(),
        BootEventKind::Chosen {
            choice,
            refused: Some(why),
        } => format!("Somebody at its console chose {choice}, but that was refused: {why}."),
        BootEventKind::Chosen {
            choice,
            refused: None,
        } => format!("Somebody at its console chose {choice} in the boot menu."),
        BootEventKind::Script { target } => script(facts, attempt, *target),
    };
    (stage, said)
}

/// It was given a boot script and has done nothing since.
fn script(facts: &Facts<'_>, attempt: &Attempt<'_>, target: BootTarget) -> String {
    let (ago, server) = (facts.ago(attempt.last), facts.server(attempt.last));
    match target {
        BootTarget::MiniOs {
            purpose: Purpose::Rescue,
        } => format!("It was given the rescue system {ago} s ago, as somebody at its console chose."),
        BootTarget::MiniOs { purpose } => format!(
            "It was given the boot script {ago} s ago (mini-os, to {purpose}), but has not asked for its kernel. If this does not change, the \
             loader hangs, or a transfer from {server} (HTTP: TCP port {}, or TFTP) breaks off: look at the machine's console.",
            facts.ports.http
        ),
        BootTarget::LocalDisk => local_disk(facts, ago),
        BootTarget::Ignore => silence::ignored(facts),
    }
}

/// It was told to boot its own disk.
fn local_disk(facts: &Facts<'_>, ago: u64) -> String {
    let told = format!("It was told to boot its own disk {ago} s ago");
    let Some(machine) = facts.machine else {
        return format!("{told}.");
    };
    let (state, mac) = (&machine.status.state, facts.mac);
    match state {
        MachineState::Deployed => {
            format!("{told}: it is deployed. Its agent should be heard next; if not, look at its console.")
        }
        MachineState::New => format!(
            "{told}: nobody has decided about it yet. `slipway machine commission {mac}` checks it at its next boot."
        ),
        _ => format!("{told}: it is {state}."),
    }
}

/// Two machines with one MAC: two UUIDs asked within minutes. `None`: there is no sign of that.
fn twins(events: &[BootEvent]) -> Option<String> {
    let asked = |event: &BootEvent| match &event.what {
        BootEventKind::Dhcp { facts, .. } => Some((event.at, facts.uuid.clone()?, facts.relay)),
        _ => None,
    };
    let seen: Vec<_> = events.iter().filter_map(asked).collect();
    let (last_at, last, last_by) = seen.last()?;
    let (_, other, other_by) = seen
        .iter()
        .rev()
        .find(|(at, other, _)| !same_uuid(other, last) && last_at.since(*at) < TWINS_MS)?;
    let by = |relay: &Option<IpAddr>| relay.map_or(String::new(), |relay| format!(" (by relay {relay})"));
    let (last_by, other_by) = (by(last_by), by(other_by));
    Some(format!(
        "Two machines ask with this MAC: one has the UUID {last}{last_by}, the other {other}{other_by}. Restore one NIC's own address (it was \
         cloned or set by hand), or unplug one."
    ))
}

/// Compares UUIDs. Firmware and loader may write the first three fields in different byte orders.
fn same_uuid(a: &str, b: &str) -> bool {
    match (a.parse::<Uuid>(), b.parse::<Uuid>()) {
        (Ok(a), Ok(b)) => a == b || Uuid::from_bytes_le(*a.as_bytes()) == b,
        _ => a == b,
    }
}

impl Facts<'_> {
    fn ago(&self, event: &BootEvent) -> u64 {
        self.now.since(event.at) / 1000
    }

    /// The network of an event; if the event names none, the only configured one.
    fn network(&self, event: &BootEvent) -> Option<&NetworkStatus> {
        match (&event.network, self.networks) {
            (Some(name), networks) => networks.iter().find(|network| network.name == *name),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }

    /// The name of that network; "NAME" if unknown.
    fn network_name(&self, event: &BootEvent) -> &str {
        self.network(event).map_or("NAME", |network| &network.name)
    }

    /// Our address in the network of an event, such as "10.77.0.1".
    fn server(&self, event: &BootEvent) -> String {
        match (self.network(event), event.ip) {
            (Some(NetworkStatus { v6: Some(v6), .. }), Some(IpAddr::V6(_))) => v6.server.to_string(),
            (Some(network), _) => network.server.to_string(),
            (None, _) => "this server".to_owned(),
        }
    }
}

/// The last part of a path.
fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// "10.77.0.9 (02:00:00:00:00:09), which gives addresses and the boot file x": the chosen servers; `None`:
/// there are none.
fn name_servers(network: Option<&NetworkStatus>, which: impl Fn(&&OtherServer) -> bool) -> Option<String> {
    let one = |server: &OtherServer| {
        let gives = match (server.gives, &server.boot_file) {
            (Gives::Addresses, None) => "addresses".to_owned(),
            (Gives::Addresses, Some(file)) => format!("addresses and the boot file {file}"),
            (Gives::BootData | Gives::Unknown, None) => "boot data".to_owned(),
            (Gives::BootData | Gives::Unknown, Some(file)) => format!("boot data (the file {file})"),
        };
        format!("{} ({}), which gives {gives}", server.address, server.mac)
    };
    let named: Vec<String> = network?.servers.iter().filter(which).map(one).collect();
    (!named.is_empty()).then(|| named.join("; "))
}

/// Foreign servers that give addresses; `None`: there are none.
fn address_servers(network: Option<&NetworkStatus>) -> Option<String> {
    name_servers(network, |server| server.gives == Gives::Addresses)
}

/// Foreign servers that give boot data; `None`: there are none.
fn boot_servers(network: Option<&NetworkStatus>) -> Option<String> {
    name_servers(network, |server| {
        server.gives == Gives::BootData || server.boot_file.is_some()
    })
}

#[cfg(test)]
mod tests;
