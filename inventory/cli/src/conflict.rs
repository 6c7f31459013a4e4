//! `slipway machine conflict`: two machines that claim one identity.

use clap::Args;
use inventory_api::conflict::{Conflict, Conflicts, ResolveConflict};
use inventory_api::{MachineId, routes};

use super::machine::Which;
use super::table::Table;
use super::{CliError, Remote};
use words::text::{tame, timestamp};

/// `slipway machine conflict`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("decision").args(["different", "retire"]))]
pub struct ConflictArgs {
    #[command(flatten)]
    which: Which,
    /// They are different machines: keep both and ignore the facts that they share
    #[arg(long)]
    pub(super) different: bool,
    /// With --different: only the conflict with this machine
    #[arg(long, value_name = "ID", requires = "different")]
    pub(super) with: Option<MachineId>,
    /// They are one machine: retire this enrolment; its NICs move to the other one
    #[arg(long, value_name = "ID")]
    pub(super) retire: Option<MachineId>,
}

pub(crate) async fn run(args: ConflictArgs, remote: &Remote) -> Result<String, CliError> {
    let keys = [args.which.machine.as_str()];
    let decision = match (args.different, args.retire) {
        (true, _) => Some(ResolveConflict::Different { with: args.with }),
        (false, retire) => retire.map(|retire| ResolveConflict::Same { retire }),
    };
    let answer = match &decision {
        Some(decision) => {
            remote
                .client
                .send(routes::RESOLVE_CONFLICT, keys, decision)
                .await?
        }
        None => remote.client.ask(routes::CONFLICTS, keys).await?,
    };
    remote.answer(&answer, text)
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
    let (a, b) = (newcomer.id.as_str(), known.id.as_str());
    let [left, right] = if itself { ["NOW", "BEFORE"] } else { [a, b] };
    let mut table = Table::new(&["", left, right, ""]);
    if !itself {
        let states = [newcomer, known].map(|machine| machine.status.state.as_str());
        table.row(["state", states[0], states[1], ""]);
    }
    for field in &conflict.fields {
        let word = match field.agrees {
            Some(true) => "same",
            Some(false) => "differs",
            None => "",
        };
        let [left, right] = [&field.newcomer, &field.known].map(|value| value.as_deref().unwrap_or_default());
        table.row([&field.name, left, right, word]);
    }
    out.push_str(&table.text(2));
    if conflict.resolution.is_none() {
        let (with, other) = if itself {
            (
                String::new(),
                format!("It is this machine, rebuilt: slipway machine conflict {a} --retire {a}"),
            )
        } else {
            (
                format!(" --with {b}"),
                format!("One machine: slipway machine conflict {b} --retire {a} (or {a} --retire {b})"),
            )
        };
        out.push_str(&format!(
            "  Different: slipway machine conflict {a} --different{with}\n  {other}\n"
        ));
    }
    out
}
