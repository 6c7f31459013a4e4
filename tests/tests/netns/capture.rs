//! Everything that arrives at a NIC, as frames.

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use anyhow::Result;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, setsockopt, socket, sockopt,
};

use crate::port::Port;

/// An open capture, without the frames that the NIC itself sends.
pub struct Capture {
    descriptor: OwnedFd,
    own: [u8; 6],
}

impl Capture {
    pub fn start(port: &Port) -> Result<Capture> {
        let descriptor = port.ns.run(|| {
            let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
            let socket = socket(AddressFamily::Packet, SockType::Raw, flags, SockProtocol::EthAll)?;
            // Room for a whole boot file: a capture that drops frames proves nothing.
            setsockopt(&socket, sockopt::RcvBufForce, &(32 << 20))?;
            Ok(socket)
        })?;
        Ok(Capture {
            descriptor,
            own: port.mac.0,
        })
    }

    /// What has arrived since the last call.
    pub fn frames(&self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let mut buffer = [0u8; 65_536];
        while let Ok(len) = recv(self.descriptor.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            if len >= 14 && buffer[6..12] != self.own && buffer[..12] != [0; 12] {
                frames.push(buffer[..len].to_vec());
            }
        }
        frames
    }

    /// Waits for a frame that satisfies `wanted`, repeating `ask` until it comes.
    pub async fn wait(
        &self,
        what: &str,
        mut ask: impl FnMut() -> Result<()>,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<u8>> {
        let mut rounds = 0u32;
        e2e::wait::until(what, Duration::from_secs(10), async || {
            if rounds.is_multiple_of(8) {
                ask()?;
            }
            rounds += 1;
            Ok(self.frames().into_iter().find(|frame| wanted(frame)))
        })
        .await
    }
}

/// Whether a frame is IPv4.
pub fn is_ipv4(frame: &[u8]) -> bool {
    frame[12..14] == [8, 0]
}

/// Whether it is an ICMPv6 Router Advertisement.
pub fn is_router_advertisement(frame: &[u8]) -> bool {
    frame[12..14] == [0x86, 0xdd] && frame.get(20) == Some(&58) && frame.get(54) == Some(&134)
}
