//! The service with a few files, and a client's socket.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use inventory_api::Sha256Digest;
use inventory_api::boot::{BootEvent, BootTarget};
use netboot::{
    BootClient, BootInstruction, BootSource, Config, Netboot, NetbootError, Network, NetworkSettings,
    PoolRange,
};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longest wait for something that must come.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Decides nothing.
#[derive(Default)]
struct Nobody(Mutex<Vec<BootEvent>>);

impl BootSource for Nobody {
    async fn target(&self, _: &BootClient) -> BootTarget {
        BootTarget::Ignore
    }

    async fn script(&self, _: &BootClient) -> BootInstruction {
        BootInstruction::Ignore
    }

    async fn public_image(&self, _: Sha256Digest) -> Option<PathBuf> {
        None
    }

    fn heard(&self, event: BootEvent) {
        self.0.lock().unwrap().push(event);
    }
}

/// The running service.
pub struct Service {
    directory: tempfile::TempDir,
    pub tftp: SocketAddr,
    pub http: SocketAddr,
    cancel: CancellationToken,
    running: JoinHandle<Result<(), NetbootError>>,
}

impl Service {
    /// Serves these files on loopback.
    pub async fn start(files: impl IntoIterator<Item = (&'static str, Vec<u8>)>) -> Service {
        Service::start_with(files, |_| {}).await
    }

    /// Like [`Service::start`], in a network with other settings.
    pub async fn start_with(
        files: impl IntoIterator<Item = (&'static str, Vec<u8>)>,
        change: fn(&mut NetworkSettings),
    ) -> Service {
        let boot_files = files.into_iter();
        let boot_files: BTreeMap<_, _> = boot_files
            .map(|(name, bytes)| (name.to_owned(), Bytes::from(bytes)))
            .collect();
        Service::run(Arc::<Nobody>::default(), change, |config| {
            config.boot_files = boot_files
        })
        .await
    }

    /// Runs it for this source, with other settings and another configuration.
    pub async fn run<S: BootSource>(
        source: Arc<S>,
        change: fn(&mut NetworkSettings),
        configure: impl FnOnce(&mut Config),
    ) -> Service {
        let directory = tempfile::tempdir().unwrap();
        let subnet = "127.0.0.0/16".parse().unwrap();
        let mut settings = NetworkSettings::new("lab", Ipv4Addr::LOCALHOST, subnet);
        settings.pools = vec![PoolRange {
            first: Ipv4Addr::new(127, 0, 1, 0),
            last: Ipv4Addr::new(127, 0, 1, 9),
        }];
        change(&mut settings);
        let networks = vec![Network::new(settings).unwrap()];
        let mut config = Config::new(networks, directory.path().join("leases"));
        (config.dhcp_port, config.tftp_port, config.http_port) = (0, 0, 0);
        config.kernel = directory.path().join("kernel");
        config.reply_to_source = true;
        configure(&mut config);
        let netboot = Netboot::bind(config).await.unwrap();
        let (tftp, http) = (netboot.bound()[0].tftp, netboot.bound()[0].http);
        let cancel = CancellationToken::new();
        let running = tokio::spawn(netboot.start(source, cancel.clone()).run());
        Service {
            directory,
            tftp,
            http,
            cancel,
            running,
        }
    }

    /// The file on disk served as the kernel; it is not created here.
    pub fn kernel(&self) -> PathBuf {
        self.directory.path().join("kernel")
    }

    /// Stops the service and checks that no task panicked.
    pub async fn stop(self) {
        self.cancel.cancel();
        self.running.await.unwrap().unwrap();
    }
}

/// A file's bytes.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + i / 251) as u8).collect()
}

/// A read request.
pub fn request(name: &[u8], mode: &str, options: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = [b"\0\x01", name, b"\0", mode.as_bytes(), b"\0"].concat();
    for (name, value) in options {
        bytes.extend(format!("{name}\0{value}\0").bytes());
    }
    bytes
}

/// A client's socket.
pub struct Client {
    socket: UdpSocket,
}

impl Client {
    /// Opens one and sends a first packet.
    pub async fn ask(server: SocketAddr, request: &[u8]) -> Client {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let client = Client { socket };
        client.send(request, server).await;
        client
    }

    pub async fn send(&self, packet: &[u8], to: SocketAddr) {
        self.socket.send_to(packet, to).await.unwrap();
    }

    pub async fn ack(&self, block: u16, to: SocketAddr) {
        let [high, low] = block.to_be_bytes();
        self.send(&[0, 4, high, low], to).await;
    }

    /// The next packet, which must come.
    pub async fn next(&self) -> (Vec<u8>, SocketAddr) {
        self.within(DEADLINE)
            .await
            .unwrap_or_else(|| panic!("no packet for {DEADLINE:?}"))
    }

    /// Waits for this DATA packet; on a slow machine an earlier packet may be repeated first.
    pub async fn data(&self, block: u16) -> (Vec<u8>, SocketAddr) {
        let [high, low] = block.to_be_bytes();
        loop {
            let (packet, from) = self.next().await;
            if packet[..4] == [0, 3, high, low] {
                return (packet, from);
            }
        }
    }

    /// The next packet, if one comes within this time.
    pub async fn within(&self, time: Duration) -> Option<(Vec<u8>, SocketAddr)> {
        let mut buffer = vec![0; 70_000];
        let received = tokio::time::timeout(time, self.socket.recv_from(&mut buffer)).await;
        let (len, from) = received.ok()?.unwrap();
        buffer.truncate(len);
        Some((buffer, from))
    }

    /// Everything that comes within a time.
    pub async fn all_within(&self, time: Duration) -> Vec<Vec<u8>> {
        let end = tokio::time::Instant::now() + time;
        let mut packets = Vec::new();
        while let Some((packet, _)) = self.within(end - tokio::time::Instant::now()).await {
            packets.push(packet);
        }
        packets
    }
}

/// Fetches a file as a well-behaved client; `Err`: the server's error code.
pub async fn fetch(server: SocketAddr, request: &[u8]) -> Result<Vec<u8>, u16> {
    fetch_from(server, request).await.map(|(file, _)| file)
}

/// Like [`fetch`], also returning where the packets came from.
pub async fn fetch_from(server: SocketAddr, request: &[u8]) -> Result<(Vec<u8>, BTreeSet<SocketAddr>), u16> {
    let mut sources = BTreeSet::new();
    let client = Client::ask(server, request).await;
    let (mut file, mut expected, mut size, mut window, mut in_window) = (Vec::new(), 1u16, 512, 1u32, 0);
    loop {
        let (packet, from) = client.next().await;
        sources.insert(from);
        let number = u16::from_be_bytes([packet[2], packet[3]]);
        match packet[1] {
            3 if number == expected => {
                file.extend_from_slice(&packet[4..]);
                expected = expected.wrapping_add(1);
                in_window += 1;
                let last = packet.len() - 4 < size;
                if last || in_window == window {
                    in_window = 0;
                    client.ack(number, from).await;
                }
                if last {
                    return Ok((file, sources));
                }
            }
            // Out of order: something was lost, for instance in a full socket buffer.
            3 => {
                in_window = 0;
                client.ack(expected.wrapping_sub(1), from).await;
            }
            5 => return Err(number),
            6 => {
                for (name, value) in oack(&packet) {
                    match name.as_str() {
                        "blksize" => size = value as usize,
                        "windowsize" => window = value,
                        _ => {}
                    }
                }
                client.ack(0, from).await;
            }
            other => panic!("a packet of kind {other}"),
        }
    }
}

/// The options of an OACK.
pub fn oack(packet: &[u8]) -> Vec<(String, u32)> {
    assert_eq!(packet[..2], [0, 6], "an OACK: {packet:?}");
    let text = String::from_utf8(packet[2..].to_vec()).unwrap();
    let words: Vec<&str> = text.split('\0').collect();
    let pairs = words.chunks_exact(2);
    pairs
        .map(|pair| (pair[0].to_owned(), pair[1].parse().unwrap()))
        .collect()
}

/// An HTTP response.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header.
    pub fn header(&self, wanted: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then_some(value.trim())
        })
    }
}
