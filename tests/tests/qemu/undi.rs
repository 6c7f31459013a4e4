//! BIOS firmware that is no iPXE: it gets undionly.kpxe by TFTP, which goes on over the card's UNDI, or else ipxe.pxe.

use e2e::boot_path::{BY_IPXE, fetched};
use e2e::cable::{self, Towards, Weather, blank_options, read_request};
use e2e::{BootPathSpec, Firmware, Lab, Level, Nic, run};

/// What iPXE says of itself: user class and encapsulated options.
const OF_IPXE: [u8; 2] = [77, 175];
const DHCP_SERVER: u16 = 67;

/// QEMU's BIOS ROMs are iPXE with HTTP, which gets its script at once. A cable that takes what tells it from their DHCP messages makes
/// plain PXE firmware of them, until the last of the loaders has been asked for. One that comes before it fails, as far as the server
/// can tell: the same firmware asks anew.
async fn by_loaders(name: &str, nic: Nic, loaders: &[&'static str]) {
    let lab = Lab::enter().unwrap();
    let (mut firmware, last) = (true, *loaders.last().unwrap());
    let filter = move |towards, frame: &mut [u8]| {
        if towards == Towards::Bridge && firmware {
            blank_options(frame, DHCP_SERVER, &OF_IPXE);
            firmware = read_request(frame).as_deref() != Some(last);
        }
    };
    let (tap, _switch) = cable::vm(&lab, Weather::FINE, Box::new(filter)).unwrap();
    let spec = BootPathSpec::new(name, Firmware::Bios).nic(nic).tap(tap);
    let mut path = spec.start_in(lab).await.unwrap();
    path.vm.power_on().unwrap();
    let journey = path.kernel().await.unwrap();
    let loaders = loaders.iter().map(|loader| format!("tftp {loader}"));
    let expected: Vec<String> = loaders.chain(BY_IPXE.map(str::to_owned)).collect();
    assert_eq!(fetched(&journey), expected);
}

#[test]
fn vm_bios_pxe_without_ipxe_boots_by_undionly() {
    if Level::Qemu.runs() {
        run(by_loaders("undi", Nic::Virtio, &["undionly.kpxe"]));
    }
}

#[test]
fn vm_bios_pxe_without_ipxe_boots_by_undionly_on_e1000e() {
    if Level::Qemu.runs() {
        run(by_loaders("undie1000", Nic::E1000e, &["undionly.kpxe"]));
    }
}

#[test]
fn vm_bios_pxe_boots_by_ipxe_pxe_when_undionly_fails() {
    if Level::Qemu.runs() {
        let loaders = ["undionly.kpxe", "ipxe.pxe"];
        run(by_loaders("undifails", Nic::Virtio, &loaders));
    }
}
