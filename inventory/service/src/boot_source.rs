//! Answers the boot service: the boot target from state and rules, and the boot script with its ticket.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use inventory_api::boot::{BootArgs, BootEvent, BootEventKind, BootTarget, Choice, Purpose};
use inventory_api::machine::Actor;
use inventory_api::{Mac, MachineId, Sha256Digest, UnixMs};
use lifecycle::booting::{Asks, Held, TICKETS_A_MINUTE, may_have_ticket};
use lifecycle::{AtConsole, Decision, Event, MachineFacts, State, boot_target};
use netboot::{BootClient, BootSource, ScriptOrder};
use netboot_protocol::{ClientKind, Loader, Menu, Trial};

use crate::advance::{AdvanceError, Advanced, advance_in, after_commit, enroll};
use crate::core::Core;
use crate::rescue::{RESCUE_SECONDS, end_rescues};
use crate::secret;
use store::{Change, MachineRow, RescueRow, StoreError, TicketRow};

/// Shown on a new machine while too many enroll.
const TOO_MANY_NEW: &str =
    "held: too many new machines in a minute on this network (boot.enrolments_per_minute)";
/// Shown on a machine that asks for too many scripts.
const TOO_MANY_SCRIPTS: &str = "held: this machine asked for too many boot scripts in a minute";
/// Why a rescue ended: its machine asks what to boot.
const BOOTED_AGAIN: &str = "it booted again";

/// The boot service's view of the inventory.
pub struct Boot {
    core: Arc<Core>,
    api_port: u16,
    /// Base URL of the boot service by network name.
    boot_urls: HashMap<String, String>,
    /// When an exceeded limit was last logged, in ms: a flood must not fill the log.
    warned: AtomicI64,
}

impl Boot {
    /// `boot_urls`: base URL of the plain HTTP boot service by network name.
    pub fn new(core: Arc<Core>, api_port: u16, boot_urls: HashMap<String, String>) -> Boot {
        Boot {
            core,
            api_port,
            boot_urls,
            warned: AtomicI64::new(0),
        }
    }

    /// Whether to log an exceeded limit now: at most once in ten seconds.
    fn warns(&self, now: UnixMs) -> bool {
        let last = self.warned.load(Ordering::Relaxed);
        let due = now.since(UnixMs(last)) >= 10_000;
        due && self
            .warned
            .compare_exchange(last, now.0, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    fn commission_unknown(&self, facts: &MachineFacts) -> bool {
        match self.core.config.policy.decide(facts, false) {
            Decision::Hold { .. } => false,
            Decision::Commission { .. } | Decision::Deploy { .. } => true,
        }
    }

    fn facts(&self, row: Option<&MachineRow>, client: &BootClient) -> MachineFacts {
        let mut facts = MachineFacts {
            network: Some(client.network.clone()),
            ..MachineFacts::default()
        };
        if let Some(row) = row {
            facts.serial.clone_from(&row.names.serial);
            facts.manufacturer.clone_from(&row.names.manufacturer);
            facts.product.clone_from(&row.names.product);
            facts.macs.clone_from(&row.macs);
        }
        if !facts.macs.contains(&client.mac) {
            facts.macs.push(client.mac);
        }
        facts
    }

    async fn known(&self, mac: Mac) -> Result<Option<MachineRow>, StoreError> {
        match self.core.store.machine_of_mac(mac).await? {
            Some(id) => self.core.store.machine(&id).await,
            None => Ok(None),
        }
    }

    async fn make_script(&self, client: &BootClient) -> Result<ScriptOrder, AdvanceError> {
        let Some(ip) = client.ip else {
            tracing::warn!(mac = %client.mac, "a boot script was asked for without a lease");
            return Ok(ScriptOrder::Ignore);
        };
        if client.mac.is_junk() {
            return Ok(ScriptOrder::Ignore);
        }
        let core = &self.core;
        let now = core.clock.now();
        let mut change = core.store.begin().await?;
        let id = match change.machine_of_mac(client.mac).await? {
            Some(id) => id,
            None => match self.enrolled(&mut change, client, now).await? {
                Some(id) => id,
                None => return Ok(ScriptOrder::Held(TOO_MANY_NEW.to_owned())),
            },
        };
        let row = change
            .machine(&id)
            .await?
            .ok_or_else(|| AdvanceError::UnknownMachine(id.clone()))?;
        if let Err(held) = may_have_ticket(&self.asks(&row, client), false, now) {
            change.commit().await?;
            return Ok(self.unheard(&row, client, held, now));
        }
        change.put_boot_mac(&id, client.mac).await?;
        change.put_boot_address(&id, &client.network, ip, now).await?;
        let mut steps: Vec<Advanced> = end_rescues(core, &mut change, &id, BOOTED_AGAIN, now)
            .await?
            .into_iter()
            .collect();
        let mut state = row.state.clone();
        if state == State::New && self.commission_unknown(&self.facts(Some(&row), client)) {
            let advanced = advance_in(core, &mut change, &id, Event::Commission, &Actor::Policy, now).await?;
            state = advanced.state.clone();
            steps.push(advanced);
        }
        let event = Event::ScriptGiven {
            target: boot_target(&state, false),
        };
        let advanced = advance_in(core, &mut change, &id, event, &Actor::Boot, now).await?;
        // The event may have ended a deployment, so use the state that it led to.
        let target = boot_target(&advanced.state, false);
        steps.push(advanced);
        let order = match target {
            BootTarget::LocalDisk => ScriptOrder::LocalDisk,
            BootTarget::Ignore => ScriptOrder::Ignore,
            BootTarget::MiniOs { .. }
                if change.tickets_since(&id, now.minus_seconds(60)).await? >= TICKETS_A_MINUTE =>
            {
                if self.warns(now) {
                    tracing::warn!(machine = %id, mac = %client.mac, "too many boot scripts in a minute: none is given");
                }
                return Ok(ScriptOrder::Held(TOO_MANY_SCRIPTS.to_owned()));
            }
            BootTarget::MiniOs { purpose } => {
                self.mini_os(&mut change, &id, client, ip, purpose, now).await?
            }
        };
        change.commit().await?;
        self.started_anew(&id, client.mac);
        if target == BootTarget::LocalDisk {
            self.core
                .memory
                .update_session(&id, |session| session.disk_boot_at = Some(now));
        }
        for advanced in &steps {
            after_commit(core, advanced);
        }
        Ok(order)
    }

    /// Enrolls an unknown client. `None`: too many new machines on this network in the last minute, or no id
    /// could be made.
    async fn enrolled(
        &self,
        change: &mut Change,
        client: &BootClient,
        now: UnixMs,
    ) -> Result<Option<MachineId>, AdvanceError> {
        let most = i64::from(self.core.config.boot.enrolments_per_minute);
        if change
            .enrolled_since(&client.network, now.minus_seconds(60))
            .await?
            >= most
        {
            if self.warns(now) {
                tracing::warn!(network = client.network, mac = %client.mac, most, "too many new machines in a minute: one is held");
            }
            return Ok(None);
        }
        let Some(id) = secret::machine_id() else {
            return Ok(None);
        };
        enroll(&self.core, change, &id, &client.network, &Actor::Boot).await?;
        change.put_boot_mac(&id, client.mac).await?;
        Ok(Some(id))
    }

    fn asks(&self, row: &MachineRow, client: &BootClient) -> Asks {
        let session = self.core.memory.session(&row.id);
        Asks {
            firmware: client.firmware_asked,
            agent: session.last_seen.max(row.last_seen),
            disk: session.disk_boot_at,
            admitted_until: session.admitted_until,
        }
    }

    /// The client may be a process on a running system: it gets only what anybody may have, and no state
    /// changes.
    fn unheard(&self, row: &MachineRow, client: &BootClient, held: Held, now: UnixMs) -> ScriptOrder {
        let commission = row.state == State::New && self.commission_unknown(&self.facts(Some(row), client));
        match boot_target(&row.state, commission) {
            BootTarget::LocalDisk => ScriptOrder::LocalDisk,
            BootTarget::Ignore => ScriptOrder::Ignore,
            BootTarget::MiniOs { .. } => {
                let why = held.to_string();
                let before = self.core.memory.session(&row.id).held;
                if before.is_none_or(|(_, said)| said != why) {
                    tracing::warn!(machine = %row.id, mac = %client.mac, why, "a boot script is held back");
                    self.core
                        .memory
                        .update_session(&row.id, |session| session.held = Some((now, why.clone())));
                    self.core.memory.owned(client.mac, &row.id);
                    self.core.memory.changed(&row.id);
                }
                ScriptOrder::Held(why)
            }
        }
    }

    /// The mini-os, with a new ticket.
    async fn mini_os(
        &self,
        change: &mut Change,
        id: &MachineId,
        client: &BootClient,
        ip: Ipv4Addr,
        purpose: Purpose,
        now: UnixMs,
    ) -> Result<ScriptOrder, AdvanceError> {
        let ticket = secret::fresh();
        let row = TicketRow {
            machine: id.clone(),
            mac: client.mac,
            ip,
            expires_at: now.plus_seconds(self.core.config.boot.ticket_seconds),
            void: false,
            alarmed: false,
            key_digest: None,
            certificate: None,
        };
        change.add_ticket(&secret::digest(&ticket), &row, now).await?;
        Ok(self.order(client, ticket, purpose, now))
    }

    fn order(&self, client: &BootClient, ticket: String, purpose: Purpose, now: UnixMs) -> ScriptOrder {
        ScriptOrder::MiniOs(Box::new(BootArgs {
            server: format!("https://{}:{}", client.server, self.api_port),
            boot_url: self.boot_url(client),
            mac: client.mac,
            ticket,
            time: now,
            purpose,
        }))
    }

    /// The script for what a person chose at the console. The machine's state does not change.
    async fn make_chosen(&self, client: &BootClient, choice: Choice) -> Result<ScriptOrder, AdvanceError> {
        let core = &self.core;
        let refuse = |why: &str| Ok(ScriptOrder::Refused(why.to_owned()));
        if core.config.boot.menu_seconds == 0 {
            return refuse("the boot menu is switched off");
        }
        let Some(ip) = client.ip else {
            return Ok(ScriptOrder::Ignore);
        };
        let now = core.clock.now();
        let mut change = core.store.begin().await?;
        let Some(id) = change.machine_of_mac(client.mac).await? else {
            return refuse("this machine is not enrolled");
        };
        let row = change
            .machine(&id)
            .await?
            .ok_or_else(|| AdvanceError::UnknownMachine(id.clone()))?;
        if let Err(refused) = lifecycle::console::choose(&row.state, choice) {
            return Ok(ScriptOrder::Refused(refused.sentence));
        }
        // The choice must come from a console, not from a process on the running system.
        if let Err(held) = may_have_ticket(&self.asks(&row, client), true, now) {
            return Ok(ScriptOrder::Refused(held.to_string()));
        }
        let ended = end_rescues(core, &mut change, &id, BOOTED_AGAIN, now).await?;
        let what = AtConsole::Chose { choice };
        let event = Event::AtConsole { what };
        let advanced = advance_in(core, &mut change, &id, event, &Actor::Console, now).await?;
        // The script that this choice replaces may have had a ticket.
        change.void_tickets(&id).await?;
        let order = match choice {
            Choice::LocalDisk => ScriptOrder::LocalDisk,
            Choice::MemoryTest => ScriptOrder::MemoryTest,
            Choice::MiniOs => {
                self.mini_os(&mut change, &id, client, ip, Purpose::Standby, now)
                    .await?
            }
            Choice::Rescue => {
                // Not a boot ticket: claiming one would replace the agent on the disk.
                let ticket = secret::fresh();
                let row = RescueRow {
                    machine: id.clone(),
                    mac: client.mac,
                    ip,
                    made_at: now,
                    expires_at: now.plus_seconds(RESCUE_SECONDS),
                    opened_at: None,
                    ended_at: None,
                };
                change.add_rescue(&secret::digest(&ticket), &row).await?;
                self.order(client, ticket, Purpose::Rescue, now)
            }
        };
        change.commit().await?;
        self.started_anew(&id, client.mac);
        for advanced in ended.iter().chain([&advanced]) {
            after_commit(core, advanced);
        }
        Ok(order)
    }

    /// A machine that asks what to boot runs no agent: forgets the state of the last one.
    fn started_anew(&self, id: &MachineId, mac: Mac) {
        self.core.memory.update_session(id, |session| {
            session.runs_on = None;
            session.progress = None;
            session.held = None;
            session.disk_boot_at = None;
        });
        self.core.memory.owned(mac, id);
    }

    /// Writes in the background: firmware does not wait for it, and what a power cut loses is learned again.
    fn keep_trial(&self, mac: Mac, trial: Trial) {
        let core = self.core.clone();
        tokio::spawn(async move {
            if let Err(error) = core.store.put_loader_trial(mac, &trial).await {
                tracing::error!(%mac, %error, "cannot keep what became of a loader");
            }
        });
    }

    fn boot_url(&self, client: &BootClient) -> String {
        self.boot_urls
            .get(&client.network)
            .cloned()
            .unwrap_or_else(|| format!("http://{}:{}", client.server, self.core.config.boot.http_port))
    }
}

impl BootSource for Boot {
    async fn target(&self, client: &BootClient) -> BootTarget {
        if client.mac.is_junk() {
            return BootTarget::Ignore;
        }
        match self.known(client.mac).await {
            Ok(row) => {
                let state = row.as_ref().map_or(State::New, |r| r.state.clone());
                let commission =
                    state == State::New && self.commission_unknown(&self.facts(row.as_ref(), client));
                boot_target(&state, commission)
            }
            Err(error) => {
                // No answer: the firmware asks again, and a wrong answer could boot a half-installed disk.
                tracing::error!(mac = %client.mac, %error, "cannot decide what a machine boots");
                BootTarget::Ignore
            }
        }
    }

    fn known(&self, mac: Mac) -> bool {
        self.core.memory.host_name(mac).is_some()
    }

    fn host_name(&self, mac: Mac) -> Option<String> {
        self.core.memory.host_name(mac).flatten()
    }

    async fn script(&self, client: &BootClient) -> ScriptOrder {
        match self.make_script(client).await {
            Ok(order) => order,
            Err(error) => {
                tracing::error!(mac = %client.mac, %error, "no boot script was made");
                ScriptOrder::Failed
            }
        }
    }

    async fn kernel_args(&self, client: &BootClient) -> Vec<String> {
        match self.known(client.mac).await {
            Ok(row) => self
                .core
                .config
                .policy
                .kernel_args(&self.facts(row.as_ref(), client))
                .to_vec(),
            Err(error) => {
                // The script itself needs the same store and fails too.
                tracing::error!(mac = %client.mac, %error, "no kernel arguments by rule");
                Vec::new()
            }
        }
    }

    async fn menu(&self, client: &BootClient) -> Option<Menu> {
        let seconds = self.core.config.boot.menu_seconds;
        if seconds == 0 {
            return None;
        }
        let state = match self.known(client.mac).await {
            Ok(row) => row?.state,
            Err(error) => {
                tracing::error!(mac = %client.mac, %error, "no boot menu");
                return None;
            }
        };
        let choices = lifecycle::console::choices(&state);
        (!choices.is_empty()).then_some(Menu { seconds, choices })
    }

    async fn chosen(&self, client: &BootClient, choice: Choice) -> ScriptOrder {
        let order = match self.make_chosen(client, choice).await {
            Ok(order) => order,
            Err(error) => {
                tracing::error!(mac = %client.mac, %error, %choice, "no boot script was made for a choice");
                ScriptOrder::Refused("the server failed; its log says why".to_owned())
            }
        };
        let refused = if let ScriptOrder::Refused(why) = &order {
            Some(why.clone())
        } else {
            None
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
        let dir = self.core.config.images_dir.clone();
        let listing = tokio::task::spawn_blocking(move || images::list(&dir))
            .await
            .ok()?;
        match listing {
            Ok(listing) => listing
                .images
                .iter()
                .find(|i| i.manifest.sha256 == digest && i.manifest.public)
                .map(images::Image::path),
            Err(error) => {
                tracing::error!(
                    error = inventory_api::text::with_causes(&error),
                    "cannot list the images"
                );
                None
            }
        }
    }

    fn loader(
        &self,
        mac: Mac,
        kind: ClientKind,
        anew: bool,
        there_is: &(dyn Fn(Loader) -> bool + Sync),
    ) -> Option<Loader> {
        let now = self.core.clock.now();
        let (loader, ended) = self.core.memory.loaders.next(mac, kind, anew, &there_is, now);
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
            self.core.memory.changed(&id);
        }
    }
}
