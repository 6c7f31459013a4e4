//! A cable that loses one frame in ten, each way, from power-on.

use std::time::Duration;

use e2e::cable::Weather;
use e2e::{BootPath, BootPathSpec, Firmware, Level, run};

const WEATHER: Weather = Weather {
    loss: 100,
    copies: 0,
    delay: Duration::ZERO,
    seed: 7,
};

async fn at_ten_percent_loss(name: &str, firmware: Firmware) -> BootPath {
    let spec = BootPathSpec::new(name, firmware).cable(WEATHER, Box::new(|_, _| {}));
    let mut path = spec.start().await.unwrap();
    path.vm.power_on().unwrap();
    path.kernel().await.unwrap();
    assert!(lost(&path) > 500, "it was a bad network: {}", lost(&path));
    path
}

fn lost(path: &BootPath) -> u64 {
    path.switch.as_ref().unwrap().lost()
}

/// DHCP, the mini-os by iPXE's HTTP, the agent's conversation.
#[test]
fn vm_bios_reports_at_ten_percent_loss() {
    if Level::Qemu.runs() {
        run(async {
            let path = at_ten_percent_loss("lossybios", Firmware::Bios).await;
            let before = lost(&path);
            path.reported().await.unwrap();
            assert!(lost(&path) > before);
        });
    }
}

/// The loader by EDK2's TFTP too.
#[test]
fn vm_uefi_boots_at_ten_percent_loss() {
    if Level::Qemu.runs() {
        run(async { drop(at_ten_percent_loss("lossyuefi", Firmware::Uefi).await) });
    }
}
