//! Where an installation happens, as a value.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use inventory_api::report::DiskFacts;

use super::fetch::Patience;
use super::in_use;

/// A disk as it is at this moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveDisk {
    /// The collectors' facts.
    pub facts: DiskFacts,
    /// What uses it, if anything: a mount, swap, RAID or LVM.
    pub in_use: Option<String>,
}

type Look = Arc<dyn Fn() -> Vec<DiskFacts> + Send + Sync>;

/// Where an installation happens: a machine's block devices and kernel mounts, or files and directories.
#[derive(Clone)]
pub struct Site {
    pub(super) look: Look,
    pub(super) place: Place,
    /// The agent's own binary, which is installed on the disk.
    pub(super) agent_exe: PathBuf,
    pub(super) patience: Patience,
    /// One run at a time: the threads of a cancelled run end before the next one starts.
    pub(super) turn: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Clone)]
pub(super) enum Place {
    Machine {
        /// The directory that contains sys, proc and dev; `/` on a real machine.
        root: PathBuf,
        /// Directory for the mount points.
        mounts: PathBuf,
    },
    Simulated {
        /// Kernel name to its file.
        disks: BTreeMap<String, PathBuf>,
        /// Simulates the mounted root file system.
        root_dir: PathBuf,
        /// Simulates the mounted ESP.
        esp_dir: PathBuf,
    },
}

impl Site {
    /// This machine: its block devices, mounts under `/mnt/slipway`, its own binary. `look` runs the disk
    /// collector; it is called before each run and again right before the first write.
    pub fn machine(look: impl Fn() -> Vec<DiskFacts> + Send + Sync + 'static) -> Site {
        let place = Place::Machine {
            root: "/".into(),
            mounts: "/mnt/slipway".into(),
        };
        Site::new(Arc::new(look), place, "/proc/self/exe".into())
    }

    fn new(look: Look, place: Place, agent_exe: PathBuf) -> Site {
        Site {
            look,
            place,
            agent_exe,
            patience: Patience::default(),
            turn: Arc::default(),
        }
    }

    /// A simulated machine: each writable disk of `look` is a regular file of its size, `root_dir` simulates
    /// the mounted root file system (with the image's content) and `esp_dir` the ESP.
    pub fn simulated(
        look: impl Fn() -> Vec<DiskFacts> + Send + Sync + 'static,
        disks: BTreeMap<String, PathBuf>,
        root_dir: PathBuf,
        esp_dir: PathBuf,
        agent_exe: PathBuf,
    ) -> Site {
        let place = Place::Simulated {
            disks,
            root_dir,
            esp_dir,
        };
        Site::new(Arc::new(look), place, agent_exe)
    }

    /// Uses another directory than `/mnt/slipway` for mount points. No effect in a simulation.
    pub fn with_mounts(mut self, dir: PathBuf) -> Site {
        if let Place::Machine { mounts, .. } = &mut self.place {
            *mounts = dir;
        }
        self
    }

    /// Uses other time limits for the image stream.
    pub fn with_patience(mut self, patience: Patience) -> Site {
        self.patience = patience;
        self
    }

    /// The current disks and what uses them. Reads sysfs: call it where blocking is allowed.
    pub fn live_disks(&self) -> Vec<LiveDisk> {
        let users = |facts: &DiskFacts| match &self.place {
            Place::Machine { root, .. } => std::iter::once(&facts.name)
                .chain(facts.paths.iter().map(|p| &p.name))
                .find_map(|name| in_use::user_of(root, name)),
            Place::Simulated { .. } => None,
        };
        (self.look)()
            .iter()
            .flat_map(DiskFacts::block_devices)
            .map(|facts| LiveDisk {
                in_use: users(&facts),
                facts,
            })
            .collect()
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Machine { .. } => write!(f, "Site(machine)"),
            Place::Simulated { root_dir, .. } => write!(f, "Site(simulated in {})", root_dir.display()),
        }
    }
}
