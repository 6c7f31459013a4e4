//! Lists of machines by API beside the same queries as bare SQL on the same file.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::{Api, wait};
use inventory_api::machine::MachineFilter;
use inventory_api::page::PageQuery;
use inventory_api::routes;
use lifecycle::State;
use lifecycle::state::{DiskState, Failed, Stage};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection as _};

use crate::rivals::{ADDRESS, Bench, memory, slipway};

const ROUNDS: usize = 200;

/// What is asked: in words, as state and search of the API, and as the condition and length of the bare
/// query.
const ASKED: [(&str, Option<&str>, &str, &str, u32); 5] = [
    ("list, 100 machines", None, "", "1 = 1", 100),
    ("list, 1,000 machines", None, "", "1 = 1", 1000),
    (
        "filter, 1 in 100 matches",
        Some("failed"),
        "",
        "state_name = 'failed'",
        100,
    ),
    (
        "search, 1 in 1,000 matches",
        None,
        "r650 sn007",
        "instr(search, 'r650') > 0 AND instr(search, 'sn007') > 0",
        100,
    ),
    (
        "search, none matches",
        None,
        "nothing",
        "instr(search, 'nothing') > 0",
        100,
    ),
];

fn newest(limit: u32) -> PageQuery {
    PageQuery {
        limit: Some(limit),
        page_token: None,
    }
}

pub fn section() -> Result<String> {
    let mut text = format!(
        "\n## Lists\n\n`GET /v1/machines` over one TLS connection to the release build of `slipway serve`, and the columns it answers with \
         by bare SQL (sqlx, one connection, the same file), in turns, {ROUNDS} rounds. Targets: with 10,000 machines p99 of a page of 100 at \
         most 50 ms, and under 300 MB with six lists of 1,000 at once.\n\n| machines | asked | API p50 ms | API p99 ms | SQL p50 ms | SQL \
         p99 ms | ratio p50 |\n| --- | --- | --- | --- | --- | --- | --- |\n"
    );
    let mut memories = String::new();
    for machines in [10_000, 100_000] {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let bench = Bench::new(&[("kernel", 1), ("initramfs", 1)])?;
        let directory = bench.files.join("slipway");
        let pool = ["10.77.0.240", "10.77.0.250"];
        let first = slipway(&directory, ADDRESS, "10.77.0.0/24", pool, &bench.files)?;
        let mut again = Command::new(first.get_program());
        again.args(first.get_args());
        // The first start makes store, authority and token; then the machines are written while nothing runs.
        let server = bench.server(first, "tcp", 8443)?;
        let token = directory.join("data/admin-token");
        let token = || {
            Ok(std::fs::read_to_string(&token)
                .ok()
                .filter(|token| token.ends_with('\n')))
        };
        let token = wait::until_blocking("the first token", Duration::from_secs(10), token)?;
        bench.end(server)?;
        let store = directory.join("data/slipway.db");
        runtime.block_on(fill(&store, machines))?;
        let server = bench.server(again, "tcp", 8443)?;
        let url = format!("https://{ADDRESS}:8443");
        let api = Api::new(&url, &directory.join("data/ca/ca.pem"), token.trim())?;
        text += &runtime.block_on(measured(&api, &store, machines))?;
        let before = memory(server.id())?.1;
        runtime.block_on(async {
            let (all, first) = (MachineFilter::default(), newest(1000));
            for _ in 0..20 {
                let list = |_| api.page_of(&routes::MACHINES, [], &all, &first);
                futures::future::try_join_all((0..6).map(list)).await?;
            }
            anyhow::Ok(())
        })?;
        memories += &format!(
            "\nResident memory of the server with {machines} machines: at most {before:.1} MiB with one list at a time, {:.1} MiB with six at once.\n",
            memory(server.id())?.1
        );
        bench.end(server)?;
    }
    Ok(text + &memories)
}

/// Machines as a site has them after a while; one statement a table.
async fn fill(store: &Path, machines: u32) -> Result<()> {
    let mut connection = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(store)).await?;
    let number = "WITH RECURSIVE numbers (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM numbers WHERE n < ";
    let id = "printf('m-%012x', n)";
    let mac =
        "printf('02:%02x:%02x:%02x:%02x:%02x', port, n >> 24, (n >> 16) & 255, (n >> 8) & 255, n & 255)";
    let ports = mac.replace("port", "0");
    let state = "CASE WHEN n % 100 = 7 THEN 'failed' WHEN n % 3 = 0 THEN 'new' ELSE 'retired' END";
    let json = |state: State| serde_json::to_string(&state);
    let failed = State::Failed(Failed {
        during: Stage::Commissioning,
        reason: "boot-timeout".into(),
        detail: "It did not boot in time.".into(),
        plan: None,
        disk: DiskState::Untouched,
    });
    let json = format!(
        "CASE WHEN n % 100 = 7 THEN '{}' WHEN n % 3 = 0 THEN '{}' ELSE '{}' END",
        json(failed)?,
        json(State::New)?,
        json(State::Retired)?
    );
    let serial = "printf('sn%06d', n)";
    let statements = [
        format!(
            "{number}{machines}) INSERT INTO machines (id, state, state_name, phase_since, history_seq, enrolled_at, last_seen, \
             network, ip, manufacturer, product, serial, verdict, search) \
             SELECT {id}, {json}, {state}, 1700000000000 + n, 1, 1700000000000 + n, 1700000000000 + n, 'bench', \
             printf('10.%d.%d.%d', n >> 16, (n >> 8) & 255, n & 255), 'Dell Inc.', 'PowerEdge R650', upper({serial}), 'pass', \
             {id} || ' ' || {serial} || ' dell inc. poweredge r650 10.' || (n >> 16) || '.' || ((n >> 8) & 255) || '.' || (n & 255) \
             || ' ' || {ports} FROM numbers"
        ),
        format!(
            "{number}{machines}), ports (port) AS (VALUES (0), (1)) INSERT INTO macs (mac, machine, rank) \
             SELECT {mac}, {id}, port FROM numbers, ports"
        ),
        format!(
            "{number}{machines}), ports (port) AS (VALUES (0), (1), (2), (3)) INSERT INTO reported_macs (machine, mac) \
             SELECT {id}, {mac} FROM numbers, ports"
        ),
        "ANALYZE".to_owned(),
    ];
    for statement in statements {
        sqlx::query(AssertSqlSafe(statement))
            .execute(&mut connection)
            .await?;
    }
    connection.close().await?;
    Ok(())
}

async fn measured(api: &Api, store: &Path, machines: u32) -> Result<String> {
    let options = SqliteConnectOptions::new().filename(store).read_only(true);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let mut text = String::new();
    for (words, state, search, condition, limit) in ASKED {
        let filter = MachineFilter {
            state: state.map(str::to_owned),
            q: search.to_owned(),
            ..MachineFilter::default()
        };
        let sql = format!(
            "SELECT id, state, phase_since, verdict, enrolled_at, last_seen, folded_into, ip, manufacturer, product, serial, hostname, \
             (SELECT group_concat(mac) FROM macs WHERE machine = id), (SELECT group_concat(mac) FROM reported_macs WHERE machine = id) \
             FROM machines WHERE {condition} ORDER BY enrolled_at DESC, id DESC LIMIT {limit}"
        );
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            let page = api
                .page_of(&routes::MACHINES, [], &filter, &newest(limit))
                .await?;
            ours.push(begun.elapsed());
            let begun = Instant::now();
            let rows = sqlx::query(AssertSqlSafe(sql.clone()))
                .fetch_all(&mut connection)
                .await?;
            bare.push(begun.elapsed());
            ensure!(
                page.items.len() == rows.len(),
                "{words}: {} and {} machines",
                page.items.len(),
                rows.len()
            );
        }
        let [(p50, p99), (bare_p50, bare_p99)] = [ours, bare].map(percentiles);
        text += &format!(
            "| {machines} | {words} | {p50:.1} | {p99:.1} | {bare_p50:.1} | {bare_p99:.1} | **{:.1}** |\n",
            p50 / bare_p50
        );
    }
    Ok(text)
}

/// Median and 99th percentile, in ms.
fn percentiles(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    (at(50), at(99))
}
