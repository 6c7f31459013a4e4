//! BIOS firmware other than iPXE: it gets undionly.kpxe by TFTP, which continues with the card's UNDI, or
//! else ipxe.pxe.

use e2e::boot_path::{BY_IPXE, fetched};
use e2e::cable::{Weather, plain_pxe};
use e2e::{BootPathSpec, Firmware, Level, Nic, run};

/// Every loader but the last one fails, as far as the server can tell: the same firmware asks again.
async fn by_loaders(name: &str, nic: Nic, loaders: &[&'static str]) {
    let hidden = plain_pxe(loaders.last().unwrap());
    let spec = BootPathSpec::new(name, Firmware::Bios)
        .nic(nic)
        .cable(Weather::FINE, hidden);
    let mut path = spec.start().await.unwrap();
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
#[ignore = "nightly: as on virtio, with another card's UNDI"]
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
