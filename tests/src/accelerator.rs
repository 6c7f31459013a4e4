//! KVM where it works, otherwise software emulation.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Result;

use crate::artefacts::state;
use crate::child::Owned;
use crate::wait;

/// "kvm" if a guest runs with it, otherwise software emulation. /dev/kvm alone proves nothing: on some hosts
/// it opens, and guests hang at their first instruction.
pub fn accelerator() -> &'static str {
    static FOUND: OnceLock<&str> = OnceLock::new();
    FOUND.get_or_init(|| {
        if kvm_runs_cached() {
            "kvm"
        } else {
            "tcg,thread=multi"
        }
    })
}

/// The probe takes seconds on hosts where guests hang, so its answer is kept until the host reboots.
fn kvm_runs_cached() -> bool {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let note = state().join(format!("kvm-{}", boot.trim()));
    match std::fs::read_to_string(&note).as_deref() {
        Ok("runs") => true,
        Ok("hangs") => false,
        _ => {
            let runs = kvm_runs().unwrap_or(false);
            // If the note cannot be written, the next process simply probes again.
            let _ = std::fs::create_dir_all(state());
            let _ = std::fs::write(&note, if runs { "runs" } else { "hangs" });
            runs
        }
    }
}

/// Boots a few bytes of 16-bit code under KVM that exit through the debug-exit port.
fn kvm_runs() -> Result<bool> {
    if !Path::new("/dev/kvm").exists() {
        return Ok(false);
    }
    let directory = tempfile::tempdir()?;
    let image = directory.path().join("probe.img");
    // mov al, 0x10; out 0xf4, al; hlt; with a boot sector's signature: QEMU exits with status 0x21. By then
    // the guest's firmware has run millions of instructions under KVM.
    let mut sector = vec![0u8; 512];
    sector[..5].copy_from_slice(&[0xb0, 0x10, 0xe6, 0xf4, 0xf4]);
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    std::fs::write(&image, &sector)?;
    let mut command = Command::new("qemu-system-x86_64");
    command.args("-nodefaults -machine q35 -accel kvm -m 64 -display none".split(' '));
    command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]);
    command.args(["-drive", &format!("if=ide,format=raw,file={}", image.display())]);
    let mut probe = Owned::start(command, &directory.path().join("log"))?;
    let status = wait::until_blocking("the KVM probe", Duration::from_secs(8), || probe.ended())?;
    Ok(status.code() == Some(0x21))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accelerator_probe_returns() {
        if !crate::Level::Qemu.runs() {
            return;
        }
        assert!(["kvm", "tcg,thread=multi"].contains(&accelerator()));
    }
}
