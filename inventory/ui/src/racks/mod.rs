//! The rack plan: where each machine belongs, and what is there.

use askama::Template;
use inventory_api::delivery::{PlacedMachine, RackDelivery, RackView, Receipt};

use super::page::{MAX_ROWS, Page, Shell, html};
use super::session::SignedIn;

#[derive(Template)]
#[template(path = "racks/racks.html")]
struct RacksPage<'a> {
    shell: Shell,
    racks: &'a [RackDelivery],
}

#[derive(Template)]
#[template(path = "racks/rack.html")]
struct RackPage<'a> {
    shell: Shell,
    of: &'a RackView,
    /// From the highest planned unit down, with the free units.
    units: Vec<UnitRow<'a>>,
}

/// A free unit, or a machine with all its units.
enum UnitRow<'a> {
    Free(u32),
    Taken(&'a PlacedMachine),
}

/// Colour and word of a receipt.
pub(crate) fn receipt(r: Receipt) -> (&'static str, &'static str) {
    match r {
        Receipt::Missing => ("secondary", "Missing"),
        Receipt::Received => ("azure", "Received"),
        Receipt::Pass => ("green", "Pass"),
        Receipt::Warn => ("yellow", "Remark"),
        Receipt::Fail => ("red", "Fail"),
        Receipt::Unknown => ("secondary", "Unknown"),
    }
}

/// Height of a machine in units.
fn height(m: &PlacedMachine) -> u32 {
    m.height_u.unwrap_or(1).clamp(1, 20)
}

/// "12", "12–13", "12–13, node 2".
pub(crate) fn units(m: &PlacedMachine) -> String {
    let (unit, height) = (m.placement.unit, height(m));
    let units = match height {
        1 => unit.to_string(),
        h => format!("{unit}–{}", unit + h - 1),
    };
    match &m.placement.node {
        Some(node) => format!("{units}, node {node}"),
        None => units,
    }
}

/// The expected serial number, else the asset tag, else an empty text.
pub(crate) fn expected(m: &PlacedMachine) -> &str {
    let p = &m.placement;
    p.serial.as_deref().or(p.asset_tag.as_deref()).unwrap_or_default()
}

/// Highest first; the units between two machines are free.
fn unit_rows(view: &RackView) -> Vec<UnitRow<'_>> {
    let mut units = Vec::new();
    let mut next = None;
    for place in view.places.iter().take(MAX_ROWS) {
        let unit = place.placement.unit;
        let top = unit + height(place) - 1;
        if let Some(next) = next {
            units.extend((top + 1..=next).rev().map(UnitRow::Free));
        }
        next = unit.checked_sub(1);
        units.push(UnitRow::Taken(place));
    }
    if let Some(next) = next {
        units.extend((1..=next).rev().map(UnitRow::Free));
    }
    units
}

pub(crate) async fn list(at: SignedIn) -> Page {
    Ok(html(RacksPage {
        shell: at.shell("Racks", "Racks"),
        racks: &at.service.racks().await?,
    }))
}

pub(crate) async fn page(at: SignedIn<(String, String)>) -> Page {
    let (room, rack) = &at.path;
    let of = &at.service.rack(room, rack).await?;
    Ok(html(RackPage {
        shell: at.shell(&format!("{} {}", of.room, of.rack), "Racks"),
        of,
        units: unit_rows(of),
    }))
}
