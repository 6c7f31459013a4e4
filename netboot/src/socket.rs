//! IPv4 sockets: which interface has an address, and how a DHCP reply reaches a client without one.

use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::AsRawFd;

use inventory_api::Mac;
use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, sendmsg, setsockopt, sockopt};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::UdpSocket;

/// Receive buffer in bytes: a second of the highest load measured.
const RECEIVE_BUFFER: usize = 4 << 20;

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) name: String,
    pub(crate) index: u32,
}

/// The interface that has `address`.
pub(crate) fn interface_of(address: impl Into<IpAddr>) -> io::Result<Interface> {
    let address = address.into();
    let has = |entry: &InterfaceAddress| {
        entry.address.is_some_and(|it| match address {
            IpAddr::V4(ip) => it.as_sockaddr_in().is_some_and(|it| it.ip() == ip),
            IpAddr::V6(ip) => it.as_sockaddr_in6().is_some_and(|it| it.ip() == ip),
        })
    };
    let Some(entry) = getifaddrs()?.find(has) else {
        let why = format!(
            "no interface has the address {address}: add it to one (ip address add) or correct `server`"
        );
        return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, why));
    };
    Ok(Interface {
        index: if_nametoindex(entry.interface_name.as_str())?,
        name: entry.interface_name,
    })
}

/// A socket below UDP: packets, or raw IP.
pub(crate) struct RawSocket(AsyncFd<Socket>);

impl RawSocket {
    pub(crate) fn new(socket: Socket) -> io::Result<RawSocket> {
        socket.set_nonblocking(true)?;
        // SAFETY: the Socket owns its descriptor and keeps it open until it is dropped, after its
        // registration.
        Ok(RawSocket(unsafe { AsyncFd::register(socket) }?))
    }

    pub(crate) async fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = |mut socket: &Socket| socket.read(buffer);
        self.0.async_io(Interest::READABLE, read).await
    }

    pub(crate) async fn send_to(&self, bytes: &[u8], to: &SockAddr) -> io::Result<usize> {
        let send = |socket: &Socket| socket.send_to(bytes, to);
        self.0.async_io(Interest::WRITABLE, send).await
    }

    /// The non-blocking socket itself.
    pub(crate) fn now(&self) -> &Socket {
        self.0.get_ref()
    }
}

pub(crate) struct DhcpSocket {
    socket: UdpSocket,
    /// Our address and interface; `None` in test mode, where the socket is bound to the address.
    link: Option<(Ipv4Addr, Interface)>,
}

impl DhcpSocket {
    /// A socket for the interface of `server` only; for `simulated` machines, on that address only.
    pub(crate) fn open(server: Ipv4Addr, port: u16, simulated: bool) -> io::Result<DhcpSocket> {
        let socket = udp(Domain::IPV4)?;
        let (address, link) = if simulated {
            (server, None)
        } else {
            let interface = interface_of(server)?;
            socket.set_reuse_address(true)?;
            socket.set_broadcast(true)?;
            socket.bind_device(Some(interface.name.as_bytes()))?;
            // Only a socket bound to 0.0.0.0 receives broadcasts.
            (Ipv4Addr::UNSPECIFIED, Some((server, interface)))
        };
        socket.bind(&SocketAddr::from((address, port)).into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        Ok(DhcpSocket { socket, link })
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The interface the socket is bound to.
    pub(crate) fn interface(&self) -> Option<&Interface> {
        self.link.as_ref().map(|(_, interface)| interface)
    }

    pub(crate) async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddrV4)> {
        match self.socket.recv_from(buffer).await? {
            (len, SocketAddr::V4(from)) => Ok((len, from)),
            (_, SocketAddr::V6(_)) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Sends from our address on the network, even if the interface has others.
    pub(crate) async fn send(&self, bytes: &[u8], to: SocketAddrV4) -> io::Result<()> {
        let Some((server, interface)) = &self.link else {
            return self.socket.send_to(bytes, to).await.map(drop);
        };
        // A relay may be behind a router on another interface; everything else stays on this one.
        let info = nix::libc::in_pktinfo {
            ipi_ifindex: interface.index as i32,
            ipi_spec_dst: nix::libc::in_addr {
                s_addr: u32::from(*server).to_be(),
            },
            ipi_addr: nix::libc::in_addr { s_addr: 0 },
        };
        let send = || {
            let control = [ControlMessage::Ipv4PacketInfo(&info)];
            let iov = [io::IoSlice::new(bytes)];
            let to = SockaddrIn::from(to);
            let flags = MsgFlags::MSG_DONTWAIT;
            sendmsg(self.socket.as_raw_fd(), &iov, &control, flags, Some(&to)).map_err(io::Error::from)
        };
        self.socket.async_io(Interest::WRITABLE, send).await.map(drop)
    }

    /// Adds an ARP entry for a client that has no address yet and so cannot answer ARP.
    pub(crate) fn learn(&self, ip: Ipv4Addr, mac: Mac) -> io::Result<()> {
        match &self.link {
            Some((_, interface)) => set_arp(&self.socket, &interface.name, ip, mac),
            None => Ok(()),
        }
    }
}

/// A socket with a receive buffer of [`RECEIVE_BUFFER`] bytes.
pub(crate) fn udp(domain: Domain) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    // A rack switched on at once sends all its DISCOVERs at once: more than net.core.rmem_max holds, which
    // only CAP_NET_ADMIN may exceed.
    if setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    }
    Ok(socket)
}

nix::ioctl_write_ptr_bad!(siocsarp, nix::libc::SIOCSARP, nix::libc::arpreq);

fn set_arp(socket: &UdpSocket, interface: &str, ip: Ipv4Addr, mac: Mac) -> io::Result<()> {
    use nix::libc;
    fn filled<const N: usize>(start: usize, bytes: &[u8]) -> [libc::c_char; N] {
        let mut all = [0; N];
        for (to, from) in all[start..].iter_mut().zip(bytes) {
            *to = *from as libc::c_char;
        }
        all
    }
    let address = |family, sa_data| libc::sockaddr {
        sa_family: family,
        sa_data,
    };
    // An interface's name has at most 15 bytes.
    let request = libc::arpreq {
        // sockaddr_in without its family: port (2), address (4).
        arp_pa: address(libc::AF_INET as libc::sa_family_t, filled(2, &ip.octets())),
        arp_ha: address(libc::ARPHRD_ETHER, filled(0, &mac.0)),
        arp_flags: libc::ATF_COM,
        arp_netmask: address(0, [0; 14]),
        arp_dev: filled(0, interface.as_bytes()),
    };
    // SAFETY: `request` is a complete, initialised arpreq that outlives the call, and the kernel only reads
    // it.
    unsafe { siocsarp(socket.as_raw_fd(), &request) }?;
    Ok(())
}
