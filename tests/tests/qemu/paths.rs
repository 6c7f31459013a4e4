//! Ways from power-on to the mini-os, each with the firmware that takes it. The whole first boot by SeaBIOS and by OVMF's PXE is
//! in `first_boot`.

use std::time::Duration;

use e2e::{Firmware, Lab, Level, Server, ServerSpec, Vm, VmSpec, artefacts};
use inventory_api::boot::BootEventKind;
use inventory_api::machine::{Journey, MachineDetail};

/// Firmware, loader, mini-os and report in software emulation on two slow cores.
const REPORTED_WITHIN: Duration = Duration::from_secs(240);

struct Path {
    // Dropped in this order: machine, server, network.
    vm: Vm,
    server: Server,
    _directory: tempfile::TempDir,
    _lab: Lab,
}

impl Path {
    async fn new(name: &str, firmware: Firmware) -> Path {
        let lab = Lab::enter().unwrap();
        let directory = artefacts::run_directory(name).unwrap();
        let server = Server::start(ServerSpec {
            directory: directory.path().to_owned(),
            mini_os: artefacts::built("mini-os/small", "mini-os").unwrap(),
            images: artefacts::built("images", "image").unwrap(),
            profile: None,
            more: String::new(),
        })
        .await
        .unwrap();
        let vm = Vm::new(VmSpec::new(name, firmware), lab.tap().unwrap()).unwrap();
        Path {
            vm,
            server,
            _directory: directory,
            _lab: lab,
        }
    }

    /// Waits until its report was taken.
    async fn reported(&self) -> (MachineDetail, Journey) {
        let api = self.server.api().unwrap();
        let serial = self.vm.spec().system_serial();
        let ready = api.wait_state(&serial, "ready", REPORTED_WITHIN).await;
        let detail = ready.unwrap_or_else(|e| {
            panic!(
                "{e:?}\nconsole:\n{}\nlog:\n{}",
                self.vm.tail(40),
                self.server.log()
            )
        });
        (detail, api.journey(&self.vm.spec().mac).await.unwrap())
    }
}

fn run(work: impl Future<Output = ()>) {
    // The lab moves this thread into its network namespace: everything has to stay on it.
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work);
}

/// Files that were fetched to their end, in order: "tftp NAME" or "http PATH".
fn fetched(journey: &Journey) -> Vec<String> {
    let whole = |event: &inventory_api::boot::BootEvent| match &event.what {
        BootEventKind::Tftp {
            file, complete: true, ..
        } => Some(format!("tftp {file}")),
        BootEventKind::Http {
            path, status: 200, ..
        } => Some(format!("http {path}")),
        _ => None,
    };
    journey.events.iter().filter_map(whole).collect()
}

#[test]
fn vm_uefi_http_boot_reports() {
    if Level::Qemu.runs() {
        run(async {
            let mut path = Path::new("httpboot", Firmware::UefiHttp).await;
            path.vm.power_on().unwrap();
            let (detail, journey) = path.reported().await;
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

/// Secure Boot refuses the unsigned loader; the server sees why the machine comes back and gives it shim and GRUB, and keeps
/// to them.
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
    let mut path = Path::new(name, firmware).await;
    let api = path.server.api().unwrap();
    let mac = path.vm.spec().mac.clone();
    path.vm.power_on().unwrap();
    path.vm
        .wait_console("Access Denied", Duration::from_secs(120))
        .await
        .unwrap();
    if firmware == Firmware::SecureBoot {
        // Its next boot entry asks the network at once.
        let refused = e2e::wait::until("the refusal is told", Duration::from_secs(30), async || {
            let journey = api.journey(&mac).await?;
            Ok(journey.diagnosis.contains("Secure Boot").then_some(journey))
        });
        let refused = refused.await.unwrap();
        assert!(refused.diagnosis.contains("snponly.efi"), "{}", refused.diagnosis);
    }
    path.vm.power_off();
    path.vm.power_on().unwrap();
    let (detail, journey) = path.reported().await;
    let report = detail.report.unwrap();
    assert_eq!(report.boot.secure_boot, Some(true));
    let fetched = fetched(&journey);
    for file in files {
        assert!(fetched.contains(&file), "{file} in {fetched:?}");
    }
    assert!(journey.diagnosis.contains("shimx64.efi"), "{}", journey.diagnosis);
}
