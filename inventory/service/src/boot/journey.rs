//! The journey of a NIC and its diagnosis: gathers the facts for [`words::diagnosis`].

use std::net::IpAddr;

use inventory_api::boot::{BootEvent, BootEventKind, ConnectionEnd};
use inventory_api::id::NameError;
use inventory_api::machine::Journey;
use inventory_api::{Guid, Mac, Problem};

use crate::Service;
use crate::core::Core;
use crate::problem::{BAD_MAC, Result};
use tls::BrokenTls;
use words::diagnosis::{Facts, Ports, diagnose};

/// Longest kept name of an agent's request, in characters.
const ASKED: usize = 40;

impl Service {
    /// The journey of the NIC with this MAC, or the InfiniBand port with this GUID, and its diagnosis.
    pub async fn journey_of(&self, key: &str) -> Result<Journey> {
        match key.parse::<Guid>() {
            Ok(guid) if key.parse::<Mac>().is_err() => self.explained(guid.mac(), Some(guid)).await,
            Ok(_) | Err(_) => self.explained(mac_of(key)?, None).await,
        }
    }

    /// Like [`Service::journey_of`], by MAC.
    pub async fn journey(&self, mac: Mac) -> Result<Journey> {
        self.explained(mac, None).await
    }

    async fn explained(&self, mac: Mac, guid: Option<Guid>) -> Result<Journey> {
        let core = &self.core;
        let machine = match core.store.machine_by_mac(mac).await? {
            Some(row) => Some(self.summary(row).await?),
            None => None,
        };
        let events = core.memory.journeys.of(mac);
        let mut addresses: Vec<IpAddr> = events.iter().filter_map(|event| event.ip).collect();
        addresses.sort();
        addresses.dedup();
        let running = core
            .memory
            .networks
            .get()
            .map(|book| book.running(&addresses))
            .unwrap_or_default();
        let siblings = machine
            .as_ref()
            .map(|machine| machine.macs.as_slice())
            .unwrap_or_default();
        let near = core.memory.journeys.near(mac, siblings);
        let loaders = core.memory.loaders.status(mac);
        let told = diagnose(&Facts {
            mac,
            guid,
            events: &events,
            running: &running,
            machine: machine.as_ref(),
            networks: &self.networks(),
            near: &near,
            loaders: loaders.sentence.as_deref(),
            ports: Ports {
                tftp: core.config.boot.tftp_port,
                http: core.config.boot.http_port,
                api: core.config.api.listen.port(),
            },
            now: core.clock.now(),
        });
        let mut diagnosis = told.text();
        if let Some(held) = machine.as_ref().and_then(|m| m.held.as_ref()) {
            diagnosis = format!("Its boot script is {held}. {diagnosis}");
        }
        Ok(Journey {
            mac,
            machine,
            events,
            running,
            diagnosis,
            stage: told.stage.to_string(),
            loaders: (loaders.worked.is_some() || !loaders.failed.is_empty()).then_some(loaders),
        })
    }

    /// Records the answer to an agent's request in the journey of the NIC with its address. Of successful
    /// requests only claims and reports are kept.
    pub fn agent_answered(&self, peer: IpAddr, path: &str, status: u16, refused: Option<&Problem>) {
        let asked = path.rsplit('/').next().unwrap_or(path);
        let asked: String = asked.chars().take(ASKED).collect();
        if status < 400 && !matches!(asked.as_str(), "claim" | "report") {
            return;
        }
        let what = BootEventKind::Agent {
            asked,
            status,
            code: refused.map(|problem| problem.code.clone()),
            detail: refused.map(|problem| problem.detail.chars().take(300).collect()),
        };
        heard_at(&self.core, peer, what);
    }
}

/// Parses a MAC from a request.
pub fn mac_of(text: &str) -> Result<Mac> {
    text.parse()
        .map_err(|e: NameError| BAD_MAC.because(e.to_string()))
}

/// Records that a connection to the TLS port ended in the handshake. `why`: the certificate problem, if that
/// was the reason.
pub fn tls_broken(core: &Core, peer: IpAddr, why: Option<BrokenTls>) {
    let end = match why {
        Some(BrokenTls::ItsClock) => ConnectionEnd::Clock,
        Some(BrokenTls::ItsAuthority) => ConnectionEnd::Authority,
        Some(BrokenTls::ItsCertificateDates | BrokenTls::ItsCertificateAuthority) => {
            ConnectionEnd::Certificate
        }
        None => ConnectionEnd::Closed,
    };
    let what = BootEventKind::Connection {
        port: core.config.api.listen.port(),
        end,
        detail: None,
    };
    heard_at(core, peer, what);
}

fn heard_at(core: &Core, peer: IpAddr, what: BootEventKind) {
    let Some((network, mac)) = core.memory.networks.get().and_then(|book| book.whose(peer)) else {
        return;
    };
    core.memory.heard(BootEvent {
        at: core.clock.now(),
        mac,
        ip: Some(peer),
        network,
        what,
    });
}
