//! Provisioning networks: how they stand, and the addresses that people reserve.

use std::net::Ipv4Addr;

use inventory_api::network::NetworkStatus;
use inventory_api::{Mac, Problem};
use netboot::ReservationError;

use super::{Actor, Service};
use crate::problem::problem;

impl Service {
    /// Each network as it stands, in the order of the configuration.
    pub fn networks(&self) -> Vec<NetworkStatus> {
        let networks = self.core.memory.networks.get();
        networks.map(netboot::NetworkBook::status).unwrap_or_default()
    }

    /// Reserves an address for a machine, or with `None` ends its reservation; gives back the network as it is then.
    ///
    /// # Errors
    /// What is in the way, and what to do.
    pub async fn reserve(
        &self,
        network: &str,
        mac: Mac,
        address: Option<Ipv4Addr>,
        actor: &Actor,
    ) -> Result<NetworkStatus, Problem> {
        let none = || no_network(network);
        let book = self.core.memory.networks.get().ok_or_else(none)?;
        let done = match address {
            Some(address) => book.reserve(network, mac, address).await,
            None => book.unreserve(network, mac).await,
        };
        done.map_err(|error| match &error {
            ReservationError::Network(_) => none(),
            ReservationError::Refused(why) => {
                problem(409, "reservation-refused", "Reservation refused", why.to_string())
            }
            ReservationError::Journal => problem(503, "journal-failed", "Not durable", error.to_string()),
        })?;
        tracing::info!(
            network, %mac, address = address.map(tracing::field::display), actor = %actor.0, "reservation changed"
        );
        let status = self.networks().into_iter().find(|status| status.name == network);
        status.ok_or_else(none)
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
