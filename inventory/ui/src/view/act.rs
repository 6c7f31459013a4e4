//! Verbs: which ones a state offers, and what a person confirms.

use askama::Template;
use inventory_api::machine::{MachineDetail, MachineSummary, Profile};
use inventory_api::plan::InstallPlan;

use super::Shell;
use super::lists::ProfileCard;
use super::plan::PlanView;
use service::Verb;
use words::text::display_name;
use words::text::plan::disk as disk_words;

/// A button.
pub struct Action {
    /// Verb as in the address.
    pub verb: &'static str,
    /// Label.
    pub label: &'static str,
    /// Icon.
    pub icon: &'static str,
    /// CSS classes of the button.
    pub class: &'static str,
}

const fn action(verb: &'static str, label: &'static str, icon: &'static str, class: &'static str) -> Action {
    Action {
        verb,
        label,
        icon,
        class,
    }
}

const COMMISSION: Action = action(
    "commission",
    "Commission",
    "clipboard-check",
    "btn-outline-secondary",
);
const DEPLOY: Action = action("deploy", "Deploy", "rocket", "btn-primary");
const RELEASE: Action = action("release", "Release", "archive", "btn-outline-danger");
const RETIRE: Action = action("retire", "Retire", "trash", "btn-ghost-secondary");
const RETRY: Action = action("retry", "Retry", "refresh", "btn-primary");
const ABORT: Action = action("abort", "Abort", "player-stop", "btn-outline-danger");
const ADMIT: Action = action("admit", "Let it boot", "player-play", "btn-primary");
const FORGET: Action = action("forget", "Forget", "trash", "btn-ghost-secondary");

/// The verbs that a machine takes: those of its state, and what lets a held one boot.
pub fn actions_of(machine: &MachineSummary) -> Vec<Action> {
    let mut all = actions(&machine.status.state, machine.status.phase.as_deref());
    if machine.held.is_some() {
        all.push(ADMIT);
    }
    all
}

/// The verbs that a state takes (`phase` of a failure: what it happened during). The service has the last word.
pub fn actions(state: &str, phase: Option<&str>) -> Vec<Action> {
    match state {
        "new" => vec![FORGET, RETIRE, COMMISSION],
        "ready" => vec![RETIRE, COMMISSION, DEPLOY],
        "deployed" => vec![RETIRE, RELEASE],
        "commissioning" | "deploying" | "releasing" => vec![ABORT],
        "failed" if phase == Some("commissioning") => vec![RETIRE, COMMISSION, RETRY],
        "failed" => vec![RETIRE, RELEASE, RETRY],
        "quarantined" => vec![RETIRE, COMMISSION],
        "retired" => vec![FORGET],
        _ => Vec::new(),
    }
}

/// What a person confirms.
#[derive(Template)]
#[template(path = "act.html")]
pub struct ActPage {
    /// Around it.
    pub shell: Shell,
    /// Machine id.
    pub id: String,
    /// Machine name.
    pub name: String,
    /// Verb as in the address.
    pub verb: String,
    /// Heading.
    pub title: String,
    /// What will happen.
    pub text: &'static str,
    /// The disk it is about.
    pub disk: Option<String>,
    /// What happens to the disk.
    pub disk_text: &'static str,
    /// Words on the button.
    pub button: &'static str,
    /// Its classes.
    pub button_class: &'static str,
    /// Icon.
    pub icon: &'static str,
    /// Colour.
    pub color: &'static str,
}

impl ActPage {
    /// What the verb does to this machine, naming the disk where one is touched.
    pub fn new(shell: Shell, d: &MachineDetail, verb: Verb) -> ActPage {
        let name = display_name(&d.machine);
        let plan = d.plan.as_ref();
        let disk = plan.map(|p| disk_words(&p.disk));
        let page = |action: Action, color, text| ActPage {
            shell,
            id: d.machine.id.to_string(),
            title: format!("{} {name}?", action.label),
            name: name.clone(),
            verb: verb.to_string(),
            text,
            disk: None,
            disk_text: "",
            button: action.label,
            button_class: "btn-primary",
            icon: action.icon,
            color,
        };
        match verb {
            Verb::Commission => page(
                COMMISSION,
                "primary",
                "The machine boots the mini-os, reports its hardware and is checked against what is expected. No disk is written. If it is powered off, power it on.",
            ),
            Verb::Release => ActPage {
                disk,
                disk_text: "Partition tables and signatures are erased, and the blocks discarded where the disk can; else old data can still be read by who looks for it. This cannot be undone.",
                button: "Erase the disk and release",
                button_class: "btn-danger",
                ..page(
                    RELEASE,
                    "red",
                    "The machine is booted into the mini-os, the disk that Slipway wrote is wiped, and the machine becomes ready for something else.",
                )
            },
            Verb::Retire => ActPage {
                disk,
                disk_text: "Its disk is left as it is: wipe it with Release first if it leaves the house.",
                button_class: "btn-danger",
                ..page(
                    RETIRE,
                    "secondary",
                    "Slipway keeps its history, but no longer answers when it boots from the network.",
                )
            },
            Verb::Retry => ActPage {
                disk,
                disk_text: "If a deployment failed, this disk is erased and written anew.",
                ..page(RETRY, "primary", "What failed is tried again from its beginning.")
            },
            Verb::Abort => ActPage {
                disk: disk.filter(|_| d.machine.status.state == "deploying"),
                disk_text: "It may be half written: the machine will not boot from it.",
                button_class: "btn-danger",
                ..page(
                    ABORT,
                    "red",
                    "What is going on stops at the next safe point; the machine is then marked as failed and can be retried or released.",
                )
            },
            Verb::Admit => ActPage {
                title: format!("Let {name} boot?"),
                ..page(
                    ADMIT,
                    "primary",
                    "Nobody heard its firmware ask for an address: it has a fixed one, or a program on its running system asks in its place. For half an hour its boot script is given all the same. Look at its console first.",
                )
            },
            Verb::Forget => ActPage {
                disk,
                disk_text: "Its disk is left as it is.",
                button_class: "btn-danger",
                ..page(
                    FORGET,
                    "secondary",
                    "All that Slipway keeps of it is deleted: reports, checks, plans and history. If it boots from the network again, it is new.",
                )
            },
        }
    }
}

/// Choice of a profile.
#[derive(Template)]
#[template(path = "deploy.html")]
pub struct DeployPage {
    /// Around it.
    pub shell: Shell,
    /// Machine id.
    pub id: String,
    /// Machine name.
    pub name: String,
    /// What can be chosen.
    pub profiles: Vec<ProfileCard>,
}

impl DeployPage {
    /// The choice for this machine.
    pub fn new(shell: Shell, d: &MachineDetail, profiles: &[Profile]) -> DeployPage {
        DeployPage {
            shell,
            id: d.machine.id.to_string(),
            name: display_name(&d.machine),
            profiles: profiles.iter().map(ProfileCard::new).collect(),
        }
    }
}

/// The plan, before it is confirmed.
#[derive(Template)]
#[template(path = "deploy_plan.html")]
pub struct DeployPlanPage {
    /// Around it.
    pub shell: Shell,
    /// Machine id.
    pub id: String,
    /// Machine name.
    pub name: String,
    /// Profile.
    pub profile: String,
    /// The plan; absent when the machine must report first.
    pub plan: Option<PlanView>,
}

impl DeployPlanPage {
    /// What is to be confirmed.
    pub fn new(shell: Shell, d: &MachineDetail, profile: &str, plan: Option<&InstallPlan>) -> DeployPlanPage {
        DeployPlanPage {
            shell,
            id: d.machine.id.to_string(),
            name: display_name(&d.machine),
            profile: profile.to_owned(),
            plan: plan.map(PlanView::new),
        }
    }
}
