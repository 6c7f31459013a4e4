//! Transports, places, and disks that the kernel cannot use.

use super::*;

#[test]
fn disks_of_other_machines_say_how_they_are_reached() {
    let captured = Captured::new();
    let sys = captured.0.path().join("sys");
    let size: (&str, &[u8]) = ("size", b"1000\n");
    let write = |path: &str, text: &str| {
        let path = sys.join("devices").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    captured.disk("virtual/nvme-fabrics/ctl/nvme1/nvme1n1", "../../nvme1", &[size]);
    captured.disk(
        "virtual/nvme-subsystem/nvme-subsys2/nvme2n1",
        "../../nvme-subsys2",
        &[size],
    );
    fs::create_dir_all(sys.join("devices/virtual/nvme-fabrics/ctl/nvme2")).unwrap();
    symlink(
        "../../nvme-fabrics/ctl/nvme2",
        sys.join("devices/virtual/nvme-subsystem/nvme-subsys2/nvme2"),
    )
    .unwrap();
    // NVMe over Fibre Channel: the controller is below its card.
    let nvme_fc = "pci0000:3a/0000:3b:00.0/host5/nvme/nvme3";
    write(&format!("{nvme_fc}/transport"), "fc\n");
    captured.disk(&format!("{nvme_fc}/nvme3n1"), "../../nvme3", &[size]);
    let session = "platform/host3/session1";
    write(
        &format!("{session}/iscsi_session/session1/targetname"),
        "iqn.2001-04.com.example:disk\n",
    );
    let connection = format!("{session}/connection1:0/iscsi_connection/connection1:0");
    write(&format!("{connection}/persistent_address"), "10.0.0.7\n");
    write(&format!("{connection}/persistent_port"), "3260\n");
    captured.disk(
        &format!("{session}/target3:0:0/3:0:0:1/block/sdb"),
        "../../../3:0:0:1",
        &[size],
    );
    let target = "pci0000:3a/0000:3b:00.0/host6/rport-6:0-2/target6:0:0";
    write(
        &format!("{target}/fc_transport/target6:0:0/port_name"),
        "0x50060e801049cc20\n",
    );
    captured.disk(
        &format!("{target}/6:0:0:3/block/sdc"),
        "../../../6:0:0:3",
        &[size],
    );
    captured.disk(
        "LNXSYSTM:00/LNXSYBUS:00/ACPI0012:00/ndbus0/region0/namespace0.0/block/pmem0",
        "../../../namespace0.0",
        &[size],
    );
    captured.disk(
        "pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda",
        "../../../0:0:0:0",
        &[size],
    );
    let disks = captured.collect();
    let short: Vec<_> = disks
        .iter()
        .map(|disk| (disk.name.as_str(), disk.transport.unwrap(), disk.path.as_deref()))
        .collect();
    assert_eq!(
        short,
        [
            ("nvme1n1", Transport::NvmeOf, None),
            ("nvme2n1", Transport::NvmeOf, None),
            ("nvme3n1", Transport::NvmeOf, Some("pci-0000:3b:00.0-nvme-1")),
            ("pmem0", Transport::Pmem, None),
            ("sda", Transport::Sata, None),
            (
                "sdb",
                Transport::Iscsi,
                Some("ip-10.0.0.7:3260-iscsi-iqn.2001-04.com.example:disk-lun-1")
            ),
            (
                "sdc",
                Transport::FibreChannel,
                Some("pci-0000:3b:00.0-fc-0x50060e801049cc20-lun-3")
            ),
        ]
    );
}

#[test]
fn cards_and_the_areas_of_an_emmc() {
    let captured = Captured::new();
    let host = "platform/mmc_host/mmc0/mmc0:0001/block/mmcblk0";
    captured.disk(
        host,
        "../../../mmc0:0001",
        &[
            ("size", b"1000\n"),
            ("device/type", b"MMC\n"),
            ("device/name", b"DG4064\n"),
        ],
    );
    captured.disk(
        &format!("{host}/mmcblk0rpmb"),
        "../../mmcblk0",
        &[("size", b"32\n")],
    );
    captured.disk(
        &format!("{host}/mmcblk0boot0"),
        "../../mmcblk0",
        &[("size", b"32\n")],
    );
    captured.disk(
        &format!("{host}/mmcblk0gp1"),
        "../../mmcblk0",
        &[("size", b"32\n")],
    );
    let card = "pci0000:00/0000:00:14.5/mmc_host/mmc1/mmc1:aaaa/block/mmcblk1";
    captured.disk(
        card,
        "../../../mmc1:aaaa",
        &[
            ("size", b"1000\n"),
            ("device/type", b"SD\n"),
            ("device/serial", b"0x1b2c3d4e\n"),
        ],
    );
    let disks = captured.collect();
    let short: Vec<_> = disks
        .iter()
        .map(|d| (d.name.as_str(), d.transport.unwrap(), d.serial.as_deref()))
        .collect();
    assert_eq!(
        short,
        [
            ("mmcblk0", Transport::Mmc, None),
            ("mmcblk1", Transport::Sd, Some("0x1b2c3d4e"))
        ]
    );
}

#[test]
fn the_controllers_of_a_multipath_namespace_are_its_paths() {
    let captured = Captured::new();
    captured.disk(
        "virtual/nvme-subsystem/nvme-subsys0/nvme0n1",
        "../../nvme-subsys0",
        &[("nsid", b"1\n")],
    );
    for (number, address) in [(0, "0000:02:00.0"), (1, "0000:82:00.0")] {
        let controller = format!("pci0000:00/{address}/nvme/nvme{number}");
        fs::create_dir_all(captured.0.path().join("sys/devices").join(&controller)).unwrap();
        let subsystem = captured
            .0
            .path()
            .join("sys/devices/virtual/nvme-subsystem/nvme-subsys0");
        symlink(
            Path::new("../../..").join(&controller),
            subsystem.join(format!("nvme{number}")),
        )
        .unwrap();
    }
    let disks = captured.collect();
    assert_eq!(
        (disks.len(), disks[0].path.as_deref()),
        (1, Some("pci-0000:02:00.0-nvme-1"))
    );
    let other = DiskPath {
        name: "nvme0c1n1".into(),
        path: Some("pci-0000:82:00.0-nvme-1".into()),
        pci: Some("0000:82:00.0".into()),
    };
    assert_eq!(disks[0].paths, [other]);
}

#[test]
fn the_shelf_by_its_own_identifier_or_the_controllers() {
    let captured = Captured::new();
    let sys = captured.0.path().join("sys");
    let end = |n: u8| format!("pci0000:5d/0000:5e:00.0/host0/port-0:0/end_device-0:0:{n}");
    let disk = |n: u8, name: &str| {
        captured.disk(
            &format!("{}/target0:0:{n}/0:0:{n}:0/block/{name}", end(n)),
            &format!("../../../0:0:{n}:0"),
            &[],
        );
    };
    disk(1, "sda");
    let shelf = sys.join("devices/pci0000:5d/enclosure/0:0:60:0");
    fs::create_dir_all(shelf.join("Slot 01")).unwrap();
    fs::write(shelf.join("id"), "0x5000CCAB05000000\n").unwrap();
    symlink(
        shelf.join("Slot 01"),
        sys.join("devices")
            .join(end(1))
            .join("target0:0:1/0:0:1:0/enclosure_device:Slot 01"),
    )
    .unwrap();
    disk(2, "sdb");
    let sas = sys
        .join("devices")
        .join(end(2))
        .join("sas_device/end_device-0:0:2");
    fs::create_dir_all(&sas).unwrap();
    fs::write(sas.join("bay_identifier"), "2\n").unwrap();
    fs::write(sas.join("enclosure_identifier"), "0x500304801ea5e900\n").unwrap();
    disk(3, "sdc");
    let shelves: Vec<_> = captured
        .collect()
        .into_iter()
        .map(|disk| (disk.bay, disk.shelf))
        .collect();
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        shelves,
        [
            (some("Slot 01"), some("5000ccab05000000")),
            (some("Slot 02"), some("500304801ea5e900")),
            (None, None)
        ]
    );
}

#[test]
fn a_disk_with_520_byte_sectors_is_queried_for_its_size_or_is_a_problem() {
    let answer = |blocks: u64, length: u32| {
        let mut data = vec![0_u8; 32];
        data[..8].copy_from_slice(&(blocks - 1).to_be_bytes());
        data[8..12].copy_from_slice(&length.to_be_bytes());
        identity::Capacity::parse(&data)
    };
    let netapp = answer(781_422_768, 520).unwrap();
    assert_eq!(
        (netapp.bytes(), netapp.kernel_can()),
        (Some(406_339_839_360), false)
    );
    assert!(answer(100, 4096).unwrap().kernel_can());
    for broken in [&[0xff; 32][..], &[0; 32], &[0; 11], &[]] {
        assert_eq!(identity::Capacity::parse(broken), None);
    }
    let captured = Captured::new();
    for (number, (name, removable)) in [("sda", "0\n"), ("sdb", "1\n")].into_iter().enumerate() {
        captured.disk(
            &format!("pci0000:17/0000:18:00.0/host0/target0:0:{number}/0:0:{number}:0/block/{name}"),
            &format!("../../../0:0:{number}:0"),
            &[
                ("size", b"0\n"),
                ("queue/logical_block_size", b"512\n"),
                ("removable", removable.as_bytes()),
            ],
        );
    }
    let mut problems = Problems::new("disks");
    let disks = collect(&Roots::under(captured.0.path()), Depth::Health, &mut problems);
    // A card reader without a card is not a fault.
    let told: Vec<&str> = problems
        .found
        .iter()
        .map(|problem| problem.detail.as_str())
        .collect();
    assert_eq!(
        told,
        ["the kernel gives sda no size: sectors other than 512 or 4096 bytes, or a fault"]
    );
    assert_eq!((disks[0].size_bytes, disks[0].logical_block_bytes), (None, None));
    // The size comes from the disk's answer.
    let seen = Seen {
        facts: disks[0].clone(),
        has_no_size: true,
        kernel_rotational: None,
        made_up: None,
        rotation: None,
        ata: None,
        questions: None,
    };
    let told = seen.join(ask::Answer {
        capacity: Some(netapp),
        ..ask::Answer::default()
    });
    assert_eq!(
        (told.size_bytes, told.logical_block_bytes),
        (Some(406_339_839_360), Some(520))
    );
}
