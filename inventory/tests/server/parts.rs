//! History of parts, tasks for agents, and hostile reports.

use inventory_api::agent::{Assignment, Permission, ReportResponse, RunsOn};
use inventory_api::burn_in::{BurnInPart, BurnInRequest, BurnInResult};
use inventory_api::check::{Outlier, Verdict};
use inventory_api::machine::MachineState;
use inventory_api::parts::{PartEventKind, PartLife};
use inventory_api::report::{AssetReport, NicFacts};
use inventory_api::task::{Identify, Task, TaskOutcome, TaskReport};
use inventory_api::{Mac, Problem, routes};
use serde_json::json;

use crate::delivery::{csv, import, send, with_dimms};
use crate::harness::{Agent, NIC, Site};
use crate::pages::Browser;

const OTHER: Mac = Mac([2, 0, 0, 0, 0, 2]);

async fn life(site: &Site, serial: &str) -> PartLife {
    let mut lives = site.list(routes::PARTS, [serial]).await.unwrap();
    assert_eq!(lives.len(), 1);
    lives.remove(0)
}

fn whats(part: &PartLife) -> Vec<PartEventKind> {
    part.events.iter().rev().map(|e| e.what).collect()
}

/// A report of a machine whose only NIC is the one it booted from.
fn machine(serial: &str, nic: Mac, dimms: &[(&str, Option<&str>)]) -> AssetReport {
    let mut r = with_dimms(serial, dimms);
    r.disks.clear();
    r.nics = vec![NicFacts {
        name: "eth0".into(),
        mac: Some(nic),
        ..NicFacts::default()
    }];
    r.boot.boot_mac = Some(nic);
    r
}

#[tokio::test]
async fn a_part_is_installed_moved_removed_and_returned() {
    let site = Site::new().await;
    let agent = site.boot(NIC).await;
    let steps: [&[(&str, Option<&str>)]; 4] = [
        &[("A1", Some("AA01X7")), ("A2", None)],
        &[("A1", None), ("A2", Some("AA01X7"))],
        &[("A1", None), ("A2", None)],
        &[("A1", Some("AA01X7")), ("A2", None)],
    ];
    for dimms in steps {
        site.pass(60);
        send(&site, &agent, &machine("SRV-0001", NIC, dimms), RunsOn::MiniOs).await;
        // The same report again is no event.
        send(&site, &agent, &machine("SRV-0001", NIC, dimms), RunsOn::MiniOs).await;
    }
    let part = life(&site, "aa01x7").await;
    use PartEventKind::{Installed, Moved, Removed, Returned};
    assert_eq!(whats(&part), [Installed, Moved, Removed, Returned]);
    assert_eq!(part.events[2].from_place.as_deref(), Some("A1"));
    assert_eq!((part.seen_in.len(), part.seen_in[0].place.as_str()), (1, "A1"));
    assert!(!part.duplicate && part.events.iter().all(|e| e.report.len() == 32));
    let unknown = site.list(routes::PARTS, ["NOBODY1"]).await;
    assert_eq!(unknown.unwrap_err().status, 404);
}

#[tokio::test]
async fn a_part_that_moves_to_another_machine_is_no_duplicate() {
    let site = Site::new().await;
    let one = site.boot(NIC).await;
    send(
        &site,
        &one,
        &machine("SRV-0001", NIC, &[("A1", Some("AA01X7"))]),
        RunsOn::MiniOs,
    )
    .await;
    // The first machine is off and silent while the module is in the other one.
    site.pass(3600);
    let two = site.boot(OTHER).await;
    send(
        &site,
        &two,
        &machine("SRV-0002", OTHER, &[("B1", Some("AA01X7"))]),
        RunsOn::MiniOs,
    )
    .await;
    let part = life(&site, "AA01X7").await;
    assert!(!part.duplicate, "{part:?}");
    assert_eq!(part.events[0].from_machine.as_ref(), Some(&one.id));
    assert!(site.detail(&two.id).await.duplicates.is_empty());
}

#[tokio::test]
async fn a_part_in_two_running_machines_is_an_alarm_on_both() {
    let site = Site::new().await;
    let one = site.boot(NIC).await;
    send(
        &site,
        &one,
        &machine("SRV-0001", NIC, &[("A1", Some("AA01X7"))]),
        RunsOn::MiniOs,
    )
    .await;
    site.pass(20);
    one.assignment(&site, "").await.unwrap();
    let two = site.boot(OTHER).await;
    send(
        &site,
        &two,
        &machine("SRV-0002", OTHER, &[("B1", Some("AA01X7"))]),
        RunsOn::MiniOs,
    )
    .await;
    let part = life(&site, "AA01X7").await;
    assert!(part.duplicate, "{part:?}");
    assert_eq!(part.events[0].what, PartEventKind::Duplicate);
    for (here, there, place) in [(&one, &two, "B1"), (&two, &one, "A1")] {
        let seen = site.detail(&here.id).await;
        assert_eq!(
            (&seen.duplicates[0].other, seen.duplicates[0].other_place.as_str()),
            (&there.id, place)
        );
        let check = seen.check.unwrap();
        assert_eq!(check.verdict, Verdict::Warn);
        assert!(
            check.findings.iter().any(|f| f.code == "part-duplicate"),
            "{check:?}"
        );
    }
    // After a repair the next report ends the alarm.
    send(
        &site,
        &two,
        &machine("SRV-0002", OTHER, &[("B1", None)]),
        RunsOn::MiniOs,
    )
    .await;
    assert!(site.detail(&one.id).await.duplicates.is_empty());
}

async fn tell(site: &Site, agent: &Agent, id: u64, outcome: TaskOutcome) -> Permission {
    agent
        .post(site, "task", &TaskReport { id, outcome })
        .await
        .unwrap()
}

#[tokio::test]
async fn a_task_comes_with_the_assignment_once_and_changes_no_state() {
    let site = Site::new().await;
    let agent = site.boot(NIC).await;
    let identify = async || {
        site.send(routes::IDENTIFY, [agent.id.as_str()], &Identify { seconds: 60 })
            .await
    };
    // During commissioning no task is accepted.
    assert_eq!(identify().await.unwrap_err().code, "task-not-now");
    send(&site, &agent, &with_dimms("SRV-0001", &[]), RunsOn::MiniOs).await;
    let before = agent.assignment(&site, "").await.unwrap();
    let asked = identify().await.unwrap();
    let now = agent
        .assignment(&site, &format!("?wait=20&seen={}", before.seq))
        .await
        .unwrap();
    let Assignment::Task { id, task } = now.assignment else {
        panic!("no task: {now:?}")
    };
    assert_eq!((id, task), (asked.id, Task::Identify { seconds: 60 }));
    let failed = TaskOutcome::Failed {
        code: "no-bmc".into(),
        detail: "no \u{1b}[2J/dev/ipmi0".into(),
        burn_in: None,
    };
    assert_eq!(tell(&site, &agent, id, failed).await, Permission::Continue {});
    assert_eq!(agent.assignment(&site, "").await.unwrap(), before, "done once");
    let seen = site.detail(&agent.id).await;
    let Some(TaskOutcome::Failed { detail: said, .. }) = &seen.tasks[0].outcome else {
        panic!("{:?}", seen.tasks)
    };
    assert!(!said.contains('\u{1b}') && seen.machine.status.state == MachineState::Ready);
    // A report on a finished or unknown task changes nothing.
    assert!(matches!(
        tell(
            &site,
            &agent,
            id,
            TaskOutcome::Running {
                percent: 1,
                doing: "x".into()
            }
        )
        .await,
        Permission::Stop { .. }
    ));
    assert!(matches!(
        tell(
            &site,
            &agent,
            999,
            TaskOutcome::Running {
                percent: 1,
                doing: "x".into()
            }
        )
        .await,
        Permission::Stop { .. }
    ));

    // A burn-in runs until there is something else to do.
    let burn_in = BurnInRequest::default();
    site.send(routes::BURN_IN, [agent.id.as_str()], &burn_in)
        .await
        .unwrap();
    let Assignment::Task { id, .. } = agent.assignment(&site, "").await.unwrap().assignment else {
        panic!("no burn-in")
    };
    let running = |percent| TaskOutcome::Running {
        percent,
        doing: "cpu".into(),
    };
    assert_eq!(
        tell(&site, &agent, id, running(10)).await,
        Permission::Continue {}
    );
    site.deploy(&agent.id).await;
    assert!(matches!(
        tell(&site, &agent, id, running(20)).await,
        Permission::Stop { .. }
    ));

    // A silent agent gets no task.
    site.pass(3600);
    assert!(matches!(
        identify().await.unwrap_err().code.as_str(),
        "agent-silent" | "task-not-now"
    ));
}

#[tokio::test]
async fn the_slow_one_among_siblings_is_named_after_the_burn_in() {
    let site = Site::new().await;
    let profile = json!([{ "name": "web-1", "memory": { "modules": 1 } }]).to_string();
    import(&site, "hardware-profiles", "application/json", &profile)
        .await
        .unwrap();
    let mut places = "room,rack,unit,serial,profile\n".to_owned();
    for n in 1..=4 {
        places += &format!("R1,A1,{n},SRV-000{n},web-1\n");
    }
    csv(&site, "racks", &places).await;
    let mut slow = None;
    for n in 1..=4u8 {
        let nic = Mac([2, 0, 0, 0, 1, n]);
        let agent = site.boot(nic).await;
        let module = format!("AA0{n}X7");
        let report = machine(&format!("SRV-000{n}"), nic, &[("A1", Some(&module))]);
        send(&site, &agent, &report, RunsOn::MiniOs).await;
        let burn_in = BurnInRequest::default();
        let asked = site
            .send(routes::BURN_IN, [agent.id.as_str()], &burn_in)
            .await
            .unwrap();
        let part = BurnInPart {
            name: "cpu".into(),
            passed: true,
            score: Some(if n == 3 { 510.0 } else { 1000.0 + f64::from(n) }),
            unit: "rounds/s".into(),
            ..BurnInPart::default()
        };
        let result = BurnInResult {
            passed: true,
            parts: vec![part],
            ..BurnInResult::default()
        };
        let done = TaskOutcome::Done {
            detail: "passed".into(),
            burn_in: Some(Box::new(result)),
        };
        tell(&site, &agent, asked.id, done).await;
        if n == 3 {
            slow = Some(agent.id);
        }
    }
    let seen = site.ask(routes::PROFILE_MACHINES, ["web-1"]).await.unwrap();
    let odd = |o: &Outlier| match o {
        Outlier::Odd {
            machine, fact, place, ..
        } if fact == "burn-in speed" => Some((machine.clone(), place.clone())),
        _ => None,
    };
    let odd: Vec<_> = seen.outliers.iter().filter_map(odd).collect();
    assert_eq!(
        odd,
        [(slow.expect("the third").to_string(), "CPU".to_owned())],
        "{seen:#?}"
    );
}

/// All pages that show the machine, as a browser requests them.
async fn pages(site: &Site, id: &inventory_api::MachineId) -> Vec<(String, String)> {
    let browser = Browser::open(site).await;
    let mut all = Vec::new();
    for path in [
        "/machines".to_owned(),
        format!("/machines/{id}"),
        format!("/machines/{id}/hardware"),
        format!("/machines/{id}/history"),
        format!("/p/{id}"),
        "/p/SRV-0001".to_owned(),
        "/orders".to_owned(),
        "/orders/PO-7".to_owned(),
        "/orders/PO-7/delivery.csv".to_owned(),
        "/racks".to_owned(),
        "/racks/R1/A07".to_owned(),
        "/hardware-profiles/web".to_owned(),
        "/parts/EVIL%3Cb%3E77".to_owned(),
    ] {
        all.push((path.clone(), browser.page(site, &path).await));
    }
    all
}

#[tokio::test]
async fn a_hostile_report_does_no_harm_anywhere() {
    let site = Site::new().await;
    csv(&site, "orders", "order,item,count,profile\nPO-7,10,1,web\n").await;
    csv(
        &site,
        "racks",
        "room,rack,unit,serial,order,item\nR1,A07,12,SRV-0001,PO-7,10\n",
    )
    .await;
    let profile = json!({ "name": "web", "system": { "model": "R1" }, "memory": { "modules": 4 } });
    import(
        &site,
        "hardware-profiles",
        "application/json",
        &profile.to_string(),
    )
    .await
    .unwrap();
    let agent = site.boot(NIC).await;
    let evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u{1b}]0;owned\u{7}\u{202e}=cmd|' /C calc'!A0";
    let mut r = machine("SRV-0001", NIC, &[("<b>A1</b>", Some("EVIL<b>77"))]);
    let system = r.system.get_or_insert_default();
    system.serial = Some(format!("{evil}9"));
    system.product = Some(evil.into());
    let chassis = r.chassis.get_or_insert_default();
    (chassis.asset_tag, chassis.serial) = (Some(evil.into()), Some("SRV-0001".into()));
    r.problems = vec![inventory_api::report::CollectorProblem {
        collector: evil.into(),
        detail: evil.repeat(100),
    }];
    let begin = std::time::Instant::now();
    let mut body = crate::harness::report(&"cd".repeat(16), RunsOn::MiniOs);
    *body.report = r.clone();
    let mut sent = serde_json::to_value(&body).unwrap();
    let disk = |n: u32| json!({ "name": format!("d{n}"), "serial": format!("{n:x}<i>Z") });
    sent["report"]["disks"] = (0..15_000).map(disk).collect();
    let _: ReportResponse = agent.post(&site, "report", &sent).await.unwrap();
    let seen = site.detail(&agent.id).await;
    assert_eq!(
        seen.report.as_ref().unwrap().disks.len(),
        lifecycle::bounds::MAX_ENTRIES
    );
    let mut shown = 0;
    for (path, page) in pages(&site, &agent.id).await {
        shown += usize::from(page.contains("script&#62;alert") || page.contains("script&gt;alert"));
        if path.ends_with(".csv") {
            // A spreadsheet would run a cell that starts like this.
            let cells = page.lines().flat_map(|line| line.split(','));
            let formulas: Vec<&str> = cells
                .map(|c| c.trim_start_matches('"'))
                .filter(|c| c.starts_with(['=', '+', '-', '@', '\t', '\r']))
                .collect();
            assert!(formulas.is_empty() && page.contains("SRV-0001"), "{formulas:?}");
            continue;
        }
        assert!(page.len() < 1 << 20, "{path} has {} bytes", page.len());
        for bad in [
            "<script>alert",
            "<img src=x",
            "<i>Z",
            "<b>77",
            "\u{1b}",
            "\u{202e}",
        ] {
            assert!(!page.contains(bad), "{path} shows {bad:?}");
        }
    }
    assert!(shown >= 6, "the words are shown, not dropped: {shown}");
    // The API's JSON carries no control characters.
    assert!(!serde_json::to_string(&seen).unwrap().contains("\\u001b"));
    // A report of 10 MB is refused without reading all of it.
    r.problems[0].detail = "x".repeat(10 << 20);
    let mut body = crate::harness::report(&"ab".repeat(16), RunsOn::MiniOs);
    *body.report = r;
    let refused: Result<ReportResponse, Problem> = agent.post(&site, "report", &body).await;
    assert_eq!(refused.unwrap_err().status, 413);
    assert!(begin.elapsed().as_secs() < 60, "it took {:?}", begin.elapsed());
}
