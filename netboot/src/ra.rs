//! Answers Router Solicitations with an empty Router Advertisement.
//!
//! Stock iPXE waits about 13 s for one before it goes on (measured: 18.4 s -> 2.2 s from power-on to the
//! script). Ours is harmless: router lifetime 0, no prefix, M = O = 0, so no host gets a route or an address
//! from it (RFC 4861).

use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio_util::sync::CancellationToken;

use crate::error::NetbootError;
use crate::socket::{Interface, RawSocket};

/// Type, code, checksum (set by the kernel), hop limit 0 (unspecified), flags, lifetime, reachable and
/// retransmission times: all zero.
const EMPTY_ADVERTISEMENT: [u8; 16] = [134, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// Advertisements a second; they go to all nodes.
const RATE: u32 = 20;

/// The responder of one interface.
pub(crate) struct Advertiser {
    socket: RawSocket,
    interface: Interface,
}

impl Advertiser {
    pub(crate) fn open(interface: Interface) -> io::Result<Advertiser> {
        let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
        socket.bind_device(Some(interface.name.as_bytes()))?;
        // Solicitations go to ff02::2, all routers.
        socket.join_multicast_v6(&Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2), interface.index)?;
        socket.set_multicast_if_v6(interface.index)?;
        // RFC 4861: receivers drop any other hop limit.
        socket.set_multicast_hops_v6(255)?;
        socket.set_multicast_loop_v6(false)?;
        let socket = RawSocket::new(socket)?;
        Ok(Advertiser { socket, interface })
    }

    pub(crate) async fn serve(self, cancel: CancellationToken) -> Result<(), NetbootError> {
        let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
        let all_nodes = SockAddr::from(SocketAddrV6::new(all_nodes, 0, 0, self.interface.index));
        let (mut second, mut sent) = (Instant::now(), 0);
        let mut complained = false;
        loop {
            let mut buffer = [0u8; 256];
            let received = tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                received = self.socket.receive(&mut buffer) => received,
            };
            match received {
                Ok(len) if len >= 8 && buffer[0] == 133 && buffer[1] == 0 => {}
                Ok(_) => continue,
                Err(error) => {
                    tracing::debug!(%error, interface = self.interface.name, "cannot receive ICMPv6");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    continue;
                }
            }
            if second.elapsed() >= Duration::from_secs(1) {
                (second, sent) = (Instant::now(), 0);
            }
            sent += 1;
            if sent > RATE {
                continue;
            }
            let result = self.socket.now().send_to(&EMPTY_ADVERTISEMENT, &all_nodes);
            if let Err(error) = result
                && !complained
            {
                complained = true;
                tracing::warn!(
                    %error, interface = self.interface.name,
                    "cannot send router advertisements: has the interface an IPv6 link-local address? \
                     iPXE then waits 13 s longer"
                );
            }
        }
    }
}
