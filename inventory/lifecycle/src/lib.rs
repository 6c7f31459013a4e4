//! What a machine should be doing: pure decisions. No clock, no randomness, no I/O; the time and new ids are
//! arguments.
//!
//! - [`transition`]: (state, event, limits, now) -> next state and actions, or [`Refused`]. The only maker of
//!   states.
//! - [`boot_target`]: what a machine in a state boots from the network.
//! - [`verbs`]: what a user can do to a machine in a state.
//! - [`booting`]: whether a request for a boot script comes from a booting machine.
//! - [`ticket`]: whether an agent that claims a boot ticket gets a certificate.
//! - [`console`]: what a person at its console may boot, and which rescue password opens a shell.
//! - [`assignment`]: what its agent is told to do. [`task`]: whether it may be given a one-shot task.
//! - [`check`]: expected assets against a report.
//! - [`plan`]: report + image + request -> install plan, or the missing fact.
//! - [`identity`]: who sent a report: a known machine, a new one, or two in conflict.
//! - [`expectation`]: what is expected of a machine: from its place in the rack plan, else from its
//!   deployment.
//! - [`parts`]: the parts of two reports -> what changed.
//! - [`policy`]: rules for what a machine does on its first boot. [`follow_report`]: what follows its report.

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

/// What a machine in this state boots from the network. `commission_unknown`: the [`Policy`]'s decision for a
/// machine in state New; in all others the state alone decides.
pub fn boot_target(state: &State, commission_unknown: bool) -> BootTarget {
    use state::{DeployPhase, DiskState};
    let mini_os = |purpose| BootTarget::MiniOs { purpose };
    match state {
        State::New if commission_unknown => mini_os(Purpose::Commission),
        State::New => BootTarget::LocalDisk,
        State::Commissioning(_) => mini_os(Purpose::Commission),
        // Slipway cannot power it on yet: it stays in the mini-os, where a decision reaches it at once.
        State::Ready(_) => mini_os(Purpose::Standby),
        State::Deploying(d) => match d.phase {
            DeployPhase::Boot { .. } | DeployPhase::Installing { .. } => mini_os(Purpose::Deploy),
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
