use askama::Template as _;
use inventory_api::UnixMs;
use inventory_api::boot::{BootEvent, BootEventKind};
use inventory_api::machine::{
    HistoryEntry, Journey, MachineDetail, MachineState, MachineSummary, Profile, Verb,
};

use super::conflict::ConflictPage;
use super::machine::hardware::Hardware;
use super::machine::{Body, MachinePage, Overview};
use super::machines::{self, MachinesPage, progress};
use super::networks::NetworksPage;
use super::page::{Shell, state_color};
use super::profiles::ProfilesPage;
use super::verb::{ActPage, DeployPlanPage, actions};
use inventory_api::sample::{self, NOW};
use service::{MachineCounts, MachineList};
use words::text::{ago, duration};
use words::timeline::{Mark, Stage, timeline, total_ms};

fn shell() -> Shell {
    Shell {
        title: "t".into(),
        section: "Machines",
        actor: Some("admin".into()),
        now: NOW,
    }
}

fn page(d: &MachineDetail, tab: &str, body: Body) -> String {
    let page = MachinePage {
        shell: shell(),
        d,
        tab,
        body,
    };
    page.render().unwrap()
}

fn overview(d: &MachineDetail, history: &[HistoryEntry], boots: &[BootEvent]) -> String {
    page(
        d,
        "overview",
        Body::Overview(Overview::new(d, history, boots, NOW)),
    )
}

fn hardware(d: &MachineDetail) -> String {
    page(
        d,
        "hardware",
        Body::Hardware(d.report.as_ref().map(Hardware::new)),
    )
}

fn plan(d: &MachineDetail) -> String {
    page(d, "plan", Body::Plan)
}

fn packets(d: &MachineDetail, journey: Journey) -> String {
    page(d, "network", Body::Network(vec![journey]))
}

fn act(d: &MachineDetail, verb: Verb) -> String {
    ActPage::new(shell(), d, verb).unwrap().render().unwrap()
}

fn deploy_plan(d: &MachineDetail, profile: &str) -> String {
    let page = DeployPlanPage {
        shell: shell(),
        d,
        profile,
        plan: d.plan.as_ref(),
    };
    page.render().unwrap()
}

fn marks(d: &MachineDetail, history: &[HistoryEntry]) -> Vec<(&'static str, Mark)> {
    timeline(d, history, &sample::boots(), NOW)
        .iter()
        .map(|s| (s.title, s.mark))
        .collect()
}

#[test]
fn a_boot_by_dhcpv6_has_its_dhcp_stage() {
    let by_v6 = BootEvent {
        at: sample::ago(128),
        mac: "02:00:00:00:00:04".parse().unwrap(),
        ip: None,
        network: Some("lab".into()),
        what: BootEventKind::Dhcp {
            message: "solicit".into(),
            client: "uefi-x64-v6".into(),
            answer: "advertise".into(),
            boot_file: Some("tftp://[fd00::1]/snponly.efi".into()),
            facts: Default::default(),
        },
    };
    let of = |boots: &[BootEvent]| timeline(&sample::detail(), &[], boots, NOW);
    let dhcp = |stages: &[Stage]| stages.iter().find(|s| s.title == "DHCP").unwrap().detail.clone();
    assert_eq!(dhcp(&of(std::slice::from_ref(&by_v6))), "answered to uefi-x64-v6");
    assert_eq!(dhcp(&of(&[])), "");
}

#[test]
fn a_machine_that_is_being_installed() {
    let stages = timeline(&sample::detail(), &sample::history(), &sample::boots(), NOW);
    let marks: Vec<Mark> = stages.iter().map(|s| s.mark).collect();
    assert_eq!(marks[..5], [Mark::Done; 5]);
    assert_eq!(marks[5], Mark::Active);
    assert_eq!(marks[6..], [Mark::Pending; 4]);
    let install = &stages[5];
    assert_eq!(install.percent, Some(58));
    assert_eq!(
        install.running_since,
        Some(sample::ago(84).0),
        "since the verdict"
    );
    assert_eq!(install.steps.len(), 13);
    assert_eq!(install.steps[2].mark, Mark::Done);
    assert_eq!(install.steps[3].note, "1.33 GB of 2.15 GB");
    assert_eq!(install.steps[4].mark, Mark::Pending);
    // From the first DHCP offer, 128 s ago, to now.
    assert_eq!(total_ms(&stages, NOW), Some(128_000));
    // From the first script (118 s ago) to the claim (87 s ago).
    assert_eq!(stages[2].elapsed, "31 s");
}

#[test]
fn a_deployed_machine_has_all_stages_and_their_times() {
    let stages = timeline(
        &sample::deployed(),
        &sample::deployed_history(),
        &sample::boots(),
        NOW,
    );
    assert!(stages.iter().all(|s| s.mark == Mark::Done));
    let elapsed: Vec<&str> = stages.iter().map(|s| s.elapsed.as_str()).collect();
    assert_eq!(elapsed[5..], ["44 s", "18 s", "", "13 s", "5 s"]);
    assert_eq!(total_ms(&stages, NOW), Some(124_000));
}

#[test]
fn a_machine_fails_where_it_failed() {
    let mut d = sample::detail();
    d.machine.status = sample::summary(3, "failed", Some("deploying"), "why").status;
    d.check = Some(sample::failed_check());
    let failed = |d: &MachineDetail, n: usize| {
        marks(d, &sample::deployed_history()[..n])
            .into_iter()
            .find(|(_, m)| *m == Mark::Failed)
            .map(|(t, _)| t)
    };
    assert_eq!(failed(&d, 4), Some("Verdict"));
    d.machine.status.reason = Some("digest-mismatch".into());
    assert_eq!(failed(&d, 6), Some("Install"));
    d.machine.status.reason = Some("local-boot-timeout".into());
    assert_eq!(failed(&d, 7), Some("Reboot"));
    assert_eq!(failed(&d, 8), Some("Agent checked in"));
    d.machine.status.reason = Some("not-verified".into());
    assert_eq!(failed(&d, 9), Some("Verified"));
}

#[test]
fn a_second_run_begins_with_its_first_step() {
    let mut history = sample::deployed_history();
    let mut again = history[0].clone();
    (again.seq, again.at, again.event, again.state) = (
        11,
        sample::ago(2),
        "release".into(),
        "releasing/await-boot".into(),
    );
    history.push(again);
    let mut d = sample::deployed();
    d.machine.status = sample::summary(4, "releasing", Some("await-boot"), "why").status;
    assert_eq!(
        marks(&d, &history),
        [
            ("DHCP", Mark::Active),
            ("Boot file", Mark::Pending),
            ("Mini-os", Mark::Pending),
            ("Wipe", Mark::Pending)
        ]
    );
}

#[test]
fn a_timeline_of_nothing_is_no_reason_to_panic() {
    let mut d = sample::detail();
    (d.report, d.plan, d.check, d.reported_at) = (None, None, None, None);
    d.machine.status = sample::summary(1, "new", None, "").status;
    let stages = timeline(&d, &[], &[], NOW);
    assert!(stages.iter().all(|s| s.mark == Mark::Pending));
    assert_eq!(total_ms(&stages, NOW), None);
}

/// What a hostile machine could report in any free text.
const EVIL: &str = "\"><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}</textarea>'";

#[test]
fn hostile_strings_are_harmless_everywhere() {
    let json = serde_json::to_value(sample::deployed()).unwrap();
    let d: MachineDetail = serde_json::from_value(poison(json)).unwrap();
    let mut history = sample::deployed_history();
    history.iter_mut().for_each(|h| h.sentence = EVIL.into());
    let mut journey = sample::journey();
    journey.diagnosis = EVIL.into();
    for event in &mut journey.events {
        if let inventory_api::boot::BootEventKind::Tftp { file, .. } = &mut event.what {
            *file = EVIL.into();
        }
    }
    let pages = [
        machines_page(vec![d.machine.clone()], "").render().unwrap(),
        machines_page(Vec::new(), EVIL).render().unwrap(),
        overview(&d, &history, &journey.events),
        hardware(&d),
        plan(&d),
        page(&d, "verification", Body::Verification),
        page(&d, "history", Body::History(history.clone())),
        packets(&d, journey),
        act(&d, Verb::Release),
        deploy_plan(&d, EVIL),
    ];
    let mut seen = 0;
    for page in &pages {
        assert!(!page.contains("<script>alert"), "{page}");
        assert!(!page.contains("<img"), "{page}");
        assert!(!page.contains(&EVIL[..6]), "an attribute was left: {page}");
        seen += usize::from(page.contains("&#60;script&#62;alert"));
    }
    assert!(seen >= 9, "the strings must be shown, not dropped: {seen}");
}

#[test]
fn the_addresses_of_a_packet_journey_do_not_wrap() {
    let d = sample::deployed();
    let page = packets(&d, sample::journey());
    let cells: Vec<&str> = page
        .match_indices("data-label=\"Address\"")
        .map(|(at, _)| page[at..].split('>').next().unwrap())
        .collect();
    assert!(!cells.is_empty());
    assert!(cells.iter().all(|cell| cell.contains("text-nowrap")), "{cells:?}");
}

/// Puts [`EVIL`] into every free text.
fn poison(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    const KEPT: [&str; 23] = [
        "id",
        "machine",
        "macs",
        "mac",
        "boot_mac",
        "permanent_mac",
        "ip",
        "state",
        "phase",
        "mode",
        "transport",
        "kind",
        "verdict",
        "severity",
        "role",
        "channel",
        "sha256",
        "content_sha256",
        "run",
        "plan",
        "guid",
        "addresses",
        "schema",
    ];
    match value {
        Value::String(_) => EVIL.into(),
        Value::Array(list) => list.into_iter().map(poison).collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(k, v)| {
                let keep = KEPT.contains(&k.as_str()) && !v.is_object();
                let v = if keep { v } else { poison(v) };
                (k, v)
            })
            .collect(),
        other => other,
    }
}

#[test]
fn no_page_has_inline_script_or_style() {
    let d = sample::deployed();
    for page in [
        machines_page(sample::machines(), "a b&").render().unwrap(),
        overview(&d, &sample::deployed_history(), &sample::boots()),
        hardware(&d),
        plan(&d),
        act(&d, Verb::Retire),
    ] {
        for wrong in [
            " style=",
            "<style",
            "<script>",
            " onclick=",
            "javascript:",
            "http://",
            "//cdn",
        ] {
            assert!(!page.contains(wrong), "{wrong} in {page}");
        }
    }
}

#[test]
fn no_password_hash_is_shown() {
    let d = sample::deployed();
    let plan = plan(&d);
    assert!(plan.contains("alice") && !plan.contains("NEVERSHOWN"));
    let Some(inventory_api::plan::Step::Accounts { accounts }) =
        sample::plan().steps.into_iter().find(|s| s.name() == "accounts")
    else {
        panic!("the sample has accounts")
    };
    let request = inventory_api::deploy::DeployRequest {
        image: "x".into(),
        accounts,
        ..Default::default()
    };
    let profiles = ProfilesPage {
        shell: shell(),
        profiles: &[Profile {
            name: "web".into(),
            request,
        }],
    };
    let profiles = profiles.render().unwrap();
    assert!(profiles.contains("alice") && !profiles.contains("NEVERSHOWN"));
}

#[test]
fn the_disk_is_named_before_it_is_erased() {
    let release = act(&sample::deployed(), Verb::Release);
    assert!(release.contains("S6CKNT0W500123") && release.contains("cannot be undone"));
    let deploy = deploy_plan(&sample::detail(), "web");
    assert!(deploy.contains("S6CKNT0W500123|eui.002538b531b0c1d2|960197124096"));
}

fn machines_page(machines: Vec<MachineSummary>, query: &str) -> MachinesPage {
    let mut counts = MachineCounts::default();
    for machine in &machines {
        *counts
            .by_state
            .entry(machine.status.state.to_string())
            .or_default() += 1;
    }
    let found = MachineList {
        machines,
        next: Some("aa".into()),
        previous: Some("bb".into()),
    };
    MachinesPage::new(
        shell(),
        found,
        &counts,
        &machines::filter(Some("ready"), query),
        Some("cc".into()),
    )
}

#[test]
fn filters_count_and_pages_keep_the_filter() {
    let page = machines_page(sample::machines(), "a b&");
    assert_eq!((page.total, page.filters[0].count), (8, 8));
    assert_eq!(
        page.next.as_deref(),
        Some("/machines?state=ready&q=a%20b%26&page=aa")
    );
    assert_eq!(
        page.previous.as_deref(),
        Some("/machines?state=ready&q=a%20b%26&page=bb")
    );
    assert_eq!(machines::filter(Some("nonsense"), "").state, None);
    let progress: Vec<_> = page
        .rows
        .iter()
        .filter_map(progress)
        .map(|(percent, _)| percent)
        .collect();
    assert_eq!(progress, [58], "only what is installing has a bar");
}

#[test]
fn empty_slots_are_rows() {
    let report = sample::report();
    let view = Hardware::new(&report);
    let memory = view.tables.iter().find(|t| t.anchor == "memory").unwrap();
    assert_eq!(memory.note, "4 of 8 slots populated, 128 GiB");
    assert_eq!(memory.rows.iter().filter(|r| r.dim).count(), 4);
    assert!(
        memory.rows[2]
            .cells(&memory.columns)
            .contains(&("Size", &"empty".to_owned()))
    );
}

#[test]
fn every_state_has_a_colour_and_every_verb_a_button() {
    for state in MachineState::ALL.iter().filter(|s| **s != MachineState::Retired) {
        assert_ne!(state_color(state), "secondary", "{state}");
    }
    let mut machine = sample::summary(1, "new", None, "");
    machine.status.verbs = Verb::ALL.to_vec();
    machine.status.verbs.push(Verb::Unknown);
    assert_eq!(actions(&machine).len(), Verb::ALL.len());
}

#[test]
fn every_class_of_the_templates_is_in_a_style_sheet() {
    let css = concat!(include_str!("static/tabler.css"), include_str!("static/app.css"));
    let d = sample::deployed();
    let mut pages = vec![
        machines_page(sample::machines(), "a b&").render().unwrap(),
        machines_page(Vec::new(), "").render().unwrap(),
        hardware(&d),
        plan(&d),
        page(&d, "history", Body::History(sample::deployed_history())),
        page(&d, "verification", Body::Verification),
        packets(&d, sample::journey()),
        deploy_plan(&d, "web"),
        networks(&[sample::network()]),
        networks(&[]),
    ];
    pages.extend(
        Verb::ALL
            .iter()
            .filter_map(|v| ActPage::new(shell(), &d, *v))
            .map(|p| p.render().unwrap()),
    );
    // Classes without a rule of their own: they only help a person read the HTML.
    let bare = ["page", "sl-plan-head", "sl-machines", "sl-finding"];
    for page in pages {
        for classes in page
            .split("class=\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
        {
            for class in classes.split_whitespace().filter(|c| !bare.contains(c)) {
                assert!(css.contains(&format!(".{class}")), "no style sheet knows {class}");
            }
        }
    }
}

#[test]
fn two_that_claim_one_identity_stand_side_by_side() {
    let conflicts = ConflictPage {
        shell: shell(),
        of: &sample::conflicts(),
    };
    let html = conflicts.render().unwrap();
    for part in ["7XK03Q3", "differs", "same", "keep both", "retire m-5254001a2b03"] {
        assert!(html.contains(part), "{part:?} is not in\n{html}");
    }
    assert!(!html.contains("<script>alert"), "{html}");
    let mut d = sample::deployed();
    let plain = page(&d, "verification", Body::Verification);
    assert!(!plain.contains("/conflict"));
    d.machine.conflicts_with = vec!["m-5254001a2b03".parse().unwrap()];
    let marked = page(&d, "verification", Body::Verification);
    assert!(
        marked.contains(&format!("/machines/{}/conflict", d.machine.id)),
        "{marked}"
    );
}

fn networks(networks: &[inventory_api::network::NetworkStatus]) -> String {
    let loaders = sample::loaders();
    let page = NetworksPage {
        shell: shell(),
        networks,
        loaders: &loaders,
    };
    page.render().unwrap()
}

#[test]
fn a_network_says_who_else_is_there_and_what_was_not_answered() {
    let html = networks(&[sample::network()]);
    for part in [
        "12 of 100 addresses",
        "3, at most 80",
        "another DHCP server hands out addresses here",
        "Refusing",
        "10.0.0.2",
        "fe80::99",
        "IPv6: Refusing",
        "7 of 4096 addresses",
        "20 s ago",
        "action=\"/networks/rack-a/quarantine/10.0.0.17\"",
        "action=\"/networks/rack-a/reservations/",
        "<code>foreign-server</code>",
        ">42<",
        "works on 7",
        "failed on 2",
        "action=\"/networks/loaders/8086:1533\"",
    ] {
        assert!(html.contains(part), "{part:?} is not in\n{html}");
    }
    assert_eq!(
        html.matches(">Remove<").count(),
        1,
        "what the configuration says is ended there"
    );
    let mut evil = sample::network();
    evil.name = "<script>alert".into();
    evil.events[0].detail = "<script>alert".into();
    assert!(!networks(&[evil]).contains("<script>alert"));
    let nic = packets(&sample::deployed(), sample::journey());
    assert!(
        nic.contains("ipxe.efi works (NIC 8086:1533)") && nic.contains("/loader/"),
        "{nic}"
    );
}

#[test]
fn hardware_counts_each_disk_once_and_memory_by_what_it_is() {
    use inventory_api::report::AssetReport;
    let case = |name: &str| -> AssetReport {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests/cases")
            .join(name);
        serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
    };
    let tiles = |name: &str| -> Vec<String> {
        let tiles = Hardware::new(&case(name)).tiles();
        tiles
            .map(|(.., figure, what)| format!("{figure}: {what}"))
            .to_vec()
    };
    assert_eq!(tiles("01-dual-path-sas/multipath.json")[2], "4.8 TB: 4 disks");
    let optane = tiles("03-persistent-memory/optane-app.json");
    assert!(optane[1].starts_with("384 GiB: Memory"), "{optane:?}");
    assert!(optane[2].ends_with(": 1 disk"), "{optane:?}");
    assert!(tiles("09-switchdev-representors/switchdev.json")[3].starts_with("3 NICs"));
}

/// The script keeps the times of an open page current; it does so in the words that the server wrote.
#[test]
fn the_script_words_times_as_the_server_does() {
    let script = include_str!("static/app.js");
    let functions = &script[script.find("function duration").unwrap()..script.find("function each").unwrap()];
    let seconds = [
        0, 1, 2, 59, 60, 61, 125, 3599, 3600, 3660, 11_400, 86_399, 86_400, 352_800,
    ];
    let program = format!(
        "{functions}; for (const s of {seconds:?}) console.log(duration(s * 1000) + ', ' + ago(s * 1000));"
    );
    let output = match std::process::Command::new("node").args(["-e", &program]).output() {
        Ok(output) => output,
        Err(error) => {
            let required = std::env::var("SLIPWAY_REQUIRE_ALL").as_deref() == Ok("1");
            assert!(!required, "node cannot be run: {error}");
            return eprintln!("skipped: node cannot be run: {error}");
        }
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    let ours = seconds.map(|s| {
        let then = UnixMs(NOW.0 - s * 1000);
        format!("{}, {}\n", duration(s as u64 * 1000), ago(then, NOW))
    });
    assert_eq!(String::from_utf8_lossy(&output.stdout), ours.concat(), "{errors}");
}
