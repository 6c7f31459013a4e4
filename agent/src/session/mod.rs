//! The agent's conversation with the server: claim, report, assignment, for the mini-os and the installed system.
//!
//! [`run`] is all of it, for a real machine and for a simulated one: everything it touches comes with [`Machine`].
//! It ends only with an [`Exit`]; a server that is down, restarts or answers late is waited for.

mod backoff;
mod channel;
mod duty;
mod identity;
mod link;
mod rescue;
mod task;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod time_tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use inventory_api::agent::{ClaimRequest, ClaimResponse, ReportRequest, ReportResponse, RunsOn};
use inventory_api::boot::BootArgs;
use inventory_api::{Problem, UnixMs};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::console::{Console, plain};
use crate::install::{Identity, Site};
use crate::report::{self, Roots};
use crate::resident::FirstBoot;
use crate::screen::Poster;
use channel::{CallError, Channel};
pub(crate) use channel::{bounded, plain_client};
#[cfg(fuzzing)]
pub use duty::read as read_order;
pub use rescue::Rescue;

/// Takes the server's time.
pub type ServerTime = Arc<dyn Fn(UnixMs) + Send + Sync>;

/// One machine that talks to its server.
pub struct Machine {
    /// Who it is, or how it becomes someone.
    pub origin: Origin,
    /// Where the collectors of the report look.
    pub roots: Roots,
    /// What it can do.
    pub duty: Duty,
    /// Where it says what it does.
    pub console: Arc<dyn Console>,
    /// Called with the server's clock when a claim was answered, and on an installed system when its own has lost the time.
    pub server_time: Option<ServerTime>,
    /// How patient it is.
    pub pace: Pace,
    /// Ends the conversation at once, wherever it is.
    pub cancel: CancellationToken,
}

/// Where a machine's identity comes from.
pub enum Origin {
    /// A boot ticket, to be traded for a certificate.
    Ticket {
        /// The kernel arguments.
        args: BootArgs,
        /// The server's CA certificate, PEM, from the site archive.
        ca_pem: String,
    },
    /// The identity that the installation left on the disk.
    Stored(Identity),
}

/// What the machine can do.
pub enum Duty {
    /// It runs from memory: install and wipe.
    MiniOs {
        /// Where disks are.
        site: Site,
    },
    /// It runs the installed system: verify.
    Installed {
        /// Root of the installed system, `/` in life.
        root: PathBuf,
        /// What is done with first-boot scripts.
        first_boot: FirstBoot,
    },
}

/// Times of a conversation.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How long the server may hold a question for the assignment.
    pub poll_wait: Duration,
    /// First pause after a call that did not reach the server; it doubles.
    pub retry_first: Duration,
    /// Longest pause.
    pub retry_cap: Duration,
    /// Least time between two progress messages.
    pub progress: Duration,
    /// Time between two reports nobody asked for, on the installed system.
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

/// How a conversation ended, in words for the console.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Exit {
    /// The server wants a reboot now.
    #[error("reboot: {}", plain(message))]
    Reboot {
        /// Its sentence for the console.
        message: String,
    },
    /// The server does not accept this machine: ticket used up, certificate revoked, machine retired.
    #[error("the server refuses this machine: {} ({})", plain(&problem.detail), plain(&problem.code))]
    Refused {
        /// Its words.
        problem: Problem,
    },
    /// The conversation could not begin: unreadable CA certificate, no randomness.
    #[error("cannot talk to the server: {detail}")]
    Impossible {
        /// What was tried and what came back.
        detail: String,
    },
    /// [`Machine::cancel`].
    #[error("cancelled")]
    Cancelled,
}

/// Talks to the server until there is an [`Exit`]. Must run inside a tokio runtime with time and I/O enabled.
/// Dropping the future is the loss of power: nothing more is sent.
pub async fn run(machine: Machine) -> Exit {
    let cancel = machine.cancel.clone();
    tokio::select! {
        biased;
        () = cancel.cancelled() => Exit::Cancelled,
        ended = talk(&machine) => ended.unwrap_or_else(|exit| exit),
    }
}

async fn talk(machine: &Machine) -> Result<Exit, Exit> {
    let identity = match &machine.origin {
        Origin::Ticket { args, ca_pem } => claim(machine, args, ca_pem).await?,
        Origin::Stored(identity) => identity.clone(),
    };
    let mut channel = Channel::open(&identity, machine.console.clone(), machine.pace).map_err(impossible)?;
    if let (Origin::Stored(_), Some(set), Some(valid)) = (
        &machine.origin,
        &machine.server_time,
        clock::validity(&identity.cert_pem),
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
        let next = duty::next(&channel, last.as_ref(), &machine.pace, machine.console.as_ref()).await?;
        // The same question answered the same way is not a new order.
        if last.as_ref() == Some(&next) {
            continue;
        }
        let follow = duty::follow(machine, &channel, &identity, &next).await?;
        last = Some(next);
        match follow {
            duty::Follow::Ask => {}
            duty::Follow::Report => {
                send_report(machine, &channel).await?;
                reported = Instant::now();
            }
            duty::Follow::Exit(exit) => return Ok(exit),
        }
    }
}

/// Trades the ticket for a certificate. The key is made once: a claim whose answer was lost is repeated with it.
async fn claim(machine: &Machine, args: &BootArgs, ca_pem: &str) -> Result<Identity, Exit> {
    let key = identity::make_key().map_err(impossible)?;
    let request = ClaimRequest {
        ticket: args.ticket.clone(),
        csr_pem: key.csr_pem,
        boot_mac: args.mac,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let channel = Channel::open_without_identity(
        &args.server,
        &args.boot_url,
        ca_pem,
        machine.console.clone(),
        machine.pace,
    )
    .map_err(impossible)?;
    machine.console.line(&format!(
        "server: asking {} who this machine is",
        plain(&args.server)
    ));
    let answer: ClaimResponse = channel.post("claim", &request).await.map_err(CallError::exit)?;
    if let Some(set) = &machine.server_time {
        set(answer.server_time);
    }
    machine
        .console
        .line(&format!("server: this is machine {}", answer.machine));
    if let Some(page) = &answer.page_url {
        machine.console.line(&format!("server: see {}", plain(page)));
    }
    Ok(Identity {
        machine: answer.machine,
        server: args.server.clone(),
        boot_url: args.boot_url.clone(),
        key_pem: key.key_pem,
        cert_pem: answer.certificate_pem,
        ca_pem: ca_pem.to_owned(),
    })
}

/// Collects a report and sends it until the server has it.
async fn send_report(machine: &Machine, channel: &Channel) -> Result<(), Exit> {
    let roots = machine.roots.clone();
    let console = &machine.console;
    let mut report = match tokio::task::spawn_blocking(move || report::collect(&roots)).await {
        Ok(report) => report,
        Err(e) => return Err(impossible(format!("the collectors did not end: {e}"))),
    };
    // Only the boot arguments tell which NIC booted; the plan's default network hangs on it.
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
        nonce: identity::nonce().map_err(impossible)?,
        runs_on: match machine.duty {
            Duty::MiniOs { .. } => RunsOn::MiniOs,
            Duty::Installed { .. } => RunsOn::Installed,
        },
        report: Box::new(report),
    };
    match channel.post::<_, ReportResponse>("report", &request).await {
        Ok(answer) => {
            console.line(&format!("report: {}", plain(&answer.message)));
            // The installed system's console is its users'.
            if matches!(machine.duty, Duty::MiniOs { .. }) {
                let named: Vec<&str> = [&system.manufacturer, &system.product]
                    .into_iter()
                    .filter_map(|n| n.as_deref())
                    .collect();
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
        // The server does not want this report. The assignment will say what it wants instead.
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
