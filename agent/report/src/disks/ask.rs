//! Queries to a live disk: SCSI and ATA commands through SG_IO, NVMe admin commands through ioctl. They are
//! read-only; data flows only from the device. The only action started here is a self-test
//! ([`super::self_test`]).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use inventory_api::report::{DiskHealth, Transport};

use super::super::parse::page_body;
use super::health::{ata, ata_logs, nvme, scsi};
use super::identity::{AtaIdentity, Capacity, READ_CAPACITY, serial_page};

/// The kernel's timeout per command, in milliseconds.
const COMMAND_MS: u32 = 3000;
const SG_DXFER_NONE: i32 = -1;
const SG_DXFER_FROM_DEV: i32 = -3;

/// `struct sg_io_hdr` of linux/include/scsi/sg.h, with addresses in place of its pointers.
#[repr(C)]
#[derive(Default)]
struct SgIoHdr {
    interface_id: i32,
    dxfer_direction: i32,
    cmd_len: u8,
    mx_sb_len: u8,
    iovec_count: u16,
    dxfer_len: u32,
    dxferp: usize,
    cmdp: usize,
    sbp: usize,
    timeout: u32,
    flags: u32,
    pack_id: i32,
    usr_ptr: usize,
    status: u8,
    masked_status: u8,
    msg_status: u8,
    sb_len_wr: u8,
    host_status: u16,
    driver_status: u16,
    resid: i32,
    duration: u32,
    info: u32,
}

/// `struct nvme_passthru_cmd` of linux/nvme_ioctl.h.
#[repr(C)]
#[derive(Default)]
struct NvmeCommand {
    opcode: u8,
    flags: u8,
    reserved: u16,
    namespace: u32,
    cdw2: u32,
    cdw3: u32,
    metadata: u64,
    address: u64,
    metadata_length: u32,
    length: u32,
    cdw10: u32,
    cdw11: u32,
    cdw12: u32,
    cdw13: u32,
    cdw14: u32,
    cdw15: u32,
    timeout_ms: u32,
    result: u32,
}

nix::ioctl_readwrite_bad!(sg_io, 0x2285, SgIoHdr);
nix::ioctl_readwrite!(nvme_admin, b'N', 0x41, NvmeCommand);

/// The command set of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    Ata,
    Scsi,
    Nvme,
}

impl Speaks {
    /// None if disks on this transport support none of these commands.
    pub fn of(transport: Transport) -> Option<Speaks> {
        match transport {
            Transport::Sata => Some(Speaks::Ata),
            Transport::Nvme => Some(Speaks::Nvme),
            Transport::Sas
            | Transport::Scsi
            | Transport::Usb
            | Transport::FibreChannel
            | Transport::Iscsi => Some(Speaks::Scsi),
            Transport::Virtio
            | Transport::Mmc
            | Transport::Sd
            | Transport::NvmeOf
            | Transport::Pmem
            | Transport::Unknown => None,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Questions {
    pub speaks: Speaks,
    /// ATA IDENTIFY DEVICE.
    pub identity: bool,
    /// INQUIRY, VPD page 80h.
    pub serial: bool,
    /// READ CAPACITY (16), because the kernel reports no size.
    pub capacity: bool,
    pub health: bool,
}

#[derive(Debug, Default)]
pub(super) struct Answer {
    pub ata: Option<AtaIdentity>,
    pub serial: Option<String>,
    pub capacity: Option<Capacity>,
    pub health: Option<DiskHealth>,
}

/// Runs the requested queries.
///
/// # Errors
/// The device cannot be opened, or refuses the ioctl. An unsupported command leaves its answer absent.
pub(super) fn ask(
    device: &Path,
    questions: &Questions,
    known: Option<AtaIdentity>,
    block: u64,
) -> io::Result<Answer> {
    let file = open(device)?;
    let mut answer = Answer::default();
    if questions.identity {
        let command = ata_command(PIO_IN, 0xec, 0, 1, 0);
        answer.ata = read(&file, &command, 512)?
            .as_deref()
            .and_then(AtaIdentity::parse);
    }
    if questions.serial {
        // INQUIRY with EVPD, page 80h, 252 bytes.
        answer.serial = read(&file, &[0x12, 1, 0x80, 0, 252, 0], 252)?
            .as_deref()
            .and_then(serial_page);
    }
    if questions.capacity {
        answer.capacity = read(&file, &READ_CAPACITY, 32)?
            .as_deref()
            .and_then(Capacity::parse);
    }
    if questions.health {
        answer.health = match questions.speaks {
            Speaks::Ata => ata_health(&file, answer.ata.as_ref().or(known.as_ref()), block)?,
            Speaks::Scsi => scsi_health(&file)?,
            Speaks::Nvme => nvme_health(&file)?,
        };
    }
    Ok(answer)
}

/// O_NONBLOCK also opens a drive without a medium.
pub(super) fn open(device: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_CLOEXEC)
        .open(device)
}

fn ata_health(file: &File, identity: Option<&AtaIdentity>, block: u64) -> io::Result<Option<DiskHealth>> {
    // SMART: command B0h with LBA C24Fxxh; D0h READ DATA, D1h READ THRESHOLDS, D5h READ LOG, DAh RETURN
    // STATUS.
    let Some(smart) = read(file, &smart_command(PIO_IN, 0xd0, 1, 0), 512)?
        .as_deref()
        .and_then(ata::Smart::parse)
    else {
        return Ok(None);
    };
    let model = identity.and_then(|identity| identity.model.as_deref());
    let mut health = smart.health(model.unwrap_or_default());
    let mut status = smart_command(NON_DATA, 0xda, 0, 0);
    // CK_COND: the registers are returned in the sense data.
    status[2] |= 0x20;
    health.passed = ata::return_status(&run(file, &status, 0)?.sense);
    if health.passed.is_none() {
        let thresholds = read(file, &smart_command(PIO_IN, 0xd1, 1, 0), 512)?;
        health.passed = thresholds.and_then(|thresholds| smart.passed(&thresholds));
    }
    if health.self_test.is_none() {
        let log = read(file, &smart_command(PIO_IN, 0xd5, 1, 6), 512)?;
        health.self_test = log.as_deref().and_then(ata_logs::self_test);
    }
    // An unsupported command is recorded in the disk's error log, so only advertised features are queried.
    if identity.is_some_and(|identity| identity.has_logs) {
        statistics(file, &mut health, block)?;
    }
    Ok(Some(health))
}

/// Device statistics: standardised values win over vendor attributes.
fn statistics(file: &File, health: &mut DiskHealth, block: u64) -> io::Result<()> {
    // READ LOG EXT: the log in LBA 7:0, its page in LBA 15:8.
    let page = |log: u8, page: u8| {
        let lba = u32::from(page) << 8 | u32::from(log);
        read(file, &ata_command(PIO_IN | EXTEND, 0x2f, 0, 1, lba), 512)
    };
    if !page(0, 0)?.is_some_and(|directory| ata_logs::has_statistics(&directory)) {
        return Ok(());
    }
    let Some(list) = page(4, 0)? else { return Ok(()) };
    let pages = ata_logs::statistics_pages(&list);
    if pages.contains(&1)
        && let Some(general) = page(4, 1)?.as_deref().map(ata_logs::general)
    {
        let bytes = |sectors: Option<u64>| sectors.and_then(|sectors| sectors.checked_mul(block));
        health.written_bytes = bytes(general.sectors_written).or(health.written_bytes);
        health.read_bytes = bytes(general.sectors_read).or(health.read_bytes);
        health.power_on_hours = general.power_on_hours.or(health.power_on_hours);
    }
    if pages.contains(&7)
        && let Some(used) = page(4, 7)?.as_deref().and_then(ata_logs::used_percent)
    {
        health.used_percent = Some(used);
    }
    Ok(())
}

fn scsi_health(file: &File) -> io::Result<Option<DiskHealth>> {
    let mut health = DiskHealth::default();
    // LOG SENSE, page 00h: the supported pages.
    let sense = |page: u8| read(file, &[0x4d, 0, 0x40 | page, 0, 0, 0, 0, 0x02, 0, 0], 512);
    let Some(list) = sense(0)? else { return Ok(None) };
    for page in scsi::PAGES {
        if page_body(&list).contains(&page)
            && let Some(data) = sense(page)?
        {
            scsi::add(page, &data, &mut health);
        }
    }
    // READ DEFECT DATA (10): the grown list in bytes-from-index format; its four-byte header has the total
    // length.
    let defects = run(file, &[0x37, 0, 0x08 | 0x04, 0, 0, 0, 0, 0, 4, 0], 4)?;
    if defects.well || defects.is_recovered() {
        health.reallocated_sectors = scsi::grown_defects(&defects.data);
    }
    Ok((health != DiskHealth::default()).then_some(health))
}

fn nvme_health(file: &File) -> io::Result<Option<DiskHealth>> {
    // Get Log Page (02h) for the whole controller: number of dwords minus one, then the log id.
    let log = |id: u32, length: u32| nvme_run(file, 0x02, u32::MAX, (length / 4 - 1) << 16 | id, length);
    let Some(mut health) = log(0x02, 512)?.as_deref().and_then(nvme::health) else {
        return Ok(None);
    };
    health.self_test = log(0x06, 564)?.as_deref().and_then(nvme::self_test);
    Ok(Some(health))
}

/// One NVMe admin command. None if the disk returned an error.
pub(super) fn nvme_command(file: &File, opcode: u8, namespace: u32, cdw10: u32) -> io::Result<bool> {
    Ok(nvme_run(file, opcode, namespace, cdw10, 0)?.is_some())
}

fn nvme_run(file: &File, opcode: u8, namespace: u32, cdw10: u32, length: u32) -> io::Result<Option<Vec<u8>>> {
    let mut data = vec![0_u8; length as usize];
    let mut command = NvmeCommand {
        opcode,
        namespace,
        address: if length == 0 { 0 } else { data.as_mut_ptr() as u64 },
        length,
        cdw10,
        timeout_ms: COMMAND_MS,
        ..NvmeCommand::default()
    };
    // SAFETY: the command has the kernel's layout; its address is that of a buffer of the stated length,
    // which outlives the call, and the opcodes used here only read.
    let status = unsafe { nvme_admin(file.as_raw_fd(), &mut command) }?;
    Ok((status == 0).then_some(data))
}

/// Protocols of ATA PASS-THROUGH (SAT-4, 12.2.2.3), shifted into place; bit 0 is for 48-bit commands.
const NON_DATA: u8 = 3 << 1;
const PIO_IN: u8 = 4 << 1;
const EXTEND: u8 = 1;

/// ATA PASS-THROUGH (16): the data length is in the count field, in 512-byte blocks; data comes from the
/// device.
fn ata_command(protocol: u8, command: u8, feature: u8, count: u8, lba: u32) -> [u8; 16] {
    let [low, middle, high, _] = lba.to_le_bytes();
    let mut out = [0_u8; 16];
    out[0] = 0x85;
    out[1] = protocol;
    out[2] = if protocol & !EXTEND == PIO_IN { 0x0e } else { 0 };
    out[4] = feature;
    out[6] = count;
    (out[8], out[10], out[12]) = (low, middle, high);
    out[14] = command;
    out
}

fn smart_command(protocol: u8, feature: u8, count: u8, low: u8) -> [u8; 16] {
    ata_command(protocol, 0xb0, feature, count, 0x00c2_4f00 | u32::from(low))
}

/// SMART EXECUTE OFF-LINE IMMEDIATE.
pub(super) fn ata_self_test(file: &File, test: u8) -> io::Result<bool> {
    command(file, &smart_command(NON_DATA, 0xd4, 0, test))
}

struct Done {
    well: bool,
    data: Vec<u8>,
    sense: Vec<u8>,
}

impl Done {
    /// Sense key 1 (SPC-6, 4.4): the data is valid; a disk with the list in another format returns this.
    fn is_recovered(&self) -> bool {
        match self.sense[..] {
            [0x72 | 0x73, key, ..] => key & 0xf == 1,
            [0x70 | 0x71, _, key, ..] => key & 0xf == 1,
            _ => false,
        }
    }
}

/// A command without data. False if the device returned an error.
pub(super) fn command(file: &File, command: &[u8]) -> io::Result<bool> {
    Ok(run(file, command, 0)?.well)
}

/// One command whose data comes from the device. None if the device returned an error.
fn read(file: &File, command: &[u8], length: u32) -> io::Result<Option<Vec<u8>>> {
    let done = run(file, command, length)?;
    Ok(done.well.then_some(done.data))
}

fn run(file: &File, command: &[u8], length: u32) -> io::Result<Done> {
    let mut data = vec![0_u8; length as usize];
    let mut sense = vec![0_u8; 64];
    let mut header = SgIoHdr {
        interface_id: i32::from(b'S'),
        dxfer_direction: if length == 0 {
            SG_DXFER_NONE
        } else {
            SG_DXFER_FROM_DEV
        },
        cmd_len: command.len() as u8,
        mx_sb_len: sense.len() as u8,
        dxfer_len: length,
        dxferp: data.as_mut_ptr() as usize,
        cmdp: command.as_ptr() as usize,
        sbp: sense.as_mut_ptr() as usize,
        timeout: COMMAND_MS,
        ..SgIoHdr::default()
    };
    // SAFETY: the header has the kernel's layout, and its three addresses are of buffers of the stated
    // lengths, which outlive the call; the direction is from the device or none.
    unsafe { sg_io(file.as_raw_fd(), &mut header) }?;
    let missing = usize::try_from(header.resid).unwrap_or(0);
    data.truncate(data.len().saturating_sub(missing));
    sense.truncate(usize::from(header.sb_len_wr));
    Ok(Done {
        well: header.status == 0 && header.host_status == 0 && header.driver_status & 0x0f == 0,
        data,
        sense,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layouts_are_the_kernels() {
        assert_eq!(size_of::<SgIoHdr>(), 88);
        assert_eq!(size_of::<NvmeCommand>(), 72);
    }

    #[test]
    fn commands_as_sat_has_them() {
        // As sent by smartctl (-r ioctl,2).
        assert_eq!(
            hex::encode(ata_command(PIO_IN, 0xec, 0, 1, 0)),
            "85080e00000001000000000000 00ec00".replace(' ', "")
        );
        assert_eq!(
            hex::encode(smart_command(PIO_IN, 0xd0, 1, 0)),
            "85080e00d000010000004f00c200b000"
        );
        assert_eq!(
            hex::encode(smart_command(PIO_IN, 0xd5, 1, 6)),
            "85080e00d500010006004f00c200b000"
        );
        assert_eq!(
            hex::encode(ata_command(PIO_IN | EXTEND, 0x2f, 0, 1, 0x0704)),
            "85090e000000010004000700000 02f00".replace(' ', "")
        );
    }
}
