//! One path from power-on to the mini-os: a lab, a server, and a virtual server with the firmware for it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use inventory_api::boot::{BootEvent, BootEventKind};
use inventory_api::machine::{Journey, MachineDetail};

use crate::artefacts;
use crate::cable::{self, Filter, Switch, Weather};
use crate::lab::{BRIDGE, Lab};
use crate::reach::{Between, Reach};
use crate::server::{Server, ServerSpec};
use crate::vm::{Firmware, Nic, Vm, VmSpec};
use crate::wait;

/// Firmware and loader up to the kernel's first line, in software emulation on two slow cores.
pub const KERNEL_WITHIN: Duration = Duration::from_secs(150);
/// Like [`KERNEL_WITHIN`], up to the report.
pub const REPORTED_WITHIN: Duration = Duration::from_secs(240);
/// The kernel's first line, by `earlyprintk`, before it has looked at any device.
const FIRST_LINE: &str = "Linux version ";

/// What iPXE fetches once it runs, in the form of [`fetched`].
pub const BY_IPXE: [&str; 4] = [
    "http /boot.ipxe",
    "http /boot/kernel",
    "http /boot/initramfs",
    "http /boot/site",
];

/// What firmware with a site's own keys fetches after [`crate::snakeoil::sign_mini_os`].
pub const BY_SIGNED_IMAGE: [&str; 5] = [
    "tftp snponly.efi",
    "tftp autoexec.ipxe",
    "http /boot.ipxe",
    "http /boot/mini-os.efi",
    "http /boot.args",
];

/// How a path differs from others.
pub struct BootPathSpec {
    pub vm: VmSpec,
    network: Option<String>,
    more: String,
    reach: Option<Reach>,
    cable: Option<(Weather, Filter)>,
    own_mini_os: bool,
    prepare: Option<Prepare>,
}

/// Makes files: in the server's directory (first argument), from the mini-os's (second).
type Prepare = Box<dyn FnOnce(&Path, &Path) -> Result<()>>;

impl BootPathSpec {
    /// A machine with this firmware and a virtio card in the server's own network; the server gives the
    /// addresses.
    pub fn new(name: &str, firmware: Firmware) -> BootPathSpec {
        BootPathSpec {
            vm: VmSpec::new(name, firmware),
            network: None,
            more: String::new(),
            reach: None,
            cable: None,
            own_mini_os: false,
            prepare: None,
        }
    }

    pub fn nic(mut self, nic: Nic) -> BootPathSpec {
        self.vm.nic = nic;
        self
    }

    /// These lines in the server's `[[network]]`, instead of mode, look_seconds and pools.
    pub fn network(mut self, lines: &str) -> BootPathSpec {
        self.network = Some(lines.to_owned());
        self
    }

    /// More lines at the end of the server's configuration.
    pub fn more(mut self, lines: &str) -> BootPathSpec {
        self.more.push_str(lines);
        self
    }

    /// Somebody else's daemon between the machine and the server.
    pub fn reach(mut self, reach: Reach) -> BootPathSpec {
        self.reach = Some(reach);
        self
    }

    /// A cable that does this to frames.
    pub fn cable(mut self, weather: Weather, filter: Filter) -> BootPathSpec {
        self.cable = Some((weather, filter));
        self
    }

    /// A copy of the mini-os that the test may change: [`BootPath::mini_os`].
    pub fn own_mini_os(mut self) -> BootPathSpec {
        self.own_mini_os = true;
        self
    }

    /// Files made before the server starts: in its directory (first argument), from the mini-os's (second).
    pub fn prepare(mut self, work: impl FnOnce(&Path, &Path) -> Result<()> + 'static) -> BootPathSpec {
        self.prepare = Some(Box::new(work));
        self
    }

    /// Starts the server in a new lab. The machine is still off.
    pub async fn start(self) -> Result<BootPath> {
        self.start_in(Lab::enter()?).await
    }

    /// Like [`BootPathSpec::start`], in a lab that is set up already.
    pub async fn start_in(self, lab: Lab) -> Result<BootPath> {
        let directory = artefacts::run_directory(&self.vm.name)?;
        let mut mini_os = artefacts::built("mini-os/small", "mini-os")?;
        if self.own_mini_os {
            let copy = directory.path().join("mini-os");
            std::fs::create_dir(&copy)?;
            for entry in std::fs::read_dir(&mini_os)? {
                let entry = entry?;
                std::fs::copy(entry.path(), copy.join(entry.file_name()))?;
            }
            mini_os = copy;
        }
        if let Some(work) = self.prepare {
            work(directory.path(), &mini_os)?;
        }
        let mut spec = ServerSpec {
            directory: directory.path().to_owned(),
            mini_os: mini_os.clone(),
            images: artefacts::built("images", "image")?,
            profile: None,
            network: ServerSpec::SERVER_MODE.to_owned(),
            more: self.more,
        };
        if let Some(network) = self.network {
            spec.network = network;
        }
        let (mut between, mut bridge) = (None, BRIDGE);
        if let Some(reach) = self.reach {
            reach.configure(&mut spec);
            between = Some(reach.start(&lab, directory.path())?);
            bridge = reach.bridge();
        }
        let server = Server::start(spec).await?;
        let (tap, switch) = match self.cable {
            Some((weather, filter)) => {
                let (tap, switch) = cable::vm(&lab, bridge, weather, filter)?;
                (tap, Some(switch))
            }
            None => (lab.tap_on(bridge)?, None),
        };
        Ok(BootPath {
            vm: Vm::new(self.vm, tap)?,
            switch,
            server,
            mini_os,
            directory,
            _between: between,
            lab,
        })
    }
}

/// A path under way.
pub struct BootPath {
    // Dropped in this order: machine, server, network.
    /// The machine; start it with [`Vm::power_on`].
    pub vm: Vm,
    /// The cable, if one was requested.
    pub switch: Option<Switch>,
    pub server: Server,
    /// The mini-os that the server serves.
    pub mini_os: PathBuf,
    /// The server's files.
    pub directory: tempfile::TempDir,
    _between: Option<Between>,
    pub lab: Lab,
}

impl BootPath {
    /// Waits for the kernel's first line; returns what the server heard until then. On timeout the error has
    /// console and journey.
    pub async fn kernel(&mut self) -> Result<Journey> {
        self.said(FIRST_LINE).await
    }

    /// Like [`BootPath::kernel`], for any words on the console.
    pub async fn said(&mut self, words: &str) -> Result<Journey> {
        let seen = self.vm.wait_console(words, KERNEL_WITHIN).await;
        let journey = self.journey().await?;
        seen.with_context(|| self.story(&journey))?;
        Ok(journey)
    }

    /// Waits until the machine has fetched all of a file, named as in [`fetched`].
    pub async fn has_fetched(&self, file: &str) -> Result<Journey> {
        let waited = wait::until(file, KERNEL_WITHIN, async || {
            let journey = self.journey().await?;
            Ok(fetched(&journey).iter().any(|f| f == file).then_some(journey))
        })
        .await;
        if waited.is_err() {
            let journey = self.journey().await?;
            return waited
                .with_context(|| format!("{}\nconsole:\n{}", self.story(&journey), self.vm.tail(40)));
        }
        waited
    }

    /// Waits until the machine's report has been accepted.
    pub async fn reported(&self) -> Result<(MachineDetail, Journey)> {
        let api = self.server.api()?;
        let serial = self.vm.spec().system_serial();
        let ready = api.wait_state(&serial, "ready", REPORTED_WITHIN).await;
        let journey = self.journey().await?;
        let detail =
            ready.with_context(|| format!("{}\nconsole:\n{}", self.story(&journey), self.vm.tail(40)))?;
        Ok((detail, journey))
    }

    /// What the server has heard from the machine so far.
    pub async fn journey(&self) -> Result<Journey> {
        self.server.api()?.journey(&self.vm.spec().mac).await
    }

    fn story(&self, journey: &Journey) -> String {
        format!(
            "diagnosis: {}\nheard: {:#?}\nlog:\n{}",
            journey.diagnosis,
            journey.events,
            self.server.log()
        )
    }
}

/// The files that were fetched completely, in order: "tftp NAME" or "http PATH".
pub fn fetched(journey: &Journey) -> Vec<String> {
    let whole = |event: &BootEvent| match &event.what {
        BootEventKind::Tftp {
            file, complete: true, ..
        } => Some(format!("tftp {file}")),
        BootEventKind::Http {
            path,
            status: 200,
            head: false,
            partial: false,
            ..
        } => Some(format!("http {path}")),
        _ => None,
    };
    journey.events.iter().filter_map(whole).collect()
}

/// Runs a test in a lab. A lab moves the thread into its network namespace, so everything has to stay on this
/// thread.
pub fn run(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made")
        .block_on(work);
}
