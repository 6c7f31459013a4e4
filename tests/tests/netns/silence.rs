//! Where the server sends and where it does not, frame by frame.

use std::net::{Ipv6Addr, SocketAddrV6};

use anyhow::Result;
use e2e::netns::ip;
use e2e::sim::dhcp::{ACK, Asker, DISCOVER, Message, OFFER, REQUEST};
use socket2::{Domain, Protocol, Socket, Type};

use crate::capture::{Capture, is_ipv4, is_router_advertisement};
use crate::port::{BROADCAST, Port};
use crate::site::{OTHER_BRIDGE, SMALL_BRIDGE, Site};

/// A Router Solicitation to all routers.
fn solicit(port: &Port) -> Result<()> {
    port.ns.run(|| {
        let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
        let index = nix::net::if_::if_nametoindex("eth0")?;
        socket.set_multicast_hops_v6(255)?;
        socket.set_multicast_if_v6(index)?;
        let routers = SocketAddrV6::new(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2), 0, 0, index);
        // There is no route until the link-local address has passed duplicate detection; the caller tries
        // again.
        let _ = socket.send_to(&[133, 0, 0, 0, 0, 0, 0, 0], &routers.into());
        Ok(())
    })
}

#[tokio::test]
async fn a_client_on_an_interface_that_is_not_configured_gets_not_one_packet() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let outside = site.port_on(OTHER_BRIDGE, "02:00:00:00:01:01")?;
    let inside = site.port("02:00:00:00:01:02")?;
    let small = site.port_on(SMALL_BRIDGE, "02:00:00:00:01:03")?;
    let capture = Capture::start(&outside)?;
    let socket = outside.socket(68)?;
    let askers = [Asker::Bios, Asker::Uefi, Asker::Ipxe, Asker::System];
    for (xid, asker) in (1..).zip(askers) {
        let discover = Message::new(DISCOVER, asker, outside.mac, xid);
        let request = Message::new(REQUEST, asker, outside.mac, xid)
            .with(50, &[10, 77, 0, 100])
            .with(54, &[10, 77, 0, 1]);
        for message in [discover, request] {
            socket.send_to(&message.bytes(), BROADCAST).await?;
        }
        solicit(&outside)?;
    }
    // The same questions on the configured interfaces are answered afterwards, so the server is not just
    // slow.
    let lab = inside.lease(Asker::Uefi, 77).await?;
    assert_eq!(lab.kind(), ACK);
    assert_eq!(lab.yiaddr.octets()[..3], [10, 77, 0]);
    let other = small.lease(Asker::Bios, 78).await?;
    assert_eq!(
        other.yiaddr.octets()[..3],
        [10, 79, 0],
        "each interface has its own network"
    );
    assert_eq!(other.option(54), Some(&[10, 79, 0, 1][..]));
    let asked = Capture::start(&inside)?;
    asked
        .wait(
            "a router advertisement on the configured interface",
            || {
                solicit(&outside)?;
                solicit(&inside)
            },
            is_router_advertisement,
        )
        .await?;

    let frames = capture.frames();
    let heard: Vec<_> = frames
        .iter()
        // IGMP comes from the bridge: the kernel announces its groups.
        .filter(|f| is_ipv4(f) && f[23] != 2 || is_router_advertisement(f))
        .collect();
    assert!(
        heard.is_empty(),
        "not a single packet was due, there are {}: {heard:02x?}",
        heard.len()
    );
    let journey = site.server.api()?.journey(&outside.mac.to_string()).await?;
    assert!(journey.events.is_empty(), "{:?}", journey.events);

    // The boot services are not there either, under the address that the client can see.
    outside.take("10.78.0.5".parse()?)?;
    let refused = outside.run("curl", &["-s", "-m", "5", "http://10.78.0.1:8067/boot/kernel"])?;
    assert_eq!(refused.status.code(), Some(7), "curl: connection refused");
    let refused = outside.run("curl", &["-s", "-m", "2", "tftp://10.78.0.1/undionly.kpxe"])?;
    assert!(!refused.status.success() && refused.stdout.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_router_solicitation_gets_an_advertisement_that_changes_nothing() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let port = site.port("02:00:00:00:02:01")?;
    let capture = Capture::start(&port)?;
    let frame = capture
        .wait(
            "a router advertisement",
            || solicit(&port),
            is_router_advertisement,
        )
        .await?;
    let (header, icmp) = (&frame[14..54], &frame[54..]);
    assert_eq!(header[7], 255, "RFC 4861, 6.1.2: hop limit");
    assert_eq!(header[8..10], [0xfe, 0x80], "from a link-local address");
    assert_eq!(icmp.len(), 16, "no option: no prefix, no name server");
    assert_eq!(icmp[4], 0, "no hop limit is set");
    assert_eq!(icmp[5], 0, "flags: no DHCPv6, no router preference");
    assert_eq!(icmp[6..8], [0, 0], "router lifetime 0: no default route");
    assert_eq!(icmp[8..16], [0; 8]);
    // The kernel behind the NIC processed it like every advertisement, and is unchanged.
    let routes = port.ns.run(|| ip("-6 route show default"))?;
    assert_eq!(routes.trim(), "");
    let addresses = port.ns.run(|| ip("-6 addr show dev eth0 scope global"))?;
    assert_eq!(addresses.trim(), "");
    Ok(())
}

#[tokio::test]
async fn a_reply_goes_where_the_client_can_hear_it() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let port = site.port("02:00:00:00:03:01")?;
    let bystander = site.port("02:00:00:00:03:02")?;
    // Without the broadcast flag the offer goes to the client's hardware address, although it does not answer
    // ARP yet.
    let (capture, overheard) = (Capture::start(&port)?, Capture::start(&bystander)?);
    let mut discover = Message::new(DISCOVER, Asker::Bios, port.mac, 31);
    discover.broadcast = false;
    let socket = port.socket(68)?;
    socket.send_to(&discover.bytes(), BROADCAST).await?;
    let from_server = |frame: &[u8]| is_ipv4(frame) && frame[34..38] == [0, 67, 0, 68];
    let frame = capture.wait("an offer", || Ok(()), from_server).await?;
    assert_eq!(frame[..6], port.mac.0, "unicast frame");
    assert_eq!(frame[26..30], [10, 77, 0, 1], "from the server's address");
    assert_eq!(frame[30..34], frame[58..62], "to the address that is offered");
    // With the flag everybody receives it.
    let offer = port
        .answer(&Message::new(DISCOVER, Asker::Bios, port.mac, 32))
        .await?;
    assert_eq!(offer.kind(), OFFER);
    let broadcast = overheard
        .wait("the broadcast offer", || Ok(()), from_server)
        .await?;
    assert_eq!(broadcast[..6], [0xff; 6]);
    assert_eq!(
        broadcast[30..34],
        [255; 4],
        "255.255.255.255, not the subnet's broadcast"
    );
    assert_eq!(
        broadcast[46..50],
        32u32.to_be_bytes(),
        "the unicast offer before was for the client alone"
    );
    Ok(())
}
