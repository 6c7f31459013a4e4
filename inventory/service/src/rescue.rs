//! The rescue system: its one-time passwords, and its sessions in a machine's history. The password is
//! checked here, so nothing that helps to guess it leaves the server, and a reboot does not reset the count
//! of tries.

use std::net::IpAddr;

use inventory_api::boot::BootTarget;
use inventory_api::rescue::{RescuePassword, RescueRequest, RescueResponse, RescueStep};
use inventory_api::{MachineId, Problem, UnixMs};
use lifecycle::console::{StoredPassword, Typed, judge};
use lifecycle::{AtConsole, Event, boot_target};

use super::{Actor, Service};
use crate::advance::{AdvanceError, Advanced, advance_in, after_commit};
use crate::core::Core;
use crate::problem::problem;
use crate::secret;
use store::{Change, RescuePasswordRow, RescueRow};

/// Validity of a password, in seconds.
const PASSWORD_SECONDS: u64 = 24 * 3600;
/// Longest rescue, in seconds.
pub(crate) const RESCUE_SECONDS: u64 = 8 * 3600;
/// Time to enter the password, in seconds.
const LOGIN_SECONDS: u64 = 1800;
/// Longest password that is compared, in characters.
const MAX_PASSWORD: usize = 128;

/// Ends the open rescues of a machine. Call [`after_commit`] on the result once the transaction is committed.
pub(crate) async fn end_rescues(
    core: &Core,
    change: &mut Change,
    id: &MachineId,
    why: &str,
    now: UnixMs,
) -> Result<Option<Advanced>, AdvanceError> {
    if !change.end_rescues(id, now).await? {
        return Ok(None);
    }
    let event = Event::AtConsole {
        what: AtConsole::RescueEnded { why: why.to_owned() },
    };
    Ok(Some(
        advance_in(core, change, id, event, &Actor::Console, now).await?,
    ))
}

/// Ends rescues that timed out: the machine reboots by itself, or is gone.
pub(crate) async fn end_overdue(core: &Core) -> Result<(), AdvanceError> {
    let now = core.clock.now();
    for id in core.store.overdue_rescues(now).await? {
        let mut change = core.store.begin().await?;
        let ended = end_rescues(core, &mut change, &id, "it timed out", now).await?;
        change.commit().await?;
        if let Some(advanced) = &ended {
            after_commit(core, advanced);
        }
    }
    Ok(())
}

impl Service {
    /// Makes the password for the next rescue of a machine and replaces an earlier one.
    pub async fn make_rescue_password(&self, key: &str, actor: &Actor) -> Result<RescuePassword, Problem> {
        let row = self.find(key).await?;
        if boot_target(&row.state, false) == BootTarget::Ignore {
            return Err(not_served(&row.id));
        }
        let expires_at = self.core.clock.now().plus_seconds(PASSWORD_SECONDS);
        let password = secret::password();
        let kept = RescuePasswordRow {
            digest: secret::digest(&password),
            actor: actor.to_string(),
            expires_at,
            used_by: None,
            wrong: 0,
            wrong_at: UnixMs(0),
        };
        let mut change = self.core.store.begin().await?;
        change.put_rescue_password(&row.id, &kept).await?;
        change.commit().await?;
        tracing::info!(machine = %row.id, %actor, "a rescue password was made");
        Ok(RescuePassword {
            machine: row.id,
            password,
            expires_at,
            menu_seconds: self.core.config.boot.menu_seconds,
        })
    }

    /// The shell of the rescue system, for an address with an open rescue. It is not secret, but nobody else
    /// needs its two megabytes.
    ///
    /// # Errors
    /// 404 for everybody else.
    pub async fn rescue_shell(&self, peer: IpAddr) -> Result<&std::path::Path, Problem> {
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
        Err(problem(
            404,
            "no-rescue",
            "No rescue here",
            "this server gave no rescue to this address: choose it in the boot menu first",
        ))
    }

    /// Answers the mini-os of a rescue at address `peer`.
    pub async fn rescue(&self, request: &RescueRequest, peer: IpAddr) -> Result<RescueResponse, Problem> {
        let core = &self.core;
        let now = core.clock.now();
        let ticket = secret::digest(&request.ticket);
        let mut change = core.store.begin().await?;
        let rescue = change.rescue(&ticket).await?;
        let at_home = |rescue: &RescueRow| {
            let from = IpAddr::V4(rescue.ip) == peer || (core.config.boot.simulated && peer.is_loopback());
            from && rescue.mac == request.boot_mac
        };
        let Some(rescue) = rescue.filter(at_home) else {
            tracing::warn!(%peer, mac = %request.boot_mac, "a rescue with an unknown ticket was refused");
            return Err(problem(
                403,
                "ticket-unknown",
                "No such ticket",
                "this server gave no such ticket for a rescue to this machine: boot the machine again",
            ));
        };
        let id = rescue.machine.clone();
        let machine = change.machine(&id).await?;
        let served = machine.is_some_and(|m| boot_target(&m.state, false) != BootTarget::Ignore);
        if !served {
            return Err(not_served(&id));
        }
        if rescue.ended_at.is_some() || now >= rescue.expires_at {
            return Err(problem(
                403,
                "rescue-over",
                "Rescue is over",
                "this rescue has ended: boot the machine again and choose it again",
            ));
        }
        let seconds_left = |opened: bool| match opened {
            true => rescue.expires_at.since(now) / 1000,
            false => rescue.made_at.plus_seconds(LOGIN_SECONDS).since(now) / 1000,
        };
        let answer = |open: bool, wait_seconds: u64, message: String| RescueResponse {
            machine: id.clone(),
            message,
            open,
            wait_seconds,
            seconds_left: seconds_left(open || rescue.opened_at.is_some()),
        };
        let (answer, advanced) = match &request.what {
            RescueStep::Begin {} => {
                let ask = format!("`slipway rescue {id}` makes its password");
                (answer(false, 0, ask), None)
            }
            RescueStep::End {} => {
                let ended = end_rescues(core, &mut change, &id, "the shell was left", now).await;
                (answer(false, 0, String::new()), ended?)
            }
            RescueStep::Open { password } => {
                let (judged, event) = open(&mut change, &id, &ticket, password, now).await?;
                let advanced = match event {
                    // Both consoles may open a shell in one rescue: record only the first.
                    Some(AtConsole::RescueOpened { .. }) if rescue.opened_at.is_some() => None,
                    Some(what) => {
                        let event = Event::AtConsole { what };
                        let advanced = advance_in(core, &mut change, &id, event, &Actor::Console, now).await;
                        Some(advanced?)
                    }
                    None => None,
                };
                if judged.open {
                    change.open_rescue(&ticket, now).await?;
                }
                tracing::info!(machine = %id, %peer, open = judged.open, "a rescue password was typed");
                (answer(judged.open, judged.wait, judged.message), advanced)
            }
        };
        change.commit().await?;
        if let Some(advanced) = &advanced {
            after_commit(core, advanced);
        }
        Ok(answer)
    }
}

struct Judged {
    open: bool,
    wait: u64,
    message: String,
}

/// Checks a typed password and counts wrong ones.
async fn open(
    change: &mut Change,
    id: &MachineId,
    ticket: &[u8; 32],
    typed: &str,
    now: UnixMs,
) -> Result<(Judged, Option<AtConsole>), Problem> {
    let kept = change.rescue_password(id).await?;
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
    let by = kept.as_ref().map(|kept| kept.actor.clone()).unwrap_or_default();
    if let Some(mut kept) = kept {
        match verdict {
            Typed::Right => (kept.used_by, kept.wrong) = (Some(*ticket), 0),
            Typed::Wrong { .. } => (kept.wrong, kept.wrong_at) = (kept.wrong + 1, now),
            Typed::NoPassword { .. } | Typed::TooSoon { .. } => {}
        }
        if matches!(verdict, Typed::Right | Typed::Wrong { .. }) {
            change.put_rescue_password(id, &kept).await?;
        }
    }
    let (open, wait, message, event) = match verdict {
        Typed::NoPassword { wait } => {
            let message = format!("there is no password that opens it: `slipway rescue {id}` makes one");
            (false, wait, message, None)
        }
        Typed::TooSoon { wait } => {
            let message = format!("not so fast: the next password in {wait} s");
            (false, wait, message, None)
        }
        Typed::Right => {
            let message = "the password is right".to_owned();
            (true, 0, message, Some(AtConsole::RescueOpened { by }))
        }
        Typed::Wrong { wait, locked } => {
            let message = format!("the password is wrong; the next one in {wait} s");
            (false, wait, message, locked.then_some(AtConsole::RescueLocked))
        }
    };
    Ok((Judged { open, wait, message }, event))
}

fn not_served(id: &MachineId) -> Problem {
    problem(
        409,
        "not-served",
        "Not served",
        format!("machine {id} is retired or in quarantine: nothing is booted on it"),
    )
}
