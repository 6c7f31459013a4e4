//! `slipway machine` and `slipway deploy`.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use inventory_api::burn_in::BurnInRequest;
use inventory_api::machine::{Deployment, MachineDetail, MachineFilter, Verb};
use inventory_api::page::PageQuery;
use inventory_api::routes::{self, Older};
use inventory_api::task::{Fixed, Identify, TaskStatus};

use super::conflict::{self, ConflictArgs};
use super::{CliError, Remote, file, now, render};
use words::text::{self, tame};

/// `slipway machine`.
#[derive(Debug, Subcommand)]
pub enum MachineCommand {
    /// List the machines
    List {
        /// Only machines in this state (new, commissioning, ready, deploying, deployed, failed, ...)
        #[arg(long)]
        state: Option<String>,
    },
    /// Show one machine: state, verdict, hardware, plan, verification
    Show(Which),
    /// Show the history of a machine: the newest 200 rows
    History {
        #[command(flatten)]
        which: Which,
        /// Show the rows before this one
        #[arg(long, value_name = "ROW")]
        before: Option<i64>,
    },
    /// Check the hardware against its hardware profile and rack place
    Commission(Which),
    /// Install a machine: make a plan, show it, then start
    Deploy(DeployArgs),
    /// Wipe what a deployment wrote and make the machine ready again
    Release(Confirmed),
    /// Take a machine out of service for good
    Retire(Confirmed),
    /// Retry what failed
    Retry(Which),
    /// Abort what is in progress
    Abort(Which),
    /// Let a machine boot whose boot script is held because no DHCP request of its firmware was heard
    Admit(Which),
    /// Delete everything stored about a machine that is retired or whose agent was never heard
    Forget(Confirmed),
    /// Compare two machines that claim one identity, and decide which it is
    Conflict(ConflictArgs),
    /// Ask the agent for a new report and check it; a deployed machine is not disturbed
    Recheck(Which),
    /// Switch on the locate LED
    Identify {
        #[command(flatten)]
        which: Which,
        /// Seconds to keep it on, at most 255; 0 switches it off
        #[arg(long, default_value_t = 60)]
        seconds: u8,
    },
    /// Load CPU, memory and disks (read only) of a machine in the mini-os and watch its health
    BurnIn(BurnInArgs),
    /// Note that a fault is repaired, then check again
    Fixed {
        #[command(flatten)]
        which: Which,
        /// What was done
        text: String,
    },
}

/// `slipway machine burn-in`.
#[derive(Debug, Args)]
pub struct BurnInArgs {
    #[command(flatten)]
    which: Which,
    /// Seconds of full load on all CPUs; 0 skips this part
    #[arg(long, default_value_t = 300)]
    cpu: u32,
    /// Seconds of writing and reading memory, at least one pass; 0 skips this part
    #[arg(long, default_value_t = 300)]
    memory: u32,
    /// Seconds of reading each disk, all at once; 0 skips this part
    #[arg(long, default_value_t = 120)]
    disk: u32,
    /// Fail above this temperature, degrees Celsius
    #[arg(long, value_name = "C")]
    max_temperature: Option<f64>,
    /// Fail if a disk reads more slowly than this, MB/s
    #[arg(long, value_name = "MB/S")]
    min_disk_speed: Option<f64>,
}

/// One machine.
#[derive(Debug, Args)]
pub struct Which {
    /// Id, MAC, serial number or asset tag
    pub(super) machine: String,
}

/// One machine, for commands that lose data and ask first.
#[derive(Debug, Args)]
pub struct Confirmed {
    #[command(flatten)]
    which: Which,
    /// Do not ask for confirmation, although data may be lost
    #[arg(long)]
    yes: bool,
}

/// The machine and either a profile or a request.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["profile", "request"]))]
pub struct DeployArgs {
    #[command(flatten)]
    which: Which,
    /// Name of a deployment profile in the server's configuration
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// A deploy request as TOML or JSON
    #[arg(long, value_name = "FILE.toml")]
    request: Option<PathBuf>,
    /// Show the plan and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Do not ask before the disk is erased
    #[arg(long)]
    pub(super) yes: bool,
}

/// Rows of `slipway machine history`.
const HISTORY: u32 = 200;

pub(crate) async fn run(command: MachineCommand, remote: &Remote) -> Result<String, CliError> {
    let client = &remote.client;
    match command {
        MachineCommand::List { state } => {
            let filter = MachineFilter {
                state: state.map(|state| state.to_lowercase()),
                ..MachineFilter::default()
            };
            remote.answer(&client.machines(&filter).await?, |m| render::machines(m, now()))
        }
        MachineCommand::Show(Which { machine }) => {
            remote.answer(&client.machine(&machine).await?, |d| render::machine(d, now()))
        }
        MachineCommand::History { which, before } => {
            let newest = PageQuery {
                limit: Some(HISTORY),
                page_token: None,
            };
            let keys = [which.machine.as_str()];
            let page = client
                .page_of(&routes::HISTORY, keys, &Older { before }, &newest)
                .await?;
            remote.answer(&page.items, |rows| render::history(rows))
        }
        MachineCommand::Deploy(args) => deploy(args, remote).await,
        MachineCommand::Commission(which) => verb(&which, Verb::Commission, remote).await,
        MachineCommand::Retry(which) => verb(&which, Verb::Retry, remote).await,
        MachineCommand::Abort(which) => verb(&which, Verb::Abort, remote).await,
        MachineCommand::Admit(which) => verb(&which, Verb::Admit, remote).await,
        MachineCommand::Forget(asked) => confirmed(&asked, Verb::Forget, remote).await,
        MachineCommand::Release(asked) => confirmed(&asked, Verb::Release, remote).await,
        MachineCommand::Retire(asked) => confirmed(&asked, Verb::Retire, remote).await,
        MachineCommand::Conflict(args) => conflict::run(args, remote).await,
        MachineCommand::Recheck(Which { machine }) => {
            let task = client.ask(routes::RECHECK, [&machine]).await?;
            remote.answer(&task, |task| asked(&machine, task.as_ref()))
        }
        MachineCommand::Identify { which, seconds } => {
            let body = Identify { seconds };
            let task = client.send(routes::IDENTIFY, [&which.machine], &body).await?;
            remote.answer(&task, |task| asked(&which.machine, Some(task)))
        }
        MachineCommand::BurnIn(args) => {
            let machine = &args.which.machine;
            let task = client.send(routes::BURN_IN, [machine], &request(&args)).await?;
            remote.answer(&task, |task| asked(machine, Some(task)))
        }
        MachineCommand::Fixed { which, text } => {
            let task = client
                .send(routes::FIXED, [&which.machine], &Fixed { text })
                .await?;
            remote.answer(&task, |task| asked(&which.machine, task.as_ref()))
        }
    }
}

/// Shows the plan and asks for confirmation, unless `--yes` is given.
pub(crate) async fn deploy(args: DeployArgs, remote: &Remote) -> Result<String, CliError> {
    let deployment = args.deployment()?;
    let machine = &args.which.machine;
    if args.dry_run || !args.yes {
        let planned = remote.client.deploy(machine, &deployment, true).await?;
        if args.dry_run {
            return remote.answer(&planned, render::deploy);
        }
        // Standard output is kept for the answer.
        eprint!("{}", render::deploy(&planned));
        confirm("The disk is erased.")?;
    }
    let done = remote.client.deploy(machine, &deployment, false).await?;
    remote.answer(&done, render::deploy)
}

impl DeployArgs {
    /// What to deploy; reads the request file.
    pub(crate) fn deployment(&self) -> Result<Deployment, CliError> {
        Ok(match &self.request {
            Some(path) => Deployment::Request(file::settings("request", path)?),
            None => Deployment::Profile {
                profile: self.profile.clone().unwrap_or_default(),
            },
        })
    }
}

fn request(args: &BurnInArgs) -> BurnInRequest {
    BurnInRequest {
        cpu_seconds: args.cpu,
        memory_seconds: args.memory,
        disk_seconds: args.disk,
        max_temperature_c: args.max_temperature,
        min_disk_mb_per_s: args.min_disk_speed,
        ..BurnInRequest::default()
    }
}

async fn verb(Which { machine }: &Which, verb: Verb, remote: &Remote) -> Result<String, CliError> {
    let done = remote.client.verb(machine, verb).await?;
    remote.answer(&done, |done| render::verb(machine, done))
}

fn asked(machine: &str, task: Option<&TaskStatus>) -> String {
    let machine = tame(machine, 128);
    match task {
        Some(task) => format!(
            "{machine}: asked for {} (task {}); `slipway machine show {machine}` shows the result\n",
            task.task.name(),
            task.id
        ),
        None => format!("{machine}: checked again; `slipway machine show {machine}` shows the verdict\n"),
    }
}

/// A verb that loses data. Asks for confirmation, naming what is lost, unless `--yes` is given.
async fn confirmed(asked: &Confirmed, lossy: Verb, remote: &Remote) -> Result<String, CliError> {
    if !asked.yes {
        confirm(&loss(lossy, &remote.client.machine(&asked.which.machine).await?))?;
    }
    verb(&asked.which, lossy, remote).await
}

fn loss(verb: Verb, detail: &MachineDetail) -> String {
    let name = render::name(&detail.machine);
    match (verb, &detail.plan) {
        (Verb::Forget, _) => format!("Forget {name}: its reports, checks, plans and history are deleted."),
        (Verb::Retire, _) => {
            format!("Retire {name}: Slipway no longer answers it. Its disks are not touched.")
        }
        (_, None) => format!("Release {name}: what Slipway wrote to its disks is erased."),
        (_, Some(plan)) => {
            let disk = text::plan::disk(&plan.disk);
            format!("Release {name}: everything on {disk} is erased.")
        }
    }
}

/// Asks on the terminal; without a terminal the answer is no.
fn confirm(what: &str) -> Result<(), CliError> {
    if !std::io::stdin().is_terminal() {
        return Err(CliError::usage(format!(
            "{what}\n  Nothing was done: give --yes to go on without being asked."
        )));
    }
    eprint!("{what} Go on? Type yes: ");
    let _ = std::io::stderr().flush();
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    match read.is_ok() && line.trim() == "yes" {
        true => Ok(()),
        false => Err(CliError::failed("nothing was done")),
    }
}
