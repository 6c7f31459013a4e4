//! Verbs: the buttons a machine offers, and the pages on which a person confirms them.

use askama::Template;
use inventory_api::machine::{MachineDetail, MachineState, MachineSummary, Profile, Verb};
use inventory_api::plan::InstallPlan;

use super::Shell;
use super::lists::ProfileCard;
use super::plan::PlanView;
use words::text::plan::disk as disk_words;

/// A button.
pub struct Action {
    /// What it does.
    pub verb: Verb,
    /// Label.
    pub label: &'static str,
    /// Icon.
    pub icon: &'static str,
    /// CSS classes of the button.
    pub class: &'static str,
}

/// The button of a verb; `None`: a verb this page does not know.
fn button(verb: Verb) -> Option<Action> {
    let (label, icon, class) = match verb {
        Verb::Commission => ("Commission", "clipboard-check", "btn-outline-secondary"),
        Verb::Deploy => ("Deploy", "rocket", "btn-primary"),
        Verb::Release => ("Release", "archive", "btn-outline-danger"),
        Verb::Retire => ("Retire", "trash", "btn-ghost-secondary"),
        Verb::Retry => ("Retry", "refresh", "btn-primary"),
        Verb::Abort => ("Abort", "player-stop", "btn-outline-danger"),
        Verb::Admit => ("Let it boot", "player-play", "btn-primary"),
        Verb::Forget => ("Forget", "trash", "btn-ghost-secondary"),
        Verb::Unknown => return None,
    };
    Some(Action {
        verb,
        label,
        icon,
        class,
    })
}

/// The buttons for the verbs that the machine allows now.
pub fn actions(machine: &MachineSummary) -> Vec<Action> {
    let verbs = &machine.status.verbs;
    let mut buttons: Vec<Action> = verbs.iter().copied().filter_map(button).collect();
    if verbs.contains(&Verb::Retry) {
        // Only one button is primary.
        for deploy in buttons.iter_mut().filter(|b| b.verb == Verb::Deploy) {
            deploy.class = "btn-outline-secondary";
        }
    }
    buttons
}

/// The page on which a person confirms a verb.
#[derive(Template)]
#[template(path = "act.html")]
pub struct ActPage {
    /// Page frame.
    pub shell: Shell,
    /// Machine id.
    pub id: String,
    /// Machine name.
    pub name: String,
    /// Verb, as in the URL.
    pub verb: String,
    /// Heading.
    pub title: String,
    /// What will happen.
    pub text: &'static str,
    /// The disk of the current plan, if the verb says something about it.
    pub disk: Option<String>,
    /// What happens to that disk.
    pub disk_text: &'static str,
    /// Text of the button.
    pub button: &'static str,
    /// CSS classes of the button.
    pub button_class: &'static str,
    /// Icon.
    pub icon: &'static str,
    /// Colour.
    pub color: &'static str,
}

impl ActPage {
    /// Says what the verb does to this machine and to its disk. `None`: the verb has no page of this kind.
    pub fn new(shell: Shell, d: &MachineDetail, verb: Verb) -> Option<ActPage> {
        let name = d.machine.name();
        let Action { label, icon, .. } = button(verb)?;
        let deploying = d.machine.status.state == MachineState::Deploying;
        let (color, text, disk_text, danger) = match verb {
            Verb::Commission => (
                "primary",
                "The machine boots the mini-os, reports its hardware and is checked against what is expected. No disk is written. If it is powered off, power it on.",
                None,
                false,
            ),
            Verb::Release => (
                "red",
                "The machine boots the mini-os, the disk that Slipway wrote is wiped, and the machine becomes ready for something else.",
                Some(
                    "Partition tables and signatures are erased, and the blocks are discarded if the disk can do that; if it cannot, old data can still be recovered. This cannot be undone.",
                ),
                true,
            ),
            Verb::Retire => (
                "secondary",
                "Slipway keeps its history, but no longer answers when it boots from the network.",
                Some("Its disk is left as it is: release (wipe) it first if it leaves your site."),
                true,
            ),
            Verb::Retry => (
                "primary",
                "What failed is tried again from the beginning.",
                Some("If a deployment failed, this disk is erased and written again."),
                false,
            ),
            Verb::Abort => (
                "red",
                "The work in progress stops at the next safe point; the machine is then marked as failed and can be retried or released.",
                Some("It may be half written: the machine will not boot from it.").filter(|_| deploying),
                true,
            ),
            Verb::Admit => (
                "primary",
                "Its firmware was not heard asking for an address: it has a fixed one, or a program on its running system asks instead. For half an hour its boot script is served all the same. Look at its console first.",
                None,
                false,
            ),
            Verb::Forget => (
                "secondary",
                "Everything that Slipway stores about it is deleted: reports, checks, plans and history. If it boots from the network again, it is new.",
                Some("Its disk is left as it is."),
                true,
            ),
            Verb::Deploy | Verb::Unknown => return None,
        };
        Some(ActPage {
            shell,
            id: d.machine.id.to_string(),
            title: match verb {
                Verb::Admit => format!("Let {name} boot?"),
                _ => format!("{label} {name}?"),
            },
            name,
            verb: verb.to_string(),
            text,
            disk: d
                .plan
                .as_ref()
                .filter(|_| disk_text.is_some())
                .map(|p| disk_words(&p.disk)),
            disk_text: disk_text.unwrap_or_default(),
            button: match verb {
                Verb::Release => "Erase the disk and release",
                _ => label,
            },
            button_class: if danger { "btn-danger" } else { "btn-primary" },
            icon,
            color,
        })
    }
}

/// The page on which a person chooses a deployment profile.
#[derive(Template)]
#[template(path = "deploy.html")]
pub struct DeployPage {
    /// Page frame.
    pub shell: Shell,
    /// Machine id.
    pub id: String,
    /// Machine name.
    pub name: String,
    /// The choices.
    pub profiles: Vec<ProfileCard>,
}

impl DeployPage {
    /// The page for this machine.
    pub fn new(shell: Shell, d: &MachineDetail, profiles: &[Profile]) -> DeployPage {
        DeployPage {
            shell,
            id: d.machine.id.to_string(),
            name: d.machine.name(),
            profiles: profiles.iter().map(ProfileCard::new).collect(),
        }
    }
}

/// The page that shows a plan before it is confirmed.
#[derive(Template)]
#[template(path = "deploy_plan.html")]
pub struct DeployPlanPage {
    /// Page frame.
    pub shell: Shell,
    /// Machine id.
    pub id: String,
    /// Machine name.
    pub name: String,
    /// Name of the deployment profile.
    pub profile: String,
    /// The plan; `None`: the machine must report first.
    pub plan: Option<PlanView>,
}

impl DeployPlanPage {
    /// The page for this machine and profile.
    pub fn new(shell: Shell, d: &MachineDetail, profile: &str, plan: Option<&InstallPlan>) -> DeployPlanPage {
        DeployPlanPage {
            shell,
            id: d.machine.id.to_string(),
            name: d.machine.name(),
            profile: profile.to_owned(),
            plan: plan.map(PlanView::new),
        }
    }
}
