//! What the fuzz targets do with their bytes, and what has to hold.

use std::net::Ipv4Addr;
use std::sync::LazyLock;

use inventory_api::agent::ReportRequest;
use inventory_api::boot::{BootTarget, Purpose};
use inventory_api::check::Expectation;
use inventory_api::report::AssetReport;
use inventory_api::{Mac, UnixMs};
use netboot_protocol::{
    BootUrls, LeaseChange, Leases, Network, NetworkSettings, PoolRange, classify, decide, destination,
    encode, select_network,
};

#[cfg(feature = "agent")]
/// A parser of the agent, by the name of its door.
pub fn agent(door: &str, bytes: &[u8]) {
    let (_, door) = agent::report::fuzz::DOORS
        .iter()
        .find(|(name, _)| *name == door)
        .expect("the agent has this door");
    door(bytes);
}

#[cfg(feature = "agent")]
/// The server's answer, as the agent reads it.
pub fn agent_order(bytes: &[u8]) {
    let _ = agent::session::read_order(bytes);
}

/// A report as any machine may send it: it is bounded, and then everything the server does with it is done. A machine is
/// what a profile made of its own report says.
pub fn server_report(bytes: &[u8]) {
    let report = serde_json::from_slice::<ReportRequest>(bytes).map(|request| *request.report);
    let Ok(report) = report.or_else(|_| serde_json::from_slice::<AssetReport>(bytes)) else {
        return;
    };
    let report = lifecycle::bounds::bounded(&report);
    assert_eq!(
        lifecycle::bounds::bounded(&report),
        report,
        "bounded twice is bounded once"
    );
    let profile = lifecycle::check::golden(&report);
    assert_eq!(
        lifecycle::check::validate(&profile),
        [],
        "a golden profile is a sound one"
    );
    let expectation = Expectation {
        profile,
        ..Expectation::default()
    };
    let result = lifecycle::check(&expectation, &report);
    assert_eq!(result.findings, [], "a machine is what its own profile says");
    let others = [("a".to_owned(), &report), ("b".to_owned(), &report)];
    assert_eq!(lifecycle::check::outliers(&others), [], "twins do not differ");
    let _ = lifecycle::check(&Expectation::default(), &report);
    let _ = lifecycle::parts::parts(&report);
    let _ = lifecycle::expectation::names(&report);
}

static LAB: LazyLock<Vec<Network>> = LazyLock::new(|| {
    let mut settings = NetworkSettings::new("lab", URLS.server, "10.0.0.0/24".parse().expect("a subnet"));
    settings.pools = vec![PoolRange {
        first: Ipv4Addr::new(10, 0, 0, 100),
        last: Ipv4Addr::new(10, 0, 0, 103),
    }];
    settings
        .reservations
        .insert(Mac([0x52, 0x54, 0, 0x77, 0, 1]), Ipv4Addr::new(10, 0, 0, 50));
    settings.router = Some(Ipv4Addr::new(10, 0, 0, 254));
    settings.dns = vec![Ipv4Addr::new(10, 0, 0, 53)];
    settings.domain = Some("lab.example".into());
    vec![Network::new(settings).expect("a sound network")]
});

const URLS: BootUrls = BootUrls {
    server: Ipv4Addr::new(10, 0, 0, 1),
    http_port: 8067,
};

/// A conversation: datagrams, each behind its length in two bytes (what is longer than the rest is the rest), a second
/// apart, with the leases that come of them. A single captured datagram is tried by itself first.
pub fn dhcp4(bytes: &[u8]) {
    dhcp4_message(bytes, &mut Leases::default(), UnixMs(1_000_000));
    let (mut leases, mut now, mut rest) = (Leases::default(), UnixMs(1_000_000), bytes);
    while let [high, low, tail @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(tail.len());
        let (datagram, after) = tail.split_at(length);
        dhcp4_message(datagram, &mut leases, now);
        (now, rest) = (now.plus_seconds(1), after);
    }
}

fn dhcp4_message(datagram: &[u8], leases: &mut Leases, now: UnixMs) {
    let Ok(client) = classify(datagram) else { return };
    let Some(network) = select_network(&LAB, &client) else {
        return;
    };
    let target = BootTarget::MiniOs {
        purpose: Purpose::Commission,
    };
    let decision = decide(&client, network, leases, target, &URLS, now);
    match decision.change {
        Some(LeaseChange::Insert(lease)) => {
            assert!(network.may_lease(lease.mac, lease.ip), "{lease:?}");
            leases.insert(lease);
        }
        Some(LeaseChange::Forget(ip)) => leases.remove(ip),
        None => {}
    }
    let Ok(content) = decision.answer else { return };
    let reply = encode(&client, network, &content);
    assert!((300..=1472).contains(&reply.len()), "{} bytes", reply.len());
    assert_eq!(reply[..3], [2, 1, 6], "a reply on Ethernet");
    assert_eq!(reply[4..8], client.xid.to_be_bytes(), "the client's transaction");
    assert_eq!(reply[28..34], client.mac.0, "the client's address");
    let _ = destination(&client, &content);
}
