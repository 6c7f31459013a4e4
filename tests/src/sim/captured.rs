//! A machine as files: what the agent's collectors read in /sys and /proc, made for one simulated machine.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::Result;
use inventory_api::Mac;

/// A directory with `sys` and `proc` of a machine with one virtio disk and one virtio NIC.
#[derive(Clone, Debug)]
pub struct Captured {
    root: PathBuf,
}

impl Captured {
    pub fn make(root: &Path, serial: &str, mac: Mac, disk_serial: &str, disk_bytes: u64) -> Result<Captured> {
        let captured = Captured {
            root: root.to_owned(),
        };
        let tables = root.join("sys/firmware/dmi/tables");
        fs::create_dir_all(&tables)?;
        captured.firmware(serial)?;
        fs::create_dir_all(root.join("proc/sys/kernel"))?;
        fs::write(
            root.join("proc/meminfo"),
            "MemTotal:       16303908 kB\nMemFree:        15000000 kB\n",
        )?;
        fs::write(root.join("proc/sys/kernel/osrelease"), "6.1.0-sim\n")?;
        fs::write(root.join("proc/cmdline"), "console=ttyS0\n")?;
        fs::write(
            root.join("proc/cpuinfo"),
            "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) Simulated CPU @ 2.40GHz\n\
             physical id\t: 0\ncore id\t\t: 0\ncpu cores\t: 1\nsiblings\t: 1\nflags\t\t: fpu aes avx avx2 vmx\n\n",
        )?;
        captured.nic(0, mac)?;
        captured.disk(disk_serial, disk_bytes)?;
        Ok(captured)
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Replaces the SMBIOS tables: system serial and UUID are derived from `serial`.
    pub fn firmware(&self, serial: &str) -> Result<()> {
        let tables = self.root.join("sys/firmware/dmi/tables");
        let (entry, table) = smbios(serial);
        fs::write(tables.join("DMI"), table)?;
        fs::write(tables.join("smbios_entry_point"), entry)?;
        Ok(())
    }

    /// Adds or replaces NIC number `n`, counted from 0: PCI function `n` of the second slot, `ethN`.
    pub fn nic(&self, n: u8, mac: Mac) -> Result<()> {
        let sys = self.root.join("sys");
        // virtio0 is the first NIC and virtio1 the disk.
        let virtio = if n == 0 { 0 } else { n + 1 };
        let path = format!("devices/pci0000:00/0000:00:02.{n}/virtio{virtio}");
        let device = sys.join(&path);
        let net = device.join(format!("net/eth{n}"));
        if net.exists() {
            fs::write(net.join("address"), format!("{mac}\n"))?;
            return Ok(());
        }
        fs::create_dir_all(&net)?;
        for (name, value) in [
            ("address", mac.to_string()),
            ("carrier", "1".into()),
            ("speed", "10000".into()),
            ("type", "1".into()),
        ] {
            fs::write(net.join(name), format!("{value}\n"))?;
        }
        let pci = sys.join(format!("devices/pci0000:00/0000:00:02.{n}"));
        fs::write(pci.join("vendor"), "0x1af4\n")?;
        fs::write(pci.join("device"), "0x1000\n")?;
        for folder in [
            "bus/pci",
            "bus/virtio/drivers/virtio_net",
            "bus/virtio/drivers/virtio_blk",
            "class/net",
            "block",
        ] {
            fs::create_dir_all(sys.join(folder))?;
        }
        symlink("../../../bus/pci", pci.join("subsystem"))?;
        symlink("../../../../bus/virtio", device.join("subsystem"))?;
        symlink("../../../../bus/virtio/drivers/virtio_net", device.join("driver"))?;
        symlink(format!("../../../virtio{virtio}"), net.join("device"))?;
        symlink(
            format!("../../{path}/net/eth{n}"),
            sys.join(format!("class/net/eth{n}")),
        )?;
        Ok(())
    }

    /// Replaces the disk.
    pub fn disk(&self, serial: &str, bytes: u64) -> Result<()> {
        self.remove_disk()?;
        let sys = self.root.join("sys");
        let device = sys.join("devices/pci0000:00/0000:00:03.0/virtio1");
        let block = device.join("block/vda");
        fs::create_dir_all(block.join("queue"))?;
        for (name, value) in [
            ("size", (bytes / 512).to_string()),
            ("serial", serial.to_owned()),
            ("ro", "0".into()),
            ("removable", "0".into()),
            ("dev", "254:0".into()),
            ("queue/rotational", "1".into()),
            ("queue/logical_block_size", "512".into()),
            ("queue/physical_block_size", "512".into()),
        ] {
            fs::write(block.join(name), format!("{value}\n"))?;
        }
        symlink("../../../virtio1", block.join("device"))?;
        symlink("../../../../bus/virtio", device.join("subsystem"))?;
        symlink("../../../../bus/virtio/drivers/virtio_blk", device.join("driver"))?;
        symlink(
            "../devices/pci0000:00/0000:00:03.0/virtio1/block/vda",
            sys.join("block/vda"),
        )?;
        Ok(())
    }

    /// Removes the disk.
    pub fn remove_disk(&self) -> Result<()> {
        let sys = self.root.join("sys");
        let device = sys.join("devices/pci0000:00/0000:00:03.0");
        if device.exists() {
            fs::remove_dir_all(device)?;
            fs::remove_file(sys.join("block/vda"))?;
        }
        Ok(())
    }
}

/// SMBIOS 3.0 tables: entry point and structures of types 0, 1, 2, 3, 4, 16, 17 and 127.
fn smbios(serial: &str) -> (Vec<u8>, Vec<u8>) {
    let mut table = Vec::new();
    let mut add = |kind: u8, body: &[u8], texts: &[&str]| {
        let handle = u16::from(kind) << 4;
        table.extend([kind, body.len() as u8 + 4]);
        table.extend(handle.to_le_bytes());
        table.extend(body);
        for text in texts {
            table.extend(text.as_bytes());
            table.push(0);
        }
        if texts.is_empty() {
            table.push(0);
        }
        table.push(0);
    };
    // DSP0134 7.1: vendor, version, BIOS segment, date, ROM size, characteristics (8), extension (2),
    // releases (4).
    add(
        0,
        &[1, 2, 0, 0xe0, 3, 15, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 255, 255],
        &["Slipway Sim", "1.0", "11/22/2026"],
    );
    // 7.2: maker, product, version, serial, UUID, wake-up type, SKU, family. The UUID is derived from the
    // serial number.
    let mut body = vec![1, 2, 3, 4];
    let mut uuid = [0x51u8; 16];
    for (i, byte) in serial.bytes().enumerate() {
        uuid[i % 16] = uuid[i % 16].rotate_left(3) ^ byte;
    }
    body.extend(uuid);
    body.extend([6, 5, 6]);
    add(
        1,
        &body,
        &["Slipway", "Simulated Server", "1", serial, "SKU-1", "Sim"],
    );
    add(
        2,
        &[1, 2, 3, 4, 0, 1, 0, 0, 0, 10, 0],
        &["Slipway", "Sim Board", "1", "BOARD-1"],
    );
    add(
        3,
        &[1, 23, 2, 3, 4, 3, 3, 3, 2, 0, 0, 0, 0, 1, 1, 0, 0],
        &["Slipway", "1", "CHASSIS-1", "ASSET-1"],
    );
    // 7.17: location, use (system memory), correction, largest 16 GiB in KiB, error handle, number of
    // devices.
    add(16, &[3, 3, 6, 0, 0, 0, 1, 0xfe, 0xff, 1, 0], &[]);
    // 7.18: array handle 0x100, error handle, widths, 16384 MiB, DIMM, set, locator, bank, DDR4, detail,
    // speed 3200, maker, serial, asset, part, attributes.
    let mut dimm = vec![
        0, 1, 0xfe, 0xff, 72, 0, 64, 0, 0x00, 0x40, 9, 0, 1, 2, 26, 0x80, 0, 0x80, 0x0c, 3, 4, 5, 6, 1,
    ];
    dimm.extend([0, 0, 0, 0, 0x80, 0x0c]);
    add(
        17,
        &dimm,
        &[
            "DIMM A1",
            "BANK 0",
            "Samsung",
            "DIMMSER1",
            "DIMMTAG1",
            "M393A2K43",
        ],
    );
    add(127, &[], &[]);

    // 5.2.2: the 64-bit entry point.
    let mut entry = b"_SM3_\0\x18\x03\x00\x00\x01\x00".to_vec();
    entry.extend((table.len() as u32).to_le_bytes());
    entry.extend(0x20u64.to_le_bytes());
    entry[5] = entry.iter().fold(0u8, |sum, b| sum.wrapping_sub(*b));
    (entry, table)
}

#[cfg(test)]
mod tests {
    use agent::report::{Roots, collect};

    use super::*;

    #[test]
    fn the_collectors_see_the_machine() {
        let dir = tempfile::tempdir().unwrap();
        let mac = Mac([2, 0, 0, 0, 0, 9]);
        let captured = Captured::make(dir.path(), "SIM-9", mac, "SIMDISK-9", 4 << 30).unwrap();
        let report = collect(&Roots::under(captured.root()));
        let system = report.system.as_ref().unwrap();
        assert_eq!(system.serial.as_deref(), Some("SIM-9"), "{:?}", report.problems);
        assert_eq!(report.disks.len(), 1, "{:?}", report.problems);
        assert_eq!(report.disks[0].serial.as_deref(), Some("SIMDISK-9"));
        assert_eq!(report.disks[0].size_bytes, Some(4 << 30));
        assert_eq!(report.nics.len(), 1);
        assert_eq!(report.nics[0].mac, Some(mac));
        assert_eq!(report.memory.slots.len(), 1);
        captured.remove_disk().unwrap();
        assert!(collect(&Roots::under(captured.root())).disks.is_empty());
    }
}
