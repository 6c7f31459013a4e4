//! Faults after DHCP: files that do not arrive, the mini-os, its agent. More rows of `explain`.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream, UdpSocket as StdUdp};
use std::time::Duration;

use anyhow::Result;
use e2e::netns::ip;
use e2e::sim::dhcp::{Asker, DISCOVER, Message, REQUEST};
use inventory_api::Mac;
use inventory_api::boot::{BootEvent, BootEventKind};

use crate::crowd::{Crowd, mac, read_request, xid};
use crate::explain::{Rows, SERVER};
use crate::site::Site;

const DECLINE: u8 = 4;

/// Files that do not arrive.
pub async fn transfers(site: &Site, crowd: &Crowd, rows: &mut Rows) -> Result<(Vec<StdUdp>, Vec<TcpStream>)> {
    let (mut sockets, mut streams) = (Vec::new(), Vec::new());
    crowd.lease(Asker::Bios, mac(40)).await?;
    rows.add(
        "TFTP blocked",
        mac(40),
        &[
            "was told to load undionly.kpxe",
            "UDP port 69 of 10.77.0.1",
            "filtered",
        ],
    );
    let from = crowd.lease(Asker::Bios, mac(41)).await?;
    crowd.curl(from, &["tftp://10.77.0.1/pxelinux.0"])?;
    rows.add(
        "file of another's configuration",
        mac(41),
        &["asked 10.77.0.1 for pxelinux.0", "does not name", "undionly.kpxe"],
    );
    for (n, acknowledged, fact) in [
        (42, 0, "tftp_single_port"),
        (43, 1, "tftp_blksize_max"),
        (44, 3, "2936"),
    ] {
        let from = crowd.lease(Asker::Bios, mac(n)).await?;
        let socket = crowd.udp(from)?;
        socket.send_to(
            &read_request("undionly.kpxe", &[("blksize", "1468")]),
            "10.77.0.1:69",
        )?;
        let mut buffer = [0u8; 2048];
        for block in 0..acknowledged {
            let (_, server) = socket.recv_from(&mut buffer)?;
            socket.send_to(&[0, 4, 0, block], server)?;
        }
        // Kept open and never read again.
        sockets.push(socket);
        rows.add("TFTP data is lost", mac(n), &["undionly.kpxe", fact, SERVER]);
    }
    let from = crowd.lease(Asker::Uefi, mac(45)).await?;
    let whole = crowd.curl(from, &["-o", "/dev/null", "tftp://10.77.0.1/snponly.efi"])?;
    assert!(whole.status.success(), "{whole:?}");
    e2e::wait::until(
        "the whole loader in the journey",
        Duration::from_secs(10),
        async || {
            let journey = site.server.api()?.journey(&mac(45).to_string()).await?;
            let whole = |event: &BootEvent| matches!(event.what, BootEventKind::Tftp { complete: true, .. });
            Ok(journey.events.iter().any(whole).then_some(()))
        },
    )
    .await?;
    crowd
        .answer(&Message::new(DISCOVER, Asker::Uefi, mac(45), 451))
        .await?;
    rows.add("Secure Boot", mac(45), &["snponly.efi was fetched completely"]);
    let from = crowd.lease(Asker::Bios, mac(46)).await?;
    crowd.curl(from, &["-o", "/dev/null", "tftp://10.77.0.1/undionly.kpxe"])?;
    rows.add(
        "the loader hangs",
        mac(46),
        &["It loaded undionly.kpxe", "TCP port 8067 of 10.77.0.1", "console"],
    );
    crowd.lease(Asker::Ipxe, mac(47)).await?;
    rows.add(
        "HTTP blocked",
        mac(47),
        &["iPXE runs", "http://10.77.0.1:8067/boot.ipxe", "TCP port 8067"],
    );
    let from = crowd.lease(Asker::Ipxe, mac(48)).await?;
    drop(crowd.connect(from, "10.77.0.1:8067")?);
    rows.add(
        "HTTP broken off early",
        mac(48),
        &[&from.to_string(), "TCP port 8067", "no request came"],
    );
    let (from, thief) = (
        crowd.lease(Asker::Ipxe, mac(49)).await?,
        crowd.lease(Asker::Ipxe, mac(50)).await?,
    );
    let url = |n| format!("http://10.77.0.1:8067/boot.ipxe?mac={}", mac(n));
    crowd.curl(thief, &[&url(49)])?;
    rows.add(
        "asked from another address",
        mac(49),
        &[&thief.to_string(), "403", "does not hold this machine's lease"],
    );
    crowd.curl(
        thief,
        &["-o", "/dev/null", "http://10.77.0.1:8067/boot/nothing.efi"],
    )?;
    rows.add("HTTP 404", mac(50), &["/boot/nothing.efi", SERVER]);
    let _ = from;
    let from = crowd.lease(Asker::Ipxe, mac(51)).await?;
    crowd.curl(from, &[&url(51)])?;
    rows.add("script, no kernel", mac(51), &["kernel", SERVER, "console"]);
    let from = crowd.lease(Asker::Ipxe, mac(52)).await?;
    crowd.curl(from, &[&url(52)])?;
    let mut stalled = crowd.connect(from, "10.77.0.1:8067")?;
    stalled.write_all(b"GET /boot/initramfs HTTP/1.1\r\nHost: x\r\n\r\n")?;
    let mut some = [0; 1000];
    stalled.read_exact(&mut some)?;
    streams.push(stalled);
    rows.add(
        "download stands still",
        mac(52),
        &[
            "/boot/initramfs by HTTP",
            "has stopped",
            "of 700000 bytes have arrived",
        ],
    );
    let from = crowd.lease(Asker::Ipxe, mac(53)).await?;
    let mut broken = crowd.connect(from, "10.77.0.1:8067")?;
    broken.write_all(b"GET /boot/initramfs HTTP/1.1\r\nHost: x\r\n\r\n")?;
    broken.read_exact(&mut some)?;
    drop(broken);
    rows.add(
        "download broken off",
        mac(53),
        &["/boot/initramfs", "broke off", "had arrived"],
    );
    for (n, files, fact) in [
        (54, &["kernel"][..], "archives behind it"),
        (55, &["kernel", "initramfs", "site"], "the mini-os starts next"),
    ] {
        let from = crowd.lease(Asker::Ipxe, mac(n)).await?;
        crowd.curl(from, &[&url(n)])?;
        for file in files {
            crowd.curl(
                from,
                &["-o", "/dev/null", &format!("http://10.77.0.1:8067/boot/{file}")],
            )?;
        }
        rows.add("silence after files", mac(n), &[fact, "console"]);
    }
    let kernel = site.directory().join("mini-os/kernel");
    std::fs::rename(&kernel, kernel.with_extension("away"))?;
    let from = crowd.lease(Asker::Ipxe, mac(56)).await?;
    crowd.curl(from, &["-o", "/dev/null", "http://10.77.0.1:8067/boot/kernel"])?;
    rows.add(
        "no mini-os on the server",
        mac(56),
        &["/boot/kernel", "slipway mini-os build"],
    );
    Ok((sockets, streams))
}

/// The mini-os and its agent.
pub async fn agents(site: &Site, crowd: &Crowd, rows: &mut Rows) -> Result<()> {
    let stage = |n: u8, kind, xid| Message::new(kind, Asker::System, mac(n), xid).with(77, b"slipway");
    let up = async |n: u8| -> Result<Ipv4Addr> {
        let offer = crowd.answer(&stage(n, DISCOVER, u32::from(n) * 7)).await?;
        let request = stage(n, REQUEST, u32::from(n) * 7 + 1)
            .with(50, &offer.yiaddr.octets())
            .with(54, &[10, 77, 0, 1]);
        crowd.answer(&request).await?;
        crowd
            .port
            .ns
            .run(|| ip(&format!("addr replace {}/24 dev eth0", offer.yiaddr)))?;
        Ok(offer.yiaddr)
    };
    up(60).await?;
    rows.add(
        "8443 filtered",
        mac(60),
        &["The mini-os runs", "https://10.77.0.1:8443", "TCP port 8443"],
    );
    let from = up(61).await?;
    crowd.curl(from, &["https://10.77.0.1:8443/"])?;
    rows.add(
        "another authority",
        mac(61),
        &["breaks off TLS to 10.77.0.1:8443", "does not know our authority"],
    );
    let from = up(62).await?;
    drop(crowd.connect(from, "10.77.0.1:8443")?);
    rows.add("TLS cut", mac(62), &["10.77.0.1:8443", "TLS was not completed"]);
    let from = up(63).await?;
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let claim = inventory_api::agent::ClaimRequest {
        ticket: "00".repeat(32),
        csr_pem: rcgen::CertificateParams::default()
            .serialize_request(&key)?
            .pem()?,
        boot_mac: mac(63),
        agent_version: "x".to_owned(),
    };
    let body = serde_json::to_string(&claim)?;
    let post = [
        "-k",
        "-H",
        "content-type: application/json",
        "-d",
        &body,
        "https://10.77.0.1:8443/agent/v1/claim",
    ];
    crowd.curl(from, &post)?;
    rows.add(
        "claim refused",
        mac(63),
        &[
            "its claim was refused",
            "ticket-unknown",
            "boot the machine again",
        ],
    );
    let from = up(64).await?;
    crowd.curl(
        from,
        &["-k", "-d", "{}", "https://10.77.0.1:8443/agent/v1/report"],
    )?;
    rows.add(
        "report refused",
        mac(64),
        &["its report was refused", "certificate-missing"],
    );

    // A machine that is out of service.
    let from = crowd.lease(Asker::Ipxe, mac(65)).await?;
    crowd.curl(
        from,
        &[&format!("http://10.77.0.1:8067/boot.ipxe?mac={}", mac(65))],
    )?;
    let retired = mac(65).to_string();
    site.slipway(&["machine", "abort", &retired])?;
    site.slipway(&["machine", "retire", &retired, "--yes"])?;
    crowd
        .silence(&Message::new(DISCOVER, Asker::Bios, mac(65), 6500))
        .await?;
    rows.add("retired", mac(65), &["It is retired", "slipway machine show"]);

    // Somebody else uses the address it was given: it declines from its own NIC and then has no address.
    let own = Crowd::new(site.port(&mac(66).to_string())?)?;
    let address = decline(&own, mac(66)).await?;
    rows.add("declined", mac(66), &[&address, "somebody else uses"]);
    // A DECLINE in its name from another NIC ends nothing.
    let stranger = Crowd::new(site.port("02:00:00:00:60:05")?)?;
    decline(&stranger, mac(67)).await?;
    rows.add(
        "declined by another NIC",
        mac(67),
        &["decline", "cannot have come from it", "source MAC"],
    );
    Ok(())
}

/// DISCOVER to ACK, then a DECLINE of the address. The NIC has no address before or after.
async fn decline(crowd: &Crowd, mac: Mac) -> Result<String> {
    let xid = xid(mac);
    let offer = crowd
        .answer(&Message::new(DISCOVER, Asker::Bios, mac, xid))
        .await?;
    let about = |kind, xid| {
        Message::new(kind, Asker::Bios, mac, xid)
            .with(50, &offer.yiaddr.octets())
            .with(54, &[10, 77, 0, 1])
    };
    crowd.answer(&about(REQUEST, xid + 1)).await?;
    crowd.silence(&about(DECLINE, xid + 2)).await?;
    Ok(offer.yiaddr.to_string())
}
