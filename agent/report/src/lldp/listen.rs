//! The listener: one packet socket for all interfaces, in its own thread for the life of the process, so that
//! frames (one every 30 s by the standard) are received while other work goes on.
//!
//! The firmware of some cards swallows the frames until told otherwise: `ethtool::lldp_to_host`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use inventory_api::report::LldpNeighbour;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::time::{TimeVal, TimeValLike as _};

use super::super::roots::{Roots, names, number};
use super::frame;

/// EtherType of LLDP.
const ETH_P_LLDP: u16 = 0x88cc;
/// The three group addresses of LLDP (802.1AB, table 7-1): nearest bridge, non-TPMR bridge, customer bridge.
const GROUPS: [[u8; 6]; 3] = [
    [1, 0x80, 0xc2, 0, 0, 0x0e],
    [1, 0x80, 0xc2, 0, 0, 3],
    [1, 0x80, 0xc2, 0, 0, 0],
];
/// Interval of the search for new interfaces.
const REJOIN: Duration = Duration::from_secs(2);
/// Maximum number of interfaces and neighbours.
const INTERFACE_LIMIT: usize = 512;

#[derive(Default)]
struct Neighbours {
    /// Interface number to neighbour and expiry.
    heard: Mutex<BTreeMap<i32, (LldpNeighbour, Instant)>>,
    news: Condvar,
}

static NEIGHBOURS: OnceLock<Result<Neighbours, String>> = OnceLock::new();

/// Starts listening on every physical interface of this system, once per process; later calls do nothing. An
/// interface must be up to receive anything.
///
/// # Errors
/// No packet socket (not root, or no kernel support), or no thread. Returned again by every call.
pub fn listen() -> Result<(), String> {
    let mut start = None;
    let state = NEIGHBOURS.get_or_init(|| {
        start = Some(socket().map_err(|e| format!("packet socket for LLDP: {e}"))?);
        Ok(Neighbours::default())
    });
    let neighbours = state.as_ref().map_err(Clone::clone)?;
    if let Some(socket) = start.take() {
        std::thread::Builder::new()
            .name("lldp".to_owned())
            .spawn(move || run(socket, neighbours))
            .map_err(|e| format!("starting the LLDP thread: {e}"))?;
    }
    Ok(())
}

/// The neighbour of this interface, if it was received and has not expired.
pub(crate) fn neighbour(interface: i32) -> Option<LldpNeighbour> {
    let neighbours = NEIGHBOURS.get()?.as_ref().ok()?;
    let heard = neighbours.heard.lock().unwrap_or_else(PoisonError::into_inner);
    heard
        .get(&interface)
        .filter(|(_, until)| *until > Instant::now())
        .map(|(neighbour, _)| neighbour.clone())
}

/// Waits until each of these interfaces has a neighbour, at most until `deadline`.
pub(crate) fn wait(interfaces: &[i32], deadline: Instant) {
    let Some(Ok(neighbours)) = NEIGHBOURS.get() else {
        return;
    };
    let mut heard = neighbours.heard.lock().unwrap_or_else(PoisonError::into_inner);
    while !interfaces.iter().all(|interface| heard.contains_key(interface)) {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        heard = neighbours
            .news
            .wait_timeout(heard, left)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
    }
}

fn run(socket: OwnedFd, neighbours: &Neighbours) {
    let mut socket = File::from(socket);
    let mut joined = BTreeSet::new();
    let mut frame = vec![0; 2048];
    let mut look = Instant::now();
    loop {
        if look <= Instant::now() {
            join_all(&socket, &mut joined);
            look = Instant::now() + REJOIN;
        }
        match receive(&mut socket, &mut frame) {
            Ok(Some((interface, length))) => {
                if let Some(heard) = frame::parse(&frame[..length]) {
                    note(neighbours, interface, heard);
                }
            }
            Ok(None) => {}
            // An interface going down is reported once. Other errors repeat at once; do not spin on them.
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

fn note(neighbours: &Neighbours, interface: i32, heard: frame::Heard) {
    let mut all = neighbours.heard.lock().unwrap_or_else(PoisonError::into_inner);
    if heard.lifetime.is_zero() {
        all.remove(&interface);
    } else if all.len() < INTERFACE_LIMIT || all.contains_key(&interface) {
        all.insert(interface, (heard.neighbour, Instant::now() + heard.lifetime));
        neighbours.news.notify_all();
    }
}

/// A packet socket for LLDP without the Ethernet header, with a receive timeout of a second.
fn socket() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
    // SAFETY: no pointers.
    let fd = Errno::result(unsafe { libc::socket(libc::AF_PACKET, kind, i32::from(ETH_P_LLDP.to_be())) })?;
    // SAFETY: the descriptor was just created and has no other owner.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    setsockopt(&socket, ReceiveTimeout, &TimeVal::seconds(1))?;
    // Under a bond, report the port, not the bond.
    let _ = set(&socket, libc::SOL_PACKET, PACKET_ORIGDEV, &1_i32);
    Ok(socket)
}

/// linux/if_packet.h; not in libc for musl.
const PACKET_ORIGDEV: libc::c_int = 9;

fn set<T>(socket: &impl AsRawFd, level: libc::c_int, name: libc::c_int, value: &T) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    // SAFETY: the pointer and the length are those of `value`, which outlives the call.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            std::ptr::from_ref(value).cast(),
            length,
        )
    };
    Errno::result(set)?;
    Ok(())
}

/// `struct packet_mreq`.
#[repr(C)]
struct Membership {
    interface: libc::c_int,
    kind: libc::c_ushort,
    length: libc::c_ushort,
    address: [u8; 8],
}

/// Joins the groups on new interfaces. A failure is retried.
fn join_all(socket: &File, joined: &mut BTreeSet<i32>) {
    let roots = Roots::live();
    let folder = roots.sys("class/net");
    for name in names(&folder).iter().take(INTERFACE_LIMIT) {
        if !folder.join(name).join("device").exists() {
            continue;
        }
        let Some(interface) = number(&folder.join(name).join("ifindex")) else {
            continue;
        };
        if joined.contains(&interface) || joined.len() > 8 * INTERFACE_LIMIT {
            continue;
        }
        if GROUPS.iter().all(|group| join(socket, interface, *group).is_ok()) {
            joined.insert(interface);
        }
    }
}

fn join(socket: &impl AsRawFd, interface: i32, group: [u8; 6]) -> io::Result<()> {
    let mut address = [0; 8];
    address[..6].copy_from_slice(&group);
    let membership = Membership {
        interface,
        kind: libc::PACKET_MR_MULTICAST as libc::c_ushort,
        length: 6,
        address,
    };
    set(socket, libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &membership)
}

/// The next frame: its interface and length. None if none arrived within a second.
fn receive(socket: &mut File, frame: &mut [u8]) -> io::Result<Option<(i32, usize)>> {
    // SAFETY: all zeros is a value of this plain structure.
    let mut from: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    let mut length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: buffer and address have the stated lengths and outlive the call.
    let received = unsafe {
        libc::recvfrom(
            socket.as_raw_fd(),
            frame.as_mut_ptr().cast(),
            frame.len(),
            0,
            (&raw mut from).cast(),
            &raw mut length,
        )
    };
    match usize::try_from(received) {
        Ok(_) if from.sll_pkttype == libc::PACKET_OUTGOING => Ok(None),
        Ok(received) => Ok(Some((from.sll_ifindex, received.min(frame.len())))),
        Err(_) => match io::Error::last_os_error() {
            e if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
            e => Err(e),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_is_kept_until_it_says_good_bye() {
        let neighbours = Neighbours::default();
        let heard = |port: &str, seconds| frame::Heard {
            neighbour: LldpNeighbour {
                port: Some(port.to_owned()),
                ..LldpNeighbour::default()
            },
            lifetime: Duration::from_secs(seconds),
        };
        let port = || {
            let heard = neighbours.heard.lock().unwrap();
            heard.get(&7).and_then(|(neighbour, _)| neighbour.port.clone())
        };
        note(&neighbours, 7, heard("Ethernet1/7", 120));
        assert_eq!(port().as_deref(), Some("Ethernet1/7"));
        note(&neighbours, 7, heard("Ethernet1/8", 120));
        assert_eq!(port().as_deref(), Some("Ethernet1/8"));
        note(&neighbours, 7, heard("Ethernet1/8", 0));
        assert_eq!(port(), None);
        for interface in 0..2 * INTERFACE_LIMIT as i32 {
            note(&neighbours, interface, heard("x", 120));
        }
        assert_eq!(neighbours.heard.lock().unwrap().len(), INTERFACE_LIMIT);
    }

    #[test]
    fn the_layout_is_the_kernels() {
        assert_eq!(size_of::<Membership>(), 16);
    }
}
