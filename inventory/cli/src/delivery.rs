//! `slipway import|order|rack|profile|part`.

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use inventory_api::check::HardwareProfile;
use inventory_api::delivery::{OrderDelivery, OrderSummary, ProfileSummary, RackDelivery, RackView, Tally};
use inventory_api::import::{ImportReport, Imported, Removed};
use inventory_api::parts::PartLife;

use super::check::ProfileCommand;
use super::table::Table;
use super::{Asked, CliEnv, CliError, Common, Output, render};
use files::import::{Kind, MAX_BYTES};
use inventory_client::Client;
use words::text::{joined, segment, tame, timestamp};

/// `slipway import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Options common to all commands.
    #[command(flatten)]
    pub common: Common,
    /// What the file contains
    #[arg(value_parser = kind())]
    pub kind: Kind,
    /// The file, .csv or .json; docs/orders.md describes the columns
    pub file: PathBuf,
}

fn kind() -> impl TypedValueParser<Value = Kind> {
    PossibleValuesParser::new(Kind::ALL.map(Kind::name))
        .try_map(|name| Kind::of_name(&name).ok_or("not a kind of file"))
}

/// Subcommands of `slipway order`.
#[derive(Debug, Subcommand)]
pub enum OrderCommand {
    /// List the orders
    List,
    /// Show how much of an order was delivered
    Show {
        /// Order number
        number: String,
        /// Print CSV, one row per machine
        #[arg(long)]
        csv: bool,
    },
    /// Remove an order; refused while a place of the rack plan names it
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

pub(super) async fn import(args: ImportArgs, env: CliEnv) -> Result<String, CliError> {
    let media_type = media_type(&args.file)?;
    let client = args.common.client(env)?;
    let bytes = read(&args.file)?;
    let path = format!("/v1/{}", args.kind.name());
    let report: ImportReport = client.post_file(&path, media_type, bytes).await?;
    render::answer(args.common.output, &report, imported)
}

fn media_type(file: &Path) -> Result<&'static str, CliError> {
    let ending = file
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default()
        .to_lowercase();
    match ending.as_str() {
        "csv" => Ok("text/csv"),
        "json" => Ok("application/json"),
        _ => Err(CliError::usage(format!(
            "{} is neither .csv nor .json: its ending says how it is read",
            file.display()
        ))),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, CliError> {
    let cannot = |e: std::io::Error| CliError::usage(format!("{} cannot be read: {e}", file.display()));
    let size = std::fs::metadata(file).map_err(cannot)?.len();
    if size > MAX_BYTES as u64 {
        return Err(CliError::usage(format!(
            "{} has {size} bytes; a file may have {MAX_BYTES}: split it",
            file.display()
        )));
    }
    std::fs::read(file).map_err(cannot)
}

fn imported(report: &ImportReport) -> String {
    let mut text = format!(
        "{}: {} added, {} changed, {} as before; {} machines checked again\n",
        report.kind, report.added, report.changed, report.unchanged, report.rechecked
    );
    if report.pending > 0 {
        text.push_str(&format!(
            "  {} more are being checked again in the background\n",
            report.pending
        ));
    }
    for entry in &report.entries {
        let what = match entry.what {
            Imported::Added => "added",
            Imported::Changed => "changed",
        };
        text.push_str(&format!("  {what} {}\n", tame(&entry.name, 200)));
    }
    for remark in &report.remarks {
        text.push_str(&format!("  note: {}\n", tame(remark, 300)));
    }
    text
}

/// A table of delivery tallies; each row starts with two names.
fn tallies<T>(
    first: &str,
    second: &str,
    ordered: &str,
    things: &[T],
    row: impl Fn(&T) -> ([String; 2], &Tally),
) -> Table {
    let heading = [
        first, second, ordered, "RECEIVED", "CHECKED", "PASSING", "FAILING", "MISSING",
    ];
    Table::of(&heading, things, |thing| {
        let (words, t) = row(thing);
        let counts = [t.ordered, t.received, t.checked, t.passing, t.failing, t.missing];
        words.into_iter().chain(counts.map(|n| n.to_string()))
    })
}

fn rack_table(racks: &[RackDelivery]) -> Table {
    tallies("ROOM", "RACK", "PLANNED", racks, |r| {
        ([r.room.clone(), r.rack.clone()], &r.tally)
    })
}

pub(super) async fn order(args: Asked<OrderCommand>, env: CliEnv) -> Result<String, CliError> {
    let client = args.common.client(env)?;
    let out = args.common.output;
    match args.command {
        OrderCommand::List => {
            let orders: Vec<OrderSummary> = client.list("/v1/orders").await?;
            render::answer(out, &orders, |orders| {
                if orders.is_empty() {
                    return "No orders. `slipway import orders FILE` takes them in.\n".to_owned();
                }
                tallies("ORDER", "ITEMS", "ORDERED", orders, |o| {
                    ([o.number.clone(), o.items.to_string()], &o.tally)
                })
                .text(0)
            })
        }
        OrderCommand::Show { number, csv: true } => {
            let path = format!("/v1/orders/{}/delivery.csv", segment(&number));
            Ok(client.get_text(&path).await?)
        }
        OrderCommand::Show { number, csv: false } => {
            let order: OrderDelivery = client.get(&format!("/v1/orders/{}", segment(&number))).await?;
            render::answer(out, &order, order_text)
        }
        OrderCommand::Remove { number } => {
            remove(&client, &format!("/v1/orders/{}", segment(&number)), out).await
        }
    }
}

async fn remove(client: &Client, path: &str, out: Output) -> Result<String, CliError> {
    let removed: Removed = client.delete(path).await?;
    render::answer(out, &removed, |r| {
        r.removed
            .iter()
            .map(|name| format!("removed {}\n", tame(name, 200)))
            .collect()
    })
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
    let items = tallies("ITEM", "PROFILE", "ORDERED", &order.items, |i| {
        let profile = match i.profile_known {
            true => i.profile.clone(),
            false => format!("{} (not known)", i.profile),
        };
        ([i.item.clone(), profile], &i.tally)
    });
    text.push_str(&items.text(2));
    if !order.racks.is_empty() {
        text.push_str(&rack_table(&order.racks).text(2));
    }
    let failing = order
        .machines
        .iter()
        .filter_map(|m| Some((m, m.finding.as_ref()?)));
    for (m, finding) in failing.take(100) {
        let place = files::import::place_name(&m.placement);
        text.push_str(&format!(
            "  {} {}: {}\n",
            m.receipt,
            tame(&place, 100),
            tame(finding, 300)
        ));
    }
    text
}

pub(super) async fn rack(args: Asked<RackCommand>, env: CliEnv) -> Result<String, CliError> {
    let client = args.common.client(env)?;
    let out = args.common.output;
    match args.command {
        RackCommand::List => {
            let racks: Vec<RackDelivery> = client.list("/v1/racks").await?;
            render::answer(out, &racks, |racks| rack_table(racks).text(0))
        }
        RackCommand::Show { room, rack } => {
            let path = format!("/v1/racks/{}/{}", segment(&room), segment(&rack));
            let view: RackView = client.get(&path).await?;
            render::answer(out, &view, |view| {
                let heading = ["UNIT", "SERIAL", "ASSET TAG", "STATUS", "MACHINE", "FINDING"];
                let table = Table::of(&heading, &view.places, |p| {
                    [
                        match &p.placement.node {
                            Some(node) => format!("{} node {node}", p.placement.unit),
                            None => p.placement.unit.to_string(),
                        },
                        p.placement.serial.clone().unwrap_or_default(),
                        p.placement.asset_tag.clone().unwrap_or_default(),
                        p.receipt.to_string(),
                        p.machine.as_ref().map_or(String::new(), ToString::to_string),
                        p.finding.clone().unwrap_or_default(),
                    ]
                });
                table.text(0)
            })
        }
        RackCommand::Remove { room, rack, unit } => {
            let mut path = format!("/v1/racks/{}/{}", segment(&room), segment(&rack));
            if let Some(unit) = unit {
                path.push_str(&format!("/{unit}"));
            }
            remove(&client, &path, out).await
        }
    }
}

pub(super) async fn profile(args: Asked<ProfileCommand>, env: CliEnv) -> Result<String, CliError> {
    let client = args.common.client(env)?;
    let out = args.common.output;
    match args.command {
        ProfileCommand::List => {
            let profiles: Vec<ProfileSummary> = client.list("/v1/hardware-profiles").await?;
            render::answer(out, &profiles, |profiles| {
                let table = Table::of(&["PROFILE", "MACHINES", "CHANGED"], profiles, |p| {
                    [p.name.clone(), p.machines.to_string(), timestamp(p.changed_at)]
                });
                table.text(0)
            })
        }
        ProfileCommand::Show { name } => {
            let profile: HardwareProfile = client
                .get(&format!("/v1/hardware-profiles/{}", segment(&name)))
                .await?;
            render::answer(Output::Json, &profile, |_| String::new())
        }
        ProfileCommand::Remove { name } => {
            remove(&client, &format!("/v1/hardware-profiles/{}", segment(&name)), out).await
        }
        ProfileCommand::FromReport { .. } => Err(CliError::usage("a report is a file: no server is asked")),
        ProfileCommand::FromMachine {
            machine,
            name,
            accept_unhealthy,
        } => {
            let path = format!("/v1/machines/{}/golden", segment(&machine));
            let report: ImportReport = client
                .post(
                    &path,
                    Some(&serde_json::json!({ "name": name, "accept_unhealthy": accept_unhealthy })),
                )
                .await?;
            render::answer(out, &report, imported)
        }
    }
}

pub(super) async fn part(args: Asked<PartCommand>, env: CliEnv) -> Result<String, CliError> {
    let client = args.common.client(env)?;
    let PartCommand::Show { serial } = args.command;
    let parts: Vec<PartLife> = client.list(&format!("/v1/parts/{}", segment(&serial))).await?;
    render::answer(args.common.output, &parts, |parts| {
        parts.iter().map(part_text).collect()
    })
}

fn part_text(part: &PartLife) -> String {
    let model = joined([&part.manufacturer, &part.model]).unwrap_or_default();
    let mut text = format!(
        "{} {} ({})\n",
        part.kind,
        tame(&part.serial, 128),
        tame(&model, 200)
    );
    if part.duplicate {
        text.push_str("  DUPLICATE: two machines report it at once\n");
    }
    for place in &part.seen_in {
        text.push_str(&format!(
            "  in {} {} since {}, seen {}\n",
            place.machine,
            tame(&place.place, 128),
            timestamp(place.since),
            timestamp(place.seen_at)
        ));
    }
    let table = Table::of(&["WHEN", "WHAT", "MACHINE", "PLACE", "FROM"], &part.events, |e| {
        let machine = || e.from_machine.as_ref().map(ToString::to_string);
        [
            timestamp(e.at),
            e.what.to_string(),
            e.machine.to_string(),
            e.place.clone(),
            e.from_place.clone().or_else(machine).unwrap_or_default(),
        ]
    });
    text.push_str(&table.text(2));
    text
}
