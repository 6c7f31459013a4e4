//! Purchase orders: how far the delivery is.

use askama::Template;
use axum::response::IntoResponse;
use inventory_api::delivery::{OrderDelivery, OrderSummary, PlacedMachine, Receipt};

use super::page::{MAX_ROWS, Page, Shell, html};
use super::racks::{expected, receipt, units};
use super::session::SignedIn;
use files::export;

#[derive(Template)]
#[template(path = "orders/orders.html")]
struct OrdersPage<'a> {
    shell: Shell,
    orders: &'a [OrderSummary],
    /// Machines still to be checked again because their expectation changed.
    rechecks: u32,
}

#[derive(Template)]
#[template(path = "orders/order.html")]
struct OrderPage<'a> {
    shell: Shell,
    of: &'a OrderDelivery,
    /// Its machines, most urgent first.
    machines: Vec<&'a PlacedMachine>,
}

impl OrderPage<'_> {
    /// Label, figure and colour of the tiles.
    fn tiles(&self) -> [(&'static str, u32, &'static str); 4] {
        let t = &self.of.tally;
        let red = if t.failing > 0 { "red" } else { "secondary" };
        [
            ("ordered", t.ordered, "body"),
            ("received", t.received, "body"),
            ("checked and as ordered", t.passing, "green"),
            ("not as ordered", t.failing, red),
        ]
    }

    /// Description of the item at this index; may be empty.
    fn description(&self, index: &usize) -> &str {
        let item = self.of.order.items.get(*index);
        item.and_then(|item| item.description.as_deref())
            .unwrap_or_default()
    }
}

/// Sort key: fail, remark, missing, not checked, pass.
fn urgency(r: Receipt) -> u8 {
    match r {
        Receipt::Fail => 0,
        Receipt::Warn => 1,
        Receipt::Missing => 2,
        Receipt::Received | Receipt::Unknown => 3,
        Receipt::Pass => 4,
    }
}

pub(crate) async fn list(at: SignedIn) -> Page {
    Ok(html(OrdersPage {
        shell: at.shell("Orders", "Orders"),
        orders: &at.service.orders().await?,
        rechecks: at.service.rechecks().await?.left,
    }))
}

pub(crate) async fn page(at: SignedIn<String>) -> Page {
    let of = &at.service.order(&at.path).await?;
    let mut machines: Vec<&PlacedMachine> = of.machines.iter().collect();
    machines.sort_by_key(|m| urgency(m.receipt));
    Ok(html(OrderPage {
        shell: at.shell(&format!("Order {}", of.order.number), "Orders"),
        of,
        machines,
    }))
}

pub(crate) async fn csv(at: SignedIn<String>) -> Page {
    let order = at.service.order(&at.path).await?;
    Ok((export::CSV_HEADERS, export::delivery(&order)).into_response())
}
