//! A server on port 0 with a clock that the test moves, and the client side of an agent.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use config::Config;
use inventory::app::{App, Running};
use inventory_api::agent::{
    Assignment, AssignmentResponse, ClaimRequest, ClaimResponse, Permission, ReportRequest, ReportResponse,
    RunsOn, StepOutcome, StepReport, Verification, VerifiedItem,
};
use inventory_api::boot::BootArgs;
use inventory_api::image::ImageManifest;
use inventory_api::machine::{HistoryEntry, MachineDetail, MachineStatus, Verb, VerbResponse};
use inventory_api::page::Page;
use inventory_api::plan::InstallPlan;
use inventory_api::report::{AssetReport, DiskFacts, FirmwareMode, NicFacts, SystemFacts};
use inventory_api::routes::{self, Route};
use inventory_api::{Mac, MachineId, Problem, Sha256Digest, UnixMs};
use inventory_client::ClientError;
use netboot::{BootClient, BootInstruction, BootSource as _};
use reqwest::{Client, Method, StatusCode};
use service::boot::Boot;
use service::core::{Clock, Core};
use sha2::{Digest as _, Sha256};

pub const NIC: Mac = Mac([2, 0, 0, 0, 0, 1]);
pub const HOME: Ipv4Addr = Ipv4Addr::LOCALHOST;
const START: i64 = 1_795_000_000_000;

/// A data directory with an image, and the server that uses it.
pub struct Site {
    dir: tempfile::TempDir,
    pub config: Config,
    now: Arc<AtomicI64>,
    running: Option<Running>,
    pub token: String,
}

impl Site {
    pub async fn new() -> Site {
        Site::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Config)) -> Site {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::new(dir.path().join("data"));
        config.api.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        config.images_dir = dir.path().join("images");
        change(&mut config);
        write_image(&config.images_dir.join("debian-12-1"));
        let mut site = Site {
            dir,
            config,
            now: Arc::new(AtomicI64::new(START)),
            running: None,
            token: String::new(),
        };
        site.token = site.open().await.expect("the first start makes a token");
        site
    }

    async fn open(&mut self) -> Option<String> {
        let now = self.now.clone();
        let clock = Clock::new(move || UnixMs(now.load(Ordering::SeqCst)));
        let app = App::bind_with(self.config.clone(), clock).await.unwrap();
        let token = app.bound().first_token.clone();
        self.running = Some(app.spawn());
        token
    }

    /// Kills the server as far as possible in one process (its tasks are aborted, nothing is flushed) and
    /// starts it again.
    pub async fn restart(&mut self) {
        drop(self.running.take());
        assert_eq!(self.open().await, None, "only the first start makes a token");
    }

    pub async fn stop(&mut self) -> Result<(), inventory::error::AppError> {
        self.running.take().unwrap().stop().await
    }

    pub fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    pub fn core(&self) -> Arc<Core> {
        self.running().service().core().clone()
    }

    pub fn data(&self) -> &Path {
        self.dir.path()
    }

    pub fn pass(&self, seconds: i64) {
        self.now.fetch_add(seconds * 1000, Ordering::SeqCst);
        self.core().memory.deadlines.notify_one();
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.running().bound().api.port())
    }

    pub fn client(&self, identity: Option<&str>, from: Option<Ipv4Addr>) -> Client {
        let ca = reqwest::Certificate::from_pem(self.running().bound().ca_pem.as_bytes()).unwrap();
        let mut builder = Client::builder()
            .tls_certs_only([ca])
            .timeout(Duration::from_secs(30));
        if let Some(pem) = identity {
            builder = builder.identity(reqwest::Identity::from_pem(pem.as_bytes()).unwrap());
        }
        builder.local_address(from.map(IpAddr::V4)).build().unwrap()
    }

    /// The script order that the boot service would get for this machine; it must match its boot target.
    pub async fn script(&self, mac: Mac, ip: Ipv4Addr) -> BootInstruction {
        let boot = Boot::new(self.core(), self.running().bound().api.port(), HashMap::new());
        let client = BootClient {
            mac,
            ip: Some(ip),
            network: "lab".into(),
            server: Ipv4Addr::LOCALHOST,
            firmware_asked: Some(self.core().clock.now()),
        };
        let target = boot.target(&client).await;
        let order = boot.script(&client).await;
        match (&target, &order) {
            (inventory_api::boot::BootTarget::MiniOs { .. }, BootInstruction::MiniOs(_))
            | (inventory_api::boot::BootTarget::LocalDisk, BootInstruction::LocalDisk)
            | (inventory_api::boot::BootTarget::Ignore, BootInstruction::Ignore) => {}
            _ => panic!("DHCP was told {target:?}, the script is {order:?}"),
        }
        order
    }

    /// Boots the mini-os: fetches the script and claims its ticket.
    pub async fn boot(&self, mac: Mac) -> Agent {
        let args = self.ticket(mac, HOME).await;
        self.claim(&args, &Key::new(), None).await.unwrap()
    }

    pub async fn ticket(&self, mac: Mac, ip: Ipv4Addr) -> BootArgs {
        match self.script(mac, ip).await {
            BootInstruction::MiniOs(args) => *args,
            other => panic!("no mini-os to boot: {other:?}"),
        }
    }

    pub async fn claim(&self, args: &BootArgs, key: &Key, from: Option<Ipv4Addr>) -> Result<Agent, Problem> {
        let request = ClaimRequest {
            ticket: args.ticket.clone(),
            csr_pem: key.csr(),
            boot_mac: args.mac,
            agent_version: "test".into(),
        };
        let response = self
            .client(None, from)
            .post(self.url("/agent/v1/claim"))
            .json(&request)
            .send()
            .await
            .unwrap();
        let claimed: ClaimResponse = answer(response).await?;
        Ok(Agent {
            identity: format!("{}{}", claimed.certificate_pem, key.0.serialize_pem()),
            id: claimed.machine,
            certificate: claimed.certificate_pem,
        })
    }

    pub async fn user<T: serde::de::DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<serde_json::Value>,
    ) -> Result<T, Problem> {
        let mut request = self
            .client(None, None)
            .request(method, self.url(path))
            .bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        answer(request.send().await.unwrap()).await
    }

    /// The client that users have.
    pub fn api(&self) -> inventory_client::Client {
        inventory_client::Client::new(inventory_client::Server {
            url: Some(self.url("")),
            token: Some(self.token.clone()),
            ca: Some(self.config.data_dir.join("ca/ca.pem")),
        })
        .unwrap()
    }

    pub async fn ask<const N: usize, T: serde::de::DeserializeOwned>(
        &self,
        route: Route<N, (), T>,
        keys: [&str; N],
    ) -> Result<T, Problem> {
        self.api().ask(route, keys).await.map_err(refusal)
    }

    pub async fn send<const N: usize, B: serde::Serialize, T: serde::de::DeserializeOwned>(
        &self,
        route: Route<N, B, T>,
        keys: [&str; N],
        body: &B,
    ) -> Result<T, Problem> {
        self.api().send(route, keys, body).await.map_err(refusal)
    }

    pub async fn list<const N: usize, Q: serde::Serialize + Default, T: serde::de::DeserializeOwned>(
        &self,
        route: Route<N, Q, Page<T>>,
        keys: [&str; N],
    ) -> Result<Vec<T>, Problem> {
        self.api().list(route, keys, &Q::default()).await.map_err(refusal)
    }

    pub async fn verb(&self, id: &MachineId, verb: Verb) -> Result<VerbResponse, Problem> {
        self.api().verb(id.as_str(), verb).await.map_err(refusal)
    }

    pub async fn detail(&self, id: &MachineId) -> MachineDetail {
        self.api().machine(id.as_str()).await.unwrap()
    }

    pub async fn status(&self, id: &MachineId) -> MachineStatus {
        self.detail(id).await.machine.status
    }

    /// The whole history of a machine.
    pub async fn history(&self, id: &MachineId) -> Vec<HistoryEntry> {
        self.list(routes::HISTORY, [id.as_str()]).await.unwrap()
    }

    pub async fn phase(&self, id: &MachineId) -> String {
        self.status(id).await.words()
    }

    /// Waits until the machine is in this state/phase.
    pub async fn until(&self, id: &MachineId, wanted: &str) {
        let begin = Instant::now();
        loop {
            let phase = self.phase(id).await;
            if phase == wanted {
                return;
            }
            assert!(
                begin.elapsed() < Duration::from_secs(20),
                "waited 20 s for {wanted}, it is {phase}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn deploy(&self, id: &MachineId) -> InstallPlan {
        let deployment = serde_json::from_value(order()).unwrap();
        let deployed = self.api().deploy(id.as_str(), &deployment, false).await;
        deployed.unwrap().plan.unwrap()
    }
}

/// The server's problem.
fn refusal(error: ClientError) -> Problem {
    match error {
        ClientError::Refused(problem) => problem,
        other => panic!("{other}"),
    }
}

/// All machines of a store, most recently enrolled first.
pub async fn all_machines(store: &store::Store) -> Vec<store::MachineRow> {
    let filter = inventory_api::machine::MachineFilter::default();
    store.machine_page(&filter, None, 10_000).await.unwrap()
}

pub fn order() -> serde_json::Value {
    serde_json::json!({
        "image": "debian-12",
        "hostname": "web-{serial}",
        "accounts": [{ "name": "alice", "sudo": true, "password_hash": "$y$j9T$secret" }],
    })
}

pub struct Key(rcgen::KeyPair);

impl Key {
    pub fn new() -> Key {
        Key(rcgen::KeyPair::generate().unwrap())
    }

    fn csr(&self) -> String {
        rcgen::CertificateParams::default()
            .serialize_request(&self.0)
            .unwrap()
            .pem()
            .unwrap()
    }
}

/// The agent of a machine, with its certificate.
#[derive(Debug, Clone)]
pub struct Agent {
    pub id: MachineId,
    pub identity: String,
    pub certificate: String,
}

impl Agent {
    pub async fn post<T: serde::de::DeserializeOwned>(
        &self,
        site: &Site,
        path: &str,
        body: &impl serde::Serialize,
    ) -> Result<T, Problem> {
        let url = site.url(&format!("/agent/v1/{path}"));
        answer(
            site.client(Some(&self.identity), None)
                .post(url)
                .json(body)
                .send()
                .await
                .unwrap(),
        )
        .await
    }

    pub async fn report(&self, site: &Site, runs_on: RunsOn) -> Result<ReportResponse, Problem> {
        self.post(
            site,
            "report",
            &report(&hex::encode(rand::random::<[u8; 16]>()), runs_on),
        )
        .await
    }

    pub async fn assignment(&self, site: &Site, query: &str) -> Result<AssignmentResponse, Problem> {
        let url = site.url(&format!("/agent/v1/assignment{query}"));
        answer(
            site.client(Some(&self.identity), None)
                .get(url)
                .send()
                .await
                .unwrap(),
        )
        .await
    }

    pub async fn installs(&self, site: &Site) -> InstallPlan {
        match self.assignment(site, "").await.unwrap().assignment {
            Assignment::Install { plan } => *plan,
            other => panic!("no plan to install: {other:?}"),
        }
    }

    pub async fn step(
        &self,
        site: &Site,
        plan: &InstallPlan,
        index: usize,
        outcome: StepOutcome,
    ) -> Result<Permission, Problem> {
        let name = plan.steps.get(index).map_or("plan", |s| s.name()).to_owned();
        self.post(
            site,
            "step",
            &StepReport {
                plan: plan.id.clone(),
                index: index as u32,
                name,
                outcome,
            },
        )
        .await
    }

    pub async fn verify(&self, site: &Site, plan: &InstallPlan, ok: bool) -> Result<(), Problem> {
        let names = lifecycle::plan::verify_request(plan).item_names();
        let item = |what| VerifiedItem {
            what,
            ok,
            found: "as asked".into(),
        };
        let body = Verification {
            plan: plan.id.clone(),
            items: names.into_iter().map(item).collect(),
        };
        let url = site.url("/agent/v1/verification");
        let response = site
            .client(Some(&self.identity), None)
            .post(url)
            .json(&body)
            .send()
            .await
            .unwrap();
        if response.status() == StatusCode::NO_CONTENT {
            Ok(())
        } else {
            Err(response.json().await.unwrap())
        }
    }
}

pub async fn answer<T: serde::de::DeserializeOwned>(response: reqwest::Response) -> Result<T, Problem> {
    let status = response.status();
    let kind = response
        .headers()
        .get("content-type")
        .map(|v| v.to_str().unwrap().to_owned());
    let bytes = response.bytes().await.unwrap();
    if status.is_success() {
        return Ok(serde_json::from_slice(&bytes).unwrap());
    }
    assert_eq!(
        kind.as_deref(),
        Some("application/problem+json"),
        "{}",
        String::from_utf8_lossy(&bytes)
    );
    let problem: Problem = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(problem.status, status.as_u16());
    Err(problem)
}

pub fn report(nonce: &str, runs_on: RunsOn) -> ReportRequest {
    let report = AssetReport {
        schema: 1,
        system: Some(SystemFacts {
            manufacturer: Some("Acme".into()),
            product: Some("R1".into()),
            serial: Some("SN1".into()),
            ..SystemFacts::default()
        }),
        disks: vec![DiskFacts {
            name: "vda".into(),
            serial: Some("DISK1".into()),
            size_bytes: Some(20 << 30),
            logical_block_bytes: Some(512),
            ..DiskFacts::default()
        }],
        nics: vec![NicFacts {
            name: "eth0".into(),
            mac: Some(NIC),
            ..NicFacts::default()
        }],
        boot: inventory_api::report::BootFacts {
            mode: Some(FirmwareMode::Bios),
            boot_mac: Some(NIC),
            ..Default::default()
        },
        ..AssetReport::default()
    };
    ReportRequest {
        nonce: nonce.to_owned(),
        runs_on,
        report: Box::new(report),
    }
}

fn write_image(dir: &Path) {
    let bytes: Vec<u8> = (0..100_000u32).map(|n| (n % 251) as u8).collect();
    let digest = Sha256Digest(Sha256::digest(&bytes).into());
    let manifest = ImageManifest {
        sha256: digest,
        compressed_bytes: bytes.len() as u64,
        content_sha256: digest,
        built_at: UnixMs(1),
        public: false,
        ..inventory_api::sample::image()
    };
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join("image.zst"), bytes).unwrap();
    std::fs::write(dir.join("manifest.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
}
