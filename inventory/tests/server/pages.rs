//! The pages of a delivery whose machines have reported, as a browser gets them.

use inventory_api::agent::RunsOn;
use inventory_api::check::{HardwareProfile, Verdict};
use inventory_api::import::GoldenProfile;
use inventory_api::routes;
use reqwest::{Method, StatusCode};

use crate::delivery::send;
use crate::harness::Site;
use crate::rack::{Rack, module, nic, server};

/// A signed-in browser.
pub struct Browser {
    http: reqwest::Client,
    cookie: String,
}

impl Browser {
    pub async fn open(site: &Site) -> Browser {
        let ca = reqwest::Certificate::from_pem(site.running().bound().ca_pem.as_bytes()).unwrap();
        let http = reqwest::Client::builder()
            .tls_certs_only([ca])
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let mut browser = Browser {
            http,
            cookie: String::new(),
        };
        let form = [("token", site.token.as_str()), ("next", "/machines")];
        let response = browser.send(site, Method::POST, "/sign-in", Some(&form)).await;
        let cookie = response.headers().get("set-cookie").expect("a session");
        browser.cookie = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
        browser
    }

    async fn send(
        &self,
        site: &Site,
        method: Method,
        path: &str,
        form: Option<&[(&str, &str)]>,
    ) -> reqwest::Response {
        let mut request = self
            .http
            .request(method, site.url(path))
            .header("origin", site.url(""))
            .header("cookie", &self.cookie);
        if let Some(form) = form {
            let body: Vec<String> = form.iter().map(|(k, v)| format!("{k}={}", percent(v))).collect();
            request = request
                .header("content-type", "application/x-www-form-urlencoded")
                .body(body.join("&"));
        }
        request.send().await.unwrap()
    }

    /// Status and body, whatever the status.
    pub async fn ask(&self, site: &Site, path: &str) -> (StatusCode, String) {
        let response = self.send(site, Method::GET, path, None).await;
        (response.status(), response.text().await.unwrap())
    }

    pub async fn page(&self, site: &Site, path: &str) -> String {
        let (status, text) = self.ask(site, path).await;
        assert!(status.is_success(), "{path}: {status}: {text}");
        text
    }

    pub async fn submit(&self, site: &Site, path: &str, form: &[(&str, &str)]) -> (StatusCode, String) {
        let response = self.send(site, Method::POST, path, Some(form)).await;
        (response.status(), response.text().await.unwrap())
    }
}

fn percent(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02X}")).collect()
}

/// The text of a page without tags; each run of white space becomes one space.
pub fn words(page: &str) -> String {
    let mut text = String::new();
    for part in page.split('<') {
        text.push(' ');
        text.push_str(part.split_once('>').map_or(part, |(_, rest)| rest));
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn has(page: &str, parts: &[&str]) {
    let text = words(page);
    for part in parts {
        assert!(
            page.contains(part) || text.contains(part),
            "{part:?} is not in\n{text}"
        );
    }
}

fn known_classes(path: &str, page: &str, css: &str) {
    let lists = page
        .split("class=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next());
    // Marker classes that need no style.
    let bare = ["page", "sl-machines", "sl-finding", "sl-task", "sl-phone-task"];
    for class in lists
        .flat_map(str::split_whitespace)
        .filter(|c| !bare.contains(c))
    {
        assert!(
            css.contains(&format!(".{class}")),
            "{path}: no style sheet knows {class}"
        );
    }
}

#[tokio::test]
async fn a_delivery_is_seen_on_every_page() {
    let site = Site::new().await;
    let rack = Rack::fill(&site).await;
    let browser = Browser::open(&site).await;

    // The order: what needs work comes first.
    let order = browser.page(&site, "/orders/PO-7").await;
    has(
        &order,
        &[
            "6 ordered",
            "Web servers row 7",
            "5 of 6",
            "/racks/R1/A07",
            "/hardware-profiles/web-r650",
            "SRV-0006",
            "DIMM A2: ordered 32 GiB Micron MTA36ASF4G72PZ, slot is empty",
        ],
    );
    let at = |text: &str| order.find(text).unwrap_or_else(|| panic!("{text}"));
    assert!(at(">SRV-0002<") < at(">SRV-0006<") && at(">SRV-0006<") < at(">SRV-0001<"));
    has(&browser.page(&site, "/orders").await, &["PO-7", "5 of 6"]);

    // The rack, unit by unit, with the missing machine.
    let page = browser.page(&site, "/racks/R1/A07").await;
    has(
        &page,
        &[
            "15 SRV-0006",
            "Missing",
            "11 SRV-0002",
            "slot is empty",
            "10 SRV-0001",
            "9",
            "1",
        ],
    );
    assert!(page.contains(&format!("/machines/{}", rack.id(2))));

    // The phone page: what to do and where.
    let phone = browser.page(&site, "/p/srv-0002").await;
    has(
        &phone,
        &[
            "FAIL",
            "SRV-0002",
            "R1 A07 unit 11",
            "href=\"/racks/R1/A07\"",
            "DIMM A2",
            "ordered 32 GiB Micron MTA36ASF4G72PZ, slot is empty",
            "Check again",
            "Mark as fixed",
            "Locate LED",
        ],
    );
    // Found by asset tag too; this machine is as ordered.
    has(
        &browser.page(&site, "/p/DC-47111").await,
        &["PASS", "SRV-0001", "As ordered."],
    );
    let (status, missing) = browser.ask(&site, "/p/SRV-0006").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    has(
        &missing,
        &["SRV-0006 has not reported yet", "R1 A07 unit 15", "/racks/R1/A07"],
    );

    // The part moved from the machine that now lacks it to the one that has it.
    let serial = module(2, "A2");
    let part = browser.page(&site, &format!("/parts/{serial}")).await;
    has(
        &part,
        &[
            "Micron MTA36ASF4G72PZ",
            rack.id(2).as_str(),
            rack.id(3).as_str(),
            "A2",
        ],
    );
    assert!(
        !part.contains("at the same time"),
        "it moved, it is not in two machines"
    );
    let (_, part) = browser.ask(&site, &format!("/p/{serial}")).await;
    has(&part, &["is a part, not a machine", &format!("/parts/{serial}")]);
    let (status, both) = browser.ask(&site, "/p/SRV-0005").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    has(&both, &["2 machines reported SRV-0005", "/machines?q=SRV-0005"]);

    // The profile: its machines, and the outlier although no rule covers the difference.
    let profile = browser.page(&site, "/hardware-profiles/web-r650").await;
    has(
        &profile,
        &[
            "microcode",
            "0xd000331",
            "0xd0003b9",
            rack.id(4).as_str(),
            "memory.dimms[1].slot",
        ],
    );

    // The list marks the two machines that claim one identity, and no other.
    let list = browser.page(&site, "/machines").await;
    assert_eq!(list.matches("/conflict\"").count(), 2, "{}", words(&list));
    for n in [5, 6] {
        assert!(list.contains(&format!("/machines/{}/conflict", rack.id(n))));
    }
    assert_eq!(list.matches("not as ordered").count(), 1, "{}", words(&list));
    let only = browser.page(&site, "/machines?state=conflict").await;
    assert_eq!(only.matches("<tr id=\"row-").count(), 2);
    let all = site.list(routes::MACHINES, []).await.unwrap();
    let failing: Vec<_> = all.iter().filter(|m| m.verdict == Some(Verdict::Fail)).collect();
    assert_eq!(failing.iter().map(|m| &m.id).collect::<Vec<_>>(), [rack.id(2)]);
    // A ready machine with wrong hardware must not look healthy.
    let machine = browser.page(&site, &format!("/machines/{}", rack.id(2))).await;
    has(
        &machine,
        &[
            "Ready",
            "status status-red",
            "Hardware not as expected",
            "/orders/PO-7",
            "/racks/R1/A07",
        ],
    );
    let marked = all.iter().filter(|m| !m.conflicts_with.is_empty());
    assert_eq!(marked.count(), 2);
}

/// A page says how long ago something was by the server's clock, which a test can move.
#[tokio::test]
async fn pages_tell_the_time_by_the_clock_of_the_service() {
    let site = Site::new().await;
    let agent = site.boot(nic(1)).await;
    send(&site, &agent, &server(1), RunsOn::MiniOs).await;
    site.pass(7200);
    let browser = Browser::open(&site).await;
    let stamp = format!("name=\"server-time\" content=\"{}\"", site.core().clock.now().0);
    has(&browser.page(&site, "/machines").await, &["2 h ago", &stamp]);
    let phone = browser.page(&site, &format!("/p/{}", agent.id)).await;
    has(&phone, &["reported 2 h ago"]);
}

#[tokio::test]
async fn a_file_is_taken_in_on_a_page_whole_or_not_at_all() {
    let site = Site::new().await;
    let browser = Browser::open(&site).await;
    has(
        &browser.page(&site, "/import").await,
        &["Rack plan", "whole or not at all"],
    );
    let bad = "order,item,count,profile\nPO-1,10,4,web\nPO-2,10,many,<b>web</b>\n";
    let form = |kind, text| [("kind", kind), ("text", text)];
    let (status, page) = browser.submit(&site, "/import", &form("orders", bad)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    has(
        &page,
        &[
            "Nothing was imported",
            "line 3, column 3 (count)",
            "PO-1,10,4,web",
        ],
    );
    assert!(!page.contains("<b>web"), "{page}");
    let css = browser.page(&site, "/static/tabler.css").await + &browser.page(&site, "/static/app.css").await;
    known_classes("/import, refused", &page, &css);
    let orders = site.list(routes::ORDERS, []).await.unwrap();
    assert!(orders.is_empty(), "nothing of a bad file is taken");

    // The corrected file, with tabs and CR LF as copied from a spreadsheet.
    let good = "order\titem\tcount\tprofile\r\nPO-1\t10\t4\tweb\r\nPO-2\t10\t2\tweb\r\n";
    let (status, page) = browser.submit(&site, "/import", &form("orders", good)).await;
    assert_eq!(status, StatusCode::OK);
    has(
        &page,
        &[
            "Orders: 2 added, 0 changed, 0 unchanged",
            "PO-2 (new)",
            "not known yet",
            "href=\"/orders\"",
        ],
    );
    let json = r#" [{"name": "web", "memory": {"modules": 2}}]"#;
    let (status, page) = browser.submit(&site, "/import", &form("profiles", json)).await;
    assert_eq!(status, StatusCode::OK, "{}", words(&page));
    has(&browser.page(&site, "/hardware-profiles").await, &["web"]);
    // A rack plan larger than the limit for other forms.
    let mut racks = "room,rack,unit,serial\n".to_owned();
    for n in 0..3000 {
        racks += &format!("R1,A{},{},SRV-{n:05}\n", n / 40, n % 40 + 1);
    }
    let (status, page) = browser.submit(&site, "/import", &form("racks", &racks)).await;
    assert_eq!(status, StatusCode::OK, "{:.2000}", words(&page));
    has(&page, &["Racks: 3000 added"]);
    let (status, page) = browser.submit(&site, "/import", &form("cables", good)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    has(&page, &["Choose what the file contains"]);
}

/// The view models have a similar test with made-up machines; this one covers the pages that need a whole
/// rack.
#[tokio::test]
async fn every_class_of_the_pages_of_a_delivery_is_in_a_style_sheet_and_nothing_is_inline() {
    let site = Site::new().await;
    let rack = Rack::fill(&site).await;
    let browser = Browser::open(&site).await;
    let css = browser.page(&site, "/static/tabler.css").await + &browser.page(&site, "/static/app.css").await;
    let module = module(2, "A2");
    for path in [
        "/machines".to_owned(),
        format!("/machines/{}", rack.id(2)),
        format!("/machines/{}/hardware", rack.id(2)),
        format!("/machines/{}/conflict", rack.id(5)),
        "/orders".to_owned(),
        "/orders/PO-7".to_owned(),
        "/racks".to_owned(),
        "/racks/R1/A07".to_owned(),
        "/hardware-profiles".to_owned(),
        "/hardware-profiles/web-r650".to_owned(),
        format!("/parts/{module}"),
        "/p".to_owned(),
        "/p/SRV-0002".to_owned(),
        "/p/SRV-0006".to_owned(),
        "/import".to_owned(),
    ] {
        let (_, page) = browser.ask(&site, &path).await;
        known_classes(&path, &page, &css);
        for wrong in [
            " style=",
            "<style",
            "<script>",
            " onclick=",
            "javascript:",
            "http://",
        ] {
            assert!(!page.contains(wrong), "{path} has {wrong}");
        }
    }
}

/// Case 03 through API and page: both refuse to make a profile from an unhealthy machine, name the problem,
/// and do it when told to.
#[tokio::test]
async fn a_sick_machine_makes_a_profile_only_when_told() {
    let site = Site::new().await;
    let agent = site.boot(nic(1)).await;
    let mut sick = server(1);
    let health = sick.disks[0].health.get_or_insert_default();
    health.pending_sectors = Some(24);
    send(&site, &agent, &sick, RunsOn::MiniOs).await;
    let make = async |name: &str, accept_unhealthy| {
        let name = name.to_owned();
        let body = GoldenProfile {
            name,
            accept_unhealthy,
        };
        site.send(routes::GOLDEN, [agent.id.as_str()], &body).await
    };

    let refused = make("web", false).await.unwrap_err();
    assert_eq!((refused.status, refused.code.as_str()), (409, "unhealthy"));
    for part in ["24", "accept_unhealthy", "--accept-unhealthy"] {
        assert!(refused.detail.contains(part), "{part}: {}", refused.detail);
    }
    let browser = Browser::open(&site).await;
    let form = format!("/machines/{}/task/golden", agent.id);
    let (status, page) = browser.submit(&site, &form, &[("text", "web")]).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(words(&page).contains("This machine is not healthy"), "{page}");
    let none = site.ask(routes::HARDWARE_PROFILE, ["web"]).await;
    assert_eq!(none.unwrap_err().status, 404);

    let (status, _) = browser
        .submit(&site, &form, &[("text", "web"), ("accept", "yes")])
        .await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let made = make("web-2", true).await.unwrap();
    assert_eq!(made.added, 1);
    // The health rules stay on: the machine does not pass its own profile.
    let profile: HardwareProfile = site.ask(routes::HARDWARE_PROFILE, ["web"]).await.unwrap();
    let result = lifecycle::check(&profile.into(), &sick, RunsOn::MiniOs);
    assert!(
        result.findings.iter().any(|f| f.sentence.contains("24")),
        "{:#?}",
        result.findings
    );
}
