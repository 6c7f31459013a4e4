//! Firmware that boots over IPv6: DHCPv6 with a boot file URL, and the loader by TFTP or HTTP.

use anyhow::Result;
use e2e::boot_path::{BY_IPXE, BootPath, fetched};
use e2e::daemons::AddressServer;
use e2e::lab::BRIDGE;
use e2e::netns::ip;
use e2e::{BootPathSpec, Firmware, Lab, Level, ServerSpec, artefacts, run};
use inventory_api::boot::BootEventKind;

const V6: &str = r#"[network.v6]
server = "fd77::1"
prefix = "fd77::/64"
mode = "server"
pools = [{ first = "fd77::100", last = "fd77::1ff" }]
"#;

async fn start(name: &str, firmware: Firmware, v4: &str) -> Result<BootPath> {
    let lab = Lab::enter()?;
    ip(&format!("addr add fd77::1/64 dev {BRIDGE} nodad"))?;
    BootPathSpec::new(name, firmware)
        .network(&format!("{v4}{V6}"))
        .start_in(lab)
        .await
}

#[test]
fn vm_uefi_pxe_by_ipv6_fetches_its_loader() {
    if Level::Qemu.runs() {
        run(async {
            let mut path = start("pxe6", Firmware::UefiV6, ServerSpec::SERVER_MODE)
                .await
                .unwrap();
            path.vm.power_on().unwrap();
            path.has_fetched("tftp snponly.efi").await.unwrap();
            // The loader continues over IPv4.
            let journey = path.kernel().await.unwrap();
            let files = fetched(&journey);
            assert_eq!(files[0], "tftp snponly.efi", "{files:?}");
            assert!(files.ends_with(&BY_IPXE.map(str::to_owned)), "{files:?}");
            let v6 = journey
                .events
                .iter()
                .find(|event| event.ip.is_some_and(|ip| ip.is_ipv6()));
            assert!(v6.is_some(), "{journey:#?}");
        });
    }
}

/// Firmware tries IPv4 first: another server gives it an address there and nothing to boot.
#[test]
fn vm_uefi_http_boot_by_ipv6_fetches_its_loader() {
    if Level::Qemu.runs() {
        run(async {
            let mut path = start("http6", Firmware::UefiHttpV6, "mode = \"observe\"\n")
                .await
                .unwrap();
            let directory = artefacts::run_directory("http6-dnsmasq").unwrap();
            let _addresses = AddressServer::start(&path.lab, BRIDGE, "10.77.0", directory.path()).unwrap();
            path.vm.power_on().unwrap();
            let journey = path.has_fetched("http /boot/snponly.efi").await.unwrap();
            let by = journey.events.iter().rev().find_map(|event| match &event.what {
                BootEventKind::Http { bytes, .. } if *bytes > 0 => event.ip,
                _ => None,
            });
            assert!(by.is_some_and(|ip| ip.is_ipv6()), "{journey:#?}");
        });
    }
}
