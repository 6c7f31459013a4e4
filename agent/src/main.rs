//! `slipway-agent`: the mini-os when it runs as PID 1, otherwise a command-line tool.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use agent::console::Stdout;
use agent::proof::FirstBoot;
use agent::report::{self, Roots, SelfTest};
use agent::resident::{self, Resident};
use agent::session::{Exit, Pace};
use anyhow::Context;
use clap::{Parser, Subcommand};
use tokio_util::sync::CancellationToken;

// musl's own allocator made the same work 2.5 to 3.4 times slower.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The agent on a machine that Slipway provisions.
#[derive(Parser)]
#[command(name = "slipway-agent", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run on the installed system: verify it, report, and do what the server asks.
    Resident {
        /// Root of the installed system.
        #[arg(long, default_value = "/")]
        root: PathBuf,
    },
    /// Show this machine's hardware. Runs on any Linux; some facts need root.
    Report {
        /// Print JSON, as sent to the server.
        #[arg(long)]
        json: bool,
        /// Read a captured machine from this folder instead of the live one.
        #[arg(long)]
        root: Option<PathBuf>,
        /// Seconds to wait for LLDP frames; switches send one every 30 s.
        #[arg(long, value_name = "SECONDS", default_value_t = 2)]
        lldp_wait: u64,
    },
    /// Start a disk's built-in self-test; the disk stays usable, and the report shows the result.
    DiskSelfTest {
        /// Kernel name of the disk, e.g. sda or nvme0n1.
        disk: String,
        /// Read the whole medium: hours instead of minutes.
        #[arg(long, conflicts_with = "abort")]
        extended: bool,
        /// Abort the running test.
        #[arg(long)]
        abort: bool,
    },
    /// Switch this machine's locate LED on or off, through its BMC.
    Identify {
        /// How long to keep it on; 0 switches it off, more than 255 means until switched off.
        #[arg(long, default_value_t = 240)]
        seconds: u32,
    },
    /// Show the version.
    Version,
}

fn main() -> ExitCode {
    // The kernel passes its own arguments to PID 1; clap must not see them.
    let named_init = std::env::args_os().next().is_some_and(|name| name == "/init");
    if agent::init::is_pid_one() {
        agent::init::run()
    }
    if named_init {
        eprintln!("/init is PID 1 of the mini-os and would take over this machine. Run it as slipway-agent.");
        return ExitCode::FAILURE;
    }
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("slipway-agent: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Resident { root } => resident(root),
        Command::Report {
            json,
            root,
            lldp_wait,
        } => {
            let roots = root.map_or_else(Roots::live, Roots::under);
            let report = report::collect_with(&roots, Duration::from_secs(lldp_wait.min(600)));
            let text = if json {
                let mut text = serde_json::to_string_pretty(&report)?;
                text.push('\n');
                text
            } else {
                report::render_text(&report)
            };
            std::io::stdout()
                .write_all(text.as_bytes())
                .context("writing the report")
        }
        Command::DiskSelfTest {
            disk,
            extended,
            abort,
        } => {
            let test = match (extended, abort) {
                (_, true) => SelfTest::Abort,
                (true, false) => SelfTest::Extended,
                (false, false) => SelfTest::Short,
            };
            report::disk_self_test(&Roots::live(), &disk, test)?;
            println!(
                "{disk}: {}",
                if abort {
                    "self-test aborted"
                } else {
                    "self-test started"
                }
            );
            Ok(())
        }
        Command::Identify { seconds } => {
            report::bmc::identify(&Roots::live(), seconds)?;
            println!("locate LED {}", if seconds == 0 { "off" } else { "on" });
            Ok(())
        }
        Command::Version => {
            println!("slipway-agent {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
    }
}

fn resident(root: PathBuf) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let exit = runtime.block_on(async {
        let cancel = CancellationToken::new();
        let mut stop = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
            .context("listening for SIGTERM")?;
        let on_stop = cancel.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = stop.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            on_stop.cancel();
        });
        let live = root == std::path::Path::new("/");
        let resident = Resident {
            roots: if live { Roots::live() } else { Roots::under(&root) },
            root,
            first_boot: FirstBoot::default(),
            console: Arc::new(Stdout),
            pace: Pace::default(),
            cancel,
        };
        anyhow::Ok(resident::run(resident).await?)
    })?;
    println!("{exit}");
    if let Exit::Reboot { .. } = exit {
        let status = std::process::Command::new("systemctl")
            .arg("reboot")
            .status()
            .context("systemctl reboot")?;
        anyhow::ensure!(status.success(), "systemctl reboot: {status}");
    }
    Ok(())
}
