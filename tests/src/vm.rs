//! A virtual server: QEMU with real firmware, a disk that is a file, and a serial console that is kept.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::accelerator::accelerator;
use crate::artefacts::run_directory;
use crate::child::Owned;
use crate::hardware::{self, Rack};
use crate::qmp::Qmp;
use crate::wait;

/// Which firmware the virtual server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// SeaBIOS; its network card has iPXE as option ROM.
    Bios,
    /// OVMF with EDK2's own PXE client (the card's ROM is taken out).
    Uefi,
    /// OVMF that boots by UEFI HTTP boot.
    UefiHttp,
    /// OVMF with Microsoft's keys and Secure Boot on, by PXE first.
    SecureBoot,
    /// The same by UEFI HTTP boot.
    SecureBootHttp,
}

impl Firmware {
    /// OVMF, not SeaBIOS.
    pub fn is_uefi(self) -> bool {
        self != Firmware::Bios
    }

    fn is_secure(self) -> bool {
        matches!(self, Firmware::SecureBoot | Firmware::SecureBootHttp)
    }

    /// Its code and its variables as delivered.
    fn files(self) -> [&'static str; 2] {
        match self {
            _ if self.is_secure() => [
                "/usr/share/OVMF/OVMF_CODE_4M.ms.fd",
                "/usr/share/OVMF/OVMF_VARS_4M.ms.fd",
            ],
            _ => [
                "/usr/share/OVMF/OVMF_CODE_4M.fd",
                "/usr/share/OVMF/OVMF_VARS_4M.fd",
            ],
        }
    }
}

impl std::str::FromStr for Firmware {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Firmware> {
        match text {
            "bios" => Ok(Firmware::Bios),
            "uefi" => Ok(Firmware::Uefi),
            _ => bail!("{text:?} is no firmware: FIRMWARE=bios or FIRMWARE=uefi"),
        }
    }
}

impl std::fmt::Display for Firmware {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Firmware::Bios => "bios",
            Firmware::Uefi => "uefi",
            Firmware::UefiHttp => "uefi-http",
            Firmware::SecureBoot => "secure-boot",
            Firmware::SecureBootHttp => "secure-boot-http",
        })
    }
}

/// What a virtual server is made of.
#[derive(Clone, Debug)]
pub struct VmSpec {
    /// For file names and SMBIOS serial numbers.
    pub name: String,
    /// Firmware.
    pub firmware: Firmware,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Number of memory modules that it is in.
    pub dimms: u32,
    /// MAC of its network card.
    pub mac: String,
    /// Serial number of its disk.
    pub disk_serial: String,
    /// Size of its disk in bytes.
    pub disk_bytes: u64,
    /// More hardware; it then decides over memory and modules.
    pub rack: Option<Rack>,
}

impl VmSpec {
    /// A server with a 6 GiB disk and 1 GiB of memory.
    pub fn new(name: &str, firmware: Firmware) -> VmSpec {
        let last = name
            .bytes()
            .fold(0u8, |sum, b| sum.wrapping_mul(31).wrapping_add(b));
        VmSpec {
            name: name.to_owned(),
            firmware,
            memory_mib: 1024,
            dimms: 1,
            mac: format!("52:54:00:77:00:{last:02x}"),
            disk_serial: format!("DISK-{}", name.to_uppercase()),
            disk_bytes: 6 << 30,
            rack: None,
        }
    }

    /// A server with the hardware of a real one.
    pub fn rack(name: &str, firmware: Firmware, rack: Rack) -> VmSpec {
        VmSpec {
            memory_mib: rack.memory_mib(),
            dimms: hardware::SLOTS,
            rack: Some(rack),
            ..VmSpec::new(name, firmware)
        }
    }

    /// The module in a slot, MiB; 0: none.
    fn module_mib(&self, index: u32) -> u32 {
        match &self.rack {
            Some(rack) if rack.empty.contains(&index) => 0,
            Some(_) => hardware::MODULE_MIB,
            None => self.memory_mib / self.dimms,
        }
    }

    /// The system serial number that its SMBIOS tells.
    pub fn system_serial(&self) -> String {
        format!("SN-{}", self.name.to_uppercase())
    }
}

/// A virtual server. Its files are in a temporary directory that goes with it.
pub struct Vm {
    spec: VmSpec,
    tap: String,
    directory: tempfile::TempDir,
    process: Option<Owned>,
    tpm: Option<Owned>,
    starts: u32,
}

impl Vm {
    /// Makes disk and firmware variables; it is not powered on yet.
    ///
    /// # Errors
    /// A file cannot be made.
    pub fn new(spec: VmSpec, tap: String) -> Result<Vm> {
        let directory = run_directory(&spec.name)?;
        let disk = std::fs::File::create(directory.path().join("disk.raw"))?;
        disk.set_len(spec.disk_bytes)?;
        if spec.firmware.is_uefi() {
            let [_, variables] = spec.firmware.files();
            std::fs::copy(variables, directory.path().join("vars.fd"))
                .with_context(|| format!("copying {variables}: is the package ovmf installed?"))?;
        }
        for index in (0..spec.dimms).filter(|_| spec.dimms > 1) {
            std::fs::write(
                directory.path().join(format!("dimm{index}.bin")),
                dimm(&spec, index),
            )?;
        }
        if let Some(rack) = &spec.rack {
            rack.files(directory.path())?;
        }
        Ok(Vm {
            spec,
            tap,
            directory,
            process: None,
            tpm: None,
            starts: 0,
        })
    }

    /// What it is made of.
    pub fn spec(&self) -> &VmSpec {
        &self.spec
    }

    /// The disk: a sparse file.
    pub fn disk(&self) -> PathBuf {
        self.file("disk.raw")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Powers it on.
    ///
    /// # Errors
    /// It runs already, or QEMU cannot be started.
    pub fn power_on(&mut self) -> Result<()> {
        if self.process.is_some() {
            bail!("{} is powered on already", self.spec.name);
        }
        self.starts += 1;
        if self.spec.rack.is_some() {
            self.tpm = Some(Rack::tpm(self.directory.path())?);
        }
        let mut command = Command::new("qemu-system-x86_64");
        command.args(self.arguments());
        self.process = Some(Owned::start(command, &self.file("qemu.log"))?);
        Ok(())
    }

    /// The QEMU command line without the program.
    fn arguments(&self) -> Vec<String> {
        let spec = &self.spec;
        let path = |name: &str| self.file(name).display().to_string();
        let serial = spec.system_serial();
        let mut words: Vec<String> = [
            "-nodefaults",
            "-display",
            "none",
            // A screen for the page's sake and for screendump; nothing needs a driver for it.
            "-vga",
            "std",
            "-device",
            "virtio-rng-pci",
        ]
        .map(str::to_owned)
        .to_vec();
        let mut add = |option: &str, value: String| words.extend([option.to_owned(), value]);
        let smm = if spec.firmware.is_secure() { ",smm=on" } else { "" };
        add("-machine", format!("q35,smbios-entry-point-type=64{smm}"));
        add("-accel", accelerator().to_owned());
        add("-m", spec.memory_mib.to_string());
        add(
            "-smp",
            if spec.rack.is_some() {
                "2,sockets=2,cores=1"
            } else {
                "2"
            }
            .to_owned(),
        );
        // virtio's network card and disk. BIOS: the network first, the server decides each boot. UEFI keeps its boot order
        // in its own variables, as a real server does (with bootindex OVMF makes it anew at each start): the empty disk
        // fails, the network is next, and the agent leaves an order behind.
        let (nic, disk) = match spec.firmware {
            Firmware::Bios => (",bootindex=1", ",bootindex=2"),
            _ => (",romfile=", ""),
        };
        add(
            "-netdev",
            format!("tap,id=net0,ifname={},script=no,downscript=no", self.tap),
        );
        add(
            "-device",
            format!("virtio-net-pci,netdev=net0,mac={}{nic}", spec.mac),
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
            format!("virtio-blk-pci,drive=disk0,serial={}{disk}", spec.disk_serial),
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
            add(
                "-fw_cfg",
                "name=opt/org.tianocore/IPv6PXESupport,string=no".to_owned(),
            );
            if matches!(spec.firmware, Firmware::UefiHttp | Firmware::SecureBootHttp) {
                add(
                    "-fw_cfg",
                    "name=opt/org.tianocore/IPv4PXESupport,string=no".to_owned(),
                );
            }
            if spec.firmware.is_secure() {
                // The variables are the firmware's alone: written in system management mode.
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
        // QEMU itself makes one module of anything below 16 GiB.
        if spec.dimms > 1 {
            for index in 0..spec.dimms {
                add("-smbios", format!("file={}", path(&format!("dimm{index}.bin"))));
            }
        } else {
            add(
                "-smbios",
                format!(
                    "type=17,loc_pfx=DIMM,bank=B,manufacturer=Samsung,serial=M{serial},part=M393,speed=3200"
                ),
            );
        }
        let socket = |name: &str| format!("path={},server=on,wait=off", path(name));
        // One log for each power-on, so that a wait does not find the text of the boot before.
        let log = self.console_path();
        add(
            "-chardev",
            format!(
                "socket,id=console,{},logfile={},logappend=on",
                socket("console.sock"),
                log.display()
            ),
        );
        add("-serial", "chardev:console".to_owned());
        add("-chardev", format!("socket,id=qmp,{}", socket("qmp.sock")));
        add("-qmp", "chardev:qmp".to_owned());
        if let Some(rack) = &spec.rack {
            words.extend(rack.arguments(self.directory.path(), &spec.name, &spec.mac));
        }
        words
    }

    /// The serial console of the current power-on.
    pub fn console_path(&self) -> PathBuf {
        self.file(&format!("console-{}.log", self.starts))
    }

    /// What the serial console of the current power-on has shown.
    pub fn console(&self) -> String {
        std::fs::read(self.console_path())
            .map(|b| String::from_utf8_lossy(&b).into_owned())
            .unwrap_or_default()
    }

    /// Waits until the console of this power-on shows `text`.
    ///
    /// # Errors
    /// The deadline passed or QEMU ended: with the console's last lines.
    pub async fn wait_console(&mut self, text: &str, within: Duration) -> Result<()> {
        let what = format!("{text:?} on the console of {}", self.spec.name);
        let start = std::time::Instant::now();
        loop {
            if self.console().contains(text) {
                return Ok(());
            }
            if let Some(process) = &mut self.process
                && let Some(status) = process.ended()?
            {
                let log = std::fs::read_to_string(self.file("qemu.log")).unwrap_or_default();
                bail!("QEMU ended ({status}) before {what}: {log}");
            }
            if start.elapsed() > within {
                bail!(
                    "waited {} s for {what}; its last lines:\n{}",
                    within.as_secs(),
                    self.tail(25)
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The last lines of the console, without control sequences.
    pub fn tail(&self, lines: usize) -> String {
        let text = self.console();
        let all: Vec<&str> = text.lines().collect();
        let last = all[all.len().saturating_sub(lines)..].join("\n");
        last.chars().filter(|c| !c.is_control() || *c == '\n').collect()
    }

    /// What QEMU itself has said, e.g. why it ended.
    pub fn qemu_log(&self) -> String {
        std::fs::read_to_string(self.file("qemu.log")).unwrap_or_default()
    }

    /// Types a line on the serial console.
    ///
    /// # Errors
    /// It is powered off.
    pub fn type_line(&self, line: &str) -> Result<()> {
        let mut stream = UnixStream::connect(self.file("console.sock"))?;
        stream.write_all(format!("{line}\r").as_bytes())?;
        Ok(())
    }

    /// The machine protocol.
    ///
    /// # Errors
    /// It is powered off.
    pub fn qmp(&self) -> Result<Qmp> {
        let path = self.file("qmp.sock");
        wait::until_blocking("QEMU's QMP socket", Duration::from_secs(10), || {
            Ok(Qmp::connect(&path).ok())
        })
    }

    /// The reset button.
    ///
    /// # Errors
    /// It is powered off.
    pub fn reset(&self) -> Result<()> {
        self.qmp()?.execute("system_reset", json!({})).map(drop)
    }

    /// A picture of the screen, as PPM.
    ///
    /// # Errors
    /// It is powered off, or the file cannot be written.
    pub fn screendump(&self, file: &Path) -> Result<()> {
        self.qmp()?
            .execute("screendump", json!({"filename": file}))
            .map(drop)
    }

    /// The characters of the VGA text memory, rows of 80 (code page 437, attributes left out). All 32 KiB of it: the kernel
    /// scrolls by moving the screen's start, so the screen is somewhere in there, with what has scrolled away before it.
    ///
    /// # Errors
    /// It is powered off, or its memory cannot be read.
    pub fn screen_text(&self) -> Result<String> {
        let file = self.file("screen.bin");
        self.qmp()?.execute(
            "pmemsave",
            json!({"val": 0xb8000, "size": 0x8000, "filename": file}),
        )?;
        let cells = std::fs::read(&file)?;
        let character = |code: u8| match code {
            0xdb => '\u{2588}',
            0xdc => '\u{2584}',
            0xdf => '\u{2580}',
            0x20..=0x7e => char::from(code),
            _ => ' ',
        };
        let rows = cells
            .chunks(160)
            .map(|row| row.iter().step_by(2).map(|c| character(*c)).collect::<String>());
        Ok(rows
            .map(|r| r.trim_end().to_owned())
            .collect::<Vec<_>>()
            .join("\n"))
    }

    /// Pulls the plug.
    pub fn power_off(&mut self) {
        self.process = None;
        self.tpm = None;
    }

    /// True while QEMU runs.
    ///
    /// # Errors
    /// The kernel does not know the process.
    pub fn is_on(&mut self) -> Result<bool> {
        match &mut self.process {
            Some(process) => Ok(process.ended()?.is_none()),
            None => Ok(false),
        }
    }
}

/// A UUID of version 4 shape made from a MAC: the same machine has the same one in every run.
fn uuid_of(mac: &str) -> String {
    let digits: String = mac.chars().filter(|c| *c != ':').collect();
    format!("51495057-4159-4000-8000-{digits}")
}

/// One memory module as SMBIOS type 17 (specification 3.6, 7.18; the layout of version 2.8).
fn dimm(spec: &VmSpec, index: u32) -> Vec<u8> {
    const LENGTH: u8 = 0x28;
    let mut bytes = vec![17, LENGTH];
    let mut word = |value: u16| bytes.extend(value.to_le_bytes());
    word(0x1100 + index as u16); // handle
    word(0x1000); // QEMU's physical memory array
    word(0xfffe); // no error information
    word(72); // total width, with ECC
    word(64); // data width
    word(spec.module_mib(index) as u16); // MiB, below 32 GiB; 0: nothing in the slot
    // Form factor DIMM, no set, strings 1 and 2 for slot and bank, DDR4, synchronous.
    bytes.extend([9, 0, 1, 2, 0x1a, 0x80, 0]);
    bytes.extend(3200u16.to_le_bytes());
    // Strings for maker, serial number, asset tag (none), part; two ranks.
    bytes.extend([3, 4, 0, 5, 2]);
    bytes.extend(0u32.to_le_bytes());
    bytes.extend(3200u16.to_le_bytes());
    for millivolts in [1200u16; 3] {
        bytes.extend(millivolts.to_le_bytes());
    }
    debug_assert_eq!(bytes.len(), usize::from(LENGTH));
    let slot = char::from(b'A' + index as u8);
    let strings = [
        format!("DIMM_{slot}1"),
        format!("NODE 0 CHANNEL {index}"),
        "Samsung".to_owned(),
        format!("M{}-{slot}", spec.system_serial()),
        "M393A2K43DB3-CWE".to_owned(),
    ];
    for text in strings {
        bytes.extend(text.bytes());
        bytes.push(0);
    }
    bytes.push(0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spec_has_its_own_identity() {
        let (a, b) = (VmSpec::new("a", Firmware::Bios), VmSpec::new("b", Firmware::Bios));
        assert_ne!(a.mac, b.mac);
        assert_ne!(a.disk_serial, b.disk_serial);
        assert_ne!(a.system_serial(), b.system_serial());
        assert_ne!(uuid_of(&a.mac), uuid_of(&b.mac));
    }
}
