//! Raw frames on one interface: what a UDP socket cannot receive or send.

use std::io::{self, Read};
use std::mem;

use inventory_api::Mac;
use netboot_protocol::frame::{ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6};
use nix::libc;
use socket2::{Domain, Protocol, SockAddr, SockFilter, Socket, Type};

use crate::socket::{Interface, RawSocket};

const DROP: SockFilter = SockFilter::new(0x06, 0, 0, 0);
const TAKE: SockFilter = SockFilter::new(0x06, 0, 0, 0x4_0000);

/// A packet socket. Needs CAP_NET_RAW.
pub(crate) struct LinkSocket {
    socket: RawSocket,
}

impl LinkSocket {
    /// ARP on an interface.
    pub(crate) fn arp(interface: &Interface) -> io::Result<LinkSocket> {
        LinkSocket::open(interface, ETHERTYPE_ARP, &[])
    }

    /// What DHCP servers send to clients on an interface: UDP to port 68, broadcast or to our link address.
    /// The kernel hides what we send ourselves.
    pub(crate) fn server_replies(interface: &Interface) -> io::Result<LinkSocket> {
        // For IPv4, the output of `tcpdump -dd "udp dst port 68"`.
        let filter = [
            SockFilter::new(0x30, 0, 0, 23),     // ldb [23]: protocol
            SockFilter::new(0x15, 0, 5, 17),     // jeq UDP
            SockFilter::new(0x28, 0, 0, 20),     // ldh [20]: fragment
            SockFilter::new(0x45, 3, 0, 0x1fff), // jset offset
            SockFilter::new(0xb1, 0, 0, 14),     // ldx 4*([14]&0xf): header length
            SockFilter::new(0x48, 0, 0, 16),     // ldh [x+16]: destination port
            SockFilter::new(0x15, 1, 0, 68),     // jeq 68
            DROP,
            TAKE,
        ];
        LinkSocket::open(interface, ETHERTYPE_IPV4, &filter)
    }

    /// What DHCPv6 servers send to our link address: UDP to port 546. A UDP socket would take that port from
    /// this host's own DHCPv6 client.
    pub(crate) fn server_replies_v6(interface: &Interface) -> io::Result<LinkSocket> {
        let filter = [
            SockFilter::new(0x30, 0, 0, 20),  // ldb [20]: next header
            SockFilter::new(0x15, 0, 2, 17),  // jeq UDP
            SockFilter::new(0x28, 0, 0, 56),  // ldh [56]: destination port
            SockFilter::new(0x15, 1, 0, 546), // jeq 546
            DROP,
            TAKE,
        ];
        LinkSocket::open(interface, ETHERTYPE_IPV6, &filter)
    }

    /// RELEASE and DECLINE of clients: UDP to port 67 whose first option is one of these message types; all
    /// known clients put it first.
    pub(crate) fn releases(interface: &Interface) -> io::Result<LinkSocket> {
        let filter = [
            SockFilter::new(0x30, 0, 0, 23),     // ldb [23]: protocol
            SockFilter::new(0x15, 0, 10, 17),    // jeq UDP
            SockFilter::new(0x28, 0, 0, 20),     // ldh [20]: fragment
            SockFilter::new(0x45, 8, 0, 0x1fff), // jset offset
            SockFilter::new(0xb1, 0, 0, 14),     // ldx 4*([14]&0xf): header length
            SockFilter::new(0x48, 0, 0, 16),     // ldh [x+16]: destination port
            SockFilter::new(0x15, 0, 5, 67),     // jeq 67
            SockFilter::new(0x50, 0, 0, 262),    // ldb [x+262]: first option
            SockFilter::new(0x15, 0, 3, 53),     // jeq message type
            SockFilter::new(0x50, 0, 0, 264),    // ldb [x+264]: its value
            SockFilter::new(0x15, 2, 0, 4),      // jeq DECLINE
            SockFilter::new(0x15, 1, 0, 7),      // jeq RELEASE
            DROP,
            TAKE,
        ];
        LinkSocket::open(interface, ETHERTYPE_IPV4, &filter)
    }

    fn open(interface: &Interface, ethertype: u16, filter: &[SockFilter]) -> io::Result<LinkSocket> {
        // Protocol 0: nothing arrives before the filter and the interface are set.
        let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0)))?;
        if !filter.is_empty() {
            socket.attach_filter(filter)?;
        }
        socket.bind(&link_address(interface, ethertype)?)?;
        let link = LinkSocket {
            socket: RawSocket::new(socket)?,
        };
        if link.mac().is_none() {
            let why = format!("{} is no Ethernet interface", interface.name);
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, why));
        }
        Ok(link)
    }

    /// The interface's current address: a bridge's changes with its ports, a bond's at failover.
    pub(crate) fn mac(&self) -> Option<Mac> {
        let address = self.socket.now().local_addr().ok()?;
        if (address.len() as usize) < mem::size_of::<libc::sockaddr_ll>() - 2 {
            return None;
        }
        // SAFETY: the storage behind a SockAddr is larger than a sockaddr_ll, and the kernel has written one:
        // it is the address of a packet socket.
        let link: libc::sockaddr_ll =
            unsafe { address.as_ptr().cast::<libc::sockaddr_ll>().read_unaligned() };
        let mac = Mac(link.sll_addr[..6].try_into().ok()?);
        (link.sll_halen == 6 && !mac.is_junk()).then_some(mac)
    }

    pub(crate) async fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.receive(buffer).await
    }

    /// A frame that has already arrived; an error if there is none.
    pub(crate) fn receive_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.now().read(buffer)
    }

    /// Sends a whole frame. An interface's queue is seldom full, and a lost question is repeated.
    pub(crate) fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.socket.now().send(frame).map(drop)
    }
}

fn link_address(interface: &Interface, ethertype: u16) -> io::Result<SockAddr> {
    // SAFETY: sockaddr_ll is plain data that fits into the storage, and is written whole with its length.
    let ((), address) = unsafe {
        SockAddr::try_init(|storage, len| {
            let mut link: libc::sockaddr_ll = mem::zeroed();
            link.sll_family = libc::AF_PACKET as libc::sa_family_t;
            link.sll_protocol = ethertype.to_be();
            link.sll_ifindex = interface.index as i32;
            storage.cast::<libc::sockaddr_ll>().write(link);
            *len = mem::size_of::<libc::sockaddr_ll>() as libc::socklen_t;
            Ok(())
        })
    }?;
    Ok(address)
}
