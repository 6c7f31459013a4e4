//! One machine stays one and two stay two, whichever NIC booted first and whatever a report claims.

use std::time::Duration;

use agent::report::{Roots, collect};
use agent::session::Exit;
use e2e::Api;
use e2e::sim::{Booted, Machine, Netbooted, PowerOn, Raw, Rig};
use inventory_api::conflict::{Conflicts, ResolveConflict};
use inventory_api::machine::{MachineFilter, MachineState, MachineSummary};
use inventory_api::report::AssetReport;
use inventory_api::{Mac, MachineId, routes};
use lifecycle::Policy;
use reqwest::StatusCode;

use crate::fleet::{DISK, IMAGE, ONE, check_deployed, to_deployed};

const SECOND: Mac = Mac([0x02, 0x51, 0x4d, 1, 0, 1]);

async fn all(rig: &Rig) -> Vec<MachineSummary> {
    rig.api()
        .unwrap()
        .machines(&MachineFilter::default())
        .await
        .unwrap()
}

async fn of_mac(rig: &Rig, mac: Mac) -> MachineSummary {
    rig.api()
        .unwrap()
        .machine(&mac.to_string())
        .await
        .unwrap()
        .machine
}

async fn resolve(api: &Api, id: &MachineId, decision: ResolveConflict) -> anyhow::Result<Conflicts> {
    Ok(api
        .send(routes::RESOLVE_CONFLICT, [id.as_str()], &decision)
        .await?)
}

/// Waits until its DHCP requests are ignored; an answer would take milliseconds.
async fn assert_no_answer(rig: &Rig, machine: &Machine) {
    let asked = tokio::time::timeout(Duration::from_secs(3), machine.netboot(rig.service())).await;
    assert!(asked.is_err(), "{} was answered", machine.mac);
}

fn at_nic(machine: &Machine, mac: Mac) -> Machine {
    let mut machine = machine.clone();
    machine.mac = mac;
    machine
}

/// Both NICs of a machine netboot and are enrolled before either agent has reported. That the second one's
/// report lists the first one's MAC is a claim; the first enrolment is recognised as this machine when it
/// reports, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nics_that_both_boot_before_the_first_report_are_one_machine() {
    let rig = Rig::start(IMAGE, |_| {}).await.unwrap();
    let machine = Machine::make(rig.directory(), 1, DISK).unwrap();
    machine.captured.nic(1, SECOND).unwrap();
    let through_second = at_nic(&machine, SECOND);
    let booted = through_second.netboot(rig.service()).await.unwrap();
    assert!(matches!(booted, Netbooted::MiniOs { .. }));
    let first = of_mac(&rig, SECOND).await.id;
    // Power is lost; then the firmware uses the other NIC.
    let detail = to_deployed(&rig, &machine).await;
    check_deployed(&machine, &detail);
    assert_eq!(
        of_mac(&rig, SECOND).await.id,
        first,
        "a MAC that was heard stays with who was heard by it"
    );
    assert!(
        detail.machine.reported_macs.contains(&SECOND),
        "{:?}",
        detail.machine
    );

    // By the second NIC it comes up as that enrolment, reports who it is, and is told which machine it is.
    let booted = through_second
        .power_on(rig.service(), PowerOn::default())
        .await
        .unwrap();
    let Booted::MiniOs(Exit::Reboot { message }) = booted else {
        panic!("{booted:?}\n{}", through_second.console.lines().join("\n"));
    };
    assert!(message.contains(detail.machine.id.as_str()), "{message}");
    let machines = all(&rig).await;
    let living: Vec<_> = machines
        .iter()
        .filter(|m| m.status.state != MachineState::Retired)
        .collect();
    assert_eq!(living.len(), 1, "{machines:#?}");
    assert_eq!(living[0].id, detail.machine.id);
    assert!(living[0].macs.contains(&SECOND) && living[0].macs.contains(&machine.mac));
    let folded = machines.iter().find(|m| m.id == first).expect("nothing is lost");
    assert_eq!(folded.folded_into.as_ref(), Some(&detail.machine.id));
    let api = rig.api().unwrap();
    assert!(api.story(first.as_str()).await.contains("folded"));
    assert!(api.story(detail.machine.id.as_str()).await.contains("absorbed"));

    // From now on either NIC boots the installed system.
    let Netbooted::Disk = through_second.netboot(rig.service()).await.unwrap() else {
        panic!("the second NIC of a deployed machine did not boot its disk");
    };
}

/// A known machine that is ready; its report lists both NICs, or only the first.
async fn ready(rig: &Rig, machine: &Machine) -> MachineSummary {
    let api = rig.api().unwrap();
    tokio::select! {
        ended = machine.live(rig.service()) => panic!("{ended:?}"),
        ready = api.wait_state(&machine.serial, "ready", ONE) => ready.unwrap(),
    };
    of_mac(rig, machine.mac).await
}

/// A machine that has reported comes back by its other NIC: it is recognised and continues as the known
/// machine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_known_machine_that_boots_another_nic_comes_back_as_itself() {
    let rig = Rig::start(IMAGE, |config| config.policy = Policy::default())
        .await
        .unwrap();
    let machine = Machine::make(rig.directory(), 1, DISK).unwrap();
    machine.captured.nic(1, SECOND).unwrap();
    let known = ready(&rig, &machine).await;
    let other = at_nic(&machine, SECOND);
    let booted = other.power_on(rig.service(), PowerOn::default()).await.unwrap();
    let Booted::MiniOs(Exit::Reboot { message }) = booted else {
        panic!("{booted:?}\n{}", other.console.lines().join("\n"));
    };
    assert!(message.contains(known.id.as_str()), "{message}");
    let from = other.console.lines().len();
    tokio::select! {
        ended = other.live(rig.service()) => panic!("{ended:?}"),
        _ = other.console.wait("waiting: ", from) => {}
    }
    let told = format!("this is machine {}", known.id);
    assert!(
        other.console.lines()[from..].iter().any(|l| l.contains(&told)),
        "{:#?}",
        other.console.lines()
    );
    let now = of_mac(&rig, SECOND).await;
    assert_eq!((&now.id, now.status.state.as_str()), (&known.id, "ready"));
    assert_eq!(all(&rig).await.len(), 2, "the enrolment is kept, retired");
}

/// S2: a NIC that the known machine has never reported. Whoever boots by it is held, and nobody else; when
/// the known machine boots by a NIC it is known by and reports the new one, the two are merged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_nic_is_held_until_the_known_machine_reports_it() {
    let rig = Rig::start(IMAGE, |config| config.policy = Policy::default())
        .await
        .unwrap();
    let machine = Machine::make(rig.directory(), 1, DISK).unwrap();
    let known = ready(&rig, &machine).await;
    machine.captured.nic(1, SECOND).unwrap();
    let other = at_nic(&machine, SECOND);
    let ended = other.power_on(rig.service(), PowerOn::default()).await.unwrap();
    assert!(matches!(ended, Booted::MiniOs(Exit::Refused { .. })), "{ended:?}");
    let held = of_mac(&rig, SECOND).await;
    assert_ne!(held.id, known.id);
    assert_eq!(held.status.state, MachineState::Quarantined);
    assert_no_answer(&rig, &other).await;
    let untouched = of_mac(&rig, machine.mac).await;
    assert_eq!(
        (&untouched.id, untouched.status.state.as_str()),
        (&known.id, "ready")
    );
    assert_eq!(untouched.macs, vec![machine.mac], "no MAC of the newcomer moved");

    let from = machine.console.lines().len();
    tokio::select! {
        ended = machine.live(rig.service()) => panic!("{ended:?}"),
        _ = machine.console.wait("waiting: ", from) => {}
    }
    let now = of_mac(&rig, SECOND).await;
    assert_eq!(now.id, known.id, "both are one");
    assert!(now.conflicts_with.is_empty());
}

/// S2: a stranger knows the label, the UUID and a MAC of a machine that is off.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn knowing_the_label_and_a_mac_does_not_make_the_machine() {
    let rig = Rig::start(IMAGE, |config| config.policy = Policy::default())
        .await
        .unwrap();
    let victim = Machine::make(rig.directory(), 1, DISK).unwrap();
    let before = ready(&rig, &victim).await;
    let stranger = Machine::make(rig.directory(), 2, DISK).unwrap();
    stranger.captured.firmware(&victim.serial).unwrap();
    stranger.captured.nic(1, victim.mac).unwrap();
    let ended = stranger
        .power_on(rig.service(), PowerOn::default())
        .await
        .unwrap();
    assert!(matches!(ended, Booted::MiniOs(Exit::Refused { .. })), "{ended:?}");
    let after = of_mac(&rig, victim.mac).await;
    assert_eq!((&after.id, &after.macs), (&before.id, &before.macs));
    assert_eq!(
        after.status.state,
        MachineState::Ready,
        "and it does not stop the machine either"
    );
    assert_ne!(of_mac(&rig, stranger.mac).await.id, before.id);
    // The machine boots again and does not list the stranger's NIC: nothing is merged.
    let from = victim.console.lines().len();
    tokio::select! {
        ended = victim.live(rig.service()) => panic!("{ended:?}"),
        _ = victim.console.wait("waiting: ", from) => {}
    }
    assert_ne!(of_mac(&rig, stranger.mac).await.id, before.id);
    assert_no_answer(&rig, &stranger).await;
}

/// The whole SMBIOS of one machine in another: serial and UUID.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cloned_pair_is_kept_apart_and_stopped() {
    let rig = Rig::start(IMAGE, |config| config.policy = Policy::default())
        .await
        .unwrap();
    let api = rig.api().unwrap();
    let first = Machine::make(rig.directory(), 1, DISK).unwrap();
    let clone = Machine::make(rig.directory(), 2, DISK).unwrap();
    clone.captured.firmware(&first.serial).unwrap();
    let mac = first.mac.to_string();
    let (service, living) = (rig.service(), first.clone());
    let life = tokio::spawn(async move { living.live(service).await });
    api.wait_state(&mac, "ready", ONE).await.unwrap();
    let ended = clone.power_on(rig.service(), PowerOn::default()).await;
    assert!(
        matches!(ended, Ok(Booted::MiniOs(Exit::Refused { .. }))),
        "{ended:?}"
    );
    // The first one gets the same answer: its certificate is no longer valid.
    let ended = tokio::time::timeout(ONE, life)
        .await
        .expect("the first one stops")
        .unwrap();
    assert!(ended.is_err(), "{ended:?}");
    let (one, two) = (of_mac(&rig, first.mac).await, of_mac(&rig, clone.mac).await);
    assert_ne!(one.id, two.id);
    for (this, other) in [(&one, &two), (&two, &one)] {
        assert_eq!(this.status.state, MachineState::Quarantined, "{this:#?}");
        assert_eq!(this.status.reason.as_deref(), Some("identity-conflict"));
        assert_eq!(this.conflicts_with, std::slice::from_ref(&other.id));
        let shown = api.ask(routes::CONFLICTS, [this.id.as_str()]).await.unwrap();
        let conflict = &shown.conflicts[0];
        assert_eq!(conflict.newcomer.id, two.id, "{shown:#?}");
        assert_eq!(conflict.known.id, one.id);
        let mut fields = conflict.fields.iter();
        let uuid = fields.find(|f| f.field == "uuid").expect("the UUID of both");
        assert_eq!(uuid.agrees, Some(true));
    }
    for machine in [&first, &clone] {
        assert_no_answer(&rig, machine).await;
        use std::os::unix::fs::MetadataExt as _;
        assert_eq!(
            std::fs::metadata(machine.disk()).unwrap().blocks(),
            0,
            "a disk was written"
        );
    }

    // A person decided that they are two, and the decision is kept.
    resolve(&api, &two.id, ResolveConflict::Different { with: None })
        .await
        .unwrap();
    for machine in [&first, &clone] {
        let mac = machine.mac.to_string();
        tokio::select! {
            ended = machine.live(rig.service()) => panic!("{ended:?}"),
            ready = api.wait_state(&mac, "ready", ONE) => ready.unwrap(),
        };
        assert!(of_mac(&rig, machine.mac).await.conflicts_with.is_empty());
    }
}

/// A stranger knows serial, UUID and maker of a machine, from its label or from elsewhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_claims_a_deployed_machine_gains_nothing() {
    let rig = Rig::start(IMAGE, |_| {}).await.unwrap();
    let api = rig.api().unwrap();
    let victim = Machine::make(rig.directory(), 1, DISK).unwrap();
    let before = to_deployed(&rig, &victim).await.machine;
    let stranger = Machine::make(rig.directory(), 2, DISK).unwrap();
    let Netbooted::MiniOs { args, .. } = stranger.netboot(rig.service()).await.unwrap() else {
        panic!("a new machine boots the mini-os");
    };
    let mut raw = Raw::new(&rig.url(), rig.ca_pem()).unwrap();
    let (status, claimed) = raw.claim(&args).await.unwrap();
    assert_eq!(status, StatusCode::OK);
    assert_ne!(claimed["machine"], before.id.as_str());
    let mut report: AssetReport = collect(&Roots::under(victim.captured.root()));
    report.boot.boot_mac = Some(stranger.mac);
    for nic in &mut report.nics {
        nic.mac = Some(stranger.mac);
        nic.permanent_mac = None;
    }
    // Whether the victim is alive is not clear at once.
    let answer = e2e::wait::until("an answer to the stranger's report", ONE, async || {
        let (status, answer) = raw.report(&"b".repeat(32), report.clone()).await?;
        Ok((status != StatusCode::SERVICE_UNAVAILABLE).then_some((status, answer)))
    })
    .await
    .unwrap();
    assert_eq!(answer.0, StatusCode::OK, "{}", answer.1);
    // It gets no plan, no assignment and none of the secrets; its certificate is revoked.
    let (status, answer) = raw.get("/agent/v1/assignment?wait=0&seen=0").await.unwrap();
    assert!(
        status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN,
        "{status} {answer}"
    );
    assert_no_answer(&rig, &stranger).await;
    let newcomer = of_mac(&rig, stranger.mac).await;
    assert_ne!(newcomer.id, before.id);
    assert_eq!(newcomer.status.state, MachineState::Quarantined);

    // The victim keeps running: marked, not stopped, its row unchanged.
    let after = of_mac(&rig, victim.mac).await;
    assert_eq!((&after.id, after.status.state.as_str()), (&before.id, "deployed"));
    assert_eq!((&after.macs, &after.serial), (&before.macs, &before.serial));
    assert_eq!(after.conflicts_with, std::slice::from_ref(&newcomer.id));
    assert!(api.story(before.id.as_str()).await.contains("identity-conflict"));
    assert!(matches!(
        victim.netboot(rig.service()).await.unwrap(),
        Netbooted::Disk
    ));
    tokio::select! {
        ended = victim.live(rig.service()) => panic!("{ended:?}"),
        shown = async {
            let from = victim.console.lines().len();
            victim.console.wait("waiting: Installed and verified", from).await
        } => assert!(shown > 0),
    }

    // A person finds that it was the same machine with another NIC: one of the two goes, the other keeps
    // running.
    let same = |retire: &MachineId| ResolveConflict::Same {
        retire: retire.clone(),
    };
    let wrong = resolve(&api, &before.id, same(&before.id)).await;
    assert!(wrong.is_err(), "a deployed machine was folded away");
    resolve(&api, &before.id, same(&newcomer.id)).await.unwrap();
    let one = of_mac(&rig, stranger.mac).await;
    assert_eq!((&one.id, one.status.state.as_str()), (&before.id, "deployed"));
    assert!(one.conflicts_with.is_empty());
    assert!(matches!(
        stranger.netboot(rig.service()).await.unwrap(),
        Netbooted::Disk
    ));
}

/// A NIC is moved from a known machine into a new one, which boots from it: the known one is not overwritten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nic_that_was_moved_does_not_make_one_machine_of_another() {
    let rig = Rig::start(IMAGE, |config| config.policy = Policy::default())
        .await
        .unwrap();
    let api = rig.api().unwrap();
    let known = Machine::make(rig.directory(), 1, DISK).unwrap();
    tokio::select! {
        ended = known.live(rig.service()) => panic!("{ended:?}"),
        ready = api.wait_state(&known.serial, "ready", ONE) => ready.unwrap(),
    };
    let before = of_mac(&rig, known.mac).await;
    let new = Machine::make(rig.directory(), 2, DISK).unwrap();
    new.captured.nic(0, known.mac).unwrap();
    let new = at_nic(&new, known.mac);
    let ended = new.power_on(rig.service(), PowerOn::default()).await.unwrap();
    assert!(matches!(ended, Booted::MiniOs(Exit::Refused { .. })), "{ended:?}");
    let after = of_mac(&rig, known.mac).await;
    assert_eq!(
        (&after.id, &after.serial),
        (&before.id, &before.serial),
        "it was overwritten"
    );
    assert_eq!(after.status.reason.as_deref(), Some("identity-conflict"));
    let report = api.machine(before.id.as_str()).await.unwrap().report.unwrap();
    assert_eq!(
        report.system.unwrap().serial.as_deref(),
        Some(known.serial.as_str())
    );
    // A person says that it was another machine: it is enrolled at its next boot.
    resolve(&api, &before.id, ResolveConflict::Different { with: None })
        .await
        .unwrap();
    tokio::select! {
        ended = new.live(rig.service()) => panic!("{ended:?}"),
        ready = api.wait_state(&new.serial, "ready", ONE) => ready.unwrap(),
    };
    assert_ne!(of_mac(&rig, known.mac).await.id, before.id);
}
