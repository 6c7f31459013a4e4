//! The rescue system's session: no certificate, no report, no assignment. It uses the boot script's ticket to
//! ask whether a typed password opens the shell.

use std::sync::Arc;

use inventory_api::boot::BootArgs;
use inventory_api::rescue::{RescueRequest, RescueResponse, RescueStep, SHELL_PATH};

use super::channel::Channel;
use super::{CallError, Exit, Pace};
use crate::console::Console;

/// The link to the server of a machine booted for rescue.
pub struct Rescue {
    channel: Channel,
    args: BootArgs,
}

impl Rescue {
    /// Opens the link; sends nothing yet.
    ///
    /// # Errors
    /// The server's CA certificate or address cannot be used.
    pub fn open_channel(args: BootArgs, ca_pem: &str, console: Arc<dyn Console>) -> Result<Rescue, Exit> {
        let channel = Channel::open_for_claim(&args, ca_pem, console, Pace::default())?;
        Ok(Rescue { channel, args })
    }

    /// Reports that the machine has booted.
    ///
    /// # Errors
    /// The server rejects the ticket.
    pub async fn begin(&self) -> Result<RescueResponse, Exit> {
        self.ask(RescueStep::Begin {}).await
    }

    /// Downloads the shell: busybox, a static program. It comes over TLS because no loader verifies it.
    ///
    /// # Errors
    /// The server has none, or it is too large.
    pub async fn shell(&self) -> Result<Vec<u8>, Exit> {
        self.channel.get(SHELL_PATH).await.map_err(CallError::exit)
    }

    /// Asks whether a password opens the shell.
    ///
    /// # Errors
    /// The rescue is over.
    pub async fn try_password(&self, password: String) -> Result<RescueResponse, Exit> {
        self.ask(RescueStep::Open { password }).await
    }

    /// Reports that the rescue is over.
    ///
    /// # Errors
    /// The server has already ended it.
    pub async fn end(&self) -> Result<RescueResponse, Exit> {
        self.ask(RescueStep::End {}).await
    }

    async fn ask(&self, what: RescueStep) -> Result<RescueResponse, Exit> {
        let request = RescueRequest {
            ticket: self.args.ticket.clone(),
            boot_mac: self.args.mac,
            what,
        };
        let answer = self.channel.post("rescue", &request).await;
        answer.map_err(CallError::exit)
    }
}
