//! HPE Smart Array and Microchip SmartRAID (drivers hpsa and smartpqi): commands through the ioctl
//! CCISS_PASSTHRU of any SCSI device of the controller. Layouts: linux/cciss_defs.h, linux/cciss_ioctl.h and
//! the drivers' own headers. There is no crate for it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::time::Instant;

use inventory_api::report::{DiskFacts, DiskHealth, Transport};

use super::super::clean::ascii;
use super::super::parse::{big_endian, little_endian};
use super::super::roots::{Roots, read_names};
use super::{LIST_BYTES, LIST_ENTRY, ask_each, entries};

/// CISS_REPORT_PHYS with identifiers.
const REPORT_PHYSICAL: u8 = 0xc3;
const EXTENDED: u8 = 0x02;
/// BMIC read, and its command Identify Physical Device.
const BMIC_READ: u8 = 0x26;
const IDENTIFY: u8 = 0x15;
/// Bytes read of the identity (the driver's structure has 2560).
const IDENTITY_BYTES: usize = 512;
const DIRECTION_READ: u8 = 2;
const TIMEOUT: u16 = 5;
/// CommandStatus: success; success with less data than requested.
const DONE: u16 = 0;
const UNDERRUN: u16 = 2;

/// `IOCTL_Command_struct`: address, request (20 bytes), error (48 bytes), buffer.
#[repr(C)]
struct Command {
    address: [u8; 8],
    request: [u8; 20],
    error: [u8; 48],
    length: u16,
    buffer: *mut u8,
}

nix::ioctl_readwrite!(cciss_passthru, b'B', 11, Command);

/// A controller that answers commands.
trait Controller {
    fn command(&mut self, cdb: &[u8], bytes: usize) -> io::Result<Vec<u8>>;
}

/// The disks of a controller, and how many listed ones did not answer. `host`: "host0".
pub(super) fn disks(roots: &Roots, host: &str, end: Instant) -> io::Result<(Vec<DiskFacts>, usize)> {
    ask(&mut open(roots, host)?, end)
}

fn ask(controller: &mut impl Controller, end: Instant) -> io::Result<(Vec<DiskFacts>, usize)> {
    let [a, b, c, d] = (LIST_BYTES as u32).to_be_bytes();
    let report = [REPORT_PHYSICAL, EXTENDED, 0, 0, 0, 0, a, b, c, d, 0, 0];
    let list = list(&controller.command(&report, LIST_BYTES)?);
    Ok(ask_each(&list, end, |drive| {
        let [low, high] = drive.to_le_bytes();
        let [size_high, size_low] = (IDENTITY_BYTES as u16).to_be_bytes();
        let cdb = [BMIC_READ, 0, low, 0, 0, 0, IDENTIFY, size_high, size_low, high];
        disk(&controller.command(&cdb, IDENTITY_BYTES).ok()?)
    }))
}

/// Drive numbers of the disks in an extended list of physical devices: level 2 bus and target of their
/// address.
pub(super) fn list(answer: &[u8]) -> Vec<u16> {
    let length = big_endian(answer.get(..4).unwrap_or_default()) as usize;
    entries(answer, length / LIST_ENTRY)
        // Device types: 01h SATA, 02h SAS, 09h NVMe; expanders and enclosures differ. Older firmware has 00h
        // for disks.
        .filter(|entry| matches!(entry[16], 0 | 1 | 2 | 9))
        .filter_map(|entry| {
            let bus = u16::from(entry[7] & 0x3f).checked_sub(1)?;
            Some(bus << 8 | u16::from(entry[6]))
        })
        .collect()
}

/// `struct bmic_identify_physical_device`. None if too short, or no disk in the bay.
pub(super) fn disk(identity: &[u8]) -> Option<DiskFacts> {
    let identity = identity.get(..IDENTITY_BYTES)?;
    let number = |at: usize, bytes: usize| little_endian(&identity[at..at + bytes]);
    let (port, drive_box, bay) = (ascii(&identity[112..114]), identity[114], identity[115]);
    let model = ascii(&identity[12..52])?;
    let block = number(2, 2);
    // The short block count is all ones if it does not fit.
    let blocks = match number(4, 4) {
        0xffff_ffff => number(122, 8),
        blocks => blocks,
    };
    let place = format!("box {drive_box} bay {bay}");
    let rpm = u32::try_from(number(116, 4))
        .ok()
        .filter(|rpm| (1..100_000).contains(rpm));
    Some(DiskFacts {
        name: port.map_or_else(|| place.clone(), |port| format!("port {port} {place}")),
        bay: Some(format!("Bay {bay}")),
        shelf: Some(format!("box {drive_box}")),
        // Some firmware pads words with runs of blanks.
        model: Some(model.split_ascii_whitespace().collect::<Vec<_>>().join(" ")),
        serial: ascii(&identity[52..92]),
        firmware: ascii(&identity[92..100]),
        size_bytes: blocks.checked_mul(block).filter(|bytes| *bytes > 0),
        logical_block_bytes: u32::try_from(block).ok().filter(|block| *block > 0),
        rotational: rpm.map(|rpm| rpm > 1),
        rpm: rpm.filter(|rpm| *rpm > 1),
        transport: match identity[120] {
            1 => Some(Transport::Sata),
            2 => Some(Transport::Sas),
            9 => Some(Transport::Nvme),
            _ => None,
        },
        // Why the controller removed the disk; 0 if it did not.
        health: Some(DiskHealth {
            passed: Some(identity[102] == 0),
            ..DiskHealth::default()
        }),
        ..DiskFacts::default()
    })
}

struct Device(File);

/// Any SCSI device of the host: its ioctl reaches the controller.
fn open(roots: &Roots, host: &str) -> io::Result<Device> {
    let generic = roots.sys("class/scsi_generic");
    let here = |name: &String| {
        let path = roots.device(&generic.join(name));
        path.is_some_and(|path| path.iter().any(|part| part == host))
    };
    let name = read_names(&generic)?.into_iter().find(here);
    let name = name.ok_or_else(|| io::Error::other(format!("{host} has no generic SCSI device")))?;
    let file = OpenOptions::new().read(true).write(true).open(roots.dev(name))?;
    Ok(Device(file))
}

impl Controller for Device {
    fn command(&mut self, cdb: &[u8], bytes: usize) -> io::Result<Vec<u8>> {
        let mut answer = vec![0_u8; bytes];
        let mut request = [0; 20];
        // Length of the command; a command (0) with simple queueing (4), data to the host; timeout; the
        // command.
        (request[0], request[1]) = (cdb.len() as u8, 4 << 3 | DIRECTION_READ << 6);
        request[2..4].copy_from_slice(&TIMEOUT.to_ne_bytes());
        request[4..4 + cdb.len()].copy_from_slice(cdb);
        let mut command = Command {
            address: [0; 8],
            request,
            error: [0; 48],
            length: u16::try_from(bytes).map_err(io::Error::other)?,
            buffer: answer.as_mut_ptr(),
        };
        // SAFETY: the command has the kernel's layout; its buffer has the stated length and outlives the
        // call.
        unsafe { cciss_passthru(self.0.as_raw_fd(), &mut command) }?;
        match u16::from_ne_bytes([command.error[2], command.error[3]]) {
            DONE | UNDERRUN => Ok(answer),
            status => Err(io::Error::other(format!(
                "the controller answers status {status}"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_the_kernels() {
        assert_eq!(
            (size_of::<Command>(), std::mem::offset_of!(Command, buffer)),
            (88, 80)
        );
    }

    /// A P440ar with two disks, an enclosure, and a bay whose disk does not answer.
    struct P440;

    fn identity(bay: u8, kind: u8, failed: u8) -> Vec<u8> {
        let mut identity = vec![0; IDENTITY_BYTES];
        identity[2..4].copy_from_slice(&512_u16.to_le_bytes());
        identity[4..8].copy_from_slice(&[0xff; 4]);
        let mut write = |at: usize, text: &str, length: usize| {
            identity[at..at + length].fill(b' ');
            identity[at..at + text.len()].copy_from_slice(text.as_bytes());
        };
        write(12, "HP      EG0600FBVFP", 40);
        write(52, "S0M1ABCD0000M123", 40);
        write(92, "HPDC", 8);
        write(112, "1I", 2);
        identity[102] = failed;
        (identity[114], identity[115], identity[120]) = (1, bay, kind);
        identity[116..120].copy_from_slice(&10_000_u32.to_le_bytes());
        identity[122..130].copy_from_slice(&1_172_123_568_u64.to_le_bytes());
        identity
    }

    impl Controller for P440 {
        fn command(&mut self, cdb: &[u8], bytes: usize) -> io::Result<Vec<u8>> {
            let mut answer = match cdb {
                [REPORT_PHYSICAL, EXTENDED, ..] => {
                    let entry = |target: u8, kind: u8| {
                        let mut entry = [0; LIST_ENTRY];
                        (entry[6], entry[7], entry[16]) = (target, 0x02, kind);
                        entry
                    };
                    let entries = [entry(0, 2), entry(1, 1), entry(8, 6), entry(3, 2)].concat();
                    [&[0, 0, 0, 96, 2, 0, 0, 0][..], &entries].concat()
                }
                // Bus 2 is the second 256 drive numbers.
                [BMIC_READ, 0, 0, 0, 0, 0, IDENTIFY, 2, 0, 1] => identity(1, 2, 0),
                [BMIC_READ, 0, 1, 0, 0, 0, IDENTIFY, 2, 0, 1] => identity(2, 1, 0x14),
                _ => return Err(io::Error::other("status 1")),
            };
            answer.resize(bytes, 0);
            Ok(answer)
        }
    }

    #[test]
    fn disks_by_box_and_bay() {
        let end = Instant::now() + std::time::Duration::from_secs(60);
        let (found, left_out) = ask(&mut P440, end).unwrap();
        assert_eq!((found.len(), left_out), (2, 1));
        let first = &found[0];
        assert_eq!(
            (first.name.as_str(), first.bay.as_deref()),
            ("port 1I box 1 bay 1", Some("Bay 1"))
        );
        assert_eq!(
            (first.model.as_deref(), first.serial.as_deref()),
            (Some("HP EG0600FBVFP"), Some("S0M1ABCD0000M123"))
        );
        assert_eq!(
            (first.size_bytes, first.transport, first.rpm),
            (Some(1_172_123_568 * 512), Some(Transport::Sas), Some(10_000))
        );
        let passed = |disk: &DiskFacts| disk.health.as_ref().and_then(|health| health.passed);
        assert_eq!((passed(first), passed(&found[1])), (Some(true), Some(false)));
    }

    #[test]
    fn a_list_shorter_than_its_count_is_read_to_its_end() {
        assert!(list(&[0xff; 40]).is_empty());
        assert!(list(&[0, 0, 0xff, 0xff, 2, 0, 0, 0]).is_empty());
        assert_eq!(disk(&[0; IDENTITY_BYTES]), None);
        assert_eq!(disk(&[0; 3]), None);
    }
}
