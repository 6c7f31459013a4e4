//! A cable that loses one frame in ten, each way, from power-on.

use std::time::Duration;

use e2e::cable::{self, Switch, Weather};
use e2e::{BootPath, BootPathSpec, Firmware, Lab, Level, run};

const WEATHER: Weather = Weather {
    loss: 100,
    copies: 0,
    delay: Duration::ZERO,
    seed: 7,
};

struct Lossy {
    // Dropped in this order: the path, its cable.
    path: BootPath,
    switch: Switch,
}

async fn at_ten_percent_loss(name: &str, firmware: Firmware) -> Lossy {
    let lab = Lab::enter().unwrap();
    let (tap, switch) = cable::vm(&lab, WEATHER, Box::new(|_, _| {})).unwrap();
    let spec = BootPathSpec::new(name, firmware).tap(tap);
    let mut path = spec.start_in(lab).await.unwrap();
    path.vm.power_on().unwrap();
    path.kernel().await.unwrap();
    assert!(switch.lost() > 500, "it was a bad network: {}", switch.lost());
    Lossy { path, switch }
}

/// DHCP, the mini-os by iPXE's HTTP, the agent's conversation.
#[test]
fn vm_bios_reports_at_ten_percent_loss() {
    if Level::Qemu.runs() {
        run(async {
            let lossy = at_ten_percent_loss("lossybios", Firmware::Bios).await;
            let before = lossy.switch.lost();
            lossy.path.reported().await.unwrap();
            assert!(lossy.switch.lost() > before);
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
