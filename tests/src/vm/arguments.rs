//! QEMU's command line.

use std::path::Path;

use super::smbios::uuid_of;
use super::{Firmware, Nic, VmSpec};
use crate::accelerator::accelerator;

/// The arguments of QEMU.
///
/// `tap`: the device of its network card; `directory`: its files; `console`: the log of its serial console.
pub(super) fn arguments(spec: &VmSpec, tap: &str, directory: &Path, console: &Path) -> Vec<String> {
    let path = |name: &str| directory.join(name).display().to_string();
    let serial = spec.system_serial();
    // AAVMF's network boot needs random numbers.
    let words = ["-nodefaults", "-display", "none", "-device", "virtio-rng-pci"];
    let mut words: Vec<String> = words.map(str::to_owned).to_vec();
    let mut add = |option: &str, value: String| words.extend([option.to_owned(), value]);
    if spec.firmware == Firmware::Arm64 {
        add("-machine", "virt".to_owned());
        add("-cpu", "cortex-a57".to_owned());
        // The processor is emulated, whatever the host has.
        add("-accel", "tcg,thread=multi".to_owned());
    } else {
        let smm = if spec.firmware.is_secure() { ",smm=on" } else { "" };
        add("-machine", format!("q35,smbios-entry-point-type=64{smm}"));
        add("-accel", accelerator().to_owned());
        // A screen, for screendumps; it needs no driver.
        add("-vga", "std".to_owned());
    }
    add("-m", spec.memory_mib.to_string());
    // With Secure Boot every call into system management mode stops all processors; emulated, a second one
    // cost a boot 15 of its 30 seconds.
    let processors = match (spec.rack.is_some(), spec.firmware.is_secure()) {
        (true, _) => "2,sockets=2,cores=1",
        (false, true) => "1",
        (false, false) => "2",
    };
    add("-smp", processors.to_owned());
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
    add(
        "-netdev",
        format!("tap,id=net0,ifname={tap},script=no,downscript=no"),
    );
    add(
        "-device",
        format!("{model},netdev=net0,mac={}{rom}{first}", spec.mac),
    );
    add(
        "-drive",
        format!(
            "if=none,id=disk0,format=raw,discard=unmap,cache=unsafe,file={}",
            path("disk.raw")
        ),
    );
    add(
        "-device",
        format!("virtio-blk-pci,drive=disk0,serial={}{second}", spec.disk_serial),
    );
    if spec.firmware.is_uefi() {
        let [code, _] = spec.firmware.files();
        add(
            "-drive",
            format!("if=pflash,format=raw,unit=0,readonly=on,file={code}"),
        );
        add(
            "-drive",
            format!("if=pflash,format=raw,unit=1,file={}", path("vars.fd")),
        );
        for (version, on) in [4, 6].into_iter().zip(spec.firmware.pxe()) {
            let on = if on { "yes" } else { "no" };
            add(
                "-fw_cfg",
                format!("name=opt/org.tianocore/IPv{version}PXESupport,string={on}"),
            );
        }
        if spec.firmware.is_secure() {
            // Only firmware may write its variables, in system management mode.
            add(
                "-global",
                "driver=cfi.pflash01,property=secure,value=on".to_owned(),
            );
            add("-global", "ICH9-LPC.disable_s3=1".to_owned());
        }
    }
    add(
        "-smbios",
        "type=0,vendor=Slipway Lab,version=1.0,date=11/22/2026".to_owned(),
    );
    add(
        "-smbios",
        format!(
            "type=1,manufacturer=Slipway,product=Virtual Server,version=1,serial={serial},uuid={}",
            uuid_of(&spec.mac)
        ),
    );
    add(
        "-smbios",
        format!("type=2,manufacturer=Slipway,product=Board,version=1,serial=B{serial}"),
    );
    add(
        "-smbios",
        format!("type=3,manufacturer=Slipway,version=1,serial=C{serial},asset=A-1"),
    );
    // QEMU makes one module of any memory below 16 GiB.
    if spec.dimms > 1 {
        for index in 0..spec.dimms {
            add("-smbios", format!("file={}", path(&format!("dimm{index}.bin"))));
        }
    } else {
        add(
            "-smbios",
            format!("type=17,loc_pfx=DIMM,bank=B,manufacturer=Samsung,serial=M{serial},part=M393,speed=3200"),
        );
    }
    let socket = |name: &str| format!("path={},server=on,wait=off", path(name));
    // One log for each power-on, so that a wait does not find text of the previous boot.
    add(
        "-chardev",
        format!(
            "socket,id=console,{},logfile={},logappend=on",
            socket("console.sock"),
            console.display()
        ),
    );
    add("-serial", "chardev:console".to_owned());
    add("-chardev", format!("socket,id=qmp,{}", socket("qmp.sock")));
    add("-qmp", "chardev:qmp".to_owned());
    if let Some(rack) = &spec.rack {
        words.extend(rack.arguments(directory, &spec.name, &spec.mac));
    }
    words
}
