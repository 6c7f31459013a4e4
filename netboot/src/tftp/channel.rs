//! A transfer's socket: connected to the client, sending many blocks with one system call where the kernel can.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use netboot_protocol::tftp::packet::data_head;
use netboot_protocol::tftp::{Limits, Transfer};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, MsgFlags, getsockopt, sendmsg, sockopt};

/// Most datagrams of one call (the kernel's UDP_MAX_SEGMENTS, 64 until Linux 6.9) and their bytes together.
const SEGMENTS: u64 = 64;
const BATCH_BYTES: u64 = 65_000;
/// A path of which the kernel tells nothing is taken for Ethernet.
const ETHERNET: u32 = 1500;
/// Longest wait for room in the socket's buffer.
const LONGEST_SEND: Duration = Duration::from_secs(1);
/// Least limit that is set: 0 would be none at all.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// Whether datagrams are handed to the kernel in batches (UDP GSO). Not every kernel and device takes them; what one
/// transfer finds out counts for all.
#[derive(Clone, Default)]
pub(super) struct Batches(Arc<AtomicBool>);

impl Batches {
    fn refused(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A socket for one transfer. It blocks, with a limit on how long.
pub(super) struct Channel {
    socket: UdpSocket,
    batches: Batches,
    /// What the socket's limit is now.
    waits: Duration,
}

impl Channel {
    /// Opens one on the address that the client asked.
    pub(super) fn open(local: IpAddr, client: SocketAddr, batches: &Batches) -> io::Result<Channel> {
        let socket = UdpSocket::bind((local, 0))?;
        socket.connect(client)?;
        socket.set_write_timeout(Some(LONGEST_SEND))?;
        Ok(Channel {
            socket,
            batches: batches.clone(),
            waits: Duration::ZERO,
        })
    }

    /// What fits the path to the client.
    pub(super) fn limits(&self) -> Limits {
        let v6 = self.socket.peer_addr().is_ok_and(|peer| peer.is_ipv6());
        let told = if v6 {
            mtu_v6(&self.socket)
        } else {
            getsockopt(&self.socket, sockopt::IpMtu).ok()
        };
        let mtu = told.and_then(|mtu| u32::try_from(mtu).ok()).unwrap_or(ETHERNET);
        Limits::for_mtu(mtu, v6)
    }

    /// The next datagram; [`io::ErrorKind::WouldBlock`]: none came within about `limit`.
    pub(super) fn receive(&mut self, buffer: &mut [u8], limit: Duration) -> io::Result<usize> {
        // The limit is a system call of its own: it is changed when it is much off, and the caller looks at its clock.
        if self.waits < limit || self.waits > limit * 2 {
            self.waits = (limit + limit / 4).max(SHORTEST_WAIT);
            self.socket.set_read_timeout(Some(self.waits))?;
        }
        self.socket.recv(buffer)
    }

    /// Sends one packet.
    pub(super) fn send(&self, packet: &[u8]) -> io::Result<()> {
        self.socket.send(packet).map(drop)
    }

    /// Sends blocks as DATA packets, from the first to the last.
    pub(super) fn send_blocks(
        &self,
        transfer: &Transfer,
        file: &Bytes,
        first: u64,
        last: u64,
    ) -> io::Result<()> {
        let size = 4 + transfer.block();
        let mut next = first;
        while next <= last {
            let most = if self.batches.refused() {
                1
            } else {
                (BATCH_BYTES / size).clamp(1, SEGMENTS)
            };
            let end = last.min(next + most - 1);
            match self.batch(transfer, file, next, end, size as u16) {
                Ok(()) => next = end + 1,
                // EIO: the device makes no checksums; EINVAL: an old kernel, or the path's MTU fell.
                Err(error @ (Errno::EIO | Errno::EINVAL | Errno::EOPNOTSUPP)) if end > next => {
                    tracing::info!(%error, "tftp: no batches of datagrams here, sending one by one");
                    self.batches.0.store(true, Ordering::Relaxed);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn batch(&self, transfer: &Transfer, file: &Bytes, first: u64, last: u64, size: u16) -> nix::Result<()> {
        let part = |block| {
            let range = transfer.bytes_of(block);
            &file[range.start as usize..range.end as usize]
        };
        let (fd, flags) = (self.socket.as_raw_fd(), MsgFlags::empty());
        if first == last {
            let head = data_head(first);
            let slices = [IoSlice::new(&head), IoSlice::new(part(first))];
            sendmsg::<()>(fd, &slices, &[], flags, None).map(drop)
        } else {
            let heads: Vec<[u8; 4]> = (first..=last).map(data_head).collect();
            let slices: Vec<IoSlice<'_>> = heads
                .iter()
                .zip(first..=last)
                .flat_map(|(head, block)| [IoSlice::new(head), IoSlice::new(part(block))])
                .collect();
            let batch = [ControlMessage::UdpGsoSegments(&size)];
            sendmsg::<()>(fd, &slices, &batch, flags, None).map(drop)
        }
    }
}

/// The path's MTU of a connected IPv6 socket; nix has it for IPv4 only.
fn mtu_v6(socket: &UdpSocket) -> Option<i32> {
    use nix::libc;
    let mut mtu: libc::c_int = 0;
    let mut size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `size` bytes to `mtu`, which is that large, and both outlive the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IPV6,
            libc::IPV6_MTU,
            (&raw mut mtu).cast(),
            &mut size,
        )
    };
    (result == 0).then_some(mtu)
}

/// Waits until one of the channels has a datagram, or an error to tell; whether each has.
pub(super) fn either(one: &Channel, other: &Channel, limit: Duration) -> io::Result<[bool; 2]> {
    let watch = |channel| PollFd::new(channel, PollFlags::POLLIN);
    let mut watched = [watch(one.socket.as_fd()), watch(other.socket.as_fd())];
    let limit = PollTimeout::try_from(limit + SHORTEST_WAIT).unwrap_or(PollTimeout::ZERO);
    match poll(&mut watched, limit) {
        Ok(_) | Err(Errno::EINTR) => Ok(watched.map(|fd| fd.any().unwrap_or(false))),
        Err(error) => Err(error.into()),
    }
}
