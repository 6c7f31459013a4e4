//! The rescue system with every loader; BIOS is in `console`.

use std::time::Duration;

use e2e::boot_path::fetched;
use e2e::{BootPath, BootPathSpec, Firmware, Level, run, snakeoil};
use inventory_api::machine::MachineFilter;
use inventory_api::rescue::RescuePassword;
use inventory_api::routes;

/// How long a person waits, on a slow core.
const SOON: Duration = Duration::from_secs(60);

/// A machine that nobody commissions, so its first script already has the menu.
pub fn with_menu(name: &str, firmware: Firmware) -> BootPathSpec {
    BootPathSpec::new(name, firmware).more("[policy]\nunknown = \"hold\"\n[boot]\nmenu_seconds = 60\n")
}

/// Waits for the prompt and requests a password.
pub async fn password(path: &mut BootPath) -> RescuePassword {
    path.said("Password: ").await.unwrap();
    let api = path.server.api().unwrap();
    let machines = api.machines(&MachineFilter::default()).await.unwrap();
    api.ask(routes::RESCUE, [machines[0].id.as_str()]).await.unwrap()
}

/// Types the password, runs a command in the shell and leaves it.
pub async fn use_shell(path: &mut BootPath, password: &str) {
    let vm = &mut path.vm;
    vm.type_line(password).unwrap();
    vm.wait_console("A shell of the mini-os", SOON).await.unwrap();
    vm.type_line("echo sum-$((40+2)) on $(uname -s)").unwrap();
    vm.wait_console("sum-42 on Linux", SOON).await.unwrap();
    vm.type_line("exit").unwrap();
    // The agent's last line leaves the machine before the kernel's.
    vm.wait_console("reboot: Restarting system", SOON).await.unwrap();
    let console = vm.console();
    let [last, end] = ["] rebooting\r\n", "reboot: Restarting system"].map(|line| console.find(line));
    assert!(last.is_some() && last < end, "{}", vm.tail(10));
}

/// Chooses the rescue system in iPXE's menu, or in GRUB's, which shows its entries at once. Returns the
/// fetched files.
async fn rescue(path: &mut BootPath) -> Vec<String> {
    let grub = fetched(&path.journey().await.unwrap())
        .iter()
        .any(|file| file.ends_with("grubx64.efi"));
    if !grub {
        path.said("press m within 60 s").await.unwrap();
        path.vm.press("m").unwrap();
    }
    path.said("Rescue: a shell").await.unwrap();
    path.vm.press("r").unwrap();
    let made = password(path).await;
    use_shell(path, &made.password).await;
    fetched(&path.journey().await.unwrap())
}

#[test]
fn vm_rescue_by_uefi_ipxe() {
    if Level::Qemu.runs() {
        run(async {
            let mut path = with_menu("rescueuefi", Firmware::Uefi).start().await.unwrap();
            path.vm.power_on().unwrap();
            let files = rescue(&mut path).await;
            assert!(files.contains(&"http /boot/kernel".to_owned()), "{files:?}");
        });
    }
}

/// Microsoft's keys: the kernel is Debian's, and the shell comes over TLS, without anybody's signature.
#[test]
fn vm_rescue_by_signed_grub() {
    if Level::Qemu.runs() {
        run(async {
            let mut path = with_menu("rescuegrub", Firmware::SecureBoot)
                .start()
                .await
                .unwrap();
            path.vm.power_on().unwrap();
            // PXE refuses the unsigned loader; the next entry, HTTP boot, gets the signed chain.
            path.has_fetched("http /grub/grub.cfg").await.unwrap();
            let files = rescue(&mut path).await;
            assert!(files.contains(&"http /grub/rescue.cfg".to_owned()), "{files:?}");
        });
    }
}

/// The site's own keys: the one signed image; `/boot.args` makes it a rescue.
#[test]
fn vm_rescue_by_the_sites_signed_image() {
    if Level::Qemu.runs() {
        run(async {
            let path = with_menu("rescueown", Firmware::SecureBootOwn).own_mini_os();
            let mut path = path.start().await.unwrap();
            snakeoil::sign_mini_os(&mut path).await.unwrap();
            path.vm.power_on().unwrap();
            let files = rescue(&mut path).await;
            assert!(!files.contains(&"http /boot/kernel".to_owned()), "{files:?}");
            assert!(files.contains(&"http /boot/mini-os.efi".to_owned()), "{files:?}");
        });
    }
}
