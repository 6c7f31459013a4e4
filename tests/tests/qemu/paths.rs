//! Paths from power-on to the mini-os, each with its firmware. `first_boot` has the whole first boot with
//! SeaBIOS and with OVMF's PXE.

use std::time::Duration;

use e2e::boot_path::{BY_IPXE, fetched};
use e2e::{BootPathSpec, Firmware, Level, Nic, run};

#[test]
fn vm_uefi_http_boot_reports() {
    if Level::Qemu.runs() {
        run(async {
            let mut path = BootPathSpec::new("httpboot", Firmware::UefiHttp)
                .start()
                .await
                .unwrap();
            path.vm.power_on().unwrap();
            let (detail, journey) = path.reported().await.unwrap();
            let fetched = fetched(&journey);
            assert_eq!(fetched[0], "http /boot/snponly.efi", "{fetched:?}");
            assert!(
                !fetched.iter().any(|file| file.starts_with("tftp")),
                "{fetched:?}"
            );
            let report = detail.report.unwrap();
            assert_eq!(report.boot.secure_boot, Some(false));
        });
    }
}

/// Secure Boot refuses the unsigned loader. The server sees why the machine comes back, gives it shim and
/// GRUB, and sticks to them.
#[test]
fn vm_secure_boot_gets_the_signed_chain_after_a_refusal() {
    if Level::Qemu.runs() {
        let files = [
            "shimx64.efi",
            "grubx64.efi",
            "grub/grub.cfg",
            "boot/kernel",
            "boot/initramfs",
            "boot/site",
        ];
        let files = files.map(|file| format!("tftp {file}"));
        run(secure_boot("secboot", Firmware::SecureBoot, files));
    }
}

#[test]
fn vm_secure_boot_gets_the_signed_chain_by_http_boot() {
    if Level::Qemu.runs() {
        let files = [
            "/boot/shimx64.efi",
            "/boot/grubx64.efi",
            "/grub/grub.cfg",
            "/boot/kernel",
            "/boot/initramfs",
            "/boot/site",
        ];
        let files = files.map(|file| format!("http {file}"));
        run(secure_boot("sechttp", Firmware::SecureBootHttp, files));
    }
}

async fn secure_boot(name: &str, firmware: Firmware, files: [String; 6]) {
    let mut path = BootPathSpec::new(name, firmware).start().await.unwrap();
    let api = path.server.api().unwrap();
    let mac = path.vm.spec().mac.clone();
    path.vm.power_on().unwrap();
    path.vm
        .wait_console("Access Denied", Duration::from_secs(120))
        .await
        .unwrap();
    if firmware == Firmware::SecureBoot {
        // Its next boot entry tries the network at once.
        let refused = e2e::wait::until("the refusal is told", Duration::from_secs(30), async || {
            let journey = api.journey(&mac).await?;
            Ok(journey
                .diagnosis
                .contains("as Secure Boot does")
                .then_some(journey))
        });
        let refused = refused.await.unwrap();
        assert!(refused.diagnosis.contains("snponly.efi"), "{}", refused.diagnosis);
    }
    path.vm.power_off();
    path.vm.power_on().unwrap();
    let (detail, journey) = path.reported().await.unwrap();
    let report = detail.report.unwrap();
    assert_eq!(report.boot.secure_boot, Some(true));
    let fetched = fetched(&journey);
    for file in files {
        assert!(fetched.contains(&file), "{file} in {fetched:?}");
    }
    assert!(journey.diagnosis.contains("shimx64.efi"), "{}", journey.diagnosis);
}

/// iPXE in the card's ROM has HTTP: it gets the script at once and no loader.
async fn script_at_once(name: &str, firmware: Firmware, nic: Nic) {
    let mut path = BootPathSpec::new(name, firmware).nic(nic).start().await.unwrap();
    path.vm.power_on().unwrap();
    let journey = path.kernel().await.unwrap();
    assert_eq!(fetched(&journey), BY_IPXE);
}

#[test]
fn vm_bios_e1000e_rom_gets_the_script_at_once() {
    if Level::Qemu.runs() {
        run(script_at_once("e1000bios", Firmware::Bios, Nic::E1000e));
    }
}

#[test]
fn vm_uefi_e1000e_rom_gets_the_script_at_once() {
    if Level::Qemu.runs() {
        run(script_at_once("e1000uefi", Firmware::Uefi, Nic::E1000e));
    }
}
