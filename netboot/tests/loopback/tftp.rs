//! TFTP on loopback: the probes of measured table 1.1, which no other server passes completely,
//! and what firmware and loaders were seen to send.

use std::time::{Duration, Instant};

use crate::service::{Client, Service, fetch, fetch_from, oack, pattern, request};

/// No more packets: the server's first repeat would arrive in this time.
const QUIET: Duration = Duration::from_millis(700);
/// Immediately, on a loaded machine. Other servers take 3 s and more.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Long enough for an answer that must not come.
const A_WHILE: Duration = Duration::from_millis(200);

const LEN: usize = 300_000;
const TEXT: &[u8] = b"one\ntwo\rthree\r\n";

fn files() -> [(&'static str, Vec<u8>); 4] {
    [
        ("f300k", pattern(LEN)),
        ("grub/x86_64-efi/fs.lst", b"procfs\n".to_vec()),
        ("text", TEXT.to_vec()),
        ("empty", Vec::new()),
    ]
}

async fn start() -> Service {
    Service::start(files()).await
}

/// Everything comes from the server's port.
async fn start_on_one_port() -> Service {
    Service::start_with(files(), |settings| settings.tftp_single_port = true).await
}

fn octet(name: &str, options: &[(&str, &str)]) -> Vec<u8> {
    request(name.as_bytes(), "octet", options)
}

#[tokio::test]
async fn every_way_to_ask_for_a_file() {
    let service = start().await;
    for name in [
        &b"f300k"[..],
        b"/f300k",
        b"//f300k",
        b"\\f300k",
        b"./f300k",
        b"f300k\xff",
        b"f300k\xff\xff",
    ] {
        let got = fetch(service.tftp, &request(name, "octet", &[("blksize", "1468")])).await;
        assert!(got == Ok(pattern(LEN)), "{}", name.escape_ascii());
    }
    let nested = fetch(service.tftp, &octet("/grub//x86_64-efi\\fs.lst", &[])).await;
    assert_eq!(nested.unwrap(), b"procfs\n");
    assert_eq!(fetch(service.tftp, &octet("empty", &[])).await.unwrap(), b"");
    // Firmware: shim, GRUB, iPXE, EDK2, U-Boot, and without options.
    for options in [
        &[("blksize", "512"), ("windowsize", "4")][..],
        &[("blksize", "1024"), ("tsize", "0")],
        &[("blksize", "1432"), ("tsize", "0")],
        &[("tsize", "0"), ("blksize", "1468"), ("windowsize", "4")],
        &[("timeout", "5"), ("blksize", "1468"), ("windowsize", "64")],
        &[],
    ] {
        let got = fetch(service.tftp, &octet("f300k", options)).await;
        assert!(got == Ok(pattern(LEN)), "{options:?}");
    }
    service.stop().await;
}

#[tokio::test]
async fn odd_requests_are_understood() {
    let service = start().await;
    let plain = octet("f300k", &[("blksize", "1024")]);
    for tail in [
        &b"\0\0\0\0\0\0\0\0"[..],
        b"x",
        b"tsize",
        b"tsize\x000",
        &[0xff; 40],
    ] {
        let got = fetch(service.tftp, &[&plain[..], tail].concat()).await;
        assert!(got == Ok(pattern(LEN)), "{}", tail.escape_ascii());
    }
    let many: Vec<(String, String)> = (0..30).map(|n| (format!("x{n}"), n.to_string())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert!(fetch(service.tftp, &octet("f300k", &many)).await == Ok(pattern(LEN)));
    service.stop().await;
}

#[tokio::test]
async fn refusals_come_at_once_and_reveal_no_path() {
    let service = start().await;
    for (packet, code) in [
        (octet("none", &[("blksize", "512")]), 1),
        (
            octet("revocations_sbat.efi", &[("blksize", "512"), ("windowsize", "4")]),
            1,
        ),
        (octet("../f300k", &[]), 1),
        (octet("/etc/passwd", &[]), 1),
        (octet("", &[]), 1),
        (octet("/", &[]), 1),
        (request(b"f300k\xffx", "octet", &[]), 1),
        (b"\0\x01f300k".to_vec(), 4),
        (b"\0\x01f300k\0".to_vec(), 4),
        (b"\0\x01f300k\0octe".to_vec(), 4),
        (request(b"f300k", "mail", &[]), 4),
        (b"\0\x02f300k\0octet\0".to_vec(), 2),
        (b"\0\x02".to_vec(), 2),
        (b"\0".to_vec(), 4),
        (b"\x07\x07".to_vec(), 4),
    ] {
        let begun = Instant::now();
        let client = Client::ask(service.tftp, &packet).await;
        let (answer, _) = client.next().await;
        assert_eq!(answer[..4], [0, 5, 0, code], "{}", packet.escape_ascii());
        assert!(!answer.contains(&b'/') && answer.ends_with(b"\0") && answer.len() < 60);
        assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    }
    service.stop().await;
}

#[tokio::test]
async fn stray_packets_are_not_answered() {
    let service = start().await;
    let client = Client::ask(service.tftp, b"").await;
    for packet in [
        &b"\0\x03\0\x01x"[..],
        b"\0\x04\0\x01",
        b"\0\x05\0\x01x\0",
        b"\0\x06\0",
    ] {
        client.send(packet, service.tftp).await;
    }
    assert_eq!(client.all_within(A_WHILE).await, Vec::<Vec<u8>>::new());
    service.stop().await;
}

#[tokio::test]
async fn netascii_changes_line_ends() {
    let service = start().await;
    let got = fetch(service.tftp, &request(b"text", "netascii", &[("tsize", "0")])).await;
    assert_eq!(got.unwrap(), b"one\r\ntwo\r\0three\r\0\r\n");
    let client = Client::ask(service.tftp, &request(b"text", "NetASCII", &[("tsize", "0")])).await;
    assert_eq!(
        oack(&client.next().await.0),
        [("tsize".to_owned(), 19)],
        "as many as are sent"
    );
    service.stop().await;
}

#[tokio::test]
async fn edk2s_size_probe_ends_and_the_next_request_is_served_at_once() {
    let service = start().await;
    let probe = octet(
        "f300k",
        &[("tsize", "0"), ("blksize", "1468"), ("windowsize", "4")],
    );
    let client = Client::ask(service.tftp, &probe).await;
    let (first, from) = client.next().await;
    assert_eq!(oack(&first)[0], ("tsize".to_owned(), LEN as u32));
    client
        .send(b"\0\x05\0\x08User aborted the transfer\0", from)
        .await;
    assert_eq!(client.all_within(QUIET).await.len(), 0, "nothing after an ERROR");
    // From the same port, the same request or another.
    for next in [
        probe.clone(),
        octet("f300k", &[("blksize", "1468"), ("windowsize", "4")]),
    ] {
        let begun = Instant::now();
        client.send(&next, service.tftp).await;
        let (again, from) = client.next().await;
        assert_eq!(again[1], 6);
        assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
        client.send(b"\0\x05\0\x08no\0", from).await;
    }
    service.stop().await;
}

#[tokio::test]
async fn another_request_from_the_same_port_replaces_a_transfer() {
    let service = start().await;
    let client = Client::ask(service.tftp, &octet("f300k", &[])).await;
    let (_, old) = client.next().await;
    client.ack(1, old).await;
    client.data(2).await;
    client.send(&octet("text", &[]), service.tftp).await;
    let (packet, new) = client.data(1).await;
    assert!(new != old && packet[4..] == *TEXT);
    client.ack(1, new).await;
    assert_eq!(
        client.all_within(QUIET).await.len(),
        0,
        "the old transfer has ended"
    );
    service.stop().await;
}

#[tokio::test]
async fn a_request_sent_twice_is_one_transfer() {
    let service = start().await;
    let ask = octet("f300k", &[("blksize", "1024")]);
    let client = Client::ask(service.tftp, &ask).await;
    client.send(&ask, service.tftp).await;
    let (first, from) = client.next().await;
    assert_eq!(first[1], 6);
    client.ack(0, from).await;
    assert_eq!(client.data(1).await.1, from);
    // A late copy does not disturb the running transfer.
    client.send(&ask, service.tftp).await;
    client.ack(1, from).await;
    assert_eq!(client.data(2).await.1, from);
    client.send(b"\0\x05\0\0end\0", from).await;
    service.stop().await;
}

#[tokio::test]
async fn no_sorcerers_apprentice() {
    let service = start().await;
    let client = Client::ask(service.tftp, &octet("f300k", &[])).await;
    let (_, from) = client.next().await;
    // This becomes the measured round trip, so the timed repeat is far off.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begun = Instant::now();
    for _ in 0..3 {
        client.ack(1, from).await;
    }
    let packets = client.all_within(A_WHILE).await;
    let second = packets
        .iter()
        .filter(|packet| packet[..4] == [0, 3, 0, 2])
        .count();
    let stalled = begun.elapsed() > A_WHILE + Duration::from_millis(50);
    assert!(second == 1 || stalled, "one DATA for three equal ACKs: {second}");
    client.send(b"\0\x05\0\0end\0", from).await;
    service.stop().await;
}

#[tokio::test]
async fn a_window_with_its_first_block_lost_is_repeated_at_once() {
    let service = start().await;
    let client = Client::ask(service.tftp, &octet("f300k", &[("windowsize", "4")])).await;
    let (_, from) = client.next().await;
    client.ack(0, from).await;
    client.data(4).await;
    let begun = Instant::now();
    client.ack(0, from).await;
    for number in 1..=4 {
        client.data(number).await;
    }
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    client.send(b"\0\x05\0\0end\0", from).await;
    service.stop().await;
}

#[tokio::test]
async fn a_silent_client_gets_four_packets_and_one_ignoring_oacks_gets_the_file() {
    let service = start().await;
    let silent = Client::ask(service.tftp, &octet("f300k", &[])).await;
    let deaf = Client::ask(service.tftp, &octet("text", &[("blksize", "1468")])).await;
    let fetched = async {
        loop {
            let (packet, from) = deaf.next().await;
            if packet[1] == 3 {
                deaf.ack(1, from).await;
                return packet;
            }
        }
    };
    let (packets, data) = tokio::join!(silent.all_within(Duration::from_secs(6)), fetched);
    assert_eq!(packets.len(), 4, "and no flood to an address that may be forged");
    assert_eq!(data[4..], *TEXT);
    service.stop().await;
}

#[tokio::test]
async fn a_client_that_asks_three_times_is_assumed_to_ignore_oacks() {
    let service = start().await;
    let ask = octet("text", &[("blksize", "1468")]);
    let client = Client::ask(service.tftp, &ask).await;
    let (first, old) = client.next().await;
    assert_eq!(first[1], 6);
    let mut asked = tokio::time::interval(Duration::from_millis(100));
    let (data, new) = loop {
        tokio::select! {
            _ = asked.tick() => client.send(&ask, service.tftp).await,
            (packet, from) = client.next() => if packet[1] == 3 { break (packet, from) },
        }
    };
    assert_eq!(data[4..], *TEXT);
    assert_ne!(
        new, old,
        "from another port: a client that took the OACK meanwhile refuses it"
    );
    client.ack(1, new).await;
    service.stop().await;
}

#[tokio::test]
async fn excessive_options_get_what_fits() {
    let service = start().await;
    let greedy = octet(
        "f300k",
        &[("blksize", "65464"), ("windowsize", "65535"), ("timeout", "255")],
    );
    let client = Client::ask(service.tftp, &greedy).await;
    let (packet, from) = client.next().await;
    let options = oack(&packet);
    assert_eq!(options[0].0, "blksize");
    assert!(options[0].1 <= 65_464 && options[1] == ("windowsize".to_owned(), 64));
    client.send(b"\0\x05\0\0end\0", from).await;
    service.stop().await;
}

#[tokio::test]
async fn a_stranger_cannot_end_a_transfer() {
    let service = start().await;
    let client = Client::ask(service.tftp, &octet("f300k", &[])).await;
    let (_, from) = client.next().await;
    let stranger = Client::ask(from, b"\0\x05\0\0end\0").await;
    stranger.ack(1, from).await;
    assert_eq!(stranger.all_within(A_WHILE).await.len(), 0);
    client.ack(1, from).await;
    client.data(2).await;
    client.send(b"\0\x05\0\0end\0", from).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_fetches_at_once() {
    let service = start().await;
    let server = service.tftp;
    let ask = octet("f300k", &[("blksize", "1468"), ("windowsize", "4")]);
    let begun = Instant::now();
    let clients = (0..200).map(|_| {
        let ask = ask.clone();
        tokio::spawn(async move { fetch(server, &ask).await })
    });
    for got in futures::future::join_all(clients.collect::<Vec<_>>()).await {
        assert!(got.unwrap() == Ok(pattern(LEN)));
    }
    // A debug build on a loaded machine; no client waited long, or fetch() would have given up.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    service.stop().await;
}

/// async-tftp shares no code with us: a client that gets the same bytes from both speaks TFTP.
#[tokio::test]
async fn our_client_gets_the_same_from_async_tftp() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("f300k"), pattern(LEN)).unwrap();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let theirs = socket.local_addr().unwrap();
    let builder = async_tftp::server::TftpServerBuilder::with_dir_ro(directory.path()).unwrap();
    let server = builder.std_socket(socket).unwrap().build().await.unwrap();
    let running = tokio::spawn(async move { server.serve().await });
    let service = start().await;
    for options in [
        &[][..],
        &[("blksize", "1468")],
        &[("blksize", "1024"), ("tsize", "0"), ("windowsize", "8")],
    ] {
        let ask = octet("f300k", options);
        let (ours, theirs) = (fetch(service.tftp, &ask).await, fetch(theirs, &ask).await);
        assert!(ours == Ok(pattern(LEN)) && ours == theirs, "{options:?}");
    }
    running.abort();
    service.stop().await;
}

#[tokio::test]
async fn one_port_serves_all_options_and_many_at_once() {
    let service = start_on_one_port().await;
    let mut fetching = Vec::new();
    for options in [
        &[("blksize", "512"), ("windowsize", "4")][..],
        &[("tsize", "0"), ("blksize", "1468"), ("windowsize", "4")],
        &[("timeout", "5"), ("blksize", "1468"), ("windowsize", "64")],
        &[("blksize", "65464")],
        &[],
    ] {
        let (server, request) = (service.tftp, octet("f300k", options));
        fetching.push(tokio::spawn(async move { fetch_from(server, &request).await }));
    }
    for (number, fetched) in fetching.into_iter().enumerate() {
        let (file, sources) = fetched.await.unwrap().unwrap();
        assert!(file == pattern(LEN), "client {number}");
        assert!(sources.iter().eq([&service.tftp]), "client {number}: {sources:?}");
    }
    service.stop().await;
}

#[tokio::test]
async fn on_one_port_edk2_may_abort_and_ask_again() {
    let service = start_on_one_port().await;
    let sized = [("tsize", "0"), ("blksize", "1468"), ("windowsize", "4")];
    let client = Client::ask(service.tftp, &octet("f300k", &sized)).await;
    for _ in 0..3 {
        let (packet, from) = client.next().await;
        assert_eq!((oack(&packet)[0].1, from), (LEN as u32, service.tftp));
        client
            .send(b"\0\x05\0\x08User aborted the transfer\0", service.tftp)
            .await;
        assert!(
            client.all_within(QUIET).await.is_empty(),
            "it continues after an ERROR"
        );
        let begun = Instant::now();
        client.send(&octet("f300k", &sized[1..]), service.tftp).await;
        let (packet, from) = client.next().await;
        assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
        assert_eq!((oack(&packet)[0].1, from), (1468, service.tftp));
        client.ack(0, service.tftp).await;
        let (block, from) = client.data(1).await;
        assert!(block[4..] == pattern(LEN)[..1468] && from == service.tftp);
        // Reset, and start over.
        client.send(b"\0\x05\0\x00\0", service.tftp).await;
        while client.within(A_WHILE).await.is_some() {}
        client.send(&octet("f300k", &sized), service.tftp).await;
    }
    service.stop().await;
}

/// The OACK is sent once per request; a client that asks a third time gets blocks without options, from the
/// same port.
#[tokio::test]
async fn on_one_port_a_client_without_options_is_served() {
    let service = start_on_one_port().await;
    let request = octet("f300k", &[("blksize", "1024")]);
    let client = Client::ask(service.tftp, &request).await;
    for asked in 1..=2 {
        let packets = client.all_within(QUIET).await;
        assert_eq!(packets.len(), 1, "asked {asked} times: {packets:?}");
        assert_eq!(oack(&packets[0]), [("blksize".to_owned(), 1024)]);
        client.send(&request, service.tftp).await;
    }
    for block in 1..=3u16 {
        let (packet, from) = client.data(block).await;
        let at = usize::from(block - 1) * 512;
        assert!(packet[4..] == pattern(LEN)[at..at + 512] && from == service.tftp);
        client.ack(block, from).await;
    }
    service.stop().await;
}

#[tokio::test]
async fn a_network_has_a_largest_block() {
    let service = Service::start_with(files(), |settings| settings.tftp_blksize_max = Some(1024)).await;
    for (asked, given) in [("1468", 1024), ("1024", 1024), ("600", 600)] {
        let request = octet("f300k", &[("blksize", asked)]);
        let (packet, _) = Client::ask(service.tftp, &request).await.next().await;
        assert_eq!(oack(&packet), [("blksize".to_owned(), given)]);
        assert!(fetch(service.tftp, &request).await == Ok(pattern(LEN)), "{asked}");
    }
    service.stop().await;
}
