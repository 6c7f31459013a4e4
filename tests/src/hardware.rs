//! A virtual server with the hardware of a real one: two sockets, eight memory slots, disks of three kinds,
//! two NICs, a BMC and a TPM.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::child::Owned;
use crate::wait;

pub const MODULE_MIB: u32 = 128;
pub const SLOTS: u32 = 8;

/// What a rack server has besides processor and boot NIC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rack {
    /// Slots without a module, counted from 0.
    pub empty: Vec<u32>,
    pub sata_bytes: u64,
    /// Its clock at power-on, as after its battery died: "2010-01-01T00:00:00"; `None`: the right time.
    pub clock: Option<&'static str>,
}

impl Rack {
    /// As ordered: the last slot is empty.
    pub fn ordered() -> Rack {
        Rack {
            empty: vec![SLOTS - 1],
            sata_bytes: 2 << 30,
            clock: None,
        }
    }

    pub fn memory_mib(&self) -> u32 {
        (SLOTS - self.empty.len() as u32) * MODULE_MIB
    }

    pub fn nvme_serial(name: &str) -> String {
        format!("NVME-{}", name.to_uppercase())
    }

    pub fn sata_serial(name: &str) -> String {
        format!("SATA-{}", name.to_uppercase())
    }

    pub(crate) fn files(&self, directory: &Path) -> Result<()> {
        for (file, bytes) in [
            ("nvme.raw", 1 << 30),
            ("sata.raw", self.sata_bytes),
            ("sd.raw", 1 << 30),
        ] {
            std::fs::File::create(directory.join(file))?.set_len(bytes)?;
        }
        std::fs::create_dir_all(directory.join("tpm"))?;
        Ok(())
    }

    /// Starts its TPM and waits until it listens. It stops when the result is dropped.
    pub(crate) fn tpm(directory: &Path) -> Result<Owned> {
        let socket = directory.join("tpm.sock");
        let mut command = Command::new("swtpm");
        command.arg("socket").arg("--tpm2").arg("--tpmstate");
        command.arg(format!("dir={}", directory.join("tpm").display()));
        command
            .arg("--ctrl")
            .arg(format!("type=unixio,path={}", socket.display()));
        let process = Owned::start(command, &directory.join("swtpm.log"))
            .context("starting swtpm: is the package swtpm installed?")?;
        wait::until_blocking("swtpm's socket", Duration::from_secs(10), || {
            Ok(socket.exists().then_some(()))
        })?;
        Ok(process)
    }

    /// Its part of QEMU's command line.
    pub(crate) fn arguments(&self, directory: &Path, name: &str, mac: &str) -> Vec<String> {
        let file = |name: &str| -> PathBuf { directory.join(name) };
        let drive = |id: &str| {
            let path = file(&format!("{id}.raw"));
            format!(
                "if=none,id={id},format=raw,discard=unmap,cache=unsafe,file={}",
                path.display()
            )
        };
        // The second NIC's MAC differs from the first one's in the third byte.
        let second = mac.replacen("52:54:00:77", "52:54:00:88", 1);
        let pairs = [
            ("-drive", drive("nvme")),
            (
                "-device",
                format!("nvme,drive=nvme,serial={}", Rack::nvme_serial(name)),
            ),
            ("-drive", drive("sata")),
            (
                "-device",
                format!(
                    "ide-hd,drive=sata,bus=ide.0,model=SLIPWAY SATA,serial={}",
                    Rack::sata_serial(name)
                ),
            ),
            // Not connected: no netdev.
            ("-device", format!("e1000e,mac={second},romfile=")),
            ("-device", "ipmi-bmc-sim,id=bmc0".to_owned()),
            ("-device", "isa-ipmi-kcs,bmc=bmc0".to_owned()),
            (
                "-chardev",
                format!("socket,id=tpm,path={}", file("tpm.sock").display()),
            ),
            ("-tpmdev", "emulator,id=tpm0,chardev=tpm".to_owned()),
            ("-device", "tpm-tis,tpmdev=tpm0".to_owned()),
            ("-drive", drive("sd")),
            ("-device", "sdhci-pci".to_owned()),
            ("-device", "sd-card,drive=sd".to_owned()),
        ];
        let clock = self.clock.map(|base| ("-rtc", format!("base={base}")));
        pairs
            .into_iter()
            .chain(clock)
            .flat_map(|(option, value)| [option.to_owned(), value])
            .collect()
    }
}
