//! Who may speak for a machine.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use inventory_api::Mac;
use inventory_api::agent::{Assignment, RunsOn, StepOutcome};
use inventory_api::machine::Verb;
use netboot::{BootInstruction, BootSource as _};

use crate::harness::{HOME, Key, NIC, Site, all_machines, report};

#[tokio::test]
async fn a_lost_answer_may_be_asked_for_again_with_the_same_key() {
    let site = Site::new().await;
    let args = site.ticket(NIC, HOME).await;
    let key = Key::new();
    let first = site.claim(&args, &key, None).await.unwrap();
    let again = site.claim(&args, &key, None).await.unwrap();
    assert_eq!(
        (first.id.clone(), &first.certificate),
        (again.id, &again.certificate)
    );
    assert_eq!(site.phase(&first.id).await, "commissioning/claimed");
    first.report(&site, RunsOn::MiniOs).await.unwrap();
}

#[tokio::test]
async fn a_second_key_is_an_alarm_that_stops_the_machine_and_revokes_its_certificate() {
    let site = Site::new().await;
    let args = site.ticket(NIC, HOME).await;
    let honest = site.claim(&args, &Key::new(), None).await.unwrap();
    let problem = site
        .claim(&args, &Key::new(), Some(Ipv4Addr::new(127, 0, 0, 66)))
        .await
        .unwrap_err();
    assert_eq!((problem.code.as_str(), problem.status), ("ticket-used", 409));

    let status = site.status(&honest.id).await;
    assert_eq!(
        (status.state.as_str(), status.reason.as_deref()),
        ("quarantined", Some("ticket-used"))
    );
    let refused = honest.report(&site, RunsOn::MiniOs).await.unwrap_err();
    assert_eq!(
        (refused.code.as_str(), refused.status),
        ("certificate-revoked", 403)
    );
    assert!(matches!(site.script(NIC, HOME).await, BootInstruction::Ignore));
    let history = site.history(&honest.id).await;
    let alarm = history.last().unwrap();
    assert_eq!(alarm.event, "security-alarm");
    assert!(alarm.sentence.contains("127.0.0.66"), "{}", alarm.sentence);
}

#[tokio::test]
async fn a_waiting_assignment_says_stop_when_the_alarm_comes() {
    let site = Site::new().await;
    let args = site.ticket(NIC, HOME).await;
    let honest = site.claim(&args, &Key::new(), None).await.unwrap();
    let seen = honest.assignment(&site, "").await.unwrap().seq;
    let query = format!("?wait=20&seen={seen}");
    let (answer, _) = tokio::join!(honest.assignment(&site, &query), async {
        // Held by the map of bells, by this variable and by the waiting request.
        let bell = site.core().memory.sessions.bell(&honest.id);
        let begun = Instant::now();
        while Arc::strong_count(&bell) < 3 {
            assert!(begun.elapsed() < Duration::from_secs(20), "no request waits");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        site.claim(&args, &Key::new(), None).await.unwrap_err()
    });
    assert!(matches!(answer.unwrap().assignment, Assignment::Stop { .. }));
}

#[tokio::test]
async fn a_ticket_is_refused_when_unknown_old_or_from_elsewhere() {
    let site = Site::new().await;
    let mut made_up = site.ticket(NIC, HOME).await;
    made_up.ticket = "0".repeat(64);
    assert_eq!(
        site.claim(&made_up, &Key::new(), None).await.unwrap_err().code,
        "ticket-unknown"
    );

    let args = site.ticket(NIC, HOME).await;
    let elsewhere = site
        .claim(&args, &Key::new(), Some(Ipv4Addr::new(127, 0, 0, 2)))
        .await
        .unwrap_err();
    assert_eq!(
        (elsewhere.code.as_str(), elsewhere.status),
        ("ticket-address", 403)
    );
    let mut other_nic = args.clone();
    other_nic.mac = Mac([2, 0, 0, 0, 0, 9]);
    assert_eq!(
        site.claim(&other_nic, &Key::new(), None).await.unwrap_err().code,
        "ticket-address"
    );

    site.pass(601);
    assert_eq!(
        site.claim(&args, &Key::new(), None).await.unwrap_err().code,
        "ticket-expired"
    );
}

#[tokio::test]
async fn a_claim_after_somebody_fetched_and_claimed_a_newer_ticket_is_an_alarm() {
    let site = Site::new().await;
    let machines = site.ticket(NIC, HOME).await;
    let strangers = site.ticket(NIC, HOME).await;
    let stranger = site.claim(&strangers, &Key::new(), None).await.unwrap();
    // From another address it proves nothing: it may be an old ticket that was overheard.
    let elsewhere = Some(Ipv4Addr::new(127, 0, 0, 2));
    let problem = site.claim(&machines, &Key::new(), elsewhere).await.unwrap_err();
    assert_eq!(problem.code, "ticket-expired");
    let problem = site.claim(&machines, &Key::new(), None).await.unwrap_err();
    assert_eq!((problem.code.as_str(), problem.status), ("ticket-replaced", 409));
    site.claim(&machines, &Key::new(), None).await.unwrap_err();
    assert_eq!(alarms(&site, &stranger.id).await, 1, "one ticket, one alarm");
    let error = stranger.report(&site, RunsOn::MiniOs).await.unwrap_err();
    assert_eq!(error.code, "certificate-revoked");
}

async fn alarms(site: &Site, id: &inventory_api::MachineId) -> usize {
    let history = site.history(id).await;
    history.iter().filter(|h| h.event == "security-alarm").count()
}

#[tokio::test]
async fn the_older_certificate_used_after_a_newer_claim_is_an_alarm() {
    let site = Site::new().await;
    let before = site.boot(NIC).await;
    before.report(&site, RunsOn::MiniOs).await.unwrap();
    let after = site.boot(NIC).await;
    assert_eq!(before.id, after.id);
    after.report(&site, RunsOn::MiniOs).await.unwrap();
    for _ in 0..3 {
        assert_eq!(
            before.report(&site, RunsOn::MiniOs).await.unwrap_err().code,
            "certificate-revoked"
        );
    }
    let status = site.status(&after.id).await;
    assert_eq!(
        (status.state.as_str(), status.reason.as_deref()),
        ("quarantined", Some("identity-used"))
    );
    assert_eq!(
        after.report(&site, RunsOn::MiniOs).await.unwrap_err().code,
        "certificate-revoked"
    );
    assert_eq!(alarms(&site, &after.id).await, 1, "one certificate, one alarm");
}

#[tokio::test]
async fn a_broken_signing_request_uses_nothing_up() {
    let site = Site::new().await;
    let args = site.ticket(NIC, HOME).await;
    let body = serde_json::json!({
        "ticket": args.ticket, "csr_pem": "nonsense", "boot_mac": args.mac, "agent_version": "test",
    });
    let response = site
        .client(None, None)
        .post(site.url("/agent/v1/claim"))
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 400);
    site.claim(&args, &Key::new(), None).await.unwrap();
}

#[tokio::test]
async fn a_report_is_taken_once() {
    let site = Site::new().await;
    let agent = site.boot(NIC).await;
    let first = report(&"a".repeat(32), RunsOn::MiniOs);
    let answer: inventory_api::agent::ReportResponse = agent.post(&site, "report", &first).await.unwrap();
    assert_eq!(site.phase(&agent.id).await, "ready");
    // The answer was lost: the identical report gets the same answer and changes no state.
    let again: inventory_api::agent::ReportResponse = agent.post(&site, "report", &first).await.unwrap();
    assert_eq!(answer, again);
    let mut forged = first.clone();
    forged.report.collect_ms = 99;
    let refused = agent
        .post::<serde_json::Value>(&site, "report", &forged)
        .await
        .unwrap_err();
    assert_eq!((refused.code.as_str(), refused.status), ("report-replayed", 409));
    // After a newer report, the identical old one is a replay too.
    agent.report(&site, RunsOn::MiniOs).await.unwrap();
    assert_eq!(
        agent
            .post::<serde_json::Value>(&site, "report", &first)
            .await
            .unwrap_err()
            .code,
        "report-replayed"
    );
}

#[tokio::test]
async fn another_nic_of_a_reported_machine_is_the_same_machine() {
    let site = Site::new().await;
    let agent = site.boot(NIC).await;
    let second = Mac([2, 0, 0, 0, 0, 2]);
    let mut sent = report(&"b".repeat(32), RunsOn::MiniOs);
    sent.report.nics.push(inventory_api::report::NicFacts {
        mac: Some(second),
        ..Default::default()
    });
    agent
        .post::<serde_json::Value>(&site, "report", &sent)
        .await
        .unwrap();
    // A reported MAC opens nothing: a boot from this NIC is a new enrolment until its own report.
    site.pass(100);
    let again = site.boot(second).await;
    assert_ne!(agent.id, again.id);
    sent.nonce = "c".repeat(32);
    let told: inventory_api::agent::ReportResponse = again.post(&site, "report", &sent).await.unwrap();
    assert!(told.message.contains(agent.id.as_str()), "{}", told.message);
    assert_eq!(site.boot(second).await.id, agent.id);
}

/// S6: somebody fetches a boot script for a machine whose firmware has sent no DHCP request since its agent
/// was heard.
#[tokio::test]
async fn without_a_boot_request_there_is_no_ticket_and_no_change_of_state() {
    let site = Site::new().await;
    let agent = site.boot(NIC).await;
    agent.report(&site, RunsOn::MiniOs).await.unwrap();
    let boot = service::boot::Boot::new(site.core(), 1, std::collections::HashMap::new());
    let asks = |firmware_asked| netboot::BootClient {
        mac: NIC,
        ip: Some(HOME),
        network: "lab".into(),
        server: HOME,
        firmware_asked,
    };
    let before = site.core().store.machine(&agent.id).await.unwrap();
    let now = site.core().clock.now();
    for heard in [None, Some(now.minus_seconds(1))] {
        let order = boot.script(&asks(heard)).await;
        assert!(matches!(order, BootInstruction::Held(_)), "{order:?}");
    }
    assert_eq!(site.core().store.machine(&agent.id).await.unwrap(), before);
    assert!(site.detail(&agent.id).await.machine.held.is_some());
    site.verb(&agent.id, Verb::Admit).await.unwrap();
    assert!(site.detail(&agent.id).await.machine.held.is_none());
    assert!(matches!(
        boot.script(&asks(None)).await,
        BootInstruction::MiniOs(_)
    ));
}

/// S9: new machines are limited per minute and network, and those that never claimed are forgotten after a
/// day.
#[tokio::test]
async fn made_up_machines_are_bounded_and_forgotten() {
    let site = Site::with(|config| config.boot.enrolments_per_minute = 5).await;
    let boot = service::boot::Boot::new(site.core(), 1, std::collections::HashMap::new());
    let mut held = 0;
    for n in 0..20 {
        let client = netboot::BootClient {
            mac: Mac([2, 0, 0, 0, 1, n]),
            ip: Some(HOME),
            network: "lab".into(),
            server: HOME,
            firmware_asked: Some(site.core().clock.now()),
        };
        held += usize::from(matches!(boot.script(&client).await, BootInstruction::Held(_)));
    }
    assert_eq!(held, 15);
    assert_eq!(
        site.core().store.macs().await.unwrap().len(),
        0,
        "nobody is known by it"
    );
    site.pass(61);
    let kept = site.boot(NIC).await;
    kept.report(&site, RunsOn::MiniOs).await.unwrap();
    site.pass(25 * 3600);
    let begin = std::time::Instant::now();
    while all_machines(&site.core().store).await.len() > 1 {
        assert!(begin.elapsed().as_secs() < 20, "they are not forgotten");
        site.pass(0);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(all_machines(&site.core().store).await[0].id, kept.id);
}

/// L8: the texts in an agent's verification are cleaned like those in its report.
#[tokio::test]
async fn a_verification_is_cleaned() {
    let site = Site::new().await;
    let agent = site.boot(NIC).await;
    agent.report(&site, RunsOn::MiniOs).await.unwrap();
    let plan = site.deploy(&agent.id).await;
    agent.report(&site, RunsOn::MiniOs).await.unwrap();
    agent
        .step(
            &site,
            &plan,
            plan.steps.len(),
            StepOutcome::Done { elapsed_ms: 1 },
        )
        .await
        .unwrap();
    agent.report(&site, RunsOn::Installed).await.unwrap();
    let body = inventory_api::agent::Verification {
        plan: plan.id.clone(),
        items: vec![inventory_api::agent::VerifiedItem {
            what: "host\u{1b}[2Jname".into(),
            ok: false,
            found: format!("a\u{202e}b{}", "x".repeat(5000)),
        }],
    };
    let client = site.client(Some(&agent.identity), None);
    let url = site.url("/agent/v1/verification");
    assert!(
        client
            .post(url)
            .json(&body)
            .send()
            .await
            .unwrap()
            .status()
            .is_success()
    );
    let kept = site.core().store.verification(&agent.id).await.unwrap().unwrap();
    assert_eq!(kept.items[0].what, "host[2Jname");
    assert!(kept.items[0].found.starts_with("abx") && kept.items[0].found.len() <= 1024);
    let reason = site.status(&agent.id).await.sentence;
    assert!(!reason.contains('\u{1b}'), "{reason}");
}

#[tokio::test]
async fn without_a_good_certificate_an_agent_gets_nothing() {
    let site = Site::new().await;
    let nobody = site.client(None, None);
    for path in ["assignment", "images/x"] {
        let response = nobody
            .get(site.url(&format!("/agent/v1/{path}")))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 401, "{path}");
    }
    for path in ["report", "step", "progress", "verification"] {
        let response = nobody
            .post(site.url(&format!("/agent/v1/{path}")))
            .body("{}")
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 401, "{path}");
    }
    // A certificate from another authority fails in the TLS handshake.
    let other = Site::new().await;
    let stranger = other.boot(NIC).await;
    let request = site
        .client(Some(&stranger.identity), None)
        .get(site.url("/v1/health"))
        .send()
        .await;
    assert!(request.is_err());
}
