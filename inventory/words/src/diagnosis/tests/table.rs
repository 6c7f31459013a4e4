//! The sentence for each kind of last event.

use super::*;

#[test]
fn each_fault_has_its_sentence() {
    let wants = |ip: &'static str| move |facts: &mut DhcpFacts| facts.wants = Some(ip.parse().unwrap());
    let relay = |facts: &mut DhcpFacts| facts.relay = Some("10.88.0.1".parse().unwrap());
    let elsewhere = |facts: &mut DhcpFacts| {
        facts.server = Some("10.77.0.2".parse().unwrap());
        facts.wants = Some("10.77.0.55".parse().unwrap());
    };
    let loaded = || tftp("undionly.kpxe", 70_000, TftpEnd::Complete);
    let arch = |number| move |facts: &mut DhcpFacts| facts.architecture = Some(number);
    use Stage::*;
    let rows: Vec<(Vec<BootEvent>, Stage, &[&str])> = vec![
        (
            vec![],
            Unheard,
            &[
                "Nothing was ever heard from 02:00:00:00:00:01",
                "10.77.0.1",
                "10.77.0.0/24",
                "spanning tree",
            ],
        ),
        (
            vec![offer()],
            Offered,
            &[
                "was offered the address 10.77.0.104 by 10.77.0.1",
                "has not taken it",
                "DHCP snooping",
            ],
        ),
        (
            vec![offer(); 3],
            Offered,
            &["3 times in a row", "spanning tree", "10.77.0.1"],
        ),
        (
            vec![dhcp("discover", "bios", "offer", None, relay)],
            Offered,
            &["relay 10.88.0.1", "UDP port 67", "way back"],
        ),
        (
            vec![offer(), ack()],
            Addressed,
            &[
                "has the address 10.77.0.104",
                "load undionly.kpxe",
                "UDP port 69 of 10.77.0.1",
                "filtered",
            ],
        ),
        (
            vec![dhcp(
                "request",
                "ipxe",
                "ack",
                Some("http://10.77.0.1:8067/boot.ipxe?mac=x"),
                |_| {},
            )],
            Loaded,
            &["iPXE runs", "TCP port 8067 of 10.77.0.1"],
        ),
        (
            vec![dhcp("request", "bios", "nak", None, wants("10.88.0.17"))],
            Asks,
            &["10.88.0.17", "NAK", "10.77.0.0/24"],
        ),
        (
            vec![refused("pool-exhausted")],
            Asks,
            &["no address is left", "lab (10 of 10", "pools", "lease_seconds"],
        ),
        (
            vec![refused("kept-for-known")],
            Asks,
            &[
                "8 of at most 8",
                "unknown_share",
                "slipway network reserve lab 02:00:00:00:00:01",
            ],
        ),
        (
            vec![refused("address-in-use")],
            Asks,
            &[
                "10.77.0.105 by 02:00:00:00:00:09",
                "slipway network unquarantine lab",
            ],
        ),
        (
            vec![refused("too-many")],
            Asks,
            &["more than 20 messages a second", "loop"],
        ),
        (
            vec![refused("foreign-server")],
            Asks,
            &["another DHCP server", "mode = \"proxy\"", "on_foreign_server"],
        ),
        (vec![refused("ignored")], Asks, &["server's log", "df"]),
        (
            vec![refused("journal-failed")],
            Asks,
            &["lease journal", "disk full"],
        ),
        (vec![refused("looking-for-servers")], Asks, &["look_seconds"]),
        (
            vec![refused("would-offer")],
            Asks,
            &["only observed", "mode = \"server\" in [[network]] lab"],
        ),
        (
            vec![refused("would-not: pool-exhausted")],
            Asks,
            &["only observed", "no address is left"],
        ),
        (
            vec![dhcp("request", "bios", "other-server", None, elsewhere)],
            Asks,
            &[
                "took 10.77.0.55 from the DHCP server 10.77.0.2",
                "mode = \"proxy\"",
            ],
        ),
        (
            vec![dhcp(
                "request",
                "bios",
                "unknown-binding",
                None,
                wants("10.9.0.5"),
            )],
            Asks,
            &["10.9.0.5", "did not give"],
        ),
        (
            vec![dhcp("decline", "bios", "declined", None, wants("10.77.0.104"))],
            Asks,
            &["declined 10.77.0.104", "somebody else uses"],
        ),
        (
            vec![dhcp("discover", "bios", "unknown-relay", None, relay)],
            Asks,
            &["relay 10.88.0.1", "add a [[network]]"],
        ),
        (
            vec![dhcp("request", "s390x", "ack", None, arch(32))],
            Addressed,
            &["s390x", "client architecture 32", "there is no mini-os"],
        ),
        (
            vec![dhcp("request", "other-firmware", "ack", None, arch(77))],
            Addressed,
            &["client architecture 77", "IANA"],
        ),
        (
            vec![dhcp("request", "raspberry-pi", "ack", None, |_| {})],
            Addressed,
            &["the Raspberry Pi's own boot loader", "put UEFI firmware"],
        ),
        (
            vec![dhcp(
                "solicit",
                "uefi-x64-v6",
                "advertise: no-address",
                None,
                |_| {},
            )],
            Asks,
            &["no IPv6 address is left", "[network.v6] of lab"],
        ),
        (
            vec![dhcp("request", "uefi-ia32-v6", "reply", None, |_| {})],
            Addressed,
            &["32-bit x86 UEFI", "set the firmware to 64-bit"],
        ),
        (
            vec![dhcp("discover", "onie", "offer", None, |f| {
                f.who = Some("a switch in ONIE".into())
            })],
            Offered,
            &["a switch in ONIE", "does not install switches"],
        ),
        (
            vec![dhcp("request", "petitboot", "ack", None, |f| {
                f.who = Some("OpenPOWER petitboot".into())
            })],
            Addressed,
            &["OpenPOWER petitboot is not supported"],
        ),
        (
            vec![dhcp("request", "system", "ack", None, |f| {
                f.who = Some("an operating system (Windows)".into())
            })],
            Addressed,
            &["Windows", "10.77.0.104", "network boot first"],
        ),
        (
            vec![ack(), tftp("pxelinux.0", 0, TftpEnd::NotFound)],
            Loader,
            &[
                "asked 10.77.0.1 for pxelinux.0",
                "does not name",
                "option 67",
                "undionly.kpxe",
            ],
        ),
        (
            vec![ack(), tftp("undionly.kpxe", 0, TftpEnd::NotFound)],
            Loader,
            &["lacks that loader", "[boot] loaders"],
        ),
        (
            vec![ack(), tftp("undionly.kpxe", 0, TftpEnd::Failed)],
            Loader,
            &["asked 10.77.0.1 for undionly.kpxe", "could not send it", "log"],
        ),
        (
            vec![ack(), tftp("undionly.kpxe", 0, TftpEnd::NeverAnswered)],
            Loader,
            &["acknowledged nothing", "tftp_single_port", "undionly.kpxe"],
        ),
        (
            vec![ack(), tftp("undionly.kpxe", 0, TftpEnd::Silent)],
            Loader,
            &["of 1468 bytes", "MTU", "tftp_blksize_max = 1024", "lab"],
        ),
        (
            vec![ack(), tftp("undionly.kpxe", 40_000, TftpEnd::Silent)],
            Loader,
            &["broke off undionly.kpxe after 40000 bytes", "10.77.0.1"],
        ),
        (
            vec![ack(), tftp("undionly.kpxe", 0, TftpEnd::SizeAsked)],
            Loader,
            &["has asked how long that is"],
        ),
        (
            vec![ack(), loaded()],
            Loaded,
            &["It loaded undionly.kpxe", "TCP port 8067", "Secure Boot"],
        ),
        (
            vec![
                ack(),
                loaded(),
                tftp("grub/x86_64-efi/fs.lst", 0, TftpEnd::NotFound),
            ],
            Loaded,
            &["It loaded undionly.kpxe"],
        ),
        (
            vec![tftp("grubx64.efi", 9, TftpEnd::Complete)],
            Loaded,
            &["grub/grub.cfg", "Debian 12's GRUB asks that one"],
        ),
        (
            vec![tftp("autoexec.ipxe", 9, TftpEnd::Complete)],
            Loaded,
            &["iPXE runs", "TCP port 8067"],
        ),
        (
            vec![broken(8067, ConnectionEnd::Closed)],
            Addressed,
            &["10.77.0.104", "TCP port 8067", "no request came"],
        ),
        (
            vec![http("/boot/snponly.efi", 200, true)],
            Loader,
            &["/boot/snponly.efi", "broke off", "after 70000 bytes"],
        ),
        (
            vec![ack(), head("/boot/snponly.efi", 200)],
            Loader,
            &["load undionly.kpxe", "has asked how long that is"],
        ),
        (
            vec![ack(), head("/boot/snponly.efi", 404)],
            Loader,
            &["lacks that loader"],
        ),
        (
            vec![script(MINI_OS)],
            Script,
            &[
                "given the boot script",
                "has not asked for its kernel",
                "10.77.0.1",
                "8067",
            ],
        ),
        (
            vec![script(MINI_OS), http("/boot.ipxe", 200, false)],
            Script,
            &["/boot.ipxe", "its kernel comes next"],
        ),
        (
            vec![script(BootTarget::LocalDisk)],
            Disk,
            &["told to boot its own disk"],
        ),
        (
            vec![http("/boot/kernel", 200, true)],
            Kernel,
            &["/boot/kernel", "broke off"],
        ),
        (
            vec![http("/boot/kernel", 500, false)],
            Kernel,
            &["cannot read that file", "slipway mini-os build"],
        ),
        (
            vec![http("/boot/kernel", 404, false)],
            Kernel,
            &["no mini-os", "slipway mini-os build"],
        ),
        (
            vec![http("/boot/arm64/kernel", 404, false)],
            Kernel,
            &["--arch arm64"],
        ),
        (
            vec![http("/boot.ipxe", 503, false)],
            Loaded,
            &["could not be made", "disk full"],
        ),
        (
            vec![http("/boot.ipxe", 403, false)],
            Loaded,
            &["10.77.0.104", "does not hold this machine's lease"],
        ),
        (
            vec![http("/boot/kernel", 200, false)],
            Kernel,
            &["archives behind it", "too little memory"],
        ),
        (
            vec![http("/boot/site", 200, false)],
            MiniOs,
            &["the mini-os starts next", "no driver for its NIC"],
        ),
        (
            vec![http("/boot/mini-os.efi", 200, false)],
            Kernel,
            &["does not trust the key"],
        ),
        (
            vec![
                http("/boot/site", 200, false),
                dhcp("request", "slipway", "ack", None, |_| {}),
            ],
            MiniOs,
            &[
                "The mini-os runs and has the address 10.77.0.104",
                "https://10.77.0.1:8443",
                "TCP port 8443",
            ],
        ),
        (
            vec![broken(8443, ConnectionEnd::Clock)],
            Addressed,
            &["breaks off TLS to 10.77.0.1:8443", "clock is wrong"],
        ),
        (
            vec![broken(8443, ConnectionEnd::Authority)],
            Addressed,
            &["does not know our authority", "boot it again"],
        ),
        (
            vec![broken(8443, ConnectionEnd::Closed)],
            Addressed,
            &["10.77.0.1:8443", "TLS was not completed", "MTU"],
        ),
        (
            vec![agent("claim", 403, Some("ticket-expired"))],
            Agent,
            &[
                "its claim was refused",
                "ticket-expired",
                "boot the machine again.",
            ],
        ),
        (
            vec![agent("claim", 200, None), agent("report", 413, Some("too-large"))],
            Agent,
            &["its report was refused", "413, too-large"],
        ),
        (
            vec![agent("claim", 200, None)],
            Agent,
            &["claimed its boot ticket 100 s ago", "report has not come", "8443"],
        ),
        (
            vec![agent("claim", 200, None), agent("report", 200, None)],
            Agent,
            &["It came up: its agent was heard 100 s ago"],
        ),
    ];
    let mut wrong = Vec::new();
    for (events, stage, expected) in rows {
        let (at, text) = said_of(&events, &[network()], None, 100_000);
        let lacks: Vec<_> = expected.iter().filter(|fact| !text.contains(**fact)).collect();
        if !lacks.is_empty() || at != stage || text.contains("  ") || text.contains("..") {
            wrong.push(format!("{text:?} ({at:?}, not {stage:?}) lacks {lacks:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
