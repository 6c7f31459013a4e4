//! Boot data beside somebody else's DHCP server (a real dnsmasq, which gives only addresses): firmware joins the two offers.

use std::net::{IpAddr, Ipv4Addr};

use e2e::boot_path::{BY_IPXE, fetched};
use e2e::cable::{self, Towards, Weather, blank_options};
use e2e::daemons::AddressServer;
use e2e::lab::BRIDGE;
use e2e::{BootPath, BootPathSpec, Firmware, Lab, Level, artefacts, run};
use inventory_api::boot::BootEventKind;
use inventory_api::machine::Journey;

/// dnsmasq's.
const POOL: std::ops::RangeInclusive<IpAddr> =
    IpAddr::V4(Ipv4Addr::new(10, 77, 0, 50))..=IpAddr::V4(Ipv4Addr::new(10, 77, 0, 60));
const DHCP_CLIENT: u16 = 68;
const VENDOR_OPTIONS: u8 = 43;

/// Boots to the kernel's first line, with dnsmasq's address all the way; the files it fetched first and what was heard.
async fn beside_dnsmasq(lab: Lab, spec: BootPathSpec) -> (Vec<String>, Journey) {
    let directory = artefacts::run_directory("dnsmasq").unwrap();
    let _dnsmasq = AddressServer::start(&lab, BRIDGE, "10.77.0", directory.path()).unwrap();
    let mut path: BootPath = spec.network("mode = \"proxy\"\n").start_in(lab).await.unwrap();
    path.vm.power_on().unwrap();
    let journey = path.kernel().await.unwrap();
    let foreign = journey.events.iter().filter_map(|event| event.ip);
    let foreign: Vec<_> = foreign.filter(|ip| !ip.is_unspecified()).collect();
    assert!(
        !foreign.is_empty() && foreign.iter().all(|ip| POOL.contains(ip)),
        "{journey:#?}"
    );
    let mut fetched = fetched(&journey);
    let by_ipxe = fetched.split_off(fetched.len() - BY_IPXE.len());
    assert_eq!(by_ipxe, BY_IPXE);
    // UEFI HTTP boot asks HEAD, then GET.
    fetched.dedup();
    (fetched, journey)
}

/// Answers to a REQUEST: in this mode they come from port 4011 only.
fn boot_server_answers(journey: &Journey) -> usize {
    let answer = |what: &BootEventKind| matches!(what, BootEventKind::Dhcp { message, answer, .. } if message == "request" && answer == "ack");
    journey.events.iter().filter(|event| answer(&event.what)).count()
}

#[test]
fn vm_proxy_bios_rom() {
    if Level::Qemu.runs() {
        run(async {
            let spec = BootPathSpec::new("proxybios", Firmware::Bios);
            let (loaders, _) = beside_dnsmasq(Lab::enter().unwrap(), spec).await;
            assert!(loaders.is_empty(), "{loaders:?}");
        });
    }
}

/// The offer says by sub-option 43.6 that no boot server is to be asked, and firmware asks none.
#[test]
fn vm_proxy_uefi_pxe() {
    if Level::Qemu.runs() {
        run(async {
            let spec = BootPathSpec::new("proxyuefi", Firmware::Uefi);
            let (loaders, journey) = beside_dnsmasq(Lab::enter().unwrap(), spec).await;
            assert_eq!(loaders, ["tftp snponly.efi", "tftp autoexec.ipxe"]);
            assert_eq!(boot_server_answers(&journey), 0, "{journey:#?}");
        });
    }
}

/// Without option 43 in the offer (the cable takes it out; some relays and older proxies are so) EDK2 asks port 4011.
#[test]
fn vm_proxy_uefi_pxe_by_port_4011() {
    if Level::Qemu.runs() {
        run(async {
            let lab = Lab::enter().unwrap();
            let filter = |towards, frame: &mut [u8]| {
                if towards == Towards::Client {
                    blank_options(frame, DHCP_CLIENT, &[VENDOR_OPTIONS]);
                }
            };
            let (tap, _switch) = cable::vm(&lab, Weather::FINE, Box::new(filter)).unwrap();
            let spec = BootPathSpec::new("proxy4011", Firmware::Uefi).tap(tap);
            let (loaders, journey) = beside_dnsmasq(lab, spec).await;
            assert_eq!(loaders, ["tftp snponly.efi", "tftp autoexec.ipxe"]);
            assert!(boot_server_answers(&journey) > 0, "{journey:#?}");
        });
    }
}

#[test]
fn vm_proxy_uefi_http_boot() {
    if Level::Qemu.runs() {
        run(async {
            let spec = BootPathSpec::new("proxyhttp", Firmware::UefiHttp);
            let (loaders, _) = beside_dnsmasq(Lab::enter().unwrap(), spec).await;
            assert_eq!(loaders, ["http /boot/snponly.efi", "http /boot/autoexec.ipxe"]);
        });
    }
}
