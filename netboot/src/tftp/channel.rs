//! A transfer's socket: its own, connected to the client, or the shared one. Where the kernel can, many
//! blocks go out with one system call.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use netboot_protocol::tftp::packet::data_head;
use netboot_protocol::tftp::{Limits, Transfer};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, getsockopt, sendmsg, sockopt};
use nix::{getsockopt_impl, libc, sockopt_impl};

use crate::content::Reader;

/// Most datagrams of one call (the kernel's UDP_MAX_SEGMENTS, 64 until Linux 6.9) and their total bytes.
const SEGMENTS: u64 = 64;
const BATCH_BYTES: u64 = 65_000;
/// Assumed when the kernel does not tell a path's MTU.
const ETHERNET: u32 = 1500;
/// Longest wait for room in the socket's buffer.
const LONGEST_SEND: Duration = Duration::from_secs(1);
/// Shortest timeout that is set: 0 would mean none.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// Whether the kernel takes datagrams in batches (UDP GSO). Not every kernel and device does; what one
/// transfer finds out counts for all.
#[derive(Clone, Default)]
pub(super) struct Batches(Arc<AtomicBool>);

impl Batches {
    fn refused(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// How a transfer sends and receives.
enum Link {
    /// On a socket and port of its own, connected to the client: the kernel sorts the datagrams.
    Own(UdpSocket),
    /// On the server's port: its receiver passes on this client's datagrams. The socket does not block.
    Shared {
        server: Arc<UdpSocket>,
        local: IpAddr,
        client: SocketAddr,
        inbox: Receiver<Box<[u8]>>,
    },
}

/// A transfer's end of the line. Blocks, with a timeout.
pub(super) struct Channel {
    link: Link,
    batches: Batches,
    /// The own socket's current timeout.
    waits: Duration,
}

impl Channel {
    /// Opens a socket on the address the client asked.
    pub(super) fn open(local: IpAddr, client: SocketAddr, batches: &Batches) -> io::Result<Channel> {
        let socket = UdpSocket::bind((local, 0))?;
        socket.connect(client)?;
        socket.set_write_timeout(Some(LONGEST_SEND))?;
        Ok(Channel {
            link: Link::Own(socket),
            batches: batches.clone(),
            waits: Duration::ZERO,
        })
    }

    /// Uses the server's port; the client's datagrams arrive by `inbox`.
    pub(super) fn shared(
        server: Arc<UdpSocket>,
        inbox: Receiver<Box<[u8]>>,
        local: IpAddr,
        client: SocketAddr,
        batches: &Batches,
    ) -> Channel {
        Channel {
            link: Link::Shared {
                server,
                local,
                client,
                inbox,
            },
            batches: batches.clone(),
            waits: Duration::ZERO,
        }
    }

    /// Whether it has no port of its own.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self.link, Link::Shared { .. })
    }

    /// What fits the path to the client.
    pub(super) fn limits(&self) -> Limits {
        match &self.link {
            Link::Own(socket) => of_path(socket),
            // Only a connected socket knows its path.
            Link::Shared { local, client, .. } => UdpSocket::bind((*local, 0))
                .and_then(|probe| probe.connect(*client).map(|()| of_path(&probe)))
                .unwrap_or_else(|_| Limits::for_mtu(ETHERNET, client.is_ipv6())),
        }
    }

    /// The next datagram; [`io::ErrorKind::WouldBlock`]: none came within about `limit`.
    pub(super) fn receive(&mut self, buffer: &mut [u8], limit: Duration) -> io::Result<usize> {
        let socket = match &self.link {
            Link::Own(socket) => socket,
            Link::Shared { inbox, .. } => {
                return match inbox.recv_timeout(limit) {
                    Ok(datagram) => {
                        let len = datagram.len().min(buffer.len());
                        buffer[..len].copy_from_slice(&datagram[..len]);
                        Ok(len)
                    }
                    Err(RecvTimeoutError::Timeout) => Err(io::ErrorKind::WouldBlock.into()),
                    // Another transfer replaced this one, and is about to tell it so.
                    Err(RecvTimeoutError::Disconnected) => Err(io::ErrorKind::Interrupted.into()),
                };
            }
        };
        // Changing the timeout costs a system call, so do it only when it is far off; the caller checks its
        // clock anyway.
        if self.waits < limit || self.waits > limit * 2 {
            self.waits = (limit + limit / 4).max(SHORTEST_WAIT);
            socket.set_read_timeout(Some(self.waits))?;
        }
        socket.recv(buffer)
    }

    /// Sends one packet.
    pub(super) fn send(&self, packet: &[u8]) -> io::Result<()> {
        Ok(self.transmit(&[IoSlice::new(packet)], &[])?)
    }

    fn transmit(&self, slices: &[IoSlice<'_>], batch: &[ControlMessage<'_>]) -> nix::Result<()> {
        let flags = MsgFlags::empty();
        match &self.link {
            Link::Own(socket) => sendmsg::<()>(socket.as_raw_fd(), slices, batch, flags, None).map(drop),
            Link::Shared { server, client, .. } => {
                let to = SockaddrStorage::from(*client);
                let send = || sendmsg(server.as_raw_fd(), slices, batch, flags, Some(&to)).map(drop);
                match send() {
                    Err(Errno::EAGAIN) => {
                        let mut room = [PollFd::new(server.as_fd(), PollFlags::POLLOUT)];
                        let limit = PollTimeout::try_from(LONGEST_SEND).unwrap_or(PollTimeout::ZERO);
                        poll(&mut room, limit)?;
                        send()
                    }
                    sent => sent,
                }
            }
        }
    }

    /// Sends blocks `first` to `last` as DATA packets. The inner error: one could not be sent.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn send_blocks(
        &self,
        transfer: &Transfer,
        file: &mut Reader,
        first: u64,
        last: u64,
    ) -> io::Result<io::Result<()>> {
        let size = 4 + transfer.block();
        let mut next = first;
        while next <= last {
            let most = if self.batches.refused() {
                1
            } else {
                (BATCH_BYTES / size).clamp(1, SEGMENTS)
            };
            let end = last.min(next + most - 1);
            let start = transfer.bytes_of(next).start;
            let bytes = file.part(start..transfer.bytes_of(end).end)?;
            match self.batch(bytes, next, end, transfer.block()) {
                Ok(()) => next = end + 1,
                // EIO: the device computes no checksums; EINVAL: an old kernel, or the path's MTU fell.
                Err(error @ (Errno::EIO | Errno::EINVAL | Errno::EOPNOTSUPP)) if end > next => {
                    tracing::info!(%error, "tftp: cannot send datagrams in batches, sending one by one");
                    self.batches.0.store(true, Ordering::Relaxed);
                }
                Err(error) => return Ok(Err(error.into())),
            }
        }
        Ok(Ok(()))
    }

    /// `bytes` of all these blocks together; each has `block` bytes except the last.
    fn batch(&self, bytes: &[u8], first: u64, last: u64, block: u64) -> nix::Result<()> {
        if first == last {
            let head = data_head(first);
            let slices = [IoSlice::new(&head), IoSlice::new(bytes)];
            self.transmit(&slices, &[])
        } else {
            let heads: Vec<[u8; 4]> = (first..=last).map(data_head).collect();
            // The last block may be empty.
            let parts = bytes.chunks(block as usize).chain([&[][..]]);
            let slices: Vec<IoSlice<'_>> = heads
                .iter()
                .zip(parts)
                .flat_map(|(head, part)| [IoSlice::new(head), IoSlice::new(part)])
                .collect();
            let size = 4 + block as u16;
            let batch = [ControlMessage::UdpGsoSegments(&size)];
            self.transmit(&slices, &batch)
        }
    }
}

sockopt_impl!(
    /// The path MTU of a connected IPv6 socket; nix has it for IPv4 only.
    Ipv6Mtu,
    GetOnly,
    libc::IPPROTO_IPV6,
    libc::IPV6_MTU,
    libc::c_int
);

/// What fits the path of a connected socket.
fn of_path(socket: &UdpSocket) -> Limits {
    let v6 = socket.peer_addr().is_ok_and(|peer| peer.is_ipv6());
    let told = if v6 {
        getsockopt(socket, Ipv6Mtu)
    } else {
        getsockopt(socket, sockopt::IpMtu)
    };
    let mtu = told.ok().and_then(|mtu| u32::try_from(mtu).ok());
    Limits::for_mtu(mtu.unwrap_or(ETHERNET), v6)
}

/// Waits until one of the channels has a datagram or an error, and returns which. Only channels with a port
/// of their own come in pairs.
pub(super) fn either(one: &Channel, other: &Channel, limit: Duration) -> io::Result<[bool; 2]> {
    let (Link::Own(one), Link::Own(other)) = (&one.link, &other.link) else {
        return Ok([true, false]);
    };
    let mut watched = [one, other].map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN));
    let limit = PollTimeout::try_from(limit + SHORTEST_WAIT).unwrap_or(PollTimeout::ZERO);
    match poll(&mut watched, limit) {
        Ok(_) | Err(Errno::EINTR) => Ok(watched.map(|fd| fd.any().unwrap_or(false))),
        Err(error) => Err(error.into()),
    }
}
