//! The commands for a delivery against a running server: their answers and refusals.

use std::path::PathBuf;

use clap::Parser;
use cli::{CliEnv, CliError, Command, execute};
use inventory_api::agent::RunsOn;
use inventory_api::lookup::Lookup;

use crate::delivery::send;
use crate::harness::Site;
use crate::rack::{ORDERS, Rack, module, plan, server};

#[derive(Debug, Parser)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

/// A command line with a token and the server's CA certificate.
struct Terminal<'a> {
    site: &'a Site,
    dir: tempfile::TempDir,
}

impl Terminal<'_> {
    fn open(site: &Site) -> Terminal<'_> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), &site.running().bound().ca_pem).unwrap();
        Terminal { site, dir }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    async fn run(&self, words: &[&str]) -> Result<String, CliError> {
        let env = CliEnv {
            url: Some(self.site.url("")),
            token: Some(self.site.token.clone()),
            ca: Some(self.dir.path().join("ca.pem")),
        };
        let words = std::iter::once("slipway").chain(words.iter().copied());
        let program = Program::try_parse_from(words).unwrap_or_else(|e| panic!("{e}"));
        execute(program.command, env).await
    }

    async fn says(&self, words: &[&str], parts: &[&str]) -> String {
        let text = self.run(words).await.unwrap_or_else(|e| panic!("{words:?}: {e}"));
        for part in parts {
            assert!(text.contains(part), "{words:?}: {part:?} is not in\n{text}");
        }
        text
    }

    /// Runs a command that must fail with this exit status and these parts in its text.
    async fn refused(&self, words: &[&str], status: u8, parts: &[&str]) {
        let error = self.run(words).await.expect_err("it was not refused");
        let text = error.to_string();
        assert_eq!(error.exit_code(), status, "{words:?}: {text}");
        for part in parts {
            assert!(text.contains(part), "{words:?}: {part:?} is not in\n{text}");
        }
    }
}

#[tokio::test]
async fn network_by_itself_is_the_list() {
    let site = Site::new().await;
    let t = Terminal::open(&site);
    let list = t.says(&["network", "list"], &["No networks"]).await;
    assert_eq!(t.says(&["network"], &[]).await, list);
}

#[tokio::test]
async fn files_are_imported_listed_and_removed() {
    let site = Site::new().await;
    let t = Terminal::open(&site);
    t.says(&["order", "list"], &["No orders. `slipway import orders FILE`"])
        .await;
    let path = |p: &PathBuf| p.to_str().unwrap().to_owned();
    let orders = path(&t.file("orders.csv", ORDERS));
    let racks = path(&t.file("racks.csv", &plan()));
    t.says(
        &["import", "orders", &orders],
        &[
            "orders: 1 added, 0 changed, 0 unchanged; 0 machines checked again",
            "added PO-7",
            "note: the hardware profile \"web-r650\"",
        ],
    )
    .await;
    t.says(
        &["import", "racks", &racks],
        &["racks: 6 added", "added R1 A07 unit 10"],
    )
    .await;
    t.says(
        &["import", "racks", &racks],
        &["racks: 0 added, 0 changed, 6 unchanged"],
    )
    .await;
    let bad = path(&t.file("bad.csv", "order,item,count,profile\nPO-8,10,0,web\n"));
    t.refused(
        &["import", "orders", &bad],
        1,
        &[
            "Nothing was imported",
            "line 2, column 3 (count)",
            "422 import-refused",
        ],
    )
    .await;
    let odd = path(&t.file("orders.xlsx", "PK"));
    t.refused(
        &["import", "orders", &odd],
        2,
        &["orders.xlsx is neither .csv nor .json"],
    )
    .await;
    t.refused(
        &["import", "orders", "/nonexistent/o.csv"],
        2,
        &["/nonexistent/o.csv cannot be read"],
    )
    .await;

    t.says(&["order", "list"], &["ORDER", "PO-7"]).await;
    let shown = t
        .says(
            &["order", "show", "PO-7"],
            &["6 ordered, 0 received", "web-r650 (not known)"],
        )
        .await;
    assert!(!shown.contains('\u{1b}'));
    t.refused(
        &["order", "show", "PO-9"],
        1,
        &["\"PO-9\"", "slipway order list", "404 order-unknown"],
    )
    .await;
    t.says(&["rack", "list"], &["R1", "A07"]).await;
    t.refused(&["rack", "show", "R1", "B01"], 1, &["no rack \"R1 B01\""])
        .await;
    t.refused(
        &["order", "remove", "PO-7"],
        1,
        &["Still in use", "6 places", "409 order-in-use"],
    )
    .await;
    t.says(
        &["rack", "remove", "R1", "A07", "--unit", "15"],
        &["removed R1 A07 unit 15\n"],
    )
    .await;
    t.says(
        &["rack", "remove", "R1", "A07"],
        &["removed R1 A07 unit 10\n", "unit 14\n"],
    )
    .await;
    t.says(&["order", "remove", "PO-7"], &["removed PO-7\n"]).await;
    t.says(&["profile", "list"], &["PROFILE"]).await;
    t.refused(&["profile", "show", "nope"], 1, &["no hardware profile \"nope\""])
        .await;
}

#[tokio::test]
async fn a_rack_with_machines_is_read_on_the_command_line() {
    let site = Site::new().await;
    let rack = Rack::fill(&site).await;
    let t = Terminal::open(&site);
    let id = |n: usize| rack.id(n).as_str();
    let empty = "DIMM A2: ordered 32 GiB Micron MTA36ASF4G72PZ, slot is empty";
    t.says(
        &["order", "show", "PO-7"],
        &["6 ordered, 5 received", "R1 A07 unit 11", empty],
    )
    .await;
    t.says(&["order", "show", "PO-7", "--csv"], &["SRV-0002", empty])
        .await;
    let json = t.says(&["order", "show", "PO-7", "-o", "json"], &[]).await;
    let order: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(order["tally"]["missing"], 1);
    t.says(
        &["rack", "show", "R1", "A07"],
        &["SRV-0006", "missing", "fail", id(2)],
    )
    .await;
    t.says(
        &["part", "show", &module(2, "A2")],
        &[
            "dimm MOD7-2A2 (Micron MTA36ASF4G72PZ)",
            "Micron MTA36ASF4G72PZ",
            &format!("in {} A2 since", id(3)),
            "removed",
            id(2),
        ],
    )
    .await;
    t.refused(&["part", "show", "NOBODY1"], 1, &["NOBODY1", "404"])
        .await;
    t.says(&["profile", "list"], &["web-r650"]).await;
    t.says(
        &["profile", "show", "web-r650"],
        &["\"model\": \"PowerEdge R650\""],
    )
    .await;
    t.says(
        &["profile", "from-machine", "SRV-0001", "golden-2"],
        &["profiles: 1 added"],
    )
    .await;
    t.refused(
        &["profile", "from-machine", "SRV-0001", ".x"],
        1,
        &["Name not usable"],
    )
    .await;
    t.refused(&["profile", "from-machine", "SRV-0099", "x"], 1, &["SRV-0099"])
        .await;
    t.refused(
        &["profile", "remove", "web-r650"],
        1,
        &["6 places (R1 A07 unit", "409 profile-in-use"],
    )
    .await;
    t.says(&["profile", "remove", "golden-2"], &["removed golden-2\n"])
        .await;

    // The list marks the pair and says what to do.
    let list = t.says(&["machine", "list"], &["CONFLICT"]).await;
    assert_eq!(list.matches(" CONFLICT").count(), 2, "{list}");
    let hint = format!(
        "{} is in conflict with {} about who it is: slipway machine conflict {}",
        id(5),
        id(6),
        id(5)
    );
    assert!(list.contains(&hint), "{list}");
    t.says(
        &["machine", "conflict", id(6)],
        &["OPEN", id(5), "system serial", "same"],
    )
    .await;
    t.refused(
        &["machine", "conflict", id(1), "--retire", id(5)],
        1,
        &["404 no-conflict"],
    )
    .await;
    t.says(
        &["machine", "conflict", id(6), "--different", "--with", id(5)],
        &[],
    )
    .await;
    let list = t.says(&["machine", "list"], &[]).await;
    assert!(!list.contains("CONFLICT"), "{list}");
}

#[tokio::test]
async fn find_tells_what_a_scanned_text_stands_for() {
    let site = Site::new().await;
    let rack = Rack::fill(&site).await;
    let t = Terminal::open(&site);
    let second = rack.id(2).to_string();
    let module = module(2, "A2");
    let here = rack.id(3).to_string();
    let table: [(&str, &[&str]); 6] = [
        ("SRV-0002", &["SRV-0002 is machine", &second]),
        ("srv-0002", &[&second]),
        (" DC-47112 ", &["is machine", &second]),
        (&second, &["is machine"]),
        (
            "SRV-0006",
            &["has not reported yet. It belongs in R1 A07 unit 15."],
        ),
        (&module, &["is a part, not a machine. It is in", &here]),
    ];
    for (key, parts) in table {
        t.says(&["find", key], parts).await;
    }
    let both = [
        rack.id(5).as_str(),
        rack.id(6).as_str(),
        "2 machines reported SRV-0005",
    ];
    t.says(&["find", "SRV-0005"], &both).await;
    t.refused(
        &["machine", "show", "SRV-0005"],
        1,
        &["409 machine-ambiguous", "slipway find"],
    )
    .await;
    let json = t.says(&["find", "SRV-0006", "--output", "json"], &[]).await;
    let found: Lookup = serde_json::from_str(&json).unwrap();
    assert!(matches!(found, Lookup::Place { place } if place.unit == 15));
    let nothing = [
        "404 lookup-nothing",
        "nothing is known of \"SRV-0099\"",
        "rack plan",
    ];
    t.refused(&["find", "SRV-0099"], 1, &nothing).await;
}

#[tokio::test]
async fn a_machine_is_looked_at_again_located_and_burned_in_by_command() {
    let site = Site::new().await;
    let rack = Rack::fill(&site).await;
    let t = Terminal::open(&site);
    // Machines can be named by serial number. The agent runs and takes the task.
    rack.agents[1].assignment(&site, "").await.unwrap();
    t.says(
        &["machine", "recheck", "SRV-0002"],
        &[
            "SRV-0002: asked for recheck (task 1)",
            "slipway machine show SRV-0002",
        ],
    )
    .await;
    t.says(
        &["machine", "identify", "DC-47112", "--seconds", "5"],
        &["asked for identify"],
    )
    .await;
    t.says(
        &[
            "machine", "burn-in", "SRV-0002", "--cpu", "1", "--memory", "1", "--disk", "1",
        ],
        &["asked for burn-in"],
    )
    .await;
    t.refused(
        &["machine", "burn-in", "SRV-0002", "--cpu", "9999999"],
        1,
        &["burn-in"],
    )
    .await;
    t.refused(&["machine", "identify", "SRV-0099"], 1, &["SRV-0099", "404"])
        .await;
    t.says(
        &["machine", "show", "SRV-0002"],
        &[
            "FAIL",
            "slot is empty",
            "belongs in  R1 A07 unit 11",
            "Check again: Waiting for the agent.",
        ],
    )
    .await;
    t.says(
        &["machine", "fixed", "SRV-0002", "seated the module again"],
        &["asked for recheck"],
    )
    .await;
    let seen = site.detail(rack.id(2)).await;
    assert_eq!(seen.notes[0].text, "seated the module again");
    send(&site, &rack.agents[1], &server(2), RunsOn::MiniOs).await;
    t.says(
        &["machine", "show", "SRV-0002"],
        &["Verdict: warn", "seated the module again"],
    )
    .await;
    // The agent is silent: the stored report is checked again, and no other task is accepted.
    site.pass(3600);
    t.says(&["machine", "recheck", "SRV-0002"], &["checked again"])
        .await;
    t.refused(&["machine", "burn-in", "SRV-0002"], 1, &["409"]).await;
}
