//! A disk's built-in self-test, on demand. It runs inside the disk, which stays usable; the report shows the
//! result.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use inventory_api::report::Transport;

use super::super::Problems;
use super::super::roots::Roots;
use super::{Depth, ask};

/// Timeout for a disk to accept the command.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// Which self-test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelfTest {
    /// A few minutes.
    Short,
    /// Reads the whole medium: hours.
    Extended,
    /// Aborts the running test.
    Abort,
}

/// Why a self-test was not started.
#[derive(Debug, thiserror::Error)]
pub enum SelfTestError {
    /// No whole disk has this name.
    #[error("{0}: this machine has no such disk")]
    NoDisk(String),
    /// The disk has no self-test.
    #[error("{0}: {1}, it has no self-test")]
    NotAble(String, &'static str),
    /// The disk refused.
    #[error("{0}: the disk refused the self-test")]
    Refused(String),
    /// The disk could not be queried.
    #[error("{0}: {1}")]
    Io(String, io::Error),
}

/// Starts or aborts a self-test of the disk with kernel name `name` ("sda", "nvme0n1"). Blocks for a few
/// seconds at most.
///
/// # Errors
/// See [`SelfTestError`].
pub fn disk_self_test(roots: &Roots, name: &str, test: SelfTest) -> Result<(), SelfTestError> {
    let disks = super::collect(roots, Depth::Kernel, &mut Problems::new("disks"));
    let named = || name.to_owned();
    let disk = disks
        .into_iter()
        .find(|disk| disk.name == name)
        .ok_or_else(|| SelfTestError::NoDisk(named()))?;
    if disk.raid_volume == Some(true) {
        return Err(SelfTestError::NotAble(named(), "a volume of a RAID controller"));
    }
    let transport = match disk.transport {
        Some(transport @ (Transport::Sata | Transport::Sas | Transport::Scsi | Transport::Nvme)) => transport,
        Some(Transport::Virtio) => return Err(SelfTestError::NotAble(named(), "a virtual disk")),
        _ => return Err(SelfTestError::NotAble(named(), "not a SATA, SAS or NVMe disk")),
    };
    let device = roots.dev(name);
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::Builder::new()
        .name("disk-self-test".to_owned())
        .spawn(move || {
            let _ = sender.send(order(device, transport, test));
        })
        .map_err(|e| SelfTestError::Io(named(), e))?;
    match receiver.recv_timeout(ANSWER_TIME) {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err(SelfTestError::Refused(named())),
        Ok(Err(e)) => Err(SelfTestError::Io(named(), e)),
        Err(_) => {
            let seconds = ANSWER_TIME.as_secs();
            Err(SelfTestError::Io(
                named(),
                io::Error::other(format!("no answer after {seconds} s")),
            ))
        }
    }
}

/// The command for a disk, by its command set.
#[derive(Debug, PartialEq, Eq)]
enum Order {
    /// Subcommand of SMART EXECUTE OFF-LINE IMMEDIATE (ATA8-ACS table 60).
    Ata(u8),
    /// Code of Device Self-test, opcode 14h (NVM Express base 2.0, 5.9).
    Nvme(u32),
    /// SEND DIAGNOSTIC with a self-test code (SPC-6 table 218): background short, background extended, abort.
    Scsi([u8; 6]),
}

fn order_for(transport: Transport, test: SelfTest) -> Order {
    let choose = |short, extended, abort| match test {
        SelfTest::Short => short,
        SelfTest::Extended => extended,
        SelfTest::Abort => abort,
    };
    match transport {
        Transport::Sata => Order::Ata(choose(1, 2, 0x7f)),
        Transport::Nvme => Order::Nvme(u32::from(choose(1, 2, 0xf))),
        _ => Order::Scsi([0x1d, choose(1 << 5, 2 << 5, 4 << 5), 0, 0, 0, 0]),
    }
}

fn order(device: PathBuf, transport: Transport, test: SelfTest) -> io::Result<bool> {
    let file = ask::open(&device)?;
    match order_for(transport, test) {
        Order::Ata(subcommand) => ask::ata_self_test(&file, subcommand),
        // All namespaces.
        Order::Nvme(code) => ask::nvme_command(&file, 0x14, u32::MAX, code),
        Order::Scsi(command) => ask::command(&file, &command),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_disk_gets_the_command_of_its_own_command_set() {
        use SelfTest::{Abort, Extended, Short};
        let all = |transport| [Short, Extended, Abort].map(|test| order_for(transport, test));
        assert_eq!(all(Transport::Sata), [1, 2, 0x7f].map(Order::Ata));
        assert_eq!(all(Transport::Nvme), [1, 2, 0xf].map(Order::Nvme));
        let diagnostic = |code| Order::Scsi([0x1d, code, 0, 0, 0, 0]);
        assert_eq!(all(Transport::Sas), [0x20, 0x40, 0x80].map(diagnostic));
    }

    #[test]
    fn a_disk_that_is_not_there_is_named() {
        let said = disk_self_test(&Roots::under("/nothing"), "sda", SelfTest::Short)
            .unwrap_err()
            .to_string();
        assert_eq!(said, "sda: this machine has no such disk");
    }
}
