use super::super::StorageController;
use super::*;

fn case(name: &str) -> AssetReport {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/cases")
        .join(name);
    let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let report = distinct(serde_json::from_str(&text).unwrap());
    assert_eq!(
        distinct(report.clone()),
        report,
        "{name}: a second time changes it"
    );
    report
}

fn names(report: &AssetReport) -> Vec<&str> {
    report.disks.iter().map(|disk| disk.name.as_str()).collect()
}

/// Words: "sda wwn=naa.1 serial=X model=M size=10 pci=a transport=sas".
fn disk(words: &str) -> DiskFacts {
    let mut words = words.split(' ');
    let mut disk = DiskFacts {
        name: words.next().unwrap().to_owned(),
        ..DiskFacts::default()
    };
    for word in words {
        let (key, value) = word.split_once('=').unwrap();
        let text = || Some(value.to_owned());
        match key {
            "wwn" => disk.wwn = text(),
            "serial" => disk.serial = text(),
            "model" => disk.model = text(),
            "size" => disk.size_bytes = value.parse().ok(),
            "pci" => disk.pci = text(),
            "bay" => disk.bay = text(),
            "path" => disk.path = text(),
            "volume" => disk.raid_volume = value.parse().ok(),
            "transport" => disk.transport = serde_json::from_value(value.into()).unwrap(),
            _ => panic!("{key}"),
        }
    }
    disk
}

/// What is left of the disks: "sda+sdc nvme0n1/nvme0n2", paths behind a plus, namespaces behind a slash.
fn left(disks: &[&str]) -> String {
    let report = AssetReport {
        disks: disks.iter().map(|words| disk(words)).collect(),
        ..AssetReport::default()
    };
    let report = distinct(report);
    assert_eq!(distinct(report.clone()), report, "a second time changes it");
    let shown = |disk: &DiskFacts| {
        let paths: String = disk.paths.iter().map(|path| format!("+{}", path.name)).collect();
        let namespaces: String = disk.namespaces.iter().map(|n| format!("/{}", n.name)).collect();
        format!("{}{paths}{namespaces}", disk.name)
    };
    report.disks.iter().map(shown).collect::<Vec<_>>().join(" ")
}

#[test]
fn two_paths_of_a_disk_are_one_disk() {
    for (disks, expected) in [
        // By world wide name, also where one path tells less.
        (
            &[
                "sda wwn=naa.5000c50077770001 serial=WFK1A serial=WFK1A",
                "sdc wwn=naa.5000C50077770001",
            ][..],
            "sda+sdc",
        ),
        (
            &["sda wwn=naa.5000c50077770001", "sdb wwn=naa.5000c50077770002"],
            "sda sdb",
        ),
        // By serial number, model and size.
        (
            &[
                "sda serial=WFK1A model=ST1 size=10 pci=a transport=sas",
                "sdb serial=WFK1A model=ST1 size=10 pci=b transport=sas",
                "sdc serial=WFK1A model=ST1 size=10 pci=a transport=sas",
            ],
            "sda+sdb+sdc",
        ),
        // One way shows a name that the kernel made up.
        (
            &[
                "sda wwn=naa.5000c50077770001 serial=WFK1A model=ST1 size=10 pci=a transport=sas",
                "sdb wwn=scsi.SSEAGATE_WFK1A serial=WFK1A model=ST1 size=10 pci=b transport=sas",
            ],
            "sda+sdb",
        ),
        // One name for a whole series, or one serial number for all virtual disks: what contradicts is not
        // joined.
        (
            &[
                "sda wwn=naa.5000c50077770001 serial=WFK1A",
                "sdb wwn=naa.5000c50077770001 serial=WFK1B",
            ],
            "sda sdb",
        ),
        (
            &[
                "sda wwn=naa.5000000000000000 size=10",
                "sdb wwn=naa.5000000000000000 size=10",
            ],
            "sda sdb",
        ),
        (
            &[
                "nvme0n1 wwn=eui.0000000000000001 size=10",
                "nvme1n1 wwn=eui.0000000000000001 size=10",
            ],
            "nvme0n1 nvme1n1",
        ),
        (
            &[
                "sda serial=SCSI-7X model=Q size=10 transport=sas",
                "sdb serial=SCSI-7X model=Q size=20 transport=sas",
            ],
            "sda sdb",
        ),
        (
            &[
                "sda serial=SCSI-7X model=Q size=10 transport=sas",
                "sdb serial=SCSI-7X model=R size=10 transport=sas",
            ],
            "sda sdb",
        ),
        (
            &[
                "vda serial=DISK-7X size=10 transport=virtio",
                "vdb serial=DISK-7X size=10 transport=virtio",
            ],
            "vda vdb",
        ),
        // Nothing, and what nobody filled in, joins nothing.
        (
            &[
                "sda model=Q size=10 transport=sas",
                "sdb model=Q size=10 transport=sas",
            ],
            "sda sdb",
        ),
        (
            &[
                "sda serial=0000000000 model=Q size=10 transport=sas",
                "sdb serial=0000000000 model=Q size=10 transport=sas",
            ],
            "sda sdb",
        ),
        (
            &[
                "sda serial= wwn= model=Q size=10 transport=sas",
                "sdb serial= wwn= model=Q size=10 transport=sas",
            ],
            "sda sdb",
        ),
        (
            &[
                "sda serial=1234567890 model=Q size=10 transport=sas",
                "sdb serial=1234567890 model=Q size=10 transport=sas",
            ],
            "sda sdb",
        ),
        // Volumes with the controller's serial number; disks of one virtual controller; bays of one USB
        // bridge.
        (
            &[
                "sda serial=PACCRC9XJ model=VOLUME size=10 volume=true transport=scsi pci=a",
                "sdb serial=PACCRC9XJ model=VOLUME size=10 volume=true transport=scsi pci=b",
            ],
            "sda sdb",
        ),
        (
            &[
                "sda serial=DISK-7X model=Q size=10 transport=scsi pci=a",
                "sdb serial=DISK-7X model=Q size=10 transport=scsi pci=a",
            ],
            "sda sdb",
        ),
        (
            &[
                "sda serial=DISK-7X model=Q size=10 transport=scsi pci=a",
                "sdb serial=DISK-7X model=Q size=10 transport=scsi pci=b",
            ],
            "sda+sdb",
        ),
        (
            &[
                "sda serial=BR1DGE7 model=Q size=10 transport=usb",
                "sdb serial=BR1DGE7 model=Q size=10 transport=usb",
            ],
            "sda sdb",
        ),
        // LUNs of an array have its serial number and names of their own; two ways to one LUN are one.
        (
            &[
                "sda wwn=naa.600a098038304437 serial=ARR7X model=LUN size=10 transport=fibre-channel",
                "sdb wwn=naa.600a098038304438 serial=ARR7X model=LUN size=10 transport=fibre-channel",
                "sdc wwn=naa.600a098038304437 serial=ARR7X model=LUN size=10 transport=fibre-channel",
            ],
            "sda+sdc sdb",
        ),
    ] {
        assert_eq!(left(disks), expected, "{disks:?}");
    }
}

#[test]
fn a_dead_path_that_reports_less_loses_no_fact_of_its_disk() {
    let report = distinct(AssetReport {
        disks: vec![
            disk("sda wwn=naa.5000c50077770001 pci=a"),
            disk("sdb wwn=naa.5000c50077770001 serial=WFK1A size=10 bay=7 pci=b path=pci-b"),
        ],
        ..AssetReport::default()
    });
    let only = &report.disks[0];
    assert_eq!(
        (only.serial.as_deref(), only.size_bytes, only.bay.as_deref()),
        (Some("WFK1A"), Some(10), Some("7"))
    );
    let other = DiskPath {
        name: "sdb".into(),
        path: Some("pci-b".into()),
        pci: Some("b".into()),
    };
    assert_eq!(only.paths, [other]);
}

#[test]
fn namespaces_of_a_disk_are_one_disk() {
    for (disks, expected) in [
        (
            &[
                "nvme0n1 serial=S6CX1 model=PM size=10 wwn=eui.0025385b21404321 transport=nvme",
                "nvme0n2 serial=S6CX1 model=PM size=20 wwn=eui.0025385b21404322 transport=nvme",
                "nvme1n1 serial=S6CX2 model=PM size=10 transport=nvme",
            ][..],
            "nvme0n1/nvme0n2 nvme1n1",
        ),
        (
            &[
                "nvme0n1 transport=nvme",
                "nvme0n2 transport=nvme",
                "nvme10n1 transport=nvme",
            ],
            "nvme0n1/nvme0n2 nvme10n1",
        ),
        // Two ports without multipath: each namespace by both.
        (
            &[
                "nvme0n1 serial=S6CX1 model=PM size=10 transport=nvme",
                "nvme0n2 serial=S6CX1 model=PM size=10 transport=nvme",
                "nvme1n1 serial=S6CX1 model=PM size=10 transport=nvme",
                "nvme1n2 serial=S6CX1 model=PM size=10 transport=nvme",
            ],
            "nvme0n1+nvme1n1/nvme0n2",
        ),
        // A made-up serial number of two virtual disks.
        (
            &[
                "nvme0n1 serial=deadbeef7 model=QEMU size=10 transport=nvme",
                "nvme1n1 serial=deadbeef7 model=QEMU size=20 transport=nvme",
            ],
            "nvme0n1 nvme1n1",
        ),
        // Volumes of another machine.
        (
            &[
                "nvme0n1 serial=S6CX1 model=A size=10 transport=nvme-of",
                "nvme0n2 serial=S6CX1 model=A size=20 transport=nvme-of",
            ],
            "nvme0n1 nvme0n2",
        ),
    ] {
        assert_eq!(left(disks), expected, "{disks:?}");
    }
}

#[test]
fn special_areas_of_an_emmc_are_not_disks() {
    let disks = [
        "mmcblk0",
        "mmcblk0boot0",
        "mmcblk0boot1",
        "mmcblk0rpmb",
        "mmcblk0gp0",
        "mmcblk0gp3",
        "mmcblk10",
        "mmcblk10rpmb",
    ];
    assert_eq!(left(&disks), "mmcblk0 mmcblk10");
}

#[test]
fn a_hidden_disk_that_the_kernel_shows_is_listed_once() {
    let report = distinct(AssetReport {
        disks: vec![disk("sda serial=WFK1A")],
        controllers: vec![StorageController {
            disks: vec![
                disk("slot4 serial=WFK1A"),
                disk("slot5 serial=WFK1B"),
                disk("slot6"),
            ],
            ..StorageController::default()
        }],
        ..AssetReport::default()
    });
    let hidden: Vec<&str> = report.controllers[0]
        .disks
        .iter()
        .map(|disk| disk.name.as_str())
        .collect();
    assert_eq!(hidden, ["slot5", "slot6"]);
}

#[test]
fn multipath_reports_from_the_field_list_each_disk_once() {
    assert_eq!(
        names(&case("01-dual-path-sas/multipath.json")),
        ["sda", "sdb", "sdc", "sdd"]
    );
    assert_eq!(case("01-dual-path-sas/multipath-gone.json").disks.len(), 3);
    assert_eq!(case("01-dual-path-sas/multipath-1path.json").disks.len(), 4);
}

#[test]
fn two_shelves_with_the_same_bays_are_told_apart() {
    let report = case("10-two-shelves/shelves.json");
    let shelves: Vec<_> = report
        .disks
        .iter()
        .map(|disk| disk.shelf.as_deref().unwrap())
        .collect();
    let (first, second) = ("5000ccab04111100", "5000ccab04111101");
    assert_eq!(shelves, [first, first, first, second, second, second]);
    assert!(
        case("10-two-shelves/shelves-gone.json")
            .disks
            .iter()
            .all(|disk| disk.shelf.is_some())
    );
    // One shelf needs no name.
    assert!(
        case("01-dual-path-sas/multipath.json")
            .disks
            .iter()
            .all(|disk| disk.shelf.is_none())
    );
    // Without expanders: in the order of the controllers. NVMe bays are slots of the board.
    let shelf = |disks: &[&str]| -> Vec<Option<String>> {
        let disks = disks.iter().map(|words| disk(words)).collect();
        let report = distinct(AssetReport {
            disks,
            ..AssetReport::default()
        });
        report.disks.into_iter().map(|disk| disk.shelf).collect()
    };
    assert_eq!(
        shelf(&[
            "sda bay=1 pci=a transport=sas",
            "sdb bay=1 pci=b transport=sas",
            "sdc bay=2 pci=b transport=sas"
        ]),
        [Some("1".to_owned()), Some("2".to_owned()), Some("2".to_owned())]
    );
    assert_eq!(
        shelf(&[
            "nvme0n1 bay=1 pci=a transport=nvme",
            "nvme1n1 bay=1 pci=b transport=nvme"
        ]),
        [None, None]
    );
}

fn nic(name: &str, pci: &str, port: Option<&str>) -> NicFacts {
    NicFacts {
        name: name.to_owned(),
        pci: Some(pci.to_owned()),
        port: port.map(str::to_owned),
        ..NicFacts::default()
    }
}

#[test]
fn representors_are_not_ports() {
    let names =
        |report: AssetReport| -> Vec<String> { report.nics.into_iter().map(|nic| nic.name).collect() };
    assert_eq!(
        names(case("09-switchdev-representors/switchdev.json")),
        ["ens1f0np0", "ens2f0np0", "ibp178s0"]
    );
    assert_eq!(
        names(case("09-switchdev-representors/switchdev-gone.json")),
        ["ens1f0np0", "ibp178s0"]
    );
    for (nics, expected) in [
        (
            vec![
                nic("a", "1", Some("p0")),
                nic("b", "1", Some("pf0vf1")),
                nic("c", "1", Some("pf0sf3")),
            ],
            "a",
        ),
        (
            vec![
                nic("a", "1", Some("p0")),
                nic("b", "1", Some("c1pf0vf2")),
                nic("c", "1", Some("pf0hpf")),
            ],
            "a",
        ),
        (
            vec![
                nic("a", "1", Some("p0")),
                nic("b", "1", Some("c1pf0")),
                nic("c", "1", Some("pf0")),
                nic("d", "1", None),
            ],
            "a",
        ),
        // Two ports on one function, split cables, ports of another function.
        (
            vec![
                nic("a", "1", Some("p0")),
                nic("b", "1", Some("p1")),
                nic("c", "2", Some("p0s1")),
            ],
            "a b c",
        ),
        (vec![nic("a", "1", None), nic("b", "1", None)], "a b"),
        (
            vec![
                nic("a", "1", Some("c2pf0")),
                nic("b", "2", Some("pf1")),
                nic("c", "2", Some("pf1vf0")),
            ],
            "a b",
        ),
        (
            vec![
                nic("ib0", "1", None),
                nic("ib0.8001", "1", None),
                nic("eno1.7", "2", None),
            ],
            "ib0 eno1.7",
        ),
    ] {
        let shown = format!("{nics:?}");
        let report = AssetReport {
            nics,
            ..AssetReport::default()
        };
        assert_eq!(names(distinct(report)).join(" "), expected, "{shown}");
    }
}

proptest::proptest! {
    /// Few values for each fact, so that much is equal.
    #[test]
    fn distinct_is_idempotent_and_loses_no_disk(
        disks in proptest::collection::vec((0..4_u8, 0..3_u8, 0..3_u8, 0..2_u8, 0..3_u8, 0..5_u8), 0..12),
        ports in proptest::collection::vec((0..8_u8, 0..2_u8), 0..8),
    ) {
        let pick = |list: &[&str], at: u8| list.get(usize::from(at)).map(|text| (*text).to_owned()).filter(|text| !text.is_empty());
        let names = ["nvme0n1", "nvme0n2", "nvme1n1", "sda", "sdb"];
        let disks: Vec<DiskFacts> = disks
            .into_iter()
            .map(|(wwn, serial, model, size, pci, name)| DiskFacts {
                name: names[usize::from(name)].to_owned(),
                wwn: pick(&["", "naa.5000c50077770001", "eui.0025385b21404321", "t10.x"], wwn),
                serial: pick(&["", "WFK1A", "0000000"], serial),
                model: pick(&["", "ST1", "PM"], model),
                size_bytes: Some(u64::from(size) + 10),
                pci: pick(&["", "a", "b"], pci),
                bay: pick(&["", "1"], size),
                transport: Some(if name < 3 { Transport::Nvme } else { Transport::Sas }),
                ..DiskFacts::default()
            })
            .collect();
        let known = ["", "p0", "p1", "pf0", "pf0vf0", "c1pf0", "pf0sf3", "x"];
        let nics = ports.into_iter().map(|(port, pci)| nic("eth", &pci.to_string(), pick(&known, port).as_deref())).collect();
        let count = disks.len();
        let once = distinct(AssetReport { disks, nics, ..AssetReport::default() });
        let all = once.disks.iter().map(|disk| 1 + disk.paths.len() + disk.namespaces.len()).sum::<usize>();
        proptest::prop_assert!(all <= count);
        proptest::prop_assert_eq!(distinct(once.clone()), once);
    }
}
