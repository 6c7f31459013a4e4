//! Hostile bytes on every port: afterwards the server still answers a good client, and has not grown.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::netns::NetNs;
use e2e::sim::dhcp::{ACK, Asker, DISCOVER, Message};
use e2e::sim::rig::bytes_of;
use inventory_api::machine::MachineFilter;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::port::{BROADCAST, Port};
use crate::site::{LOADER, RESERVED, Site};

/// What a first round may cost: buffers, journeys of some MACs, threads.
const WARM: u64 = 48 << 20;
/// What three more rounds may cost: habits of the allocator.
const GROWTH: u64 = 12 << 20;

/// A process's resident memory, in bytes.
fn resident(pid: u32) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text
        .lines()
        .find_map(|l| l.strip_prefix("VmRSS:"))
        .context("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib << 10)
}

/// The records of a capture file, both unchanged and without the headers in front of a UDP payload.
fn records(path: &Path) -> Result<Vec<Vec<u8>>> {
    let bytes = std::fs::read(path)?;
    let mut rest = bytes.get(24..).unwrap_or_default();
    let little = bytes.starts_with(&[0xd4, 0xc3, 0xb2, 0xa1]);
    let mut found = Vec::new();
    while let Some((head, tail)) = rest.split_at_checked(16) {
        let len = [head[8], head[9], head[10], head[11]];
        let len = if little {
            u32::from_le_bytes(len)
        } else {
            u32::from_be_bytes(len)
        };
        let Some((record, tail)) = tail.split_at_checked(len as usize) else {
            break;
        };
        found.push(record.to_vec());
        found.extend(record.get(42..).map(<[u8]>::to_vec));
        rest = tail;
    }
    Ok(found)
}

/// Every file below a directory of the fixtures, as datagrams.
fn captured() -> Result<Vec<Vec<u8>>> {
    let Some(dhcp) = fixtures::find("dhcp") else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    let mut folders = vec![dhcp];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            match path.extension().and_then(|e| e.to_str()) {
                _ if path.is_dir() => folders.push(path),
                Some("pcap") => found.extend(records(&path)?),
                Some("bin") => found.push(std::fs::read(&path)?),
                _ => {}
            }
        }
    }
    found.retain(|packet| packet.len() < 60_000);
    Ok(found)
}

/// DISCOVERs with random changes behind the hardware address, and pure noise.
fn mutated(port: &Port, round: usize) -> Vec<Vec<u8>> {
    let good = Message::new(DISCOVER, Asker::Ipxe, port.mac, 7)
        .with(82, &[1, 2, 3, 4])
        .bytes();
    let mut packets = vec![Vec::new(), vec![1], vec![1; 240], vec![255; 1500], vec![1; 9000]];
    for seed in (1..=1500).map(|n| n + round * 10_000) {
        let noise = bytes_of(seed, 24);
        let mut packet = good.clone();
        for pair in noise[..16].chunks(4) {
            // Everything but chaddr, so that invented machines do not exhaust the pool.
            let at = usize::from(u16::from_le_bytes([pair[0], pair[1]])) % packet.len();
            if !(28..34).contains(&at) {
                packet[at] = pair[2];
            }
        }
        if noise[20] < 60 {
            packet.truncate(usize::from(noise[21]) * 2);
        }
        packets.push(packet);
        packets.push(bytes_of(seed, usize::from(noise[22]) * 6));
    }
    packets
}

fn tftp_packets() -> Vec<Vec<u8>> {
    let mut packets: Vec<Vec<u8>> = [
        &b""[..],
        b"\0",
        b"\0\x01",
        b"\0\x01undionly.kpxe",
        b"\0\x01undionly.kpxe\0",
        b"\0\x01undionly.kpxe\0octet",
        b"\0\x01undionly.kpxe\xff\0octet\0",
        b"\0\x01undionly.kpxe\0mail\0",
        b"\0\x01undionly.kpxe\0octet\0blksize\0",
        b"\0\x01undionly.kpxe\0octet\0blksize\x000\0",
        b"\0\x01undionly.kpxe\0octet\0blksize\099999999999999999999\0",
        b"\0\x01undionly.kpxe\0octet\0windowsize\0-1\0tsize\0x\0",
        b"\0\x01undionly.kpxe\0octet\0\0\0\0\0\0\0\0",
        b"\0\x02x\0octet\0",
        b"\0\x03\0\x01data",
        b"\0\x04\0\x01",
        b"\0\x05\0\x08\0",
        b"\0\x06blksize\x001468\0",
        b"\xff\xff\xff\xff",
    ]
    .iter()
    .map(|packet| packet.to_vec())
    .collect();
    for seed in 0..300 {
        let mut noise = bytes_of(seed + 9, 10 + seed * 3);
        noise[0] = 0;
        noise[1] %= 8;
        packets.push(noise);
    }
    packets
}

async fn connect(ns: &NetNs, port: u16) -> Result<TcpStream> {
    let socket = ns.run(|| {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    })?;
    let socket = TcpSocket::from_std_stream(socket.into());
    Ok(socket.connect((Ipv4Addr::new(10, 77, 0, 1), port).into()).await?)
}

/// Sends bytes on a new connection; reads and ignores what comes back.
async fn throw(ns: &NetNs, port: u16, bytes: &[u8]) -> Result<()> {
    let mut stream = connect(ns, port).await?;
    // The server may hang up in the middle of it.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let mut stream = stream.take(1 << 20);
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer));
    let _ = read
        .await
        .context("a connection with nonsense on it is not closed")?;
    Ok(())
}

fn http_requests() -> Vec<Vec<u8>> {
    let mut requests: Vec<Vec<u8>> = [
        "GET",
        "GET / HTTP/9.9\r\n\r\n",
        "\r\n\r\n\r\n",
        "GET /boot/kernel HTTP/1.1\r\nHost: x\r\nRange: bytes=99999999999999999999-\r\nConnection: close\r\n\r\n",
        "GET /boot/kernel HTTP/1.1\r\nHost: x\r\nRange: bytes=0-1,2-3,4-5\r\nConnection: close\r\n\r\n",
        "GET http://[::1/boot HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /boot.ipxe?mac=%00%00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "POST /boot/kernel HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        "POST /boot/kernel HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\nx",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    requests.push(format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(200_000)).into_bytes());
    requests.push(format!("GET / HTTP/1.1\r\n{}\r\n", "X-A: b\r\n".repeat(20_000)).into_bytes());
    for seed in 0..60 {
        requests.push(bytes_of(seed + 77, 20 + seed * 40));
        let mut torn = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec();
        torn.extend(bytes_of(seed + 177, seed * 8));
        requests.push(torn);
    }
    requests
}

/// One round of everything. Returns the number of datagrams.
async fn attack(good: &Port, enemy: &Port, round: usize) -> Result<usize> {
    let (dhcp, tftp) = (enemy.socket(68)?, enemy.socket(0)?);
    let mut packets = captured()?;
    packets.extend(mutated(enemy, round));
    for (number, packet) in packets.iter().enumerate() {
        let _ = dhcp.send_to(packet, BROADCAST).await;
        let _ = tftp.send_to(packet, "10.77.0.1:69").await;
        // No faster than the server reads, so that it sees every one of them.
        if number % 100 == 99 {
            let probe = Message::new(DISCOVER, Asker::System, good.mac, number as u32);
            let answer = good.answer(&probe).await;
            answer.with_context(|| format!("after {number} packets"))?;
        }
    }
    for packet in tftp_packets() {
        // Each from a new port: the server drops what comes from a port with a transfer.
        enemy.socket(0)?.send_to(&packet, "10.77.0.1:69").await?;
    }
    for request in http_requests() {
        throw(&enemy.ns, 8067, &request).await?;
        throw(&enemy.ns, 8443, &request).await?;
    }
    Ok(packets.len())
}

#[tokio::test]
async fn hostile_bytes_change_nothing() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let (good, enemy) = (site.port(RESERVED.0)?, site.port("02:00:00:00:80:01")?);
    good.boot(Asker::Uefi, 1).await?;
    enemy.boot(Asker::System, 2).await?;
    let pid = site.server.id().context("the server runs")?;
    let cold = resident(pid)?;
    let packets = attack(&good, &enemy, 0).await?;
    // Buffers, journeys and threads exist now: repetition must not make it larger.
    let warm = resident(pid)?;
    for round in 1..=3 {
        attack(&good, &enemy, round).await?;
    }
    let grown = resident(pid)?.saturating_sub(warm);

    // Silent connections do not lock others out: an address has a limited number of them.
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(connect(&enemy.ns, 8067).await?);
        idle.push(connect(&enemy.ns, 8443).await?);
    }
    e2e::wait::until(
        "the server to hang up on most of them",
        Duration::from_secs(10),
        async || {
            let closed = |stream: &&TcpStream| matches!(stream.try_read(&mut [0]), Ok(0));
            Ok((idle.iter().filter(closed).count() > 150).then_some(()))
        },
    )
    .await?;

    assert_eq!(good.lease(Asker::Ipxe, 3).await?.kind(), ACK);
    let fetched = good.run("curl", &["-sS", "-m", "15", "tftp://10.77.0.1/undionly.kpxe"])?;
    assert!(fetched.stdout == std::fs::read(LOADER)?, "TFTP");
    let (kernel, code) = good.curl(&["http://10.77.0.1:8067/boot/kernel"])?;
    assert!(code == 200 && kernel == std::fs::read(site.directory().join("mini-os/kernel"))?);
    site.server
        .api()?
        .machines(&MachineFilter::default())
        .await
        .context("the API")?;
    eprintln!(
        "{packets} datagrams a round; memory {} kB at first, {} kB after one round, {} kB more after four",
        cold >> 10,
        warm >> 10,
        grown >> 10
    );
    assert!(warm - cold.min(warm) < WARM && grown < GROWTH, "the server grew");
    let log = site.server.log();
    assert!(!log.contains("panicked"), "{log}");
    Ok(())
}
