//! The API for people.

use inventory_api::agent::RunsOn;
use inventory_api::machine::{DeployResponse, HistoryEntry, Journey, MachineDetail, MachineSummary};
use inventory_api::page::Page;
use inventory_api::routes;
use reqwest::Method;
use serde_json::json;

use crate::harness::{HOME, NIC, Site, answer, order};

#[tokio::test]
async fn without_a_token_only_health_answers() {
    let site = Site::new().await;
    let client = site.client(None, None);
    let health = client.get(site.url("/v1/health")).send().await.unwrap();
    assert_eq!(health.text().await.unwrap(), r#"{"ok":true}"#);
    let wrong = "0".repeat(64);
    for path in [
        "machines",
        "machines/m-1",
        "machines/m-1/history",
        "machines/m-1/plan",
        "images",
        "profiles",
        "events",
        "journey/02:00:00:00:00:01",
    ] {
        let url = site.url(&format!("/v1/{path}"));
        let without = client.get(&url).send().await.unwrap();
        assert_eq!(without.headers()["www-authenticate"], "Bearer");
        assert_eq!(
            answer::<serde_json::Value>(without).await.unwrap_err().status,
            401,
            "{path}"
        );
        for token in [wrong.as_str(), "", "short"] {
            let with = client.get(&url).bearer_auth(token).send().await.unwrap();
            assert_eq!(with.status(), 401, "{path}");
        }
    }
    let verb = client
        .post(site.url("/v1/machines/m-1/retire"))
        .send()
        .await
        .unwrap();
    assert_eq!(verb.status(), 401);
}

#[tokio::test]
async fn bad_input_is_refused_with_a_reason() {
    let site = Site::new().await;
    let id = site.boot(NIC).await.id;
    let deploy = format!("/v1/machines/{id}/deploy");
    let cases = [
        (format!("/v1/machines/{}", "nobody"), None, 404, "machine-unknown"),
        ("/v1/journey/xyz".into(), None, 400, "bad-mac"),
        (
            format!("/v1/machines/{id}/explode"),
            Some(json!({})),
            404,
            "verb-unknown",
        ),
        (deploy.clone(), Some(json!({ "imagee": "x" })), 400, "bad-json"),
        (deploy.clone(), Some(order()), 409, "no-report"),
        (
            deploy.clone(),
            Some(json!({ "profile": "web" })),
            422,
            "profile-unknown",
        ),
        (
            format!("/v1/machines/{id}/release"),
            Some(json!({})),
            409,
            "wrong-state",
        ),
        (
            format!("/v1/machines/{id}/abort?dry_run=1"),
            Some(json!({})),
            400,
            "bad-query",
        ),
        ("/v1/nothing".into(), None, 404, "not-found"),
    ];
    for (path, body, status, code) in cases {
        let method = if body.is_some() { Method::POST } else { Method::GET };
        let problem = site
            .user::<serde_json::Value>(method, &path, body)
            .await
            .unwrap_err();
        assert_eq!(
            (problem.status, problem.code.as_str()),
            (status, code),
            "{path}: {}",
            problem.detail
        );
    }
    let client = site.client(None, None);
    let post = |body: reqwest::Body| {
        client
            .post(site.url(&deploy))
            .bearer_auth(&site.token)
            .body(body)
            .send()
    };
    let broken = answer::<serde_json::Value>(post("{".into()).await.unwrap())
        .await
        .unwrap_err();
    assert_eq!((broken.status, broken.code.as_str()), (400, "bad-json"));
    let large = vec![b' '; 2 << 20];
    let announced = answer::<serde_json::Value>(post(large.clone().into()).await.unwrap())
        .await
        .unwrap_err();
    assert_eq!(
        (announced.status, announced.code.as_str()),
        (413, "body-too-large")
    );
    let chunks = futures::stream::iter(
        large
            .chunks(65536)
            .map(|c| Ok::<_, std::io::Error>(c.to_vec()))
            .collect::<Vec<_>>(),
    );
    // The server may close the connection before all is sent; it only must not accept the body.
    if let Ok(response) = post(reqwest::Body::wrap_stream(chunks)).await {
        assert_eq!(response.status(), 413);
    }
}

#[tokio::test]
async fn a_dry_run_shows_the_plan_and_changes_nothing() {
    let site = Site::new().await;
    let agent = site.boot(NIC).await;
    agent.report(&site, RunsOn::MiniOs).await.unwrap();
    let id = &agent.id;
    let history = || site.list(routes::HISTORY, ["SN1"]);
    let before = history().await.unwrap();
    let dry: DeployResponse = site
        .user(
            Method::POST,
            &format!("/v1/machines/{NIC}/deploy?dry_run=1"),
            Some(order()),
        )
        .await
        .unwrap();
    let plan = dry.plan.unwrap();
    assert_eq!(
        (dry.dry_run, plan.disk.serial.as_deref(), plan.hostname.as_str()),
        (true, Some("DISK1"), "web-sn1")
    );
    assert!(!serde_json::to_string(&plan).unwrap().contains("secret"));
    assert_eq!(before, history().await.unwrap());
    assert_eq!(site.phase(id).await, "ready");
    let none = site.ask(routes::PLAN, [id.as_str()]).await;
    assert_eq!(none.unwrap_err().code, "no-plan");

    site.deploy(id).await;
    let detail: MachineDetail = site.ask(routes::MACHINE, [id.as_str()]).await.unwrap();
    assert_eq!(detail.machine.hostname.as_deref(), Some("web-sn1"));
    assert_eq!(detail.machine.model.as_deref(), Some("Acme R1"));
    assert!(!serde_json::to_string(&detail).unwrap().contains("secret"));
    let path = format!("/v1/machines/{id}/deploy?dry_run=1");
    let refused = site
        .user::<serde_json::Value>(Method::POST, &path, Some(order()))
        .await;
    assert_eq!(refused.unwrap_err().code, "wrong-state");
}

#[tokio::test]
async fn a_machine_that_is_not_as_expected_is_not_deployed() {
    let site = Site::new().await;
    let agent = site.boot(NIC).await;
    agent.report(&site, RunsOn::MiniOs).await.unwrap();
    let mut order = order();
    order["expected"] = json!({ "system": { "model": "R2" } });
    let refused = site
        .user::<serde_json::Value>(
            Method::POST,
            &format!("/v1/machines/{}/deploy", agent.id),
            Some(order),
        )
        .await
        .unwrap_err();
    assert_eq!(refused.code, "check-failed");
    assert!(refused.detail.contains("R1"), "{}", refused.detail);
    assert_eq!(site.phase(&agent.id).await, "ready");
}

#[tokio::test]
async fn lists_journeys_and_events() {
    let site = Site::new().await;
    let client = site.client(None, None);
    let mut events = client
        .get(site.url("/v1/events"))
        .bearer_auth(&site.token)
        .send()
        .await
        .unwrap();
    let agent = site.boot(NIC).await;
    let chunk = tokio::time::timeout(std::time::Duration::from_secs(10), events.chunk())
        .await
        .expect("waited 10 s for an event")
        .unwrap()
        .unwrap();
    assert!(String::from_utf8_lossy(&chunk).contains(agent.id.as_str()));
    let machines = site.list(routes::MACHINES, []).await.unwrap();
    assert_eq!(machines.len(), 1);
    assert_eq!(
        (machines[0].macs[0], machines[0].ip),
        (NIC, Some("127.0.0.1".parse().unwrap()))
    );
    let journey: Journey = site.ask(routes::JOURNEY, [&NIC.to_string()]).await.unwrap();
    assert_eq!(journey.machine.map(|m| m.id), Some(agent.id));
    let unknown: Journey = site.ask(routes::JOURNEY, ["02:00:00:00:00:77"]).await.unwrap();
    assert!(
        unknown.diagnosis.contains("Nothing was ever heard"),
        "{}",
        unknown.diagnosis
    );
}

#[tokio::test]
async fn secrets_are_nowhere_in_the_data_directory_but_where_they_belong() {
    use std::os::unix::fs::PermissionsExt as _;
    let site = Site::new().await;
    let args = site.ticket(NIC, crate::harness::HOME).await;
    let mode = |path: &str| {
        std::fs::metadata(site.data().join(path))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(
        (mode("data"), mode("data/ca"), mode("data/ca/ca.key")),
        (0o700, 0o700, 0o600)
    );
    // The store's files are private even if the directory already existed with the usual mode.
    assert_eq!(
        (mode("data/slipway.db"), mode("data/slipway.db-wal")),
        (0o600, 0o600)
    );
    for entry in std::fs::read_dir(site.data().join("data")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            for secret in [&site.token, &args.ticket] {
                assert!(
                    !bytes.windows(secret.len()).any(|w| w == secret.as_bytes()),
                    "{}",
                    path.display()
                );
            }
        }
    }
}

#[tokio::test]
async fn tokens_are_made_beside_a_running_server_and_two_servers_refuse_to_share() {
    let site = Site::new().await;
    let token = inventory::tokens::create(&site.config, "ann", Default::default())
        .await
        .unwrap();
    let response = site
        .client(None, None)
        .get(site.url("/v1/machines"))
        .bearer_auth(token)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    for name in ["ann", "clock", "parts", "a b", ""] {
        assert!(
            inventory::tokens::create(&site.config, name, Default::default())
                .await
                .is_err(),
            "{name}"
        );
    }
    let second = inventory::app::App::bind(site.config.clone())
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(second.contains("another slipway server"), "{second}");
}

async fn get(site: &Site, token: &str, path: &str) -> u16 {
    let request = site.client(None, None).get(site.url(path)).bearer_auth(token);
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_token_reads_only_expires_and_is_revoked_with_its_streams() {
    use inventory::tokens::{self, TokenTerms};
    let site = Site::new().await;
    let agent = site.boot(NIC).await;
    let terms = TokenTerms {
        read_only: true,
        days: None,
    };
    let reader = tokens::create(&site.config, "grafana", terms).await.unwrap();
    assert_eq!(get(&site, &reader, "/v1/machines").await, 200);
    let verb = site.url(&format!("/v1/machines/{}/commission", agent.id));
    let refused = site
        .client(None, None)
        .post(verb)
        .bearer_auth(&reader)
        .send()
        .await
        .unwrap();
    let status = refused.status();
    let text = refused.text().await.unwrap();
    assert!(
        status == 403 && text.contains("read-only") && text.contains("grafana"),
        "{status} {text}"
    );

    let events = site
        .client(None, None)
        .get(site.url("/v1/events"))
        .bearer_auth(&reader);
    let mut events = events.send().await.unwrap();
    tokens::revoke(&site.config, "grafana").await.unwrap();
    assert_eq!(get(&site, &reader, "/v1/machines").await, 401);
    let ended = tokio::time::timeout(std::time::Duration::from_secs(20), async {
        while events.chunk().await.unwrap().is_some() {}
    });
    ended.await.expect("the stream of a revoked token ends");
    let again = tokens::revoke(&site.config, "grafana")
        .await
        .unwrap_err()
        .to_string();
    assert!(again.contains("token list"), "{again}");

    let terms = TokenTerms {
        read_only: false,
        days: Some(1),
    };
    let short = tokens::create(&site.config, "short", terms).await.unwrap();
    assert_eq!(get(&site, &short, "/v1/machines").await, 200);
    // Far more than a day later, whatever this host's clock says.
    site.pass(200 * 365 * 86_400);
    assert_eq!(get(&site, &short, "/v1/machines").await, 401);
    let listed = tokens::list(&site.config).await.unwrap();
    let text = inventory::tokens::table(&listed, inventory_api::UnixMs(i64::MAX / 2));
    for row in ["admin", "grafana", "revoked", "expired", "read"] {
        assert!(text.contains(row), "{row}: {text}");
    }
}

#[tokio::test]
async fn a_data_directory_that_others_may_write_to_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut site = Site::new().await;
    site.stop().await.unwrap();
    let data = &site.config.data_dir;
    let mode = |mode| std::fs::set_permissions(data, std::fs::Permissions::from_mode(mode)).unwrap();
    for open in [0o770, 0o707, 0o777] {
        mode(open);
        let error = inventory::app::App::bind(site.config.clone())
            .await
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("chmod go-w"), "{error}");
    }
    mode(0o700);
    // A planted link is not followed.
    let target = site.data().join("precious");
    std::fs::write(&target, "kept").unwrap();
    std::fs::remove_file(data.join("lock")).unwrap();
    std::os::unix::fs::symlink(&target, data.join("lock")).unwrap();
    assert!(inventory::app::App::bind(site.config.clone()).await.is_err());
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "kept");
}

#[tokio::test]
async fn a_slow_body_ends_and_a_report_of_many_megabytes_is_refused() {
    let site = Site::new().await;
    let agent = site.boot(NIC).await;
    let bomb = format!(r#"{{"disks":[{}]}}"#, vec!["{}"; 400_000].join(","));
    let response = site
        .client(Some(&agent.identity), None)
        .post(site.url("/agent/v1/report"))
        .header("content-type", "application/json")
        .body(bomb)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 413);
}

#[tokio::test]
async fn lists_come_page_by_page_and_a_bad_token_says_what_to_do() {
    let site = Site::new().await;
    for n in 1..=3 {
        site.script(inventory_api::Mac([2, 9, 0, 0, 0, n]), HOME).await;
        site.pass(1);
    }
    let ask = async |path: &str| site.user::<Page<MachineSummary>>(Method::GET, path, None).await;
    let whole = ask("/v1/machines").await.unwrap();
    assert_eq!((whole.items.len(), whole.next_page), (3, None));
    assert_eq!(
        whole.items[0].macs,
        [inventory_api::Mac([2, 9, 0, 0, 0, 3])],
        "newest first"
    );

    let two = format!("/v1/machines?limit=2&state={}", whole.items[0].status.state);
    let first = ask(&two).await.unwrap();
    let token = first.next_page.expect("one is left");
    let rest = ask(&format!("{two}&page_token={token}")).await.unwrap();
    assert_eq!(rest.next_page, None);
    let paged: Vec<_> = first.items.into_iter().chain(rest.items).collect();
    assert_eq!(paged, whole.items);

    let other_filter = format!("/v1/machines?limit=2&page_token={token}");
    let long = format!("/v1/machines?page_token={}", "00".repeat(500));
    let other_list = format!("/v1/images?page_token={token}");
    for path in [&other_filter, &long, &other_list, "/v1/machines?page_token=x"] {
        let refused = site
            .user::<serde_json::Value>(Method::GET, path, None)
            .await
            .unwrap_err();
        assert_eq!(
            (refused.status, refused.code.as_str()),
            (400, "bad-page-token"),
            "{path}"
        );
        assert!(refused.detail.contains("next_page"), "{}", refused.detail);
    }
    for path in [
        "/v1/machines?limit=0",
        "/v1/images?limit=1001",
        "/v1/orders?limit=x",
    ] {
        let refused = site
            .user::<serde_json::Value>(Method::GET, path, None)
            .await
            .unwrap_err();
        assert_eq!(
            (refused.status, refused.code.as_str()),
            (400, "bad-query"),
            "{path}"
        );
    }

    let path = format!("/v1/machines/{}/history", whole.items[0].id);
    let ask = async |query: &str| {
        let path = format!("{path}?limit=1{query}");
        site.user::<Page<HistoryEntry>>(Method::GET, &path, None)
            .await
            .unwrap()
    };
    let newest = ask("").await;
    let older = ask(&format!(
        "&page_token={}",
        newest.next_page.expect("an older row")
    ))
    .await;
    assert_eq!(newest.items[0].seq, older.items[0].seq + 1);

    let orders = "order,item,count,profile\nPO-1,10,1,web\nPO-2,10,1,web\n";
    let imported = site
        .client(None, None)
        .post(site.url("/v1/orders"))
        .bearer_auth(&site.token)
        .header("content-type", "text/csv")
        .body(orders)
        .send()
        .await
        .unwrap();
    assert_eq!(imported.status(), 200);
    let ask = async |query: &str| {
        let path = format!("/v1/orders?limit=1{query}");
        site.user::<Page<serde_json::Value>>(Method::GET, &path, None)
            .await
            .unwrap()
    };
    let first = ask("").await;
    let last = ask(&format!(
        "&page_token={}",
        first.next_page.expect("a second order")
    ))
    .await;
    assert_eq!(
        (&first.items[0]["number"], &last.items[0]["number"]),
        (&"PO-1".into(), &"PO-2".into())
    );
    assert_eq!(last.next_page, None);
}
