//! Answers the boot service: what a machine boots now, and what was heard from it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use inventory_api::boot::{BootEvent, BootEventKind, BootTarget, Choice};
use inventory_api::machine::Actor;
use inventory_api::text::with_causes;
use inventory_api::{Mac, Sha256Digest, UnixMs};
use lifecycle::{Decision, MachineFacts, State, boot_target};
use netboot::{BootClient, BootInstruction, BootSource};
use netboot_protocol::{ClientKind, Loader, Menu, Trial};

use crate::Turn;
use crate::core::Core;
use crate::machines::facts::facts_of;
use crate::machines::planning::image_of_digest;
use store::MachineRow;

/// The boot service's view of the inventory. Clones share it.
#[derive(Clone)]
pub struct Boot {
    pub(super) core: Arc<Core>,
    pub(super) api_port: u16,
    boot_urls: Arc<HashMap<String, String>>,
    /// When an exceeded limit was last logged, in ms: a flood must not fill the log.
    warned: Arc<AtomicI64>,
}

/// Facts for the rules, of a client that may be unknown.
fn facts(row: Option<&MachineRow>, client: &BootClient) -> MachineFacts {
    let mut facts = row
        .map(|row| facts_of(row, row.names.clone()))
        .unwrap_or_default();
    facts.network = Some(client.network.clone());
    if !facts.macs.contains(&client.mac) {
        facts.macs.push(client.mac);
    }
    facts
}

impl Boot {
    /// `boot_urls`: base URL of the plain HTTP boot service by network name.
    pub fn new(core: Arc<Core>, api_port: u16, boot_urls: HashMap<String, String>) -> Boot {
        Boot {
            core,
            api_port,
            boot_urls: Arc::new(boot_urls),
            warned: Arc::default(),
        }
    }

    /// Whether to log an exceeded limit now: at most once in ten seconds.
    pub(super) fn warns(&self, now: UnixMs) -> bool {
        let last = self.warned.load(Ordering::Relaxed);
        let due = now.since(UnixMs(last)) >= 10_000;
        due && self
            .warned
            .compare_exchange(last, now.0, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    /// Whether the rules commission this client, if it is in state New or unknown.
    pub(super) fn commissions(&self, row: Option<&MachineRow>, client: &BootClient) -> bool {
        match self.core.config.policy.decide(&facts(row, client), false) {
            Decision::Hold { .. } => false,
            Decision::Commission { .. } | Decision::Deploy { .. } => true,
        }
    }

    /// The machine of a client, if it is enrolled. `None`: the store failed.
    async fn row_of(&self, client: &BootClient, what: &str) -> Option<Option<MachineRow>> {
        let row = self.core.store.machine_by_mac(client.mac).await;
        row.inspect_err(
            |error| tracing::error!(mac = %client.mac, error = with_causes(&error), "cannot decide {what}"),
        )
        .ok()
    }

    /// Writes in the background: firmware does not wait for it, and what a power cut loses is learned again.
    fn keep_trial(&self, mac: Mac, trial: Trial) {
        let core = self.core.clone();
        tokio::spawn(async move {
            let work = async move |mut turn: Turn| {
                turn.put_loader_trial(mac, &trial).await?;
                turn.commit().await
            };
            if let Err(error) = core.turn(&Actor::Boot, work).await {
                tracing::error!(%mac, error = with_causes(&error), "cannot store whether a loader worked");
            }
        });
    }

    pub(super) fn boot_url(&self, client: &BootClient) -> String {
        let default = || format!("http://{}:{}", client.server, self.core.config.boot.http_port);
        self.boot_urls
            .get(&client.network)
            .cloned()
            .unwrap_or_else(default)
    }
}

impl BootSource for Boot {
    async fn target(&self, client: &BootClient) -> BootTarget {
        if client.mac.is_junk() {
            return BootTarget::Ignore;
        }
        // Without an answer the firmware asks again; a wrong one could boot a half-installed disk.
        let Some(row) = self.row_of(client, "what a machine boots").await else {
            return BootTarget::Ignore;
        };
        let state = row.as_ref().map_or(State::New, |r| r.state.clone());
        let commission = state == State::New && self.commissions(row.as_ref(), client);
        boot_target(&state, commission)
    }

    fn known(&self, mac: Mac) -> bool {
        self.core.memory.macs.host_name(mac).is_some()
    }

    fn host_name(&self, mac: Mac) -> Option<String> {
        self.core.memory.macs.host_name(mac).flatten()
    }

    async fn script(&self, client: &BootClient) -> BootInstruction {
        match self.make_script(client).await {
            Ok(order) => order,
            Err(error) => {
                tracing::error!(mac = %client.mac, error = with_causes(&error), "no boot script was made");
                BootInstruction::Failed
            }
        }
    }

    async fn kernel_args(&self, client: &BootClient) -> Vec<String> {
        let row = self.row_of(client, "the kernel arguments of rules").await;
        // If the store fails, the script itself does too.
        row.map_or_else(Vec::new, |row| {
            let facts = facts(row.as_ref(), client);
            self.core.config.policy.kernel_args(&facts).to_vec()
        })
    }

    async fn menu(&self, client: &BootClient) -> Option<Menu> {
        let seconds = self.core.config.boot.menu_seconds;
        if seconds == 0 {
            return None;
        }
        let state = self.row_of(client, "the boot menu").await??.state;
        let choices = lifecycle::console::choices(&state);
        (!choices.is_empty()).then_some(Menu { seconds, choices })
    }

    async fn chosen(&self, client: &BootClient, choice: Choice) -> BootInstruction {
        let order = match self.make_chosen(client, choice).await {
            Ok(order) => order,
            Err(error) => {
                tracing::error!(mac = %client.mac, error = with_causes(&error), %choice, "no boot script was made for a choice");
                BootInstruction::Refused("the server failed; its log says why".to_owned())
            }
        };
        let refused = match &order {
            BootInstruction::Refused(why) => Some(why.clone()),
            _ => None,
        };
        self.heard(BootEvent {
            at: self.core.clock.now(),
            mac: client.mac,
            ip: client.ip.map(Into::into),
            network: Some(client.network.clone()),
            what: BootEventKind::Chosen { choice, refused },
        });
        order
    }

    async fn public_image(&self, digest: Sha256Digest) -> Option<PathBuf> {
        let image = image_of_digest(&self.core, digest).await.ok()??;
        image.manifest.public.then(|| image.path())
    }

    fn loader(
        &self,
        mac: Mac,
        kind: ClientKind,
        restarted: bool,
        available: &(dyn Fn(Loader) -> bool + Sync),
    ) -> Option<Loader> {
        let now = self.core.clock.now();
        let (loader, ended) = self
            .core
            .memory
            .loaders
            .next(mac, kind, restarted, &available, now);
        if let Some(trial) = ended {
            tracing::warn!(%mac, next = loader.map(Loader::file), why = self.core.memory.loaders.status(mac).sentence, "a loader failed");
            self.keep_trial(mac, trial);
        }
        loader
    }

    fn heard(&self, event: BootEvent) {
        // Without a network the event only claims to be from this machine: learn nothing from it.
        let sure = event.network.is_some() || self.core.config.boot.simulated;
        if sure && let Some(trial) = self.core.memory.loaders.heard(&event) {
            self.keep_trial(event.mac, trial);
        }
        if let Some(id) = self.core.memory.heard(event) {
            self.core.memory.sessions.changed(&id);
        }
    }
}
