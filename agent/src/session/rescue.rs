//! The rescue system's conversation: no certificate, no report, no order; the ticket of the boot script asks whether what
//! was typed opens the shell.

use std::sync::Arc;

use inventory_api::boot::BootArgs;
use inventory_api::rescue::{RescueRequest, RescueResponse, RescueStep, SHELL_PATH};

use super::channel::Channel;
use super::{CallError, Exit, Pace, impossible};
use crate::console::Console;

/// The way to the server of a machine that was booted for a rescue.
pub struct Rescue {
    channel: Channel,
    args: BootArgs,
}

impl Rescue {
    /// Opens the way; nothing is asked yet.
    ///
    /// # Errors
    /// The server's CA certificate or address cannot be used.
    pub fn open_channel(args: BootArgs, ca_pem: &str, console: Arc<dyn Console>) -> Result<Rescue, Exit> {
        let channel =
            Channel::open_without_identity(&args.server, &args.boot_url, ca_pem, console, Pace::default())
                .map_err(impossible)?;
        Ok(Rescue { channel, args })
    }

    /// Says that the machine has booted.
    ///
    /// # Errors
    /// The server does not accept the ticket.
    pub async fn begin(&self) -> Result<RescueResponse, Exit> {
        self.ask(RescueStep::Begin {}).await
    }

    /// The shell: busybox, a static program. It comes over TLS, as no loader has to vouch for it.
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

    /// Says that it is over.
    ///
    /// # Errors
    /// The server had ended it already.
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
