//! Questions to a live disk by SG_IO. They read; nothing here can write (data only comes from the device).

use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::identity::{AtaIdentity, serial_page};

/// How long the kernel waits for one command, in milliseconds.
const COMMAND_MS: u32 = 3000;
const SG_DXFER_FROM_DEV: i32 = -3;

/// `struct sg_io_hdr` of linux/include/scsi/sg.h.
#[repr(C)]
struct SgIoHdr {
    interface_id: i32,
    dxfer_direction: i32,
    cmd_len: u8,
    mx_sb_len: u8,
    iovec_count: u16,
    dxfer_len: u32,
    dxferp: *mut u8,
    cmdp: *const u8,
    sbp: *mut u8,
    timeout: u32,
    flags: u32,
    pack_id: i32,
    usr_ptr: *mut u8,
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

nix::ioctl_readwrite_bad!(sg_io, 0x2285, SgIoHdr);

/// What the disk answered.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub ata: Option<AtaIdentity>,
    pub serial: Option<String>,
}

/// Asks by ATA IDENTIFY DEVICE and by INQUIRY, VPD page 80h.
///
/// # Errors
/// The device cannot be opened, or refuses SG_IO. A single command it does not know is an absent answer.
pub(super) fn ask(device: &Path, ata: bool, serial: bool) -> io::Result<Answer> {
    // O_NONBLOCK: a drive without a medium opens too.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_CLOEXEC)
        .open(device)?;
    let mut answer = Answer::default();
    if ata {
        // ATA PASS-THROUGH (16), SAT-4 12.2.2: PIO data-in, one 512-byte block counted in the sector field, command ECh.
        let mut command = [0_u8; 16];
        command[0] = 0x85;
        command[1] = 4 << 1;
        command[2] = 0x0e;
        command[6] = 1;
        command[14] = 0xec;
        answer.ata = read(&file, &command, 512)?
            .as_deref()
            .and_then(AtaIdentity::parse);
    }
    if serial {
        // INQUIRY with EVPD, page 80h, 252 bytes.
        answer.serial = read(&file, &[0x12, 1, 0x80, 0, 252, 0], 252)?
            .as_deref()
            .and_then(serial_page);
    }
    Ok(answer)
}

/// One command whose data comes from the device. None: the device answered with an error.
fn read(file: &std::fs::File, command: &[u8], length: u32) -> io::Result<Option<Vec<u8>>> {
    let mut data = vec![0_u8; length as usize];
    let mut sense = [0_u8; 64];
    let mut header = SgIoHdr {
        interface_id: i32::from(b'S'),
        dxfer_direction: SG_DXFER_FROM_DEV,
        cmd_len: command.len() as u8,
        mx_sb_len: sense.len() as u8,
        iovec_count: 0,
        dxfer_len: length,
        dxferp: data.as_mut_ptr(),
        cmdp: command.as_ptr(),
        sbp: sense.as_mut_ptr(),
        timeout: COMMAND_MS,
        flags: 0,
        pack_id: 0,
        usr_ptr: std::ptr::null_mut(),
        status: 0,
        masked_status: 0,
        msg_status: 0,
        sb_len_wr: 0,
        host_status: 0,
        driver_status: 0,
        resid: 0,
        duration: 0,
        info: 0,
    };
    // SAFETY: the header has the kernel's layout, and its three pointers are to buffers of the lengths it names, which
    // outlive the call; the direction is from the device only.
    unsafe { sg_io(file.as_raw_fd(), &mut header) }?;
    if header.status != 0 || header.host_status != 0 || header.driver_status & 0x0f != 0 {
        return Ok(None);
    }
    data.truncate(
        data.len()
            .saturating_sub(usize::try_from(header.resid).unwrap_or(0)),
    );
    Ok(Some(data))
}
