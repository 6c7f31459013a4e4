//! Addresses: durable, reserved, exhausted, returned.

use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use e2e::sim::dhcp::{ACK, Asker, DISCOVER, Message, NAK, OFFER, REQUEST};

use crate::port::{BROADCAST, Port};
use crate::site::{RESERVED, SMALL_BRIDGE, Site};

/// A message with the client's own address in it.
fn with_ciaddr(message: &Message, ip: Ipv4Addr) -> Vec<u8> {
    let mut bytes = message.bytes();
    bytes[12..16].copy_from_slice(&ip.octets());
    bytes
}

/// A REQUEST for an offered address.
fn take(port: &Port, xid: u32, ip: Ipv4Addr, server: [u8; 4]) -> Message {
    Message::new(REQUEST, Asker::System, port.mac, xid)
        .with(50, &ip.octets())
        .with(54, &server)
}

#[tokio::test]
async fn leases_outlive_the_server() -> Result<()> {
    let Some(mut site) = Site::start().await? else {
        return Ok(());
    };
    let (first, second) = (site.port("02:00:00:00:10:01")?, site.port("02:00:00:00:10:02")?);
    // An address that the spread of MACs would not give the first machine, so that only the journal can know
    // it later.
    let usual = first.lease(Asker::Bios, 1).await?.yiaddr;
    let wish = Ipv4Addr::new(10, 77, 0, if usual.octets()[3] == 177 { 178 } else { 177 });
    let release = with_ciaddr(&Message::new(7, Asker::System, first.mac, 2), usual);
    first.socket(68)?.send_to(&release, BROADCAST).await?;
    site.wait_answer(first.mac, "release:released").await?;
    let other = second
        .answer(&Message::new(DISCOVER, Asker::System, second.mac, 3).with(50, &usual.octets()))
        .await?;
    assert_eq!(other.yiaddr, usual, "a released address is free for others");
    let ack = second.answer(&take(&second, 3, usual, [10, 77, 0, 1])).await?;
    assert_eq!(ack.kind(), ACK);
    let offer = first
        .answer(&Message::new(DISCOVER, Asker::System, first.mac, 4).with(50, &wish.octets()))
        .await?;
    assert_eq!(offer.yiaddr, wish);
    let ack = first.answer(&take(&first, 4, wish, [10, 77, 0, 1])).await?;
    assert_eq!(ack.kind(), ACK);

    site.server.kill();
    site.server.power_on().await?;
    // Every stage of the next boot gets the same address: ROM, iPXE and the system.
    for (xid, asker) in (10..).zip([Asker::Uefi, Asker::Ipxe, Asker::System]) {
        assert_eq!(first.lease(asker, xid).await?.yiaddr, wish, "{asker:?}");
    }
    assert_eq!(second.lease(Asker::Bios, 20).await?.yiaddr, usual);
    // INIT-REBOOT: a machine comes back and only confirms what it had.
    let confirm = Message::new(REQUEST, Asker::System, first.mac, 21).with(50, &wish.octets());
    assert_eq!(first.answer(&confirm).await?.kind(), ACK);
    // For an address that is not its own it is refused at once.
    let confirm = Message::new(REQUEST, Asker::System, first.mac, 22).with(50, &usual.octets());
    assert_eq!(first.answer(&confirm).await?.kind(), NAK);
    Ok(())
}

#[tokio::test]
async fn an_exhausted_pool_is_reported_and_leaves_reservations_alone() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let port = |n: u8| site.port_on(SMALL_BRIDGE, &format!("02:00:00:00:20:{n:02x}"));
    let (one, two, late) = (port(1)?, port(2)?, port(3)?);
    let first = one.lease(Asker::Bios, 1).await?.yiaddr;
    let second = two.lease(Asker::Uefi, 2).await?.yiaddr;
    assert_ne!(first, second);
    let ask = Message::new(DISCOVER, Asker::Bios, late.mac, 3);
    assert!(
        late.ask(&ask).await?.is_none(),
        "two addresses, and both are in use"
    );
    site.wait_answer(late.mac, "discover:pool-exhausted").await?;
    let said = site.explain(late.mac)?;
    assert!(
        said.contains("pool-exhausted") && said.contains("no address is left for it in network small"),
        "{said}"
    );
    assert!(
        site.server.log().contains("pool-exhausted"),
        "the log says it too"
    );
    // Exhausting the pool does not yield the reserved address.
    let reserved = site.port_on(SMALL_BRIDGE, RESERVED.0)?;
    assert_eq!(
        reserved.lease(Asker::Bios, 4).await?.yiaddr,
        Ipv4Addr::new(10, 79, 0, 50)
    );
    // Other networks are not touched either.
    assert_eq!(
        site.port("02:00:00:00:20:04")?
            .lease(Asker::Bios, 5)
            .await?
            .kind(),
        ACK
    );
    let release = with_ciaddr(&Message::new(7, Asker::System, two.mac, 6), second);
    two.socket(68)?.send_to(&release, BROADCAST).await?;
    site.wait_answer(two.mac, "release:released").await?;
    let offer = late.answer(&ask).await?;
    assert_eq!((offer.kind(), offer.yiaddr), (OFFER, second));
    Ok(())
}

#[tokio::test]
async fn reservations_declines_and_informs() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let reserved = site.port(RESERVED.0)?;
    let address: Ipv4Addr = RESERVED.1.parse()?;
    // Whatever it asks for.
    let wish = Message::new(DISCOVER, Asker::Bios, reserved.mac, 1).with(50, &[10, 77, 0, 120]);
    assert_eq!(reserved.answer(&wish).await?.yiaddr, address);
    assert_eq!(reserved.lease(Asker::Bios, 2).await?.yiaddr, address);

    let port = site.port("02:00:00:00:30:01")?;
    let taken = port.lease(Asker::System, 3).await?.yiaddr;
    // INFORM: settings and no lease.
    port.take(taken)?;
    let inform = with_ciaddr(&Message::new(8, Asker::System, port.mac, 4), taken);
    let ack = port
        .ask_bytes(&inform, 4, BROADCAST)
        .await?
        .context("no answer to INFORM")?;
    assert_eq!((ack.kind(), ack.yiaddr), (ACK, Ipv4Addr::UNSPECIFIED));
    assert_eq!(ack.option(51), None);
    port.drop_addresses()?;
    // DECLINE: somebody else uses the address, and nobody gets it for a while.
    let decline = Message::new(4, Asker::System, port.mac, 5)
        .with(50, &taken.octets())
        .with(54, &[10, 77, 0, 1]);
    port.socket(68)?.send_to(&decline.bytes(), BROADCAST).await?;
    site.wait_answer(port.mac, "decline:declined").await?;
    assert_ne!(port.lease(Asker::System, 6).await?.yiaddr, taken);
    let other = site.port("02:00:00:00:30:02")?;
    let wish = Message::new(DISCOVER, Asker::Bios, other.mac, 7).with(50, &taken.octets());
    assert_ne!(other.answer(&wish).await?.yiaddr, taken);
    // A stranger cannot quarantine other clients' addresses.
    let theft = Message::new(4, Asker::System, other.mac, 8)
        .with(50, &address.octets())
        .with(54, &[10, 77, 0, 1]);
    other.socket(68)?.send_to(&theft.bytes(), BROADCAST).await?;
    site.wait_answer(other.mac, "decline:unknown-binding").await?;
    assert_eq!(reserved.lease(Asker::Bios, 9).await?.yiaddr, address);
    // A REQUEST that chose another server is ignored.
    let elsewhere = Message::new(REQUEST, Asker::Bios, other.mac, 10)
        .with(50, &[10, 77, 0, 9])
        .with(54, &[10, 77, 0, 99]);
    assert!(other.ask(&elsewhere).await?.is_none());
    Ok(())
}
