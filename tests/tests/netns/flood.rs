//! Strangers with any number of addresses, MACs and packets: what they cannot stop.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::sim::dhcp::{ACK, Asker, DISCOVER, Message, OFFER, REQUEST, Reply};
use inventory_api::Mac;
use inventory_api::network::NetworkState;
use netboot_protocol::lines::EACH_SECOND;
use socket2::{Domain, Protocol, Socket, Type};

use crate::port::{BROADCAST, Port};
use crate::raw::RawNic;
use crate::site::{RESERVED, SMALL_BRIDGE, Site};

const STRANGER: &str = "02:00:00:00:96:66";
const MACHINE: &str = "02:00:00:00:96:01";
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// A TCP connection from this address to the server's HTTP port.
fn connect(from: Ipv4Addr) -> Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    let server = SocketAddr::from((SERVER, 8067)).into();
    socket.connect_timeout(&server, Duration::from_secs(5))?;
    Ok(socket.into())
}

/// A socket on the port's `eth0` that may broadcast without a route.
fn udp(port: &Port, from: u16) -> Result<UdpSocket> {
    port.ns.run(|| {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_broadcast(true)?;
        socket.bind_device(Some(b"eth0"))?;
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, from)).into())?;
        Ok(socket.into())
    })
}

/// Work that runs until it is dropped, on a thread in a port's namespace.
struct Running {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Running {
    fn start(port: &Arc<Port>, work: impl Fn(u64) -> Result<()> + Send + 'static) -> Running {
        let (stop, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (port, ends, count) = (port.clone(), stop.clone(), done.clone());
        let thread = std::thread::spawn(move || {
            port.ns.enter()?;
            while !ends.load(Ordering::Relaxed) {
                work(count.fetch_add(1, Ordering::Relaxed))?;
            }
            Ok(())
        });
        Running {
            stop,
            done,
            thread: Some(thread),
        }
    }

    fn so_far(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    fn end(mut self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("it ended already")?;
        thread.join().map_err(|_| anyhow::anyhow!("it panicked"))??;
        Ok(self.so_far())
    }
}

/// S7: 17 addresses and more connections than the server accepts, idle or never reading.
#[tokio::test]
async fn strangers_with_many_addresses_do_not_stop_a_download() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let (machine, stranger) = (site.port(MACHINE)?, site.port(STRANGER)?);
    machine.boot(Asker::Ipxe, 1).await?;
    let url = "http://10.77.0.1:8067/boot/initramfs";
    let addresses: Vec<Ipv4Addr> = (200..217).map(|n| Ipv4Addr::new(10, 77, 0, n)).collect();
    for address in &addresses {
        stranger.take(*address)?;
    }
    let before = site.server.log().len();
    let held = stranger.ns.run(|| {
        let mut held = Vec::new();
        for n in 0..17 * 64 {
            // An evicted connection sees a reset, and so does a refused one.
            let Ok(mut stream) = connect(addresses[n % 17]) else {
                continue;
            };
            if n % 2 == 0 {
                let _ = stream.write_all(b"GET /boot/initramfs HTTP/1.1\r\nHost: a\r\n\r\n");
            }
            held.push(stream);
        }
        Ok(held)
    })?;
    for n in 0..10 {
        let (bytes, code) = machine.curl(&[url]).with_context(|| format!("download {n}"))?;
        assert_eq!((bytes.len(), code), (700_000, 200));
    }
    // A stranger who comes for a moment with an address of its own is served, too.
    let other = site.port("02:00:00:00:96:67")?;
    other.take(Ipv4Addr::new(10, 77, 0, 240))?;
    assert_eq!(other.curl(&[url])?.1, 200);
    drop(held);
    let log = site.server.log();
    let said = log[before..].lines().filter(|line| line.contains("WARN")).count();
    ensure!((1..=4).contains(&said), "{said} lines:\n{}", &log[before..]);
    Ok(())
}

/// B1: a reserved machine boots during a flood although it sends each message only once, and the log stays
/// small.
#[tokio::test(flavor = "multi_thread")]
async fn forged_macs_do_not_stop_a_reserved_machine() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let (machine, stranger) = (site.port(RESERVED.0)?, Arc::new(site.port(STRANGER)?));
    stranger.take(Ipv4Addr::new(10, 77, 0, 250))?;
    let before = site.server.log().len();
    let socket = udp(&stranger, 68)?;
    let begun = Instant::now();
    let flood = Running::start(&stranger, move |n| {
        let [.., a, b, c, d] = n.to_be_bytes();
        let message = Message::new(DISCOVER, Asker::Uefi, Mac([2, 0x77, a, b, c, d]), n as u32);
        socket.send_to(&message.bytes(), BROADCAST)?;
        // 6,000 a second, in bursts.
        while Duration::from_micros(n * 166).saturating_sub(begun.elapsed()) > Duration::from_millis(2) {
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    });
    let socket = machine.socket(68)?;
    let mut buffer = [0u8; 2048];
    let mut answers = 0;
    for xid in 0..10u32 {
        let address = RESERVED.1.parse::<Ipv4Addr>()?.octets();
        let discover = Message::new(DISCOVER, Asker::Bios, machine.mac, 0x5000 + xid);
        let request = Message::new(REQUEST, Asker::Bios, machine.mac, 0x6000 + xid)
            .with(50, &address)
            .with(54, &SERVER.octets());
        for (message, kind) in [(discover, OFFER), (request, ACK)] {
            socket.send_to(&message.bytes(), BROADCAST).await?;
            let until = tokio::time::Instant::now() + Duration::from_secs(10);
            while let Ok(received) = tokio::time::timeout_at(until, socket.recv_from(&mut buffer)).await {
                let reply = Reply::parse(&buffer[..received?.0])?;
                if reply.xid == message.xid {
                    answers += usize::from(reply.kind() == kind);
                    break;
                }
            }
        }
    }
    // Long enough to see one line a second, and not one for each message.
    tokio::time::sleep(Duration::from_secs(3).saturating_sub(begun.elapsed())).await;
    let sent = flood.end()?;
    assert_eq!(answers, 20, "of 10 exchanges, beside {sent} DISCOVERs");
    let lines = site.server.log()[before..].lines().count() as u64;
    let seconds = begun.elapsed().as_secs() + 1;
    ensure!(sent > 2000, "only {sent} were sent");
    ensure!(
        lines < 300 + 20 * seconds,
        "{lines} lines in {seconds} s for {sent} messages"
    );
    Ok(())
}

/// S10: failing requests from strangers fill no disk and no machine's journey.
#[tokio::test]
async fn refusals_are_logged_once_a_second() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let (machine, stranger) = (site.port(MACHINE)?, Arc::new(site.port(STRANGER)?));
    machine.boot(Asker::Ipxe, 1).await?;
    let script = format!("http://10.77.0.1:8067/boot.ipxe?mac={}", machine.mac);
    assert_eq!(machine.curl(&[&script])?.1, 200);
    stranger.take(Ipv4Addr::new(10, 77, 0, 250))?;
    let before = site.server.log().len();
    let socket = udp(&stranger, 0)?;
    let tftp = Running::start(&stranger, move |n| {
        let request = format!("\0\u{1}nothing-{n}\0octet\0");
        socket.send_to(request.as_bytes(), "10.77.0.1:69")?;
        std::thread::sleep(Duration::from_micros(50));
        Ok(())
    });
    let stream = std::sync::Mutex::new(stranger.ns.run(|| Ok(TcpStream::connect("10.77.0.1:8067")?))?);
    let mac = machine.mac;
    let http = Running::start(&stranger, move |n| {
        let mut stream = stream.lock().map_err(|_| anyhow::anyhow!("poisoned"))?;
        let path = if n % 2 == 0 { "boot.ipxe" } else { "nothing" };
        // In one packet.
        let request = format!("GET /{path}?mac={mac} HTTP/1.1\r\nHost: a\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut buffer = [0u8; 4096];
        let read = stream.read(&mut buffer)?;
        ensure!(read > 0, "the connection ended");
        Ok(())
    });
    // Each of the five kinds of line may start with two bursts, one on either side of a second's end.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (settled, begun) = (site.server.log().len(), Instant::now());
    let so_far = tftp.so_far() + http.so_far();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let meanwhile = tftp.so_far() + http.so_far() - so_far;
    let (later, seconds) = (site.server.log(), begun.elapsed().as_secs() + 1);
    let (tftp, http) = (tftp.end()?, http.end()?);
    let log = site.server.log();
    ensure!(tftp > 1000 && http > 200, "{tftp} and {http} requests");
    let bursts = 5 * 2 * u64::from(EACH_SECOND.burst);
    let begins = &log[before..settled];
    ensure!(
        (begins.lines().count() as u64) < bursts + 30,
        "two seconds of {tftp} and {http} requests:\n{begins}"
    );
    // "Too many transfers" comes and goes with the load, and a second with at most 50 of these lines is no
    // flood: all are written.
    let goes_on = &later[settled..];
    let (come_and_go, steady): (Vec<_>, Vec<_>) = goes_on
        .lines()
        .partition(|line| line.contains("too many transfers"));
    let most = u64::from(EACH_SECOND.burst) * seconds.div_ceil(2) + seconds;
    ensure!(
        (steady.len() as u64) < 10 * seconds && come_and_go.len() as u64 <= most,
        "{seconds} seconds of {meanwhile} requests:\n{goes_on}"
    );
    ensure!(meanwhile > 1000, "only {meanwhile} requests");
    ensure!(
        log[before..].contains("left_out="),
        "and it says how many it leaves out"
    );
    let journey = site.server.api()?.journey(&machine.mac.to_string()).await?;
    let scripts = journey
        .events
        .iter()
        .filter(|event| matches!(event.what, inventory_api::boot::BootEventKind::Script { .. }));
    assert_eq!(scripts.count(), 1, "its own script is still in its journey");
    Ok(())
}

/// S8: only its own machine ends a lease.
#[tokio::test]
async fn only_the_machine_itself_ends_its_lease() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let (machine, stranger) = (site.port(MACHINE)?, site.port(STRANGER)?);
    let address = machine.boot(Asker::Ipxe, 1).await?;
    stranger.take(Ipv4Addr::new(10, 77, 0, 250))?;
    let about =
        |kind: u8, xid| Message::new(kind, Asker::System, machine.mac, xid).with(54, &SERVER.octets());
    let release = |xid| {
        let mut bytes = about(7, xid).bytes();
        bytes[12..16].copy_from_slice(&address.octets());
        bytes
    };
    let decline = |xid| about(4, xid).with(50, &address.octets()).bytes();
    let raw = RawNic::open(&stranger)?;
    let from_nowhere = |payload: &[u8]| e2e_frame(stranger.mac, payload);
    for (n, payload) in [release(2), decline(3)].into_iter().enumerate() {
        let word = ["release", "decline"][n];
        for (port, to) in [(57721, SERVER), (68, SERVER), (68, Ipv4Addr::BROADCAST)] {
            udp(&stranger, port)?.send_to(&payload, (to, 67))?;
        }
        // And a raw frame from 0.0.0.0 port 68, as the machine itself would decline.
        raw.send(&from_nowhere(&payload))?;
        e2e::wait::until("four refusals", Duration::from_secs(10), async || {
            let answers = site.answers(machine.mac).await?;
            let wrong = format!("{word}:wrong-sender");
            Ok((answers.iter().filter(|answer| **answer == wrong).count() >= 4).then_some(()))
        })
        .await?;
    }
    let script = format!("http://10.77.0.1:8067/boot.ipxe?mac={}", machine.mac);
    assert_eq!(machine.curl(&[&script])?.1, 200, "it has its lease");
    assert_eq!(site.network("lab")?.quarantined, 0);
    // The machine itself may.
    machine.socket(68)?.send_to(&release(9), "10.77.0.1:67").await?;
    site.wait_answer(machine.mac, "release:released").await?;
    assert_eq!(machine.curl(&[&script])?.1, 403);
    Ok(())
}

/// A broadcast from 0.0.0.0 port 68.
fn e2e_frame(from: Mac, payload: &[u8]) -> Vec<u8> {
    netboot_protocol::frame::client_broadcast(from, payload)
}

/// S12: somebody who answers every ARP probe quarantines four addresses, and no more.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_answers_arp_for_every_address_stops_nobody() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let stranger = Arc::new(site.port(STRANGER)?);
    let raw = RawNic::open(&stranger)?;
    let own = stranger.mac;
    let answers = Running::start(&stranger, move |_| {
        let Some(frame) = raw.receive(Duration::from_millis(50))? else {
            return Ok(());
        };
        // An ARP probe, turned into a claim of the address.
        if frame.len() >= 42 && frame[12..14] == [8, 6] && frame[28..32] == [0; 4] {
            let mut claim = frame[6..12].to_vec();
            claim.extend(own.0);
            claim.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 2]);
            claim.extend(own.0);
            claim.extend(&frame[38..42]);
            claim.extend(&frame[6..12]);
            claim.extend([0; 4]);
            raw.send(&claim)?;
        }
        Ok(())
    });
    let mut offers = 0;
    for n in 0..12u8 {
        let port = site.port(&format!("02:00:00:00:97:{n:02x}"))?;
        let discover = Message::new(DISCOVER, Asker::Bios, port.mac, u32::from(n) + 1);
        offers += usize::from(
            port.ask_bytes(&discover.bytes(), discover.xid, BROADCAST)
                .await?
                .is_some(),
        );
    }
    answers.end()?;
    assert!(offers >= 10, "{offers} of 12");
    let status = site.network("lab")?;
    assert_eq!(status.quarantined, 4);
    let said = status.events.iter().find(|event| event.kind == "answers-for-all");
    let said = said.context("the page does not say it")?;
    assert!(said.detail.contains(STRANGER), "{}", said.detail);
    Ok(())
}

/// S12: one forged answer to the search for other servers, and many from a host that does not exist.
#[tokio::test]
async fn a_forged_offer_does_not_stop_the_service() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let (machine, stranger) = (site.port(MACHINE)?, site.port(STRANGER)?);
    let raw = RawNic::open(&stranger)?;
    let offer = |server: Ipv4Addr| {
        let mut bytes = Message::new(OFFER, Asker::System, stranger.mac, 7)
            .with(54, &server.octets())
            .bytes();
        bytes[0] = 2;
        bytes[16..20].copy_from_slice(&[10, 77, 0, 90]);
        let mut frame = netboot_protocol::frame::client_broadcast(stranger.mac, &bytes);
        // From port 67 of the server to port 68. A bridge may verify the header's checksum (RFC 1071).
        frame[26..30].copy_from_slice(&server.octets());
        frame[34..38].copy_from_slice(&[0, 67, 0, 68]);
        frame[24..26].copy_from_slice(&[0, 0]);
        let words = frame[14..34].chunks_exact(2);
        let sum: u32 = words
            .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
            .sum();
        let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
        frame
    };
    stranger.take(Ipv4Addr::new(10, 77, 0, 250))?;
    raw.send(&offer(Ipv4Addr::new(10, 77, 0, 250)))?;
    for _ in 0..4 {
        raw.send(&offer(Ipv4Addr::new(10, 77, 0, 251)))?;
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    let mut heard = Vec::new();
    let both = e2e::wait::until("both to be heard", Duration::from_secs(10), async || {
        heard = site.network("lab")?.servers;
        Ok((heard.len() == 2).then_some(()))
    });
    both.await.with_context(|| format!("{heard:?}"))?;
    assert_eq!(site.network("lab")?.state, NetworkState::Serving);
    let discover = Message::new(DISCOVER, Asker::Bios, machine.mac, 1);
    assert_eq!(machine.answer(&discover).await?.kind(), OFFER);
    // A real server, which answers again, closes the network.
    for _ in 0..3 {
        raw.send(&offer(Ipv4Addr::new(10, 77, 0, 250)))?;
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    e2e::wait::until("the network to refuse", Duration::from_secs(10), async || {
        Ok((site.network("lab")?.state == NetworkState::Refusing).then_some(()))
    })
    .await?;
    // The other networks are not affected.
    let other = site.port_on(SMALL_BRIDGE, "02:00:00:00:96:03")?;
    assert_eq!(
        other
            .answer(&Message::new(DISCOVER, Asker::Bios, other.mac, 2))
            .await?
            .kind(),
        OFFER
    );
    Ok(())
}
