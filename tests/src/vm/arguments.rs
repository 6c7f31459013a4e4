//! QEMU's command line.

use std::path::Path;

use super::smbios::uuid_of;
use super::{Firmware, Nic, VmSpec};
use crate::accelerator::accelerator;

/// The arguments of QEMU.
///
/// `tap`: the device of its network card; `directory`: its files; `console`: the log of its serial console.
pub(super) fn arguments(spec: &VmSpec, tap: &str, directory: &Path, console: &Path) -> Vec<String> {
    // AAVMF's network boot needs random numbers.
    let words = ["-nodefaults", "-display", "none", "-device", "virtio-rng-pci"];
    let mut arguments = Arguments {
        spec,
        directory,
        words: words.map(str::to_owned).to_vec(),
    };
    arguments.machine();
    arguments.network_and_disk(tap);
    if spec.firmware.is_uefi() {
        arguments.uefi();
    }
    arguments.smbios();
    arguments.consoles(console);
    let mut words = arguments.words;
    if let Some(rack) = &spec.rack {
        words.extend(rack.arguments(directory, &spec.name, &spec.mac));
    }
    words
}

struct Arguments<'a> {
    spec: &'a VmSpec,
    directory: &'a Path,
    words: Vec<String>,
}

impl Arguments<'_> {
    fn add(&mut self, option: &str, value: impl Into<String>) {
        self.words.extend([option.to_owned(), value.into()]);
    }

    fn path(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    fn machine(&mut self) {
        let spec = self.spec;
        if spec.firmware == Firmware::Arm64 {
            self.add("-machine", "virt");
            self.add("-cpu", "cortex-a57");
            // The processor is emulated, whatever the host has.
            self.add("-accel", "tcg,thread=multi");
        } else {
            let smm = if spec.firmware.is_secure() { ",smm=on" } else { "" };
            self.add("-machine", format!("q35,smbios-entry-point-type=64{smm}"));
            self.add("-accel", accelerator());
            // A screen, for screendumps; it needs no driver.
            self.add("-vga", "std");
        }
        self.add("-m", spec.memory_mib.to_string());
        // With Secure Boot every call into system management mode stops all processors; emulated, a second
        // one cost a boot 15 of its 30 seconds.
        let processors = match (spec.rack.is_some(), spec.firmware.is_secure()) {
            (true, _) => "2,sockets=2,cores=1",
            (false, true) => "1",
            (false, false) => "2",
        };
        self.add("-smp", processors);
    }

    fn network_and_disk(&mut self, tap: &str) {
        let spec = self.spec;
        // BIOS: the network first, and the server decides each boot. UEFI keeps its boot order in its own
        // variables, as a real server does (with bootindex OVMF would make it again at each start): the empty
        // disk fails, the network is next, and the agent leaves an order behind.
        let (first, second) = match spec.network_first || spec.firmware == Firmware::Bios {
            true => (",bootindex=1", ",bootindex=2"),
            false => ("", ""),
        };
        let rom = match (spec.firmware, spec.nic) {
            (Firmware::Bios, _) | (_, Nic::E1000e) => "",
            (_, Nic::Virtio) => ",romfile=",
        };
        let model = match spec.nic {
            Nic::Virtio => "virtio-net-pci",
            Nic::E1000e => "e1000e",
        };
        let card = format!("{model},netdev=net0,mac={}{rom}{first}", spec.mac);
        self.add(
            "-netdev",
            format!("tap,id=net0,ifname={tap},script=no,downscript=no"),
        );
        self.add("-device", card);
        let file = self.path("disk.raw");
        let drive = format!("if=none,id=disk0,format=raw,discard=unmap,cache=unsafe,file={file}");
        self.add("-drive", drive);
        let disk = format!("virtio-blk-pci,drive=disk0,serial={}{second}", spec.disk_serial);
        self.add("-device", disk);
    }

    fn uefi(&mut self) {
        let firmware = self.spec.firmware;
        let [code, _] = firmware.files();
        let variables = self.path("vars.fd");
        self.add(
            "-drive",
            format!("if=pflash,format=raw,unit=0,readonly=on,file={code}"),
        );
        self.add("-drive", format!("if=pflash,format=raw,unit=1,file={variables}"));
        for (version, on) in [4, 6].into_iter().zip(firmware.pxe()) {
            let on = if on { "yes" } else { "no" };
            let value = format!("name=opt/org.tianocore/IPv{version}PXESupport,string={on}");
            self.add("-fw_cfg", value);
        }
        if firmware.is_secure() {
            // Only firmware may write its variables, in system management mode.
            self.add("-global", "driver=cfi.pflash01,property=secure,value=on");
            self.add("-global", "ICH9-LPC.disable_s3=1");
        }
    }

    fn smbios(&mut self) {
        let (serial, uuid) = (self.spec.system_serial(), uuid_of(&self.spec.mac));
        let mut tables = vec![
            "type=0,vendor=Slipway Lab,version=1.0,date=11/22/2026".to_owned(),
            format!(
                "type=1,manufacturer=Slipway,product=Virtual Server,version=1,serial={serial},uuid={uuid}"
            ),
            format!("type=2,manufacturer=Slipway,product=Board,version=1,serial=B{serial}"),
            format!("type=3,manufacturer=Slipway,version=1,serial=C{serial},asset=A-1"),
        ];
        // QEMU makes one module of any memory below 16 GiB.
        match self.spec.dimms {
            0 | 1 => tables.push(format!(
                "type=17,loc_pfx=DIMM,bank=B,manufacturer=Samsung,serial=M{serial},part=M393,speed=3200"
            )),
            dimms => {
                let file = |index| format!("file={}", self.path(&format!("dimm{index}.bin")));
                tables.extend((0..dimms).map(file));
            }
        }
        for table in tables {
            self.add("-smbios", table);
        }
    }

    fn consoles(&mut self, log: &Path) {
        let socket = |name: &str| format!("path={},server=on,wait=off", self.path(name));
        let (console, qmp) = (socket("console.sock"), socket("qmp.sock"));
        // One log for each power-on, so that a wait does not find text of the previous boot.
        let log = log.display();
        self.add(
            "-chardev",
            format!("socket,id=console,{console},logfile={log},logappend=on"),
        );
        self.add("-serial", "chardev:console");
        self.add("-chardev", format!("socket,id=qmp,{qmp}"));
        self.add("-qmp", "chardev:qmp");
    }
}
