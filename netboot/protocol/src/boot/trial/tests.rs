use super::*;
use inventory_api::Mac;
use inventory_api::boot::BootTarget;

fn event(at: i64, what: BootEventKind) -> BootEvent {
    BootEvent {
        at: UnixMs(at),
        mac: Mac([2, 0, 0, 0, 0, 1]),
        ip: None,
        network: None,
        what,
    }
}

fn told(at: i64, client: &str, file: &str) -> BootEvent {
    let what = BootEventKind::Dhcp {
        message: "request".into(),
        client: client.into(),
        answer: "ack".into(),
        boot_file: Some(file.into()),
        facts: Default::default(),
    };
    event(at, what)
}

fn fetched(at: i64, file: &str) -> BootEvent {
    let what = BootEventKind::Tftp {
        file: file.into(),
        bytes: 1,
        complete: true,
        end: Default::default(),
        block: None,
    };
    event(at, what)
}

fn next(trial: &Trial, kind: ClientKind) -> Loader {
    let usual = |loader| loader != Loader::SignedIpxe;
    trial.next(kind, &Experience::default(), usual).unwrap()
}

#[test]
fn refused_at_once_is_secure_boot() {
    let mut trial = Trial::default();
    assert_eq!(next(&trial, ClientKind::UefiX64), Loader::Snponly);
    trial.heard(&told(0, "uefi-x64", "snponly.efi"));
    trial.heard(&fetched(300, "snponly.efi"));
    assert!(trial.firmware_restarts(UnixMs(310)));
    assert_eq!(trial.failed, [(Loader::Snponly, Failure::Refused)]);
    assert_eq!(next(&trial, ClientKind::UefiX64), Loader::Signed);
    assert_eq!(next(&trial, ClientKind::UefiX64Http), Loader::Signed);
    let said = |available: fn(Loader) -> bool| trial.sentence(available).unwrap();
    assert!(said(|_| true).ends_with("another loader is next."));
    let alone = said(|loader| loader == Loader::Snponly);
    assert!(
        alone.contains("Secure Boot") && alone.contains("shim-signed"),
        "{alone}"
    );
    // An iPXE signed for the operator comes before GRUB.
    let with = trial.next(ClientKind::UefiX64, &Experience::default(), |_| true);
    assert_eq!(with, Some(Loader::SignedIpxe));
    // Without a signed chain, the next best.
    let without = trial.next(ClientKind::UefiX64, &Experience::default(), |loader| {
        !loader.is_signed()
    });
    assert_eq!(without, Some(Loader::IpxeEfi));

    trial.heard(&told(400, "uefi-x64", "shimx64.efi"));
    trial.heard(&fetched(500, "shimx64.efi"));
    assert!(trial.heard(&fetched(600, "grubx64.efi")), "shim runs");
    assert_eq!((trial.worked, trial.failed.len()), (Some(Loader::Signed), 0));
    assert!(trial.ever_failed().eq([Loader::Snponly]), "a hint for its model");
    assert_eq!(
        next(&trial, ClientKind::UefiX64),
        Loader::Signed,
        "at the next boot too"
    );
}

#[test]
fn a_loader_without_progress_is_replaced_and_one_that_worked_is_kept() {
    let mut trial = Trial::default();
    let mut now = 0;
    let mut attempt = |trial: &mut Trial| {
        let loader = next(trial, ClientKind::Bios);
        trial.heard(&told(now, "bios", loader.file()));
        trial.heard(&fetched(now + 100, loader.file()));
        now += 60_000;
        assert!(trial.firmware_restarts(UnixMs(now)));
        loader
    };
    assert_eq!(attempt(&mut trial), Loader::Undionly);
    assert_eq!(attempt(&mut trial), Loader::IpxeBios);
    assert_eq!(attempt(&mut trial), Loader::Undionly, "round again");
    trial.heard(&told(now, "bios", "ipxe.pxe"));
    trial.heard(&fetched(now + 1, "ipxe.pxe"));
    assert!(trial.heard(&event(
        now + 2,
        BootEventKind::Script {
            target: BootTarget::LocalDisk
        }
    )));
    assert_eq!(next(&trial, ClientKind::Bios), Loader::IpxeBios);
    // It comes back for its next boot: not a failure.
    assert!(!trial.firmware_restarts(UnixMs(now + 90_000)));
    let kept: Trial = serde_json::from_value(serde_json::to_value(&trial).unwrap()).unwrap();
    assert_eq!(next(&kept, ClientKind::Bios), Loader::IpxeBios);
}

#[test]
fn dhcp_messages_alone_change_no_history() {
    let mut trial = Trial::default();
    trial.heard(&told(0, "uefi-x64", "snponly.efi"));
    let by_ipxe = told(10, "ipxe", "http://10.0.0.1:8067/boot.ipxe?mac=x");
    assert!(
        !trial.heard(&by_ipxe) && !trial.is_worth_keeping(),
        "made-up MACs"
    );
    let script = BootEventKind::Script {
        target: BootTarget::LocalDisk,
    };
    assert!(trial.heard(&event(20, script)), "the fetch was not seen");
}

#[test]
fn a_partial_fetch_does_not_count() {
    let asked = |head, partial| {
        let mut trial = Trial::default();
        trial.heard(&told(0, "uefi-x64-http", "http://10.0.0.1:8067/boot/snponly.efi"));
        let what = BootEventKind::Http {
            path: "/boot/snponly.efi".into(),
            bytes: 0,
            status: 200,
            head,
            partial,
        };
        trial.heard(&event(100, what));
        trial.firmware_restarts(UnixMs(30_000))
    };
    for (head, partial) in [(true, false), (false, true)] {
        assert!(
            !asked(head, partial),
            "TCP is filtered, or a cable was pulled: not the loader's fault"
        );
    }
    assert!(asked(false, false));
}

#[test]
fn events_that_are_not_a_loaders_failure() {
    let mut trial = Trial::default();
    // Given but never fetched: TFTP is filtered, or another server's offer was taken.
    trial.heard(&told(0, "bios", "undionly.kpxe"));
    assert!(!trial.firmware_restarts(UnixMs(60_000)));
    // iPXE sends DHCP, so it runs.
    trial.heard(&fetched(60_100, "undionly.kpxe"));
    trial.heard(&told(61_000, "ipxe", "http://10.0.0.1:8067/boot.ipxe?mac=x"));
    assert!(!trial.firmware_restarts(UnixMs(62_000)));
    assert_eq!(trial.worked, Some(Loader::Undionly));
    assert_eq!(trial.sentence(|_| true), None);
    // By DHCPv6 too, which iPXE uses if routers say so.
    trial.heard(&told(70_000, "uefi-x64-v6", "tftp://[fd00::1]/snponly.efi"));
    trial.heard(&fetched(70_100, "snponly.efi"));
    let by_v6 = BootEventKind::Dhcp {
        message: "solicit".into(),
        client: "ipxe-v6".into(),
        answer: "advertise".into(),
        boot_file: None,
        facts: Default::default(),
    };
    trial.heard(&event(71_000, by_v6));
    assert!(!trial.firmware_restarts(UnixMs(71_500)));
    assert_eq!(trial.worked, Some(Loader::Snponly));
}
