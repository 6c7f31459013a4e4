//! The agent on the installed system: it proves that the installation is as asked, and stays.

mod accounts;
mod files;
mod first_boot;
mod stored;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::console::Console;
use crate::report::Roots;
use crate::session::{self, Duty, Exit, Machine, Origin, Pace, ServerTime};

pub use first_boot::{FirstBoot, Record};
pub use stored::{StoredError, load};
pub use verify::verify;

/// Pause after the server refused this machine. Somebody may put it right; nobody needs to restart the agent.
const AFTER_REFUSAL: Duration = Duration::from_secs(600);
/// Pause after a conversation that could not begin.
const AFTER_FAILURE: Duration = Duration::from_secs(60);

/// A resident agent.
pub struct Resident {
    /// Root of the installed system: `/` in life, a directory in a simulation.
    pub root: PathBuf,
    /// Where the collectors of the report look.
    pub roots: Roots,
    /// What is done with first-boot scripts.
    pub first_boot: FirstBoot,
    /// Where it says what it does.
    pub console: Arc<dyn Console>,
    /// How patient it is.
    pub pace: Pace,
    /// Ends it.
    pub cancel: CancellationToken,
}

/// Stays until the server wants a reboot or `cancel` ends it.
///
/// # Errors
/// The stored identity cannot be read: this system was not installed by Slipway, or its files are damaged.
pub async fn run(resident: Resident) -> Result<Exit, StoredError> {
    let live = resident.roots.is_live();
    if live {
        // From now on, so that the daily report knows the switch ports; without it, it does not.
        let _ = crate::report::listen_lldp();
    }
    loop {
        let identity = load(&resident.root)?;
        resident.console.line(&format!(
            "resident agent of machine {}, server {}",
            identity.machine, identity.server
        ));
        let exit = session::run(Machine {
            origin: Origin::Stored(identity),
            roots: resident.roots.clone(),
            duty: Duty::Installed {
                root: resident.root.clone(),
                first_boot: resident.first_boot.clone(),
            },
            console: Arc::clone(&resident.console),
            // An installed system keeps its time by itself; only one that has lost it is told.
            server_time: live.then(|| -> ServerTime {
                let console = Arc::clone(&resident.console);
                Arc::new(move |time| clock::set_both(time, clock::LOST, clock::LOST, console.as_ref()))
            }),
            pace: resident.pace,
            cancel: resident.cancel.clone(),
        })
        .await;
        let pause = match &exit {
            Exit::Reboot { .. } | Exit::Cancelled => return Ok(exit),
            Exit::Refused { .. } => AFTER_REFUSAL,
            Exit::Impossible { .. } => AFTER_FAILURE,
        };
        resident
            .console
            .line(&format!("{exit}; trying again in {} s", pause.as_secs()));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = resident.cancel.cancelled() => return Ok(Exit::Cancelled),
        }
    }
}
