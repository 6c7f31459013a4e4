//! What a machine should be doing: pure decisions. No clock, no randomness, no I/O; the time and fresh ids are
//! arguments.
//!
//! - [`transition`]: (state, event, limits, now) -> next state and actions, or [`Refused`]. The only maker of states.
//! - [`boot_target`]: what a machine in a state boots from the network.
//! - [`booting`]: whether who asks for a boot script is a machine that boots.
//! - [`console`]: what a person at its console may choose instead.
//! - [`assignment`]: what its agent is told to do.
//! - [`check`]: expected assets against a report.
//! - [`plan`]: report + image + request -> install plan, or the missing fact.
//! - [`identity`]: who sent a report: a known machine, a new one, or two that claim one identity.
//! - [`expectation`]: what is expected of a machine: its place in the rack plan, else what its deployment asks for.
//! - [`parts`]: the parts of two reports -> what became of each.
//! - [`policy`]: rules that make "automatic on first boot" real.

pub mod assignment;
pub mod booting;
pub mod bounds;
pub mod burn_in;
pub mod check;
pub mod console;
pub mod delivery;
pub mod event;
pub mod expectation;
mod follow;
pub mod identity;
pub mod known;
pub mod parts;
pub mod plan;
pub mod policy;
pub mod repeat;
pub mod state;
pub mod status;
pub mod task;
pub mod ticket;
mod transition;
pub mod verbs;
pub mod wipe;

pub use assignment::{AgentSession, assignment};
pub use check::check;
pub use event::{Action, AfterCheck, AtConsole, Event, IDENTITY_CONFLICT};
pub use follow::{Deployment, deploys_now, follow_report};
pub use plan::{FreshIds, PlanError, PlanInput, check_request, plan};
pub use policy::{Decision, MachineFacts, Policy, Rule, RuleAction, RuleMatch};
pub use state::{Limits, State};
pub use status::status;
pub use transition::{Refused, Transition, transition};
pub use verbs::verbs;

use inventory_api::boot::{BootTarget, Purpose};

/// What a machine in this state boots when it asks the network. `commission_unknown`: what [`Policy`] decided for a
/// machine in state New; everywhere else the state alone decides.
pub fn boot_target(state: &State, commission_unknown: bool) -> BootTarget {
    use state::{DeployPhase, DiskState};
    let mini_os = |purpose| BootTarget::MiniOs { purpose };
    match state {
        State::New if commission_unknown => mini_os(Purpose::Commission),
        State::New => BootTarget::LocalDisk,
        State::Commissioning(_) => mini_os(Purpose::Commission),
        // Nothing decides the machine's power yet: it stays where a decision reaches it at once.
        State::Ready(_) => mini_os(Purpose::Standby),
        State::Deploying(d) => match d.phase {
            DeployPhase::AwaitBoot
            | DeployPhase::Booting
            | DeployPhase::Claimed
            | DeployPhase::Installing { .. } => mini_os(Purpose::Deploy),
            DeployPhase::AwaitLocalBoot { .. } | DeployPhase::Verifying => BootTarget::LocalDisk,
        },
        State::Deployed(_) => BootTarget::LocalDisk,
        State::Releasing(_) => mini_os(Purpose::Release),
        State::Failed(f) => match f.disk {
            DiskState::Installed => BootTarget::LocalDisk,
            DiskState::Untouched | DiskState::Partial => mini_os(Purpose::Standby),
        },
        State::Quarantined(_) | State::Retired => BootTarget::Ignore,
    }
}
