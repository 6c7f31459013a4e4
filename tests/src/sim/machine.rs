//! One simulated machine: power, firmware, iPXE, mini-os, installed system.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agent::install::{Patience, Site};
use agent::proof::FirstBoot;
use agent::report::{Roots, collect};
use agent::resident::Resident;
use agent::session::{Duty, Exit, Origin, Pace};
use anyhow::{Result, bail};
use inventory_api::Mac;
use inventory_api::boot::BootArgs;
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::captured::Captured;
use super::dhcp::{self, Asker};
use super::ipxe::{Script, certificate_in, client, fetch};
use super::tftp;
use super::tree::image_tree;
use crate::wait;

/// The addresses of the boot service.
#[derive(Clone, Copy, Debug)]
pub struct BootService {
    pub dhcp: SocketAddr,
    pub tftp: SocketAddr,
    pub http: SocketAddr,
}

/// The machine's console output, with a hook that sees each line as it is printed.
#[derive(Default)]
pub struct Console {
    lines: Mutex<Vec<String>>,
    more: Notify,
}

impl Console {
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a line with `text`, starting at line number `from`; returns the number of the next line.
    pub async fn wait(&self, text: &str, from: usize) -> usize {
        loop {
            let more = self.more.notified();
            tokio::pin!(more);
            // Registered before looking, so that a line printed in between is not missed.
            more.as_mut().enable();
            let found = self.lines().iter().skip(from).position(|l| l.contains(text));
            if let Some(at) = found {
                return from + at + 1;
            }
            more.await;
        }
    }
}

impl agent::console::Console for Console {
    fn line(&self, text: &str) {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(text.to_owned());
        self.more.notify_waiters();
    }
}

/// A machine with everything that survives a power cut: its disk and its hardware.
#[derive(Clone)]
pub struct Machine {
    /// The NIC it boots from.
    pub mac: Mac,
    pub serial: String,
    pub disk_serial: String,
    pub asker: Asker,
    /// What its hardware reports.
    pub captured: Captured,
    /// Its console output over all boots.
    pub console: Arc<Console>,
    /// How long its agent waits for the image.
    pub patience: Patience,
    dir: PathBuf,
}

/// How one power-on ended.
#[derive(Debug)]
pub enum Booted {
    /// The mini-os ran and exited like this.
    MiniOs(Exit),
    /// The installed system ran and exited like this.
    Installed(Exit),
    /// The boot script said local disk, and the disk is empty.
    NoSystem,
    /// The server did not serve this machine.
    Ignored,
}

/// What a network boot led to.
pub enum Netbooted {
    Disk,
    /// The server does not answer this machine.
    Nothing,
    MiniOs {
        args: Box<BootArgs>,
        /// The certificate from the site archive.
        ca_pem: String,
    },
}

/// What a test changes for one power-on.
#[derive(Clone, Default)]
pub struct PowerOn {
    /// The agent talks to this boot URL instead of the one in the boot arguments.
    pub boot_url: Option<String>,
}

impl Machine {
    /// Makes machine number `number` in `dir`, with an empty disk of `disk_bytes`.
    pub fn make(dir: &Path, number: u16, disk_bytes: u64) -> Result<Machine> {
        let [high, low] = number.to_be_bytes();
        let mac = Mac([0x02, 0x51, 0x4d, 0, high, low]);
        let (serial, disk_serial) = (format!("SIM-{number:04}"), format!("SIMDISK-{number:04}"));
        let dir = dir.join(&serial);
        std::fs::create_dir_all(&dir)?;
        let captured = Captured::make(&dir.join("hardware"), &serial, mac, &disk_serial, disk_bytes)?;
        std::fs::File::create(dir.join("disk.raw"))?.set_len(disk_bytes)?;
        let asker = if number.is_multiple_of(2) {
            Asker::Bios
        } else {
            Asker::Uefi
        };
        Ok(Machine {
            mac,
            serial,
            disk_serial,
            asker,
            captured,
            console: Arc::default(),
            patience: Patience::default(),
            dir,
        })
    }

    /// The file that is its disk.
    pub fn disk(&self) -> PathBuf {
        self.dir.join("disk.raw")
    }

    /// The directory that plays the mounted root of the installed system.
    pub fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    fn say(&self, text: impl AsRef<str>) {
        agent::console::Console::line(self.console.as_ref(), text.as_ref());
    }

    /// Powers it on until it reboots or its agent gives up. Dropping the future cuts the power.
    pub async fn power_on(&self, service: BootService, how: PowerOn) -> Result<Booted> {
        match self.netboot(service).await? {
            Netbooted::Disk => self.boot_disk().await,
            Netbooted::Nothing => Ok(Booted::Ignored),
            Netbooted::MiniOs { args, ca_pem } => self.mini_os(*args, ca_pem, how).await.map(Booted::MiniOs),
        }
    }

    /// What firmware and iPXE do until it is decided what to boot.
    pub async fn netboot(&self, service: BootService) -> Result<Netbooted> {
        self.say("firmware: power on");
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let xid = u32::from_be_bytes([self.mac.0[2], self.mac.0[3], self.mac.0[4], self.mac.0[5]]);
        let offer = dhcp::lease(&socket, service.dhcp, self.asker, self.mac, xid).await?;
        self.say(format!("firmware: address {}", offer.yiaddr));
        if offer.file.is_empty() {
            return Ok(Netbooted::Disk);
        }
        let loader = tftp::get(service.tftp, &offer.file).await?;
        self.say(format!(
            "firmware: loaded {} of {} bytes",
            offer.file,
            loader.len()
        ));
        let ipxe = dhcp::lease(&socket, service.dhcp, Asker::Ipxe, self.mac, xid ^ 0x1000_0000).await?;
        if ipxe.yiaddr != offer.yiaddr {
            bail!(
                "{}: {} for the firmware, {} for iPXE",
                self.mac,
                offer.yiaddr,
                ipxe.yiaddr
            );
        }
        let http = client()?;
        let response = http.get(&ipxe.file).send().await?;
        if response.status() == reqwest::StatusCode::NOT_FOUND {
            self.say("ipxe: no script for this machine");
            return Ok(Netbooted::Nothing);
        }
        let script = response.error_for_status()?.text().await?;
        self.say(format!("ipxe: script {}", ipxe.file));
        match Script::parse(&script, &ipxe.file)? {
            Script::Local => {
                self.say("ipxe: local disk");
                Ok(Netbooted::Disk)
            }
            Script::Kernel { arguments, files } => {
                let mut site = Vec::new();
                for url in &files {
                    site = fetch(&http, url).await?;
                    self.say(format!("ipxe: loaded {url}"));
                }
                std::fs::write(
                    self.captured.root().join("proc/cmdline"),
                    format!("{arguments}\n"),
                )?;
                let args = Box::new(BootArgs::parse(&arguments)?);
                Ok(Netbooted::MiniOs {
                    args,
                    ca_pem: certificate_in(&site)?,
                })
            }
        }
    }

    /// Runs the agent as the mini-os's first process.
    pub async fn mini_os(&self, mut args: BootArgs, ca_pem: String, how: PowerOn) -> Result<Exit> {
        if let Some(url) = how.boot_url {
            args.boot_url = url;
        }
        self.say(format!("mini-os: {}", args.purpose));
        Ok(agent::session::run(agent::session::Machine {
            origin: Origin::Ticket { args, ca_pem },
            roots: Roots::under(self.captured.root()),
            duty: Duty::MiniOs { site: self.site()? },
            console: self.console.clone(),
            server_time: None,
            pace: quick(),
            cancel: CancellationToken::new(),
        })
        .await)
    }

    /// Its disk as an installation site.
    pub fn site(&self) -> Result<Site> {
        let (root, esp) = (self.root(), self.dir.join("esp"));
        std::fs::create_dir_all(&esp)?;
        // A thread of a run whose power was cut may still be writing its last file.
        wait::until_blocking("an empty root directory", Duration::from_secs(5), || {
            Ok(image_tree(&root).ok())
        })?;
        let roots = Roots::under(self.captured.root());
        let disks = BTreeMap::from([("vda".to_owned(), self.disk())]);
        let binary = self.dir.join("agent");
        std::fs::write(&binary, "#!/bin/false\n")?;
        let site = Site::simulated(move || collect(&roots).disks, disks, root, esp, binary);
        Ok(site.with_patience(self.patience))
    }

    /// Boots the disk, as the firmware would.
    async fn boot_disk(&self) -> Result<Booted> {
        if !self.root().join("etc/slipway/agent.json").exists() {
            self.say("disk: nothing to boot");
            return Ok(Booted::NoSystem);
        }
        self.say("disk: the installed system starts");
        std::fs::write(self.captured.root().join("proc/cmdline"), "root=UUID=sim ro\n")?;
        let exit = agent::resident::run(Resident {
            root: self.root(),
            roots: Roots::under(self.captured.root()),
            first_boot: FirstBoot::Pretend { exit_status: 0 },
            console: self.console.clone(),
            pace: quick(),
            cancel: CancellationToken::new(),
        })
        .await?;
        Ok(Booted::Installed(exit))
    }

    /// Powers it on after every reboot, forever, until the future is dropped. If the boot service does not
    /// answer, it tries again, like firmware in a boot loop. An installed system with nothing to do never
    /// ends.
    pub async fn live(&self, service: BootService) -> Result<()> {
        let mut failures = 0;
        loop {
            match self.power_on(service, PowerOn::default()).await {
                Ok(Booted::MiniOs(Exit::Reboot { .. }) | Booted::Installed(Exit::Reboot { .. })) => {
                    failures = 0
                }
                Ok(other) => bail!(
                    "{}: {other:?}; console:\n{}",
                    self.serial,
                    self.console.lines().join("\n")
                ),
                Err(error) if failures < 100 => {
                    failures += 1;
                    self.say(format!("firmware: no boot: {error:#}; again"));
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Like [`Machine::live`] until the console shows `text`; then the power is cut.
    pub async fn live_until(&self, service: BootService, text: &str) -> Result<()> {
        let from = self.console.lines().len();
        tokio::select! {
            biased;
            _ = self.console.wait(text, from) => Ok(()),
            ended = self.live(service) => ended,
            () = tokio::time::sleep(Duration::from_secs(60)) => {
                bail!("{}: {text:?} was not shown in 60 s:\n{}", self.serial, self.console.lines().join("\n"))
            }
        }
    }
}

/// Short intervals, so that a test with a restart in it is quick.
fn quick() -> Pace {
    Pace {
        poll_wait: Duration::from_secs(5),
        retry_first: Duration::from_millis(50),
        retry_cap: Duration::from_millis(500),
        progress: Duration::from_millis(100),
        report: Duration::from_secs(24 * 3600),
    }
}
