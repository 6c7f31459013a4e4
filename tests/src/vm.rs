//! A virtual server: QEMU with real firmware, a file as its disk, and a log of its serial console.

mod arguments;
mod smbios;
mod spec;

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::artefacts::run_directory;
use crate::child::Owned;
use crate::hardware::Rack;
use crate::qmp::Qmp;
use crate::wait;

pub use spec::{Firmware, Nic, VmSpec};

/// A virtual server. Its files are in a temporary directory that is removed with it.
pub struct Vm {
    spec: VmSpec,
    tap: String,
    directory: tempfile::TempDir,
    process: Option<Owned>,
    tpm: Option<Owned>,
    /// The serial console's input; open once something was typed.
    keyboard: Mutex<Option<UnixStream>>,
    starts: u32,
}

impl Vm {
    /// Makes disk and firmware variables; the server is still off.
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
                smbios::dimm(&spec, index),
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
            keyboard: Mutex::default(),
            starts: 0,
        })
    }

    pub fn spec(&self) -> &VmSpec {
        &self.spec
    }

    /// The disk, a sparse file.
    pub fn disk(&self) -> PathBuf {
        self.file("disk.raw")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn power_on(&mut self) -> Result<()> {
        if self.process.is_some() {
            bail!("{} is powered on already", self.spec.name);
        }
        self.starts += 1;
        self.keyboard = Mutex::default();
        if self.spec.rack.is_some() {
            self.tpm = Some(Rack::tpm(self.directory.path())?);
        }
        let mut command = Command::new(self.spec.firmware.program());
        command.args(arguments::arguments(
            &self.spec,
            &self.tap,
            self.directory.path(),
            &self.console_path(),
        ));
        self.process = Some(Owned::start(command, &self.file("qemu.log"))?);
        Ok(())
    }

    /// The serial console's log of the current power-on.
    pub fn console_path(&self) -> PathBuf {
        self.file(&format!("console-{}.log", self.starts))
    }

    /// The serial console's output since the current power-on.
    pub fn console(&self) -> String {
        std::fs::read(self.console_path())
            .map(|b| String::from_utf8_lossy(&b).into_owned())
            .unwrap_or_default()
    }

    /// Waits until the console shows `text`. Fails with the console's last lines on timeout or if QEMU ends.
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

    /// The console's last lines, without control sequences.
    pub fn tail(&self, lines: usize) -> String {
        let text = self.console();
        let all: Vec<&str> = text.lines().collect();
        let last = all[all.len().saturating_sub(lines)..].join("\n");
        last.chars().filter(|c| !c.is_control() || *c == '\n').collect()
    }

    /// QEMU's own output, e.g. why it ended.
    pub fn qemu_log(&self) -> String {
        std::fs::read_to_string(self.file("qemu.log")).unwrap_or_default()
    }

    /// Types a line on the serial console.
    pub fn type_line(&self, line: &str) -> Result<()> {
        let mut keyboard = self.keyboard.lock().unwrap_or_else(PoisonError::into_inner);
        // It stays connected: when the other end hangs up, QEMU drops what has not passed the serial port
        // yet.
        let stream = match &mut *keyboard {
            Some(stream) => stream,
            none => {
                let stream = UnixStream::connect(self.file("console.sock"))?;
                let mut screen = stream.try_clone()?;
                // The output is in the log, but the serial port stalls unless somebody reads it here.
                std::thread::spawn(move || std::io::copy(&mut screen, &mut std::io::sink()));
                none.insert(stream)
            }
        };
        stream.write_all(format!("{line}\r").as_bytes())?;
        Ok(())
    }

    /// Presses a key, by QEMU's name for it ("a", "ret").
    pub fn press(&self, key: &str) -> Result<()> {
        let keys = json!({"keys": [{"type": "qcode", "data": key}]});
        self.qmp()?.execute("send-key", keys).map(drop)
    }

    /// Waits until the VGA screen shows `text`; on timeout fails with the screen's content.
    pub async fn wait_screen(&self, text: &str, within: Duration) -> Result<()> {
        wait::until(&format!("{text:?} on the screen"), within, async || {
            Ok(self.screen_text()?.contains(text).then_some(()))
        })
        .await
        .with_context(|| self.screen_text().unwrap_or_default())
    }

    /// Connects to QEMU's machine protocol.
    pub fn qmp(&self) -> Result<Qmp> {
        let path = self.file("qmp.sock");
        wait::until_blocking("QEMU's QMP socket", Duration::from_secs(10), || {
            Ok(Qmp::connect(&path).ok())
        })
    }

    /// Presses the reset button.
    pub fn reset(&self) -> Result<()> {
        self.qmp()?.execute("system_reset", json!({})).map(drop)
    }

    /// Takes a picture of the screen, as PPM.
    pub fn screendump(&self, file: &Path) -> Result<()> {
        self.qmp()?
            .execute("screendump", json!({"filename": file}))
            .map(drop)
    }

    /// The characters in VGA text memory, in rows of 80 (code page 437, without attributes). All 32 KiB: the
    /// kernel scrolls by moving the start of the screen, so the screen is somewhere in it, together with what
    /// has scrolled away.
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

    pub fn is_on(&mut self) -> Result<bool> {
        match &mut self.process {
            Some(process) => Ok(process.ended()?.is_none()),
            None => Ok(false),
        }
    }
}
