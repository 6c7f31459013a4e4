//! Who may speak for a machine: tickets, certificates, reports. See docs/security.md.

use agent::report::{Roots, collect};
use e2e::sim::{Machine, Netbooted, PowerOn, Raw, Rig};
use e2e::{Api, scenario::PROFILE};
use inventory_api::boot::BootArgs;
use inventory_api::machine::MachineState;
use inventory_api::report::AssetReport;
use reqwest::StatusCode;

use crate::fleet::{DISK, IMAGE, ONE, to_deployed};

async fn boot(rig: &Rig, machine: &Machine) -> (BootArgs, String) {
    match machine.netboot(rig.service()).await.unwrap() {
        Netbooted::MiniOs { args, ca_pem } => (*args, ca_pem),
        Netbooted::Disk | Netbooted::Nothing => panic!("the mini-os was not booted"),
    }
}

fn raw(rig: &Rig) -> Raw {
    Raw::new(&rig.url(), rig.ca_pem()).unwrap()
}

fn code(answer: &serde_json::Value) -> &str {
    answer["type"].as_str().unwrap_or_default()
}

fn report_of(machine: &Machine) -> AssetReport {
    let mut report = collect(&Roots::under(machine.captured.root()));
    report.boot.boot_mac = Some(machine.mac);
    report
}

async fn assert_alarm(api: &Api, machine: &Machine) {
    let story = api.story(&machine.serial).await;
    assert!(story.contains("security-alarm"), "{story}");
}

/// A stranger took the ticket from the wire and was faster; then the machine itself claims: alarm, and
/// nothing is destroyed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stolen_ticket_stops_the_machine_before_anything_is_destroyed() {
    let rig = Rig::start(IMAGE, |_| {}).await.unwrap();
    let api = rig.api().unwrap();
    let machine = Machine::make(rig.directory(), 1, DISK).unwrap();
    let (args, ca_pem) = boot(&rig, &machine).await;
    let mut stranger = raw(&rig);
    let (status, _) = stranger.claim(&args).await.unwrap();
    assert_eq!(status, StatusCode::OK);
    // The stranger even reports, so that there is a plan.
    let (status, _) = stranger
        .report(&"a".repeat(32), report_of(&machine))
        .await
        .unwrap();
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        api.machine(&machine.serial).await.unwrap().machine.status.state,
        MachineState::Deploying
    );

    let exit = machine.mini_os(args, ca_pem, PowerOn::default()).await.unwrap();
    assert!(exit.to_string().contains("ticket-used"), "{exit}");
    let status = api.machine(&machine.serial).await.unwrap().machine.status;
    assert_eq!(status.state, MachineState::Quarantined, "{status:#?}");
    assert!(status.sentence.len() > 20, "{status:#?}");
    assert_alarm(&api, &machine).await;
    // The thief's certificate is worthless now.
    let (status, answer) = stranger.get("/agent/v1/assignment?wait=0&seen=0").await.unwrap();
    assert!(
        status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN,
        "{status} {answer}"
    );
    use std::os::unix::fs::MetadataExt;
    assert_eq!(
        std::fs::metadata(machine.disk()).unwrap().blocks(),
        0,
        "the disk was written"
    );
}

/// The machine has claimed; a second claim with another key arrives while it installs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_claim_while_it_installs_stops_the_machine() {
    let rig = Rig::start(16 << 20, |_| {}).await.unwrap();
    let api = rig.api().unwrap();
    let machine = Machine::make(rig.directory(), 1, DISK).unwrap();
    let (args, ca_pem) = boot(&rig, &machine).await;
    let life = machine.mini_os(args.clone(), ca_pem, PowerOn::default());
    tokio::pin!(life);
    let mut attack = Box::pin(async {
        machine.console.wait("step 1/13 erase-disk", 0).await;
        let (status, answer) = raw(&rig).claim(&args).await.unwrap();
        assert_eq!((status, code(&answer)), (StatusCode::CONFLICT, "ticket-used"));
        api.wait_rest(&machine.serial, ONE).await.unwrap()
    });
    let detail = tokio::select! {
        biased;
        detail = &mut attack => detail,
        // The honest agent may be the first to notice that its certificate was revoked.
        exit = &mut life => {
            assert!(format!("{exit:?}").contains("certificate-revoked"), "{exit:?}");
            attack.await
        }
    };
    assert_eq!(
        detail.machine.status.state,
        MachineState::Quarantined,
        "{:#?}",
        detail.machine.status
    );
    assert_alarm(&api, &machine).await;
}

/// A lost answer: the same ticket with the same key gets the same certificate, and no alarm.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_claim_again_is_the_same_answer() {
    let rig = Rig::start(IMAGE, |_| {}).await.unwrap();
    let machine = Machine::make(rig.directory(), 1, DISK).unwrap();
    let (args, _) = boot(&rig, &machine).await;
    let mut agent = raw(&rig);
    let (first, one) = agent.claim(&args).await.unwrap();
    let (second, two) = agent.claim(&args).await.unwrap();
    assert_eq!((first, second), (StatusCode::OK, StatusCode::OK), "{two}");
    assert_eq!(one["certificate_pem"], two["certificate_pem"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invalid_tickets_give_nothing() {
    let rig = Rig::start(IMAGE, |_| {}).await.unwrap();
    let machine = Machine::make(rig.directory(), 1, DISK).unwrap();
    let other = Machine::make(rig.directory(), 2, DISK).unwrap();
    let (old, _) = boot(&rig, &machine).await;
    let (new, _) = boot(&rig, &machine).await;
    assert_ne!(old.ticket, new.ticket);
    let mut guess = new.clone();
    guess.ticket = "0".repeat(new.ticket.len());
    let mut foreign = new.clone();
    foreign.mac = other.mac;
    for (args, why) in [
        (guess, "ticket-unknown"),
        (old, "ticket-expired"),
        (foreign, "ticket-address"),
    ] {
        let (status, answer) = raw(&rig).claim(&args).await.unwrap();
        assert_eq!((status, code(&answer)), (StatusCode::FORBIDDEN, why), "{answer}");
        assert!(answer.get("certificate_pem").is_none());
    }
    // None of that disturbed the machine.
    let (status, _) = raw(&rig).claim(&new).await.unwrap();
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replayed_report_is_refused() {
    let rig = Rig::start(IMAGE, |config| config.policy.rules.clear())
        .await
        .unwrap();
    let machine = Machine::make(rig.directory(), 1, DISK).unwrap();
    let (args, _) = boot(&rig, &machine).await;
    let mut agent = raw(&rig);
    agent.claim(&args).await.unwrap();
    let nonce = "b".repeat(32);
    let report = report_of(&machine);
    let (status, _) = agent.report(&nonce, report.clone()).await.unwrap();
    assert_eq!(status, StatusCode::OK);
    let mut lie = report.clone();
    lie.disks.clear();
    let (status, answer) = agent.report(&nonce, lie).await.unwrap();
    assert_eq!(
        (status, code(&answer)),
        (StatusCode::CONFLICT, "report-replayed"),
        "{answer}"
    );
    // An older report, repeated word for word after a newer one, is a replay too.
    let (status, _) = agent.report(&"c".repeat(32), report.clone()).await.unwrap();
    assert_eq!(status, StatusCode::OK);
    let (status, answer) = agent.report(&nonce, report).await.unwrap();
    assert_eq!(
        (status, code(&answer)),
        (StatusCode::CONFLICT, "report-replayed"),
        "{answer}"
    );
    let kept = rig.api().unwrap().machine(&machine.serial).await.unwrap();
    assert_eq!(kept.report.unwrap().disks.len(), 1);
}

/// Somebody who knows only the MAC: the boot path reveals no secret, and the APIs answer nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_who_knows_the_mac_gets_nothing_of_worth() {
    let rig = Rig::start(IMAGE, |_| {}).await.unwrap();
    let machine = Machine::make(rig.directory(), 1, DISK).unwrap();
    let detail = to_deployed(&rig, &machine).await;
    let stranger = raw(&rig);
    let id = detail.machine.id.as_str();
    for path in [
        "/v1/machines".to_owned(),
        format!("/v1/machines/{id}"),
        format!("/v1/machines/{}/plan", machine.mac),
        format!("/v1/journey/{}", machine.mac),
        "/v1/profiles".to_owned(),
        "/v1/events".to_owned(),
        "/agent/v1/assignment?wait=0&seen=0".to_owned(),
    ] {
        let (status, answer) = stranger.get(&path).await.unwrap();
        assert!(
            status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN,
            "{path}: {status} {answer}"
        );
        assert!(!answer.to_string().contains(id), "{path}: {answer}");
    }
    for verb in ["deploy", "release", "retire"] {
        let body = serde_json::json!({ "profile": PROFILE });
        let (status, _) = stranger
            .post(&format!("/v1/machines/{id}/{verb}"), &body)
            .await
            .unwrap();
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{verb}");
    }
    // Booting with its MAC leads to the machine's own disk: a deployed machine gets no ticket.
    let imposter = Machine::make(&rig.directory().join("imposter"), 1, DISK).unwrap();
    assert_eq!(imposter.mac, machine.mac);
    assert!(matches!(
        imposter.netboot(rig.service()).await.unwrap(),
        Netbooted::Disk
    ));
    // Nothing that the server sent or stored in clear contains the password hash or the token.
    let after = rig.api().unwrap().machine(id).await.unwrap();
    assert!(
        !serde_json::to_string(&after).unwrap().contains("$6$"),
        "a password hash left the server"
    );
    assert_eq!(after.machine.status.state, MachineState::Deployed);
}
