//! Removal of orders, hardware profiles and places: never while something uses them.

use inventory_api::Problem;
use inventory_api::delivery::Placement;
use inventory_api::import::Removed;
use lifecycle::State;

use super::view::missing;
use crate::problem::problem;
use crate::{Actor, Service};
use files::import::place_name;
use store::Change;
use words::text::counted;

/// Users of a thing that are named when its removal is refused.
const NAMED: usize = 5;

impl Service {
    /// Removes an order, unless a place in the rack plan names it.
    pub async fn remove_order(&self, number: &str, actor: &Actor) -> Result<Removed, Problem> {
        let mut change = self.core.store.begin().await?;
        if change.order(number).await?.is_none() {
            return Err(missing("order", number, "`slipway order list` shows all"));
        }
        let places = change.placements_of_order(number).await?;
        if !places.is_empty() {
            return Err(in_use(
                "order-in-use",
                format!("order {number:?}"),
                &format!(
                    "the rack plan has {} for it",
                    named(places.iter().map(place_name), "place")
                ),
                "import those places without it, or remove them first",
            ));
        }
        change.remove_order(number).await?;
        self.removed(change, "order", vec![number.to_owned()], actor)
            .await
    }

    /// Removes a hardware profile, unless a place or an order item requires it.
    pub async fn remove_hardware_profile(&self, name: &str, actor: &Actor) -> Result<Removed, Problem> {
        let mut change = self.core.store.begin().await?;
        if change.hardware_profile(name).await?.is_none() {
            return Err(missing(
                "hardware profile",
                name,
                "`slipway hardware-profile list` shows all",
            ));
        }
        let places = change.placements_of_profile(name).await?;
        let orders = change.orders_of_profile(name).await?;
        let users = if !places.is_empty() {
            format!(
                "{} of the rack plan must have it",
                named(places.iter().map(place_name), "place")
            )
        } else if !orders.is_empty() {
            format!("{} must have it", named(orders.into_iter(), "order"))
        } else {
            change.remove_hardware_profile(name).await?;
            return self
                .removed(change, "hardware profile", vec![name.to_owned()], actor)
                .await;
        };
        Err(in_use(
            "profile-in-use",
            format!("hardware profile {name:?}"),
            &users,
            "import them with another profile, or remove them first",
        ))
    }

    /// Removes one place, or all places of a rack, from the plan: all or none, and none that a machine in
    /// service occupies.
    pub async fn remove_places(
        &self,
        room: &str,
        rack: &str,
        unit: Option<u32>,
        actor: &Actor,
    ) -> Result<Removed, Problem> {
        let mut change = self.core.store.begin().await?;
        let mut places = change.placements_of_rack(room, rack).await?;
        places.retain(|p| unit.is_none_or(|u| p.unit == u));
        if places.is_empty() {
            let (what, name) = match unit {
                Some(unit) => ("place", format!("{room} {rack} unit {unit}")),
                None => ("rack", format!("{room} {rack}")),
            };
            return Err(missing(
                what,
                &name,
                "`slipway rack list` shows the racks of the plan",
            ));
        }
        let mut taken = Vec::new();
        for place in &places {
            if let Some(words) = stands_there(&mut change, place).await? {
                taken.push(words);
            }
        }
        if !taken.is_empty() {
            return Err(in_use(
                "place-in-use",
                if unit.is_some() {
                    place_name(&places[0])
                } else {
                    format!("rack {room} {rack}")
                },
                &format!("{} there", named(taken.into_iter(), "machine")),
                "retire it, or import its place with another serial number, and try again",
            ));
        }
        for place in &places {
            change.drop_placement(place).await?;
        }
        let names = places.iter().map(place_name).collect();
        self.removed(change, "place", names, actor).await
    }

    async fn removed(
        &self,
        change: Change,
        kind: &str,
        names: Vec<String>,
        actor: &Actor,
    ) -> Result<Removed, Problem> {
        // Only unused things are removed, so no re-check is needed.
        change.commit().await?;
        tracing::info!(%actor, kind, count = names.len(), first = names.first(), "removed");
        Ok(Removed { removed: names })
    }
}

/// The machine in service that this place names, as "m-5254001a2b03 (R1 A07 unit 12)".
async fn stands_there(change: &mut Change, place: &Placement) -> Result<Option<String>, Problem> {
    for id in change.machines_placed(place).await? {
        let row = change.machine(&id).await?;
        if row.is_some_and(|row| !matches!(row.state, State::Retired)) {
            return Ok(Some(format!("{id} ({})", place_name(place))));
        }
    }
    Ok(None)
}

/// "3 places (A, B, C)".
fn named(names: impl ExactSizeIterator<Item = String>, what: &str) -> String {
    let count = names.len();
    let mut shown: Vec<String> = names.take(NAMED).collect();
    if count > NAMED {
        shown.push("...".to_owned());
    }
    format!("{} ({})", counted(count as u64, what), shown.join(", "))
}

fn in_use(code: &str, what: String, users: &str, remedy: &str) -> Problem {
    problem(
        409,
        code,
        "Still in use",
        format!("{what} was not removed: {users}; {remedy}"),
    )
}
