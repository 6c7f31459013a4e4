//! Which NIC a RELEASE or DECLINE came from: a UDP socket does not tell.

use std::collections::VecDeque;
use std::io;

use inventory_api::Mac;
use netboot_protocol::PxeClient;
use netboot_protocol::frame::datagram_to;
use parking_lot::Mutex;

use crate::link::LinkSocket;
use crate::socket::Interface;

/// Frames kept until their message is processed. If a frame was dropped, the address is probed instead.
const MOST: usize = 1024;

/// A second socket on the interface that receives only these two messages.
pub(crate) struct ReleaseFrames {
    link: LinkSocket,
    seen: Mutex<VecDeque<Frame>>,
}

struct Frame {
    xid: [u8; 4],
    says: [u8; 6],
    from: Mac,
}

impl ReleaseFrames {
    pub(crate) fn open(interface: &Interface) -> io::Result<ReleaseFrames> {
        Ok(ReleaseFrames {
            link: LinkSocket::releases(interface)?,
            seen: Mutex::default(),
        })
    }

    /// The link-layer sender of the frame a message came in; `None`: the frame was not seen. The kernel
    /// delivers the frame to this socket before it delivers the datagram to the UDP socket.
    pub(crate) fn sender_of(&self, client: &PxeClient) -> Option<Mac> {
        let mut seen = self.seen.lock();
        let mut buffer = [0u8; 2048];
        for _ in 0..MOST {
            let Ok(len) = self.link.receive_now(&mut buffer) else {
                break;
            };
            if let Some(frame) = read(&buffer[..len]) {
                seen.push_back(frame);
            }
        }
        while seen.len() > MOST {
            seen.pop_front();
        }
        let xid = client.xid.to_be_bytes();
        let place = seen
            .iter()
            .position(|frame| frame.xid == xid && frame.says == client.mac.0)?;
        seen.remove(place).map(|frame| frame.from)
    }
}

fn read(frame: &[u8]) -> Option<Frame> {
    let (from, _, message) = datagram_to(frame, 67)?;
    Some(Frame {
        xid: message.get(4..8)?.try_into().ok()?,
        says: message.get(28..34)?.try_into().ok()?,
        from,
    })
}
