//! Recognising machines: repairs, blades, clones, and the machines of the fixtures.

use std::collections::{BTreeMap, BTreeSet};

use inventory_api::report::{
    AssetReport, BmcFacts, BoardFacts, ChassisFacts, NicFacts, SystemFacts, TpmFacts,
};
use inventory_api::{Mac, MachineId, UnixMs};
use lifecycle::identity::{
    Candidate, Change, Field, Identity, Known, Recognition, Situation, Standing, Uuid, changed, compare,
    recognise, standing,
};
use proptest::prelude::*;

fn text(text: impl Into<String>) -> Option<String> {
    Some(text.into())
}

fn nic(n: u32) -> NicFacts {
    let [_, a, b, c] = n.to_be_bytes();
    NicFacts {
        name: format!("eth{n}"),
        mac: Some(Mac([0x9c, 0xb6, 0x54, a, b, c])),
        ..NicFacts::default()
    }
}

/// A server with all facts set; every fact depends on `n`.
fn server(n: u32) -> AssetReport {
    let maker = text("Supermicro");
    AssetReport {
        system: Some(SystemFacts {
            manufacturer: maker.clone(),
            serial: text(format!("S{n}X7A18{n}")),
            uuid: text(format!("a{n:07x}-1c2d-11ea-8000-ac1f6b{n:06x}")),
            ..SystemFacts::default()
        }),
        board: Some(BoardFacts {
            manufacturer: maker.clone(),
            serial: text(format!("ZM{n}59S0{n}")),
            ..BoardFacts::default()
        }),
        chassis: Some(ChassisFacts {
            manufacturer: maker,
            serial: text(format!("C8{n}5LG{n}H")),
            ..ChassisFacts::default()
        }),
        bmc: Some(BmcFacts {
            mac: Some(Mac([0x00, 0x25, 0x90, 1, 0, n as u8])),
            ..BmcFacts::default()
        }),
        tpm: Some(TpmFacts {
            endorsement_key_sha256: text(format!("{:064x}", n + 1)),
            ..TpmFacts::default()
        }),
        nics: vec![nic(10 * n), nic(10 * n + 1), nic(10 * n + 2)],
        ..AssetReport::default()
    }
}

fn id(n: u32) -> MachineId {
    format!("m-{n:012x}").parse().unwrap()
}

fn known(n: u32, report: &AssetReport) -> Known {
    Known {
        machine: id(n),
        identity: Identity::of(report),
        alive: false,
    }
}

fn seen(known: &[Known], report: &AssetReport) -> Recognition {
    recognise(known, &Identity::of(report))
}

/// Known as machine 1, with exactly these changes.
fn assert_same(after: &AssetReport, expected: &[Change]) {
    let known = [known(1, &server(1)), known(2, &server(2))];
    match seen(&known, after) {
        Recognition::Same { machine, changes, .. } => {
            assert_eq!((machine, changes.as_slice()), (id(1), expected));
        }
        other => panic!("{other:?}"),
    }
}

fn board_of(report: &mut AssetReport, other: &AssetReport) {
    report.board.clone_from(&other.board);
    report.bmc.clone_from(&other.bmc);
    report.tpm.clone_from(&other.tpm);
    report.system.as_mut().unwrap().uuid = other.system.as_ref().unwrap().uuid.clone();
}

#[test]
fn repairs_are_recognised_as_such() {
    let sound = server(1);
    assert_same(&sound, &[]);

    let mut swapped = sound.clone();
    swapped.nics = vec![nic(77)];
    let gone = vec![nic(10).mac.unwrap(), nic(11).mac.unwrap(), nic(12).mac.unwrap()];
    let came = vec![nic(77).mac.unwrap()];
    assert_same(&swapped, &[Change::Nics { gone, came }]);

    let mut flashed = sound.clone();
    flashed.system.as_mut().unwrap().uuid = text("5d0b2a10-77aa-4c1e-9d55-001122aabbcd");
    assert_same(&flashed, &[Change::Uuid]);

    let mut chassis = sound.clone();
    chassis.chassis.as_mut().unwrap().serial = text("C999LG99H");
    assert_same(&chassis, &[Change::Chassis]);
    chassis.system.as_mut().unwrap().serial = text("S999X7A18999");
    assert_same(&chassis, &[Change::Chassis]);

    let mut tpm = sound.clone();
    tpm.tpm = server(9).tpm;
    assert_same(&tpm, &[Change::Tpm]);

    // Another board with its UUID, BMC, TPM; system and chassis keep their numbers, one card stays.
    let mut board = sound.clone();
    board_of(&mut board, &server(9));
    assert_same(&board, &[Change::Board]);
    board.nics = vec![nic(10), nic(90), nic(91)];
    let gone = vec![nic(11).mac.unwrap(), nic(12).mac.unwrap()];
    let came = vec![nic(90).mac.unwrap(), nic(91).mac.unwrap()];
    assert_same(&board, &[Change::Board, Change::Nics { gone, came }]);
    // Only the case is left of it.
    board.nics = vec![nic(95)];
    let gone = vec![nic(10).mac.unwrap(), nic(11).mac.unwrap(), nic(12).mac.unwrap()];
    let came = vec![nic(95).mac.unwrap()];
    assert_same(&board, &[Change::Board, Change::Nics { gone, came }]);
}

#[test]
fn parts_of_other_machines_are_named() {
    let known = [known(1, &server(1)), known(2, &server(2))];
    // The board of machine 1 in the chassis of machine 2; the system serial is in the board's flash.
    let mut moved = server(1);
    moved.chassis = server(2).chassis;
    match seen(&known, &moved) {
        Recognition::Same {
            machine,
            changes,
            shares,
        } => {
            assert_eq!((machine, changes), (id(1), vec![Change::Chassis]));
            assert_eq!(shares.len(), 1);
            assert_eq!(
                (&shares[0].machine, shares[0].fields.as_slice()),
                (&id(2), &[Field::Chassis][..])
            );
        }
        other => panic!("{other:?}"),
    }
    // It also got the system serial of machine 2: now a user has to decide.
    moved.system.as_mut().unwrap().serial = server(2).system.unwrap().serial;
    assert_eq!(
        seen(&known, &moved),
        Recognition::Conflict {
            with: vec![id(1), id(2)]
        }
    );
    // A card that was in machine 1.
    let mut other = server(3);
    other.nics.push(nic(10));
    match seen(&known, &other) {
        Recognition::New { shares } => {
            assert_eq!(
                (&shares[0].machine, shares[0].fields.as_slice()),
                (&id(1), &[Field::Nics][..])
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_running_machines_are_not_merged() {
    let mut first = known(1, &server(1));
    first.alive = true;
    let alive = [first, known(2, &server(2))];
    let mut clone = server(1);
    clone.nics = vec![nic(50)];
    assert_eq!(seen(&alive, &clone), Recognition::Conflict { with: vec![id(1)] });
    assert_eq!(
        seen(&alive, &server(1)),
        Recognition::Conflict { with: vec![id(1)] }
    );
    // Nodes of one enclosure with the enclosure's serial numbers.
    let mut node = server(3);
    node.system.as_mut().unwrap().serial = server(1).system.unwrap().serial;
    node.chassis = server(1).chassis;
    assert!(matches!(seen(&alive, &node), Recognition::New { .. }));
    // Machines with a copied UUID that differ otherwise are not merged, but the conflict is reported.
    let mut copied = server(3);
    copied.system.as_mut().unwrap().uuid = server(2).system.unwrap().uuid;
    assert_eq!(seen(&alive, &copied), Recognition::Conflict { with: vec![id(2)] });
    // Copied with the serial, everything else differs.
    copied.system.as_mut().unwrap().serial = server(2).system.unwrap().serial;
    copied.chassis.as_mut().unwrap().serial = text("C777LG77H");
    assert_eq!(seen(&alive, &copied), Recognition::Conflict { with: vec![id(2)] });
    // Unless a user declared the values to be shared.
    let mut shared: BTreeMap<Field, BTreeSet<String>> = BTreeMap::new();
    let of = Identity::of(&copied);
    for field in [Field::Uuid, Field::System] {
        shared.entry(field).or_default().extend(of.keys(field));
    }
    let known: Vec<Known> = alive
        .into_iter()
        .map(|k| Known {
            identity: k.identity.without(&shared),
            ..k
        })
        .collect();
    assert!(matches!(
        recognise(&known, &of.without(&shared)),
        Recognition::New { .. }
    ));
}

#[test]
fn blades_of_one_chassis_are_two_machines() {
    let (mut one, mut two) = (server(1), server(2));
    one.chassis = server(7).chassis;
    two.chassis = server(7).chassis;
    for alive in [false, true] {
        let known = Known {
            alive,
            ..known(1, &one)
        };
        assert!(matches!(
            recognise(&[known], &Identity::of(&two)),
            Recognition::New { .. }
        ));
    }
}

/// Dell writes its service tag to system and chassis: one fact, not two.
#[test]
fn one_text_in_two_fields_counts_once() {
    let dell = |uuid: &str, board: &str| AssetReport {
        system: Some(SystemFacts {
            manufacturer: text("Dell Inc."),
            serial: text("790H8D2"),
            uuid: text(uuid),
            ..SystemFacts::default()
        }),
        chassis: Some(ChassisFacts {
            manufacturer: text("Dell"),
            serial: text("790H8D2"),
            ..ChassisFacts::default()
        }),
        board: Some(BoardFacts {
            manufacturer: text("Dell Inc."),
            serial: text(board),
            ..BoardFacts::default()
        }),
        ..AssetReport::default()
    };
    let one = dell("4c4c4544-0039-3010-8048-b7c04f384432", ".790H8D2.CN7475162M0382.");
    let other = dell("4c4c4544-0039-3010-8048-b7c04f384499", ".790H8D2.CN7475162M9999.");
    assert!(!compare(&Identity::of(&one), &Identity::of(&other)).claims());
    let board = dell("4c4c4544-0039-3010-8048-b7c04f384432", ".790H8D2.CN7475162M9999.");
    match seen(&[known(1, &one)], &board) {
        Recognition::Same { changes, .. } => assert_eq!(changes, [Change::Board]),
        other => panic!("{other:?}"),
    }
}

/// The UUID of one machine as SMBIOS, dmidecode before 2.6, DHCP, iPXE and IPMI write it.
#[test]
fn a_uuid_is_the_same_in_every_byte_order() {
    let orders = [
        "4c4c4544-0039-3010-8048-b7c04f384432",
        "44454C4C-3900-1030-8048-B7C04F384432",
        "{4C4C4544-0039-3010-8048-B7C04F384432}",
        "3244384f-c0b7-4880-1030-3900-44454c4c",
        "4c4c4544003930108048b7c04f384432",
    ];
    let with = |uuid: &str| {
        let mut report = server(1);
        report.system.as_mut().unwrap().uuid = text(uuid);
        Identity::of(&report)
    };
    for uuid in orders {
        assert!(
            compare(&with(orders[0]), &with(uuid))
                .agree
                .contains(&Field::Uuid),
            "{uuid}"
        );
        assert!(changed(&with(orders[0]), &with(uuid)).is_empty(), "{uuid}");
    }
    assert!(
        compare(&with(orders[0]), &with("4c4c4544-0039-3010-8048-b7c04f384433"))
            .differ
            .contains(&Field::Uuid)
    );
    for junk in [
        "",
        "Not Present",
        "--",
        "00000000-0000-0000-0000-000000000000",
        "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
        "fefefefe-fefe-fefe-fefe-fefefefefefe",
        "03000200-0400-0500-0006-000700080009",
        "00020003-0004-0005-0006-000700080009",
        "12345678-1234-5678-90AB-CDDEEFAABBCC",
        "not-a-uuid",
        "+c4c4544-0039-3010-8048-b7c04f384432",
    ] {
        assert!(Uuid::parse(junk).is_none(), "{junk}");
    }
    // Supermicro's: zeros and a MAC. That is unique.
    assert!(Uuid::parse("00000000-0000-0000-0000-002590eb9628").is_some());
}

#[test]
fn an_identity_survives_the_store() {
    let identity = Identity::of(&server(4));
    let text = serde_json::to_string(&identity).unwrap();
    assert_eq!(serde_json::from_str::<Identity>(&text).unwrap(), identity);
    // A stored UUID that is now known to be shared by a series is dropped without an error.
    let mut value = serde_json::to_value(&identity).unwrap();
    value["uuid"] = "03000200-0400-0500-0006-000700080009".into();
    assert!(serde_json::from_value::<Identity>(value).unwrap().uuid.is_none());
}

/// Machine 1, and a report at second 1000 of a machine that started to boot at second 900.
struct Case {
    own: Option<AssetReport>,
    seen: AssetReport,
    known: Option<AssetReport>,
    heard: Option<i64>,
    lists_its_mac: bool,
    lists_ours: bool,
}

fn stand(case: &Case, booted: Option<i64>) -> Standing {
    let own = case.own.as_ref().map(Identity::of);
    standing(&Situation {
        own: own.as_ref(),
        seen: &Identity::of(&case.seen),
        candidates: &[Candidate {
            machine: id(1),
            identity: case.known.as_ref().map(Identity::of),
            heard: case.heard.map(|s| UnixMs(1000 * s)),
            lists_its_mac: case.lists_its_mac,
            lists_ours: case.lists_ours,
        }],
        booted: booted.map(|s| UnixMs(1000 * s)),
        now: UnixMs(1_000_000),
        silence_seconds: 90,
    })
}

#[test]
fn what_follows_from_a_report() {
    let mut swapped = server(1);
    swapped.nics = vec![nic(77)];
    let itself = || Standing::Itself {
        changes: vec![],
        shares: vec![],
    };
    let another = Standing::Another {
        machine: id(1),
        changes: vec![],
    };
    let undecided = Standing::Undecided { machine: id(1) };
    let conflict = Standing::Conflict { with: vec![id(1)] };
    let provisional = Standing::Provisional { machine: id(1) };
    // An enrolment that never reported does not go to a machine that lists its MAC: its own report identifies
    // it.
    let base = || Case {
        own: None,
        seen: server(1),
        known: None,
        heard: Some(500),
        lists_its_mac: true,
        lists_ours: true,
    };
    for heard in [Some(500), Some(950), None] {
        let case = Case { heard, ..base() };
        assert_eq!(stand(&case, Some(900)), itself());
        assert_eq!(stand(&case, None), itself());
    }

    // Each booted from a NIC that the other reports.
    let known = || Case {
        known: Some(server(1)),
        ..base()
    };
    assert_eq!(stand(&known(), Some(900)), another);
    let alive = Case {
        heard: Some(950),
        ..known()
    };
    assert_eq!(stand(&alive, Some(900)), conflict);
    // Heard moments before the boot: did the same machine restart, or is the other one just silent?
    assert_eq!(stand(&alive, Some(960)), undecided);
    // Serial, UUID and MACs are on labels and in packets. A sender that the known machine does not confirm is
    // held, and only the sender (with another TPM it is a conflict).
    let without_tpm = || AssetReport {
        tpm: None,
        ..server(1)
    };
    let label = || Case {
        seen: without_tpm(),
        lists_ours: false,
        ..known()
    };
    assert_eq!(stand(&label(), Some(900)), provisional);
    let nothing_listed = Case {
        lists_its_mac: false,
        ..label()
    };
    assert_eq!(stand(&nothing_listed, Some(900)), conflict);
    let only_ours = Case {
        lists_its_mac: false,
        lists_ours: true,
        ..label()
    };
    assert_eq!(stand(&only_ours, Some(900)), conflict);
    let same_tpm = Case {
        seen: swapped.clone(),
        lists_its_mac: false,
        lists_ours: false,
        ..known()
    };
    assert!(matches!(stand(&same_tpm, Some(900)), Standing::Another { .. }));
    // An enrolment with its own history is not folded automatically.
    let past = Case {
        own: Some(server(1)),
        ..known()
    };
    assert_eq!(stand(&past, Some(900)), conflict);
    // Another machine with the NIC, or the certificate, of the one it is taken for.
    let moved = Case {
        own: Some(server(5)),
        seen: server(6),
        ..base()
    };
    assert_eq!(stand(&moved, Some(900)), Standing::Mismatch);
    // A collector that failed once does not make it another machine.
    let poor = Case {
        own: Some(server(5)),
        seen: AssetReport::default(),
        lists_its_mac: false,
        ..base()
    };
    assert_eq!(stand(&poor, Some(900)), itself());
}

/// Without serial numbers, naming each other's NIC is enough, and one side alone is not.
#[test]
fn a_machine_without_serial_numbers_is_known_by_both_its_nics() {
    let nameless = || AssetReport {
        nics: vec![nic(10), nic(11)],
        ..AssetReport::default()
    };
    for (lists_its_mac, lists_ours, heard, one) in [
        (true, true, 500, "another"),
        (true, true, 950, "undecided"),
        (true, false, 500, "itself"),
        (false, true, 500, "itself"),
    ] {
        let case = Case {
            own: None,
            seen: nameless(),
            known: Some(nameless()),
            heard: Some(heard),
            lists_its_mac,
            lists_ours,
        };
        let said = match stand(&case, Some(960)) {
            Standing::Another { .. } => "another",
            Standing::Undecided { .. } => "undecided",
            Standing::Itself { .. } => "itself",
            _ => "stopped",
        };
        assert_eq!(said, one, "{lists_its_mac} {lists_ours} {heard}");
    }
}

/// Types 1, 2 and 3 of a fixture machine, as decoded by dmidecode.
fn of_dmidecode(path: &std::path::Path) -> AssetReport {
    let value: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let field = |section: &str, name: &str| value[section][name].as_str().map(str::to_owned);
    AssetReport {
        system: Some(SystemFacts {
            manufacturer: field("system", "Manufacturer"),
            serial: field("system", "Serial Number"),
            uuid: field("system", "UUID"),
            ..SystemFacts::default()
        }),
        board: Some(BoardFacts {
            manufacturer: field("baseboard", "Manufacturer"),
            serial: field("baseboard", "Serial Number"),
            ..BoardFacts::default()
        }),
        chassis: Some(ChassisFacts {
            manufacturer: field("chassis", "Manufacturer"),
            serial: field("chassis", "Serial Number"),
            ..ChassisFacts::default()
        }),
        ..AssetReport::default()
    }
}

#[test]
fn every_pair_of_the_smbios_machines_is_told_apart() {
    let Some(dir) = fixtures::find("smbios") else {
        return;
    };
    let mut machines = Vec::new();
    for set in ["norm", "rebuilt", "linuxhw"] {
        for entry in std::fs::read_dir(dir.join(set)).unwrap() {
            let path = entry.unwrap().path();
            let expected = path.join("expected.json");
            if expected.exists() {
                machines.push((path, Identity::of(&of_dmidecode(&expected))));
            }
        }
    }
    assert!(machines.len() > 200, "{}", machines.len());
    let telling = machines.iter().filter(|(_, i)| !i.is_empty()).count();
    assert!(telling > 25, "{telling} have an identity");
    for (n, (path, identity)) in machines.iter().enumerate() {
        for (other, second) in &machines[n + 1..] {
            for alive in [false, true] {
                let known = Known {
                    machine: id(1),
                    identity: identity.clone(),
                    alive,
                };
                let said = recognise(&[known], second);
                assert_eq!(
                    said,
                    Recognition::New { shares: vec![] },
                    "{} and {}",
                    path.display(),
                    other.display()
                );
            }
        }
        if identity.uuid.is_some() && identity.system.is_some() {
            let known = Known {
                machine: id(1),
                identity: identity.clone(),
                alive: false,
            };
            assert!(
                matches!(recognise(&[known], identity), Recognition::Same { .. }),
                "{}",
                path.display()
            );
        }
    }
}

/// Nineteen blades of one delivery, as edeploy captured them: tuples of texts.
#[test]
fn nineteen_near_identical_blades_stay_nineteen() {
    let Some(dir) = fixtures::find("inventory/redhat-hardware/cardiff_samples") else {
        return;
    };
    let mut blades = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let text_of = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let mut report = AssetReport::default();
        let mut system = SystemFacts::default();
        // Not all of them have a chassis serial, and blades share it.
        report.chassis = Some(ChassisFacts {
            manufacturer: text("HP"),
            serial: text("CZ3404ENCL"),
            ..ChassisFacts::default()
        });
        for line in text_of.lines() {
            let words: Vec<&str> = line.split('\'').skip(1).step_by(2).collect();
            match words.as_slice() {
                ["system", "product", "serial", value] => system.serial = text(*value),
                ["system", "product", "vendor", value] => system.manufacturer = text(*value),
                ["network", name, "serial", value] => report.nics.push(NicFacts {
                    name: (*name).to_owned(),
                    permanent_mac: value.parse().ok(),
                    ..NicFacts::default()
                }),
                _ => {}
            }
        }
        report.system = Some(system);
        let identity = Identity::of(&report);
        assert!(
            identity.system.is_some() && identity.nics.len() >= 2,
            "{identity:?}"
        );
        blades.push(identity);
    }
    assert_eq!(blades.len(), 19);
    let mut machines: Vec<Known> = Vec::new();
    for (n, blade) in blades.iter().enumerate() {
        assert!(
            matches!(recognise(&machines, blade), Recognition::New { .. }),
            "{blade:?}"
        );
        machines.push(Known {
            machine: id(n as u32),
            identity: blade.clone(),
            alive: false,
        });
    }
    for (n, blade) in blades.iter().enumerate() {
        match recognise(&machines, blade) {
            Recognition::Same { machine, changes, .. } => {
                assert_eq!((machine, changes), (id(n as u32), vec![]))
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Fields with few values each, so that every pattern of agreement occurs.
fn any_identity() -> impl Strategy<Value = AssetReport> {
    let pick = || prop::option::of(0u32..3);
    (
        pick(),
        pick(),
        pick(),
        pick(),
        pick(),
        pick(),
        prop::collection::vec(0u32..4, 0..3),
    )
        .prop_map(|(tpm, system, board, chassis, uuid, bmc, nics)| {
            let mut report = AssetReport {
                tpm: tpm.and_then(|n| server(n).tpm),
                board: board.and_then(|n| server(n).board),
                chassis: chassis.and_then(|n| server(n).chassis),
                bmc: bmc.and_then(|n| server(n).bmc),
                nics: nics.into_iter().map(nic).collect(),
                ..AssetReport::default()
            };
            report.system = Some(SystemFacts {
                manufacturer: text("Supermicro"),
                serial: system.and_then(|n| server(n).system.unwrap().serial),
                uuid: uuid.and_then(|n| server(n).system.unwrap().uuid),
                ..SystemFacts::default()
            });
            report
        })
}

fn junk() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "To Be Filled By O.E.M.",
        "..........",
        "Default string",
        "System Serial Number",
        "0123456789",
        "None",
        "0000000000",
        "Not Specified",
        "XXXXXXXX",
        "4242",
        "",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn comparing_two_identities_is_symmetric(a in any_identity(), b in any_identity(), alive: bool) {
        let (a, b) = (Identity::of(&a), Identity::of(&b));
        prop_assert_eq!(compare(&a, &b), compare(&b, &a));
        let ask = |k: &Identity, s: &Identity| {
            match recognise(&[Known { machine: id(1), identity: k.clone(), alive }], s) {
                Recognition::Same { changes, .. } => (0, changes.len()),
                Recognition::New { shares } => (1, shares.len()),
                Recognition::Conflict { with } => (2, with.len()),
            }
        };
        prop_assert_eq!(ask(&a, &b), ask(&b, &a));
    }

    #[test]
    fn the_order_of_the_known_does_not_matter(
        reports in prop::collection::vec(any_identity(), 0..5),
        new in any_identity(),
        alive in prop::collection::vec(any::<bool>(), 5),
    ) {
        let mut machines: Vec<Known> = reports
            .iter()
            .enumerate()
            .map(|(n, r)| Known { alive: alive[n], ..known(n as u32, r) })
            .collect();
        let first = seen(&machines, &new);
        machines.reverse();
        prop_assert_eq!(&seen(&machines, &new), &first);
        machines.sort_by_key(|k| std::cmp::Reverse(k.identity.nics.len()));
        prop_assert_eq!(&seen(&machines, &new), &first);
    }

    #[test]
    fn one_field_never_makes_one_machine_of_two(a in any_identity(), b in any_identity(), alive: bool) {
        let comparison = compare(&Identity::of(&a), &Identity::of(&b));
        let said = recognise(&[Known { alive, ..known(1, &a) }], &Identity::of(&b));
        if comparison.agree.len() < 2 {
            let same = matches!(said, Recognition::Same { .. });
            prop_assert!(!same, "{:?}", comparison);
        }
        if alive {
            let same = matches!(said, Recognition::Same { .. });
            prop_assert!(!same, "two that live: {:?}", comparison);
        }
    }

    /// Whatever is sent: another machine's place is taken only with a first report, while that machine is
    /// silent, and only by a sender whose NIC that machine itself reported or who has its TPM key.
    #[test]
    fn a_claim_alone_never_takes_a_place(
        own in prop::option::of(any_identity()),
        seen in any_identity(),
        known in any_identity(),
        heard in prop::option::of(0i64..1000),
        booted in prop::option::of(0i64..1000),
        lists_its_mac: bool,
        lists_ours: bool,
    ) {
        let tpm = compare(&Identity::of(&known), &Identity::of(&seen)).agree.contains(&Field::Tpm);
        let fresh = own.as_ref().is_none_or(|own| Identity::of(own).is_empty());
        let case = Case { own, seen, known: Some(known), heard, lists_its_mac, lists_ours };
        if let Standing::Another { .. } = stand(&case, booted) {
            prop_assert!(fresh && (lists_its_mac && lists_ours || tpm));
            prop_assert!(heard.is_none_or(|heard| booted.is_none_or(|booted| heard <= booted) && heard <= 910));
        }
    }

    #[test]
    fn placeholders_never_join_two_machines(a in 0u32..50, b in 50u32..99, filling in junk(), alive: bool) {
        let (mut one, mut two) = (server(a), server(b));
        for report in [&mut one, &mut two] {
            report.system.as_mut().unwrap().serial = text(filling);
            report.board.as_mut().unwrap().serial = text(filling);
            report.chassis.as_mut().unwrap().serial = text(filling);
            report.system.as_mut().unwrap().uuid = text("03000200-0400-0500-0006-000700080009");
            report.tpm = Some(TpmFacts { endorsement_key_sha256: text("0".repeat(64)), ..TpmFacts::default() });
            report.bmc.as_mut().unwrap().mac = Some(Mac([0; 6]));
            // The virtual NIC that every BMC of the series shows to its host, and VRRP.
            report.nics.push(NicFacts { mac: Some(Mac([0x0a, 0, 0, 0, 0, 1])), ..NicFacts::default() });
            report.nics.push(NicFacts { mac: Some(Mac([0, 0, 0x5e, 0, 1, 1])), ..NicFacts::default() });
        }
        let said = recognise(&[Known { alive, ..known(1, &one) }], &Identity::of(&two));
        prop_assert_eq!(said, Recognition::New { shares: vec![] });
    }
}
