//! The rescue system: its one-time passwords, and its sessions in a machine's history. The password is
//! checked here, so nothing that helps to guess it leaves the server, and a reboot does not reset the count
//! of tries.

use std::net::IpAddr;
use std::sync::Arc;

use inventory_api::boot::BootTarget;
use inventory_api::rescue::{RescuePassword, RescueRequest, RescueResponse, RescueStep};
use inventory_api::{MachineId, Problem, UnixMs};
use lifecycle::console::{StoredPassword, Typed, judge};
use lifecycle::{AtConsole, Event, boot_target};

use crate::core::Core;
use crate::problem::{NO_RESCUE, NOT_SERVED, RESCUE_OVER, Result, TICKET_UNKNOWN};
use crate::{Actor, AdvanceError, Service, Turn, secret};
use store::{RescuePasswordRow, RescueRow, StoreError};

/// Validity of a password, in seconds.
const PASSWORD_SECONDS: u64 = 24 * 3600;
/// Longest rescue, in seconds.
pub(crate) const RESCUE_SECONDS: u64 = 8 * 3600;
/// Time to enter the password, in seconds.
const LOGIN_SECONDS: u64 = 1800;
/// Longest password that is compared, in characters.
const MAX_PASSWORD: usize = 128;

impl Turn {
    /// Ends the open rescues of a machine.
    pub(crate) async fn end_rescue(&mut self, id: &MachineId, why: &str) -> Result<(), AdvanceError> {
        let now = self.now;
        if self.end_rescues(id, now).await? {
            let why = why.to_owned();
            self.at_console(id, AtConsole::RescueEnded { why }).await?;
        }
        Ok(())
    }

    pub(crate) async fn at_console(&mut self, id: &MachineId, what: AtConsole) -> Result<(), AdvanceError> {
        let event = Event::AtConsole { what };
        self.advance_as(&Actor::Console, id, event).await?;
        Ok(())
    }
}

/// Ends rescues that timed out: the machine reboots by itself, or is gone.
pub(crate) async fn end_overdue(core: &Arc<Core>) -> Result<(), AdvanceError> {
    for id in core.store.overdue_rescues(core.clock.now()).await? {
        let work = async move |mut turn: Turn| {
            turn.end_rescue(&id, "it timed out").await?;
            Ok::<_, AdvanceError>(turn.commit().await?)
        };
        core.turn(&Actor::Console, work).await?;
    }
    Ok(())
}

impl Service {
    /// Makes the password for the next rescue of a machine and replaces an earlier one.
    pub async fn make_rescue_password(&self, key: &str, actor: &Actor) -> Result<RescuePassword> {
        let row = self.find(key).await?;
        if boot_target(&row.state, false) == BootTarget::Ignore {
            return Err(not_served(&row.id));
        }
        let menu_seconds = self.core.config.boot.menu_seconds;
        let work = async move |mut turn: Turn| {
            let (machine, actor) = (row.id, turn.actor.clone());
            let expires_at = turn.now.plus_seconds(PASSWORD_SECONDS);
            let password = secret::password();
            let kept = RescuePasswordRow {
                digest: secret::digest(&password),
                actor: actor.to_string(),
                expires_at,
                used_by: None,
                wrong: 0,
                wrong_at: UnixMs(0),
            };
            turn.put_rescue_password(&machine, &kept).await?;
            turn.commit().await?;
            tracing::info!(%machine, %actor, "a rescue password was made");
            Ok(RescuePassword {
                machine,
                password,
                expires_at,
                menu_seconds,
            })
        };
        self.turn(actor, work).await
    }

    /// The shell of the rescue system, for an address with an open rescue. It is not secret, but nobody else
    /// needs its two megabytes.
    ///
    /// # Errors
    /// 404 for everybody else.
    pub async fn rescue_shell(&self, peer: IpAddr) -> Result<&std::path::Path> {
        let core = &self.core;
        let at = match peer {
            _ if core.config.boot.simulated && peer.is_loopback() => Some(None),
            IpAddr::V4(ip) => Some(Some(ip)),
            IpAddr::V6(_) => None,
        };
        let now = core.clock.now();
        let has = match at {
            Some(ip) => core.store.has_rescue_at(ip, now).await?,
            None => false,
        };
        if has {
            return Ok(&core.config.boot.busybox);
        }
        Err(NO_RESCUE.because("this server gave no rescue to this address: choose it in the boot menu first"))
    }

    /// Answers the mini-os of a rescue at address `peer`.
    pub async fn rescue(&self, request: &RescueRequest, peer: IpAddr) -> Result<RescueResponse> {
        let request = request.clone();
        let work = async move |mut turn: Turn| {
            let ticket = secret::digest(&request.ticket);
            let rescue = turn.rescue_of(&ticket, &request, peer).await?;
            let answer = turn.rescue_step(&rescue, &ticket, request.what, peer).await?;
            turn.commit().await?;
            Ok(answer)
        };
        self.turn(&Actor::Console, work).await
    }
}

impl Turn {
    /// The rescue of a ticket, if it has not ended and this is its machine.
    async fn rescue_of(&self, ticket: &[u8; 32], request: &RescueRequest, peer: IpAddr) -> Result<RescueRow> {
        let simulated = self.core.config.boot.simulated && peer.is_loopback();
        let at_home = |rescue: &RescueRow| {
            rescue.mac == request.boot_mac && (simulated || IpAddr::V4(rescue.ip) == peer)
        };
        let Some(rescue) = self.rescue(ticket).await?.filter(at_home) else {
            tracing::warn!(%peer, mac = %request.boot_mac, "a rescue with an unknown ticket was refused");
            return Err(TICKET_UNKNOWN.because(
                "this server gave no such ticket for a rescue to this machine: boot the machine again",
            ));
        };
        let machine = self.machine(&rescue.machine).await?;
        if machine.is_none_or(|m| boot_target(&m.state, false) == BootTarget::Ignore) {
            return Err(not_served(&rescue.machine));
        }
        if rescue.ended_at.is_some() || self.now >= rescue.expires_at {
            let detail = "this rescue has ended: boot the machine again and choose it again";
            return Err(RESCUE_OVER.because(detail));
        }
        Ok(rescue)
    }

    async fn rescue_step(
        &mut self,
        rescue: &RescueRow,
        ticket: &[u8; 32],
        step: RescueStep,
        peer: IpAddr,
    ) -> Result<RescueResponse> {
        let (id, now) = (&rescue.machine, self.now);
        let mut answer = RescueResponse {
            machine: id.clone(),
            message: String::new(),
            open: false,
            wait_seconds: 0,
            seconds_left: 0,
        };
        match step {
            RescueStep::Begin {} => answer.message = format!("`slipway rescue {id}` makes its password"),
            RescueStep::End {} => self.end_rescue(id, "the shell was left").await?,
            RescueStep::Open { password } => {
                let (verdict, event) = self.try_password(id, ticket, &password).await?;
                answer.open = matches!(verdict, Typed::Right);
                (answer.wait_seconds, answer.message) = words(&verdict, id);
                // Both consoles may open a shell in one rescue: record only the first.
                let again = answer.open && rescue.opened_at.is_some();
                if let Some(what) = event.filter(|_| !again) {
                    self.at_console(id, what).await?;
                }
                if answer.open {
                    self.open_rescue(ticket, now).await?;
                }
                tracing::info!(machine = %id, %peer, open = answer.open, "a rescue password was typed");
            }
        }
        answer.seconds_left = match answer.open || rescue.opened_at.is_some() {
            true => rescue.expires_at.since(now) / 1000,
            false => rescue.made_at.plus_seconds(LOGIN_SECONDS).since(now) / 1000,
        };
        Ok(answer)
    }

    /// Checks a typed password and counts wrong ones.
    async fn try_password(
        &mut self,
        id: &MachineId,
        ticket: &[u8; 32],
        typed: &str,
    ) -> Result<(Typed, Option<AtConsole>), StoreError> {
        let now = self.now;
        let kept = self.rescue_password(id).await?;
        let typed: String = typed.trim().chars().take(MAX_PASSWORD).collect();
        // Comparing digests byte by byte reveals nothing about the password.
        let digest = secret::digest(&typed.to_ascii_lowercase());
        let right = kept.as_ref().is_some_and(|kept| kept.digest == digest);
        let stored = kept.as_ref().map(|kept| StoredPassword {
            used_elsewhere: kept.used_by.is_some_and(|used| used != *ticket),
            expires_at: kept.expires_at,
            wrong: kept.wrong,
            wrong_at: kept.wrong_at,
        });
        let verdict = judge(stored, right, now);
        let Some(mut kept) = kept else {
            return Ok((verdict, None));
        };
        let event = match verdict {
            Typed::Right => {
                (kept.used_by, kept.wrong) = (Some(*ticket), 0);
                let by = kept.actor.clone();
                Some(AtConsole::RescueOpened { by })
            }
            Typed::Wrong { locked, .. } => {
                (kept.wrong, kept.wrong_at) = (kept.wrong + 1, now);
                locked.then_some(AtConsole::RescueLocked)
            }
            Typed::NoPassword { .. } | Typed::TooSoon { .. } => return Ok((verdict, None)),
        };
        self.put_rescue_password(id, &kept).await?;
        Ok((verdict, event))
    }
}

/// Seconds until the next try, and what the console shows.
fn words(verdict: &Typed, id: &MachineId) -> (u64, String) {
    match verdict {
        Typed::Right => (0, "the password is right".to_owned()),
        Typed::NoPassword { wait } => {
            let none = format!("there is no password that opens it: `slipway rescue {id}` makes one");
            (*wait, none)
        }
        Typed::TooSoon { wait } => (*wait, format!("not so fast: the next password in {wait} s")),
        Typed::Wrong { wait, .. } => (*wait, format!("wrong password: try again in {wait} s")),
    }
}

fn not_served(id: &MachineId) -> Problem {
    NOT_SERVED.because(format!(
        "machine {id} is retired or in quarantine: nothing is booted on it"
    ))
}
