//! Whole boots: DISCOVER to ACK, TFTP and HTTP with real bytes, many machines at once.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use inventory_api::boot::{BootArgs, BootEvent, BootEventKind, BootTarget, Purpose};
use inventory_api::{Mac, Sha256Digest, UnixMs};
use netboot::{
    BootClient, BootInstruction, BootSource, BoundNetwork, Config, LeaseTable, Mode, Netboot, NetbootError,
    Network, NetworkSettings, PoolRange,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::service::{Answer, DEADLINE, fetch, pattern, request};

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .unwrap_or_else(|_| panic!("waited {DEADLINE:?} for {what}"))
}

/// Boots the mini-os, but the local disk if the MAC ends in 0xdd, and nothing if it ends in 0xee.
struct Source {
    events: Mutex<Vec<BootEvent>>,
    image: (Sha256Digest, PathBuf),
}

impl BootSource for Source {
    async fn target(&self, client: &BootClient) -> BootTarget {
        match client.mac.0[5] {
            0xee => BootTarget::Ignore,
            0xdd => BootTarget::LocalDisk,
            _ => BootTarget::MiniOs {
                purpose: Purpose::Commission,
            },
        }
    }

    async fn script(&self, client: &BootClient) -> BootInstruction {
        match self.target(client).await {
            BootTarget::Ignore => BootInstruction::Ignore,
            BootTarget::LocalDisk => BootInstruction::LocalDisk,
            BootTarget::MiniOs { purpose } => BootInstruction::MiniOs(Box::new(BootArgs {
                server: format!("https://{}:8443", client.server),
                boot_url: format!("http://{}:8067", client.server),
                mac: client.mac,
                ticket: "ticket".into(),
                time: UnixMs(1),
                purpose,
            })),
        }
    }

    async fn kernel_args(&self, _: &BootClient) -> Vec<String> {
        vec!["panic=3".into()]
    }

    async fn public_image(&self, digest: Sha256Digest) -> Option<PathBuf> {
        (digest == self.image.0).then(|| self.image.1.clone())
    }

    fn heard(&self, event: BootEvent) {
        self.events.lock().unwrap().push(event);
    }
}

struct Service {
    dir: tempfile::TempDir,
    source: Arc<Source>,
    bound: BoundNetwork,
    leases: LeaseTable,
    cancel: CancellationToken,
    running: JoinHandle<Result<(), NetbootError>>,
}

fn config(dir: &std::path::Path) -> Config {
    let mut settings = NetworkSettings::new(
        "lab",
        Ipv4Addr::new(127, 0, 0, 1),
        "127.0.0.0/16".parse().unwrap(),
    );
    settings.mode = Mode::Server;
    settings.pools = vec![PoolRange {
        first: Ipv4Addr::new(127, 0, 1, 0),
        last: Ipv4Addr::new(127, 0, 5, 250),
    }];
    settings.kernel_args = vec!["console=ttyS1,115200".into(), "panic=2".into()];
    settings
        .reservations
        .insert(Mac([2, 0, 0, 0, 0, 0x77]), Ipv4Addr::new(127, 0, 0, 77));
    let mut config = Config::new(vec![Network::new(settings).unwrap()], dir.join("leases"));
    (config.dhcp_port, config.tftp_port, config.http_port) = (0, 0, 0);
    config.reply_to_source = true;
    config.boot_files = BTreeMap::from([
        ("undionly.kpxe".to_owned(), Bytes::from(pattern(70_000))),
        ("snponly.efi".to_owned(), Bytes::from(pattern(150_528))),
    ]);
    config.kernel = dir.join("kernel");
    config.initramfs = dir.join("initramfs");
    std::fs::write(&config.kernel, pattern(1_000_000)).unwrap();
    std::fs::write(&config.initramfs, pattern(3_000_000)).unwrap();
    config.site_archive = Bytes::from_static(b"site archive");
    config.kernel_args = vec!["console=ttyS0".into(), "iommu=pt".into(), "panic=1".into()];
    config
}

async fn start_in(dir: tempfile::TempDir) -> Service {
    let config = config(dir.path());
    let image = dir.path().join("image");
    std::fs::write(&image, pattern(5_000_000)).unwrap();
    let source = Arc::new(Source {
        events: Mutex::default(),
        image: (Sha256Digest([0xab; 32]), image),
    });
    let netboot = Netboot::bind(config).await.unwrap();
    let (bound, leases) = (netboot.bound()[0].clone(), netboot.leases());
    let cancel = CancellationToken::new();
    let running = tokio::spawn(netboot.start(source.clone(), cancel.clone()).run());
    Service {
        dir,
        source,
        bound,
        leases,
        cancel,
        running,
    }
}

impl Service {
    async fn start() -> Service {
        start_in(tempfile::tempdir().unwrap()).await
    }

    /// Stops the service and checks that every task has ended.
    async fn stop(self) -> tempfile::TempDir {
        self.cancel.cancel();
        within("the service to end", self.running).await.unwrap().unwrap();
        self.dir
    }

    async fn event(&self, what: &str, wanted: impl Fn(&BootEvent) -> bool) -> BootEvent {
        within(what, async {
            loop {
                if let Some(event) = self.source.events.lock().unwrap().iter().find(|e| wanted(e)) {
                    return event.clone();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
    }
}

fn message(kind: u8, mac: Mac, options: &[(u8, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; 236];
    bytes[..3].copy_from_slice(&[1, 1, 6]);
    bytes[4..8].copy_from_slice(&mac.0[2..]);
    bytes[28..34].copy_from_slice(&mac.0);
    bytes.extend([0x63, 0x82, 0x53, 0x63, 53, 1, kind]);
    for (code, value) in options {
        bytes.extend([*code, value.len() as u8]);
        bytes.extend(*value);
    }
    bytes.push(255);
    bytes
}

fn option(reply: &[u8], wanted: u8) -> Option<Vec<u8>> {
    let mut rest = &reply[240..];
    while let [code, len, tail @ ..] = rest {
        if *code == 255 {
            return None;
        }
        let (value, tail) = tail.split_at(usize::from(*len));
        if *code == wanted {
            return Some(value.to_vec());
        }
        rest = tail;
    }
    None
}

async fn exchange(socket: &UdpSocket, to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut reply = vec![0; 2048];
    let len = within("a DHCP reply", async {
        loop {
            socket.send_to(bytes, to).await.unwrap();
            // Firmware repeats after four seconds too: a burst may exceed a socket's buffer.
            let heard = socket.recv_from(&mut reply);
            if let Ok(heard) = tokio::time::timeout(Duration::from_secs(4), heard).await {
                break heard.unwrap().0;
            }
        }
    })
    .await;
    reply.truncate(len);
    assert!(len >= 300, "relays drop what is shorter than 300 bytes: {len}");
    assert_eq!(reply[4..8], bytes[4..8], "transaction id");
    reply
}

const BIOS: &[(u8, &[u8])] = &[(60, b"PXEClient:Arch:00000:UNDI:002001"), (93, &[0, 0])];
const IPXE: &[(u8, &[u8])] = &[
    (60, b"PXEClient:Arch:00000:UNDI:002001"),
    (93, &[0, 0]),
    (77, b"iPXE"),
    (175, &[0x13, 1, 1, 0x18, 1, 1]),
];

/// DISCOVER, OFFER, REQUEST, ACK; returns the ACK.
async fn lease(service: &Service, mac: Mac, options: &[(u8, &[u8])]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let offer = exchange(&socket, service.bound.dhcp, &message(1, mac, options)).await;
    assert_eq!(option(&offer, 53), Some(vec![2]));
    let (address, server) = (offer[16..20].to_vec(), option(&offer, 54).unwrap());
    let mut options = options.to_vec();
    options.extend([(50, &address[..]), (54, &server[..])]);
    let ack = exchange(&socket, service.bound.dhcp, &message(3, mac, &options)).await;
    assert_eq!(option(&ack, 53), Some(vec![5]));
    assert_eq!(ack[16..20], offer[16..20], "the address of the offer");
    ack
}

fn address(reply: &[u8]) -> Ipv4Addr {
    Ipv4Addr::new(reply[16], reply[17], reply[18], reply[19])
}

#[tokio::test]
async fn from_discover_to_script() {
    let service = Service::start().await;
    let mac = Mac([2, 0, 0, 0, 0, 1]);

    let firmware = lease(&service, mac, BIOS).await;
    assert_eq!(option(&firmware, 67), Some(b"undionly.kpxe\0".to_vec()));
    assert_eq!(option(&firmware, 60), Some(b"PXEClient".to_vec()));
    assert_eq!(option(&firmware, 43), Some(vec![6, 1, 8, 255]));
    let loader = tftp(
        service.bound.tftp,
        "/undionly.kpxe",
        &[("blksize", "1432"), ("windowsize", "4")],
    )
    .await;
    assert!(loader.unwrap() == pattern(70_000));

    let ipxe = lease(&service, mac, IPXE).await;
    assert_eq!(
        address(&ipxe),
        address(&firmware),
        "one address through all stages"
    );
    assert_eq!(
        service.leases.address_of("lab", mac, UnixMs(0)),
        Some(address(&ipxe))
    );
    let url = String::from_utf8(option(&ipxe, 67).unwrap()).unwrap();
    let path = url
        .strip_prefix(&format!("http://{}", service.bound.http))
        .expect(&url);
    let path = path.trim_end_matches('\0');
    assert_eq!(path, format!("/boot.ipxe?mac={mac}"));

    let script = http(service.bound.http, "GET", path, "").await;
    let text = String::from_utf8(script.body.clone()).unwrap();
    assert_eq!(script.status, 200);
    // The network's console replaces the global one, and a rule's word replaces the network's.
    assert!(
        text.contains(" iommu=pt console=ttyS1,115200 panic=3 ") && text.contains("slipway.ticket=ticket"),
        "{text}"
    );
    assert!(!text.contains("console=ttyS0"), "{text}");
    let fetched = service.event(
        "the script's end",
        |e| matches!(&e.what, BootEventKind::Http { path, .. } if path == "/boot.ipxe"),
    );
    let BootEventKind::Http {
        bytes, status, head, ..
    } = fetched.await.what
    else {
        unreachable!()
    };
    assert_eq!((bytes, status, head), (text.len() as u64, 200, false));
    let length = http(
        service.bound.http,
        "HEAD",
        &format!("/boot/snponly.efi?mac={mac}"),
        "",
    )
    .await;
    assert_eq!((length.status, length.body.len()), (200, 0));
    service
        .event(
            "the question for a length",
            |e| matches!(&e.what, BootEventKind::Http { path, head: true, bytes: 0, .. } if path == "/boot/snponly.efi"),
        )
        .await;
    // A machine switched off in the middle of the kernel.
    let kernel = std::fs::File::options()
        .write(true)
        .open(service.dir.path().join("kernel"));
    kernel.unwrap().set_len(64 << 20).unwrap();
    let mut leaves = TcpStream::connect(service.bound.http).await.unwrap();
    let request = format!("GET /boot/kernel?mac={mac} HTTP/1.1\r\nHost: a\r\n\r\n");
    leaves.write_all(request.as_bytes()).await.unwrap();
    leaves.read_u8().await.unwrap();
    drop(leaves);
    service
        .event("a kernel in part", |e| {
            matches!(&e.what, BootEventKind::Http { path, partial: true, bytes, .. } if path == "/boot/kernel" && *bytes < 64 << 20)
        })
        .await;
    service
        .event("the script", |e| matches!(e.what, BootEventKind::Script { .. }))
        .await;
    let heard = service.event(
        "a DHCP event",
        |e| matches!(&e.what, BootEventKind::Dhcp { client, .. } if client == "ipxe"),
    );
    assert_eq!(heard.await.network.as_deref(), Some("lab"));
    service.stop().await;
}

#[tokio::test]
async fn ignored_local_disk_reserved_and_refused() {
    let service = Service::start().await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let ignored = Mac([2, 0, 0, 0, 0, 0xee]);
    socket
        .send_to(&message(1, ignored, BIOS), service.bound.dhcp)
        .await
        .unwrap();
    let silence = service.event("the silence", |e| e.mac == ignored).await;
    assert!(matches!(&silence.what, BootEventKind::Dhcp { answer, .. } if answer.to_string() == "ignored"));
    let script = http(
        service.bound.http,
        "GET",
        &format!("/boot.ipxe?mac={ignored}"),
        "",
    )
    .await;
    assert_eq!(script.status, 404);

    let local = Mac([2, 0, 0, 0, 0, 0xdd]);
    let ack = lease(&service, local, BIOS).await;
    assert!(
        option(&ack, 67).is_some(),
        "a firmware without a boot file wastes a minute"
    );
    let script = http(service.bound.http, "GET", &format!("/boot.ipxe?mac={local}"), "").await;
    assert!(String::from_utf8_lossy(&script.body).contains("sanboot --no-describe --drive 0x80"));

    let reserved = lease(&service, Mac([2, 0, 0, 0, 0, 0x77]), &[]).await;
    assert_eq!(address(&reserved), Ipv4Addr::new(127, 0, 0, 77));
    assert_eq!(
        option(&reserved, 67),
        None,
        "an operating system gets no boot file"
    );
    let mut wrong = message(3, local, &[(50, &[127, 0, 0, 77]), (54, &[127, 0, 0, 1])]);
    wrong[10] = 0x80;
    let nak = exchange(&socket, service.bound.dhcp, &wrong).await;
    assert_eq!(option(&nak, 53), Some(vec![6]));
    for request in ["POST /boot/kernel", "HEAD /boot.ipxe?mac=02:00:00:00:00:01"] {
        let (method, path) = request.split_once(' ').unwrap();
        assert_eq!(
            http(service.bound.http, method, path, "").await.status,
            405,
            "{request}"
        );
    }
    service.stop().await;
}

#[tokio::test]
async fn leases_outlive_the_service() {
    let service = Service::start().await;
    let macs: Vec<Mac> = (1..20).map(|n| Mac([2, 0, 0, 0, 1, n])).collect();
    let mut addresses = Vec::new();
    for &mac in &macs {
        addresses.push(address(&lease(&service, mac, BIOS).await));
    }
    let dir = service.stop().await;
    // As after a power cut in the middle of a write.
    let journal = dir.path().join("leases");
    let mut torn = std::fs::read(&journal).unwrap();
    torn.extend(b"v1 lab 02:00:00:00:01:63 127.0.1.9 99999");
    std::fs::write(&journal, torn).unwrap();
    let service = start_in(dir).await;
    let now = UnixMs(0);
    for (mac, address) in macs.iter().zip(&addresses) {
        assert_eq!(
            service.leases.address_of("lab", *mac, now),
            Some(*address),
            "{mac}"
        );
    }
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let reboot = message(3, macs[3], &[(50, &addresses[3].octets())]);
    let ack = exchange(&socket, service.bound.dhcp, &reboot).await;
    assert_eq!(
        (option(&ack, 53), address(&ack)),
        (Some(vec![5]), addresses[3]),
        "INIT-REBOOT"
    );
    service.stop().await;
}

/// A hall is switched on: every machine gets its own address, its whole loader, the same address again and
/// its script.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_machines_boot_at_once() {
    let service = Arc::new(Service::start().await);
    let loader = Arc::new(pattern(70_000));
    let machines = (0..1000u16).map(|n| {
        let (service, loader) = (service.clone(), loader.clone());
        async move {
            // Not in the last byte, by which this source decides.
            let [high, low] = n.to_be_bytes();
            let mac = Mac([2, 0, 0, high, low, 1]);
            let first = address(&lease(&service, mac, BIOS).await);
            let fetched = tftp(service.bound.tftp, "undionly.kpxe", &[("blksize", "1456")]).await;
            assert!(fetched.as_deref() == Ok(&loader[..]), "the loader of {mac}");
            let ack = lease(&service, mac, IPXE).await;
            assert_eq!(address(&ack), first, "{mac}");
            let script = http(service.bound.http, "GET", &format!("/boot.ipxe?mac={mac}"), "").await;
            assert_eq!(script.status, 200);
            first
        }
    });
    // Each has sockets on both sides; a process may often open no more than 1024 files.
    let mut addresses: Vec<_> = futures::stream::iter(machines)
        .buffer_unordered(200)
        .collect()
        .await;
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 1000, "no address is given twice");
    let service = Arc::into_inner(service).expect("every machine is done");
    service.stop().await;
}

#[tokio::test]
async fn http_files_ranges_and_refusals() {
    let service = Service::start().await;
    let server = service.bound.http;
    let image = format!("/images/{}", "ab".repeat(32));
    let whole = http(server, "GET", &image, "").await;
    assert!(whole.status == 200 && whole.body == pattern(5_000_000));
    assert_eq!(whole.header("content-length"), Some("5000000"));
    assert_eq!(whole.header("transfer-encoding"), None);
    let head = http(server, "HEAD", &image, "").await;
    assert_eq!(
        (head.status, head.header("content-length"), head.body.len()),
        (200, Some("5000000"), 0)
    );
    let part = http(server, "GET", &image, "Range: bytes=1000-1999\r\n").await;
    assert_eq!(
        (part.status, part.header("content-range")),
        (206, Some("bytes 1000-1999/5000000"))
    );
    assert!(part.body == pattern(5_000_000)[1000..2000]);
    let tail = http(server, "GET", &image, "Range: bytes=4999990-\r\n").await;
    assert!(tail.body == pattern(5_000_000)[4_999_990..]);
    let beyond = http(server, "GET", &image, "Range: bytes=5000000-\r\n").await;
    assert_eq!(
        (beyond.status, beyond.header("content-range")),
        (416, Some("bytes */5000000"))
    );
    let changed = http(
        server,
        "GET",
        &image,
        "Range: bytes=0-9\r\nIf-Range: \"other\"\r\n",
    )
    .await;
    assert_eq!((changed.status, changed.body.len()), (200, 5_000_000));

    assert!(http(server, "GET", "//boot//kernel", "").await.body == pattern(1_000_000));
    assert!(http(server, "GET", "/boot/initramfs", "").await.body == pattern(3_000_000));
    assert_eq!(http(server, "GET", "/boot/site", "").await.body, b"site archive");
    let loader = http(server, "GET", "/boot/snponly.efi", "").await;
    assert!(loader.body == pattern(150_528) && loader.header("content-type") == Some("application/efi"));
    for path in [
        "/",
        "/boot/",
        "/boot/nothing",
        "/boot/../leases",
        "/leases",
        "/images/abc",
        "/images/%2e%2e",
    ] {
        assert_eq!(http(server, "GET", path, "").await.status, 404, "{path}");
    }
    let other = format!("/images/{}", "cd".repeat(32));
    assert_eq!(
        http(server, "GET", &other, "").await.status,
        404,
        "an image that is not public"
    );
    assert_eq!(http(server, "GET", "/boot.ipxe", "").await.status, 400);
    let huge = format!("X-Fill: {}\r\n", "x".repeat(40_000));
    assert_eq!(http(server, "GET", "/boot/site", &huge).await.status, 431);
    service.stop().await;
}

#[tokio::test]
async fn tftp_table_and_refusals() {
    let service = Service::start().await;
    let server = service.bound.tftp;
    for options in [
        &[][..],
        &[("tsize", "0"), ("blksize", "1468"), ("windowsize", "4")],
        &[("blksize", "65464")],
    ] {
        assert!(
            tftp(server, "snponly.efi", options).await.unwrap() == pattern(150_528),
            "{options:?}"
        );
    }
    assert!(tftp(server, "\\snponly.efi", &[]).await.is_ok());
    for name in [
        "../leases",
        "/etc/passwd",
        "",
        "snponly.efi/..",
        "kernels",
        "grub/grub.cfg",
    ] {
        assert_eq!(tftp(server, name, &[]).await, Err(1), "{name}");
    }
    // GRUB of the signed chain loads the mini-os by TFTP.
    let kernel = http(service.bound.http, "GET", "/boot/kernel", "").await;
    assert!(tftp(server, "/boot/kernel", &[]).await.unwrap() == kernel.body);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(b"\0\x02x\0octet\0", server).await.unwrap();
    let mut reply = [0; 512];
    let (len, _) = within("the refusal of a write", socket.recv_from(&mut reply))
        .await
        .unwrap();
    assert_eq!(reply[..len][1], 5, "ERROR");
    service.stop().await;
}

#[tokio::test]
async fn garbage_changes_nothing() {
    let service = Service::start().await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let good = message(1, Mac([2, 0, 0, 0, 0, 9]), IPXE);
    for i in 0..3000usize {
        let mut bytes = good.clone();
        let at = (i * 7919) % bytes.len();
        bytes[at] ^= (i / 3) as u8 | 1;
        // Our own transaction id, so that no answer is mistaken for one to the good message below.
        bytes[4..8].copy_from_slice(&[0xff; 4]);
        bytes.truncate(bytes.len() - i % 200);
        for to in [service.bound.dhcp, service.bound.tftp] {
            socket.send_to(&bytes, to).await.unwrap();
        }
    }
    socket.send_to(&[], service.bound.dhcp).await.unwrap();
    // Another machine: this one has exceeded its rate.
    lease(&service, Mac([2, 0, 0, 0, 0, 10]), IPXE).await;
    assert!(tftp(service.bound.tftp, "undionly.kpxe", &[]).await.is_ok());
    service.stop().await;
}

/// Fetches a file by TFTP; `Err` is the error code.
async fn tftp(server: SocketAddr, name: &str, options: &[(&str, &str)]) -> Result<Vec<u8>, u16> {
    fetch(server, &request(name.as_bytes(), "octet", options)).await
}

async fn http(server: SocketAddr, method: &str, path: &str, headers: &str) -> Answer {
    let mut stream = TcpStream::connect(server).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    let (mut reader, mut writer) = stream.split();
    // The server may answer and close before it has read all of an oversized request.
    let _ = writer.write_all(request.as_bytes()).await;
    let mut bytes = Vec::new();
    let read = within("an HTTP response", reader.read_to_end(&mut bytes)).await;
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no response head to {method} {path}: {read:?}"));
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer {
        status,
        head,
        body: bytes.split_off(end + 4),
    }
}
