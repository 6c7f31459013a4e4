//! One demo, from the empty network to the proven system.

use std::fs::{File, TryLockError};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use e2e::accelerator::accelerator;
use e2e::lab::SERVER;
use e2e::scenario::{PASSWORD, profile};
use e2e::{Api, Firmware, Lab, Server, ServerSpec, Vm, VmSpec, artefacts};
use inventory_api::UnixMs;
use inventory_api::check::{DiskProfile, HardwareProfile, MemoryProfile, NicProfile, SystemProfile};
use inventory_api::deploy::DeployRequest;
use inventory_api::machine::MachineDetail;

use crate::forward::Door;
use crate::screen::{Screen, bytes};
use crate::stages::{Stages, plain};

/// How often the server and the console are polled.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// From power-on to Deployed, in emulation on a slow and busy machine.
const AT_MOST: Duration = Duration::from_secs(1800);
/// How long the service may be silent.
const SILENT_AT_MOST: Duration = Duration::from_secs(30);
/// Port of API and page on the host, if it is free.
const PAGE_PORT: u16 = 8443;
/// Port on the host that leads to the installed system's SSH.
const SSH_PORT: u16 = 2222;

static DEPLOYED: AtomicBool = AtomicBool::new(false);

/// True once the machine has been Deployed.
pub fn deployed() -> bool {
    DEPLOYED.load(Ordering::Relaxed)
}

/// Runs it; true if the machine reached Deployed. Unless `once`, it then continues until it is dropped.
pub async fn run(firmware: Firmware, once: bool) -> Result<bool> {
    let home = artefacts::state().join("demo");
    let _alone = alone(&home)?;
    let mini_os = artefacts::built("mini-os/small", "mini-os")?;
    let images = artefacts::built("images", "image")?;
    let data = home.join("server");
    // A machine that Slipway has never seen: no store of an earlier run.
    if data.exists() {
        std::fs::remove_dir_all(&data).with_context(|| format!("removing {}", data.display()))?;
    }

    // Sockets stay in the network in which they were made: these are on the host.
    let (page, ssh) = (Door::open(PAGE_PORT)?, Door::open(SSH_PORT)?);
    let (page_port, ssh_port) = (page.port()?, ssh.port()?);
    let lab = Lab::enter().context("making the isolated network: are you root?")?;
    let mut screen = Screen::new();
    screen.print("Slipway demo: a server with an empty disk is powered on, and nobody touches it.\n");

    let spec = VmSpec {
        dimms: 2,
        ..VmSpec::new("demo", firmware)
    };
    let server = Server::start(ServerSpec {
        directory: data.clone(),
        mini_os,
        images,
        // Only an expected machine is installed automatically: the rule names its serial number.
        profile: Some((spec.system_serial(), wanted(&spec))),
        network: ServerSpec::SERVER_MODE.to_owned(),
        more: String::new(),
    })
    .await?;
    page.lead_to(SocketAddr::from((SERVER, 8443)))?;
    let sign_in = format!(
        "Page:     https://127.0.0.1:{page_port}/  (its certificate is from Slipway's own CA: {})\n\
         Sign in:  {}\n\
         Service:  log in {}",
        server.ca_file().display(),
        server.token(),
        server.log_path().display()
    );
    screen.print(&format!("{sign_in}\n"));

    let vm = Vm::new(spec, lab.tap()?)?;
    let api = server.api()?;
    let mut demo = Demo {
        began: Instant::now(),
        began_at: now(),
        last_stage: "power on",
        heard: Instant::now(),
        stages: Stages::default(),
        screen,
        api,
        vm,
    };
    let outcome = demo.watch(firmware).await;
    match outcome {
        Ok(detail) => {
            DEPLOYED.store(true, Ordering::Relaxed);
            let seconds = demo.seconds(detail.machine.status.since);
            demo.screen
                .line(seconds, "deployed", &detail.machine.status.sentence);
            if once {
                return Ok(true);
            }
            let mut text = format!("\n{sign_in}");
            if let Some(ip) = detail.machine.ip {
                ssh.lead_to(SocketAddr::from((ip, 22)))?;
                text.push_str(&format!(
                    "\nMachine:  ssh -p {ssh_port} alice@127.0.0.1  (password: {PASSWORD})"
                ));
            }
            text.push_str(&what_to_try(&server, page_port, &detail)?);
            demo.screen.print(&text);
        }
        Err(error) => {
            demo.failed(&error, &server);
            if once {
                return Ok(false);
            }
            demo.screen
                .print(&format!("\n{sign_in}\nService and machine run on until Ctrl-C."));
        }
    }
    // Until the signal drops this future, and with it machine, service and network, in this order.
    std::future::pending::<()>().await;
    Ok(deployed())
}

fn what_to_try(server: &Server, page_port: u16, detail: &MachineDetail) -> Result<String> {
    let (id, slipway) = (&detail.machine.id, artefacts::program("slipway")?);
    let slipway = slipway.display();
    let mac = detail.machine.macs.first().map(ToString::to_string);
    Ok(format!(
        "\n\nBoth run until Ctrl-C. Try next, in another terminal:\n\
         \x20 export SLIPWAY_URL=https://127.0.0.1:{page_port} SLIPWAY_CA={} SLIPWAY_TOKEN={}\n\
         \x20 {slipway} machine show {id}        # hardware, verdict, state\n\
         \x20 {slipway} explain {}   # how it booted, step by step\n\
         \x20 {slipway} machine release {id}     # wipes its disk; it is ready again\n\
         \x20 or the page above: Machines, {id}, its tabs Hardware, Plan, History and Network",
        server.ca_file().display(),
        server.token(),
        mac.unwrap_or_default()
    ))
}

/// The lock that lets only one demo run.
fn alone(home: &Path) -> Result<File> {
    std::fs::create_dir_all(home).with_context(|| format!("making {}", home.display()))?;
    let path = home.join("lock");
    let lock = File::create(&path).with_context(|| format!("opening {}", path.display()))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            bail!(
                "another demo runs ({} is locked): end it with Ctrl-C",
                path.display()
            )
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("locking {}", path.display())),
    }
}

/// What the machine is to become, and what hardware it must have before a disk is touched.
fn wanted(spec: &VmSpec) -> DeployRequest {
    DeployRequest {
        expected: Some(HardwareProfile {
            system: SystemProfile {
                maker: Some("Slipway".to_owned()),
                model: Some("Virtual Server".to_owned()),
                sku: None,
            },
            memory: MemoryProfile {
                total: Some(u64::from(spec.memory_mib) << 20),
                modules: Some(spec.dimms),
                ..MemoryProfile::default()
            },
            disks: vec![DiskProfile {
                min_size: Some(spec.disk_bytes),
                ..DiskProfile::default()
            }],
            nics: vec![NicProfile::default()],
            ..HardwareProfile::default()
        }),
        ..profile(artefacts::RECIPE)
    }
}

fn now() -> UnixMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMs(since.as_millis() as i64)
}

struct Demo {
    vm: Vm,
    api: Api,
    screen: Screen,
    stages: Stages,
    began: Instant,
    began_at: UnixMs,
    last_stage: &'static str,
    heard: Instant,
}

impl Demo {
    fn seconds(&self, at: UnixMs) -> f64 {
        at.since(self.began_at) as f64 / 1e3
    }

    /// Powers it on and prints what happens until it is Deployed.
    async fn watch(&mut self, firmware: Firmware) -> Result<MachineDetail> {
        let spec = self.vm.spec().clone();
        // The probe takes seconds, so it runs before the clock starts.
        let speed = match accelerator() {
            "kvm" => "KVM",
            _ => "software emulation, KVM does not work here",
        };
        let name = match firmware {
            Firmware::Bios => "SeaBIOS",
            _ => "OVMF (UEFI)",
        };
        self.vm.power_on()?;
        (self.began, self.began_at, self.heard) = (Instant::now(), now(), Instant::now());
        let text = format!(
            "{name}, {speed}\n{} MiB memory in {} modules, empty disk of {}, MAC {}, serial {}",
            spec.memory_mib,
            spec.dimms,
            bytes(spec.disk_bytes),
            spec.mac,
            spec.system_serial()
        );
        self.screen.line(0.0, "power on", &text);
        loop {
            if let Some(detail) = self.look(&spec.mac).await? {
                return Ok(detail);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Prints what is new; returns the machine once it is Deployed.
    async fn look(&mut self, mac: &str) -> Result<Option<MachineDetail>> {
        if !self.vm.is_on()? {
            bail!("QEMU has ended: {}", self.vm.qemu_log().trim());
        }
        let mut news = Vec::new();
        match self.api.journey(mac).await {
            Ok(journey) => {
                self.heard = Instant::now();
                news.extend(self.stages.packets(&journey.events));
            }
            Err(error) if self.heard.elapsed() > SILENT_AT_MOST => {
                return Err(error.context("the service does not answer"));
            }
            Err(_) => {}
        }
        // After the packets, which say whose kernel it is.
        news.extend(self.stages.console(&self.vm.console(), now()));
        // The machine is unknown before its first request for a boot target. History first: the machine is
        // then at least as new.
        let mut known = None;
        if let Ok(history) = self.api.history(mac).await
            && let Ok(detail) = self.api.machine(mac).await
        {
            news.extend(self.stages.history(&history, &detail));
            known = Some(detail);
        }
        news.sort_by_key(|n| n.at);
        for entry in news {
            if entry.stage != "console" {
                self.last_stage = entry.stage;
            }
            self.screen.line(self.seconds(entry.at), entry.stage, &entry.text);
        }
        let elapsed = self.began.elapsed();
        let Some(detail) = known else {
            self.screen.now(
                elapsed.as_secs_f64(),
                "the firmware starts and looks for a network to boot from",
            );
            return self.in_time(None);
        };
        let status = &detail.machine.status;
        match status.state.as_str() {
            "deployed" => return Ok(Some(detail)),
            "failed" | "quarantined" | "ready" | "retired" => bail!("{}", status.sentence),
            _ => {}
        }
        match &status.step {
            Some(step) if step.total_bytes > 0 => {
                let what = step.name.clone();
                self.screen
                    .progress(elapsed.as_secs_f64(), &what, step.done_bytes, step.total_bytes);
            }
            _ => self.screen.now(elapsed.as_secs_f64(), &status.sentence),
        }
        self.in_time(Some(&detail))
    }

    fn in_time(&self, detail: Option<&MachineDetail>) -> Result<Option<MachineDetail>> {
        if self.began.elapsed() < AT_MOST {
            return Ok(None);
        }
        let minutes = AT_MOST.as_secs() / 60;
        match detail {
            Some(detail) => bail!(
                "not deployed after {minutes} minutes: {}",
                detail.machine.status.sentence
            ),
            None => bail!("nothing was heard from the machine for {minutes} minutes"),
        }
    }

    /// The current stage, the server's sentence, the console's last lines.
    fn failed(&mut self, error: &anyhow::Error, server: &Server) {
        let seconds = self.began.elapsed().as_secs_f64();
        self.screen.line(
            seconds,
            "failed",
            &format!("after stage \"{}\": {error:#}", self.last_stage),
        );
        let tail = |text: &str, lines: usize| {
            let all: Vec<String> = text.lines().map(plain).filter(|l| !l.trim().is_empty()).collect();
            all[all.len().saturating_sub(lines)..]
                .iter()
                .map(|l| format!("  | {l}\n"))
                .collect::<String>()
        };
        self.screen.print(&format!(
            "\nLast lines of the serial console:\n{}\nLast lines of the service's log:\n{}",
            tail(&self.vm.console(), 25),
            tail(&server.log(), 10)
        ));
    }
}
