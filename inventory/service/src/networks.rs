//! Provisioning networks: their status, reservations, and quarantined addresses.

use std::net::Ipv4Addr;
use std::sync::atomic::Ordering;

use inventory_api::network::{self, Gives, NetworkStatus, OtherServer};
use inventory_api::{Mac, Problem};
use netboot::{Mode, ReservationError};

use super::{Actor, Service};
use crate::missing::{Missing, There, missing};
use crate::problem::problem;

impl Service {
    /// The status of each network, in the order of the configuration.
    pub fn networks(&self) -> Vec<NetworkStatus> {
        let networks = self.core.memory.networks.get();
        let mut networks = networks.map(netboot::Networks::status).unwrap_or_default();
        let missing = self.missing();
        for network in &mut networks {
            let concerns = |one: &&Missing| one.network.as_ref().is_none_or(|name| *name == network.name);
            network.missing = missing
                .iter()
                .filter(concerns)
                .map(|one| network::Missing {
                    sentence: one.sentence.clone(),
                    architecture: one.architecture.map(str::to_owned),
                })
                .collect();
            let gives = |server: &OtherServer| server.gives == Gives::Addresses;
            if network.mode == Mode::Proxy.to_string()
                && network.watched
                && !network.servers.iter().any(gives)
            {
                let sentence = format!(
                    "No DHCP server that gives addresses is heard in network {0}, and Slipway gives none there (mode = \"proxy\"): start it, or \
                     set mode = \"server\" with pools in [[network]] {0}.",
                    network.name
                );
                network.missing.push(network::Missing {
                    sentence,
                    architecture: None,
                });
            }
        }
        networks
    }

    /// What keeps every machine from booting.
    pub fn missing(&self) -> Vec<Missing> {
        let asked = self.core.memory.arm64_asked.load(Ordering::Relaxed);
        missing(&self.core.config, There::look(&self.core.config, asked))
    }

    /// Reserves an address for a MAC, or ends its reservation if `None`. Returns the network's new status.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub async fn reserve(
        &self,
        network: &str,
        mac: Mac,
        address: Option<Ipv4Addr>,
        actor: &Actor,
    ) -> Result<NetworkStatus, Problem> {
        let book = self.book(network)?;
        let done = match address {
            Some(address) => book.reserve(network, mac, address).await,
            None => book.unreserve(network, mac).await,
        };
        done.map_err(|error| of_book(&error, "reservation-refused", "Reservation refused"))?;
        tracing::info!(
            network, %mac, address = address.map(tracing::field::display), %actor, "reservation changed"
        );
        self.network(network)
    }

    /// Ends the quarantine of an address. Returns the network's new status.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub async fn end_quarantine(
        &self,
        network: &str,
        address: Ipv4Addr,
        actor: &Actor,
    ) -> Result<NetworkStatus, Problem> {
        let done = self.book(network)?.end_quarantine(network, address).await;
        done.map_err(|error| of_book(&error, "not-quarantined", "Not out of use"))?;
        tracing::info!(network, %address, %actor, "an address is back in use");
        self.network(network)
    }

    /// Ends the reservations of a retired machine.
    pub(super) async fn end_reservations(&self, macs: &[Mac]) {
        let Some(book) = self.core.memory.networks.get() else {
            return;
        };
        match book.unreserve_all(macs).await {
            Ok(ended) => {
                for (network, mac) in ended {
                    tracing::info!(network, %mac, "the reservation of a retired machine ended");
                }
            }
            // The machine stays retired; a person can end the reservation.
            Err(error) => tracing::error!(%error, "cannot end the reservations of a retired machine"),
        }
    }

    fn book(&self, network: &str) -> Result<&netboot::Networks, Problem> {
        let book = self.core.memory.networks.get();
        book.ok_or_else(|| no_network(network))
    }

    fn network(&self, name: &str) -> Result<NetworkStatus, Problem> {
        let status = self.networks().into_iter().find(|status| status.name == name);
        status.ok_or_else(|| no_network(name))
    }
}

fn of_book(error: &ReservationError, code: &str, title: &str) -> Problem {
    match error {
        ReservationError::Network(name) => no_network(name),
        ReservationError::Refused(why) => problem(409, code, title, why.to_string()),
        ReservationError::Journal => problem(503, "journal-failed", "Not durable", error.to_string()),
    }
}

fn no_network(name: &str) -> Problem {
    let shown: String = name.chars().take(80).collect();
    problem(
        404,
        "network-unknown",
        "No such network",
        format!("there is no network {shown:?}; `slipway network list` names them"),
    )
}
