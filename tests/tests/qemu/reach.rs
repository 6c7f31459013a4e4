//! Every boot path where the server is not the network's DHCP server: as a proxy beside a real dnsmasq that
//! gives only addresses, and through a real relay and router. Each test ends with the first thing that proves
//! the path.

use std::collections::BTreeSet;

use e2e::boot_path::{BY_IPXE, BY_SIGNED_IMAGE, fetched};
use e2e::cable::{Towards, Weather, blank_options, plain_pxe};
use e2e::{BootPathSpec, Firmware, Level, Reach, own_disk, run, snakeoil};
use inventory_api::boot::BootEventKind;
use inventory_api::dhcp::DhcpMessage;
use inventory_api::machine::Journey;

const DHCP_CLIENT: u16 = 68;
const VENDOR_OPTIONS: u8 = 43;
/// What is fetched under Secure Boot with Microsoft's keys, the archives included.
const SIGNED_CHAIN: [&str; 6] = [
    "shimx64.efi",
    "grubx64.efi",
    "grub/grub.cfg",
    "boot/kernel",
    "boot/initramfs",
    "boot/site",
];

/// A row in the table of boot paths (docs/boot.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    BiosRom,
    Undionly,
    UefiPxe,
    UefiHttp,
    OwnKeys,
    BiosDisk,
    UefiDisk,
}

impl Way {
    fn firmware(self) -> Firmware {
        match self {
            Way::BiosRom | Way::Undionly | Way::BiosDisk => Firmware::Bios,
            Way::UefiPxe | Way::UefiDisk => Firmware::Uefi,
            Way::UefiHttp => Firmware::UefiHttp,
            Way::OwnKeys => Firmware::SecureBootOwn,
        }
    }

    /// What is fetched, in order.
    fn files(self) -> Vec<String> {
        let ipxe = |loaders: &[&str]| -> Vec<String> {
            loaders
                .iter()
                .chain(&BY_IPXE)
                .map(|file| (*file).to_owned())
                .collect()
        };
        match self {
            Way::BiosRom => ipxe(&[]),
            Way::Undionly => ipxe(&["tftp undionly.kpxe"]),
            Way::UefiPxe => ipxe(&["tftp snponly.efi", "tftp autoexec.ipxe"]),
            Way::UefiHttp => ipxe(&["http /boot/snponly.efi", "http /boot/autoexec.ipxe"]),
            Way::OwnKeys => BY_SIGNED_IMAGE.map(str::to_owned).to_vec(),
            Way::BiosDisk => ipxe(&[])[..1].to_vec(),
            Way::UefiDisk => Way::UefiPxe.files()[..3].to_vec(),
        }
    }
}

/// Takes the path to its end; returns the journey.
async fn take(way: Way, reach: Reach) -> Journey {
    let name = format!("{reach:?}-{way:?}").to_lowercase();
    let mut spec = BootPathSpec::new(&name, way.firmware()).reach(reach);
    match way {
        Way::Undionly => spec = spec.cable(Weather::FINE, plain_pxe("undionly.kpxe")),
        Way::OwnKeys => spec = spec.own_mini_os(),
        // Nobody has decided what it is for.
        Way::BiosDisk | Way::UefiDisk => {
            spec = spec.more("[policy]\nunknown = \"hold\"\n");
            spec.vm.network_first = true;
        }
        _ => {}
    }
    let mut path = spec.start().await.unwrap();
    match way {
        Way::OwnKeys => snakeoil::sign_mini_os(&mut path).await.unwrap(),
        Way::BiosDisk => own_disk::bios(&path.vm.disk()).unwrap(),
        Way::UefiDisk => own_disk::uefi(&path.vm.disk()).unwrap(),
        _ => {}
    }
    path.vm.power_on().unwrap();
    let journey = match way {
        Way::OwnKeys => path.has_fetched("http /boot.args").await,
        Way::BiosDisk | Way::UefiDisk => {
            path.said(own_disk::LINE).await.unwrap();
            // iPXE starts the disk before it acknowledges the end of the script, so the script counts as
            // fetched a second later.
            path.has_fetched("http /boot.ipxe").await
        }
        _ => path.kernel().await,
    };
    let journey = journey.unwrap();
    assert!(reach.was_taken(&journey), "{journey:#?}");
    let mut files = fetched(&journey);
    // UEFI HTTP boot sends HEAD, then GET.
    files.dedup();
    match way {
        // Its next entry, HTTP boot, gets the same answer before the disk's turn comes.
        Way::UefiDisk => assert!(files.starts_with(&way.files()), "{files:?}"),
        _ => assert_eq!(files, way.files()),
    }
    journey
}

/// Microsoft's keys. The firmware's first entry, PXE, refuses the unsigned loader; the next one, HTTP boot,
/// gets the signed chain; at the next start PXE gets it too.
async fn stock_keys(reach: Reach) {
    let spec = BootPathSpec::new(&format!("{reach:?}-stock").to_lowercase(), Firmware::SecureBoot);
    let mut path = spec.reach(reach).start().await.unwrap();
    path.vm.power_on().unwrap();
    let journey = path.kernel().await.unwrap();
    assert!(
        path.vm.console().contains("Access Denied"),
        "{}",
        path.vm.tail(40)
    );
    by_signed_chain(reach, &journey, |file| match file.ends_with(".efi") {
        true => format!("http /boot/{file}"),
        false => format!("http /{file}"),
    });
    path.vm.power_off();
    path.vm.power_on().unwrap();
    let journey = path.kernel().await.unwrap();
    by_signed_chain(reach, &journey, |file| format!("tftp {file}"));
}

fn by_signed_chain(reach: Reach, journey: &Journey, by: fn(&str) -> String) {
    assert!(reach.was_taken(journey), "{journey:#?}");
    // With HTTP each file is requested twice: for its length, then for its bytes.
    let files = fetched(journey);
    let shim = files.iter().rposition(|file| file.ends_with(SIGNED_CHAIN[0]));
    let since: BTreeSet<String> = files.iter().skip(shim.unwrap_or(0)).cloned().collect();
    assert_eq!(since, BTreeSet::from(SIGNED_CHAIN.map(by)), "{files:?}");
    assert!(journey.diagnosis.contains("shimx64.efi"), "{}", journey.diagnosis);
}

/// A test for each cell of the table.
macro_rules! cells {
    ($($(#[$attribute:meta])* $name:ident: $way:ident, $reach:ident;)*) => {
        $(
            #[test]
            $(#[$attribute])*
            fn $name() {
                if Level::Qemu.runs() {
                    run(async { drop(take(Way::$way, Reach::$reach).await) });
                }
            }
        )*
    };
}

cells! {
    vm_bios_rom_as_proxy: BiosRom, Proxy;
    vm_bios_rom_through_a_relay: BiosRom, Relay;
    vm_undionly_as_proxy: Undionly, Proxy;
    #[ignore = "nightly: as vm_bios_rom_through_a_relay, one loader more"]
    vm_undionly_through_a_relay: Undionly, Relay;
    vm_uefi_pxe_through_a_relay: UefiPxe, Relay;
    vm_uefi_http_boot_as_proxy: UefiHttp, Proxy;
    #[ignore = "nightly: as vm_uefi_pxe_through_a_relay, without TFTP"]
    vm_uefi_http_boot_through_a_relay: UefiHttp, Relay;
    vm_own_keys_as_proxy: OwnKeys, Proxy;
    #[ignore = "nightly: as vm_uefi_pxe_through_a_relay, with signed files"]
    vm_own_keys_through_a_relay: OwnKeys, Relay;
    vm_bios_own_disk_as_proxy: BiosDisk, Proxy;
    #[ignore = "nightly: as vm_bios_rom_through_a_relay, then as vm_bios_own_disk_as_proxy"]
    vm_bios_own_disk_through_a_relay: BiosDisk, Relay;
    vm_uefi_own_disk_as_proxy: UefiDisk, Proxy;
    vm_uefi_own_disk_through_a_relay: UefiDisk, Relay;
}

#[test]
fn vm_stock_keys_as_proxy() {
    if Level::Qemu.runs() {
        run(stock_keys(Reach::Proxy));
    }
}

#[test]
fn vm_stock_keys_through_a_relay() {
    if Level::Qemu.runs() {
        run(stock_keys(Reach::Relay));
    }
}

/// Number of answers to a REQUEST; as a proxy only port 4011 sends them.
fn boot_server_answers(journey: &Journey) -> usize {
    let answer = |what: &BootEventKind| matches!(what, BootEventKind::Dhcp { message, answer, .. } if *message == DhcpMessage::Request && answer.confirms());
    journey.events.iter().filter(|event| answer(&event.what)).count()
}

/// Sub-option 43.6 of the offer says not to ask a boot server, and firmware asks none.
#[test]
fn vm_uefi_pxe_as_proxy() {
    if Level::Qemu.runs() {
        run(async {
            let journey = take(Way::UefiPxe, Reach::Proxy).await;
            assert_eq!(boot_server_answers(&journey), 0, "{journey:#?}");
        });
    }
}

/// Without option 43 in the offer EDK2 asks port 4011. The cable removes the option, as some relays and older
/// proxies do.
#[test]
fn vm_uefi_pxe_as_proxy_by_port_4011() {
    if Level::Qemu.runs() {
        run(async {
            let filter = |towards, frame: &mut [u8]| {
                if towards == Towards::Client {
                    blank_options(frame, DHCP_CLIENT, &[VENDOR_OPTIONS]);
                }
            };
            let spec = BootPathSpec::new("proxy4011", Firmware::Uefi)
                .reach(Reach::Proxy)
                .cable(Weather::FINE, Box::new(filter));
            let mut path = spec.start().await.unwrap();
            path.vm.power_on().unwrap();
            let journey = path.kernel().await.unwrap();
            assert!(Reach::Proxy.was_taken(&journey), "{journey:#?}");
            assert_eq!(fetched(&journey), Way::UefiPxe.files());
            assert!(boot_server_answers(&journey) > 0, "{journey:#?}");
        });
    }
}
