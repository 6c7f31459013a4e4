mod reach;

use std::fs;
use std::os::unix::fs::symlink;

use super::identity::{naming_page, rotation_page, serial_page, wwn};
use super::*;

/// A captured machine under construction.
struct Captured(tempfile::TempDir);

impl Captured {
    fn new() -> Captured {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("sys/block")).unwrap();
        Captured(dir)
    }

    /// A disk at `path` below sys/devices, `device` pointing where the kernel has it.
    fn disk(&self, path: &str, device: &str, files: &[(&str, &[u8])]) {
        let devices = self.0.path().join("sys/devices");
        let block = devices.join(path);
        fs::create_dir_all(block.join("queue")).unwrap();
        symlink(device, block.join("device")).unwrap();
        for (name, bytes) in files {
            fs::write(block.join(name), bytes).unwrap();
        }
        let name = block.file_name().unwrap();
        symlink(
            Path::new("../devices").join(path),
            self.0.path().join("sys/block").join(name),
        )
        .unwrap();
    }

    fn collect(&self) -> Vec<DiskFacts> {
        let mut problems = Problems::new("disks");
        let disks = collect(&Roots::under(self.0.path()), Depth::Health, &mut problems);
        assert!(problems.found.is_empty(), "{problems:?}");
        disks
    }
}

/// IDENTIFY DEVICE data of a disk.
fn identify(model: &str, serial: &str, firmware: &str, wwn: u64, rotation: u16) -> Vec<u8> {
    let mut data = vec![0_u8; 512];
    let mut text = |word: usize, words: usize, text: &str| {
        let padded = format!("{text:<width$}", width = words * 2);
        for (i, pair) in padded.as_bytes().chunks(2).enumerate() {
            data[2 * (word + i)] = pair[1];
            data[2 * (word + i) + 1] = pair[0];
        }
    };
    text(10, 10, serial);
    text(23, 4, firmware);
    text(27, 20, model);
    data[174..176].copy_from_slice(&0x4100_u16.to_le_bytes());
    for i in 0..4 {
        data[216 + 2 * i..218 + 2 * i].copy_from_slice(&((wwn >> (48 - 16 * i)) as u16).to_le_bytes());
    }
    data[434..436].copy_from_slice(&rotation.to_le_bytes());
    data
}

#[test]
fn a_sata_disk_by_its_own_words() {
    let captured = Captured::new();
    let mut page = vec![0, 0x89, 0x02, 0x38];
    page.resize(60, 0);
    page.extend(identify(
        "SAMSUNG MZ7LH960HAJR-00005",
        "S45NNA0N123456",
        "HXT7904Q",
        0x5002_538e_4012_3456,
        1,
    ));
    captured.disk(
        "pci0000:00/0000:00:17.0/ata5/host4/target4:0:0/4:0:0:0/block/sda",
        "../../../4:0:0:0",
        &[
            ("size", b"1875385008\n"),
            ("queue/logical_block_size", b"512\n"),
            ("queue/physical_block_size", b"4096\n"),
            ("queue/rotational", b"1\n"),
            ("removable", b"0\n"),
            ("ro", b"0\n"),
            ("device/vendor", b"ATA     \n"),
            ("device/model", b"SAMSUNG MZ7LH960\n"),
            ("device/rev", b"904Q\n"),
            ("device/type", b"0\n"),
            ("device/wwid", b"t10.ATA     SAMSUNG MZ7LH960HAJR-00005\n"),
            ("device/vpd_pg89", &page),
        ],
    );
    let expected = DiskFacts {
        name: "sda".to_owned(),
        model: Some("SAMSUNG MZ7LH960HAJR-00005".to_owned()),
        serial: Some("S45NNA0N123456".to_owned()),
        wwn: Some("naa.5002538e40123456".to_owned()),
        size_bytes: Some(960_197_124_096),
        logical_block_bytes: Some(512),
        physical_block_bytes: Some(4096),
        rotational: Some(false),
        transport: Some(Transport::Sata),
        firmware: Some("HXT7904Q".to_owned()),
        pci: Some("0000:00:17.0".to_owned()),
        removable: Some(false),
        read_only: Some(false),
        partitions: Some(0),
        ..Default::default()
    };
    assert_eq!(captured.collect(), [expected]);
}

#[test]
fn nvme_virtio_and_what_is_no_disk() {
    let captured = Captured::new();
    captured.disk(
        "pci0000:00/0000:00:04.0/0000:01:00.0/nvme/nvme0/nvme0n1",
        "../../nvme0",
        &[
            ("device/model", b"Micron_9300_MTFDHAL3T8TDP               \n"),
            ("device/serial", b"202728F691F5        \n"),
            ("device/firmware_rev", b"11300DN0\n"),
            ("wwid", b"eui.000000000000000100a0752028f691f5\n"),
            ("queue/rotational", b"0\n"),
        ],
    );
    captured.disk(
        "virtual/nvme-subsystem/nvme-subsys1/nvme1n1",
        "../../nvme-subsys1",
        &[("device/serial", b"MULTI1")],
    );
    captured.disk(
        "pci0000:00/0000:00:04.0/0000:02:00.0/nvme/nvme1/nvme1c1n1",
        "../../nvme1",
        &[("hidden", b"1\n")],
    );
    let subsystem = captured
        .0
        .path()
        .join("sys/devices/virtual/nvme-subsystem/nvme-subsys1");
    symlink(
        "../../../pci0000:00/0000:00:04.0/0000:02:00.0/nvme/nvme1",
        subsystem.join("nvme1"),
    )
    .unwrap();
    captured.disk(
        "pci0000:00/0000:00:05.0/virtio2/block/vda",
        "../../../virtio2",
        &[
            ("serial", b"disk-7"),
            ("queue/rotational", b"1\n"),
            ("size", b"4194304\n"),
        ],
    );
    for nothing in [
        "virtual/block/loop0",
        "virtual/block/dm-0",
        "virtual/block/zram0",
        "virtual/block/md127",
        "virtual/block/new0",
    ] {
        captured.disk(nothing, "../x", &[("size", b"100\n")]);
    }
    captured.disk(
        "pci0000:00/0000:00:1f.2/ata2/host1/target1:0:0/1:0:0:0/block/sdz",
        "../../../1:0:0:0",
        &[("device/type", b"5\n")],
    );
    let disks = captured.collect();
    let short: Vec<_> = disks
        .iter()
        .map(|d| {
            (
                d.name.as_str(),
                d.transport,
                d.serial.as_deref(),
                d.pci.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        short,
        [
            (
                "nvme0n1",
                Some(Transport::Nvme),
                Some("202728F691F5"),
                Some("0000:01:00.0")
            ),
            (
                "nvme1n1",
                Some(Transport::Nvme),
                Some("MULTI1"),
                Some("0000:02:00.0")
            ),
            (
                "vda",
                Some(Transport::Virtio),
                Some("disk-7"),
                Some("0000:00:05.0")
            ),
        ]
    );
    assert_eq!(
        disks[0].wwn.as_deref(),
        Some("eui.000000000000000100a0752028f691f5")
    );
    assert_eq!(disks[0].rotational, Some(false));
    assert_eq!((disks[2].rotational, disks[2].size_bytes), (None, Some(2 << 30)));
}

#[test]
fn transport_by_the_path() {
    let of = |name: &str, path: &str, is_ata| transport(name, Some(Path::new(path)), is_ata);
    let sas = "devices/pci0000:16/0000:18:00.0/host0/port-0:0/end_device-0:0/target0:0:0/0:0:0:0/block/sdb";
    assert_eq!(of("sdb", sas, false), Some(Transport::Sas));
    assert_eq!(of("sdb", sas, true), Some(Transport::Sata));
    let virtio_scsi = "devices/pci0000:00/0000:00:06.0/virtio3/host2/target2:0:0/2:0:0:0/block/sda";
    assert_eq!(of("sda", virtio_scsi, false), Some(Transport::Scsi));
    let usb = "devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/host6/target6:0:0/6:0:0:0/block/sdc";
    assert_eq!(of("sdc", usb, false), Some(Transport::Usb));
    assert_eq!(
        of(
            "mmcblk0",
            "devices/pci0000:00/0000:00:1c.0/mmc_host/mmc0/mmc0:0001/block/mmcblk0",
            false
        ),
        Some(Transport::Mmc)
    );
    assert_eq!(
        of("xyz", "devices/pci0000:00/0000:00:1c.0/block/xyz", false),
        None
    );
}

#[test]
fn rotation_is_reported_only_if_the_disk_reports_it() {
    assert_eq!(rotational(Some(Transport::Scsi), Some(true), None), None);
    assert_eq!(
        rotational(Some(Transport::Scsi), Some(true), Some(Rotation::Spins(7200))),
        Some(true)
    );
    assert_eq!(
        rotational(Some(Transport::Sata), Some(true), Some(Rotation::NotReported)),
        None
    );
    assert_eq!(rotational(Some(Transport::Sas), Some(true), None), Some(true));
    assert_eq!(rotational(Some(Transport::Virtio), Some(true), None), None);
}

#[test]
fn pages_of_a_sas_disk() {
    // Designators: target port first, then the logical unit's NAA.
    let port = [0x61, 0x93, 0, 8, 0x50, 0, 0xc5, 0, 0xa1, 0xb2, 0xc3, 0xd5];
    let unit = [0x01, 0x03, 0, 8, 0x50, 0, 0xc5, 0, 0xa1, 0xb2, 0xc3, 0xd4];
    let page = [&[0, 0x83, 0, 24][..], &port, &unit].concat();
    assert_eq!(naming_page(&page).as_deref(), Some("naa.5000c500a1b2c3d4"));
    assert_eq!(serial_page(b"\0\x80\0\x08  W5AB12\0").as_deref(), Some("W5AB12"));
    assert_eq!(serial_page(b"\0\x83\0\x02AB"), None);
    assert_eq!(
        rotation_page(&[0, 0xb1, 0, 60, 0x1c, 0x20]),
        Some(Rotation::Spins(7200))
    );
    assert_eq!(
        rotation_page(&[0, 0xb1, 0, 60, 0, 0]),
        Some(Rotation::NotReported)
    );
}

#[test]
fn paths_as_udev_names_them() {
    let captured = Captured::new();
    let write = |path: &str, text: &str| {
        let path = captured.0.path().join("sys/devices").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    // Port 1 of its controller, although the fifth of the machine.
    let ata = "pci0000:00/0000:00:1f.2/ata5";
    write(&format!("{ata}/ata_port/ata5/port_no"), "1\n");
    captured.disk(
        &format!("{ata}/host4/target4:0:0/4:0:0:0/block/sda"),
        "../../../4:0:0:0",
        &[("device/vendor", b"ATA     \n")],
    );
    let sas = "pci0000:16/0000:16:00.0/0000:18:00.0/host9/port-9:0/expander-9:0/port-9:0:7/end_device-9:0:7";
    let end = format!("{sas}/sas_device/end_device-9:0:7");
    write(&format!("{end}/sas_address"), "0x5000c500a1b2c3d5\n");
    write(&format!("{end}/phy_identifier"), "7\n");
    write(&format!("{end}/bay_identifier"), "11\n");
    write(
        "pci0000:16/0000:16:00.0/0000:18:00.0/host9/port-9:0/expander-9:0/sas_device/expander-9:0/sas_address",
        "0x500304801ea5e93f\n",
    );
    captured.disk(
        &format!("{sas}/target9:0:7/9:0:7:0/block/sdb"),
        "../../../9:0:7:0",
        &[("device/vendor", b"SEAGATE \n")],
    );
    // A volume of megaraid_sas, and a disk it passes through.
    let raid = "pci0000:3a/0000:3a:00.0/0000:3b:00.0/host12";
    write(&format!("{raid}/scsi_host/host12/proc_name"), "megaraid_sas\n");
    captured.disk(
        &format!("{raid}/target12:2:0/12:2:0:0/block/sdc"),
        "../../../12:2:0:0",
        &[("device/model", b"PERC H730P Adp\n")],
    );
    captured.disk(
        &format!("{raid}/target12:0:3/12:0:3:0/block/sdd"),
        "../../../12:0:3:0",
        &[("device/model", b"ST1200MM0099\n")],
    );
    let usb = "pci0000:00/0000:00:14.0/usb1/1-2/1-2.3/1-2.3:1.0/host6/target6:0:0/6:0:0:0/block/sde";
    captured.disk(usb, "../../../6:0:0:0", &[]);
    let vmd = "pci0000:64/0000:64:05.5/pci10000:00/10000:00:02.0/10000:01:00.0/nvme/nvme3/nvme3n1";
    captured.disk(vmd, "../../nvme3", &[("nsid", b"1\n")]);
    captured.disk(
        "pci0000:00/0000:00:05.0/virtio2/block/vda",
        "../../../virtio2",
        &[],
    );
    // The enclosure's own name for the bay.
    let bay = captured
        .0
        .path()
        .join("sys/block/sdd/device/enclosure_device:Slot 03");
    fs::create_dir_all(&bay).unwrap();
    let disks = captured.collect();
    let short: Vec<_> = disks
        .iter()
        .map(|d| {
            (
                d.name.as_str(),
                d.path.as_deref().unwrap_or("-"),
                d.bay.as_deref(),
                d.raid_volume,
            )
        })
        .collect();
    assert_eq!(
        short,
        [
            ("nvme3n1", "pci-0000:64:05.5-pci-10000:01:00.0-nvme-1", None, None),
            ("sda", "pci-0000:00:1f.2-ata-1", None, None),
            (
                "sdb",
                "pci-0000:18:00.0-sas-exp0x500304801ea5e93f-phy7-lun-0",
                Some("Slot 11"),
                None
            ),
            ("sdc", "pci-0000:3b:00.0-scsi-0:2:0:0", None, Some(true)),
            (
                "sdd",
                "pci-0000:3b:00.0-scsi-0:0:3:0",
                Some("Slot 03"),
                Some(false)
            ),
            ("sde", "pci-0000:00:14.0-usb-0:2.3:1.0-scsi-0:0:0:0", None, None),
            ("vda", "pci-0000:00:05.0", None, None),
        ]
    );
}

#[test]
fn volumes_by_driver_channel_and_level() {
    let at = |channel| {
        Some(place::Scsi {
            host: 0,
            channel,
            target: 0,
            lun: 0,
        })
    };
    for (driver, channel, level, model, expected) in [
        (Some("mpt3sas"), 1, None, "Logical Volume", Some(true)),
        (Some("mpt3sas"), 0, None, "ST4000NM0023", None),
        (Some("hpsa"), 0, Some("RAID 1(+0)"), "LOGICAL VOLUME", Some(true)),
        (Some("hpsa"), 0, Some("N/A"), "EG1200JEHMC", Some(false)),
        (Some("aacraid"), 0, None, "Volume1", Some(true)),
        (Some("ahci"), 0, None, "DELLBOSS VD", Some(true)),
        (Some("ahci"), 0, None, "INTEL SSDSC2KB48", None),
        (None, 0, None, "QEMU HARDDISK", None),
    ] {
        assert_eq!(
            place::raid_volume(driver, at(channel), level, model),
            expected,
            "{driver:?} {model}"
        );
    }
}

#[test]
fn a_made_up_name_is_no_wwn() {
    for made_up in [
        "t10.ATA     QEMU HARDDISK   QM00001",
        "nvme.1b36-7365-51454d55-00000001",
        "eui.0000000000000000",
        "naa.50",
        "",
    ] {
        assert_eq!(wwn(made_up), None, "{made_up}");
    }
    let made_up = |text: &str| super::identity::made_up(text);
    assert_eq!(
        made_up("t10.ATA     QEMU HARDDISK   QM00001\n").as_deref(),
        Some("t10.ATA     QEMU HARDDISK   QM00001")
    );
    assert_eq!(made_up("nvme.0000-00-00-00000000"), None);
    assert_eq!(
        wwn("naa.5000C500A1B2C3D4\n").as_deref(),
        Some("naa.5000c500a1b2c3d4")
    );
}

proptest::proptest! {
    #[test]
    fn any_page_is_read_without_a_panic(page in proptest::collection::vec(proptest::num::u8::ANY, 0..700)) {
        super::fuzz::door(&page);
    }
}
