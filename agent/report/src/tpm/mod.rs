//! The TPM: what it is, and the hash of its endorsement key.

mod command;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod spki;

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use inventory_api::report::TpmFacts;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::roots::{Roots, attribute, link_name};
use super::{Problems, clean};

/// A slow chip creates its key in 15 s; the collector's own limit is 20 s.
const ANSWER_TIME: Duration = Duration::from_secs(18);

/// The first TPM. None if there is none, or no driver for it.
pub(super) fn collect(roots: &Roots, problems: &mut Problems) -> Option<TpmFacts> {
    let folder = roots.sys("class/tpm/tpm0");
    if !folder.exists() {
        return None;
    }
    let mut facts = TpmFacts {
        version: version(&folder),
        ..TpmFacts::default()
    };
    if facts.version.as_deref() == Some("1.2") {
        of_files(&folder, &mut facts);
    } else if roots.is_live() {
        // With the kernel's resource manager, created objects vanish when the file is closed.
        let device = [roots.dev("tpmrm0"), roots.dev("tpm0")]
            .into_iter()
            .find(|path| path.exists());
        match device {
            Some(path) => {
                if let Err(e) = ask(&path, &mut facts) {
                    problems.note(format_args!("{}: {e}", path.display()));
                }
            }
            None => problems.note("/dev/tpmrm0: no such device, although the kernel has a TPM"),
        }
    }
    Some(facts)
}

fn version(folder: &Path) -> Option<String> {
    let major = attribute(&folder.join("tpm_version_major"));
    match major.as_deref() {
        Some("2") => Some("2.0".to_owned()),
        Some("1") => Some("1.2".to_owned()),
        // Before Linux 5.6: only TPM 1.2 has this file.
        _ if folder.join("device/caps").exists() || folder.join("caps").exists() => Some("1.2".to_owned()),
        _ if link_name(&folder.join("device/driver")).as_deref() == Some("tpm_crb") => Some("2.0".to_owned()),
        _ => None,
    }
}

/// TPM 1.2 has its facts in sysfs: `caps` and `pubek`.
fn of_files(folder: &Path, facts: &mut TpmFacts) {
    let read =
        |name: &str| attribute(&folder.join("device").join(name)).or_else(|| attribute(&folder.join(name)));
    let caps = read("caps").unwrap_or_default();
    let line = |name: &str| {
        caps.lines()
            .find_map(|line| line.strip_prefix(name))
            .map(str::trim)
    };
    facts.manufacturer = line("Manufacturer:").and_then(|hex| {
        let letters = u32::from_str_radix(hex.strip_prefix("0x")?, 16).ok()?;
        command::letters(letters)
    });
    facts.firmware = line("Firmware version:").and_then(clean::text);
    facts.endorsement_key_sha256 = read("pubek")
        .and_then(|text| spki::of_pubek(&text))
        .map(|key| spki::sha256(&key));
}

fn ask(path: &Path, facts: &mut TpmFacts) -> io::Result<()> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(nix::libc::O_CLOEXEC | nix::libc::O_NONBLOCK)
        .open(path)?;
    let mut tpm = Device(file);
    command::fill(&mut tpm, facts)
}

/// A TPM that takes one command and returns one answer.
trait Commands {
    fn run(&mut self, command: &[u8]) -> io::Result<Vec<u8>>;
}

struct Device(File);

impl Commands for Device {
    /// Retries once if the kernel's timeout for the command expired: the first command may find the TPM busy
    /// with its self-test. No command here changes the TPM.
    fn run(&mut self, command: &[u8]) -> io::Result<Vec<u8>> {
        match self.once(command) {
            Err(e) if e.raw_os_error() == Some(nix::libc::ETIME) => self.once(command),
            answer => answer,
        }
    }
}

impl Device {
    fn once(&mut self, command: &[u8]) -> io::Result<Vec<u8>> {
        self.0.write_all(command)?;
        let timeout = PollTimeout::try_from(ANSWER_TIME).unwrap_or(PollTimeout::ZERO);
        if poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], timeout)? == 0 {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("no answer within {} s", ANSWER_TIME.as_secs()),
            ));
        }
        let mut answer = vec![0; 4096];
        let length = self.0.read(&mut answer)?;
        answer.truncate(length);
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tpm_1_2_by_its_files() {
        let dir = tempfile::tempdir().unwrap();
        let device = dir.path().join("sys/class/tpm/tpm0/device");
        std::fs::create_dir_all(&device).unwrap();
        std::fs::write(
            device.join("caps"),
            "Manufacturer: 0x49465800\nTCG version: 1.2\nFirmware version: 4.32\n",
        )
        .unwrap();
        let mut problems = Problems::new("tpm");
        let facts = collect(&Roots::under(dir.path()), &mut problems).unwrap();
        assert_eq!(
            facts,
            TpmFacts {
                version: Some("1.2".to_owned()),
                manufacturer: Some("IFX".to_owned()),
                firmware: Some("4.32".to_owned()),
                endorsement_key_sha256: None,
            }
        );
        assert!(problems.found.is_empty());
    }

    #[test]
    fn a_captured_tpm_2_has_a_version_and_is_not_asked() {
        let dir = tempfile::tempdir().unwrap();
        let tpm = dir.path().join("sys/class/tpm/tpm0");
        std::fs::create_dir_all(&tpm).unwrap();
        std::fs::write(tpm.join("tpm_version_major"), "2\n").unwrap();
        let mut problems = Problems::new("tpm");
        let facts = collect(&Roots::under(dir.path()), &mut problems).unwrap();
        assert_eq!(facts.version.as_deref(), Some("2.0"));
        assert!(problems.found.is_empty());
    }
}
