//! Secure Boot with other keys than Microsoft's, and what it must not start.

use std::process::Command;
use std::time::Duration;

use e2e::boot_path::{BY_IPXE, BY_SIGNED_IMAGE, fetched};
use e2e::snakeoil;
use e2e::{BootPathSpec, Firmware, Level, run};

/// Firmware that trusts only the site: the loader and the unified kernel image made by `slipway mini-os
/// sign`. The agent asks the server for its boot arguments.
#[test]
fn vm_secure_boot_with_own_keys_boots_the_signed_image() {
    if Level::Qemu.runs() {
        run(async {
            let path = BootPathSpec::new("ownkeys", Firmware::SecureBootOwn).own_mini_os();
            let mut path = path.start().await.unwrap();
            snakeoil::sign_mini_os(&mut path).await.unwrap();
            path.vm.power_on().unwrap();
            let (detail, journey) = path.reported().await.unwrap();
            let report = detail.report.unwrap();
            assert_eq!(report.boot.secure_boot, Some(true));
            assert_eq!(fetched(&journey), BY_SIGNED_IMAGE);
            assert!(
                !path.vm.console().contains("slipway.ticket"),
                "the command line is the signed one"
            );
        });
    }
}

/// An iPXE whose signature the firmware trusts, as an operator gets it from the iPXE project, and no keys of
/// the site: shim vouches for Debian's kernel. Here the firmware's only key plays Microsoft's.
#[test]
fn vm_secure_boot_with_the_operators_signed_ipxe() {
    if Level::Qemu.runs() {
        run(async {
            let more = "[boot]\nsigned_ipxe = \"ipxe\"\nshim = \"ipxe/shim.efi\"\n";
            let path = BootPathSpec::new("signedipxe", Firmware::SecureBootOwn)
                .own_mini_os()
                .more(more);
            let path = path.prepare(|directory, mini_os| {
                let key = snakeoil::key(directory)?;
                let ipxe = directory.join("ipxe");
                std::fs::create_dir(&ipxe)?;
                snakeoil::sign(&key, &mini_os.join("snponly.efi"), &ipxe.join("ipxe-shimx64.efi"))?;
                snakeoil::sign(&key, &mini_os.join("ipxe.efi"), &ipxe.join("ipxe.efi"))?;
                let shim = std::path::Path::new("/usr/lib/shim/shimx64.efi.signed");
                snakeoil::sign(&key, shim, &ipxe.join("shim.efi"))
            });
            let mut path = path.start().await.unwrap();
            path.vm.power_on().unwrap();
            path.vm
                .wait_console("Access Denied", Duration::from_secs(120))
                .await
                .unwrap();
            path.vm.power_off();
            path.vm.power_on().unwrap();
            let (detail, journey) = path.reported().await.unwrap();
            assert_eq!(detail.report.unwrap().boot.secure_boot, Some(true));
            let files = fetched(&journey);
            for file in ["tftp ipxe-shimx64.efi", "http /boot/shimx64.efi"]
                .iter()
                .chain(&BY_IPXE)
            {
                assert!(files.iter().any(|f| f == file), "{file} in {files:?}");
            }
        });
    }
}

/// Putting a kernel on the server's disk, or on the wire, does not get it started: shim trusts only Debian's
/// signature.
#[test]
fn vm_secure_boot_refuses_an_unsigned_kernel() {
    if Level::Qemu.runs() {
        run(async {
            let path = BootPathSpec::new("unsigned", Firmware::SecureBootHttp).own_mini_os();
            let mut path = path.start().await.unwrap();
            let mut strip = Command::new("sbattach");
            snakeoil::run(strip.arg("--remove").arg(path.mini_os.join("kernel"))).unwrap();
            path.vm.power_on().unwrap();
            path.vm
                .wait_console("Access Denied", Duration::from_secs(120))
                .await
                .unwrap();
            path.vm.power_off();
            path.vm.power_on().unwrap();
            let refused = "bad shim signature";
            path.vm
                .wait_console(refused, Duration::from_secs(120))
                .await
                .unwrap();
            let after = "boot files cannot be fetched";
            path.vm
                .wait_console(after, Duration::from_secs(60))
                .await
                .unwrap();
            assert!(!path.vm.console().contains("Linux version"));
        });
    }
}
