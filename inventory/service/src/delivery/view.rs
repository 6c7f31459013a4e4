//! Delivery progress: orders, racks, profiles.

use std::collections::{BTreeSet, HashMap};

use inventory_api::check::{CheckResult, HardwareProfile};
use inventory_api::delivery::{
    OrderDelivery, OrderSummary, PlacedMachine, Placement, ProfileSummary, RackDelivery, RackView, Receipt,
};
use inventory_api::{MachineId, Problem};
use lifecycle::delivery::{of_order, receipt, tally};
use lifecycle::expectation::{MachineNames, name_key};

use crate::problem::problem;
use crate::{Service, planning};

/// Facts of all machines, to match with places.
struct Found {
    by_serial: HashMap<String, MachineId>,
    by_tag: HashMap<String, MachineId>,
    checks: HashMap<MachineId, CheckResult>,
    heights: HashMap<MachineId, u32>,
}

impl Found {
    fn placed(&self, placement: Placement) -> PlacedMachine {
        let by = |name: &Option<String>, map: &HashMap<String, MachineId>| {
            name.as_deref().and_then(|n| map.get(&name_key(n))).cloned()
        };
        let machine =
            by(&placement.serial, &self.by_serial).or_else(|| by(&placement.asset_tag, &self.by_tag));
        let check = machine.as_ref().and_then(|id| self.checks.get(id));
        PlacedMachine {
            placement,
            receipt: match &machine {
                None => Receipt::Missing,
                Some(_) => receipt(check),
            },
            height_u: machine.as_ref().and_then(|id| self.heights.get(id)).copied(),
            finding: check.and_then(planning::first_finding),
            findings: check.map_or(0, |c| c.findings.len() as u32),
            machine,
        }
    }
}

impl Service {
    async fn found(&self) -> Result<Found, Problem> {
        let store = &self.core.store;
        let mut found = Found {
            by_serial: HashMap::new(),
            by_tag: HashMap::new(),
            checks: store.checks().await?,
            heights: store.heights().await?,
        };
        for name in store.machine_names().await? {
            let map = if name.tag {
                &mut found.by_tag
            } else {
                &mut found.by_serial
            };
            map.entry(name.value).or_insert(name.machine);
        }
        Ok(found)
    }

    async fn known_profiles(&self) -> Result<BTreeSet<String>, Problem> {
        let profiles = self.core.store.hardware_profiles().await?;
        Ok(profiles.into_iter().map(|p| p.name).collect())
    }

    /// All orders with their delivery progress.
    pub async fn orders(&self) -> Result<Vec<OrderSummary>, Problem> {
        let orders = self.core.store.orders().await?;
        let found = self.found().await?;
        let mut by_order: HashMap<String, Vec<PlacedMachine>> = HashMap::new();
        for placement in self.core.store.placements().await? {
            if let Some(number) = placement.order.clone() {
                by_order.entry(number).or_default().push(found.placed(placement));
            }
        }
        let summary = |order: inventory_api::delivery::Order| {
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

    /// One order with its delivery progress.
    pub async fn order(&self, number: &str) -> Result<OrderDelivery, Problem> {
        let store = &self.core.store;
        let Some(order) = store.order(number).await? else {
            return Err(missing("order", number, "`slipway order list` shows all"));
        };
        let found = self.found().await?;
        let places = store.placements_of_order(number).await?;
        let machines = places.into_iter().map(|p| found.placed(p)).collect();
        let known = self.known_profiles().await?;
        Ok(of_order(order, machines, |name| known.contains(name)))
    }

    /// All racks of the plan with their delivery progress.
    pub async fn racks(&self) -> Result<Vec<RackDelivery>, Problem> {
        let found = self.found().await?;
        let places = self.core.store.placements().await?;
        let placed: Vec<PlacedMachine> = places.into_iter().map(|p| found.placed(p)).collect();
        Ok(lifecycle::delivery::racks(&placed))
    }

    /// One rack, unit by unit.
    pub async fn rack(&self, room: &str, rack: &str) -> Result<RackView, Problem> {
        let places = self.core.store.placements_of_rack(room, rack).await?;
        if places.is_empty() {
            return Err(missing(
                "rack",
                &format!("{room} {rack}"),
                "`slipway rack list` shows all",
            ));
        }
        let found = self.found().await?;
        let places: Vec<PlacedMachine> = places.into_iter().map(|p| found.placed(p)).collect();
        Ok(RackView {
            room: room.to_owned(),
            rack: rack.to_owned(),
            tally: tally(places.len() as u32, places.iter().map(|p| p.receipt)),
            places,
        })
    }

    /// The place in the rack plan for this serial number or asset tag.
    pub async fn place_of_name(&self, name: &str) -> Result<Option<Placement>, Problem> {
        let names = MachineNames {
            serials: vec![name.to_owned()],
            asset_tags: vec![name.to_owned()],
        };
        let places = self.core.store.placements_named(&names).await?;
        Ok(places.into_iter().next())
    }

    /// The hardware profiles.
    pub async fn hardware_profiles(&self) -> Result<Vec<ProfileSummary>, Problem> {
        Ok(self.core.store.hardware_profiles().await?)
    }

    /// One hardware profile as imported.
    pub async fn hardware_profile(&self, name: &str) -> Result<HardwareProfile, Problem> {
        let profile = self.core.store.hardware_profile(name).await?;
        profile.ok_or_else(|| {
            missing(
                "hardware profile",
                name,
                "`slipway hardware-profile list` shows all",
            )
        })
    }
}

pub(crate) fn missing(what: &str, name: &str, hint: &str) -> Problem {
    let shown: String = name.chars().take(80).collect();
    problem(
        404,
        &format!("{}-unknown", what.replace(' ', "-")),
        &format!("No such {what}"),
        format!("there is no {what} {shown:?}; {hint}"),
    )
}
