use inventory_api::agent::RunsOn;
use inventory_api::agent::{ReportResponse, Verification};
use inventory_api::check::{CheckResult, Verdict};
use inventory_api::report::AssetReport;
use inventory_api::{Mac, MachineId, UnixMs};
use lifecycle::{Limits, State};

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
    let all = store.machines().await.unwrap();
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

/// S1: what a report lists opens nothing, belongs to nobody, and is dropped when the next report does not list it.
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
    assert_eq!(store.machines().await.unwrap().len(), 1);
    let tables: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table'")
        .fetch_all(&store.read)
        .await
        .unwrap();
    for table in tables {
        let sql = format!("SELECT count(*) FROM pragma_table_info('{table}') WHERE name = 'machine'");
        let named: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .fetch_one(&store.read)
            .await
            .unwrap();
        if named == 0 {
            continue;
        }
        let sql = format!("SELECT count(*) FROM {table} WHERE machine = $1");
        let rows: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(one.as_str())
            .fetch_one(&store.read)
            .await
            .unwrap();
        assert_eq!(rows, 0, "{table}");
    }
}

/// A database of the version before: which MACs were heard is told by who booted last, by tickets and by rescues.
#[tokio::test]
async fn known_machines_still_boot_after_the_upgrade() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.db");
    let old = sqlx::migrate::Migrator {
        migrations: sqlx::migrate!("src/schema")
            .iter()
            .filter(|m| m.version < 8)
            .cloned()
            .collect::<Vec<_>>()
            .into(),
        ..sqlx::migrate::Migrator::DEFAULT
    };
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true);
    let pool = SqlitePoolOptions::new().connect_with(options).await.unwrap();
    old.run(&pool).await.unwrap();
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
    let whole: i64 = sqlx::query_scalar("SELECT count(*) FROM reports WHERE report IS NOT NULL")
        .fetch_one(&store.read)
        .await
        .unwrap();
    let all: i64 = sqlx::query_scalar("SELECT count(*) FROM reports")
        .fetch_one(&store.read)
        .await
        .unwrap();
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
    let mut change = store.begin().await.unwrap();
    change
        .put_check(&id, &check(Verdict::Fail), UnixMs(1))
        .await
        .unwrap();
    change
        .put_check(&id, &check(Verdict::Pass), UnixMs(2))
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
    store.put_loader_trial(mac, &trial).await.unwrap();
    store.put_loader_trial(mac, &trial).await.unwrap();
    assert_eq!(store.loader_trials().await.unwrap(), [(mac, trial)]);
    store.forget_loader_trials(&[mac]).await.unwrap();
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
            sqlx::query(statement).execute(change.connection()).await.unwrap();
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
