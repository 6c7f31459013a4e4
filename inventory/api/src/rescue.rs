//! The rescue system: a shell on the machine's own console, opened with a password that the server checks.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{Mac, MachineId, UnixMs};

/// Below `/agent/v1/`: the shell of the rescue system, a static busybox. It is not secret.
pub const SHELL_PATH: &str = "rescue/shell";

/// `POST /agent/v1/rescue`, sent by a mini-os that was booted for a rescue. It has no certificate: the ticket
/// of its boot script authenticates it, for this request only and until the rescue ends.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RescueRequest {
    /// The ticket from the kernel arguments.
    pub ticket: String,
    /// The NIC that booted.
    pub boot_mac: Mac,
    /// What happened.
    pub what: RescueStep,
}

/// What happened in a rescue.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum RescueStep {
    /// It booted.
    Begin {},
    /// Somebody typed a password.
    Open {
        /// What was typed.
        password: String,
    },
    /// The last shell was closed, or the time is up.
    End {},
}

impl fmt::Debug for RescueRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Ticket and password are secrets.
        write!(f, "RescueRequest({})", self.boot_mac)
    }
}

/// Answer to a [`RescueRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RescueResponse {
    /// The machine.
    pub machine: MachineId,
    /// A sentence for the console.
    pub message: String,
    /// Whether the password was right.
    pub open: bool,
    /// Seconds before the next password is accepted.
    pub wait_seconds: u64,
    /// Seconds until the machine must reboot.
    pub seconds_left: u64,
}

/// Answer to `POST /v1/machines/{key}/rescue`. The password is a secret and shown only here.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RescuePassword {
    /// The machine.
    pub machine: MachineId,
    /// Opens one rescue of this machine, until `expires_at`.
    pub password: String,
    /// Until when.
    pub expires_at: UnixMs,
    /// Seconds in which a key opens the boot menu; 0: the menu is off, and the rescue system cannot be
    /// reached.
    pub menu_seconds: u32,
}
