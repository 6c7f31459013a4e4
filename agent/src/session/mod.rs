//! The agent's session with the server: claim, report, assignment, in the mini-os and on the installed
//! system.
//!
//! [`run`] is the whole session, for real and simulated machines: everything it touches is in [`Machine`]. It
//! ends only with an [`Exit`]; it waits for a server that is down, restarting or slow.

mod assignment;
mod backoff;
mod channel;
mod credentials;
mod link;
mod rescue;
mod task;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod time_tests;

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use inventory_api::agent::{ClaimRequest, ClaimResponse, ReportRequest, ReportResponse, RunsOn};
use inventory_api::boot::BootArgs;
use inventory_api::{Problem, UnixMs};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::console::Console;
use crate::install::{Credentials, Site};
use crate::plain::plain;
use crate::proof::FirstBoot;
use crate::report::{self, Roots};
use crate::screen::Poster;
#[cfg(fuzzing)]
pub use assignment::read as read_assignment;
use channel::{CallError, Channel};
pub(crate) use channel::{bounded, plain_client};
pub(crate) use rescue::Rescue;

/// Receives the server's time.
pub type ServerTime = Arc<dyn Fn(UnixMs) + Send + Sync>;

/// A machine in a session with its server.
pub struct Machine {
    /// Its credentials, or how it gets them.
    pub origin: Origin,
    /// Where the report's collectors look.
    pub roots: Roots,
    /// What it can do.
    pub duty: Duty,
    /// Where progress is shown.
    pub console: Arc<dyn Console>,
    /// Called with the server's time after a claim, and on an installed system whose own clock has lost the
    /// time.
    pub server_time: Option<ServerTime>,
    /// Timeouts and intervals.
    pub pace: Pace,
    /// Ends the session at once, in any state.
    pub cancel: CancellationToken,
}

/// Where a machine's credentials come from.
pub enum Origin {
    /// A boot ticket, exchanged for a certificate.
    Ticket {
        /// The kernel arguments.
        args: BootArgs,
        /// The server's CA certificate, PEM, from the site archive.
        ca_pem: String,
    },
    /// The credentials that the installation left on the disk.
    Stored(Credentials),
}

/// What the machine can do.
pub enum Duty {
    /// The mini-os, running from memory: install and wipe.
    MiniOs {
        /// Where the disks are.
        site: Site,
    },
    /// The installed system: verify.
    Installed {
        /// Root of the installed system, `/` on a real machine.
        root: PathBuf,
        /// What to do with first-boot scripts.
        first_boot: FirstBoot,
    },
}

/// Timeouts and intervals of a session.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How long the server may hold an assignment poll.
    pub poll_wait: Duration,
    /// First pause after a failed call; it doubles.
    pub retry_first: Duration,
    /// Longest pause.
    pub retry_cap: Duration,
    /// Minimum interval between progress messages.
    pub progress: Duration,
    /// Interval between unsolicited reports on the installed system.
    pub report: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            poll_wait: Duration::from_secs(25),
            retry_first: Duration::from_millis(500),
            retry_cap: Duration::from_secs(15),
            progress: Duration::from_millis(500),
            report: Duration::from_secs(24 * 3600),
        }
    }
}

/// How a session ended; displayed on the console.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Exit {
    /// The server wants a reboot now.
    #[error("reboot: {}", plain(message))]
    Reboot {
        /// The server's message for the console.
        message: String,
    },
    /// The server rejects this machine: ticket used, certificate revoked, machine retired.
    #[error("the server refuses this machine: {} ({})", plain(&problem.detail), plain(&problem.code))]
    Refused {
        /// The server's reason.
        problem: Problem,
    },
    /// The session could not start: unreadable CA certificate, no randomness.
    #[error("cannot talk to the server: {detail}")]
    Impossible {
        /// What was tried and what came back.
        detail: String,
    },
    /// [`Machine::cancel`].
    #[error("cancelled")]
    Cancelled,
}

/// Runs the session until there is an [`Exit`]. Needs a tokio runtime with time and I/O enabled. Dropping the
/// future acts like a power loss: nothing more is sent.
pub async fn run(machine: Machine) -> Exit {
    let cancel = machine.cancel.clone();
    tokio::select! {
        biased;
        () = cancel.cancelled() => Exit::Cancelled,
        ended = talk(&machine) => {
            let Err(exit) = ended;
            exit
        }
    }
}

async fn talk(machine: &Machine) -> Result<Infallible, Exit> {
    let credentials = match &machine.origin {
        Origin::Ticket { args, ca_pem } => claim(machine, args, ca_pem).await?,
        Origin::Stored(credentials) => credentials.clone(),
    };
    let mut channel =
        Channel::open(&credentials, machine.console.clone(), machine.pace).map_err(impossible)?;
    if let (Origin::Stored(_), Some(set), Some(valid)) = (
        &machine.origin,
        &machine.server_time,
        clock::validity(&credentials.cert_pem),
    ) {
        channel.asks_time(Arc::clone(set), valid).await;
    }
    send_report(machine, &channel).await?;
    let mut reported = Instant::now();
    let mut last = None;
    loop {
        let resident = matches!(machine.duty, Duty::Installed { .. });
        if resident && reported.elapsed() >= machine.pace.report {
            send_report(machine, &channel).await?;
            reported = Instant::now();
        }
        let next = assignment::next(&channel, last.as_ref(), &machine.pace, machine.console.as_ref()).await?;
        // The same answer again is not a new assignment.
        if last.as_ref() == Some(&next) {
            continue;
        }
        let follow = assignment::follow(machine, &channel, &credentials, &next).await?;
        last = Some(next);
        match follow {
            assignment::Follow::Ask => {}
            assignment::Follow::Report => {
                send_report(machine, &channel).await?;
                reported = Instant::now();
            }
        }
    }
}

/// Exchanges the ticket for a certificate. The key is made once: a claim whose answer was lost is repeated
/// with it.
async fn claim(machine: &Machine, args: &BootArgs, ca_pem: &str) -> Result<Credentials, Exit> {
    let key = credentials::make_key().map_err(impossible)?;
    let request = ClaimRequest {
        ticket: args.ticket.clone(),
        csr_pem: key.csr_pem,
        boot_mac: args.mac,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let channel = Channel::open_for_claim(args, ca_pem, machine.console.clone(), machine.pace)?;
    let console = &machine.console;
    console.line(&format!(
        "server: asking {} who this machine is",
        plain(&args.server)
    ));
    let answer: ClaimResponse = channel.post("claim", &request).await.map_err(CallError::exit)?;
    if let Some(set) = &machine.server_time {
        set(answer.server_time);
    }
    console.line(&format!("server: this is machine {}", answer.machine));
    if let Some(page) = &answer.page_url {
        console.line(&format!("server: see {}", plain(page)));
    }
    Ok(Credentials {
        machine: answer.machine,
        server: args.server.clone(),
        boot_url: args.boot_url.clone(),
        key_pem: key.key_pem,
        cert_pem: answer.certificate_pem,
        ca_pem: ca_pem.to_owned(),
    })
}

/// Collects a report and sends it, retrying until the server has it.
async fn send_report(machine: &Machine, channel: &Channel) -> Result<(), Exit> {
    let roots = machine.roots.clone();
    let console = &machine.console;
    let collected = tokio::task::spawn_blocking(move || report::collect(&roots)).await;
    let mut report = collected.map_err(|e| impossible(format!("the collectors failed: {e}")))?;
    // Only the boot arguments say which NIC booted; the plan's default network depends on it.
    if let Origin::Ticket { args, .. } = &machine.origin {
        report.boot.boot_mac.get_or_insert(args.mac);
    }
    console.line(&format!(
        "report: {} disks, {} NICs, {} problems, collected in {} ms",
        report.disks.len(),
        report.nics.len(),
        report.problems.len(),
        report.collect_ms
    ));
    let system = report.system.clone().unwrap_or_default();
    let request = ReportRequest {
        nonce: credentials::nonce().map_err(impossible)?,
        runs_on: match machine.duty {
            Duty::MiniOs { .. } => RunsOn::MiniOs,
            Duty::Installed { .. } => RunsOn::Installed,
        },
        report: Box::new(report),
    };
    match channel.post::<_, ReportResponse>("report", &request).await {
        Ok(answer) => {
            console.line(&format!("report: {}", plain(&answer.message)));
            // The installed system's console belongs to its users.
            if matches!(machine.duty, Duty::MiniOs { .. }) {
                let named = [system.manufacturer, system.product].into_iter().flatten();
                let named: Vec<String> = named.collect();
                let model = (!named.is_empty()).then(|| named.join(" "));
                console.poster(&Poster {
                    check: answer.check.as_ref(),
                    serial: system.serial.as_deref(),
                    model: model.as_deref(),
                    place: answer.place.as_deref(),
                    page: answer.page_url.as_deref(),
                });
            }
            Ok(())
        }
        // The server rejected this report. The next assignment says what it wants instead.
        Err(e) => {
            console.line(&format!("report: not accepted: {}", e.unless_refused()?));
            Ok(())
        }
    }
}

fn impossible(detail: impl fmt::Display) -> Exit {
    Exit::Impossible {
        detail: detail.to_string(),
    }
}
