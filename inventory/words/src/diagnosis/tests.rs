//! Each kind of fault has a sentence that names it and says what to do.

use inventory_api::boot::{ConnectionEnd, DhcpFacts, TftpEnd};
use inventory_api::machine::MachineStatus;
use inventory_api::network::{Missing, NetworkState, QuarantinedAddress, Sender, SilenceCount};

use super::*;

mod table;

const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const PORTS: Ports = Ports {
    tftp: 69,
    http: 8067,
    api: 8443,
};

fn network() -> NetworkStatus {
    NetworkStatus {
        name: "lab".into(),
        server: [10, 77, 0, 1].into(),
        subnet: "10.77.0.0/24".into(),
        mode: "server".into(),
        state: NetworkState::Serving,
        watched: true,
        pool: 10,
        held: 10,
        bound: 9,
        quarantined: 1,
        quarantined_addresses: vec![QuarantinedAddress {
            address: [10, 77, 0, 105].into(),
            mac: Mac([2, 0, 0, 0, 0, 9]),
            until: UnixMs(9_000_000),
        }],
        strangers: 8,
        strangers_most: Some(8),
        reservations: Vec::new(),
        servers: Vec::new(),
        silences: Vec::new(),
        events: Vec::new(),
        heard_at: Some(UnixMs(0)),
        visitors: Vec::new(),
        missing: Vec::new(),
        v6: None,
    }
}

fn other(gives: Gives, file: Option<&str>) -> OtherServer {
    OtherServer {
        address: "10.77.0.2".parse().unwrap(),
        mac: Mac([2, 0, 0, 0, 0, 2]),
        gives,
        boot_file: file.map(str::to_owned),
        first_seen: UnixMs(0),
        last_seen: UnixMs(0),
    }
}

fn event(what: BootEventKind) -> BootEvent {
    BootEvent {
        at: UnixMs(0),
        mac: MAC,
        ip: Some("10.77.0.104".parse().unwrap()),
        network: Some("lab".into()),
        what,
    }
}

fn dhcp(
    message: &str,
    client: &str,
    answer: &str,
    file: Option<&str>,
    change: impl FnOnce(&mut DhcpFacts),
) -> BootEvent {
    let mut facts = DhcpFacts::default();
    change(&mut facts);
    event(BootEventKind::Dhcp {
        message: message.into(),
        client: client.into(),
        answer: answer.into(),
        boot_file: file.map(str::to_owned),
        facts,
    })
}

fn offer() -> BootEvent {
    dhcp("discover", "bios", "offer", Some("undionly.kpxe"), |_| {})
}

fn ack() -> BootEvent {
    dhcp("request", "bios", "ack", Some("undionly.kpxe"), |_| {})
}

fn refused(answer: &str) -> BootEvent {
    dhcp("discover", "bios", answer, None, |_| {})
}

fn tftp(file: &str, bytes: u64, end: TftpEnd) -> BootEvent {
    event(BootEventKind::Tftp {
        file: file.into(),
        bytes,
        complete: end == TftpEnd::Complete,
        end,
        block: Some(1468),
    })
}

fn http(path: &str, status: u16, partial: bool) -> BootEvent {
    event(BootEventKind::Http {
        path: path.into(),
        bytes: 70_000,
        status,
        head: false,
        partial,
    })
}

fn head(path: &str, status: u16) -> BootEvent {
    event(BootEventKind::Http {
        path: path.into(),
        bytes: 0,
        status,
        head: true,
        partial: false,
    })
}

fn agent(asked: &str, status: u16, code: Option<&str>) -> BootEvent {
    event(BootEventKind::Agent {
        asked: asked.into(),
        status,
        code: code.map(str::to_owned),
        detail: code.map(|_| "boot the machine again".to_owned()),
    })
}

fn broken(port: u16, end: ConnectionEnd) -> BootEvent {
    event(BootEventKind::Connection {
        port,
        end,
        detail: None,
    })
}

fn script(target: BootTarget) -> BootEvent {
    event(BootEventKind::Script { target })
}

const MINI_OS: BootTarget = BootTarget::MiniOs {
    purpose: Purpose::Commission,
};

fn said_of(
    events: &[BootEvent],
    networks: &[NetworkStatus],
    machine: Option<&MachineSummary>,
    now: i64,
) -> (Stage, String) {
    let told = diagnose(&Facts {
        mac: MAC,
        guid: None,
        events,
        running: &[],
        machine,
        networks,
        near: &[],
        loaders: None,
        ports: PORTS,
        now: UnixMs(now),
    });
    (told.stage, told.text())
}

fn machine(state: &str) -> MachineSummary {
    MachineSummary {
        id: "m-1".parse().unwrap(),
        macs: vec![MAC],
        model: None,
        serial: None,
        hostname: None,
        ip: None,
        status: MachineStatus {
            state: state.into(),
            phase: None,
            sentence: "Its state in words.".into(),
            reason: None,
            since: UnixMs(0),
            deadline: None,
            step: None,
            verbs: Vec::new(),
        },
        last_seen: None,
        enrolled_at: UnixMs(0),
        folded_into: None,
        conflicts_with: Vec::new(),
        reported_macs: vec![],
        held: None,
        verdict: None,
    }
}

#[test]
fn the_diagnosis_names_the_servers_that_were_heard() {
    let proxy = |servers: Vec<OtherServer>| NetworkStatus {
        mode: "proxy".into(),
        servers,
        ..network()
    };
    let mut boot_data = offer();
    boot_data.ip = None;
    let (_, text) = said_of(&[boot_data.clone()], &[proxy(vec![])], None, 100_000);
    assert!(
        text.contains("no DHCP server that gives addresses is heard in network lab"),
        "{text}"
    );
    let (_, text) = said_of(
        &[boot_data.clone()],
        &[proxy(vec![other(Gives::Addresses, None)])],
        None,
        100_000,
    );
    assert!(text.contains("it took no address from 10.77.0.2"), "{text}");
    let chosen = dhcp("request", "uefi-x64", "address-server", None, |facts| {
        facts.server = Some("10.77.0.2".parse().unwrap());
        facts.wants = Some("10.77.0.55".parse().unwrap());
    });
    let (stage, text) = said_of(
        &[boot_data, chosen],
        &[proxy(vec![other(Gives::Addresses, None)])],
        None,
        100_000,
    );
    let all = [
        "10.77.0.55 from 10.77.0.2",
        "undionly.kpxe",
        "UDP port 69",
        "4011",
    ];
    assert!(
        stage == Stage::Addressed && all.iter().all(|fact| text.contains(fact)),
        "{text}"
    );
    // A second server with addresses, or with boot data.
    let with = |server| NetworkStatus {
        servers: vec![server],
        ..network()
    };
    let (_, text) = said_of(&[offer()], &[with(other(Gives::Addresses, None))], None, 100_000);
    assert!(
        text.contains("another DHCP server, 10.77.0.2 (02:00:00:00:00:02)"),
        "{text}"
    );
    let (_, text) = said_of(
        &[ack()],
        &[with(other(Gives::Addresses, Some("pxelinux.0")))],
        None,
        100_000,
    );
    assert!(
        text.contains("another PXE server, 10.77.0.2") && text.contains("pxelinux.0"),
        "{text}"
    );
}

/// Only until the machine has its script, and only if it concerns the machine.
#[test]
fn what_is_missing_is_told_to_the_machines_that_lack_it() {
    let missing = |architecture: Option<&str>| Missing {
        sentence: format!("Nothing for {}.", architecture.unwrap_or("all")),
        architecture: architecture.map(str::to_owned),
    };
    let lacking = NetworkStatus {
        missing: [Some("x86-64"), Some("arm64"), None].map(missing).to_vec(),
        ..network()
    };
    let asks = |client: &str| dhcp("discover", client, "offer", None, |_| {});
    let said = |events: &[BootEvent], machine: Option<&MachineSummary>| {
        let (_, text) = said_of(events, std::slice::from_ref(&lacking), machine, 100_000);
        ["x86-64", "arm64", "all"].map(|word| text.contains(&format!("Nothing for {word}.")))
    };
    for (events, told) in [
        (vec![], [true, false, true]),
        (vec![offer()], [true, false, true]),
        (vec![asks("uefi-x64-http")], [true, false, true]),
        (vec![asks("uefi-arm64")], [false, true, true]),
        (vec![asks("uefi-arm64"), asks("ipxe")], [false, true, true]),
        (vec![asks("ipxe")], [true, false, true]),
        (vec![asks("s390x")], [false, false, true]),
        (vec![asks("onie")], [false, false, true]),
        (vec![script(MINI_OS)], [false, false, false]),
    ] {
        assert_eq!(said(&events, None), told, "{events:?}");
    }
    assert_eq!(said(&[offer()], Some(&machine("retired"))), [false, false, false]);
}

#[test]
fn the_most_informative_attempt_is_shown() {
    let at = |mut event: BootEvent, at: i64| {
        event.at = UnixMs(at);
        event
    };
    // TFTP is filtered, and the firmware starts over.
    let events = [offer(), ack(), at(offer(), 60_000)];
    let (stage, text) = said_of(&events, &[network()], None, 62_000);
    assert!(
        stage == Stage::Addressed
            && text.contains("It is starting over now; the last time: ")
            && text.contains("UDP port 69"),
        "{text}"
    );
    let (stage, _) = said_of(&events, &[network()], None, 200_000);
    assert_eq!(stage, Stage::Offered, "it does not take offers any more");
    // The operating system's DHCP does not hide that the machine booted its disk.
    let system = dhcp("request", "system", "ack", None, |f| {
        f.who = Some("an operating system (Linux, dhclient)".into())
    });
    let (stage, text) = said_of(&[script(BootTarget::LocalDisk), system], &[network()], None, 5000);
    assert!(
        stage == Stage::Disk && text.contains("boots its own disk") && text.contains("dhclient"),
        "{text}"
    );
    // The agent is up: earlier events no longer matter.
    let mut up = machine("ready");
    up.last_seen = Some(UnixMs(90_000));
    let (stage, text) = said_of(&[ack()], &[network()], Some(&up), 100_000);
    assert!(
        stage == Stage::Agent && text.ends_with("heard 10 s ago. Its state in words."),
        "{text}"
    );
}

#[test]
fn machines_that_are_left_alone_or_wait_are_said_to() {
    for state in ["quarantined", "retired"] {
        let (_, text) = said_of(&[refused("ignored")], &[network()], Some(&machine(state)), 1000);
        assert!(
            text.contains(&format!("It is {state}")) && text.contains("slipway machine show"),
            "{text}"
        );
    }
    let (_, text) = said_of(
        &[script(BootTarget::LocalDisk)],
        &[network()],
        Some(&machine("new")),
        1000,
    );
    assert!(
        text.contains("slipway machine commission 02:00:00:00:00:01"),
        "{text}"
    );
    let (_, text) = said_of(
        &[http("/boot.ipxe", 404, false)],
        &[network()],
        Some(&machine("retired")),
        1000,
    );
    assert!(text.contains("It is retired"), "{text}");
}

#[test]
fn transfers_under_way_are_told_with_what_arrived() {
    let one = RunningTransfer {
        ip: "10.77.0.104".parse().unwrap(),
        file: "/boot/initramfs".into(),
        by: "HTTP".into(),
        bytes: 1_000_000,
        of: 30_000_000,
        begun: UnixMs(1000),
        moved: UnixMs(2000),
    };
    for (now, fact) in [
        (
            4000,
            "It has been loading /boot/initramfs by HTTP for 3 s: 1000000 of 30000000 bytes have arrived.",
        ),
        (40_000, "none for 38 s"),
    ] {
        let events = [script(MINI_OS)];
        let text = diagnose(&Facts {
            mac: MAC,
            guid: None,
            events: &events,
            running: std::slice::from_ref(&one),
            machine: None,
            networks: &[network()],
            near: &[],
            loaders: None,
            ports: PORTS,
            now: UnixMs(now),
        })
        .text();
        assert!(
            text.contains("/boot/initramfs by HTTP") && text.contains(fact),
            "{text}"
        );
    }
}

#[test]
fn a_rescue_is_told_by_who_chose_it() {
    let rescue = BootTarget::MiniOs {
        purpose: Purpose::Rescue,
    };
    let (_, text) = said_of(&[script(rescue)], &[network()], None, 9000);
    assert!(
        text.starts_with("It was given the rescue system 9 s ago, as somebody at its console chose."),
        "{text}"
    );
}

#[test]
fn twins_are_told_by_their_uuids() {
    let with = |uuid: &'static str| {
        dhcp("discover", "bios", "offer", None, move |f| {
            f.uuid = Some(uuid.into())
        })
    };
    let (a, b) = (
        "00112233-4455-6677-8899-aabbccddeeff",
        "10112233-4455-6677-8899-aabbccddeeff",
    );
    let (_, text) = said_of(&[with(a), with(b), with(a)], &[network()], None, 1000);
    assert!(
        text.contains("Two machines ask with this MAC") && text.contains(a) && text.contains(b),
        "{text}"
    );
    let (_, text) = said_of(
        &[with(a), with("33221100-5544-7766-8899-aabbccddeeff")],
        &[network()],
        None,
        1000,
    );
    assert!(
        !text.contains("Two machines"),
        "the same in another byte order: {text}"
    );
}

/// `shared/cases/07-infiniband-unheard`.
#[test]
fn infiniband_is_told_by_guid_and_by_the_mac_in_it() {
    let guid: Guid = "b8:ce:f6:03:00:31:33:3e".parse().unwrap();
    let silenced = |sender: Sender| NetworkStatus {
        silences: vec![SilenceCount {
            reason: "hardware-type".into(),
            count: 1,
            last: UnixMs(0),
            senders: vec![sender],
        }],
        ..network()
    };
    let base = Sender {
        hardware_type: 32,
        ..Sender::default()
    };
    let by_id = Sender {
        guid: Some(guid),
        client_id: Some("ff:00".into()),
        ..base.clone()
    };
    let by_address = Sender {
        hardware_len: 6,
        address: Some("b8:ce:f6:31:33:3e".into()),
        ..base
    };
    for sender in [by_id, by_address] {
        for asked in [Some(guid), None] {
            let networks = [silenced(sender.clone())];
            let text = diagnose(&Facts {
                mac: guid.mac(),
                guid: asked,
                events: &[],
                running: &[],
                machine: None,
                networks: &networks,
                near: &[],
                loaders: None,
                ports: PORTS,
                now: UnixMs(1000),
            })
            .text();
            let says = "Slipway boots by Ethernet only: set the port to Ethernet";
            assert!(
                text.contains("It asks by InfiniBand (hardware type 32") && text.contains(says),
                "{text}"
            );
        }
    }
    let (_, text) = said_of(&[], &[silenced(Sender::default())], None, 1000);
    assert!(text.contains("Nothing was ever heard"), "another one's: {text}");
}

#[test]
fn every_code_of_a_silence_has_a_sentence() {
    for reason in netboot_protocol::Unanswered::ALL {
        let (_, text) = said_of(&[refused(reason.code())], &[network()], None, 1000);
        assert!(
            !text.contains(&format!(": {}.", reason.code())) && text.len() > 40,
            "{text}"
        );
    }
}
