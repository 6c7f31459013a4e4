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
    /// What the collectors say.
    pub facts: DiskFacts,
    /// What uses it, if anything: a mount, a swap area, a RAID or LVM that holds it.
    pub in_use: Option<String>,
}

type Look = Arc<dyn Fn() -> Vec<DiskFacts> + Send + Sync>;

/// Where an installation happens: a machine's block devices and kernel mounts, or files and directories.
#[derive(Clone)]
pub struct Site {
    pub(super) look: Look,
    pub(super) place: Place,
    /// The agent's own binary, to be put on the disk.
    pub(super) agent_exe: PathBuf,
    pub(super) patience: Patience,
    /// One run at a time: threads of a run that was dropped end before the next begins.
    pub(super) turn: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Clone)]
pub(super) enum Place {
    Machine {
        /// Where the kernel's views are, `/` in life.
        root: PathBuf,
        /// Directory for the mount points.
        mounts: PathBuf,
    },
    Simulated {
        /// Kernel name to file.
        disks: BTreeMap<String, PathBuf>,
        /// Stands for the mounted root file system.
        root_dir: PathBuf,
        /// Stands for the mounted ESP.
        esp_dir: PathBuf,
    },
}

impl Site {
    /// This machine: its block devices, mounts under `/mnt/slipway`, its own binary. `look` runs the disk collector;
    /// it is asked before each run and again right before the first write.
    pub fn machine(look: impl Fn() -> Vec<DiskFacts> + Send + Sync + 'static) -> Site {
        Site {
            look: Arc::new(look),
            place: Place::Machine {
                root: "/".into(),
                mounts: "/mnt/slipway".into(),
            },
            agent_exe: "/proc/self/exe".into(),
            patience: Patience::default(),
            turn: Arc::default(),
        }
    }

    /// A simulated machine: each disk of `look` that can be written is a regular file of its size, `root_dir` stands
    /// for the mounted root file system (holding what the image would bring) and `esp_dir` for the ESP.
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
        Site {
            look: Arc::new(look),
            place,
            agent_exe,
            patience: Patience::default(),
            turn: Arc::default(),
        }
    }

    /// A machine with its mount points elsewhere than in `/mnt/slipway`. No effect in a simulation.
    pub fn with_mounts(mut self, dir: PathBuf) -> Site {
        if let Place::Machine { mounts, .. } = &mut self.place {
            *mounts = dir;
        }
        self
    }

    /// With another patience for the image's stream.
    pub fn with_patience(mut self, patience: Patience) -> Site {
        self.patience = patience;
        self
    }

    /// The disks now, with what uses them. Reads sysfs: call it where blocking is allowed.
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
