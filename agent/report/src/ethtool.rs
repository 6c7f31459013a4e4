//! What sysfs does not show about a live interface: permanent address, firmware version, pluggable module,
//! and whether the card handles LLDP itself. The only setting changed here is that one ([`lldp_to_host`]).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use inventory_api::Mac;
use inventory_api::report::{NicFacts, OpticFacts};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::parse::until_zero;
use super::{clean, optics};

// linux/ethtool.h
const ETHTOOL_GDRVINFO: u32 = 0x03;
const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GPERMADDR: u32 = 0x20;
const ETHTOOL_GPFLAGS: u32 = 0x27;
const ETHTOOL_SPFLAGS: u32 = 0x28;
const ETHTOOL_GMODULEINFO: u32 = 0x42;
const ETHTOOL_GMODULEEEPROM: u32 = 0x43;
const ETH_SS_PRIV_FLAGS: u32 = 2;
/// ETH_GSTRING_LEN.
const STRING_BYTES: usize = 32;
/// The flags are 32 bits.
const FLAGS: usize = 32;
/// IFNAMSIZ with its final zero.
const NAME_BYTES: usize = 16;

/// Drivers of cards that handle LLDP in firmware, their private flag for it, and its value when the host gets
/// the frames: Documentation/networking/device_drivers/ethernet/intel/i40e.rst and ice.rst.
const LLDP_FLAGS: [(&str, &str, bool); 2] =
    [("i40e", "disable-fw-lldp", true), ("ice", "fw-lldp-agent", false)];

/// `struct ifreq` with its pointer member; the union is 24 bytes.
#[repr(C)]
struct IfReq {
    name: [u8; NAME_BYTES],
    data: *mut u8,
    rest: [u8; 16],
}

#[repr(C)]
#[derive(Default)]
struct DrvInfo {
    cmd: u32,
    driver: [u8; 32],
    version: [u8; 32],
    fw_version: [u8; 32],
    bus_info: [u8; 32],
    erom_version: [u8; 32],
    reserved: [u8; 12],
    /// Counts: private flags, statistics, test results, EEPROM bytes, register bytes.
    counts: [u32; 5],
}

/// `struct ethtool_perm_addr` with space for the longest address (MAX_ADDR_LEN).
#[repr(C)]
struct PermAddr {
    cmd: u32,
    size: u32,
    data: [u8; 32],
}

/// `struct ethtool_gstrings` with space for the names of all flags.
#[repr(C)]
struct Strings {
    cmd: u32,
    set: u32,
    count: u32,
    data: [[u8; STRING_BYTES]; FLAGS],
}

#[repr(C)]
struct Value {
    cmd: u32,
    data: u32,
}

#[repr(C)]
#[derive(Default)]
struct ModuleInfo {
    cmd: u32,
    kind: u32,
    length: u32,
    reserved: [u32; 8],
}

/// `struct ethtool_eeprom` with space for the data read.
#[repr(C)]
struct Eeprom {
    cmd: u32,
    magic: u32,
    offset: u32,
    length: u32,
    data: [u8; optics::BYTES as usize],
}

nix::ioctl_readwrite_bad!(siocethtool, nix::libc::SIOCETHTOOL, IfReq);

/// One interface that answers ethtool's questions.
struct Interface {
    name: [u8; NAME_BYTES],
    socket: OwnedFd,
}

impl Interface {
    fn open(interface: &str) -> io::Result<Interface> {
        let mut name = [0; NAME_BYTES];
        if interface.len() >= NAME_BYTES {
            return Err(io::Error::other("name longer than 15 bytes"));
        }
        name[..interface.len()].copy_from_slice(interface.as_bytes());
        let (family, kind) = (AddressFamily::Inet, SockType::Datagram);
        let socket = socket(family, kind, SockFlag::SOCK_CLOEXEC, None)?;
        Ok(Interface { name, socket })
    }

    /// Passes one of the structures above to the kernel; its command says which it is. False if the driver
    /// does not support it.
    fn call<T>(&self, structure: &mut T) -> bool {
        let mut request = IfReq {
            name: self.name,
            data: std::ptr::from_mut(structure).cast(),
            rest: [0; 16],
        };
        // SAFETY: the request has the kernel's layout; the structure matches its command, has space for the
        // most that is requested, and outlives the call.
        unsafe { siocethtool(self.socket.as_raw_fd(), &mut request) }.is_ok()
    }

    fn driver(&self) -> Option<DrvInfo> {
        let mut info = DrvInfo {
            cmd: ETHTOOL_GDRVINFO,
            ..DrvInfo::default()
        };
        self.call(&mut info).then_some(info)
    }

    fn permanent_mac(&self) -> Option<Mac> {
        let mut address = PermAddr {
            cmd: ETHTOOL_GPERMADDR,
            size: 32,
            data: [0; 32],
        };
        if !self.call(&mut address) || address.size != 6 {
            return None;
        }
        let [a, b, c, d, e, f, ..] = address.data;
        Some(Mac([a, b, c, d, e, f])).filter(|mac| !mac.is_junk())
    }

    /// The bit of a private flag, and the current flags.
    fn flag(&self, wanted: &str, count: u32) -> Option<(u32, u32)> {
        // The kernel writes as many names as the driver has, regardless of the request.
        if !(1..=FLAGS as u32).contains(&count) {
            return None;
        }
        let mut names = Strings {
            cmd: ETHTOOL_GSTRINGS,
            set: ETH_SS_PRIV_FLAGS,
            count,
            data: [[0; STRING_BYTES]; FLAGS],
        };
        let mut flags = Value {
            cmd: ETHTOOL_GPFLAGS,
            data: 0,
        };
        let asked = self.call(&mut names) && self.call(&mut flags);
        let bit = names.data[..count as usize]
            .iter()
            .position(|name| text(name).as_deref() == Some(wanted))?;
        asked.then_some((1 << bit, flags.data))
    }

    fn optic(&self) -> Option<OpticFacts> {
        let mut info = ModuleInfo {
            cmd: ETHTOOL_GMODULEINFO,
            ..ModuleInfo::default()
        };
        if !self.call(&mut info) {
            return None;
        }
        let mut eeprom = Eeprom {
            cmd: ETHTOOL_GMODULEEEPROM,
            magic: 0,
            offset: 0,
            length: info.length.min(optics::BYTES),
            data: [0; optics::BYTES as usize],
        };
        self.call(&mut eeprom).then(|| optics::parse(&eeprom.data))?
    }
}

/// Adds what an interface's driver reports. An unsupported query leaves the fact absent.
///
/// # Errors
/// No socket, or an impossible interface name.
pub(super) fn add(nic: &mut NicFacts) -> io::Result<()> {
    let interface = Interface::open(&nic.name)?;
    nic.permanent_mac = interface.permanent_mac().or(nic.permanent_mac);
    nic.optic = interface.optic();
    let Some(info) = interface.driver() else {
        return Ok(());
    };
    let driver = text(&info.driver);
    nic.firmware = text(&info.fw_version);
    nic.lldp_in_firmware = driver.as_deref().and_then(lldp_flag).map(|(flag, free)| {
        // Without the flag (an old driver, or ice without its DDP package) the default applies.
        let state = interface.flag(flag, info.counts[0]);
        state.is_none_or(|(bit, flags)| (flags & bit != 0) != free)
    });
    nic.driver = nic.driver.take().or(driver);
    Ok(())
}

fn lldp_flag(driver: &str) -> Option<(&'static str, bool)> {
    let known = LLDP_FLAGS.iter().find(|(known, ..)| *known == driver);
    known.map(|(_, flag, free)| (*flag, *free))
}

/// Makes a card whose firmware handles LLDP leave it to the host. Only for the mini-os: on an installed
/// system this is the owner's choice. Returns what was done or why not; None if there was nothing to do.
pub fn lldp_to_host(interface: &str) -> Option<String> {
    let card = Interface::open(interface).ok()?;
    let info = card.driver()?;
    let (flag, free) = lldp_flag(&text(&info.driver)?)?;
    let Some((bit, flags)) = card.flag(flag, info.counts[0]) else {
        return Some(format!(
            "{interface}: the card handles LLDP itself, and its driver has no flag {flag} to change that"
        ));
    };
    let wanted = if free { flags | bit } else { flags & !bit };
    if wanted == flags {
        return None;
    }
    let mut set = Value {
        cmd: ETHTOOL_SPFLAGS,
        data: wanted,
    };
    Some(match card.call(&mut set) {
        true => format!(
            "{interface}: LLDP is left to the host ({flag} {})",
            if free { "on" } else { "off" }
        ),
        false => {
            format!("{interface}: the card handles LLDP itself and refuses to leave it to the host ({flag})")
        }
    })
}

fn text(bytes: &[u8]) -> Option<String> {
    clean::serial(&String::from_utf8_lossy(until_zero(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> NicFacts {
        NicFacts {
            name: name.to_owned(),
            ..NicFacts::default()
        }
    }

    #[test]
    fn the_layout_is_the_kernels() {
        assert_eq!(size_of::<DrvInfo>(), 196);
        assert_eq!(size_of::<IfReq>(), 40);
        assert_eq!((size_of::<Value>(), size_of::<ModuleInfo>()), (8, 44));
        assert_eq!(std::mem::offset_of!(Strings, data), 12);
        assert_eq!(std::mem::offset_of!(Eeprom, data), 16);
        assert!(add(&mut named("a-name-that-is-too-long")).is_err());
    }

    #[test]
    fn only_cards_that_swallow_lldp_frames_have_a_flag_to_change() {
        assert_eq!(lldp_flag("i40e"), Some(("disable-fw-lldp", true)));
        assert_eq!(lldp_flag("ice"), Some(("fw-lldp-agent", false)));
        assert_eq!(lldp_flag("ixgbe"), None);
        // Loopback has neither the flag nor a module.
        assert_eq!(lldp_to_host("lo"), None);
        let mut lo = named("lo");
        add(&mut lo).unwrap();
        assert_eq!(lo.optic, None);
    }
}
