//! One NIC in its own namespace: the far end of a cable.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Output;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::netns::{NetNs, ip};
use e2e::sim::dhcp::{self, Asker, Message, Reply};
use inventory_api::Mac;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

/// Where clients without an address send.
pub const BROADCAST: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(Ipv4Addr::BROADCAST, 67));
/// No answer within this time is silence. Answers take a few milliseconds.
pub const SILENCE: Duration = Duration::from_millis(800);

/// A NIC `eth0` in its namespace.
pub struct Port {
    pub ns: NetNs,
    pub mac: Mac,
}

impl Port {
    pub fn new(ns: NetNs, mac: &str) -> Result<Port> {
        let mac = mac.parse().map_err(|e| anyhow::anyhow!("MAC {mac}: {e}"))?;
        Ok(Port { ns, mac })
    }

    /// A socket on UDP `port` on every address of `eth0`, also for broadcasts.
    pub fn socket(&self, port: u16) -> Result<UdpSocket> {
        let socket = self.ns.run(|| {
            let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
            socket.set_nonblocking(true)?;
            socket.set_reuse_address(true)?;
            socket.set_broadcast(true)?;
            socket.bind_device(Some(b"eth0"))?;
            socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
            Ok(socket)
        })?;
        Ok(UdpSocket::from_std(socket.into())?)
    }

    /// DISCOVER to ACK.
    pub async fn lease(&self, asker: Asker, xid: u32) -> Result<Reply> {
        dhcp::lease(&self.socket(68)?, BROADCAST, asker, self.mac, xid).await
    }

    /// DISCOVER to ACK; adds the address to the NIC.
    pub async fn boot(&self, asker: Asker, xid: u32) -> Result<Ipv4Addr> {
        let ack = self.lease(asker, xid).await?;
        self.take(ack.yiaddr)?;
        Ok(ack.yiaddr)
    }

    pub fn take(&self, address: Ipv4Addr) -> Result<()> {
        self.ns
            .run(|| ip(&format!("addr replace {address}/24 dev eth0")).map(drop))
    }

    /// Removes all addresses.
    pub fn drop_addresses(&self) -> Result<()> {
        self.ns.run(|| ip("addr flush dev eth0").map(drop))
    }

    /// Sends a message and waits for the reply to it; `None` after [`SILENCE`].
    pub async fn ask(&self, message: &Message) -> Result<Option<Reply>> {
        self.ask_bytes(&message.bytes(), message.xid, BROADCAST).await
    }

    /// Like [`Port::ask`], for a server that must answer: asks again if the machine is busy.
    pub async fn answer(&self, message: &Message) -> Result<Reply> {
        for _ in 0..10 {
            if let Some(reply) = self.ask(message).await? {
                return Ok(reply);
            }
        }
        anyhow::bail!("{}: ten messages and no answer: {message:?}", self.mac)
    }

    /// Like [`Port::ask`], with modified bytes and to another destination.
    pub async fn ask_bytes(&self, bytes: &[u8], xid: u32, to: SocketAddr) -> Result<Option<Reply>> {
        let socket = self.socket(68)?;
        socket
            .send_to(bytes, to)
            .await
            .with_context(|| format!("sending to {to}"))?;
        let mut buffer = [0u8; 2048];
        let until = tokio::time::Instant::now() + SILENCE;
        while let Ok(received) = tokio::time::timeout_at(until, socket.recv_from(&mut buffer)).await {
            let reply = Reply::parse(&buffer[..received?.0])?;
            if reply.xid == xid {
                return Ok(Some(reply));
            }
        }
        Ok(None)
    }

    /// Runs a program to its end behind this NIC, with a time limit.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<Output> {
        self.ns
            .command("timeout")
            .arg("20")
            .arg(program)
            .args(arguments)
            .output()
            .with_context(|| format!("running {program}"))
    }

    /// `curl`, with the status code as the last line of its output; returns body and code.
    pub fn curl(&self, arguments: &[&str]) -> Result<(Vec<u8>, u16)> {
        let mut all = vec!["-s", "-S", "-m", "15", "-w", "\n%{http_code}"];
        all.extend(arguments);
        let output = self.run("curl", &all)?;
        ensure!(
            output.status.success(),
            "curl {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let end = output
            .stdout
            .iter()
            .rposition(|&b| b == b'\n')
            .context("curl printed no code")?;
        let code = std::str::from_utf8(&output.stdout[end + 1..])?.parse()?;
        Ok((output.stdout[..end].to_vec(), code))
    }
}
