//! What is really on an installed machine's disk, read from its root partition with debugfs while the machine
//! is off.

use std::path::{Path, PathBuf};
use std::process::Command;

use gptman::GPT;

/// The root file system of a disk.
pub struct RootFs {
    disk: PathBuf,
    offset: u64,
}

impl RootFs {
    /// Finds partition 3 of the disk.
    pub fn of(disk: &Path) -> RootFs {
        let mut file = std::fs::File::open(disk).unwrap();
        let gpt = GPT::read_from(&mut file, 512).expect("a partition table");
        assert_eq!(gpt[3].partition_name.as_str(), "root");
        RootFs {
            disk: disk.to_owned(),
            offset: gpt[3].starting_lba * 512,
        }
    }

    fn debugfs(&self, request: &str) -> String {
        let output = Command::new("/usr/sbin/debugfs")
            .args(["-R", request])
            .arg(format!("{}?offset={}", self.disk.display(), self.offset))
            .output()
            .expect("debugfs of e2fsprogs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The text of a file; empty if it is missing.
    pub fn text(&self, path: &str) -> String {
        self.debugfs(&format!("cat {path}"))
    }

    /// Permission bits, owner and size, as `debugfs stat` prints them.
    pub fn stat(&self, path: &str) -> String {
        self.debugfs(&format!("stat {path}"))
    }
}
