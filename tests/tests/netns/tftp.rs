//! TFTP with real clients, and by hand where they cannot do what the test needs.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::sim::dhcp::Asker;
use tokio::net::UdpSocket;

use crate::port::Port;
use crate::site::{LOADER, Site};

/// A read request with options.
fn request(file: &[u8], options: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = vec![0, 1];
    bytes.extend(file);
    bytes.extend(b"\0octet\0");
    for (name, value) in options {
        bytes.extend([name.as_bytes(), &[0], value.as_bytes(), &[0]].concat());
    }
    bytes
}

/// A transfer's socket.
struct Transfer {
    socket: UdpSocket,
}

impl Transfer {
    async fn start(port: &Port, request: &[u8]) -> Result<Transfer> {
        let socket = port.socket(0)?;
        socket.send_to(request, "10.77.0.1:69").await?;
        Ok(Transfer { socket })
    }

    async fn next(&self) -> Result<(Vec<u8>, std::net::SocketAddr)> {
        let mut buffer = vec![0u8; 70_000];
        let received = tokio::time::timeout(Duration::from_secs(3), self.socket.recv_from(&mut buffer));
        let (len, from) = received.await.context("no TFTP packet for 3 s")??;
        buffer.truncate(len);
        Ok((buffer, from))
    }
}

#[tokio::test]
async fn real_clients_fetch_the_loader_whole() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let port = site.port("02:00:00:00:60:01")?;
    port.boot(Asker::Bios, 1).await?;
    let loader = std::fs::read(LOADER)?;
    let file = site.directory().join("fetched");
    let name = file.to_string_lossy().into_owned();
    for source in ["undionly.kpxe", "/undionly.kpxe", "//undionly.kpxe"] {
        let _ = std::fs::remove_file(&file);
        let got = port.run("tftp", &["-m", "binary", "10.77.0.1", "-c", "get", source, &name])?;
        ensure!(
            got.status.success(),
            "tftp: {}",
            String::from_utf8_lossy(&got.stderr)
        );
        assert!(std::fs::read(&file)? == loader, "tftp-hpa, {source}: other bytes");
    }
    for block in ["512", "1024", "1468", "8192", "65464"] {
        let url = "tftp://10.77.0.1/undionly.kpxe";
        let got = port.run("curl", &["-sS", "-m", "15", "--tftp-blksize", block, url])?;
        assert!(got.stdout == loader, "curl, blksize {block}: other bytes");
    }
    for window in ["1", "4", "16"] {
        let _ = std::fs::remove_file(&file);
        let window = format!("windowsize {window}");
        let options = [
            "--option",
            "blksize 1428",
            "--option",
            &window,
            "--option",
            "timeout 2",
        ];
        let files = [
            "--get",
            "--remote-file",
            "undionly.kpxe",
            "--local-file",
            &name,
            "10.77.0.1",
        ];
        let got = port.run("atftp", &[&options[..], &files[..]].concat())?;
        ensure!(
            got.status.success(),
            "atftp, {window}: {}",
            String::from_utf8_lossy(&got.stderr)
        );
        assert!(std::fs::read(&file)? == loader, "atftp, {window}: other bytes");
    }
    let plain = port.run(
        "curl",
        &[
            "-sS",
            "-m",
            "15",
            "--tftp-no-options",
            "tftp://10.77.0.1/snponly.efi",
        ],
    )?;
    assert!(plain.stdout == std::fs::read("/usr/lib/ipxe/snponly.efi")?);
    let said = site.explain(port.mac)?;
    assert!(
        said.contains("snponly.efi") && said.contains("boot script comes next"),
        "{said}"
    );
    Ok(())
}

#[tokio::test]
async fn only_the_table_is_served_and_nothing_is_written() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let port = site.port("02:00:00:00:61:01")?;
    port.boot(Asker::Bios, 1).await?;
    let file = site.directory().join("fetched");
    let name = file.to_string_lossy().into_owned();
    for path in [
        "nothing.here",
        "../../etc/passwd",
        "../../../../../../etc/passwd",
        "/etc/passwd",
        "undionly.kpxe/../../../etc/passwd",
        "%2e%2e/etc/passwd",
        "ca/ca-key.pem",
        "slipway.toml",
        ".",
        "/",
    ] {
        let got = port.run("tftp", &["-m", "binary", "10.77.0.1", "-c", "get", path, &name])?;
        let said =
            String::from_utf8_lossy(&got.stdout).to_lowercase() + &String::from_utf8_lossy(&got.stderr);
        assert!(said.contains("not found"), "{path}: {said}");
        assert!(std::fs::read(&file).unwrap_or_default().is_empty(), "{path}");
        // At once, not after a timeout: shim asks for three files that do not exist.
        let transfer = Transfer::start(&port, &request(path.as_bytes(), &[("blksize", "512")])).await?;
        let (packet, _) = transfer.next().await?;
        assert_eq!(packet[..4], [0, 5, 0, 1], "{path}: ERROR 1");
        assert!(
            !String::from_utf8_lossy(&packet).contains('/'),
            "no path of ours in {packet:?}"
        );
    }
    let put = port.run(
        "tftp",
        &["-m", "binary", "10.77.0.1", "-c", "put", LOADER, "undionly.kpxe"],
    )?;
    let said = String::from_utf8_lossy(&put.stdout).into_owned() + &String::from_utf8_lossy(&put.stderr);
    assert!(
        said.to_lowercase().contains("error"),
        "a write is refused: {said}"
    );
    Ok(())
}

#[tokio::test]
async fn tftp_options_are_negotiated_within_bounds() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let port = site.port("02:00:00:00:62:01")?;
    port.boot(Asker::Uefi, 1).await?;
    let loader = std::fs::read(LOADER)?;
    // EDK2 asks for the size, aborts with ERROR 8, then fetches with a window from another port.
    let probe = [("tsize", "0"), ("blksize", "1468"), ("windowsize", "4")];
    let transfer = Transfer::start(&port, &request(b"undionly.kpxe", &probe)).await?;
    let (oack, from) = transfer.next().await?;
    let text = String::from_utf8_lossy(&oack[2..]).into_owned();
    assert_eq!(oack[..2], [0, 6]);
    assert!(text.contains(&format!("tsize\0{}\0", loader.len())), "{text:?}");
    transfer
        .socket
        .send_to(b"\0\x05\0\x08User aborted the transfer\0", from)
        .await?;

    let options = [("blksize", "1468"), ("windowsize", "4")];
    let transfer = Transfer::start(&port, &request(b"undionly.kpxe", &options)).await?;
    let (oack, from) = transfer.next().await?;
    assert_eq!(oack, b"\0\x06blksize\x001468\0windowsize\x004\0");
    transfer.socket.send_to(&[0, 4, 0, 0], from).await?;
    let mut content = Vec::new();
    'file: loop {
        for in_window in 1..=4u16 {
            let (packet, _) = transfer.next().await?;
            let number = u16::from_be_bytes([packet[2], packet[3]]);
            assert_eq!(packet[..2], [0, 3]);
            assert_eq!(
                usize::from(number),
                content.len() / 1468 + 1,
                "in order, none twice"
            );
            content.extend_from_slice(&packet[4..]);
            let last = packet.len() < 1472;
            if last || in_window == 4 {
                transfer
                    .socket
                    .send_to(&[0, 4, packet[2], packet[3]], from)
                    .await?;
            }
            if last {
                break 'file;
            }
        }
    }
    assert!(content == loader, "a window of four blocks: other bytes");

    // A request beyond what fits a frame, or our memory, is granted with less.
    let greedy = [("blksize", "65464"), ("windowsize", "65535"), ("timeout", "255")];
    let transfer = Transfer::start(&port, &request(b"undionly.kpxe", &greedy)).await?;
    let (oack, from) = transfer.next().await?;
    let text = String::from_utf8_lossy(&oack[2..]).into_owned();
    let words: Vec<&str> = text.split('\0').collect();
    let value = |name: &str| {
        let at = words.iter().position(|w| *w == name)?;
        words.get(at + 1)?.parse::<u32>().ok()
    };
    assert!(value("blksize").is_some_and(|n| n <= 1468), "{text:?}");
    assert!(value("windowsize").is_none_or(|n| n <= 64), "{text:?}");
    transfer.socket.send_to(b"\0\x05\0\x08no\0", from).await?;
    Ok(())
}
