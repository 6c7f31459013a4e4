//! PID 1 of the mini-os: mounts, drivers, network, clock, then the session with the server.
//!
//! It never returns: an error is shown on the consoles, and after a while the machine reboots and tries
//! again.

mod ask;
mod coldplug;
mod console;
mod modules;
mod network;
mod shell;
mod spcr;
mod system;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use inventory_api::UnixMs;
use inventory_api::boot::{self, BootArgs, Purpose};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::console::Console;
use crate::install::Site;
use crate::plain::plain;
use crate::report::{self, Roots};
use crate::session::{self, Duty, Exit, Machine, Origin, Pace, Rescue};
use coldplug::ColdPlug;
use console::Consoles;
use network::Interface;

#[cfg(fuzzing)]
pub use spcr::fuzz as fuzz_spcr;

/// Time for somebody to read the error before the machine reboots.
const BEFORE_RETRY: Duration = Duration::from_secs(120);
/// The same after a panic.
const AFTER_PANIC: Duration = Duration::from_secs(30);
/// The same after a rescue, where somebody is watching.
const AFTER_RESCUE: Duration = Duration::from_secs(5);
/// Rounds of cold-plug: a bus driver reveals new devices, which need further drivers.
const ROUNDS: usize = 4;
/// Longest wait for the boot NIC to appear.
const NIC_WAIT: Duration = Duration::from_secs(60);
/// Disk detection is complete when nothing new has appeared for this long.
const QUIET: Duration = Duration::from_millis(700);
/// Longest wait for disks to settle.
const SETTLE: Duration = Duration::from_secs(15);
/// Longest wait when there is no disk at all; some machines have none.
const NO_DISK: Duration = Duration::from_secs(5);
/// A smaller error of the clock is ignored.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);
/// The server's CA certificate, from the site archive.
const CA_FILE: &str = "/etc/slipway/ca.pem";

/// Runs the mini-os. Only for PID 1: it mounts, loads drivers and reboots.
pub fn run() -> ! {
    let mounts = system::mount_all();
    let consoles = Arc::new(Consoles::open());
    let console: Arc<dyn Console> = consoles.clone();
    reboot_on_panic(Arc::clone(&console));
    console.line(&format!(
        "Slipway mini-os, agent {}, kernel {}",
        env!("CARGO_PKG_VERSION"),
        system::kernel_release().unwrap_or_else(|e| e.to_string())
    ));
    for failure in mounts {
        console.line(&failure);
    }
    // Two workers, because one may be busy decompressing an image.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let (why, pause) = match runtime {
        Ok(runtime) => runtime.block_on(async {
            tokio::spawn(async { match system::reap_orphans().await {} });
            converse(&console).await
        }),
        Err(e) => (format!("FAILED: starting the runtime: {e}"), BEFORE_RETRY),
    };
    finish(console.as_ref(), &why, pause)
}

/// Shows the reason, waits, reboots; retries if the kernel refuses.
fn finish(console: &dyn Console, why: &str, pause: Duration) -> ! {
    console.line(&plain(why));
    if !pause.is_zero() {
        console.line(&format!(
            "next: this machine reboots in {} s and tries again",
            pause.as_secs()
        ));
        std::thread::sleep(pause);
    }
    console.line("rebooting");
    // The kernel's reset discards what a slow serial port has not sent yet.
    console.drain();
    loop {
        console.line(&system::reboot());
        std::thread::sleep(BEFORE_RETRY);
    }
}

/// A panic anywhere ends the mini-os and is shown on the consoles.
fn reboot_on_panic(console: Arc<dyn Console>) {
    std::panic::set_hook(Box::new(move |panic| {
        // Collectors run in their own threads and may panic alone.
        let collector = std::thread::current()
            .name()
            .is_some_and(|n| n.starts_with("report-"));
        console.line(&plain(&format!("FAILED: internal error of the agent: {panic}")));
        if !(collector && cfg!(panic = "unwind")) {
            finish(console.as_ref(), "the mini-os cannot go on", AFTER_PANIC)
        }
    }));
}

/// Everything from drivers to the end of the session; returns why it ended and how long to wait before the
/// reboot.
async fn converse(console: &Arc<dyn Console>) -> (String, Duration) {
    match prepare(console).await {
        Err(why) => (format!("FAILED: {why}"), BEFORE_RETRY),
        Ok(Machine {
            origin: Origin::Ticket { args, ca_pem },
            ..
        }) if args.purpose == Purpose::Rescue => {
            match Rescue::open_channel(args, &ca_pem, Arc::clone(console)) {
                Ok(rescue) => (shell::offer(rescue, console).await, AFTER_RESCUE),
                Err(exit) => (exit.to_string(), BEFORE_RETRY),
            }
        }
        Ok(machine) => {
            let exit = session::run(machine).await;
            let pause = match &exit {
                Exit::Reboot { .. } => Duration::ZERO,
                Exit::Refused { .. } | Exit::Impossible { .. } | Exit::Cancelled => BEFORE_RETRY,
            };
            (exit.to_string(), pause)
        }
    }
}

/// Drivers, network, clock: everything the session needs.
async fn prepare(console: &Arc<dyn Console>) -> Result<Machine, String> {
    let line = fs::read_to_string("/proc/cmdline").map_err(|e| format!("/proc/cmdline: {e}"))?;
    let ca_pem = fs::read_to_string(CA_FILE)
        .map_err(|e| format!("{CA_FILE}: {e}; the boot script must load the site archive too"))?;
    let urls = boot::ask_urls(&line);
    let (args, disks) = if urls.is_empty() {
        let args = BootArgs::parse(&line).map_err(|e| e.to_string())?;
        told(&args, console);
        let mut drivers = cold_plug(console).await?;
        let interface = boot_nic(&args, &mut drivers, console).await?;
        listen(&interface, console).await;
        let settling = settle(drivers, Arc::clone(console));
        let boot = interface.clone();
        let (network, disks) = tokio::join!(network::bring_up(interface, Arc::clone(console)), settling);
        network?;
        // Devices whose drivers were loaded later.
        free_lldp(console);
        network::link_up_others(&boot).await;
        (args, disks)
    } else {
        let mut drivers = cold_plug(console).await?;
        let (args, interface) = ask::ask(&urls, &ca_pem, &mut drivers, console).await?;
        told(&args, console);
        listen(&interface, console).await;
        (args, settle(drivers, Arc::clone(console)).await)
    };
    console.line(&format!("disks: {disks}"));
    let roots = Roots::live();
    let look = roots.clone();
    let clock = Arc::clone(console);
    let purpose = args.purpose;
    Ok(Machine {
        origin: Origin::Ticket { args, ca_pem },
        roots,
        duty: Duty::MiniOs {
            site: Site::machine(move || report::disks(&look)),
        },
        console: Arc::clone(console),
        server_time: Some(Arc::new(move |time| set_clock(time, purpose, clock.as_ref()))),
        pace: Pace::default(),
        cancel: CancellationToken::new(),
    })
}

/// Shows what the machine is booted for, and sets the clock.
fn told(args: &BootArgs, console: &Arc<dyn Console>) {
    let BootArgs {
        purpose, mac, server, ..
    } = args;
    console.line(&format!("booted to {purpose} for {mac} by {}", plain(server)));
    set_clock(args.time, args.purpose, console.as_ref());
}

/// Sets the system clock and the RTC. The RTC may belong to another operating system and show local time:
/// unless that system is about to be replaced, it is set only if no time zone explains the difference.
fn set_clock(right: UnixMs, purpose: Purpose, console: &dyn Console) {
    let own = match purpose {
        Purpose::Deploy => CLOCK_TOLERANCE,
        Purpose::Commission | Purpose::Standby | Purpose::Release | Purpose::Rescue => clock::LOST,
    };
    clock::set_both(right, CLOCK_TOLERANCE, own, console);
}

/// Switches announce themselves twice a minute: the sooner the agent listens, the more the first report
/// knows.
async fn listen(boot: &Interface, console: &Arc<dyn Console>) {
    free_lldp(console);
    network::link_up_others(boot).await;
    if let Err(why) = report::listen_lldp() {
        console.line(&plain(&why));
    }
}

/// Some cards handle LLDP in their own firmware: make them leave it to the host.
fn free_lldp(console: &Arc<dyn Console>) {
    for interface in network::interfaces().unwrap_or_default() {
        if let Some(said) = report::lldp_to_host(&interface.name) {
            console.line(&format!("network: {}", plain(&said)));
        }
    }
}

/// Loads drivers for all devices present at the start.
async fn cold_plug(console: &Arc<dyn Console>) -> Result<ColdPlug, String> {
    let console = Arc::clone(console);
    blocking(move || {
        let started = Instant::now();
        let release = system::kernel_release().map_err(|e| format!("the kernel's release: {e}"))?;
        let mut drivers = ColdPlug::open(&release).map_err(|e| {
            format!("/lib/modules/{release}/modules.dep: {e}; the initramfs does not match the kernel")
        })?;
        for name in coldplug::ALWAYS {
            drivers.load(name, console.as_ref());
        }
        for _ in 0..ROUNDS {
            if !drivers.round(console.as_ref()) {
                break;
            }
        }
        if let Err(why) = system::mount_efivarfs() {
            console.line(&why);
        }
        console.line(&format!(
            "drivers: {} of {} modules loaded in {:.1} s",
            drivers.count(),
            drivers.known(),
            started.elapsed().as_secs_f64()
        ));
        Ok(drivers)
    })
    .await?
}

/// The NIC that booted; waits for one that is slow to appear.
async fn boot_nic(
    args: &BootArgs,
    drivers: &mut ColdPlug,
    console: &Arc<dyn Console>,
) -> Result<Interface, String> {
    let started = Instant::now();
    let mut said = false;
    loop {
        let here = network::interfaces().map_err(|e| format!("/sys/class/net: {e}"))?;
        if let Some(found) = here.iter().find(|i| i.mac == args.mac) {
            return Ok(found.clone());
        }
        let names: Vec<String> = here.iter().map(|i| format!("{} {}", i.name, i.mac)).collect();
        let names = listed(names, "none");
        if started.elapsed() > NIC_WAIT {
            return Err(format!(
                "the NIC {} that booted has no driver here; NICs found: {names}",
                args.mac
            ));
        }
        if !said && started.elapsed() > Duration::from_secs(2) {
            console.line(&format!(
                "network: waiting for the NIC {}; found so far: {names}",
                args.mac
            ));
            said = true;
        }
        drivers.round(console.as_ref());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Waits until no new device or disk has appeared for a while; returns a description.
async fn settle(mut drivers: ColdPlug, console: Arc<dyn Console>) -> String {
    let started = Instant::now();
    let mut disks = block_devices();
    let mut since = Instant::now();
    loop {
        let say = Arc::clone(&console);
        let turn = blocking(move || {
            let new = drivers.round(say.as_ref());
            (drivers, new)
        })
        .await;
        let new;
        (drivers, new) = match turn {
            Ok(turn) => turn,
            Err(why) => return why,
        };
        let now = block_devices();
        if new || now != disks {
            since = Instant::now();
            disks = now;
        }
        let quiet = since.elapsed() >= QUIET && (!disks.is_empty() || started.elapsed() >= NO_DISK);
        if quiet || started.elapsed() >= SETTLE {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    listed(disks.into_iter().collect(), "none found")
}

fn listed(names: Vec<String>, none: &str) -> String {
    if names.is_empty() {
        none.to_owned()
    } else {
        names.join(", ")
    }
}

/// Names of block devices that have hardware behind them.
fn block_devices() -> BTreeSet<String> {
    let folder = Path::new("/sys/block");
    let mut names = report::names(folder);
    names.retain(|name| folder.join(name).join("device").exists());
    names.into_iter().collect()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| format!("a startup task failed: {e}"))
}

/// Whether this process is the mini-os: PID 1, started by the kernel as init.
pub fn is_pid_one() -> bool {
    std::process::id() == 1
}
