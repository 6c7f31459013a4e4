//! View models: made from wire types, rendered by templates. Pure: the time is an argument. Askama escapes.

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

/// The frame of every page: title, menu, user, clock.
pub struct Shell {
    /// Title of the browser window.
    pub title: String,
    /// Label of the current menu entry; empty: none.
    pub section: &'static str,
    /// The signed-in user; `None` on the sign-in page.
    pub actor: Option<String>,
    /// The server's clock: the browser's may be wrong.
    pub now: UnixMs,
}

impl Shell {
    /// Address, icon and label of the menu entries.
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

/// Colour of a state, by its Tabler name.
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

/// Colour of a machine's state. A machine that is ready with the wrong hardware is red.
pub fn shown_color(m: &MachineSummary) -> &'static str {
    match (&m.status.state, m.verdict) {
        (MachineState::Ready, Some(Verdict::Fail)) => "red",
        (state, _) => state_color(state),
    }
}

/// Icon beside the sentence that describes a state.
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

/// The value as text; an en dash if it is absent.
pub fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "–".to_owned(), |v| v.to_string())
}

/// The sign-in page.
#[derive(Template)]
#[template(path = "sign_in.html")]
pub struct SignInPage {
    /// Page frame; nobody is signed in.
    pub shell: Shell,
    /// Where to go afterwards: a path on this server.
    pub next: String,
    /// Why the last attempt was refused.
    pub error: Option<&'static str>,
}

/// A problem as a page.
#[derive(Template)]
#[template(path = "error.html")]
pub struct ErrorPage {
    /// Page frame.
    pub shell: Shell,
    /// HTTP status code.
    pub status: u16,
    /// What went wrong and what to do.
    pub problem: Problem,
}
