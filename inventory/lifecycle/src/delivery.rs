//! Progress of a delivery: purchase orders and rack plan against the machines that have reported.

use std::collections::BTreeMap;

use inventory_api::check::Verdict;
use inventory_api::delivery::{
    ItemDelivery, Order, OrderDelivery, PlacedMachine, RackDelivery, Receipt, Tally,
};

/// Progress of a machine that has reported, with the verdict of its newest check.
pub fn receipt_of(verdict: Option<Verdict>) -> Receipt {
    match verdict {
        None => Receipt::Received,
        Some(Verdict::Pass) => Receipt::Pass,
        Some(Verdict::Warn) => Receipt::Warn,
        Some(Verdict::Fail) => Receipt::Fail,
    }
}

/// Counts machines. `ordered`: the expected number.
pub fn tally(ordered: u32, receipts: impl IntoIterator<Item = Receipt>) -> Tally {
    let mut t = Tally {
        ordered,
        ..Tally::default()
    };
    for receipt in receipts {
        match receipt {
            Receipt::Missing | Receipt::Unknown => continue,
            Receipt::Received => {}
            Receipt::Pass | Receipt::Warn => {
                t.checked += 1;
                t.passing += 1;
            }
            Receipt::Fail => {
                t.checked += 1;
                t.failing += 1;
            }
        }
        t.received += 1;
    }
    t.missing = ordered.saturating_sub(t.received);
    t
}

/// The sum of several.
pub fn sum<'a>(all: impl IntoIterator<Item = &'a Tally>) -> Tally {
    all.into_iter().fold(Tally::default(), |a, b| Tally {
        ordered: a.ordered.saturating_add(b.ordered),
        received: a.received + b.received,
        checked: a.checked + b.checked,
        passing: a.passing + b.passing,
        failing: a.failing + b.failing,
        missing: a.missing.saturating_add(b.missing),
    })
}

/// By rack, in the order of their names.
pub fn racks(machines: &[PlacedMachine]) -> Vec<RackDelivery> {
    let mut by_rack: BTreeMap<(&str, &str), Vec<Receipt>> = BTreeMap::new();
    for m in machines {
        by_rack
            .entry((&m.placement.room, &m.placement.rack))
            .or_default()
            .push(m.receipt);
    }
    by_rack
        .into_iter()
        .map(|((room, rack), receipts)| RackDelivery {
            room: room.to_owned(),
            rack: rack.to_owned(),
            tally: tally(receipts.len() as u32, receipts),
        })
        .collect()
}

/// The delivery of a purchase order. `machines`: the places of the rack plan that name it. `known`: whether a
/// hardware profile exists.
pub fn of_order(order: Order, machines: Vec<PlacedMachine>, known: impl Fn(&str) -> bool) -> OrderDelivery {
    let of_item = |item: &str, count| {
        let placed = machines
            .iter()
            .filter(|m| m.placement.item.as_deref() == Some(item));
        tally(count, placed.map(|m| m.receipt))
    };
    let items: Vec<ItemDelivery> = order
        .items
        .iter()
        .map(|i| ItemDelivery {
            item: i.item.clone(),
            profile: i.profile.clone(),
            profile_known: known(&i.profile),
            tally: of_item(&i.item, i.count),
        })
        .collect();
    // A machine whose place names the order but no item counts as received all the same.
    let itemless = machines.iter().filter(|m| {
        !order
            .items
            .iter()
            .any(|i| m.placement.item.as_deref() == Some(&i.item))
    });
    let itemless = tally(0, itemless.map(|m| m.receipt));
    let mut all = sum(items.iter().map(|i| &i.tally).chain([&itemless]));
    all.missing = all.ordered.saturating_sub(all.received);
    OrderDelivery {
        tally: all,
        items,
        racks: racks(&machines),
        machines,
        order,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inventory_api::delivery::{OrderItem, Placement};

    fn placed(rack: &str, unit: u32, item: Option<&str>, receipt: Receipt) -> PlacedMachine {
        PlacedMachine {
            placement: Placement {
                room: "R".into(),
                rack: rack.into(),
                unit,
                order: Some("PO-1".into()),
                item: item.map(str::to_owned),
                ..Placement::default()
            },
            receipt,
            machine: None,
            height_u: None,
            finding: None,
            findings: 0,
        }
    }

    #[test]
    fn an_order_is_counted_by_item_and_by_rack() {
        let item = |item: &str, count| OrderItem {
            item: item.into(),
            count,
            profile: format!("p{item}"),
            description: None,
        };
        let order = Order {
            number: "PO-1".into(),
            items: vec![item("10", 4), item("20", 2)],
        };
        let machines = vec![
            placed("A", 1, Some("10"), Receipt::Pass),
            placed("A", 2, Some("10"), Receipt::Warn),
            placed("B", 1, Some("10"), Receipt::Missing),
            placed("B", 2, Some("20"), Receipt::Fail),
            placed("B", 3, Some("20"), Receipt::Received),
            placed("B", 4, None, Receipt::Pass),
        ];
        let d = of_order(order, machines, |p| p == "p10");
        let t = |ordered, received, checked, passing, failing, missing| Tally {
            ordered,
            received,
            checked,
            passing,
            failing,
            missing,
        };
        assert_eq!(d.items[0].tally, t(4, 2, 2, 2, 0, 2));
        assert_eq!(d.items[1].tally, t(2, 2, 1, 0, 1, 0));
        assert!(d.items[0].profile_known && !d.items[1].profile_known);
        assert_eq!(d.tally, t(6, 5, 4, 3, 1, 1));
        assert_eq!(d.racks[0].tally, t(2, 2, 2, 2, 0, 0));
        assert_eq!(d.racks[1].tally, t(4, 3, 2, 1, 1, 1));
    }
}
