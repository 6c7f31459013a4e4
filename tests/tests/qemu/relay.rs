//! A machine in another network, behind a real relay and router.

use e2e::boot_path::{BY_IPXE, fetched};
use e2e::daemons::Relay;
use e2e::{BootPathSpec, Firmware, Lab, Level, artefacts, run};

/// The relay drops an answer without its option 82 as it was: that firmware gets one at all proves the echo.
#[test]
fn vm_uefi_pxe_through_a_relay() {
    if Level::Qemu.runs() {
        run(async {
            let lab = Lab::enter().unwrap();
            let directory = artefacts::run_directory("dhcrelay").unwrap();
            let _relay = Relay::start(&lab, directory.path()).unwrap();
            let tap = lab.tap_on(Relay::BRIDGE).unwrap();
            let spec = BootPathSpec::new("relayed", Firmware::Uefi).tap(tap);
            let mut path = spec.more(Relay::NETWORK).start_in(lab).await.unwrap();
            path.vm.power_on().unwrap();
            let journey = path.kernel().await.unwrap();
            let networks = journey.events.iter().filter_map(|event| event.network.as_deref());
            assert!(
                networks.into_iter().all(|network| network == "behind"),
                "{journey:#?}"
            );
            let fetched = fetched(&journey);
            assert_eq!(
                fetched[..2],
                ["tftp snponly.efi", "tftp autoexec.ipxe"],
                "{fetched:?}"
            );
            assert_eq!(fetched[2..], BY_IPXE);
        });
    }
}
