//! Makes boot scripts: enrolls unknown clients, records what was given, and puts tickets into scripts.

use std::net::Ipv4Addr;

use inventory_api::boot::{BootArgs, BootTarget, Choice, Purpose};
use inventory_api::machine::Actor;
use inventory_api::{MachineId, UnixMs};
use lifecycle::booting::{Asks, Held, TICKETS_A_MINUTE, may_have_ticket};
use lifecycle::{AtConsole, Event, State, boot_target};
use netboot::{BootClient, BootInstruction};

use super::source::Boot;
use crate::rescue::RESCUE_SECONDS;
use crate::{AdvanceError, Turn, secret};
use store::{MachineRow, RescueRow, StoreError, TicketRow};

/// Shown on a new machine while too many enroll.
const TOO_MANY_NEW: &str =
    "held: too many new machines in a minute on this network (boot.enrolments_per_minute)";
/// Shown on a machine that asks for too many scripts.
const TOO_MANY_SCRIPTS: &str = "held: this machine asked for too many boot scripts in a minute";
/// Why a rescue ended: its machine asks what to boot.
const BOOTED_AGAIN: &str = "it booted again";

impl Boot {
    pub(super) async fn make_script(&self, client: &BootClient) -> Result<BootInstruction, AdvanceError> {
        let Some(ip) = client.ip else {
            tracing::warn!(mac = %client.mac, "a boot script was asked for without a lease");
            return Ok(BootInstruction::Ignore);
        };
        if client.mac.is_junk() {
            return Ok(BootInstruction::Ignore);
        }
        let script = self.script(client, ip);
        let work = async move |turn| script(turn).of_state().await;
        self.core.turn(&Actor::Boot, work).await
    }

    /// The script for what a person chose at the console. The machine's state does not change.
    pub(super) async fn make_chosen(
        &self,
        client: &BootClient,
        choice: Choice,
    ) -> Result<BootInstruction, AdvanceError> {
        if self.core.config.boot.menu_seconds == 0 {
            return refuse("the boot menu is switched off");
        }
        let Some(ip) = client.ip else {
            return Ok(BootInstruction::Ignore);
        };
        let script = self.script(client, ip);
        let work = async move |turn| script(turn).of_choice(choice).await;
        self.core.turn(&Actor::Console, work).await
    }

    fn script(&self, client: &BootClient, ip: Ipv4Addr) -> impl FnOnce(Turn) -> Script + use<> {
        let (boot, client) = (self.clone(), client.clone());
        move |turn| Script {
            boot,
            client,
            ip,
            turn,
        }
    }

    fn asks(&self, row: &MachineRow, client: &BootClient) -> Asks {
        let session = self.core.memory.sessions.get(&row.id);
        Asks {
            firmware: client.firmware_asked,
            agent: session.last_seen.max(row.last_seen),
            disk: session.disk_boot_at,
            admitted_until: session.admitted_until,
        }
    }

    /// The client may be a process on a running system: it gets only what anybody may have, and no state
    /// changes.
    fn unheard(&self, row: &MachineRow, client: &BootClient, held: Held, now: UnixMs) -> BootInstruction {
        let commission = row.state == State::New && self.commissions(Some(row), client);
        match boot_target(&row.state, commission) {
            BootTarget::LocalDisk => BootInstruction::LocalDisk,
            BootTarget::Ignore => BootInstruction::Ignore,
            BootTarget::MiniOs { .. } => {
                let why = held.to_string();
                let memory = &self.core.memory;
                let before = memory.sessions.get(&row.id).held;
                if before.is_none_or(|(_, said)| said != why) {
                    tracing::warn!(machine = %row.id, mac = %client.mac, why, "a boot script is held back");
                    memory
                        .sessions
                        .update(&row.id, |session| session.held = Some((now, why.clone())));
                    memory.journeys.owned(client.mac, &row.id);
                    memory.sessions.changed(&row.id);
                }
                BootInstruction::Held(why)
            }
        }
    }
}

fn refuse(why: &str) -> Result<BootInstruction, AdvanceError> {
    Ok(BootInstruction::Refused(why.to_owned()))
}

/// A script in the making.
struct Script {
    boot: Boot,
    client: BootClient,
    ip: Ipv4Addr,
    turn: Turn,
}

impl Script {
    async fn of_state(mut self) -> Result<BootInstruction, AdvanceError> {
        let now = self.turn.now;
        let id = match self.turn.machine_of_mac(self.client.mac).await? {
            Some(id) => id,
            None => match self.enroll().await? {
                Some(id) => id,
                None => return Ok(BootInstruction::Held(TOO_MANY_NEW.to_owned())),
            },
        };
        let row = self.turn.row(&id).await?;
        if let Err(held) = may_have_ticket(&self.boot.asks(&row, &self.client), false, now) {
            self.turn.commit().await?;
            return Ok(self.boot.unheard(&row, &self.client, held, now));
        }
        self.turn.put_boot_mac(&id, self.client.mac).await?;
        self.turn
            .put_boot_address(&id, &self.client.network, self.ip, now)
            .await?;
        self.turn.end_rescue(&id, BOOTED_AGAIN).await?;
        let mut state = row.state.clone();
        if state == State::New && self.boot.commissions(Some(&row), &self.client) {
            let commissioned = self.turn.advance_as(&Actor::Policy, &id, Event::Commission);
            state = commissioned.await?.state;
        }
        let event = Event::ScriptGiven {
            target: boot_target(&state, false),
        };
        // The event may have ended a deployment, so use the state that it led to.
        let target = boot_target(&self.turn.advance(&id, event).await?.state, false);
        let script = match target {
            BootTarget::LocalDisk => BootInstruction::LocalDisk,
            BootTarget::Ignore => BootInstruction::Ignore,
            BootTarget::MiniOs { purpose } => {
                let made = self.turn.tickets_since(&id, now.minus_seconds(60)).await?;
                if made >= TICKETS_A_MINUTE {
                    if self.boot.warns(now) {
                        tracing::warn!(machine = %id, mac = %self.client.mac, "too many boot scripts in a minute: none is given");
                    }
                    return Ok(BootInstruction::Held(TOO_MANY_SCRIPTS.to_owned()));
                }
                self.mini_os(&id, purpose).await?
            }
        };
        self.commit(id, (target == BootTarget::LocalDisk).then_some(now))
            .await?;
        Ok(script)
    }

    /// Enrolls an unknown client. `None`: too many new machines on this network in the last minute, or no id
    /// could be made.
    async fn enroll(&mut self) -> Result<Option<MachineId>, StoreError> {
        let (client, now) = (&self.client, self.turn.now);
        let most = i64::from(self.boot.core.config.boot.enrolments_per_minute);
        let since = now.minus_seconds(60);
        if self.turn.enrolled_since(&client.network, since).await? >= most {
            if self.boot.warns(now) {
                tracing::warn!(network = client.network, mac = %client.mac, most, "too many new machines in a minute: one is held");
            }
            return Ok(None);
        }
        let Some(id) = secret::machine_id() else {
            return Ok(None);
        };
        self.turn.enroll(&id, &client.network).await?;
        self.turn.put_boot_mac(&id, client.mac).await?;
        Ok(Some(id))
    }

    async fn of_choice(mut self, choice: Choice) -> Result<BootInstruction, AdvanceError> {
        let now = self.turn.now;
        let Some(row) = self.turn.machine_by_mac(self.client.mac).await? else {
            return refuse("this machine is not enrolled");
        };
        if let Err(refused) = lifecycle::console::choose(&row.state, choice) {
            return Ok(BootInstruction::Refused(refused.sentence));
        }
        // The choice must come from a console, not from a process on the running system.
        if let Err(held) = may_have_ticket(&self.boot.asks(&row, &self.client), true, now) {
            return Ok(BootInstruction::Refused(held.to_string()));
        }
        let id = row.id;
        self.turn.end_rescue(&id, BOOTED_AGAIN).await?;
        self.turn.at_console(&id, AtConsole::Chose { choice }).await?;
        // The script that this choice replaces may have had a ticket.
        self.turn.void_tickets(&id).await?;
        let script = match choice {
            Choice::LocalDisk => BootInstruction::LocalDisk,
            Choice::MemoryTest => BootInstruction::MemoryTest,
            Choice::MiniOs => self.mini_os(&id, Purpose::Standby).await?,
            Choice::Rescue => {
                // Not a boot ticket: claiming one would replace the agent on the disk.
                let ticket = secret::fresh();
                let row = RescueRow {
                    machine: id.clone(),
                    mac: self.client.mac,
                    ip: self.ip,
                    made_at: now,
                    expires_at: now.plus_seconds(RESCUE_SECONDS),
                    opened_at: None,
                    ended_at: None,
                };
                self.turn.add_rescue(&secret::digest(&ticket), &row).await?;
                self.with_ticket(ticket, Purpose::Rescue)
            }
        };
        self.commit(id, None).await?;
        Ok(script)
    }

    /// The mini-os, with a new ticket.
    async fn mini_os(&mut self, id: &MachineId, purpose: Purpose) -> Result<BootInstruction, StoreError> {
        let (ticket, now) = (secret::fresh(), self.turn.now);
        let row = TicketRow {
            machine: id.clone(),
            mac: self.client.mac,
            ip: self.ip,
            expires_at: now.plus_seconds(self.boot.core.config.boot.ticket_seconds),
            void: false,
            alarmed: false,
            key_digest: None,
            certificate: None,
        };
        self.turn.add_ticket(&secret::digest(&ticket), &row, now).await?;
        Ok(self.with_ticket(ticket, purpose))
    }

    fn with_ticket(&self, ticket: String, purpose: Purpose) -> BootInstruction {
        BootInstruction::MiniOs(Box::new(BootArgs {
            server: format!("https://{}:{}", self.client.server, self.boot.api_port),
            boot_url: self.boot.boot_url(&self.client),
            mac: self.client.mac,
            ticket,
            time: self.turn.now,
            purpose,
        }))
    }

    /// A machine that asks what to boot runs no agent: forgets the state of the last one.
    async fn commit(mut self, id: MachineId, disk_boot_at: Option<UnixMs>) -> Result<(), StoreError> {
        let mac = self.client.mac;
        self.turn.then(move |core| {
            core.memory.sessions.update(&id, |session| {
                session.runs_on = None;
                session.progress = None;
                session.held = None;
                session.disk_boot_at = disk_boot_at;
            });
            core.memory.journeys.owned(mac, &id);
        });
        self.turn.commit().await
    }
}
