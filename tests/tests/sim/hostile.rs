//! Malicious or meaningless bytes: a clear refusal, no panic, no growth, and the next machine is served.

use std::net::SocketAddr;
use std::time::Duration;

use e2e::sim::dhcp::{Asker, DISCOVER, Message};
use e2e::sim::rig::bytes_of;
use e2e::sim::{Machine, Netbooted, Raw, Rig};
use reqwest::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::fleet::{DISK, IMAGE, check_deployed, to_deployed};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_are_not_what_they_should_be_are_refused() {
    let rig = Rig::start(IMAGE, |_| {}).await.unwrap();
    let machine = Machine::make(rig.directory(), 1, DISK).unwrap();
    let Netbooted::MiniOs { args, .. } = machine.netboot(rig.service()).await.unwrap() else {
        panic!()
    };
    let mut agent = Raw::new(&rig.url(), rig.ca_pem()).unwrap();
    for body in [
        &b""[..],
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"{\"ticket\": 5}",
        &b"[".repeat(20_000),
    ] {
        let (status, answer) = agent.post_bytes("/agent/v1/claim", body.to_vec()).await.unwrap();
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        assert_eq!(answer["type"], "bad-json", "{answer}");
        assert!(
            answer["detail"].as_str().is_some_and(|d| d.len() > 20),
            "{answer}"
        );
    }
    let (status, _) = agent.claim(&args).await.unwrap();
    assert_eq!(status, StatusCode::OK);
    for path in ["report", "step", "progress", "verification"] {
        let path = format!("/agent/v1/{path}");
        let (status, answer) = agent.post_bytes(&path, b"{\"a\":".to_vec()).await.unwrap();
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {answer}");
        let (status, answer) = agent
            .post_bytes(&path, vec![b' '; 64 << 20])
            .await
            // The server may hang up before it has read 64 MiB, which is a refusal too.
            .unwrap_or((StatusCode::PAYLOAD_TOO_LARGE, serde_json::Value::Null));
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{path}: {answer}");
    }
    // Fields of a newer agent are no reason to refuse its report.
    let report = serde_json::json!({
        "nonce": "d".repeat(32), "runs_on": "mini-os", "from_the_future": {"x": [1, 2]},
        "report": {"schema": 9, "disks": [{"name": "vda", "colour": "blue"}], "quantum": true}
    });
    let (status, answer) = agent.post("/agent/v1/report", &report).await.unwrap();
    assert_eq!(status, StatusCode::OK, "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_request_with_a_mistake_is_refused_with_the_reason() {
    let rig = Rig::start(IMAGE, |config| config.policy.rules.clear())
        .await
        .unwrap();
    let api = rig.api().unwrap();
    let machine = Machine::make(rig.directory(), 1, DISK).unwrap();
    tokio::select! {
        ended = machine.live(rig.service()) => panic!("{ended:?}"),
        ready = api.wait_state(&machine.serial, "ready", crate::fleet::ONE) => ready.unwrap(),
    };
    for (body, says) in [
        (serde_json::json!({"profile": "nope"}), "nope"),
        (serde_json::json!({"imagee": "sim"}), "imagee"),
        (serde_json::json!({"image": "nope"}), "nope"),
        (
            serde_json::json!({"image": "sim", "accounts": [{"name": "a b"}]}),
            "a b",
        ),
        (
            serde_json::json!({"image": "sim", "cron": [{"name": "x", "schedule": "every day", "user": "root", "command": "/bin/true"}]}),
            "every day",
        ),
    ] {
        let path = format!("/v1/machines/{}/deploy", machine.serial);
        let (status, error) = api.post_raw(&path, &body).await.unwrap();
        assert!(
            error.contains(says) && (400..500).contains(&status),
            "{body}: {error}"
        );
    }
}

/// DHCP, TFTP and HTTP get every kind of garbage; then a machine boots as if nothing had happened.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_on_every_boot_port_disturbs_nobody() {
    let rig = Rig::start(IMAGE, |_| {}).await.unwrap();
    let service = rig.service();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let good = Message::new(
        DISCOVER,
        Asker::Bios,
        Machine::make(rig.directory(), 9, DISK).unwrap().mac,
        7,
    )
    .bytes();
    let before = resident_bytes();
    for round in 0..3000usize {
        for at in [service.dhcp, service.tftp] {
            let noise = mangled(&good, round);
            let _ = socket.send_to(&noise, at).await;
        }
        if round % 100 == 0 {
            // Loopback drops what a reader does not take in time, so give the servers a turn.
            tokio::task::yield_now().await;
        }
    }
    for request in [
        &b"\x00\x01"[..],
        b"\x00\x01../../etc/passwd\x00octet\x00",
        b"\x00\x01/etc/passwd\x00octet\x00",
        b"\x00\x01\\..\\..\\windows\x00octet\x00blksize\x0099999999999\x00",
        b"\x00\x02undionly.kpxe\x00octet\x00",
        b"\x00\x01undionly.kpxe\x00octet\x00windowsize\x0065535\x00blksize\x0065464\x00",
    ] {
        let _ = socket.send_to(request, service.tftp).await;
    }
    for request in [
        "GET /boot/../../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /images/../slipway.db HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /images/%2e%2e%2fslipway.db HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /boot.ipxe?mac=zz HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /boot.ipxe HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /boot/kernel HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01",
        "GET / HTTP/9.9\r\n\r\n",
    ] {
        let answer = http(service.http, request.as_bytes()).await;
        assert!(
            !answer.starts_with("HTTP/1.1 2"),
            "{request:?} was answered with {answer:?}"
        );
        assert!(!answer.contains("root:"), "{answer}");
    }
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(1 << 20));
    let answer = http(service.http, long.as_bytes()).await;
    assert!(!answer.starts_with("HTTP/1.1 2"), "{answer:?}");

    let machine = Machine::make(rig.directory(), 1, DISK).unwrap();
    let detail = to_deployed(&rig, &machine).await;
    check_deployed(&machine, &detail);
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 96 << 20, "memory grew by {} MiB", grown >> 20);
}

/// The message with something wrong: truncated, too long, random, with a bit flipped, or only noise.
fn mangled(good: &[u8], round: usize) -> Vec<u8> {
    let noise = bytes_of(round + 1, 600);
    match round % 5 {
        0 => good[..noise[0] as usize % good.len()].to_vec(),
        1 => {
            let mut bytes = good.to_vec();
            for n in 0..4 {
                let at = (usize::from(noise[2 * n]) * 256 + usize::from(noise[2 * n + 1])) % bytes.len();
                bytes[at] = noise[8 + n];
            }
            bytes
        }
        2 => noise[..usize::from(noise[1])].to_vec(),
        3 => [good, &noise].concat(),
        _ => {
            // A known trap: an invalid address length.
            let mut bytes = good.to_vec();
            bytes[2] = noise[0];
            bytes[240..].copy_from_slice(&noise[..good.len() - 240]);
            bytes
        }
    }
}

async fn http(to: SocketAddr, request: &[u8]) -> String {
    let Ok(mut stream) = TcpStream::connect(to).await else {
        return "no connection".into();
    };
    // The server may answer and hang up before it has read everything.
    let _ = stream.write_all(request).await;
    let mut answer = vec![0; 4096];
    match tokio::time::timeout(Duration::from_secs(5), stream.read(&mut answer)).await {
        Ok(Ok(n)) => String::from_utf8_lossy(&answer[..n]).into_owned(),
        Ok(Err(_)) | Err(_) => "nothing".into(),
    }
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}
