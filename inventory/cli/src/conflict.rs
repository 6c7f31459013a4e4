//! `slipway machine conflict`: two machines that claim one identity.

use clap::Args;
use inventory_api::MachineId;
use inventory_api::conflict::{Conflict, Conflicts, ResolveConflict};

use super::machine::path;
use super::table::Table;
use super::{CliError, Output, render};
use inventory_client::Client;
use words::text::{tame, timestamp};

/// `slipway machine conflict`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("decision").args(["different", "retire"]))]
pub struct ConflictArgs {
    /// Id, MAC, serial number or asset tag
    pub machine: String,
    /// They are different machines: keep both and ignore the facts that they share
    #[arg(long)]
    pub different: bool,
    /// With --different: only the conflict with this machine
    #[arg(long, value_name = "ID", requires = "different")]
    pub with: Option<MachineId>,
    /// They are one machine: retire this enrolment; its NICs move to the other one
    #[arg(long, value_name = "ID")]
    pub retire: Option<MachineId>,
}

pub(crate) async fn run(client: &Client, args: ConflictArgs, out: Output) -> Result<String, CliError> {
    let here = path(&args.machine, "/conflict")?;
    let decision = match (args.different, args.retire) {
        (true, _) => Some(ResolveConflict::Different { with: args.with }),
        (false, Some(retire)) => Some(ResolveConflict::Same { retire }),
        (false, None) => None,
    };
    let answer: Conflicts = match &decision {
        Some(decision) => client.post(&here, Some(decision)).await?,
        None => client.get(&here).await?,
    };
    render::answer(out, &answer, text)
}

/// Both sides, field by field.
pub(crate) fn text(answer: &Conflicts) -> String {
    if answer.conflicts.is_empty() {
        return format!(
            "{}: no conflict. No other machine claims to be it.\n",
            answer.machine.id
        );
    }
    answer.conflicts.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn one(conflict: &Conflict) -> String {
    let (newcomer, known) = (&conflict.newcomer, &conflict.known);
    let itself = newcomer.id == known.id;
    let mut out = match &conflict.resolution {
        None => format!("OPEN since {}\n", timestamp(conflict.at)),
        Some(r) => format!(
            "{} ({}, {})\n",
            tame(&r.resolution, 20),
            tame(&r.actor, 40),
            timestamp(r.at)
        ),
    };
    out.push_str(&format!("  {}\n", tame(&conflict.sentence, 500)));
    let heads = if itself {
        ["", "NOW", "BEFORE", ""].map(str::to_owned)
    } else {
        [
            String::new(),
            newcomer.id.to_string(),
            known.id.to_string(),
            String::new(),
        ]
    };
    let mut table = Table::new(&heads.each_ref().map(String::as_str));
    if !itself {
        table.row([
            "state".to_owned(),
            newcomer.status.state.to_string(),
            known.status.state.to_string(),
            String::new(),
        ]);
    }
    for field in &conflict.fields {
        let word = match field.agrees {
            Some(true) => "same",
            Some(false) => "differs",
            None => "",
        };
        table.row([
            field.name.clone(),
            field.newcomer.clone().unwrap_or_else(|| "-".to_owned()),
            field.known.clone().unwrap_or_else(|| "-".to_owned()),
            word.to_owned(),
        ]);
    }
    out.push_str(&table.text(2));
    if conflict.resolution.is_none() {
        let (a, b) = (&newcomer.id, &known.id);
        let other = if itself {
            format!("It is this machine, rebuilt: slipway machine conflict {a} --retire {a}")
        } else {
            format!("One machine: slipway machine conflict {b} --retire {a} (or {a} --retire {b})")
        };
        out.push_str(&format!(
            "  Different: slipway machine conflict {a} --different{}\n  {other}\n",
            if itself {
                String::new()
            } else {
                format!(" --with {b}")
            }
        ));
    }
    out
}
