//! Provisioning networks: state, reservations, quarantined addresses.

use std::net::AddrParseError;

use inventory_api::routes::{END_QUARANTINE, NETWORKS, RESERVE, UNRESERVE};

use crate::body::{Nothing, Sent};
use crate::routing::Routes;
use service::mac_of;
use service::problem::problem;

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .lists(NETWORKS, async |s, []| Ok(s.networks()))
        .changes(RESERVE, async |s, actor, [network, mac], Sent(wanted)| {
            s.reserve(&network, mac_of(&mac)?, Some(wanted.address), &actor)
                .await
        })
        .changes(UNRESERVE, async |s, actor, [network, mac], Nothing| {
            s.reserve(&network, mac_of(&mac)?, None, &actor).await
        })
        .changes(END_QUARANTINE, async |s, actor, [network, address], Nothing| {
            let address = address.parse().map_err(|e: AddrParseError| {
                problem(400, "bad-address", "Address not usable", e.to_string())
            })?;
            s.end_quarantine(&network, address, &actor).await
        })
}
