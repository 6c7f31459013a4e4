//! DHCPv6 sockets, and our DUID.

use std::io;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, setsockopt, sockopt};
use socket2::{Domain, Socket};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::leases::journal::replace;
use crate::socket::{Interface, interface_of, udp};

/// All_DHCP_Relay_Agents_and_Servers and All_DHCP_Servers (RFC 8415, 7.1).
const GROUPS: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2),
    Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 1, 3),
];

/// The DHCPv6 servers' port (RFC 8415, 7.2).
pub(crate) const PORT: u16 = 547;

/// A datagram: its length, its sender, and whether it was sent to one of our addresses rather than to a
/// group.
pub(crate) type Received = (usize, SocketAddrV6, bool);

pub(crate) struct Dhcp6Socket(UdpSocket);

impl Dhcp6Socket {
    /// A socket for the interface of `server` only; for `simulated` machines, on that address only.
    pub(crate) fn open(server: Ipv6Addr, port: u16, simulated: bool) -> io::Result<Dhcp6Socket> {
        let socket = udp_v6()?;
        let address = if simulated {
            server
        } else {
            let interface = interface_of(server)?;
            socket.bind_device(Some(interface.name.as_bytes()))?;
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
            for group in &GROUPS {
                socket.join_multicast_v6(group, interface.index)?;
            }
            Ipv6Addr::UNSPECIFIED
        };
        socket.bind(&SocketAddr::from((address, port)).into())?;
        Ok(Dhcp6Socket(UdpSocket::from_std(socket.into())?))
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    pub(crate) async fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let receive = || {
            let mut iov = [io::IoSliceMut::new(buffer)];
            let mut space = nix::cmsg_space!(nix::libc::in6_pktinfo);
            let flags = MsgFlags::MSG_DONTWAIT;
            let message = recvmsg::<SockaddrIn6>(self.0.as_raw_fd(), &mut iov, Some(&mut space), flags)?;
            let from = message.address.ok_or(io::ErrorKind::Unsupported)?;
            // Absent on a simulated machine's socket; a truncated message has none either.
            let to = message.cmsgs()?.find_map(|control| match control {
                ControlMessageOwned::Ipv6PacketInfo(info) => Some(Ipv6Addr::from(info.ipi6_addr.s6_addr)),
                _ => None,
            });
            let unicast = to.is_some_and(|to| !to.is_multicast());
            Ok((message.bytes, SocketAddrV6::from(from), unicast))
        };
        self.0.async_io(Interest::READABLE, receive).await
    }

    pub(crate) async fn send(&self, bytes: &[u8], to: SocketAddrV6) -> io::Result<()> {
        self.0.send_to(bytes, to).await.map(drop)
    }
}

/// Sends a client's question to all servers and relays on an interface, from its link-local address (RFC
/// 8415, 13.1). The answers go to the client port, whatever port this is sent from.
///
/// # Errors
/// The interface has no link-local address yet, or the question cannot be sent.
pub(crate) fn ask_all(interface: &Interface, question: &[u8]) -> io::Result<()> {
    let of_ours = |entry: InterfaceAddress| {
        let ip = entry.address?.as_sockaddr_in6()?.ip();
        (entry.interface_name == interface.name && ip.is_unicast_link_local()).then_some(ip)
    };
    let from = getifaddrs()?.find_map(of_ours);
    let from =
        from.ok_or_else(|| io::Error::new(io::ErrorKind::AddrNotAvailable, "no link-local address"))?;
    let socket = udp_v6()?;
    // We must not receive our own question.
    socket.set_multicast_loop_v6(false)?;
    socket.bind(&SocketAddrV6::new(from, 0, 0, interface.index).into())?;
    let all = SocketAddrV6::new(GROUPS[0], PORT, 0, interface.index);
    socket.send_to(question, &all.into()).map(drop)
}

fn udp_v6() -> io::Result<Socket> {
    let socket = udp(Domain::IPV6)?;
    socket.set_only_v6(true)?;
    Ok(socket)
}

/// Our DUID, kept in a file: clients remember it and would not renew with another one. It is a UUID made once
/// (RFC 6355), not based on a NIC's address, since NICs change.
///
/// # Errors
/// The file cannot be read or written, or contains something else.
pub(crate) fn server_duid(path: &Path) -> io::Result<Vec<u8>> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse_duid(text.trim()).ok_or_else(|| {
            let why = "has no DUID of type 4 in hexadecimal: restore the file, or remove it to get a new one";
            io::Error::new(io::ErrorKind::InvalidData, why)
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let uuid = std::fs::read_to_string("/proc/sys/kernel/random/uuid")?;
            let text = format!("0004{}", uuid.trim().replace('-', ""));
            let duid = parse_duid(&text).ok_or_else(|| io::Error::other("the kernel returned no UUID"))?;
            replace(path, &format!("{text}\n"))?;
            Ok(duid)
        }
        Err(error) => Err(error),
    }
}

fn parse_duid(text: &str) -> Option<Vec<u8>> {
    hex::decode(text)
        .ok()
        .filter(|duid| duid.len() == 18 && duid.starts_with(&[0, 4]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_duid_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("duid");
        let first = server_duid(&path).unwrap();
        assert_eq!((first.len(), &first[..2]), (18, &[0, 4][..]));
        assert_eq!(server_duid(&path).unwrap(), first);
        assert_ne!(server_duid(&dir.path().join("other")).unwrap(), first);
        for wrong in ["", "0004", "0001ffffffffffffffffffffffffffffffff", "0004é"] {
            std::fs::write(&path, wrong).unwrap();
            let error = server_duid(&path).unwrap_err().to_string();
            assert!(error.contains("restore the file"), "{wrong:?}: {error}");
        }
    }
}
