//! Provisioning networks: their status, reservations, and quarantined addresses.

use std::net::Ipv4Addr;

use inventory_api::network::{self, Gives, NetworkStatus, OtherServer};
use inventory_api::{Mac, Problem};
use netboot::{Mode, ReservationError};

use crate::boot::missing::{Missing, There, missing};
use crate::problem::{JOURNAL_FAILED, Kind, NOT_QUARANTINED, RESERVATION_REFUSED, Result, unknown};
use crate::turn::unstoppable;
use crate::{Actor, Service};

impl Service {
    /// The status of each network, in the order of the configuration.
    pub fn networks(&self) -> Vec<NetworkStatus> {
        let networks = self.core.memory.networks.get();
        let mut networks = networks.map(netboot::Networks::status).unwrap_or_default();
        let missing = self.all_missing();
        for network in &mut networks {
            let concerns = |one: &&Missing| one.network.as_ref().is_none_or(|name| *name == network.name);
            let concerned = missing.iter().filter(concerns);
            network.missing = concerned.map(|one| one.what.clone()).collect();
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

    /// What keeps machines from booting.
    pub fn missing(&self) -> Vec<network::Missing> {
        self.all_missing().into_iter().map(|one| one.what).collect()
    }

    fn all_missing(&self) -> Vec<Missing> {
        let asked = self.core.memory.journeys.arm64_asked();
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
    ) -> Result<NetworkStatus> {
        let (service, network, actor) = (self.clone(), network.to_owned(), actor.clone());
        unstoppable(&self.core, async move {
            let book = service.book(&network)?;
            let done = match address {
                Some(address) => book.reserve(&network, mac, address).await,
                None => book.unreserve(&network, mac).await,
            };
            done.map_err(|error| of_book(&error, RESERVATION_REFUSED))?;
            tracing::info!(
                network, %mac, address = address.map(tracing::field::display), %actor, "reservation changed"
            );
            service.network(&network)
        })
        .await
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
    ) -> Result<NetworkStatus> {
        let (service, network, actor) = (self.clone(), network.to_owned(), actor.clone());
        unstoppable(&self.core, async move {
            let done = service.book(&network)?.end_quarantine(&network, address).await;
            done.map_err(|error| of_book(&error, NOT_QUARANTINED))?;
            tracing::info!(network, %address, %actor, "an address is back in use");
            service.network(&network)
        })
        .await
    }

    /// Ends the reservations of a retired machine.
    pub(crate) async fn end_reservations(&self, macs: &[Mac]) {
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

    fn book(&self, network: &str) -> Result<&netboot::Networks> {
        let book = self.core.memory.networks.get();
        book.ok_or_else(|| no_network(network))
    }

    fn network(&self, name: &str) -> Result<NetworkStatus> {
        let status = self.networks().into_iter().find(|status| status.name == name);
        status.ok_or_else(|| no_network(name))
    }
}

fn of_book(error: &ReservationError, refused: Kind) -> Problem {
    match error {
        ReservationError::Network(name) => no_network(name),
        ReservationError::Refused(why) => refused.because(why.to_string()),
        ReservationError::Journal => JOURNAL_FAILED.because(error.to_string()),
    }
}

fn no_network(name: &str) -> Problem {
    unknown("network", name, "`slipway network list` names them")
}
