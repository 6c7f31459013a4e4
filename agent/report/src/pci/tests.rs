use std::fs;
use std::os::unix::fs::symlink;

use super::*;

#[test]
fn the_function_below_the_bridges() {
    let of = |path: &str| address(Path::new(path));
    let nvme = "devices/pci0000:00/0000:00:1d.0/0000:02:00.0/nvme/nvme0/nvme0n1";
    assert_eq!(of(nvme).as_deref(), Some("0000:02:00.0"));
    let vmd = "devices/pci0000:64/0000:64:05.5/pci10000:00/10000:00:02.0/10000:01:00.0/nvme/nvme0/nvme0n1";
    assert_eq!(of(vmd).as_deref(), Some("10000:01:00.0"));
    assert_eq!(
        of("devices/pci0000:00/ata1/host0/target0:0:0/0:0:0:0/block/sda"),
        None
    );
}

fn machine(functions: &[(&str, &[(&str, &str)])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let sys = dir.path().join("sys");
    fs::create_dir_all(sys.join("bus/pci/devices")).unwrap();
    for (path, files) in functions {
        let device = sys.join("devices").join(path);
        fs::create_dir_all(&device).unwrap();
        for (name, text) in *files {
            fs::write(device.join(name), text).unwrap();
        }
        let name = device.file_name().unwrap();
        symlink(
            Path::new("../../../devices").join(path),
            sys.join("bus/pci/devices").join(name),
        )
        .unwrap();
    }
    dir
}

#[test]
fn a_card_is_reported_with_its_slot_and_a_bridge_is_not() {
    let dir = machine(&[
        (
            "pci0000:3a/0000:3a:00.0",
            &[
                ("class", "0x060400\n"),
                ("vendor", "0x8086\n"),
                ("device", "0x2030\n"),
            ],
        ),
        (
            "pci0000:3a/0000:3a:00.0/0000:3b:00.0",
            &[
                ("class", "0x020000\n"),
                ("vendor", "0x8086\n"),
                ("device", "0x1572\n"),
                ("subsystem_vendor", "0x8086\n"),
                ("subsystem_device", "0x0007\n"),
                ("revision", "0x02\n"),
                ("current_link_speed", "8.0 GT/s PCIe\n"),
                ("current_link_width", "4\n"),
                ("max_link_speed", "8.0 GT/s PCIe\n"),
                ("max_link_width", "8\n"),
                ("numa_node", "-1\n"),
            ],
        ),
        (
            "pci0000:3a/0000:3a:00.0/0000:3b:02.0",
            &[
                ("class", "0x020000\n"),
                ("vendor", "0x8086\n"),
                ("device", "0x154c\n"),
                ("physfn", ""),
            ],
        ),
        (
            "pci0000:00/0000:00:01.0",
            &[
                ("class", "0xffffff\n"),
                ("vendor", "0xffff\n"),
                ("device", "0xffff\n"),
            ],
        ),
    ]);
    let slot = dir.path().join("sys/bus/pci/slots/3");
    fs::create_dir_all(&slot).unwrap();
    fs::write(slot.join("address"), "0000:3b:00\n").unwrap();
    let mut problems = Problems::new("pci");
    let found = collect(&Roots::under(dir.path()), &mut problems);
    let expected = PciDevice {
        address: "0000:3b:00.0".to_owned(),
        class: Some("020000".to_owned()),
        vendor: Some("8086".to_owned()),
        device: Some("1572".to_owned()),
        subsystem_vendor: Some("8086".to_owned()),
        subsystem_device: Some("0007".to_owned()),
        revision: Some("02".to_owned()),
        slot: Some("3".to_owned()),
        link_speed: Some("8.0 GT/s PCIe".to_owned()),
        link_width: Some(4),
        link_width_max: Some(8),
        link_speed_max: Some("8.0 GT/s PCIe".to_owned()),
        ..PciDevice::default()
    };
    assert_eq!(found, [expected]);
    assert!(problems.found.is_empty());
}

#[test]
fn addresses_are_in_the_order_of_hexadecimal_numbers() {
    let files: &[(&str, &str)] = &[
        ("class", "0x020000\n"),
        ("vendor", "0x8086\n"),
        ("device", "0x1572\n"),
    ];
    let addresses = [
        "10000:01:00.0",
        "0000:4b:00.0",
        "0000:0f:00.0",
        "0000:a1:00.0",
        "0000:07:00.1",
        "0000:07:00.0",
    ];
    let paths = addresses.map(|address| format!("pci0000:00/{address}"));
    let functions: Vec<_> = paths.iter().map(|path| (path.as_str(), files)).collect();
    let dir = machine(&functions);
    let found = collect(&Roots::under(dir.path()), &mut Problems::new("pci"));
    let order: Vec<&str> = found.iter().map(|device| device.address.as_str()).collect();
    assert_eq!(
        order,
        [
            "0000:07:00.0",
            "0000:07:00.1",
            "0000:0f:00.0",
            "0000:4b:00.0",
            "0000:a1:00.0",
            "10000:01:00.0"
        ]
    );
}
