//! 64-bit ARM: AAVMF gets its loader, and the loader the kernel for its processor. Runs at night, because all
//! of it is emulated.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use e2e::boot_path::fetched;
use e2e::{BootPathSpec, Firmware, Level, artefacts, run};
use mini_os::{Arch, Request, Variant};

const KERNEL_WITHIN: Duration = Duration::from_secs(400);
const REPORTED_WITHIN: Duration = Duration::from_secs(400);

fn mini_os_for_arm(_: &Path, mini_os: &Path) -> Result<()> {
    let cache = artefacts::state().join("cache");
    mini_os::build(&Request {
        arch: Arch::Arm64,
        variant: Variant::Small,
        agent: artefacts::built("agent-arm64", "agent-arm64")?,
        out: Arch::Arm64.directory(mini_os),
        cache: cache.clone(),
    })?;
    if !mini_os::has_loaders(mini_os) {
        mini_os::fetch_loaders(mini_os, &cache)?;
    }
    Ok(())
}

#[test]
#[ignore = "nightly: all of it is emulated, and it needs the packages of .ci/packages-nightly"]
fn vm_arm64_pxe_boots_its_own_kernel_and_reports() {
    if Level::Qemu.runs() {
        run(async {
            let spec = BootPathSpec::new("arm64", Firmware::Arm64).own_mini_os();
            let mut path = spec.prepare(mini_os_for_arm).start().await.unwrap();
            path.vm.power_on().unwrap();
            let seen = e2e::wait::until("the kernel's files", KERNEL_WITHIN, async || {
                let files = fetched(&path.journey().await?);
                let wanted = ["http /boot/arm64/kernel", "http /boot/arm64/initramfs"];
                Ok(wanted
                    .iter()
                    .all(|file| files.contains(&(*file).to_owned()))
                    .then_some(files))
            });
            let files = match seen.await {
                Ok(files) => files,
                Err(error) => panic!("{error:#}\n{}\n{}", path.vm.tail(40), path.server.log()),
            };
            assert_eq!(files[0], "tftp ipxe-arm64.efi", "{files:?}");
            let api = path.server.api().unwrap();
            let serial = path.vm.spec().system_serial();
            let machine = match api.wait_state(&serial, "ready", REPORTED_WITHIN).await {
                Ok(machine) => machine,
                Err(error) => panic!("{error:#}\n{}\n{}", path.vm.tail(60), path.server.log()),
            };
            let report = machine.report.unwrap();
            let system = report.system.as_ref().unwrap();
            assert_eq!(system.serial.as_deref(), Some(serial.as_str()));
            assert_eq!((report.disks.len(), report.nics.len()), (1, 1));
            println!("{report:#?}");
        });
    }
}
