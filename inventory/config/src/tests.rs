use super::*;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(Path::new("/etc/slipway/slipway.toml"), text).map_err(|e| e.to_string())
}

#[test]
fn the_example_is_right_and_its_checked_form_says_the_same() {
    let text = include_str!("../../slipway.example.toml");
    let config = parse(text).unwrap();
    assert_eq!(config.networks.len(), 1);
    assert!(!config.profiles.is_empty() && !config.policy.rules.is_empty());
    let form = config.checked_form();
    let again = parse(&form).unwrap();
    assert_eq!(again.checked_form(), form);
    assert_eq!(again.limits, config.limits);
    assert_eq!(again.networks, config.networks);
    assert_eq!(again.policy, config.policy);
}

#[test]
fn an_empty_file_has_defaults() {
    let config = parse("").unwrap();
    assert_eq!(config.data_dir, Path::new("/var/lib/slipway"));
    assert_eq!(config.api.listen.port(), 8443);
    assert_eq!(config.images_dir, Path::new("/var/lib/slipway/images"));
    assert!(config.tls_names().contains("127.0.0.1"));
}

#[test]
fn paths_are_relative_to_the_file() {
    let config = parse("data_dir = \"data\"").unwrap();
    assert_eq!(config.data_dir, Path::new("/etc/slipway/data"));
    assert_eq!(config.mini_os.dir, Path::new("/etc/slipway/data/mini-os"));
}

#[test]
fn mistakes_are_named_with_file_line_and_what_is_allowed() {
    let rule = "[[rule]]\nname = \"r\"\n";
    let cases = [
        ("[api]\nlisten = \"nowhere\"\n", "line 2"),
        ("[api]\n\nlisen = \"0.0.0.0:1\"\n", "line 3"),
        ("[api]\n\nlisen = \"0.0.0.0:1\"\n", "expected `listen` or `names`"),
        (
            "\n[policy]\nunknown = \"deploy\"\n",
            "expected `hold` or `commission`",
        ),
        (
            "\n\n[[network]]\nname = \"Lab 1\"\nserver = \"10.0.0.1\"\nsubnet = \"10.0.0.0/24\"\n",
            "slipway.toml:3: network name",
        ),
        (
            &format!("{rule}match = {{}}\naction = \"hold\"\n"),
            "slipway.toml:1: rule r: `match` is empty",
        ),
        (
            &format!("# x\n{rule}match = {{ serial = \"1\" }}\naction = \"deploy\"\nprofile = \"web\"\n"),
            "slipway.toml:2: rule r: there is no [profile.web]; profiles are: (none)",
        ),
        (
            &format!("{rule}match = {{ serial = \"1\" }}\naction = \"deploy\"\n"),
            "needs a `profile`",
        ),
        (
            "[profile.web]\nhostname = \"a\"\n",
            "profile web: `image` is missing",
        ),
        (
            "[profile.web]\nimage = \"a\"\naccounts = [{ name = \"ann\", uid = 1 }]\n",
            "slipway.toml:1: profile web: accounts: ann: this uid belongs to the system",
        ),
        (
            "[profile.web]\nimage = \"a\"\ndisk = { transport = \"floppy\" }\n",
            "profile web: disk: unknown transport; known are sata",
        ),
        (
            "[profile.web]\nimage = \"a\"\nhostname = \"{serial}.lab_1\"\n",
            "profile web: hostname: \"s.lab_1\" is not a host name",
        ),
        (
            "[profile.web]\nimage = \"a\"\nnetwork = [{ addresses = [\"10.0.0.7\"] }]\n",
            "profile web: network: \"10.0.0.7\" is not an address with prefix length",
        ),
        (
            &format!(
                "[profile.web]\nimage = \"a\"\nkernel_args = [\"a={}\"]\n",
                "x".repeat(1780)
            ),
            "profile web: kernel_args: ",
        ),
        // Bonds and VLANs are not supported yet (issue 14); refuse them here, not after the installation.
        (
            include_str!("../../../tests/cases/13-bond-and-vlan/bond.toml"),
            "unknown field `bond`",
        ),
        (
            include_str!("../../../tests/cases/13-bond-and-vlan/vlan.toml"),
            "unknown field `vlan`",
        ),
        (
            "[boot]\nticket_seconds = 5\n",
            "slipway.toml:2: ticket_seconds = 5 must be between",
        ),
        ("[api]\nnames = [\"a b\"]\n", "slipway.toml:2: name \"a b\""),
    ];
    for (text, expected) in cases {
        let error = parse(text).err().unwrap_or_else(|| panic!("accepted: {text}"));
        assert!(
            error.contains("slipway.toml") && error.contains(expected),
            "{error:?} does not say {expected:?}"
        );
    }
}

/// The inputs of tests/cases/12-mac-spellings, and similar ones.
#[test]
fn duplicate_macs_and_subnets_are_refused() {
    let macs = include_str!("../../../tests/cases/12-mac-spellings/mac-same.toml");
    let overlap = include_str!("../../../tests/cases/12-mac-spellings/overlap.toml");
    let network =
        |name: &str, rest: &str| format!("[[network]]\nname = \"{name}\"\nserver = \"10.77.0.1\"\n{rest}\n");
    let v6 = |name: &str, subnet: &str, prefix: &str| {
        let v6 = format!("[network.v6]\nserver = \"fd00:7::1\"\nprefix = \"{prefix}\"");
        network(name, &format!("subnet = \"{subnet}\"\n{v6}"))
    };
    let both = |a: &str, b: &str| {
        let reservations = format!("{{ \"{a}\" = \"10.77.0.10\", \"{b}\" = \"10.77.0.11\" }}");
        network(
            "a",
            &format!("subnet = \"10.77.0.0/24\"\nreservations = {reservations}"),
        )
    };
    let cases: [(String, &[&str]); 9] = [
        (
            macs.to_owned(),
            &[
                "line 8",
                "\"AA-BB-CC-DD-EE-FF\" (10.77.0.10)",
                "\"aa:bb:cc:dd:ee:ff\" (10.77.0.11)",
            ],
        ),
        (
            overlap.to_owned(),
            &[
                "toml:9:",
                "networks rack-1 (10.77.0.0/24) and r2 (10.77.0.0/25) have overlapping subnets",
            ],
        ),
        (
            both("AABB.CCDD.EEFF", "aabbccddeeff"),
            &["\"AABB.CCDD.EEFF\"", "\"aabbccddeeff\""],
        ),
        (
            both("AA:BB:CC:DD:EE:FF", "aa:bb:cc:dd:ee:ff"),
            &["are the same MAC"],
        ),
        (
            both("aabb.ccdd", "aa:bb:cc:dd:ee:ff"),
            &["\"aabb.ccdd\" is not a MAC address"],
        ),
        (
            network("a", "subnet = \"10.77.0.0/25\"") + &network("b", "subnet = \"10.77.0.0/16\""),
            &["networks a (10.77.0.0/25) and b (10.77.0.0/16) have overlapping subnets"],
        ),
        (
            network("a", "subnet = \"10.77.0.0/24\"") + &network("a", "subnet = \"10.78.0.0/24\""),
            &["networks a (10.77.0.0/24) and a (10.78.0.0/24) have the same name"],
        ),
        (
            v6("a", "10.77.0.0/24", "fd00:7::/64") + &v6("b", "10.78.0.0/24", "fd00:7::/48"),
            &[
                "a (10.77.0.0/24, fd00:7::/64) and b (10.78.0.0/24, fd00:7::/48) have overlapping IPv6 prefixes",
            ],
        ),
        (
            v6("a", "10.77.0.0/24", "fd00:7::/64")
                + "reservations = { \"02-00-00-00-00-01\" = \"fd00:7::a\", \"0200.0000.0001\" = \"fd00:7::b\" }",
            &[
                "\"02-00-00-00-00-01\" (fd00:7::a)",
                "\"0200.0000.0001\" (fd00:7::b)",
            ],
        ),
    ];
    for (text, expected) in cases {
        let error = parse(&text).err().unwrap_or_else(|| panic!("accepted: {text}"));
        for part in expected {
            assert!(error.contains(part), "{error:?} does not say {part:?}");
        }
    }
}

#[test]
fn what_a_network_gives_is_written_in_the_ways_people_write_it() {
    let text = |rest: &str| {
        let head = "[[network]]\nname = \"a\"\nserver = \"10.77.0.1\"\nsubnet = \"10.77.0.0/24\"\n";
        format!("{head}{rest}")
    };
    let config = parse(&text(
        r#"
router = ["10.77.0.254", "10.77.0.253"]
lease_seconds = 10
decline_seconds = 10
next_server = "10.9.9.9"
ipv6_only_seconds = 1800
reservations = { "5254.0012.3456" = "10.77.0.10" }

[[network.class]]
name = "phones"
match = { vendor_class = "AASTRA*", mac = "0008.5D*" }
router = "10.77.0.250"
options = [{ code = 66, text = "10.77.0.8" }]
"#,
    ))
    .unwrap();
    let settings = config.networks[0].settings();
    assert_eq!(settings.routers.len(), 2);
    assert_eq!(settings.classes[0].matches.mac.as_deref(), Some("0008.5D*"));
    let again = parse(&config.checked_form()).unwrap();
    assert_eq!(again.networks, config.networks);
    let one = parse(&text("router = \"10.77.0.254\"")).unwrap();
    assert_eq!(one.networks[0].settings().routers.len(), 1);
    for (wrong, expected) in [
        ("router = 7", "an address or a list of addresses"),
        (
            "router = [\"10.77.0.254\", \"x\"]",
            "an address or a list of addresses",
        ),
        (
            "router = \"10.78.0.254\"",
            "router 10.78.0.254 is not a host of 10.77.0.0/24",
        ),
        (
            "lease_seconds = 9",
            "lease_seconds = 9 must be between 10 and 2592000",
        ),
        ("decline_seconds = 0", "decline_seconds = 0 must be between 1 and"),
        (
            "next_server = \"0.0.0.0\"",
            "next_server 0.0.0.0 is not a host address",
        ),
        ("next_server = \"tftp.example\"", "invalid IPv4 address"),
        (
            "ipv6_only_seconds = 10",
            "ipv6_only_seconds = 10 must be between 300",
        ),
        (
            "[[network.class]]\nname = \"a\"",
            "network a, class a: `match` is empty",
        ),
        (
            "[[network.class]]\nname = \"a\"\nmatch = { vendor = \"x\" }",
            "unknown field `vendor`",
        ),
        (
            "[[network.class]]\nname = \"a\"\nmatch = { circuit_id = \"0x1\" }",
            "circuit_id = \"0x1\" is not hexadecimal",
        ),
        (
            "[[network.class]]\nname = \"a\"\nmatch = { mac = \"xx*\" }",
            "mac = \"xx*\" is neither a MAC address nor",
        ),
    ] {
        let error = parse(&text(wrong))
            .err()
            .unwrap_or_else(|| panic!("accepted: {wrong}"));
        assert!(error.contains(expected), "{error:?} does not say {expected:?}");
    }
}

#[test]
fn the_checked_form_has_no_password_hash() {
    let config = parse(
        "[profile.web]\nimage = \"debian-12\"\n[[profile.web.accounts]]\nname = \"alice\"\npassword_hash = \"$y$secret\"\n",
    )
    .unwrap();
    let form = config.checked_form();
    assert!(form.contains("alice") && !form.contains("secret"), "{form}");
    assert_eq!(
        config.profiles["web"].accounts[0].password_hash.as_deref(),
        Some("$y$secret")
    );
}

/// The inputs of tests/cases/14-console-by-machine.
#[test]
fn kernel_arguments_by_network_and_by_rule() {
    let console = ["console=ttyS1,115200"];
    let by_network = parse(include_str!(
        "../../../tests/cases/14-console-by-machine/console-net.toml"
    ))
    .unwrap();
    assert_eq!(by_network.networks[0].settings().kernel_args, console);
    let by_rule = parse(include_str!(
        "../../../tests/cases/14-console-by-machine/console-rule.toml"
    ))
    .unwrap();
    assert_eq!(by_rule.policy.rules[0].kernel_args, console);
    for config in [&by_network, &by_rule] {
        let form = config.checked_form();
        assert_eq!(parse(&form).unwrap().checked_form(), form);
    }
    let network = "[[network]]\nname = \"n\"\nserver = \"10.0.0.1\"\nsubnet = \"10.0.0.0/24\"\nkernel_args = [\"a b\"]\n";
    let error = parse(network).unwrap_err();
    assert!(
        error.contains("slipway.toml:1: network n: kernel_args: kernel argument number 0"),
        "{error}"
    );
    let rule =
        "[[rule]]\nname = \"r\"\nmatch = { product = \"x\" }\naction = \"hold\"\nkernel_args = [\"$x\"]\n";
    let error = parse(rule).unwrap_err();
    assert!(
        error.contains("slipway.toml:1: rule r: kernel_args: kernel argument number 0"),
        "{error}"
    );
}

/// S5: a rule is reported if it gives password hashes or scripts to any machine that claims to match. With
/// the default policy no rule does.
#[test]
fn a_rule_that_gives_secrets_away_is_named() {
    let text = |deploy: &str, matches: &str, profile: &str| {
        format!(
            "[policy]\ndeploy = \"{deploy}\"\n[[rule]]\nname = \"r\"\nmatch = {{ {matches} }}\naction = \"deploy\"\nprofile = \"web\"\n\
             [profile.web]\nimage = \"debian-12\"\n{profile}"
        )
    };
    let any = "any-machine-that-says-so";
    let (maker, script) = (
        "manufacturer = \"Dell*\"",
        "[[profile.web.scripts]]\nname = \"s\"\ncontent = \"#!/bin/sh\\n\"\nrun = \"first-boot\"\n",
    );
    for (deploy, matches, profile, risks) in [
        (any, maker, script, 1),
        (
            any,
            maker,
            "[[profile.web.accounts]]\nname = \"a\"\npassword_hash = \"$y$j9T$x$y\"\n",
            1,
        ),
        (any, maker, "", 0),
        (any, "serial = \"SN1\"", script, 0),
        (any, "serial = \"SN*\"", script, 1),
        (any, "mac = \"52:54:00:00:00:01\"", script, 0),
        ("expected-only", maker, script, 0),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slipway.toml");
        std::fs::write(&path, text(deploy, matches, profile)).unwrap();
        let said = Config::load(&path).unwrap().risks();
        assert_eq!(said.len(), risks, "{deploy} {matches} {profile}: {said:?}");
        assert!(
            said.iter()
                .all(|s| s.contains("expected-only") && s.contains("\"r\"")),
            "{said:?}"
        );
    }
}
