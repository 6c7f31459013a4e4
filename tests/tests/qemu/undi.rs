//! BIOS firmware that is no iPXE: it gets undionly.kpxe by TFTP, which goes on over the card's UNDI.

use e2e::boot_path::{BY_IPXE, fetched};
use e2e::cable::{self, Towards, Weather, blank_options, read_request};
use e2e::{BootPathSpec, Firmware, Lab, Level, Nic, run};

/// What iPXE says of itself: user class and encapsulated options.
const OF_IPXE: [u8; 2] = [77, 175];
const DHCP_SERVER: u16 = 67;

/// QEMU's BIOS ROMs are iPXE with HTTP, which gets its script at once. A cable that takes what tells it from their DHCP messages makes
/// plain PXE firmware of them, until they have asked for the loader.
async fn by_undionly(name: &str, nic: Nic) {
    let lab = Lab::enter().unwrap();
    let mut firmware = true;
    let filter = move |towards, frame: &mut [u8]| {
        if towards == Towards::Bridge && firmware {
            blank_options(frame, DHCP_SERVER, &OF_IPXE);
            firmware = read_request(frame).is_none();
        }
    };
    let (tap, _switch) = cable::vm(&lab, Weather::FINE, Box::new(filter)).unwrap();
    let spec = BootPathSpec::new(name, Firmware::Bios).nic(nic).tap(tap);
    let mut path = spec.start_in(lab).await.unwrap();
    path.vm.power_on().unwrap();
    let journey = path.kernel().await.unwrap();
    let fetched = fetched(&journey);
    assert_eq!(fetched[0], "tftp undionly.kpxe", "{fetched:?}");
    assert_eq!(fetched[1..], BY_IPXE);
}

#[test]
fn vm_bios_pxe_without_ipxe_boots_by_undionly() {
    if Level::Qemu.runs() {
        run(by_undionly("undi", Nic::Virtio));
    }
}

#[test]
fn vm_bios_pxe_without_ipxe_boots_by_undionly_on_e1000e() {
    if Level::Qemu.runs() {
        run(by_undionly("undie1000", Nic::E1000e));
    }
}
