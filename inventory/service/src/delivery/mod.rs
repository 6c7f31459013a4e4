//! Purchase orders, racks and hardware profiles, and how far their delivery has come.

mod import;
mod remove;

use std::collections::{BTreeSet, HashMap};

use inventory_api::check::HardwareProfile;
use inventory_api::delivery::{
    Order, OrderDelivery, OrderSummary, PlacedMachine, ProfileSummary, RackDelivery, RackView, Receipt,
};
use lifecycle::delivery::{of_order, receipt_of, tally};

use crate::Service;
use crate::check::first_finding;
use crate::problem::{Result, unknown};
use store::PlacedRow;

fn placed(row: PlacedRow) -> PlacedMachine {
    PlacedMachine {
        placement: row.placement,
        receipt: match &row.machine {
            None => Receipt::Missing,
            Some(_) => receipt_of(row.verdict),
        },
        machine: row.machine,
        height_u: row.height_u,
        finding: row.check.as_ref().and_then(first_finding),
        findings: row.check.map_or(0, |c| c.findings.len() as u32),
    }
}

impl Service {
    /// All purchase orders with their delivery progress.
    pub async fn orders(&self) -> Result<Vec<OrderSummary>> {
        let orders = self.core.store.orders().await?;
        let mut by_order: HashMap<String, Vec<PlacedMachine>> = HashMap::new();
        for row in self.core.store.placed().await? {
            if let Some(number) = row.placement.order.clone() {
                by_order.entry(number).or_default().push(placed(row));
            }
        }
        let summary = |order: Order| {
            let machines = by_order.remove(&order.number).unwrap_or_default();
            let delivery = of_order(order, machines, |_| true);
            OrderSummary {
                items: delivery.order.items.len() as u32,
                number: delivery.order.number,
                tally: delivery.tally,
            }
        };
        Ok(orders.into_iter().map(summary).collect())
    }

    /// One purchase order with its delivery progress.
    pub async fn order(&self, number: &str) -> Result<OrderDelivery> {
        let store = &self.core.store;
        let order = store.order(number).await?;
        let order = order.ok_or_else(|| unknown("order", number, "`slipway order list` shows all"))?;
        let machines = store.placed_of_order(number).await?;
        let profiles = store.hardware_profiles().await?;
        let known: BTreeSet<String> = profiles.into_iter().map(|p| p.name).collect();
        let machines = machines.into_iter().map(placed).collect();
        Ok(of_order(order, machines, |name| known.contains(name)))
    }

    /// All racks of the plan with their delivery progress.
    pub async fn racks(&self) -> Result<Vec<RackDelivery>> {
        let places = self.core.store.placed().await?;
        let places: Vec<PlacedMachine> = places.into_iter().map(placed).collect();
        Ok(lifecycle::delivery::racks(&places))
    }

    /// One rack, unit by unit.
    pub async fn rack(&self, room: &str, rack: &str) -> Result<RackView> {
        let places = self.core.store.placed_in_rack(room, rack).await?;
        if places.is_empty() {
            let name = format!("{room} {rack}");
            return Err(unknown("rack", &name, "`slipway rack list` shows all"));
        }
        let places: Vec<PlacedMachine> = places.into_iter().map(placed).collect();
        Ok(RackView {
            room: room.to_owned(),
            rack: rack.to_owned(),
            tally: tally(places.len() as u32, places.iter().map(|p| p.receipt)),
            places,
        })
    }

    /// The hardware profiles.
    pub async fn hardware_profiles(&self) -> Result<Vec<ProfileSummary>> {
        Ok(self.core.store.hardware_profiles().await?)
    }

    /// One hardware profile as imported.
    pub async fn hardware_profile(&self, name: &str) -> Result<HardwareProfile> {
        let profile = self.core.store.hardware_profile(name).await?;
        profile.ok_or_else(|| {
            unknown(
                "hardware profile",
                name,
                "`slipway hardware-profile list` shows all",
            )
        })
    }
}
