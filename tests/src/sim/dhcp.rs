//! A DHCP client like firmware's. It has its own codec, so that a mistake in the server's is not repeated
//! here.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use inventory_api::Mac;
use tokio::net::UdpSocket;

/// DHCP message types (RFC 2132, 9.6).
pub const DISCOVER: u8 = 1;
pub const OFFER: u8 = 2;
pub const REQUEST: u8 = 3;
pub const ACK: u8 = 5;
pub const NAK: u8 = 6;

/// A kind of client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// The PXE ROM of a BIOS machine.
    Bios,
    /// EDK2's PXE client.
    Uefi,
    /// Stock iPXE.
    Ipxe,
    /// An operating system: no PXE options.
    System,
}

impl Asker {
    /// Its options, as in captures (client architecture 93, vendor class 60, user class 77).
    fn options(self) -> Vec<(u8, Vec<u8>)> {
        let class = |arch: u8, undi: &str| {
            vec![
                (
                    60,
                    format!("PXEClient:Arch:000{arch:02}:UNDI:{undi}").into_bytes(),
                ),
                (93, vec![0, arch]),
                (94, vec![1, 2, 1]),
            ]
        };
        let parameters = (55, vec![1, 3, 6, 43, 51, 54, 60, 66, 67, 175]);
        let mut options = match self {
            Asker::Bios => class(0, "002001"),
            Asker::Uefi => class(7, "003000"),
            Asker::Ipxe => {
                let mut options = class(0, "002001");
                options.push((77, b"iPXE".to_vec()));
                // Feature tags of iPXE: HTTP (19), bzImage (24), menu (39).
                options.push((175, vec![0x13, 1, 1, 0x18, 1, 1, 0x27, 1, 1]));
                options
            }
            Asker::System => Vec::new(),
        };
        options.push(parameters);
        options
    }
}

/// A client's message, ready to be sent.
#[derive(Clone, Debug)]
pub struct Message {
    pub xid: u32,
    pub mac: Mac,
    pub giaddr: Ipv4Addr,
    pub broadcast: bool,
    /// Options in the order they are sent, including the message type.
    pub options: Vec<(u8, Vec<u8>)>,
}

impl Message {
    /// A message of this type from this kind of client.
    pub fn new(kind: u8, asker: Asker, mac: Mac, xid: u32) -> Message {
        let mut options = vec![(53, vec![kind])];
        options.extend(asker.options());
        Message {
            xid,
            mac,
            giaddr: Ipv4Addr::UNSPECIFIED,
            broadcast: true,
            options,
        }
    }

    /// Adds an option.
    pub fn with(mut self, code: u8, value: &[u8]) -> Message {
        self.options.push((code, value.to_vec()));
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0u8; 240];
        bytes[..4].copy_from_slice(&[1, 1, 6, 0]);
        bytes[4..8].copy_from_slice(&self.xid.to_be_bytes());
        if self.broadcast {
            bytes[10] = 0x80;
        }
        bytes[24..28].copy_from_slice(&self.giaddr.octets());
        bytes[28..34].copy_from_slice(&self.mac.0);
        bytes[236..240].copy_from_slice(&[99, 130, 83, 99]);
        for (code, value) in &self.options {
            bytes.push(*code);
            bytes.push(value.len() as u8);
            bytes.extend(value);
        }
        bytes.push(255);
        bytes.resize(bytes.len().max(300), 0);
        bytes
    }
}

/// A server's reply.
#[derive(Clone, Debug)]
pub struct Reply {
    pub xid: u32,
    pub yiaddr: Ipv4Addr,
    pub siaddr: Ipv4Addr,
    pub giaddr: Ipv4Addr,
    /// Boot file, from the header or option 67.
    pub file: String,
    pub options: Vec<(u8, Vec<u8>)>,
}

impl Reply {
    /// Parses a reply strictly: anything but a well-formed BOOTREPLY is an error.
    pub fn parse(bytes: &[u8]) -> Result<Reply> {
        if bytes.len() < 300 {
            bail!("a reply of {} bytes: relays drop less than 300", bytes.len());
        }
        if bytes[0] != 2 || bytes[236..240] != [99, 130, 83, 99] {
            bail!("not a BOOTREPLY with DHCP's cookie");
        }
        let address = |at: usize| Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]);
        let mut options = Vec::new();
        let mut at = 240;
        loop {
            match bytes.get(at).copied().context("options without an end")? {
                0 => at += 1,
                255 => break,
                code => {
                    let len = usize::from(*bytes.get(at + 1).context("cut option")?);
                    let value = bytes.get(at + 2..at + 2 + len).context("cut option")?;
                    options.push((code, value.to_vec()));
                    at += 2 + len;
                }
            }
        }
        let text =
            |b: &[u8]| String::from_utf8_lossy(b.split(|c| *c == 0).next().unwrap_or_default()).into_owned();
        let long = options.iter().find(|(code, _)| *code == 67).map(|(_, v)| text(v));
        Ok(Reply {
            xid: u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
            yiaddr: address(16),
            siaddr: address(20),
            giaddr: address(24),
            file: long.unwrap_or_else(|| text(&bytes[108..236])),
            options,
        })
    }

    pub fn kind(&self) -> u8 {
        self.option(53).and_then(|v| v.first()).copied().unwrap_or(0)
    }

    /// The first option with this code.
    pub fn option(&self, code: u8) -> Option<&[u8]> {
        self.options
            .iter()
            .find(|(c, _)| *c == code)
            .map(|(_, v)| v.as_slice())
    }
}

/// DISCOVER to ACK, with a firmware's retries.
pub async fn lease(
    socket: &UdpSocket,
    server: SocketAddr,
    asker: Asker,
    mac: Mac,
    xid: u32,
) -> Result<Reply> {
    let discover = Message::new(DISCOVER, asker, mac, xid);
    let offer = exchange(socket, server, &discover, OFFER).await?;
    let id = offer
        .option(54)
        .context("an OFFER without server identifier")?
        .to_vec();
    let request = Message::new(REQUEST, asker, mac, xid)
        .with(50, &offer.yiaddr.octets())
        .with(54, &id);
    let ack = exchange(socket, server, &request, ACK).await?;
    if ack.yiaddr != offer.yiaddr {
        bail!("offered {} but acknowledged {}", offer.yiaddr, ack.yiaddr);
    }
    Ok(ack)
}

/// Sends until an answer of this type arrives.
async fn exchange(socket: &UdpSocket, server: SocketAddr, message: &Message, kind: u8) -> Result<Reply> {
    let bytes = message.bytes();
    let mut buffer = [0u8; 2048];
    for patience in [1u64, 2, 4, 8, 16] {
        // A server that is down answers with an ICMP error, which counts as silence.
        let _ = socket.send_to(&bytes, server).await;
        let until = tokio::time::Instant::now() + Duration::from_secs(patience);
        while let Ok(received) = tokio::time::timeout_at(until, socket.recv_from(&mut buffer)).await {
            let Ok((len, _)) = received else { continue };
            let reply = Reply::parse(&buffer[..len])?;
            if reply.xid != message.xid {
                continue;
            }
            match reply.kind() {
                k if k == kind => return Ok(reply),
                NAK => bail!("{}: NAK to message type {}", message.mac, message.options[0].1[0]),
                _ => {}
            }
        }
    }
    bail!("{}: no DHCP message of type {kind} after 31 s", message.mac)
}
