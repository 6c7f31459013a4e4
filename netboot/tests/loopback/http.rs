//! HTTP boot with raw bytes: what UEFI firmware accepts and what breaks it (measured).

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::service::{Answer, DEADLINE, Service, fetch, pattern, request};

const LEN: usize = 300_000;

async fn start() -> Service {
    Service::start([
        ("shimx64.efi", pattern(LEN)),
        ("grubx64.efi", pattern(1000)),
        ("cd.iso", pattern(2000)),
        ("disk.img", pattern(2000)),
        ("empty.efi", Vec::new()),
    ])
    .await
}

/// A persistent connection.
struct Connection(TcpStream);

impl Connection {
    async fn open(service: &Service) -> Connection {
        Connection(TcpStream::connect(service.http).await.unwrap())
    }

    /// Sends these bytes and reads one answer of the length its Content-Length says; HEAD has no body.
    async fn ask(&mut self, request: &str) -> Answer {
        self.0.write_all(request.as_bytes()).await.unwrap();
        let read = async {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(self.0.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            let mut answer = Answer {
                status: head.split(' ').nth(1).unwrap().parse().unwrap(),
                head,
                body: Vec::new(),
            };
            let len = answer
                .header("content-length")
                .expect("a length")
                .parse()
                .unwrap();
            if !request.starts_with("HEAD") {
                answer.body = vec![0; len];
                self.0.read_exact(&mut answer.body).await.unwrap();
            }
            answer
        };
        let answer = tokio::time::timeout(DEADLINE, read).await;
        let answer = answer.unwrap_or_else(|_| panic!("waited {DEADLINE:?} for the answer to {request}"));
        assert!(
            answer.head.starts_with("HTTP/1.1 "),
            "EDK2 refuses HTTP/1.0: {}",
            answer.head
        );
        for line in answer.head.lines().skip(1).filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').expect("a header line");
            assert!(
                !value.trim().is_empty(),
                "OVMF hangs on a header without a value: {name}"
            );
        }
        assert_eq!(
            answer.header("transfer-encoding"),
            None,
            "EDK2 wants a length, no chunks"
        );
        assert_eq!(answer.header("location"), None, "EDK2 follows no redirection");
        answer
    }
}

/// As EDK2's HTTP driver writes it.
fn edk2(method: &str, path: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\nUser-Agent: UefiHttpBoot/1.0\r\n\r\n"
    )
}

#[tokio::test]
async fn edk2_asks_for_the_size_and_fetches_on_one_connection() {
    let service = start().await;
    let mut connection = Connection::open(&service).await;
    for path in [
        "/shimx64.efi",
        "/boot/shimx64.efi",
        "//shimx64.efi",
        "/boot//shimx64.efi",
    ] {
        let head = connection.ask(&edk2("HEAD", path)).await;
        assert_eq!(
            (head.status, head.header("content-length")),
            (200, Some("300000")),
            "{path}"
        );
        let whole = connection.ask(&edk2("GET", path)).await;
        assert_eq!(
            (whole.status, whole.header("content-type")),
            (200, Some("application/efi")),
            "{path}"
        );
        assert!(whole.body == pattern(LEN), "{path}: other bytes");
    }
    // shim asks for missing files before it asks for GRUB, on the same connection.
    for missing in ["/revocations_sbat.efi", "/shim_certificate_0.efi"] {
        assert_eq!(connection.ask(&edk2("GET", missing)).await.status, 404);
        assert_eq!(connection.ask(&edk2("HEAD", missing)).await.status, 404);
    }
    assert!(connection.ask(&edk2("GET", "//grubx64.efi")).await.body == pattern(1000));
    service.stop().await;
}

#[tokio::test]
async fn the_content_type_tells_firmware_how_to_boot_it() {
    let service = start().await;
    let mut connection = Connection::open(&service).await;
    for (path, expected) in [
        ("/grubx64.efi", "application/efi"),
        ("/cd.iso", "application/vnd.efi-iso"),
        ("/disk.img", "application/vnd.efi-img"),
    ] {
        let head = connection.ask(&edk2("HEAD", path)).await;
        assert_eq!(head.header("content-type"), Some(expected), "{path}");
    }
    let empty = connection.ask(&edk2("GET", "/empty.efi")).await;
    assert_eq!((empty.status, empty.header("content-length")), (200, Some("0")));
    service.stop().await;
}

#[tokio::test]
async fn pipelined_and_split_requests_are_answered_in_order() {
    let service = start().await;
    let mut connection = Connection::open(&service).await;
    // GRUB's loopback reads parts.
    let part = "GET /shimx64.efi HTTP/1.1\r\nHost: x\r\nRange: bytes=100-199\r\n\r\n";
    let both = format!("{}{part}", edk2("GET", "/grubx64.efi"));
    let (start, rest) = both.split_at(17);
    connection.0.write_all(start.as_bytes()).await.unwrap();
    connection.0.flush().await.unwrap();
    let first = connection.ask(rest).await;
    assert!(first.status == 200 && first.body == pattern(1000));
    let second = connection.ask("").await;
    assert_eq!(
        (second.status, second.header("content-range")),
        (206, Some("bytes 100-199/300000"))
    );
    assert!(second.body == pattern(LEN)[100..200]);
    service.stop().await;
}

#[tokio::test]
async fn an_invalid_request_ends_only_its_connection() {
    let service = start().await;
    for bytes in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(service.http).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await;
        assert!(
            read.is_ok(),
            "{}: the connection stays open",
            bytes.escape_ascii()
        );
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", answer.escape_ascii());
    }
    let mut connection = Connection::open(&service).await;
    assert_eq!(connection.ask(&edk2("GET", "/grubx64.efi")).await.status, 200);
    service.stop().await;
}

/// A request's body is not read: the connection ends after the answer, and the answer arrives.
#[tokio::test]
async fn a_connection_closes_after_the_answer_when_required() {
    let service = start().await;
    for (request, status) in [
        (
            format!(
                "POST /grubx64.efi HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n{}",
                "x".repeat(9000)
            ),
            405,
        ),
        ("GET /grubx64.efi HTTP/1.0\r\n\r\n".to_owned(), 200),
        (
            "GET /grubx64.efi HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_owned(),
            200,
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}\r\n\r\n", "x".repeat(20_000)),
            431,
        ),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n".to_owned(), 400),
    ] {
        let mut connection = Connection::open(&service).await;
        let answer = connection.ask(&request).await;
        assert_eq!(answer.status, status, "{}", &request[..40]);
        assert_eq!(answer.header("connection"), Some("close"));
        if status == 405 {
            assert_eq!(answer.header("allow"), Some("GET, HEAD"));
        }
        let mut rest = Vec::new();
        let end = tokio::time::timeout(DEADLINE, connection.0.read_to_end(&mut rest)).await;
        assert_eq!(end.expect("it ends").unwrap(), 0, "{}", &request[..40]);
    }
    let mut old = Connection::open(&service).await;
    let stay = "HEAD /grubx64.efi HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    for _ in 0..2 {
        assert_eq!(old.ask(stay).await.header("connection"), Some("keep-alive"));
    }
    service.stop().await;
}

/// More than is sent in one turn, and not a round number.
const KERNEL: usize = 9_000_001;

/// A client with a small window: the server must wait for it again and again.
async fn narrow(service: &Service) -> Connection {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    Connection(socket.connect(service.http).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_get_a_file_from_disk_complete() {
    let service = Arc::new(start().await);
    std::fs::write(service.kernel(), pattern(KERNEL)).unwrap();
    let clients = (0..16).map(|client| {
        let service = service.clone();
        tokio::spawn(async move {
            let mut connection = if client % 4 == 0 {
                narrow(&service).await
            } else {
                Connection::open(&service).await
            };
            assert!(
                connection
                    .ask(&edk2("HEAD", "/boot/kernel"))
                    .await
                    .body
                    .is_empty()
            );
            let whole = connection.ask(&edk2("GET", "/boot/kernel")).await;
            assert!(whole.body == pattern(KERNEL), "client {client}");
            let first = 4_194_300 + client;
            let request = format!("GET /boot/kernel HTTP/1.1\r\nHost: a\r\nRange: bytes={first}-\r\n\r\n");
            let part = connection.ask(&request).await;
            assert!(
                part.status == 206 && part.body == pattern(KERNEL)[first..],
                "client {client}"
            );
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    Arc::into_inner(service).unwrap().stop().await;
}

/// Its length was promised: the client must see that it did not get everything, and nothing else is harmed.
#[tokio::test]
async fn a_file_truncated_while_sent_ends_the_connection() {
    let service = start().await;
    std::fs::write(service.kernel(), pattern(KERNEL)).unwrap();
    let mut connection = narrow(&service).await;
    connection
        .0
        .write_all(edk2("GET", "/boot/kernel").as_bytes())
        .await
        .unwrap();
    connection.0.read_u8().await.unwrap();
    let file = std::fs::File::options()
        .write(true)
        .open(service.kernel())
        .unwrap();
    file.set_len(10).unwrap();
    let mut rest = Vec::new();
    let read = tokio::time::timeout(DEADLINE, connection.0.read_to_end(&mut rest)).await;
    let _ = read.expect("it ends");
    assert!(rest.len() < KERNEL, "{} bytes", rest.len());
    let again = Connection::open(&service)
        .await
        .ask(&edk2("GET", "/boot/kernel"))
        .await;
    assert!(again.body == pattern(KERNEL)[..10]);
    std::fs::remove_file(service.kernel()).unwrap();
    let gone = Connection::open(&service)
        .await
        .ask(&edk2("GET", "/boot/kernel"))
        .await;
    assert_eq!(gone.status, 500);
    service.stop().await;
}

/// Newer iPXE asks next to where it came from, by the same protocol; the answer contains nothing specific to
/// a machine.
#[tokio::test]
async fn autoexec_leads_to_the_boot_script() {
    let service = start().await;
    let mut connection = Connection::open(&service).await;
    let by_http = connection
        .ask("GET /boot/autoexec.ipxe HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    assert_eq!(
        (by_http.status, by_http.header("content-type")),
        (200, Some("text/plain"))
    );
    let text = String::from_utf8(by_http.body).unwrap();
    let url = format!("http://{}/boot.ipxe?mac=", service.http);
    assert!(text.starts_with("#!ipxe\n") && text.contains(&url), "{text}");
    for name in ["autoexec.ipxe", "/autoexec.ipxe", "boot/autoexec.ipxe"] {
        let by_tftp = fetch(service.tftp, &request(name.as_bytes(), "octet", &[])).await;
        assert_eq!(by_tftp.unwrap(), text.as_bytes(), "{name}");
    }
    service.stop().await;
}
