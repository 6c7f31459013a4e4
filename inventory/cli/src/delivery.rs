//! `slipway import|order|rack|part`.

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use inventory_api::delivery::{OrderDelivery, RackDelivery, RackView, Tally};
use inventory_api::import::{ImportReport, Imported, Removed};
use inventory_api::parts::PartLife;
use inventory_api::routes;

use super::table::{Column, Table, cell};
use super::{CliEnv, CliError, Common, Remote, file};
use files::import::{Kind, MAX_BYTES};
use words::text::{joined, tame, timestamp};

/// `slipway import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// What the file contains
    #[arg(value_parser = kind())]
    kind: Kind,
    /// The file, .csv or .json; docs/orders.md describes the columns
    file: PathBuf,
}

fn kind() -> impl TypedValueParser<Value = Kind> {
    let profiles = PossibleValue::new("hardware-profiles").alias("profiles");
    PossibleValuesParser::new([profiles, "orders".into(), "racks".into()]).map(|name| match name.as_str() {
        "orders" => Kind::Orders,
        "racks" => Kind::Racks,
        _ => Kind::Profiles,
    })
}

/// Subcommands of `slipway order`.
#[derive(Debug, Subcommand)]
pub enum OrderCommand {
    /// List the purchase orders
    List,
    /// Show how much of a purchase order was delivered
    Show {
        /// Order number
        number: String,
        /// Print CSV, one row per machine
        #[arg(long)]
        csv: bool,
    },
    /// Remove a purchase order; refused while a place of the rack plan names it
    Remove {
        /// Order number
        number: String,
    },
}

/// Subcommands of `slipway rack`.
#[derive(Debug, Subcommand)]
pub enum RackCommand {
    /// List the racks of the plan
    List,
    /// Show one rack, highest unit first
    Show {
        /// Room
        room: String,
        /// Rack
        rack: String,
    },
    /// Remove a place, or all places of a rack; refused where a machine is
    Remove {
        /// Room
        room: String,
        /// Rack
        rack: String,
        /// Only the place at this height unit
        #[arg(long)]
        unit: Option<u32>,
    },
}

/// Subcommands of `slipway part`.
#[derive(Debug, Subcommand)]
pub enum PartCommand {
    /// Show where a part has been
    Show {
        /// Serial number, or the MAC of a network port
        serial: String,
    },
}

pub(super) async fn import(args: ImportArgs, common: Common, env: CliEnv) -> Result<String, CliError> {
    let media_type = media_type(&args.file)?;
    let remote = common.remote(env)?;
    let bytes = file::bytes("file", &args.file, MAX_BYTES)?;
    let route = match args.kind {
        Kind::Orders => routes::IMPORT_ORDERS,
        Kind::Profiles => routes::IMPORT_HARDWARE_PROFILES,
        Kind::Racks => routes::IMPORT_RACKS,
    };
    let report = remote.client.import(route, media_type, bytes).await?;
    remote.answer(&report, imported)
}

fn media_type(file: &Path) -> Result<&'static str, CliError> {
    let ending = file.extension().unwrap_or_default().to_ascii_lowercase();
    match ending.to_str() {
        Some("csv") => Ok("text/csv"),
        Some("json") => Ok("application/json"),
        _ => Err(CliError::usage(format!(
            "{} is neither .csv nor .json: the file name's extension selects the format",
            file.display()
        ))),
    }
}

pub(super) fn imported(report: &ImportReport) -> String {
    let mut text = format!(
        "{}: {} added, {} changed, {} unchanged; {} machines checked again\n",
        report.kind, report.added, report.changed, report.unchanged, report.rechecked
    );
    if report.pending > 0 {
        text += &format!(
            "  {} more are being checked again in the background\n",
            report.pending
        );
    }
    for entry in &report.entries {
        let what = match entry.what {
            Imported::Added => "added",
            Imported::Changed => "changed",
        };
        text += &format!("  {what} {}\n", tame(&entry.name, 200));
    }
    for remark in &report.remarks {
        text += &format!("  note: {}\n", tame(remark, 300));
    }
    text
}

/// A table of delivery tallies under a heading of two names.
fn tallies<T>(
    things: &[T],
    first: Column<T>,
    second: Column<T>,
    ordered: &str,
    tally: impl Fn(&T) -> &Tally,
) -> Table {
    let heading = [
        first.0, second.0, ordered, "RECEIVED", "CHECKED", "PASSING", "FAILING", "MISSING",
    ];
    let mut table = Table::new(&heading);
    for thing in things {
        let t = tally(thing);
        let counts = [t.ordered, t.received, t.checked, t.passing, t.failing, t.missing];
        let names = [first.1(thing), second.1(thing)];
        table.row(names.into_iter().chain(counts.map(|n| n.to_string())));
    }
    table
}

fn rack_table(racks: &[RackDelivery]) -> Table {
    tallies(
        racks,
        ("ROOM", &|r| r.room.clone()),
        ("RACK", &|r| r.rack.clone()),
        "PLANNED",
        |r| &r.tally,
    )
}

pub(super) async fn order(command: OrderCommand, remote: &Remote) -> Result<String, CliError> {
    let client = &remote.client;
    match command {
        OrderCommand::List => {
            let orders = client.list(routes::ORDERS, [], &()).await?;
            remote.answer(&orders, |orders| {
                if orders.is_empty() {
                    return "No orders. `slipway import orders FILE` takes them in.\n".to_owned();
                }
                let table = tallies(
                    orders,
                    ("ORDER", &|o| o.number.clone()),
                    ("ITEMS", &|o| o.items.to_string()),
                    "ORDERED",
                    |o| &o.tally,
                );
                table.text(0)
            })
        }
        OrderCommand::Show { number, csv: true } => Ok(client.text(routes::DELIVERY_CSV, [&number]).await?),
        OrderCommand::Show { number, csv: false } => {
            remote.answer(&client.ask(routes::ORDER, [&number]).await?, order_text)
        }
        OrderCommand::Remove { number } => {
            remote.answer(&client.ask(routes::REMOVE_ORDER, [&number]).await?, removed)
        }
    }
}

pub(super) fn removed(removed: &Removed) -> String {
    let line = |name: &String| format!("removed {}\n", tame(name, 200));
    removed.removed.iter().map(line).collect()
}

fn order_text(order: &OrderDelivery) -> String {
    let t = &order.tally;
    let mut text = format!(
        "Order {}: {} ordered, {} received, {} checked, {} failing, {} missing\n",
        tame(&order.order.number, 100),
        t.ordered,
        t.received,
        t.checked,
        t.failing,
        t.missing
    );
    let items = tallies(
        &order.items,
        ("ITEM", &|i| i.item.clone()),
        ("PROFILE", &|i| {
            i.profile.clone() + if i.profile_known { "" } else { " (not known)" }
        }),
        "ORDERED",
        |i| &i.tally,
    );
    text += &items.text(2);
    if !order.racks.is_empty() {
        text += &rack_table(&order.racks).text(2);
    }
    let failing = order
        .machines
        .iter()
        .filter_map(|m| Some((m, m.finding.as_ref()?)));
    for (m, finding) in failing.take(100) {
        let place = tame(&m.placement.name(), 100);
        text += &format!("  {} {place}: {}\n", m.receipt, tame(finding, 300));
    }
    text
}

pub(super) async fn rack(command: RackCommand, remote: &Remote) -> Result<String, CliError> {
    let client = &remote.client;
    match command {
        RackCommand::List => {
            let racks = client.list(routes::RACKS, [], &()).await?;
            remote.answer(&racks, |racks| rack_table(racks).text(0))
        }
        RackCommand::Show { room, rack } => {
            remote.answer(&client.ask(routes::RACK, [&room, &rack]).await?, rack_text)
        }
        RackCommand::Remove { room, rack, unit } => {
            let done = match unit.map(|unit| unit.to_string()) {
                Some(unit) => client.ask(routes::REMOVE_PLACE, [&room, &rack, &unit]).await?,
                None => client.ask(routes::REMOVE_RACK, [&room, &rack]).await?,
            };
            remote.answer(&done, removed)
        }
    }
}

fn rack_text(view: &RackView) -> String {
    let node = |node: &Option<String>| node.as_ref().map(|node| format!(" node {node}"));
    let table = Table::of(
        &view.places,
        &[
            ("UNIT", &|p| {
                p.placement.unit.to_string() + &cell(&node(&p.placement.node))
            }),
            ("SERIAL", &|p| cell(&p.placement.serial)),
            ("ASSET TAG", &|p| cell(&p.placement.asset_tag)),
            ("STATUS", &|p| p.receipt.to_string()),
            ("MACHINE", &|p| cell(&p.machine)),
            ("FINDING", &|p| cell(&p.finding)),
        ],
    );
    table.text(0)
}

pub(super) async fn part(
    PartCommand::Show { serial }: PartCommand,
    remote: &Remote,
) -> Result<String, CliError> {
    let parts = remote.client.list(routes::PARTS, [&serial], &()).await?;
    remote.answer(&parts, |parts| parts.iter().map(part_text).collect())
}

fn part_text(part: &PartLife) -> String {
    let model = cell(&joined([&part.manufacturer, &part.model]));
    let mut text = format!(
        "{} {} ({})\n",
        part.kind,
        tame(&part.serial, 128),
        tame(&model, 200)
    );
    if part.duplicate {
        text += "  DUPLICATE: two machines report it at once\n";
    }
    for place in &part.seen_in {
        let (name, since, seen) = (
            tame(&place.place, 128),
            timestamp(place.since),
            timestamp(place.seen_at),
        );
        text += &format!("  in {} {name} since {since}, seen {seen}\n", place.machine);
    }
    let table = Table::of(
        &part.events,
        &[
            ("WHEN", &|e| timestamp(e.at)),
            ("WHAT", &|e| e.what.to_string()),
            ("MACHINE", &|e| e.machine.to_string()),
            ("PLACE", &|e| e.place.clone()),
            ("FROM", &|e| {
                e.from_place.clone().unwrap_or_else(|| cell(&e.from_machine))
            }),
        ],
    );
    text + &table.text(2)
}
