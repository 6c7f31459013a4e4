//! `make demo`: powers on a virtual server with an empty disk in an isolated network and prints each stage
//! until the installed system is proven. `FIRMWARE=bios|uefi`. `DEMO_ONCE=1` exits once the machine is
//! deployed, with status 0 only then; otherwise service and machine run until Ctrl-C.

mod forward;
mod run;
mod screen;
mod stages;

use std::process::ExitCode;

use anyhow::{Context, Result};
use e2e::{Firmware, Level};
use tokio::signal::unix::{Signal, SignalKind, signal};

fn main() -> ExitCode {
    // Everything stays on this thread: it moves into the isolated network, and the kernel ends its children
    // with it.
    let done = runtime().and_then(|runtime| runtime.block_on(demo()));
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?)
}

async fn demo() -> Result<ExitCode> {
    let firmware = match std::env::var("FIRMWARE") {
        Ok(word) => word.parse()?,
        Err(_) => Firmware::Bios,
    };
    let once = std::env::var("DEMO_ONCE").is_ok_and(|v| !v.is_empty() && v != "0");
    if let Some(why) = Level::Qemu.obstacle() {
        anyhow::bail!("it cannot run here: {why}");
    }
    let mut stop = Stop::listen()?;
    let demo = run::run(firmware, once);
    tokio::select! {
        // Dropping the future ends machine, service and network.
        name = stop.heard() => {
            println!("\n{name}: the machine is powered off, the service stopped, the network gone.");
            // The status a shell would report, so that `make` stops too; after the deployment a signal is the
            // normal end.
            Ok(ExitCode::from(if run::deployed() { 0 } else { 130 }))
        }
        done = demo => done.map(|ok| if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
    }
}

/// The signals that end the demo.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Stop {
    fn listen() -> Result<Stop> {
        let listen = |kind| signal(kind).context("listening for signals");
        Ok(Stop {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn heard(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "Ctrl-C",
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.hangup.recv() => "SIGHUP",
        }
    }
}
