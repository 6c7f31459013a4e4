//! From the first boot to Deployed and back, with the server killed at every stage.

use inventory_api::agent::{
    Assignment, ByteRange, Permission, Progress, RunsOn, StepOutcome, StepReport, WIPE_ENDS, WipedDisk,
};
use inventory_api::boot::Purpose;
use inventory_api::deploy::DeployRequest;
use inventory_api::machine::{Deployment, Verb};
use inventory_api::plan::{InstallPlan, Step};
use inventory_api::{Mac, routes};
use lifecycle::{Limits, Rule, RuleAction, RuleMatch};
use netboot::BootInstruction;

use crate::harness::{HOME, NIC, Site};
use crate::replay::assert_replays;

#[tokio::test]
async fn power_on_to_deployed_to_released_with_the_server_killed_at_every_stage() {
    let mut site = Site::new().await;
    let args = site.ticket(NIC, HOME).await;
    assert_eq!(args.purpose, Purpose::Commission);
    site.restart().await;
    let agent = site
        .claim(&args, &crate::harness::Key::new(), None)
        .await
        .unwrap();
    let id = agent.id.clone();
    site.restart().await;
    assert!(matches!(
        agent.assignment(&site, "").await.unwrap().assignment,
        Assignment::Report {}
    ));
    agent.report(&site, RunsOn::MiniOs).await.unwrap();
    site.restart().await;
    site.until(&id, "ready").await;

    let ordered = site.deploy(&id).await;
    site.restart().await;
    // The restarted server does not know that the mini-os was waiting, so it asks for a report.
    assert!(matches!(
        agent.assignment(&site, "").await.unwrap().assignment,
        Assignment::Report {}
    ));
    agent.report(&site, RunsOn::MiniOs).await.unwrap();
    let plan = agent.installs(&site).await;
    assert_eq!(plan.id, ordered.id);
    let accounts = plan.steps.iter().find_map(|s| match s {
        Step::Accounts { accounts } => Some(accounts.clone()),
        _ => None,
    });
    assert_eq!(
        accounts.unwrap()[0].password_hash.as_deref(),
        Some("$y$j9T$secret"),
        "the agent needs the hash"
    );
    for index in 0..plan.steps.len() {
        let start = agent
            .step(&site, &plan, index, StepOutcome::Starting {})
            .await
            .unwrap();
        assert_eq!(start, Permission::Continue {});
        if index == 3 {
            site.restart().await;
            let progress = Progress {
                plan: plan.id.clone(),
                index: 3,
                done_bytes: 1 << 29,
                total_bytes: 1 << 30,
            };
            let url = site.url("/agent/v1/progress");
            let sent = site
                .client(Some(&agent.identity), None)
                .post(url)
                .json(&progress)
                .send()
                .await
                .unwrap();
            assert_eq!(sent.status(), 204);
            let step = site.status(&id).await.step.unwrap();
            assert_eq!(
                (step.index, step.name.as_str(), step.done_bytes),
                (3, "write-image", 1 << 29)
            );
            assert!((20..80).contains(&step.percent), "{}", step.percent);
        }
        agent
            .step(&site, &plan, index, StepOutcome::Done { elapsed_ms: 1 })
            .await
            .unwrap();
    }
    let done = agent
        .step(
            &site,
            &plan,
            plan.steps.len(),
            StepOutcome::Done { elapsed_ms: 9 },
        )
        .await
        .unwrap();
    assert_eq!(done, Permission::Continue {});
    site.restart().await;
    agent.report(&site, RunsOn::MiniOs).await.unwrap();
    assert!(matches!(
        agent.assignment(&site, "").await.unwrap().assignment,
        Assignment::Reboot { .. }
    ));

    assert!(matches!(site.script(NIC, HOME).await, BootInstruction::LocalDisk));
    site.restart().await;
    // The installed system has the same credentials.
    agent.report(&site, RunsOn::Installed).await.unwrap();
    site.restart().await;
    agent.report(&site, RunsOn::Installed).await.unwrap();
    match agent.assignment(&site, "").await.unwrap().assignment {
        Assignment::Verify {
            plan: verified,
            expect,
        } => {
            assert_eq!((verified, expect.accounts.len()), (plan.id.clone(), 1));
        }
        other => panic!("nothing to verify: {other:?}"),
    }
    agent.verify(&site, &plan, true).await.unwrap();
    site.restart().await;
    assert_eq!(site.phase(&id).await, "deployed");
    assert!(matches!(site.script(NIC, HOME).await, BootInstruction::LocalDisk));
    agent.report(&site, RunsOn::Installed).await.unwrap();

    site.verb(&id, Verb::Release).await.unwrap();
    assert!(matches!(
        agent.assignment(&site, "").await.unwrap().assignment,
        Assignment::Reboot { .. }
    ));
    let wiper = site.boot(NIC).await;
    wiper.report(&site, RunsOn::MiniOs).await.unwrap();
    match wiper.assignment(&site, "").await.unwrap().assignment {
        Assignment::Wipe { disks } => assert_eq!(disks[0].serial.as_deref(), Some("DISK1")),
        other => panic!("nothing to wipe: {other:?}"),
    }
    for outcome in [StepOutcome::Starting {}, wiped(&plan)] {
        let step = StepReport {
            plan: "wipe".parse().unwrap(),
            index: 0,
            name: "wipe".into(),
            outcome,
        };
        let permission: Permission = wiper.post(&site, "step", &step).await.unwrap();
        assert_eq!(permission, Permission::Continue {});
    }
    assert_eq!(site.phase(&id).await, "ready");
    assert_replays(&site.core().store, &id).await;
}

/// The proof of the wipe for this plan's disk.
fn wiped(plan: &InstallPlan) -> StepOutcome {
    let size = plan.disk.size_bytes;
    let range = |from: u64, to: u64| ByteRange { from, to };
    StepOutcome::Wiped {
        elapsed_ms: 1,
        disks: vec![WipedDisk {
            serial: plan.disk.serial.clone(),
            wwn: plan.disk.wwn.clone(),
            size_bytes: size,
            partitions: 3,
            discarded: false,
            zeroed: vec![range(0, WIPE_ENDS), range(size - WIPE_ENDS, size)],
        }],
    }
}

#[tokio::test]
async fn power_lost_while_installing_starts_again_and_then_gives_up() {
    let site = Site::with(|config| {
        config.limits = Limits {
            attempts: 2,
            ..Limits::default()
        }
    })
    .await;
    let agent = site.boot(NIC).await;
    agent.report(&site, RunsOn::MiniOs).await.unwrap();
    let id = agent.id.clone();
    site.deploy(&id).await;
    agent.report(&site, RunsOn::MiniOs).await.unwrap();
    let plan = agent.installs(&site).await;
    agent
        .step(&site, &plan, 0, StepOutcome::Starting {})
        .await
        .unwrap();

    let second = site.boot(NIC).await;
    second.report(&site, RunsOn::MiniOs).await.unwrap();
    assert_eq!(second.installs(&site).await.id, plan.id);
    second
        .step(&site, &plan, 0, StepOutcome::Starting {})
        .await
        .unwrap();
    let third = site.boot(NIC).await;
    let status = site.status(&id).await;
    assert_eq!(
        (status.state.as_str(), status.reason.as_deref()),
        ("failed", Some("too-many-attempts"))
    );
    assert_eq!(
        status.verbs,
        [
            Verb::Retire,
            Verb::Release,
            Verb::Commission,
            Verb::Deploy,
            Verb::Retry
        ]
    );
    third.report(&site, RunsOn::MiniOs).await.unwrap();
    match third
        .step(&site, &plan, 1, StepOutcome::Starting {})
        .await
        .unwrap()
    {
        Permission::Stop { .. } => {}
        Permission::Continue {} => panic!("a failed deployment may not write"),
    }
    site.verb(&id, Verb::Retry).await.unwrap();
    third.report(&site, RunsOn::MiniOs).await.unwrap();
    assert_eq!(third.installs(&site).await.id, plan.id);
    assert_replays(&site.core().store, &id).await;
}

#[tokio::test]
async fn a_failed_step_is_shown_with_its_reason_and_deadlines_end_what_hangs() {
    let site = Site::new().await;
    let agent = site.boot(NIC).await;
    agent.report(&site, RunsOn::MiniOs).await.unwrap();
    let id = agent.id.clone();
    site.deploy(&id).await;
    agent.report(&site, RunsOn::MiniOs).await.unwrap();
    let plan = agent.installs(&site).await;
    let failed = StepOutcome::Failed {
        code: "digest-wrong".into(),
        detail: "image 12 is not 34".into(),
        wrote: true,
    };
    agent
        .step(&site, &plan, 3, StepOutcome::Starting {})
        .await
        .unwrap();
    agent.step(&site, &plan, 3, failed).await.unwrap();
    let status = site.status(&id).await;
    assert_eq!(status.reason.as_deref(), Some("digest-wrong"));
    assert!(
        status.sentence.contains("image 12 is not 34"),
        "{}",
        status.sentence
    );

    site.verb(&id, Verb::Retry).await.unwrap();
    site.pass(3601);
    site.until(&id, "failed/deploying").await;
    assert_eq!(site.status(&id).await.reason.as_deref(), Some("no-boot"));
    assert_replays(&site.core().store, &id).await;
}

#[tokio::test]
async fn a_deadline_that_passed_while_the_server_was_down_is_noticed() {
    let mut site = Site::new().await;
    let id = site.boot(NIC).await.id;
    site.pass(0);
    drop(site.core());
    // The deadline passes between two restarts.
    site.restart().await;
    site.pass(10_000);
    site.restart().await;
    site.until(&id, "failed/commissioning").await;
    assert_eq!(site.status(&id).await.reason.as_deref(), Some("report-timeout"));
}

#[tokio::test]
async fn a_rule_deploys_a_machine_on_its_first_boot_and_another_holds_one() {
    let spare = Mac([2, 0, 0, 0, 0, 7]);
    let site = Site::with(|config| {
        let rule = |name: &str, matches, action, profile: Option<&str>| Rule {
            name: name.into(),
            matches,
            action,
            profile: profile.map(str::to_owned),
            kernel_args: Vec::new(),
        };
        config.policy.rules = vec![
            rule(
                "spare",
                RuleMatch {
                    mac: Some(spare),
                    ..Default::default()
                },
                RuleAction::Hold,
                None,
            ),
            rule(
                "acme",
                RuleMatch {
                    manufacturer: Some("acme".into()),
                    serial: Some("sn1".into()),
                    ..Default::default()
                },
                RuleAction::Deploy,
                Some("web"),
            ),
        ];
        let request = DeployRequest {
            image: "debian-12@1".into(),
            ..Default::default()
        };
        config.profiles.insert("web".into(), request);
    })
    .await;
    assert!(matches!(
        site.script(spare, HOME).await,
        BootInstruction::LocalDisk
    ));
    let agent = site.boot(NIC).await;
    agent.report(&site, RunsOn::MiniOs).await.unwrap();
    assert_eq!(site.phase(&agent.id).await, "deploying/installing");
    let plan = agent.installs(&site).await;
    assert_eq!(plan.hostname, agent.id.as_str());
    assert_replays(&site.core().store, &agent.id).await;
}

fn by_maker(config: &mut config::Config) {
    config.policy.rules = vec![Rule {
        name: "acme".into(),
        matches: RuleMatch {
            manufacturer: Some("acme".into()),
            ..Default::default()
        },
        action: RuleAction::Deploy,
        profile: Some("web".into()),
        kernel_args: Vec::new(),
    }];
    let request = DeployRequest {
        image: "debian-12@1".into(),
        ..Default::default()
    };
    config.profiles.insert("web".into(), request);
}

/// S5: claiming the maker's name is not enough to get a plan.
#[tokio::test]
async fn a_machine_that_nobody_expects_waits_for_a_person() {
    let site = Site::with(by_maker).await;
    let agent = site.boot(NIC).await;
    agent.report(&site, RunsOn::MiniOs).await.unwrap();
    assert_eq!(site.phase(&agent.id).await, "ready");
    let said = site.status(&agent.id).await.sentence;
    for word in ["Held: not expected", "SN1", "slipway deploy", "--profile web"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(matches!(
        agent.assignment(&site, "").await.unwrap().assignment,
        Assignment::Wait { .. }
    ));
    assert_replays(&site.core().store, &agent.id).await;
    // A person orders the deployment.
    let profile = "web".to_owned();
    let deployment = Deployment::Profile { profile };
    site.send(routes::DEPLOY, [agent.id.as_str()], &deployment)
        .await
        .unwrap();
    agent.report(&site, RunsOn::MiniOs).await.unwrap();
    assert_eq!(site.phase(&agent.id).await, "deploying/installing");
    // With the policy whose name states the risk, the rule deploys it.
    let site = Site::with(|config| {
        by_maker(config);
        config.policy.deploy = lifecycle::policy::Deploys::AnyMachineThatSaysSo;
    })
    .await;
    let agent = site.boot(NIC).await;
    agent.report(&site, RunsOn::MiniOs).await.unwrap();
    assert_eq!(site.phase(&agent.id).await, "deploying/installing");
}

/// The rack plan lists the serial number, which is good for one deployment by rule.
#[tokio::test]
async fn a_machine_of_the_rack_plan_is_deployed_once() {
    let site = Site::with(by_maker).await;
    crate::delivery::csv(&site, "racks", "room,rack,unit,serial\nr1,a,1,SN1\n").await;
    let agent = site.boot(NIC).await;
    agent.report(&site, RunsOn::MiniOs).await.unwrap();
    assert_eq!(site.phase(&agent.id).await, "deploying/installing");
    site.verb(&agent.id, Verb::Abort).await.unwrap();
    site.verb(&agent.id, Verb::Retire).await.unwrap();
    // The serial number has been received: another machine that reports it waits.
    let again = site.boot(Mac([2, 0, 0, 0, 0, 8])).await;
    again.report(&site, RunsOn::MiniOs).await.unwrap();
    assert_eq!(site.phase(&again.id).await, "ready");
    let said = site.status(&again.id).await.sentence;
    assert!(
        said.contains("received before") && said.contains(agent.id.as_str()),
        "{said}"
    );
    // A retired machine can be forgotten, one that is ready cannot.
    let refused = site.verb(&again.id, Verb::Forget).await;
    assert_eq!(refused.unwrap_err().status, 409);
    site.verb(&agent.id, Verb::Forget).await.unwrap();
    let gone = site.ask(routes::MACHINE, [agent.id.as_str()]).await;
    assert_eq!(gone.unwrap_err().status, 404);
}

#[tokio::test]
async fn an_image_comes_in_ranges_to_the_machine_whose_plan_names_it() {
    let site = Site::new().await;
    let agent = site.boot(NIC).await;
    agent.report(&site, RunsOn::MiniOs).await.unwrap();
    let images = site.list(routes::IMAGES, []).await.unwrap();
    let url = site.url(&format!("/agent/v1/images/{}", images[0].sha256));
    let client = site.client(Some(&agent.identity), None);
    assert_eq!(
        client.get(&url).send().await.unwrap().status(),
        404,
        "no plan names it yet"
    );
    site.deploy(&agent.id).await;
    let whole = client.get(&url).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(whole.len(), 100_000);
    let rest = client
        .get(&url)
        .header("range", "bytes=99000-")
        .send()
        .await
        .unwrap();
    assert_eq!(rest.status(), 206);
    assert_eq!(rest.headers()["content-range"], "bytes 99000-99999/100000");
    assert_eq!(rest.bytes().await.unwrap(), whole[99_000..]);
    assert_eq!(
        site.client(None, None).get(&url).send().await.unwrap().status(),
        401
    );
}

#[tokio::test]
async fn a_graceful_stop_answers_waiting_clients() {
    let mut site = Site::new().await;
    let agent = site.boot(NIC).await;
    let seen = agent.assignment(&site, "").await.unwrap().seq;
    site.pass(1);
    let core = site.core();
    let now = core.clock.now();
    let begin = std::time::Instant::now();
    let stopping = async {
        // The request has arrived once the machine was seen at the new time.
        while core.memory.sessions.get(&agent.id).last_seen != Some(now) {
            assert!(
                begin.elapsed().as_secs() < 20,
                "waited 20 s for the question to arrive"
            );
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        site.running().stop_token().cancel();
    };
    let query = format!("?wait=50&seen={seen}");
    let (answer, ()) = tokio::join!(agent.assignment(&site, &query), stopping);
    assert_eq!(answer.unwrap().seq, seen);
    assert!(
        begin.elapsed().as_secs() < 25,
        "the answer did not come before its wait was over"
    );
    drop(core);
    site.restart().await;
    assert_eq!(
        agent.assignment(&site, "").await.unwrap().seq,
        seen,
        "the number survives a restart"
    );
}
