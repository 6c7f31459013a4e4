//! Many machines behind one cable.

use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket as StdUdp};
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::netns::ip;
use e2e::sim::dhcp::{ACK, Asker, DISCOVER, Message, REQUEST, Reply};
use inventory_api::Mac;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use crate::port::{BROADCAST, Port};

/// Many machines behind one cable: each has its own MAC in its DHCP messages, and its address on the cable's
/// interface.
pub struct Crowd {
    pub port: Port,
    pub socket: UdpSocket,
}

impl Crowd {
    pub fn new(port: Port) -> Result<Crowd> {
        let socket = port.socket(68)?;
        Ok(Crowd { port, socket })
    }

    /// Sends bytes and returns the reply; `None`: silence.
    pub async fn send(&self, bytes: &[u8], patience: Duration) -> Result<Option<Reply>> {
        self.socket.send_to(bytes, BROADCAST).await?;
        let mut buffer = [0u8; 2048];
        let until = tokio::time::Instant::now() + patience;
        while let Ok(received) = tokio::time::timeout_at(until, self.socket.recv_from(&mut buffer)).await {
            let Ok(reply) = Reply::parse(&buffer[..received?.0]) else {
                continue;
            };
            if reply.xid.to_be_bytes() == bytes[4..8] {
                return Ok(Some(reply));
            }
        }
        Ok(None)
    }

    /// Sends a message that must be answered and returns the answer.
    pub async fn answer(&self, message: &Message) -> Result<Reply> {
        for _ in 0..20 {
            if let Some(reply) = self.send(&message.bytes(), Duration::from_secs(1)).await? {
                return Ok(reply);
            }
        }
        anyhow::bail!("no answer to {message:?}")
    }

    /// The offer of this server, if others are faster.
    pub async fn offer_of(&self, server: [u8; 4], message: &Message) -> Result<Reply> {
        let mut buffer = [0u8; 2048];
        for _ in 0..20 {
            self.socket.send_to(&message.bytes(), BROADCAST).await?;
            let until = tokio::time::Instant::now() + Duration::from_secs(1);
            while let Ok(received) = tokio::time::timeout_at(until, self.socket.recv_from(&mut buffer)).await
            {
                match Reply::parse(&buffer[..received?.0]) {
                    Ok(reply) if reply.xid == message.xid && reply.option(54) == Some(&server[..]) => {
                        return Ok(reply);
                    }
                    _ => {}
                }
            }
        }
        anyhow::bail!("no offer of {server:?}")
    }

    /// Sends a message that nobody answers.
    pub async fn silence(&self, message: &Message) -> Result<()> {
        self.send(&message.bytes(), Duration::from_millis(150)).await?;
        Ok(())
    }

    /// DISCOVER to ACK; adds the address to the interface.
    pub async fn lease(&self, asker: Asker, mac: Mac) -> Result<Ipv4Addr> {
        let offer = self.answer(&Message::new(DISCOVER, asker, mac, xid(mac))).await?;
        let id = offer.option(54).context("no server in the offer")?.to_vec();
        let request = Message::new(REQUEST, asker, mac, xid(mac) ^ 1)
            .with(50, &offer.yiaddr.octets())
            .with(54, &id);
        let ack = self.answer(&request).await?;
        assert_eq!(ack.kind(), ACK);
        self.port
            .ns
            .run(|| ip(&format!("addr replace {}/24 dev eth0", ack.yiaddr)))?;
        Ok(ack.yiaddr)
    }

    /// `curl` from one of the crowd's addresses.
    pub fn curl(&self, from: Ipv4Addr, arguments: &[&str]) -> Result<std::process::Output> {
        let from = from.to_string();
        let mut all = vec!["-s", "-m", "15", "--interface", &from];
        all.extend(arguments);
        self.port.run("curl", &all)
    }

    /// A connected TCP socket at one of the crowd's addresses, with a small receive buffer.
    pub fn connect(&self, from: Ipv4Addr, to: &str) -> Result<TcpStream> {
        let to: SocketAddr = to.parse()?;
        self.port.ns.run(|| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
            socket.set_recv_buffer_size(4096)?;
            socket.bind(&SocketAddr::from((from, 0)).into())?;
            socket.connect(&to.into())?;
            Ok(socket.into())
        })
    }

    /// A UDP socket at one of the crowd's addresses.
    pub fn udp(&self, from: Ipv4Addr) -> Result<StdUdp> {
        let socket = self.port.ns.run(|| Ok(StdUdp::bind((from, 0))?))?;
        socket.set_read_timeout(Some(Duration::from_secs(2)))?;
        Ok(socket)
    }
}

pub fn xid(mac: Mac) -> u32 {
    u32::from_be_bytes([mac.0[2], mac.0[3], mac.0[4], mac.0[5]]) << 4
}

pub fn mac(n: u8) -> Mac {
    Mac([2, 0, 0, 0x60, n, 0x10])
}

/// A read request with options.
pub fn read_request(file: &str, options: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = vec![0, 1];
    let words = [file, "octet"]
        .into_iter()
        .chain(options.iter().flat_map(|(name, value)| [*name, *value]));
    for word in words {
        bytes.extend(word.as_bytes());
        bytes.push(0);
    }
    bytes
}
