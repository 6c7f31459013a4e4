use super::*;
use crate::network::settings::PoolRange;
use inventory_api::Mac;

fn settings() -> NetworkSettings {
    let mut settings =
        NetworkSettings::new("lab", Ipv4Addr::new(10, 0, 0, 1), "10.0.0.0/24".parse().unwrap());
    settings.mode = Mode::Server;
    settings.pools = vec![PoolRange {
        first: Ipv4Addr::new(10, 0, 0, 100),
        last: Ipv4Addr::new(10, 0, 0, 109),
    }];
    settings
}

fn class(name: &str, vendor: Option<&str>) -> crate::ClassSettings {
    let mut class = crate::ClassSettings {
        name: name.to_owned(),
        ..Default::default()
    };
    class.matches.vendor_class = vendor.map(str::to_owned);
    class
}

#[test]
fn excluded_addresses_go_to_nobody_and_an_observer_needs_no_pool() {
    let ip = |n| Ipv4Addr::new(10, 0, 0, n);
    let mut with = settings();
    with.exclude = vec![PoolRange {
        first: ip(102),
        last: ip(107),
    }];
    let network = Network::new(with).unwrap();
    assert_eq!(network.addresses().pool(), [100, 101, 108, 109].map(ip));
    let mac = Mac([2, 0, 0, 0, 0, 1]);
    assert!(!network.addresses().may_lease(mac, ip(105)) && network.addresses().may_lease(mac, ip(108)));
    assert!(network.may_reserve(ip(105)) && network.may_reserve(ip(9)));
    assert!(!network.may_reserve(ip(1)) && !network.may_reserve(ip(255)) && !network.may_reserve(ip(0)));
    for mode in [Mode::Observe, Mode::Proxy] {
        let mut bare = settings();
        (bare.mode, bare.pools) = (mode, Vec::new());
        assert!(Network::new(bare).is_ok());
    }
}

#[test]
fn good_settings_pass_and_host_bits_are_cleared() {
    let mut good = settings();
    good.subnet = "10.0.0.7/24".parse().unwrap();
    let network = Network::new(good).unwrap();
    assert_eq!(network.subnet().to_string(), "10.0.0.0/24");
    assert_eq!(network.addresses().pool().len(), 10);
    assert!(network.is_local());
}

#[test]
fn each_mistake_is_named() {
    type Change = fn(&mut NetworkSettings);
    let ip = Ipv4Addr::new;
    let cases: [(Change, &str); 35] = [
        (|s| s.name = "Lab 1".into(), "network name \"Lab 1\""),
        (
            |s| s.subnet = "10.0.0.0/31".parse().unwrap(),
            "between /8 and /30",
        ),
        (|s| s.server = Ipv4Addr::UNSPECIFIED, "server 0.0.0.0"),
        (
            |s| s.server = Ipv4Addr::new(10, 0, 0, 255),
            "server 10.0.0.255 is not a host",
        ),
        (
            |s| s.routers = vec![Ipv4Addr::new(10, 0, 0, 254), Ipv4Addr::new(10, 0, 1, 1)],
            "router 10.0.1.1",
        ),
        (
            |s| s.routers = vec![Ipv4Addr::new(10, 0, 0, 254); 2],
            "router 10.0.0.254 is listed twice",
        ),
        (
            |s| s.dns = (1..10).map(|n| Ipv4Addr::new(10, 0, 0, n)).collect(),
            "dns has 9 addresses; at most 8 are allowed",
        ),
        (
            |s| s.next_server = Some(Ipv4Addr::UNSPECIFIED),
            "next_server 0.0.0.0 is not a host",
        ),
        (
            |s| s.ipv6_only_seconds = Some(60),
            "ipv6_only_seconds = 60 must be between 300",
        ),
        (|s| s.decline_seconds = 0, "decline_seconds = 0"),
        (
            |s| s.classes = vec![class("phones", None)],
            "class phones: `match` is empty: give at least one of vendor_class",
        ),
        (
            |s| s.classes = vec![class("", Some("x"))],
            "`name` must have 1 to 64",
        ),
        (
            |s| s.classes = vec![class("a", Some("x")), class("a", Some("y"))],
            "class a: the name is used twice",
        ),
        (
            |s| s.classes = vec![class("a", Some("0x123"))],
            "class a: vendor_class = \"0x123\" is not hexadecimal",
        ),
        (
            |s| {
                s.classes = vec![class("a", Some("x"))];
                s.classes[0].matches.mac = Some("nine".into());
            },
            "mac = \"nine\" is neither a MAC address nor",
        ),
        (
            |s| {
                s.classes = vec![class("a", Some("x"))];
                s.classes[0].routers = vec![Ipv4Addr::new(10, 9, 0, 1)];
            },
            "network lab, class a: router 10.9.0.1 is not a host of 10.0.0.0/24",
        ),
        (
            |s| {
                s.classes = vec![class("a", Some("x"))];
                s.classes[0].lease_seconds = Some(9);
            },
            "network lab, class a: lease_seconds = 9",
        ),
        (
            |s| {
                s.classes = vec![class("a", Some("x"))];
                s.classes[0].options = vec![crate::network::settings::CustomOption {
                    code: 53,
                    ..Default::default()
                }];
            },
            "network lab, class a: option 53 cannot be set by hand",
        ),
        (
            |s| s.dns = vec![Ipv4Addr::BROADCAST],
            "name server 255.255.255.255",
        ),
        (|s| s.domain = Some("a b".into()), "domain \"a b\""),
        (|s| s.lease_seconds = 1, "lease_seconds = 1"),
        (
            |s| s.unknown_share = 0,
            "unknown_share = 0 must be between 1 and 100",
        ),
        (|s| s.mtu = Some(60), "mtu = 60"),
        (
            |s| s.tftp_blksize_max = Some(500),
            "tftp_blksize_max = 500 must be between 512 and 65464",
        ),
        (
            |s| s.search = vec!["a".repeat(60); 17],
            "search is longer than 1024 bytes",
        ),
        (|s| s.search = vec!["a..b".into()], "domain \"a..b\""),
        (
            |s| {
                s.routes = vec![crate::network::settings::Route {
                    to: "10.9.0.0/16".parse().unwrap(),
                    via: Ipv4Addr::new(10, 9, 0, 1),
                }];
            },
            "via 10.9.0.1 is not a host",
        ),
        (
            |s| {
                s.options = vec![crate::network::settings::CustomOption {
                    code: 53,
                    ..Default::default()
                }]
            },
            "option 53 cannot be set by hand",
        ),
        (
            |s| {
                s.exclude = vec![PoolRange {
                    first: Ipv4Addr::new(10, 0, 1, 1),
                    last: Ipv4Addr::new(10, 0, 1, 2),
                }]
            },
            "excluded address 10.0.1.1",
        ),
        (
            |s| s.pools[0].last = Ipv4Addr::new(10, 0, 0, 99),
            "ends before it starts",
        ),
        (
            |s| s.pools[0].last = Ipv4Addr::new(10, 0, 1, 9),
            "pool address 10.0.1.9",
        ),
        (|s| s.pools.push(s.pools[0]), "in two pools"),
        (|s| s.pools.clear(), "needs a pool or a reservation"),
        (
            |s| {
                s.reservations.insert(Mac([2, 0, 0, 0, 0, 1]), s.server);
            },
            "reserved for 02:00:00:00:00:01 is already taken",
        ),
        (
            |s| {
                s.reservations.insert(Mac([0xff; 6]), Ipv4Addr::new(10, 0, 0, 9));
            },
            "not the address of a network card",
        ),
    ];
    for (change, expected) in cases {
        let mut bad = settings();
        change(&mut bad);
        let error = Network::new(bad).unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} does not say {expected:?}");
    }
    let mut wide = settings();
    wide.subnet = "10.0.0.0/8".parse().unwrap();
    wide.pools[0].last = ip(10, 9, 0, 0);
    assert!(
        Network::new(wide)
            .unwrap_err()
            .to_string()
            .contains("more than 65536")
    );
}

#[test]
fn a_reserved_address_is_for_its_machine_only() {
    let mut with = settings();
    let (mac, other) = (Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
    with.reservations.insert(mac, Ipv4Addr::new(10, 0, 0, 103));
    let network = Network::new(with).unwrap();
    assert!(network.addresses().may_lease(mac, Ipv4Addr::new(10, 0, 0, 103)));
    assert!(!network.addresses().may_lease(mac, Ipv4Addr::new(10, 0, 0, 104)));
    assert!(!network.addresses().may_lease(other, Ipv4Addr::new(10, 0, 0, 103)));
    assert!(network.addresses().may_lease(other, Ipv4Addr::new(10, 0, 0, 104)));
    assert!(
        network
            .addresses()
            .pool()
            .iter()
            .all(|a| *a != Ipv4Addr::new(10, 0, 0, 103))
    );
}
