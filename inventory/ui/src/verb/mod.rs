//! Verbs: the buttons a machine offers, and the pages on which a person confirms them.

use askama::Template;
use axum::Form;
use axum::extract::Query;
use inventory_api::Problem;
use inventory_api::machine::{Deployment, MachineDetail, MachineState, MachineSummary, Profile, Verb};
use inventory_api::plan::{DiskTarget, InstallPlan};
use serde::Deserialize;

use super::page::{Page, Shell, go_to, html, nothing_here};
use super::profiles::summary;
use super::session::SignedIn;
use service::problem::problem;
use words::text::plan as plan_words;
use words::text::tame;

pub(crate) struct Action {
    pub(crate) verb: Verb,
    pub(crate) label: &'static str,
    pub(crate) icon: &'static str,
    /// CSS class of the button.
    pub(crate) look: &'static str,
    /// Colour of the page that asks for confirmation; "primary": nothing is lost.
    color: &'static str,
}

/// The button of a verb; `None`: a verb this page does not know.
fn button(verb: Verb) -> Option<Action> {
    let (label, icon, look, color) = match verb {
        Verb::Commission => (
            "Commission",
            "clipboard-check",
            "btn-outline-secondary",
            "primary",
        ),
        Verb::Deploy => ("Deploy", "rocket", "btn-primary", "red"),
        Verb::Release => ("Release", "archive", "btn-outline-danger", "red"),
        Verb::Retire => ("Retire", "trash", "btn-ghost-secondary", "secondary"),
        Verb::Retry => ("Retry", "refresh", "btn-primary", "primary"),
        Verb::Abort => ("Abort", "player-stop", "btn-outline-danger", "red"),
        Verb::Admit => ("Let it boot", "player-play", "btn-primary", "primary"),
        Verb::Forget => ("Forget", "trash", "btn-ghost-secondary", "secondary"),
        Verb::Unknown => return None,
    };
    Some(Action {
        verb,
        label,
        icon,
        look,
        color,
    })
}

/// The buttons for the verbs that the machine allows now.
pub(crate) fn actions(machine: &MachineSummary) -> Vec<Action> {
    let verbs = &machine.status.verbs;
    let mut buttons: Vec<Action> = verbs.iter().copied().filter_map(button).collect();
    if verbs.contains(&Verb::Retry) {
        // Only one button is primary.
        for deploy in buttons.iter_mut().filter(|b| b.verb == Verb::Deploy) {
            deploy.look = "btn-outline-secondary";
        }
    }
    buttons
}

/// Says what a verb does to a machine and to its disk.
#[derive(Template)]
#[template(path = "verb/act.html")]
pub(crate) struct ActPage<'a> {
    shell: Shell,
    d: &'a MachineDetail,
    action: Action,
}

impl<'a> ActPage<'a> {
    /// `None`: the verb has no page of this kind.
    pub(crate) fn new(shell: Shell, d: &'a MachineDetail, verb: Verb) -> Option<ActPage<'a>> {
        let action = button(verb).filter(|_| verb != Verb::Deploy)?;
        Some(ActPage { shell, d, action })
    }
}

/// The choice of a deployment profile.
#[derive(Template)]
#[template(path = "verb/deploy.html")]
struct DeployPage<'a> {
    shell: Shell,
    d: &'a MachineDetail,
    profiles: &'a [Profile],
}

/// A plan before it is confirmed.
#[derive(Template)]
#[template(path = "verb/deploy_plan.html")]
pub(crate) struct DeployPlanPage<'a> {
    pub(crate) shell: Shell,
    pub(crate) d: &'a MachineDetail,
    /// Name of the deployment profile.
    pub(crate) profile: &'a str,
    /// `None`: the machine must report first.
    pub(crate) plan: Option<&'a InstallPlan>,
}

/// Identity of a disk: lets the server check that the confirmed disk is still the planned one.
fn disk_key(disk: &DiskTarget) -> String {
    let (serial, wwn) = (disk.serial.as_deref(), disk.wwn.as_deref());
    let (serial, wwn) = (serial.unwrap_or_default(), wwn.unwrap_or_default());
    format!("{serial}|{wwn}|{}", disk.size_bytes)
}

/// "ssh-ed25519 …k3Jq alice@laptop": enough to recognise one's own key.
pub(crate) fn short_key(key: &str) -> String {
    let mut words = key.split_whitespace();
    let kind = words.next().unwrap_or_default();
    let Some(body) = words.next() else {
        return tame(key, 60);
    };
    let hidden = body.chars().count().saturating_sub(8);
    let tail: String = body.chars().skip(hidden).collect();
    let comment: Vec<&str> = words.collect();
    let shown = tame(&format!("{kind} …{tail} {}", comment.join(" ")), 90);
    shown.trim_end().to_owned()
}

#[derive(Deserialize)]
pub(crate) struct Choice {
    profile: Option<String>,
    /// Key of the disk that was shown, when confirming.
    disk: Option<String>,
}

/// `GET /machines/{id}/do/{verb}`: shows what will happen, to be confirmed.
pub(crate) async fn ask(at: SignedIn<(String, String)>, Query(choice): Query<Choice>) -> Page {
    let (id, verb) = &at.path;
    let d = &at.service.machine(id).await?;
    let shell = at.shell(&d.machine.name(), "Machines");
    let verb = parse_verb(verb)?;
    if verb != Verb::Deploy {
        let page = ActPage::new(shell, d, verb).ok_or_else(no_verb)?;
        return Ok(html(page));
    }
    let Some(profile) = &choice.profile else {
        let profiles = &at.service.profiles();
        return Ok(html(DeployPage { shell, d, profiles }));
    };
    let order = Deployment::Profile {
        profile: profile.clone(),
    };
    let planned = at.service.deploy(id, order, true, &at.actor).await?;
    Ok(html(DeployPlanPage {
        shell,
        d,
        profile,
        plan: planned.plan.as_ref(),
    }))
}

fn no_verb() -> Problem {
    nothing_here("There is no such action on a machine.")
}

fn parse_verb(verb: &str) -> Result<Verb, Problem> {
    verb.parse().map_err(|()| no_verb())
}

/// `POST /machines/{id}/do/{verb}`: does what was confirmed.
pub(crate) async fn act(at: SignedIn<(String, String)>, Form(choice): Form<Choice>) -> Page {
    let (id, verb) = &at.path;
    let verb = parse_verb(verb)?;
    if verb == Verb::Deploy {
        let Some(profile) = choice.profile else {
            let detail = "Go back and choose what to deploy.";
            return Err(problem(400, "no-profile", "No profile was chosen", detail).into());
        };
        let order = Deployment::Profile { profile };
        // The user confirmed a disk. If the plan would now take another one, refuse, so that they look again.
        let planned = at.service.deploy(id, order.clone(), true, &at.actor).await?;
        let disk = planned.plan.as_ref().map(|p| disk_key(&p.disk));
        if disk != choice.disk {
            let detail = "The machine or the profile has changed since the plan was shown, and another disk would be written. Nothing was done: look at the new plan and confirm it.";
            return Err(problem(409, "plan-changed", "The plan has changed", detail).into());
        }
        at.service.deploy(id, order, false, &at.actor).await?;
    } else {
        at.service.verb(id, verb, &at.actor).await?;
        if verb == Verb::Forget {
            return go_to("/machines");
        }
    }
    go_to(&format!("/machines/{id}"))
}
