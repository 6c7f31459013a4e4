//! A NIC below IP: whole frames, as somebody with all privileges on a machine can send them.

use std::io::Read;
use std::mem;
use std::time::Duration;

use anyhow::Result;
use nix::libc;
use nix::net::if_::if_nametoindex;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::port::Port;

/// `eth0` of a port.
pub struct RawNic(Socket);

impl RawNic {
    pub fn open(port: &Port) -> Result<RawNic> {
        let socket = port.ns.run(|| {
            let all = (libc::ETH_P_ALL as u16).to_be();
            let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(i32::from(all))))?;
            let index = if_nametoindex("eth0")?;
            // SAFETY: sockaddr_ll is plain data that fits into the storage and is written completely, with
            // its length.
            let ((), address) = unsafe {
                SockAddr::try_init(|storage, len| {
                    let mut link: libc::sockaddr_ll = mem::zeroed();
                    link.sll_family = libc::AF_PACKET as libc::sa_family_t;
                    link.sll_protocol = all;
                    link.sll_ifindex = index as i32;
                    storage.cast::<libc::sockaddr_ll>().write(link);
                    *len = mem::size_of::<libc::sockaddr_ll>() as libc::socklen_t;
                    Ok(())
                })
            }?;
            socket.bind(&address)?;
            Ok(socket)
        })?;
        Ok(RawNic(socket))
    }

    pub fn send(&self, frame: &[u8]) -> Result<()> {
        self.0.send(frame)?;
        Ok(())
    }

    /// The next frame; `None` if none arrives within this time.
    pub fn receive(&self, within: Duration) -> Result<Option<Vec<u8>>> {
        self.0.set_read_timeout(Some(within))?;
        let mut buffer = [0u8; 2048];
        match (&self.0).read(&mut buffer) {
            Ok(len) => Ok(Some(buffer[..len].to_vec())),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
