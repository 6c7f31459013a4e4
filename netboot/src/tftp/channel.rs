//! A transfer's socket: connected to the client, sending many blocks with one system call where the kernel can.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use netboot_protocol::tftp::packet::data_head;
use netboot_protocol::tftp::{Limits, Transfer};
use nix::sys::socket::{ControlMessage, MsgFlags, getsockopt, sendmsg, sockopt};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Most datagrams of one call (the kernel's UDP_MAX_SEGMENTS, 64 until Linux 6.9) and their bytes together.
const SEGMENTS: u64 = 64;
const BATCH_BYTES: u64 = 65_000;
/// A path of which the kernel tells nothing is taken for Ethernet.
const ETHERNET: u32 = 1500;

/// Whether datagrams are handed to the kernel in batches (UDP GSO). Not every kernel and device takes them; what one
/// transfer finds out counts for all.
#[derive(Clone, Default)]
pub(super) struct Batches(Arc<AtomicBool>);

impl Batches {
    fn refused(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A socket for one transfer.
pub(super) struct Channel {
    socket: UdpSocket,
    batches: Batches,
}

impl Channel {
    /// Opens one on the address that the client asked.
    pub(super) async fn open(local: IpAddr, client: SocketAddr, batches: &Batches) -> io::Result<Channel> {
        let socket = UdpSocket::bind((local, 0)).await?;
        socket.connect(client).await?;
        Ok(Channel {
            socket,
            batches: batches.clone(),
        })
    }

    /// What fits the path to the client.
    pub(super) fn limits(&self) -> Limits {
        let mtu = getsockopt(&self.socket, sockopt::IpMtu).ok();
        let mtu = mtu.and_then(|mtu| u32::try_from(mtu).ok()).unwrap_or(ETHERNET);
        Limits::for_mtu(mtu, false)
    }

    /// A datagram that is there already.
    pub(super) fn try_receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.try_recv(buffer)
    }

    /// Waits until there is one.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// Sends one packet.
    pub(super) async fn send(&self, packet: &[u8]) -> io::Result<()> {
        self.socket.send(packet).await.map(drop)
    }

    /// Sends blocks as DATA packets, from the first to the last.
    pub(super) async fn send_blocks(
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
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.socket.writable().await?,
                // EIO: the device makes no checksums; EINVAL: an old kernel, or the path's MTU fell.
                Err(error) if end > next && error.kind() != io::ErrorKind::ConnectionRefused => {
                    tracing::info!(%error, "tftp: no batches of datagrams here, sending one by one");
                    self.batches.0.store(true, Ordering::Relaxed);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn batch(&self, transfer: &Transfer, file: &Bytes, first: u64, last: u64, size: u16) -> io::Result<()> {
        let part = |block| {
            let range = transfer.bytes_of(block);
            &file[range.start as usize..range.end as usize]
        };
        let flags = MsgFlags::empty();
        self.socket.try_io(Interest::WRITABLE, || {
            let fd = self.socket.as_raw_fd();
            if first == last {
                let head = data_head(first);
                let slices = [IoSlice::new(&head), IoSlice::new(part(first))];
                sendmsg::<()>(fd, &slices, &[], flags, None)?;
            } else {
                let heads: Vec<[u8; 4]> = (first..=last).map(data_head).collect();
                let slices: Vec<IoSlice<'_>> = heads
                    .iter()
                    .zip(first..=last)
                    .flat_map(|(head, block)| [IoSlice::new(head), IoSlice::new(part(block))])
                    .collect();
                sendmsg::<()>(fd, &slices, &[ControlMessage::UdpGsoSegments(&size)], flags, None)?;
            }
            Ok(())
        })
    }
}
