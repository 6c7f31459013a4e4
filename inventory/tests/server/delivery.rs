//! Orders, rack plan and hardware profiles: they decide what is expected of a machine.

use inventory_api::agent::{Assignment, ReportResponse, RunsOn};
use inventory_api::check::Verdict;
use inventory_api::delivery::Receipt;
use inventory_api::import::{ImportReport, Removed};
use inventory_api::machine::Verb;
use inventory_api::report::{AssetReport, MemorySlot};
use inventory_api::task::Fixed;
use inventory_api::{Problem, routes};
use reqwest::Method;
use serde_json::json;

use crate::harness::{Agent, NIC, Site, all_machines, answer, report};

const ORDERS: &str = "order,item,count,profile,description\nPO-7,10,2,web,Web servers\n";
const RACKS: &str =
    "room,rack,unit,serial,order,item\nR1,A07,12,SRV-0001,PO-7,10\nR1,A07,14,SRV-0002,PO-7,10\n";

pub async fn import(site: &Site, what: &str, kind: &str, text: &str) -> Result<ImportReport, Problem> {
    let response = site
        .client(None, None)
        .post(site.url(&format!("/v1/{what}")))
        .bearer_auth(&site.token)
        .header("content-type", kind)
        .body(text.to_owned())
        .send()
        .await
        .unwrap();
    let mut report: ImportReport = answer(response).await?;
    // On a busy host the answer comes before all re-checks are done.
    if report.pending > 0 {
        all_rechecked(site).await;
        report.rechecked += std::mem::take(&mut report.pending);
    }
    Ok(report)
}

pub async fn all_rechecked(site: &Site) {
    let begin = std::time::Instant::now();
    loop {
        let rechecks = site.ask(routes::RECHECKS, []).await.unwrap();
        if rechecks.left == 0 {
            return;
        }
        assert!(
            begin.elapsed().as_secs() < 120,
            "after 120 s {} are not checked again",
            rechecks.left
        );
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

pub async fn csv(site: &Site, what: &str, text: &str) -> ImportReport {
    import(site, what, "text/csv", text).await.unwrap()
}

/// A report of a machine with this serial number and these modules.
pub fn with_dimms(serial: &str, dimms: &[(&str, Option<&str>)]) -> AssetReport {
    let mut r = *report("", RunsOn::MiniOs).report;
    r.system.get_or_insert_default().serial = Some(serial.into());
    r.memory.slots = dimms
        .iter()
        .map(|(slot, module)| MemorySlot {
            slot: Some((*slot).into()),
            populated: Some(module.is_some()),
            size_bytes: module.map(|_| 64 << 30),
            manufacturer: module.map(|_| "Micron".into()),
            part: module.map(|_| "MTA36ASF8G72PZ".into()),
            serial: module.map(str::to_owned),
            ..MemorySlot::default()
        })
        .collect();
    r
}

pub async fn send(site: &Site, agent: &Agent, report: &AssetReport, on: RunsOn) -> ReportResponse {
    let mut body = crate::harness::report(&hex::encode(rand::random::<[u8; 16]>()), on);
    *body.report = report.clone();
    agent.post(site, "report", &body).await.unwrap()
}

fn profile(modules: u32) -> String {
    json!({ "name": "web", "system": { "model": "R1" }, "memory": { "modules": modules } }).to_string()
}

#[tokio::test]
async fn a_machine_is_checked_against_its_order_and_the_delivery_shows_it() {
    let site = Site::new().await;
    let first = csv(&site, "orders", ORDERS).await;
    assert_eq!((first.added, first.changed, first.unchanged), (1, 0, 0));
    assert!(
        first.remarks[0].contains("\"web\" is not known yet"),
        "{:?}",
        first.remarks
    );
    csv(&site, "racks", RACKS).await;
    import(&site, "hardware-profiles", "application/json", &profile(2))
        .await
        .unwrap();
    // Importing the same file again changes nothing.
    let again = csv(&site, "orders", ORDERS).await;
    assert_eq!((again.added, again.changed, again.unchanged), (0, 0, 1));
    assert_eq!(csv(&site, "racks", RACKS).await.unchanged, 2);

    let agent = site.boot(NIC).await;
    let good = with_dimms("srv-0001", &[("A1", Some("AA01X7")), ("A2", Some("AA02X7"))]);
    let told = send(&site, &agent, &good, RunsOn::MiniOs).await;
    assert_eq!(told.check.unwrap().verdict, Verdict::Pass);
    let seen = site.detail(&agent.id).await;
    let from = seen.expected_from.unwrap();
    assert_eq!(from.profile.as_deref(), Some("web"));
    assert_eq!(from.placement.map(|p| (p.rack, p.unit)), Some(("A07".into(), 12)));
    assert_eq!(site.phase(&agent.id).await, "ready");

    let order = site.ask(routes::ORDER, ["PO-7"]).await.unwrap();
    let t = order.items[0].tally;
    assert_eq!(
        (t.ordered, t.received, t.checked, t.failing, t.missing),
        (2, 1, 1, 0, 1)
    );

    // A changed profile re-checks the stored report, and the waiting machine gets the new verdict.
    let changed = import(&site, "hardware-profiles", "application/json", &profile(4))
        .await
        .unwrap();
    assert_eq!((changed.changed, changed.rechecked), (1, 1));
    let seen = site.detail(&agent.id).await;
    assert_eq!(seen.check.unwrap().verdict, Verdict::Fail);
    assert!(
        seen.machine.status.sentence.contains("not as expected"),
        "{}",
        seen.machine.status.sentence
    );
    let rack = site.ask(routes::RACK, ["R1", "A07"]).await.unwrap();
    let receipts: Vec<_> = rack
        .places
        .iter()
        .map(|p| (p.placement.unit, p.receipt))
        .collect();
    assert_eq!(receipts, [(14, Receipt::Missing), (12, Receipt::Fail)]);

    // The check before a deployment uses the same expectation, whatever the request says.
    let deployment = serde_json::from_value(crate::harness::order()).unwrap();
    let refused = site.send(routes::DEPLOY, [agent.id.as_str()], &deployment).await;
    assert_eq!(refused.unwrap_err().code, "check-failed");

    // The place now expects another machine, so nothing is expected of this one any more.
    let moved = RACKS.replace("SRV-0001", "SRV-0009");
    assert_eq!(csv(&site, "racks", &moved).await.rechecked, 1);
    let seen = site.detail(&agent.id).await;
    assert!(seen.check.is_none() && seen.expected_from.is_none());
}

#[tokio::test]
async fn the_first_check_of_an_ordered_machine_holds_it_before_any_disk() {
    let site = Site::new().await;
    csv(&site, "orders", ORDERS).await;
    csv(&site, "racks", RACKS).await;
    import(&site, "hardware-profiles", "application/json", &profile(2))
        .await
        .unwrap();
    let agent = site.boot(NIC).await;
    let told = send(
        &site,
        &agent,
        &with_dimms("SRV-0002", &[("A1", Some("AA01X7")), ("A2", None)]),
        RunsOn::MiniOs,
    )
    .await;
    assert_eq!(told.check.unwrap().verdict, Verdict::Fail);
    assert_eq!(site.phase(&agent.id).await, "failed/commissioning");
    // After a repair: marked as fixed, the agent is asked for a report and the machine becomes ready.
    let text = "module was not seated".to_owned();
    site.send(routes::FIXED, [agent.id.as_str()], &Fixed { text })
        .await
        .unwrap();
    assert_eq!(
        agent.assignment(&site, "").await.unwrap().assignment,
        Assignment::Report {}
    );
    let good = with_dimms("SRV-0002", &[("A1", Some("AA01X7")), ("A2", Some("AA02X7"))]);
    send(&site, &agent, &good, RunsOn::MiniOs).await;
    assert_eq!(site.phase(&agent.id).await, "ready");
    let seen = site.detail(&agent.id).await;
    assert_eq!(seen.check.unwrap().verdict, Verdict::Pass);
    assert!(seen.notes[0].text == "module was not seated" && !seen.notes[0].actor.is_empty());
}

#[tokio::test]
async fn a_file_is_taken_whole_or_not_at_all_and_bad_rows_are_named() {
    let site = Site::new().await;
    let bad = "order,item,count,profile\nPO-1,10,4,web\nPO-2,10,many,web\nPO-2,20,1,\n";
    let refused = import(&site, "orders", "text/csv", bad).await.unwrap_err();
    assert_eq!((refused.status, refused.code.as_str()), (422, "import-refused"));
    for says in [
        "line 3, column 3 (count): \"many\"",
        "line 4, column 4 (profile): is empty",
    ] {
        assert!(refused.detail.contains(says), "{}", refused.detail);
    }
    let orders = site.list(routes::ORDERS, []).await.unwrap();
    assert!(orders.is_empty(), "nothing of a bad file is taken");

    csv(&site, "racks", RACKS).await;
    let taken = "room,rack,unit,serial\nR1,B01,1,NEW-0001\nR1,B01,2,SRV-0001\n";
    let refused = import(&site, "racks", "text/csv", taken).await.unwrap_err();
    assert!(
        refused.detail.contains("line 3") && refused.detail.contains("R1 A07 unit 12"),
        "{}",
        refused.detail
    );
    let missing = site.ask(routes::RACK, ["R1", "B01"]).await;
    assert_eq!(missing.unwrap_err().status, 404);
    // Two machines can swap places within one file.
    let swap = "room,rack,unit,serial\nR1,A07,12,SRV-0002\nR1,A07,14,SRV-0001\n";
    assert_eq!(csv(&site, "racks", swap).await.changed, 2);
    let refused = import(&site, "racks", "text/html", swap).await.unwrap_err();
    assert_eq!(refused.status, 415);
}

/// Many machines use one profile. A change of it is answered before all are re-checked, and all are
/// re-checked even if the server restarts in between.
#[tokio::test]
async fn a_change_of_a_profile_is_answered_before_a_whole_hall_is_checked_again() {
    let site = Site::new().await;
    let machines: u32 = 200;
    let mut places = "room,rack,unit,serial,profile\n".to_owned();
    let mut ids = Vec::new();
    for n in 0..machines {
        let [_, _, high, low] = n.to_be_bytes();
        site.script(inventory_api::Mac([2, 9, 0, 0, high, low]), crate::harness::HOME)
            .await;
        places += &format!("R1,A{},{},SRV-{n:05},web\n", n / 40, n % 40 + 1);
    }
    let core = site.core();
    for row in all_machines(&core.store).await {
        let serial = format!("SRV-{:05}", ids.len());
        let report = with_dimms(&serial, &[("A1", Some("AA01X7")), ("A2", Some("AA02X7"))]);
        let names = lifecycle::expectation::names(&report);
        let mut change = core.store.begin().await.unwrap();
        let now = core.clock.now();
        change
            .put_report(
                &row.id,
                "nonce",
                b"digest",
                &report,
                inventory_api::agent::RunsOn::MiniOs,
                now,
            )
            .await
            .unwrap();
        change.put_names(&row.id, &names, None).await.unwrap();
        change.commit().await.unwrap();
        ids.push(row.id);
    }
    csv(&site, "racks", &places).await;
    let begin = std::time::Instant::now();
    let url = site.url("/v1/hardware-profiles");
    let request = site.client(None, None).post(url).bearer_auth(&site.token);
    let response = request
        .header("content-type", "application/json")
        .body(profile(4))
        .send()
        .await
        .unwrap();
    let told: ImportReport = answer(response).await.unwrap();
    let answered = begin.elapsed();
    assert_eq!(told.rechecked + told.pending, machines);
    // Killed in between, the server continues the re-checks where it stopped.
    let mut site = site;
    site.restart().await;
    all_rechecked(&site).await;
    println!(
        "{machines} machines: answered after {answered:?}, all checked after {:?}",
        begin.elapsed()
    );
    assert!(answered.as_secs() < 20, "answered after {answered:?}");
    let order = site.ask(routes::RACK, ["R1", "A3"]).await.unwrap();
    assert!(
        order.places.iter().all(|p| p.receipt == Receipt::Fail),
        "{order:?}"
    );
    let rows = all_machines(&site.core().store).await;
    assert!(rows.len() == machines as usize && rows.iter().all(|row| row.verdict.is_some()));
}

#[tokio::test]
async fn what_is_in_use_is_not_removed_and_the_rest_is() {
    let site = Site::new().await;
    let remove = async |path: &str| site.user::<Removed>(Method::DELETE, path, None).await;
    let refused = async |path: &str, code: &str, says: &[&str]| {
        let problem = remove(path).await.unwrap_err();
        assert_eq!(
            (problem.status, problem.code.as_str()),
            (409, code),
            "{}",
            problem.detail
        );
        for part in says {
            assert!(
                problem.detail.contains(part),
                "{part:?} is not in {}",
                problem.detail
            );
        }
    };
    csv(&site, "orders", ORDERS).await;
    csv(&site, "racks", RACKS).await;
    import(&site, "hardware-profiles", "application/json", &profile(2))
        .await
        .unwrap();
    let agent = site.boot(NIC).await;
    let good = with_dimms("SRV-0001", &[("A1", Some("AA01X7")), ("A2", Some("AA02X7"))]);
    send(&site, &agent, &good, RunsOn::MiniOs).await;

    refused("/v1/orders/PO-7", "order-in-use", &["2 places", "R1 A07 unit 12"]).await;
    refused("/v1/hardware-profiles/web", "profile-in-use", &["2 places"]).await;
    refused(
        "/v1/racks/R1/A07/12",
        "place-in-use",
        &[agent.id.as_str(), "retire it"],
    )
    .await;
    refused(
        "/v1/racks/R1/A07",
        "place-in-use",
        &["1 machine", "R1 A07 unit 12"],
    )
    .await;
    for (path, code) in [
        ("/v1/orders/PO-8", "order-unknown"),
        ("/v1/racks/R1/A08", "rack-unknown"),
        ("/v1/racks/R1/A07/13", "place-unknown"),
        ("/v1/hardware-profiles/x", "hardware-profile-unknown"),
    ] {
        let problem = remove(path).await.unwrap_err();
        assert_eq!((problem.status, problem.code.as_str()), (404, code));
    }
    let no_unit = remove("/v1/racks/R1/A07/x").await.unwrap_err();
    assert_eq!((no_unit.status, no_unit.code.as_str()), (400, "bad-unit"));
    // No refused removal was carried out in part.
    let rack = site.ask(routes::RACK, ["R1", "A07"]).await.unwrap();
    assert_eq!(rack.places.len(), 2);

    let one = remove("/v1/racks/R1/A07/14").await.unwrap();
    assert_eq!(one.removed, ["R1 A07 unit 14"]);
    site.verb(&agent.id, Verb::Retire).await.unwrap();
    assert_eq!(
        remove("/v1/racks/R1/A07").await.unwrap().removed,
        ["R1 A07 unit 12"]
    );
    refused("/v1/hardware-profiles/web", "profile-in-use", &["1 order (PO-7)"]).await;
    assert_eq!(remove("/v1/orders/PO-7").await.unwrap().removed, ["PO-7"]);
    assert_eq!(
        remove("/v1/hardware-profiles/web").await.unwrap().removed,
        ["web"]
    );
    let gone = site.ask(routes::RACK, ["R1", "A07"]).await;
    assert_eq!(gone.unwrap_err().status, 404);
}
