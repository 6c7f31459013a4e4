//! The agent on the installed system: it verifies the installation and keeps running.

mod stored;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::console::Console;
use crate::proof::FirstBoot;
use crate::report::Roots;
use crate::session::{self, Duty, Exit, Machine, Origin, Pace, ServerTime};

pub use stored::StoredError;
use stored::load;

/// Pause after the server refused this machine. Somebody may fix that, and then the agent need not be
/// restarted.
const AFTER_REFUSAL: Duration = Duration::from_secs(600);
/// Pause after a session that could not start.
const AFTER_FAILURE: Duration = Duration::from_secs(60);

/// A resident agent.
pub struct Resident {
    /// Root of the installed system: `/`, or a directory in a simulation.
    pub root: PathBuf,
    /// Where the report's collectors look.
    pub roots: Roots,
    /// What to do with first-boot scripts.
    pub first_boot: FirstBoot,
    /// Where progress is shown.
    pub console: Arc<dyn Console>,
    /// Timeouts and intervals.
    pub pace: Pace,
    /// Ends the agent.
    pub cancel: CancellationToken,
}

/// Runs until the server wants a reboot or `cancel` is set.
///
/// # Errors
/// The stored credentials cannot be read: this system was not installed by Slipway, or its files are damaged.
pub async fn run(resident: Resident) -> Result<Exit, StoredError> {
    let live = resident.roots.is_live();
    if live {
        // Start early, so that the daily report knows the switch ports. On failure it just lacks them.
        let _ = crate::report::listen_lldp();
    }
    loop {
        let credentials = load(&resident.root)?;
        resident.console.line(&format!(
            "resident agent of machine {}, server {}",
            credentials.machine, credentials.server
        ));
        let exit = session::run(Machine {
            origin: Origin::Stored(credentials),
            roots: resident.roots.clone(),
            duty: Duty::Installed {
                root: resident.root.clone(),
                first_boot: resident.first_boot.clone(),
            },
            console: Arc::clone(&resident.console),
            // An installed system keeps its own time; it is corrected only if its clock is lost.
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
