//! View models: wire types in, what a template shows out. Pure, the time is an argument; escaping is askama's.

pub mod act;
pub mod conflict;
pub mod delivery;
pub mod devices;
mod disks;
pub mod further;
pub mod hardware;
pub mod import;
pub mod lists;
pub mod machine;
pub mod machines;
pub mod network;
pub mod parts;
pub mod phone;
pub mod plan;
pub mod table;
#[cfg(test)]
mod tests;

use askama::Template;
use inventory_api::check::Verdict;
use inventory_api::machine::{MachineState, MachineSummary};
use inventory_api::{Problem, UnixMs};

pub use words::text::segment;

/// What every page has around its content.
pub struct Shell {
    /// Title of the browser's window.
    pub title: String,
    /// Which entry of the menu is the current one.
    pub section: &'static str,
    /// Who is signed in; nobody on the sign-in page.
    pub actor: Option<String>,
    /// The server's clock: the browser's may be off.
    pub now: UnixMs,
}

impl Shell {
    /// Address, icon and label of the menu's entries.
    pub fn menu(&self) -> [(&'static str, &'static str, &'static str); 6] {
        [
            ("/machines", "server-2", "Machines"),
            ("/orders", "package", "Orders"),
            ("/racks", "server", "Racks"),
            ("/networks", "network", "Networks"),
            ("/images", "disc", "Images"),
            ("/profiles", "list-details", "Profiles"),
        ]
    }
}

/// Colour of a state, as Tabler names colours.
pub fn state_color(state: &MachineState) -> &'static str {
    match state {
        MachineState::New => "azure",
        MachineState::Commissioning | MachineState::Deploying | MachineState::Releasing => "blue",
        MachineState::Ready => "teal",
        MachineState::Deployed => "green",
        MachineState::Failed => "red",
        MachineState::Quarantined => "orange",
        MachineState::Retired | MachineState::Unknown(_) => "secondary",
    }
}

/// Colour of a machine's state: one that waits with the wrong hardware is not fine.
pub fn shown_color(m: &MachineSummary) -> &'static str {
    match (&m.status.state, m.verdict) {
        (MachineState::Ready, Some(Verdict::Fail)) => "red",
        (state, _) => state_color(state),
    }
}

/// Icon beside the sentence of a state.
pub fn state_icon(state: &MachineState) -> &'static str {
    match state {
        MachineState::Deployed | MachineState::Ready => "circle-check",
        MachineState::Failed | MachineState::Quarantined => "alert-triangle",
        MachineState::New
        | MachineState::Commissioning
        | MachineState::Deploying
        | MachineState::Releasing
        | MachineState::Retired
        | MachineState::Unknown(_) => "info-circle",
    }
}

/// "deployed" -> "Deployed".
pub fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|c| c.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

/// Absent facts read as an en dash.
pub fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "–".to_owned(), |v| v.to_string())
}

/// The sign-in page.
#[derive(Template)]
#[template(path = "sign_in.html")]
pub struct SignInPage {
    /// Around it: nobody is signed in.
    pub shell: Shell,
    /// Where to go afterwards: a path of ours.
    pub next: String,
    /// Why it did not work.
    pub error: Option<&'static str>,
}

/// A problem.
#[derive(Template)]
#[template(path = "error.html")]
pub struct ErrorPage {
    /// Around it.
    pub shell: Shell,
    /// HTTP status code.
    pub status: u16,
    /// What went wrong and what to do.
    pub problem: Problem,
}
