//! LSI/Broadcom MegaRAID (Dell PERC, Lenovo ThinkSystem RAID, Cisco, Intel): MFI commands through the
//! driver's management device. Layouts: linux/drivers/scsi/megaraid/megaraid_sas.h and FreeBSD
//! sys/dev/mfi/mfireg.h. There is no crate for it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Instant;

use inventory_api::report::{DiskFacts, DiskHealth, Transport};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use super::super::clean::ascii;
use super::super::disks::identity::{
    AtaIdentity, Capacity, READ_CAPACITY, Rotation, naming_page, rotation_page, serial_page,
};
use super::super::parse::little_endian;
use super::super::roots::{Roots, attribute};
use super::{LIST_BYTES, ask_each, entries};

const FRAME_BYTES: usize = 128;
const SGE_LIMIT: usize = 16;
const PD_SCSI_IO: u8 = 0x04;
const DCMD: u8 = 0x05;
const DIRECTION_READ: u8 = 0x10;
const PD_GET_LIST: u32 = 0x0201_0000;
const PD_GET_INFO: u32 = 0x0202_0000;
const INFO_BYTES: usize = 512;
/// The disk is not in an enclosure.
const NO_ENCLOSURE: u16 = 0xffff;

/// `struct megasas_iocpacket`.
#[repr(C, packed)]
struct Packet {
    host: u16,
    pad: u16,
    sgl_offset: u32,
    sge_count: u32,
    sense_offset: u32,
    sense_length: u32,
    frame: [u8; FRAME_BYTES],
    sgl: [nix::libc::iovec; SGE_LIMIT],
}

nix::ioctl_readwrite!(megasas_firmware, b'M', 1, Packet);

/// The firmware of one controller.
trait Firmware {
    /// A command to the controller itself.
    fn command(&mut self, opcode: u32, mailbox: [u8; 2], bytes: usize) -> io::Result<Vec<u8>>;

    /// A SCSI command to a disk behind it.
    fn scsi(&mut self, disk: u16, cdb: &[u8], bytes: usize) -> io::Result<Vec<u8>>;
}

struct Controller {
    device: File,
    host: u16,
}

/// The disks of a controller, and how many listed ones did not answer. `host`: "host0".
pub(super) fn disks(roots: &Roots, host: &str, end: Instant) -> io::Result<(Vec<DiskFacts>, usize)> {
    let number = host.strip_prefix("host").and_then(|n| n.parse().ok());
    let mut controller = Controller {
        device: open(roots)?,
        host: number.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not a SCSI host"))?,
    };
    ask(&mut controller, end)
}

fn ask(firmware: &mut impl Firmware, end: Instant) -> io::Result<(Vec<DiskFacts>, usize)> {
    let list = list(&firmware.command(PD_GET_LIST, [0; 2], LIST_BYTES)?);
    Ok(ask_each(&list, end, |id| {
        let info = firmware.command(PD_GET_INFO, id.to_le_bytes(), INFO_BYTES);
        let mut disk = disk(&info.ok()?)?;
        // INQUIRY with EVPD: 80h serial number, 89h ATA identity, B1h rotation; READ CAPACITY (16).
        let mut page = |number: u8, bytes: u16| {
            let [high, low] = bytes.to_be_bytes();
            firmware
                .scsi(*id, &[0x12, 1, number, high, low, 0], bytes.into())
                .ok()
        };
        disk.serial = page(0x80, 252).as_deref().and_then(serial_page).or(disk.serial);
        if let Some(ata) = page(0x89, 572).as_deref().and_then(AtaIdentity::from_page) {
            disk.model = ata.model.or(disk.model);
            disk.serial = ata.serial.or(disk.serial);
            disk.firmware = ata.firmware.or(disk.firmware);
            disk.wwn = ata.wwn.or(disk.wwn);
        }
        match page(0xb1, 64).as_deref().and_then(rotation_page) {
            Some(Rotation::Spins(rpm)) => (disk.rotational, disk.rpm) = (Some(true), Some(rpm.into())),
            Some(Rotation::Solid) => disk.rotational = Some(false),
            Some(Rotation::NotReported) | None => {}
        }
        let capacity = firmware.scsi(*id, &READ_CAPACITY, 32);
        if let Some(capacity) = capacity.ok().as_deref().and_then(Capacity::parse) {
            disk.size_bytes = capacity.bytes().or(disk.size_bytes);
            disk.logical_block_bytes = Some(capacity.block_bytes);
        }
        Some(disk)
    }))
}

/// MR_PD_LIST: the device numbers of disks (SCSI type 0), in list order.
pub(super) fn list(answer: &[u8]) -> Vec<u16> {
    let count = little_endian(answer.get(4..8).unwrap_or_default());
    entries(answer, count as usize)
        .filter(|entry| entry[6] == 0)
        .map(|entry| u16::from_le_bytes([entry[0], entry[1]]))
        .collect()
}

/// MR_PD_INFO. None: too short.
pub(super) fn disk(info: &[u8]) -> Option<DiskFacts> {
    let info = info.get(..INFO_BYTES)?;
    let word = |at: usize| u16::from_le_bytes([info[at], info[at + 1]]);
    let dword = |at: usize| little_endian(&info[at..at + 4]);
    let inquiry = &info[4..100];
    let (vendor, product) = (ascii(&inquiry[8..16]), ascii(&inquiry[16..32]));
    let slot = info[259];
    let shelf = (word(256) != NO_ENCLOSURE).then(|| format!("enclosure {}", word(256)));
    // MR_PD_STATE: 01h unconfigured bad, 11h failed.
    let failed = matches!(word(184), 0x01 | 0x11);
    let raw_blocks = little_endian(&info[232..240]);
    Some(DiskFacts {
        name: match &shelf {
            Some(shelf) => format!("{shelf} slot {slot}"),
            None => format!("slot {slot}"),
        },
        bay: Some(format!("Slot {slot}")),
        shelf,
        model: match (vendor.as_deref(), product) {
            (Some("ATA" | "NVMe") | None, product) => product,
            (Some(vendor), Some(product)) => Some(format!("{vendor} {product}")),
            (Some(_), None) => vendor,
        },
        firmware: ascii(&inquiry[32..36]),
        wwn: naming_page(&info[100..164]),
        // Blocks of 512 bytes; READ CAPACITY is preferred if it is answered.
        size_bytes: raw_blocks.checked_mul(512).filter(|bytes| *bytes > 0),
        transport: match info[189] >> 4 {
            1 => Some(Transport::Scsi),
            2 => Some(Transport::Sas),
            3 => Some(Transport::Sata),
            4 => Some(Transport::FibreChannel),
            5 => Some(Transport::Nvme),
            _ => None,
        },
        health: Some(DiskHealth {
            passed: Some(!failed && dword(176) == 0),
            // Media errors.
            uncorrectable_errors: Some(dword(168)),
            ..DiskHealth::default()
        }),
        ..DiskFacts::default()
    })
}

/// The driver creates no device file, so it is created here, as the vendor tools do.
fn open(roots: &Roots) -> io::Result<File> {
    let path = roots.dev("megaraid_sas_ioctl_node");
    if !path.exists() {
        make_node(roots, &path)?;
    }
    OpenOptions::new().read(true).write(true).open(&path)
}

fn make_node(roots: &Roots, path: &Path) -> io::Result<()> {
    let devices = attribute(&roots.proc("devices")).unwrap_or_default();
    let number = |line: &str| line.strip_suffix("megaraid_sas_ioctl")?.trim().parse().ok();
    let major = devices.lines().find_map(number);
    let major = major
        .ok_or_else(|| io::Error::other("/proc/devices: the driver has no device megaraid_sas_ioctl"))?;
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    Ok(mknod(path, SFlag::S_IFCHR, mode, makedev(major, 0))?)
}

impl Controller {
    /// Sends a frame whose answer is at most `bytes` long; its buffer list is at `sgl_offset`.
    fn send(&mut self, mut frame: [u8; FRAME_BYTES], sgl_offset: u8, bytes: usize) -> io::Result<Vec<u8>> {
        let mut answer = vec![0_u8; bytes];
        // One buffer and its length; the initial status is "not completed".
        (frame[2], frame[7]) = (0xff, 1);
        frame[0x10] = DIRECTION_READ;
        // At the same place in both kinds of frames.
        frame[0x14..0x18].copy_from_slice(&(bytes as u32).to_le_bytes());
        let mut packet = Packet {
            host: self.host,
            pad: 0,
            sgl_offset: sgl_offset.into(),
            sge_count: 1,
            sense_offset: 0,
            sense_length: 0,
            frame,
            // Only the first is used.
            sgl: [nix::libc::iovec {
                iov_base: answer.as_mut_ptr().cast(),
                iov_len: bytes,
            }; SGE_LIMIT],
        };
        // SAFETY: the packet has the driver's layout; its one buffer has the stated length and outlives the
        // call.
        unsafe { megasas_firmware(self.device.as_raw_fd(), &mut packet) }?;
        match packet.frame[2] {
            0 => Ok(answer),
            status => Err(io::Error::other(format!(
                "the firmware answers status {status:02x}h"
            ))),
        }
    }
}

impl Firmware for Controller {
    fn command(&mut self, opcode: u32, mailbox: [u8; 2], bytes: usize) -> io::Result<Vec<u8>> {
        let mut frame = [0; FRAME_BYTES];
        frame[0] = DCMD;
        frame[0x18..0x1c].copy_from_slice(&opcode.to_le_bytes());
        frame[0x1c..0x1e].copy_from_slice(&mailbox);
        self.send(frame, 0x28, bytes)
    }

    fn scsi(&mut self, disk: u16, cdb: &[u8], bytes: usize) -> io::Result<Vec<u8>> {
        let mut frame = [0; FRAME_BYTES];
        frame[0] = PD_SCSI_IO;
        frame[4] =
            u8::try_from(disk).map_err(|_| io::Error::other(format!("device number {disk} is above 255")))?;
        frame[6] = cdb.len() as u8;
        frame[0x20..0x20 + cdb.len()].copy_from_slice(cdb);
        self.send(frame, 0x30, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::LIST_ENTRY;
    use super::*;

    #[test]
    fn the_layout_is_the_kernels() {
        assert_eq!(
            (size_of::<Packet>(), std::mem::offset_of!(Packet, sgl)),
            (404, 148)
        );
    }

    /// A PERC with a SAS disk in enclosure 32, a SATA disk that failed, an enclosure, and a disk that does
    /// not answer.
    struct Perc;

    fn info(id: u8, slot: u8, inquiry: &str, interface: u8, state: u8) -> Vec<u8> {
        let mut info = vec![0; INFO_BYTES];
        info[0] = id;
        info[12..12 + inquiry.len()].copy_from_slice(inquiry.as_bytes());
        info[100..112].copy_from_slice(&[0, 0x83, 0, 12, 1, 3, 0, 8, 0x50, 0, 0xc5, 0]);
        info[112..116].copy_from_slice(&[0xa1, 0xb2, 0xc3, id]);
        info[168] = 7;
        info[184] = state;
        info[189] = interface << 4;
        info[232..236].copy_from_slice(&1_172_123_568_u32.to_le_bytes());
        info[256] = 32;
        info[259] = slot;
        info
    }

    impl Firmware for Perc {
        fn command(&mut self, opcode: u32, mailbox: [u8; 2], bytes: usize) -> io::Result<Vec<u8>> {
            let mut answer = match (opcode, mailbox) {
                (PD_GET_LIST, _) => {
                    let entry = |id: u8, kind: u8| {
                        let mut entry = [0; LIST_ENTRY];
                        (entry[0], entry[6]) = (id, kind);
                        entry
                    };
                    let entries = [entry(0, 0), entry(1, 0), entry(32, 13), entry(2, 0)].concat();
                    [&[104, 0, 0, 0, 4, 0, 0, 0][..], &entries].concat()
                }
                (PD_GET_INFO, [0, 0]) => info(0, 0, "SEAGATE ST600MM0088     TT31", 2, 0x18),
                (PD_GET_INFO, [1, 0]) => info(1, 1, "ATA     INTEL SSDSC2BB480131", 3, 0x11),
                _ => return Err(io::Error::other("status 0ch")),
            };
            answer.resize(bytes, 0);
            Ok(answer)
        }

        fn scsi(&mut self, disk: u16, cdb: &[u8], _: usize) -> io::Result<Vec<u8>> {
            match (disk, cdb) {
                (0, [0x12, 1, 0x80, ..]) => Ok([&[0, 0x80, 0, 8][..], b"W0M0ABCD"].concat()),
                (0, [0x12, 1, 0xb1, ..]) => Ok(vec![0, 0xb1, 0, 4, 0x27, 0x10, 0, 0]),
                (0, [0x9e, 0x10, ..]) => {
                    let mut answer = 146_515_445_u64.to_be_bytes().to_vec();
                    answer.extend(4096_u32.to_be_bytes());
                    answer.resize(32, 0);
                    Ok(answer)
                }
                _ => Err(io::Error::other("status 2dh")),
            }
        }
    }

    #[test]
    fn disks_by_enclosure_and_slot() {
        let end = Instant::now() + std::time::Duration::from_secs(60);
        let (found, left_out) = ask(&mut Perc, end).unwrap();
        assert_eq!((found.len(), left_out), (2, 1));
        let sas = &found[0];
        assert_eq!(
            (sas.name.as_str(), sas.bay.as_deref()),
            ("enclosure 32 slot 0", Some("Slot 0"))
        );
        assert_eq!(
            (sas.model.as_deref(), sas.serial.as_deref()),
            (Some("SEAGATE ST600MM0088"), Some("W0M0ABCD"))
        );
        assert_eq!(
            (sas.size_bytes, sas.logical_block_bytes),
            (Some(146_515_446 * 4096), Some(4096))
        );
        assert_eq!((sas.transport, sas.rpm), (Some(Transport::Sas), Some(10_000)));
        assert_eq!(sas.wwn.as_deref(), Some("naa.5000c500a1b2c300"));
        assert_eq!(sas.health.as_ref().and_then(|health| health.passed), Some(true));
        let sata = &found[1];
        assert_eq!(
            (sata.model.as_deref(), sata.firmware.as_deref()),
            (Some("INTEL SSDSC2BB48"), Some("0131"))
        );
        assert_eq!(
            (sata.size_bytes, sata.transport),
            (Some(1_172_123_568 * 512), Some(Transport::Sata))
        );
        let health = sata.health.as_ref().unwrap();
        assert_eq!(
            (health.passed, health.uncorrectable_errors),
            (Some(false), Some(7))
        );
    }

    #[test]
    fn a_list_shorter_than_its_count_is_read_to_its_end() {
        assert!(list(&[0xff; 40]).is_empty());
        assert!(list(&[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]).is_empty());
        assert!(list(&[]).is_empty());
        assert_eq!(disk(&[0; INFO_BYTES - 1]), None);
    }
}
