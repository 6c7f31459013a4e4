//! The two questions to a live interface that sysfs does not answer: permanent address and firmware version.

use std::io;
use std::os::fd::AsRawFd;

use inventory_api::Mac;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::clean;

const ETHTOOL_GDRVINFO: u32 = 0x03;
const ETHTOOL_GPERMADDR: u32 = 0x20;
/// IFNAMSIZ with its final zero.
const NAME_BYTES: usize = 16;

/// `struct ifreq` with its pointer member; the union is 24 bytes.
#[repr(C)]
struct IfReq {
    name: [u8; NAME_BYTES],
    data: *mut u8,
    rest: [u8; 16],
}

/// `struct ethtool_drvinfo`.
#[repr(C)]
struct DrvInfo {
    cmd: u32,
    driver: [u8; 32],
    version: [u8; 32],
    fw_version: [u8; 32],
    bus_info: [u8; 32],
    erom_version: [u8; 32],
    reserved: [u8; 12],
    counts: [u32; 5],
}

/// `struct ethtool_perm_addr` with room for the longest address (MAX_ADDR_LEN).
#[repr(C)]
struct PermAddr {
    cmd: u32,
    size: u32,
    data: [u8; 32],
}

nix::ioctl_readwrite_bad!(siocethtool, nix::libc::SIOCETHTOOL, IfReq);

/// What the driver told.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub driver: Option<String>,
    pub firmware: Option<String>,
    pub permanent_mac: Option<Mac>,
}

/// Asks the driver of an interface. A driver that does not answer a question is an absent fact.
///
/// # Errors
/// No socket, or a name that no interface can have.
pub(super) fn ask(interface: &str) -> io::Result<Told> {
    let mut name = [0; NAME_BYTES];
    if interface.len() >= NAME_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "name longer than 15 bytes",
        ));
    }
    name[..interface.len()].copy_from_slice(interface.as_bytes());
    let socket = socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;

    let call = |data: *mut u8| {
        let mut request = IfReq {
            name,
            data,
            rest: [0; 16],
        };
        // SAFETY: the request has the kernel's layout; `data` is one of the two structures below, whose command tells the
        // kernel which, and both outlive the call.
        unsafe { siocethtool(socket.as_raw_fd(), &mut request) }.is_ok()
    };
    let mut info = DrvInfo {
        cmd: ETHTOOL_GDRVINFO,
        driver: [0; 32],
        version: [0; 32],
        fw_version: [0; 32],
        bus_info: [0; 32],
        erom_version: [0; 32],
        reserved: [0; 12],
        counts: [0; 5],
    };
    let mut told = Told::default();
    if call((&raw mut info).cast()) {
        told.driver = text(&info.driver);
        told.firmware = text(&info.fw_version);
    }
    let mut address = PermAddr {
        cmd: ETHTOOL_GPERMADDR,
        size: 32,
        data: [0; 32],
    };
    if call((&raw mut address).cast()) && address.size == 6 {
        let [a, b, c, d, e, f, ..] = address.data;
        told.permanent_mac = Some(Mac([a, b, c, d, e, f])).filter(|mac| !mac.is_junk());
    }
    Ok(told)
}

fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    clean::serial(&String::from_utf8_lossy(&bytes[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_the_kernels() {
        assert_eq!(size_of::<DrvInfo>(), 196);
        assert_eq!(size_of::<IfReq>(), 40);
        assert!(ask("a-name-that-is-too-long").is_err());
    }
}
