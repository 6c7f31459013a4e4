//! RFC 2131 on clients that have moved, omit fields, or do not answer ARP, with real sockets.

use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use e2e::sim::dhcp::{ACK, Asker, DISCOVER, Message, NAK, OFFER, REQUEST};

use crate::capture::{Capture, is_ipv4};
use crate::port::{BROADCAST, Port};
use crate::site::{SMALL_BRIDGE, Site};

fn with_ciaddr(message: &Message, ip: Ipv4Addr) -> Vec<u8> {
    let mut bytes = message.bytes();
    bytes[12..16].copy_from_slice(&ip.octets());
    bytes
}

#[tokio::test]
async fn a_renewal_is_answered_to_a_client_that_answers_no_arp() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let port = site.port("02:00:00:00:31:01")?;
    // The address is on no interface, so nobody answers ARP for it.
    let address = port.lease(Asker::System, 1).await?.yiaddr;
    let mut renew = Message::new(REQUEST, Asker::System, port.mac, 77);
    renew.broadcast = false;
    let capture = Capture::start(&port)?;
    let socket = port.socket(68)?;
    let bytes = with_ciaddr(&renew, address);
    socket.send_to(&bytes, BROADCAST).await?;
    let ack = |frame: &[u8]| {
        is_ipv4(frame) && frame[34..38] == [0, 67, 0, 68] && frame[46..50] == 77u32.to_be_bytes()
    };
    let frame = capture.wait("the ACK", || Ok(()), ack).await?;
    assert_eq!(frame[..6], port.mac.0, "by its hardware address");
    assert_eq!(frame[30..34], address.octets(), "to the address that it uses");
    assert_eq!(frame[54..58], address.octets(), "ciaddr");
    Ok(())
}

#[tokio::test]
async fn clients_that_have_moved_or_omit_fields_are_answered() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let port = site.port("02:00:00:00:31:02")?;
    let ask = |kind: u8, xid: u32| Message::new(kind, Asker::System, port.mac, xid);
    // INIT-REBOOT with an address of another subnet, and with none.
    let moved = port.answer(&ask(REQUEST, 1).with(50, &[10, 99, 0, 9])).await?;
    assert_eq!((moved.kind(), moved.yiaddr), (NAK, Ipv4Addr::UNSPECIFIED));
    assert_eq!(port.answer(&ask(REQUEST, 2)).await?.kind(), NAK);
    // Unknown, and in the right subnet: another server may know it.
    let unknown = ask(REQUEST, 3).with(50, &[10, 77, 0, 150]);
    assert!(port.ask(&unknown).await?.is_none());
    // `ciaddr` in a DISCOVER has no meaning.
    let discover = with_ciaddr(&ask(DISCOVER, 4), Ipv4Addr::new(10, 77, 0, 222));
    let offer = port
        .ask_bytes(&discover, 4, BROADCAST)
        .await?
        .context("no offer")?;
    assert_eq!(offer.kind(), OFFER);
    // It accepts the offer without naming the address.
    let ack = port.answer(&ask(REQUEST, 5).with(54, &[10, 77, 0, 1])).await?;
    assert_eq!((ack.kind(), ack.yiaddr), (ACK, offer.yiaddr));
    // From `cases/net`; the hardware address is not that of any NIC at this site.
    let case = include_bytes!("../../cases/net/discover-with-ciaddr.bin");
    let mut case = case.to_vec();
    case[10] = 0x80;
    let offer = port
        .ask_bytes(&case, 0x1234, BROADCAST)
        .await?
        .context("no offer")?;
    assert_eq!(offer.kind(), OFFER);
    Ok(())
}

#[tokio::test]
async fn an_address_released_from_address_zero_goes_to_the_next_client() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let ports: Vec<Port> = (1..4)
        .map(|n| site.port_on(SMALL_BRIDGE, &format!("02:00:00:00:32:0{n}")))
        .collect::<Result<_>>()?;
    let [one, two, three] = &ports[..] else {
        unreachable!("three ports")
    };
    let (first, second) = (
        one.lease(Asker::System, 1).await?.yiaddr,
        two.lease(Asker::System, 2).await?.yiaddr,
    );
    assert_eq!(
        (first.octets()[3], second.octets()[3]),
        (10, 11),
        "in the pool's order"
    );
    let discover = |xid| Message::new(DISCOVER, Asker::System, three.mac, xid);
    assert!(three.ask(&discover(3)).await?.is_none(), "the pool is used up");
    let release = |xid| Message::new(7, Asker::System, one.mac, xid).with(54, &[10, 79, 0, 1]);
    let released = with_ciaddr(&release(6), first);
    one.socket(68)?.send_to(&released, BROADCAST).await?;
    site.wait_answer(one.mac, "release:released").await?;
    assert_eq!(three.answer(&discover(7)).await?.yiaddr, first);
    Ok(())
}
