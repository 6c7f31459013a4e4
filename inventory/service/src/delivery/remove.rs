//! Removal of orders, hardware profiles and places: never while something uses them.

use inventory_api::Problem;
use inventory_api::delivery::Placement;
use inventory_api::import::Removed;
use lifecycle::State;

use crate::problem::{Result, problem, unknown};
use crate::{Actor, Service, Turn};
use words::text::counted;

/// Users of a thing that are named when its removal is refused.
const NAMED: usize = 5;

impl Service {
    /// Removes a purchase order, unless a place in the rack plan names it.
    pub async fn remove_order(&self, number: &str, actor: &Actor) -> Result<Removed> {
        let number = number.to_owned();
        let work = async move |mut turn: Turn| {
            if turn.order(&number).await?.is_none() {
                return Err(unknown("order", &number, "`slipway order list` shows all"));
            }
            let places = turn.placements_of_order(&number).await?;
            if !places.is_empty() {
                let places = named(places.iter().map(Placement::name), "place");
                return Err(in_use(
                    "order-in-use",
                    format!("order {number:?}"),
                    &format!("the rack plan has {places} for it"),
                    "import those places without it, or remove them first",
                ));
            }
            turn.remove_order(&number).await?;
            turn.removed("order", vec![number]).await
        };
        self.turn(actor, work).await
    }

    /// Removes a hardware profile, unless a place or an order item requires it.
    pub async fn remove_hardware_profile(&self, name: &str, actor: &Actor) -> Result<Removed> {
        self.hardware_profile(name).await?;
        let name = name.to_owned();
        let work = async move |mut turn: Turn| {
            let places = turn.placements_of_profile(&name).await?;
            let orders = turn.orders_of_profile(&name).await?;
            let users = if !places.is_empty() {
                let places = named(places.iter().map(Placement::name), "place");
                format!("{places} of the rack plan must have it")
            } else if !orders.is_empty() {
                format!("{} must have it", named(orders.into_iter(), "order"))
            } else {
                turn.remove_hardware_profile(&name).await?;
                return turn.removed("hardware profile", vec![name]).await;
            };
            Err(in_use(
                "profile-in-use",
                format!("hardware profile {name:?}"),
                &users,
                "import them with another profile, or remove them first",
            ))
        };
        self.turn(actor, work).await
    }

    /// Removes one place, or all places of a rack, from the plan: all or none, and none that a machine in
    /// service occupies.
    pub async fn remove_places(
        &self,
        room: &str,
        rack: &str,
        unit: Option<u32>,
        actor: &Actor,
    ) -> Result<Removed> {
        let (room, rack) = (room.to_owned(), rack.to_owned());
        let work = async move |mut turn: Turn| {
            let mut places = turn.placements_of_rack(&room, &rack).await?;
            places.retain(|p| unit.is_none_or(|u| p.unit == u));
            let Some(first) = places.first() else {
                let (what, name) = match unit {
                    Some(unit) => ("place", format!("{room} {rack} unit {unit}")),
                    None => ("rack", format!("{room} {rack}")),
                };
                let hint = "`slipway rack list` shows the racks of the plan";
                return Err(unknown(what, &name, hint));
            };
            let mut occupied = Vec::new();
            for place in &places {
                occupied.extend(occupant(&turn, place).await?);
            }
            if !occupied.is_empty() {
                let what = match unit {
                    Some(_) => first.name(),
                    None => format!("rack {room} {rack}"),
                };
                return Err(in_use(
                    "place-in-use",
                    what,
                    &format!("{} there", named(occupied.into_iter(), "machine")),
                    "retire it, or import its place with another serial number, and try again",
                ));
            }
            for place in &places {
                turn.drop_placement(place).await?;
            }
            let names = places.iter().map(Placement::name).collect();
            turn.removed("place", names).await
        };
        self.turn(actor, work).await
    }
}

impl Turn {
    async fn removed(self, kind: &str, removed: Vec<String>) -> Result<Removed> {
        let actor = self.actor.clone();
        // Only unused things are removed, so no re-check is needed.
        self.commit().await?;
        tracing::info!(%actor, kind, count = removed.len(), first = removed.first(), "removed");
        Ok(Removed { removed })
    }
}

/// The machine in service that this place names, as "m-5254001a2b03 (R1 A07 unit 12)".
async fn occupant(turn: &Turn, place: &Placement) -> Result<Option<String>> {
    for id in turn.machines_placed(place).await? {
        let row = turn.machine(&id).await?;
        if row.is_some_and(|row| !matches!(row.state, State::Retired)) {
            return Ok(Some(format!("{id} ({})", place.name())));
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
