//! The server with its boot service: a script over HTTP, and the claim with the ticket in it.

use config::Config;
use inventory_api::agent::RunsOn;
use inventory_api::boot::BootArgs;
use inventory_api::machine::{Journey, Verb};
use inventory_api::network::ReserveAddress;
use inventory_api::routes;
use netboot::{Mode, Network, NetworkSettings, PoolRange};

use crate::harness::{Key, NIC, Site};
use crate::pages::Browser;

/// A server with one network and its boot service, on loopback.
pub async fn networked(change: impl FnOnce(&mut Config)) -> (Site, tempfile::TempDir) {
    let files = tempfile::tempdir().unwrap();
    for name in ["undionly.kpxe", "snponly.efi", "kernel", "initramfs"] {
        std::fs::write(files.path().join(name), name).unwrap();
    }
    let site = Site::with(|config| {
        let mut settings = NetworkSettings::new(
            "lab",
            "127.0.0.1".parse().unwrap(),
            "127.0.0.0/8".parse().unwrap(),
        );
        settings.mode = Mode::Server;
        settings.pools = vec![PoolRange {
            first: "127.1.0.1".parse().unwrap(),
            last: "127.1.0.9".parse().unwrap(),
        }];
        config.networks = vec![Network::new(settings).unwrap()];
        config.boot.simulated = true;
        (
            config.boot.http_port,
            config.boot.tftp_port,
            config.boot.dhcp_port,
        ) = (0, 0, 0);
        config.boot.loaders = Some(files.path().to_owned());
        config.mini_os.dir = files.path().to_owned();
        change(config);
    })
    .await;
    (site, files)
}

async fn reserve(site: &Site, mac: &str, address: &str) {
    let address = address.parse().unwrap();
    site.send(routes::RESERVE, ["lab", mac], &ReserveAddress { address })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_retired_machine_keeps_no_address() {
    let (site, _files) = networked(|_| {}).await;
    let agent = site.boot(NIC).await;
    agent.report(&site, RunsOn::MiniOs).await.unwrap();
    let other = "02:00:00:00:99:99";
    for (mac, address) in [(NIC.to_string().as_str(), "127.1.0.5"), (other, "127.1.0.6")] {
        reserve(&site, mac, address).await;
    }
    // The page shows the reservations and removes one.
    let browser = Browser::open(&site).await;
    let page = browser.page(&site, "/networks").await;
    assert!(page.contains("127.1.0.5") && page.contains("127.1.0.6"), "{page}");
    let third = "02:00:00:00:99:98";
    reserve(&site, third, "127.1.0.7").await;
    let (status, _) = browser
        .submit(&site, &format!("/networks/lab/reservations/{third}"), &[])
        .await;
    assert!(status.is_redirection(), "{status}");
    let (status, text) = browser
        .submit(&site, "/networks/lab/quarantine/127.1.0.9", &[])
        .await;
    assert!(
        status == 409 && text.contains("127.1.0.9 is not quarantined"),
        "{status} {text}"
    );

    site.verb(&agent.id, Verb::Retire).await.unwrap();
    let networks = site.list(routes::NETWORKS, []).await.unwrap();
    let kept: Vec<_> = networks[0]
        .reservations
        .iter()
        .map(|r| r.mac.to_string())
        .collect();
    assert_eq!(kept, [other], "its own has ended, another's has not");
}

#[tokio::test]
async fn a_script_over_http_leads_to_a_claim_and_a_stop_ends_all_of_it() {
    let (mut site, _files) = networked(|_| {}).await;
    let base = format!("http://{}", site.running().bound().networks[0].http);
    let plain = reqwest::Client::new();
    let get = async |path: &str| {
        plain
            .get(format!("{base}{path}"))
            .send()
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap()
    };
    let script = String::from_utf8(get(&format!("/boot.ipxe?mac={NIC}")).await.to_vec()).unwrap();
    let args = BootArgs::parse(&script).unwrap_or_else(|e| panic!("{e} in {script}"));
    assert_eq!(
        (args.server.clone(), args.boot_url.clone()),
        (site.url(""), base.clone())
    );
    let archive = get("/boot/site").await;
    let ca = site.running().bound().ca_pem.clone();
    assert!(archive.windows(ca.len()).any(|w| w == ca.as_bytes()));

    let agent = site.claim(&args, &Key::new(), None).await.unwrap();
    agent.report(&site, RunsOn::MiniOs).await.unwrap();
    let journey: Journey = site.ask(routes::JOURNEY, [&NIC.to_string()]).await.unwrap();
    assert!(!journey.events.is_empty());
    assert_eq!(journey.machine.map(|m| m.status.state), Some("ready".into()));

    let stopped = tokio::time::timeout(std::time::Duration::from_secs(20), site.stop()).await;
    stopped.expect("waited 20 s for the server to end").unwrap();
}
