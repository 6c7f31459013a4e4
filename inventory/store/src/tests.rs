use inventory_api::agent::RunsOn;
use inventory_api::agent::{ReportResponse, Verification};
use inventory_api::burn_in::{BurnInRequest, BurnInResult};
use inventory_api::check::{CheckResult, Verdict};
use inventory_api::delivery::{ExpectedFrom, Order, OrderItem, Placement};
use inventory_api::machine::MachineFilter;
use inventory_api::report::AssetReport;
use inventory_api::task::{Task, TaskOutcome};
use inventory_api::{Mac, MachineId, UnixMs};
use lifecycle::expectation::MachineNames;
use lifecycle::{Event, Limits, State};
use sqlx::AssertSqlSafe;

use super::*;

fn id(n: u32) -> MachineId {
    format!("m-{n:012x}").parse().unwrap()
}

fn row(seq: i64, at: i64) -> HistoryRow {
    HistoryRow {
        seq,
        at: UnixMs(at),
        actor: "boot".into(),
        event: None,
        limits: Limits::default(),
        state: State::New,
        sentence: "Seen.".into(),
        repeats: 1,
    }
}

/// A store with the schema before a migration.
async fn old_store(path: &Path, before: i64) -> sqlx::SqlitePool {
    let old = sqlx::migrate::Migrator {
        migrations: sqlx::migrate!("src/schema")
            .iter()
            .filter(|m| m.version < before)
            .cloned()
            .collect::<Vec<_>>()
            .into(),
        ..sqlx::migrate::Migrator::DEFAULT
    };
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let pool = SqlitePoolOptions::new().connect_with(options).await.unwrap();
    old.run(&pool).await.unwrap();
    pool
}

async fn page(store: &Store, filter: &MachineFilter) -> Vec<MachineRow> {
    store.machine_page(filter, None, 100).await.unwrap()
}

async fn with_machine(store: &Store, n: u32) -> MachineId {
    let id = id(n);
    let mut change = store.begin().await.unwrap();
    change.add_machine(&id, "lab", &row(1, 5), None).await.unwrap();
    change
        .put_boot_mac(&id, Mac([2, 0, 0, 0, 0, n as u8]))
        .await
        .unwrap();
    change.commit().await.unwrap();
    id
}

#[tokio::test]
async fn what_is_committed_is_there_after_opening_again_and_what_is_dropped_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.db");
    let store = Store::open(&path).await.unwrap();
    let first = with_machine(&store, 1).await;
    let mut change = store.begin().await.unwrap();
    change.add_machine(&id(2), "lab", &row(1, 6), None).await.unwrap();
    drop(change);
    store.close().await;

    let store = Store::open(&path).await.unwrap();
    let all = page(&store, &MachineFilter::default()).await;
    assert_eq!(all.len(), 1);
    assert_eq!(
        (all[0].id.clone(), all[0].macs.clone()),
        (first.clone(), vec![Mac([2, 0, 0, 0, 0, 1])])
    );
    assert_eq!(store.machine(&first).await.unwrap().as_ref(), Some(&all[0]));
    assert_eq!(store.history(&first, None, 200).await.unwrap(), vec![row(1, 5)]);
    assert_eq!(
        store.machine_of_mac(Mac([2, 0, 0, 0, 0, 1])).await.unwrap(),
        Some(first)
    );
}

#[tokio::test]
async fn a_mac_stays_with_its_machine_and_the_boot_nic_comes_first() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("s.db")).await.unwrap();
    let (one, two) = (with_machine(&store, 1).await, with_machine(&store, 2).await);
    let (first, second) = (Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 9]));
    let mut change = store.begin().await.unwrap();
    change.put_boot_mac(&one, second).await.unwrap();
    change.put_boot_mac(&two, first).await.unwrap();
    change.commit().await.unwrap();
    assert_eq!(
        store.machine(&one).await.unwrap().unwrap().macs,
        vec![second, first]
    );
    assert_eq!(
        store.machine(&two).await.unwrap().unwrap().macs,
        vec![Mac([2, 0, 0, 0, 0, 2])]
    );
}

/// S1: what a report lists opens nothing, belongs to nobody, and is dropped when the next report does not
/// list it.
#[tokio::test]
async fn a_reported_mac_is_evidence_and_no_key() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("s.db")).await.unwrap();
    let (one, two) = (with_machine(&store, 1).await, with_machine(&store, 2).await);
    let heard = Mac([2, 0, 0, 0, 0, 1]);
    let (other, third) = (Mac([2, 0, 0, 0, 0, 8]), Mac([2, 0, 0, 0, 0, 9]));
    let mut change = store.begin().await.unwrap();
    change.put_reported_macs(&one, &[heard, other]).await.unwrap();
    change.put_reported_macs(&two, &[other, heard]).await.unwrap();
    assert!(change.reported_any(&two, &[heard]).await.unwrap());
    change.put_known(&one).await.unwrap();
    change.commit().await.unwrap();
    assert_eq!(store.machine_of_mac(other).await.unwrap(), None);
    assert_eq!(store.machine_of_mac(heard).await.unwrap().as_ref(), Some(&one));
    assert_eq!(store.machines_reporting(other).await.unwrap().len(), 2);
    let row = store.machine(&one).await.unwrap().unwrap();
    assert_eq!((row.macs, row.reported_macs), (vec![heard], vec![other]));
    assert_eq!(
        store.macs().await.unwrap().into_keys().collect::<Vec<_>>(),
        vec![heard],
        "the second machine is not known, and a reported MAC is nobody's"
    );
    let mut change = store.begin().await.unwrap();
    change.put_reported_macs(&one, &[heard, third]).await.unwrap();
    change.commit().await.unwrap();
    assert_eq!(
        store.machine(&one).await.unwrap().unwrap().reported_macs,
        vec![third]
    );
}

#[tokio::test]
async fn a_machine_is_forgotten_with_all_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("s.db")).await.unwrap();
    let (one, two) = (with_machine(&store, 1).await, with_machine(&store, 2).await);
    let mut change = store.begin().await.unwrap();
    change
        .put_reported_macs(&one, &[Mac([2, 0, 0, 0, 0, 8])])
        .await
        .unwrap();
    change.put_last_seen(&two, UnixMs(9)).await.unwrap();
    change
        .put_report(
            &one,
            &"0".repeat(32),
            &[1; 32],
            &AssetReport::default(),
            inventory_api::agent::RunsOn::MiniOs,
            UnixMs(7),
        )
        .await
        .unwrap();
    change.commit().await.unwrap();
    assert_eq!(
        store.never_claimed(UnixMs(5)).await.unwrap(),
        vec![],
        "not old enough"
    );
    assert_eq!(store.never_claimed(UnixMs(6)).await.unwrap(), vec![one.clone()]);
    let mut change = store.begin().await.unwrap();
    assert!(change.forget(&one).await.unwrap());
    change.commit().await.unwrap();
    assert_eq!(page(&store, &MachineFilter::default()).await.len(), 1);
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table'";
    let tables: Vec<String> = store.column(tables, &[]).await.unwrap();
    for table in tables {
        let sql = format!("SELECT count(*) FROM pragma_table_info('{table}') WHERE name = 'machine'");
        if store.count(AssertSqlSafe(sql), &[]).await.unwrap() == 0 {
            continue;
        }
        let sql = format!("SELECT count(*) FROM {table} WHERE machine = $1");
        let rows = store.count(AssertSqlSafe(sql), &[&one]).await.unwrap();
        assert_eq!(rows, 0, "{table}");
    }
}

/// A database of the version before: which MACs were heard is told by who booted last, by tickets and by
/// rescues.
#[tokio::test]
async fn known_machines_still_boot_after_the_upgrade() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.db");
    let pool = old_store(&path, 8).await;
    let statements = "
        INSERT INTO machines (id, state, history_seq, enrolled_at) VALUES
            ('m-000000000001', '{\"state\":\"new\"}', 1, 5), ('m-000000000002', '{\"state\":\"retired\"}', 1, 5),
            ('m-000000000003', '{\"state\":\"new\"}', 1, 5);
        UPDATE machines SET folded_into = 'm-000000000001' WHERE id = 'm-000000000002';
        INSERT INTO macs (mac, machine, rank) VALUES
            ('02:00:00:00:00:01', 'm-000000000001', 0), ('02:00:00:00:00:02', 'm-000000000001', 1),
            ('02:00:00:00:00:03', 'm-000000000001', 1), ('02:00:00:00:00:04', 'm-000000000001', 1),
            ('02:00:00:00:00:05', 'm-000000000001', 1), ('02:00:00:00:00:06', 'm-000000000003', 0);
        INSERT INTO tickets (digest, machine, mac, ip, minted_at, expires_at) VALUES
            (x'01', 'm-000000000001', '02:00:00:00:00:02', '10.0.0.1', 1, 2),
            (x'02', 'm-000000000002', '02:00:00:00:00:03', '10.0.0.1', 1, 2),
            (x'03', 'm-000000000003', '02:00:00:00:00:05', '10.0.0.1', 1, 2);
        INSERT INTO reports (machine, at, nonce, digest, report) VALUES ('m-000000000001', 1, 'n', x'01', '{}');
        INSERT INTO identities (machine, at, identity) VALUES ('m-000000000001', 1, '{}');";
    sqlx::raw_sql(statements).execute(&pool).await.unwrap();
    pool.close().await;

    let store = Store::open(&path).await.unwrap();
    let row = store.machine(&id(1)).await.unwrap().unwrap();
    let mac = |n: u8| Mac([2, 0, 0, 0, 0, n]);
    assert_eq!(
        row.macs,
        vec![mac(1), mac(2), mac(3)],
        "booted last, a ticket, a ticket before the fold"
    );
    assert_eq!(
        row.reported_macs,
        vec![mac(4), mac(5)],
        "another machine's ticket says nothing"
    );
    assert_eq!(store.machine_of_mac(mac(1)).await.unwrap(), Some(id(1)));
    assert_eq!(store.machine_of_mac(mac(4)).await.unwrap(), None);
    let known = store.macs().await.unwrap();
    assert!(
        known.contains_key(&mac(1)) && !known.contains_key(&mac(6)),
        "{known:?}"
    );
}

#[tokio::test]
async fn reports_and_nonces_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("s.db")).await.unwrap();
    let id = with_machine(&store, 1).await;
    let mut change = store.begin().await.unwrap();
    let last = KEPT_NONCES + 20;
    for n in 0..=last {
        let report = AssetReport {
            collect_ms: n as u64,
            ..AssetReport::default()
        };
        change
            .put_report(
                &id,
                &format!("{n:032x}"),
                &[1; 32],
                &report,
                RunsOn::MiniOs,
                UnixMs(n),
            )
            .await
            .unwrap();
    }
    let answer = ReportResponse {
        check: None,
        message: "x".into(),
        place: None,
        page_url: None,
    };
    change
        .put_report_answer(&id, &format!("{last:032x}"), &answer)
        .await
        .unwrap();
    let newest = change
        .report_with_nonce(&id, &format!("{last:032x}"))
        .await
        .unwrap()
        .unwrap();
    assert!(newest.newest && newest.answer == Some(answer));
    let older = change
        .report_with_nonce(&id, &format!("{:032x}", last - 1))
        .await
        .unwrap()
        .unwrap();
    assert!(!older.newest && older.answer.is_none());
    assert_eq!(
        change
            .report_with_nonce(&id, &format!("{:032x}", 3))
            .await
            .unwrap(),
        None
    );
    change.commit().await.unwrap();
    assert_eq!(
        store.stored_report(&id).await.unwrap().unwrap().report.collect_ms,
        last as u64
    );
    let count = async |sql: &'static str| store.count(sql, &[]).await.unwrap();
    let whole = count("SELECT count(*) FROM reports WHERE report IS NOT NULL").await;
    let all = count("SELECT count(*) FROM reports").await;
    assert_eq!((whole, all), (KEPT_REPORTS, KEPT_NONCES));
}

#[tokio::test]
async fn documents_replace_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("s.db")).await.unwrap();
    let id = with_machine(&store, 1).await;
    let check = |verdict| CheckResult {
        verdict,
        findings: vec![],
    };
    let from = ExpectedFrom::default();
    let mut change = store.begin().await.unwrap();
    change
        .put_check(&id, &check(Verdict::Fail), &from, UnixMs(1))
        .await
        .unwrap();
    change
        .put_check(&id, &check(Verdict::Pass), &from, UnixMs(2))
        .await
        .unwrap();
    let verification = Verification {
        plan: "p-1".parse().unwrap(),
        items: vec![],
    };
    change
        .put_verification(&id, &verification, UnixMs(1))
        .await
        .unwrap();
    change.commit().await.unwrap();
    assert_eq!(store.check(&id).await.unwrap(), Some(check(Verdict::Pass)));
    assert_eq!(store.expected_from(&id).await.unwrap(), Some(from));
    let row = store.machine(&id).await.unwrap().unwrap();
    assert_eq!(row.verdict, Some(Verdict::Pass));
    assert_eq!(store.verification(&id).await.unwrap(), Some(verification));
    assert_eq!(store.request(&id).await.unwrap(), None);
    assert_eq!(store.plan(&id).await.unwrap(), None);
}

#[tokio::test]
async fn a_newer_certificate_revokes_the_older_and_a_newer_ticket_voids_the_older() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("s.db")).await.unwrap();
    let id = with_machine(&store, 1).await;
    let ticket = TicketRow {
        machine: id.clone(),
        mac: Mac([2, 0, 0, 0, 0, 1]),
        ip: "10.0.0.9".parse().unwrap(),
        expires_at: UnixMs(100),
        void: false,
        alarmed: false,
        key_digest: None,
        certificate: None,
    };
    let mut change = store.begin().await.unwrap();
    change.add_ticket(&[1; 32], &ticket, UnixMs(1)).await.unwrap();
    change.claim_ticket(&[1; 32], &[7; 32], "aa").await.unwrap();
    change.add_ticket(&[2; 32], &ticket, UnixMs(2)).await.unwrap();
    change.add_ticket(&[3; 32], &ticket, UnixMs(3)).await.unwrap();
    let claimed = change.ticket(&[1; 32]).await.unwrap().unwrap();
    assert!(!claimed.void && claimed.key_digest == Some(vec![7; 32]));
    assert!(change.ticket(&[2; 32]).await.unwrap().unwrap().void);
    assert_eq!(change.ticket(&[3; 32]).await.unwrap(), Some(ticket));
    change
        .add_certificate(&id, "aa", "A", UnixMs(1), UnixMs(9))
        .await
        .unwrap();
    change
        .add_certificate(&id, "bb", "B", UnixMs(2), UnixMs(9))
        .await
        .unwrap();
    change.commit().await.unwrap();
    assert!(store.has_ticket(&[3; 32]).await.unwrap() && !store.has_ticket(&[4; 32]).await.unwrap());
    assert_eq!(store.machine_of_certificate("aa").await.unwrap(), None);
    assert_eq!(store.machine_of_certificate("bb").await.unwrap(), Some(id));
    assert_eq!(store.machine_of_certificate("cc").await.unwrap(), None);
}

#[tokio::test]
async fn what_became_of_loaders_is_kept_and_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("s.db")).await.unwrap();
    let mac = Mac([2, 0, 0, 0, 0, 1]);
    let mut trial = netboot_protocol::Trial::default();
    trial.failed = vec![(
        netboot_protocol::Loader::Snponly,
        netboot_protocol::Failure::Refused,
    )];
    let mut change = store.begin().await.unwrap();
    change.put_loader_trial(mac, &trial).await.unwrap();
    change.put_loader_trial(mac, &trial).await.unwrap();
    change.commit().await.unwrap();
    assert_eq!(store.loader_trials().await.unwrap(), [(mac, trial)]);
    let mut change = store.begin().await.unwrap();
    change.forget_loader_trials(&[mac]).await.unwrap();
    change.commit().await.unwrap();
    assert_eq!(store.loader_trials().await.unwrap(), []);
}

/// A COMMIT that fails is what a full disk does: it must not be the last one of this server.
#[tokio::test]
async fn after_a_commit_that_failed_the_store_writes_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("s.db")).await.unwrap();
    for round in 0..3 {
        let mut change = store.begin().await.unwrap();
        for statement in [
            "PRAGMA defer_foreign_keys = ON",
            "INSERT INTO macs (mac, machine, rank) VALUES ('52:54:00:00:00:01', 'm-nobody', 0)",
        ] {
            change.run(statement, &[]).await.unwrap();
        }
        assert!(change.commit().await.is_err(), "round {round}");
        store.probe_write(UnixMs(round)).await.unwrap();
    }
    let dropped = store.begin().await.unwrap();
    drop(dropped);
    store.probe_write(UnixMs(9)).await.unwrap();
}

#[tokio::test]
async fn tokens_expire_are_revoked_and_their_names_are_not_given_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("s.db")).await.unwrap();
    let token = |name: &str, expires_at| TokenRow {
        name: name.to_owned(),
        read_only: false,
        made_at: UnixMs(1),
        expires_at,
        used_at: None,
        revoked_at: None,
    };
    let mut change = store.begin().await.unwrap();
    assert!(change.add_token(&token("ann", None), &[1; 32]).await.unwrap());
    assert!(
        change
            .add_token(&token("bob", Some(UnixMs(100))), &[2; 32])
            .await
            .unwrap()
    );
    assert!(change.revoke_token("ann", UnixMs(50)).await.unwrap());
    assert!(
        !change.revoke_token("ann", UnixMs(51)).await.unwrap(),
        "revoked once"
    );
    assert!(!change.add_token(&token("ann", None), &[3; 32]).await.unwrap());
    change.put_token_used("bob", UnixMs(60)).await.unwrap();
    change.commit().await.unwrap();
    let ann = store.token(&[1; 32]).await.unwrap().unwrap();
    assert!(!ann.is_good(UnixMs(50)) && ann.revoked_at == Some(UnixMs(50)));
    let bob = store.token(&[2; 32]).await.unwrap().unwrap();
    assert!(bob.is_good(UnixMs(99)) && !bob.is_good(UnixMs(100)) && bob.used_at == Some(UnixMs(60)));
    assert_eq!(store.tokens().await.unwrap(), [ann, bob]);
}

#[tokio::test]
async fn lists_are_filtered_searched_counted_and_paged() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("s.db")).await.unwrap();
    for n in 1..=5 {
        with_machine(&store, n).await;
    }
    let mut change = store.begin().await.unwrap();
    let names = SmbiosNames {
        manufacturer: Some("Dell Inc.".into()),
        product: Some("PowerEdge R650".into()),
        serial: Some("100%_\\SN".into()),
        uuid: None,
    };
    change.put_smbios_names(&id(2), &names).await.unwrap();
    change.put_hostname(&id(3), Some("Web-03")).await.unwrap();
    change
        .put_boot_address(&id(4), "lab", "10.77.0.109".parse().unwrap(), UnixMs(9))
        .await
        .unwrap();
    change
        .put_reported_macs(&id(5), &[Mac([0x52, 0x54, 0, 0x1a, 0x2b, 6])])
        .await
        .unwrap();
    let retired = HistoryRow {
        state: State::Retired,
        ..row(2, 7)
    };
    change.put_state(&id(1), &retired, None).await.unwrap();
    let check = CheckResult {
        verdict: Verdict::Fail,
        findings: vec![],
    };
    change
        .put_check(&id(2), &check, &ExpectedFrom::default(), UnixMs(1))
        .await
        .unwrap();
    let conflict = ConflictRow {
        id: 0,
        machine: id(3),
        other: id(4),
        at: UnixMs(1),
        sentence: String::new(),
        boot_mac: None,
        seen: Default::default(),
        known: Default::default(),
        resolved: None,
    };
    change.add_conflict(&conflict).await.unwrap();
    change.commit().await.unwrap();

    let found = async |filter: MachineFilter| -> Vec<MachineId> {
        page(&store, &filter).await.into_iter().map(|m| m.id).collect()
    };
    let all = MachineFilter::default;
    let search = |q: &str| found(MachineFilter { q: q.into(), ..all() });
    assert_eq!(found(all()).await, [id(5), id(4), id(3), id(2), id(1)]);
    assert_eq!(search("WEB 03").await, [id(3)]);
    assert_eq!(search("r650 dell").await, [id(2)]);
    assert_eq!(search("52-54-00-1A-2B-06").await, [id(5)]);
    assert_eq!(search("10.77.0.109").await, [id(4)]);
    assert_eq!(search("retired").await, [id(1)]);
    assert_eq!(search("100%_\\sn").await, [id(2)], "no letter is a wildcard");
    assert_eq!(search("1%3").await, [] as [MachineId; 0]);
    let state = |state: &str| MachineFilter {
        state: Some(state.into()),
        ..all()
    };
    assert_eq!(found(state("retired")).await, [id(1)]);
    assert_eq!(found(state("nonsense")).await, [] as [MachineId; 0]);
    let fails = MachineFilter {
        verdict: Some(Verdict::Fail),
        ..all()
    };
    assert_eq!(found(fails).await, [id(2)]);
    let conflict = MachineFilter {
        conflict: true,
        ..all()
    };
    assert_eq!(found(conflict).await, [id(4), id(3)]);
    let counts = store.machine_counts().await.unwrap();
    assert_eq!(
        counts.by_state.into_iter().collect::<Vec<_>>(),
        [("new".to_owned(), 4), ("retired".to_owned(), 1)]
    );
    assert_eq!(counts.in_conflict, 2);

    let at = |n: u32, back: bool| Cursor {
        enrolled_at: UnixMs(5),
        id: id(n),
        back,
    };
    let from = async |cursor: Cursor| -> Vec<MachineId> {
        let rows = store.machine_page(&all(), Some(&cursor), 2).await.unwrap();
        rows.into_iter().map(|m| m.id).collect()
    };
    assert_eq!(from(at(4, false)).await, [id(3), id(2)]);
    assert_eq!(from(at(2, true)).await, [id(4), id(3)]);
    assert_eq!(from(at(1, false)).await, [] as [MachineId; 0]);
}

/// More rows than were once read to find where a phase began.
#[tokio::test]
async fn a_phase_with_many_notes_began_when_it_began() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("s.db")).await.unwrap();
    let id = with_machine(&store, 1).await;
    let mut change = store.begin().await.unwrap();
    for n in 2..=70 {
        change.put_state(&id, &row(n, n * 10), None).await.unwrap();
    }
    change.commit().await.unwrap();
    assert_eq!(store.phase_since(&id).await.unwrap(), Some(UnixMs(5)));
    let retired = HistoryRow {
        state: State::Retired,
        ..row(71, 900)
    };
    let mut change = store.begin().await.unwrap();
    change.put_state(&id, &retired, None).await.unwrap();
    change.commit().await.unwrap();
    assert_eq!(store.phase_since(&id).await.unwrap(), Some(UnixMs(900)));
}

#[tokio::test]
async fn lists_know_the_machines_of_a_store_from_before_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.db");
    let pool = old_store(&path, 23).await;
    let order = serde_json::to_string(&Order {
        number: "PO-1".into(),
        items: vec![OrderItem {
            item: "10".into(),
            profile: "web".into(),
            ..OrderItem::default()
        }],
    })
    .unwrap();
    let event = serde_json::to_string(&Event::WipeDone { disks: vec![] }).unwrap();
    let statements = format!(
        "INSERT INTO machines (id, state, history_seq, enrolled_at, hostname) VALUES
            ('m-000000000001', '{{\"state\":\"retired\"}}', 72, 5, 'Web-01'), ('m-000000000002', '{{\"state\":\"new\"}}', 1, 6, NULL);
        WITH RECURSIVE many (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM many WHERE n < 1200)
            INSERT INTO machines (id, state, history_seq, enrolled_at)
            SELECT printf('m-1%011d', n), '{{\"state\":\"new\"}}', 1, 7 FROM many;
        INSERT INTO checks (machine, at, result, verdict) VALUES ('m-000000000001', 1, '{{}}', 'fail');
        INSERT INTO orders (number, changed_at, body) VALUES ('PO-1', 1, '{order}');
        INSERT INTO reports (machine, at, nonce, digest, report) VALUES
            ('m-000000000001', 1, 'a', x'01', '{{}}'), ('m-000000000001', 2, 'b', x'02', '{{}}');
        WITH RECURSIVE rows (seq) AS (VALUES (1) UNION ALL SELECT seq + 1 FROM rows WHERE seq < 72)
            INSERT INTO history (machine, seq, at, actor, event, limits, state, sentence)
            SELECT 'm-000000000001', seq, 1000 + seq, 'boot', CASE WHEN seq = 1 THEN 'null' ELSE '{event}' END, '{{}}',
                CASE WHEN seq < 3 THEN '{{\"state\":\"new\"}}' ELSE '{{\"state\":\"retired\"}}' END, '' FROM rows;"
    );
    sqlx::raw_sql(AssertSqlSafe(statements))
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;

    let store = Store::open(&path).await.unwrap();
    let filter = MachineFilter {
        state: Some("retired".into()),
        verdict: Some(Verdict::Fail),
        q: "web-01".into(),
        ..MachineFilter::default()
    };
    let rows = page(&store, &filter).await;
    assert_eq!((rows.len(), rows[0].phase_since), (1, UnixMs(1003)));
    let new = store.machine(&id(2)).await.unwrap().unwrap();
    assert_eq!((new.phase_since, new.verdict), (UnixMs(6), None));
    let by_state = store.machine_counts().await.unwrap().by_state;
    assert_eq!(
        (by_state["new"], by_state["retired"]),
        (1201, 1),
        "filled in several transactions"
    );
    assert_eq!(store.orders_of_profile("web").await.unwrap(), ["PO-1"]);
    let names = "SELECT event_name FROM history WHERE event_name IS NOT NULL";
    let names: Vec<String> = store.column(names, &[]).await.unwrap();
    assert_eq!(
        (names.len(), names[0].as_str()),
        (71, Event::WipeDone { disks: vec![] }.name())
    );

    // Reports from before are ordered by their time, and all new ones come after them.
    let mut change = store.begin().await.unwrap();
    assert!(
        change
            .report_with_nonce(&id(1), "b")
            .await
            .unwrap()
            .unwrap()
            .newest
    );
    change
        .put_report(
            &id(1),
            "c",
            &[1; 32],
            &AssetReport::default(),
            RunsOn::MiniOs,
            UnixMs(1),
        )
        .await
        .unwrap();
    assert!(
        change
            .report_with_nonce(&id(1), "c")
            .await
            .unwrap()
            .unwrap()
            .newest
    );
    change.commit().await.unwrap();
    assert_eq!(store.stored_report(&id(1)).await.unwrap().unwrap().at, UnixMs(1));
}

/// The machine at a place is the one with its serial number, or else with its asset tag. A retired machine is
/// at none.
#[tokio::test]
async fn a_place_knows_the_machine_that_has_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("s.db")).await.unwrap();
    let place = |unit, serial: &str, tag: &str| Placement {
        room: "R1".into(),
        rack: format!("A{}", unit % 2),
        unit,
        serial: Some(serial.into()).filter(|s: &String| !s.is_empty()),
        asset_tag: Some(tag.into()).filter(|t: &String| !t.is_empty()),
        order: Some("PO-1".into()).filter(|_| unit < 3),
        ..Placement::default()
    };
    let mut machines = Vec::new();
    for n in 1..=3 {
        machines.push(with_machine(&store, n).await);
    }
    let [one, two, gone] = machines.as_slice() else {
        panic!("three")
    };
    let names = |serial: &str, tag: &str| MachineNames {
        serials: vec![serial.into()],
        asset_tags: vec![tag.into()],
    };
    let check = CheckResult {
        verdict: Verdict::Warn,
        findings: vec![],
    };
    let mut change = store.begin().await.unwrap();
    for (id, names, height) in [
        (one, names("SRV-1", "T-9"), Some(2)),
        (two, names("SRV-2", "T-2"), None),
        (gone, names("SRV-4", "T-4"), None),
    ] {
        change.put_names(id, &names, height).await.unwrap();
    }
    for place in [
        place(1, "srv-1", ""),
        place(2, "SRV-7", "t-2"),
        place(3, "SRV-4", ""),
        place(4, "SRV-2", "T-9"),
    ] {
        assert_eq!(change.add_placement(&place, UnixMs(1)).await.unwrap(), None);
    }
    let retired = HistoryRow {
        state: State::Retired,
        ..row(2, 9)
    };
    change.put_state(gone, &retired, None).await.unwrap();
    let from = ExpectedFrom::default();
    change.put_check(one, &check, &from, UnixMs(1)).await.unwrap();
    change.commit().await.unwrap();

    let found = |rows: Vec<PlacedRow>| -> Vec<(u32, Option<MachineId>)> {
        rows.into_iter().map(|r| (r.placement.unit, r.machine)).collect()
    };
    let (one, two) = (Some(one.clone()), Some(two.clone()));
    let all = store.placed().await.unwrap();
    assert!(all.iter().all(|row| row.check.is_none()));
    let warned = all.iter().find(|row| row.machine == one).unwrap();
    assert_eq!((warned.verdict, warned.height_u), (Some(Verdict::Warn), Some(2)));
    assert_eq!(
        found(all),
        [(4, two.clone()), (2, two.clone()), (3, None), (1, one.clone())],
        "by rack, the highest unit first; the serial number before the tag"
    );
    let of_order = store.placed_of_order("PO-1").await.unwrap();
    assert_eq!(of_order[1].check.as_ref(), Some(&check));
    assert_eq!(found(of_order), [(2, two), (1, one.clone())]);
    let in_rack = store.placed_in_rack("R1", "A1").await.unwrap();
    assert_eq!(found(in_rack), [(3, None), (1, one)]);
}

/// What is read of many machines at once is what is read of each.
#[tokio::test]
async fn many_machines_are_read_as_each_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("s.db")).await.unwrap();
    let mut ids = Vec::new();
    for n in 1..=4 {
        ids.push(with_machine(&store, n).await);
    }
    let mut change = store.begin().await.unwrap();
    let reports = [
        (0, RunsOn::MiniOs, 1),
        (0, RunsOn::Installed, 2),
        (0, RunsOn::MiniOs, 3),
        (1, RunsOn::Installed, 4),
        (2, RunsOn::MiniOs, 5),
    ];
    for (machine, runs_on, at) in reports {
        let report = AssetReport {
            collect_ms: at as u64,
            ..AssetReport::default()
        };
        let nonce = at.to_string();
        let put = change.put_report(&ids[machine], &nonce, &[1; 32], &report, runs_on, UnixMs(at));
        put.await.unwrap();
    }
    let burn_in = |figure| TaskOutcome::Done {
        detail: String::new(),
        burn_in: Some(Box::new(BurnInResult {
            elapsed_ms: figure,
            ..BurnInResult::default()
        })),
    };
    let request = Task::BurnIn {
        request: BurnInRequest::default(),
    };
    for (machine, outcome) in [
        (0, burn_in(7)),
        (0, burn_in(8)),
        (2, burn_in(9)),
        (2, TaskOutcome::Unknown),
    ] {
        let id = &ids[machine];
        let number = change.add_task(id, &request, "alice", UnixMs(1)).await.unwrap();
        let put = change.put_task_outcome(number, &outcome, false, UnixMs(2));
        put.await.unwrap();
    }
    change.commit().await.unwrap();

    let stored = store.stored_reports(&ids).await.unwrap();
    for id in &ids {
        assert_eq!(stored.get(id), store.stored_report(id).await.unwrap().as_ref());
    }
    let seen = |n: usize| {
        stored
            .get(&ids[n])
            .map(|s| (s.runs_on, s.at, s.mini_os.is_some()))
    };
    assert_eq!(seen(0), Some((RunsOn::MiniOs, UnixMs(3), true)));
    assert_eq!(seen(1), Some((RunsOn::Installed, UnixMs(4), false)));
    assert_eq!((seen(2).is_some(), seen(3)), (true, None));
    let burned = store.burn_ins(&ids).await.unwrap();
    let burned: Vec<_> = burned
        .into_iter()
        .map(|(id, result)| (id, result.elapsed_ms))
        .collect();
    assert_eq!(burned, [(ids[0].clone(), 8), (ids[2].clone(), 9)]);
}
