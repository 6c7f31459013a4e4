//! The server in process, on loopback, for simulated machines.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use config::Config;
use inventory::app::{App, Running};
use inventory_api::Sha256Digest;
use inventory_api::image::{BootFiles, ImageManifest};
use inventory_api::report::FirmwareMode;
use lifecycle::policy::Deploys;
use lifecycle::{Policy, Rule, RuleAction, RuleMatch};
use netboot::{Mode, Network, NetworkSettings, PoolRange};
use sha2::{Digest, Sha256};

use super::machine::BootService;
use crate::api::Api;
use crate::artefacts::run_directory;
use crate::scenario::{PROFILE, profile};

/// The image that simulated machines get.
pub const IMAGE: &str = "sim";

/// A server with everything it needs, in a temporary directory. It can be killed and restarted.
pub struct Rig {
    directory: tempfile::TempDir,
    config: Config,
    running: Option<Running>,
    token: String,
    ca_pem: String,
    service: BootService,
}

impl Rig {
    /// Starts a server whose policy gives the lab's profile to every machine of maker "Slipway".
    ///
    /// `image_bytes` is the size of the image; `change` may change the configuration.
    pub async fn start(image_bytes: usize, change: impl FnOnce(&mut Config)) -> Result<Rig> {
        let directory = run_directory("sim")?;
        let path = directory.path();
        std::fs::create_dir(path.join("loaders"))?;
        for name in ["undionly.kpxe", "snponly.efi"] {
            std::fs::write(path.join("loaders").join(name), bytes_of(name.len(), 70_123))?;
        }
        std::fs::create_dir(path.join("mini-os"))?;
        std::fs::write(path.join("mini-os/kernel"), bytes_of(1, 80_000))?;
        std::fs::write(path.join("mini-os/initramfs"), bytes_of(2, 200_000))?;
        make_image(&path.join("images").join(format!("{IMAGE}-1")), image_bytes)?;

        let mut config = Config::new(path.join("data"));
        let here = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        // Ports below the range for outgoing connections, so that a restarted server finds them free.
        let [api, http, tftp, dhcp] = free_ports()?;
        config.api.listen = here(api);
        config.boot.http_port = http;
        config.boot.tftp_port = tftp;
        config.boot.dhcp_port = dhcp;
        config.boot.loaders = Some(path.join("loaders"));
        config.boot.simulated = true;
        config.boot.enrolments_per_minute = 10_000;
        // Simulated agents ask every five seconds, and half a second after a lost answer.
        config.boot.silence_seconds = 7;
        config.mini_os.dir = path.join("mini-os");
        config.images_dir = path.join("images");
        let mut settings = NetworkSettings::new("lab", Ipv4Addr::LOCALHOST, "127.0.0.0/8".parse()?);
        settings.mode = Mode::Server;
        settings.pools = vec![PoolRange {
            first: Ipv4Addr::new(127, 1, 0, 10),
            last: Ipv4Addr::new(127, 1, 7, 250),
        }];
        config.networks = vec![Network::new(settings)?];
        config.profiles.insert(PROFILE.to_owned(), profile(IMAGE));
        config.policy = Policy {
            rules: vec![Rule {
                name: "simulated".to_owned(),
                matches: RuleMatch {
                    manufacturer: Some("Slipway".to_owned()),
                    ..RuleMatch::default()
                },
                action: RuleAction::Deploy,
                profile: Some(PROFILE.to_owned()),
                kernel_args: Vec::new(),
            }],
            // Hundreds of machines that are in no rack plan.
            deploy: Deploys::AnyMachineThatSaysSo,
            ..Policy::default()
        };
        change(&mut config);
        let mut rig = Rig {
            directory,
            config,
            running: None,
            token: String::new(),
            ca_pem: String::new(),
            service: BootService {
                dhcp: here(dhcp),
                tftp: here(tftp),
                http: here(http),
            },
        };
        rig.power_on().await?;
        Ok(rig)
    }

    /// Restarts the server on what it left behind.
    pub async fn power_on(&mut self) -> Result<()> {
        // The tasks of a killed server release its lock and its ports a moment later.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        let running = loop {
            match App::start(self.config.clone()).await {
                Ok(running) => break running,
                Err(error) if std::time::Instant::now() > deadline => {
                    return Err(error).context("starting the server for 10 s");
                }
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            }
        };
        let bound = running.bound();
        if let Some(token) = &bound.first_token {
            self.token.clone_from(token);
        }
        self.ca_pem.clone_from(&bound.ca_pem);
        if let Some(network) = bound.networks.first() {
            self.service = BootService {
                dhcp: network.dhcp,
                tftp: network.tftp,
                http: network.http,
            };
        }
        self.running = Some(running);
        Ok(())
    }

    /// Ends the server as SIGKILL would: nothing is finished or flushed.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// The addresses of the boot service.
    pub fn service(&self) -> BootService {
        self.service
    }

    /// A directory for a test's files.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn image_file(&self) -> PathBuf {
        self.directory
            .path()
            .join("images")
            .join(format!("{IMAGE}-1"))
            .join("sim.ext4.zst")
    }

    /// Base URL of the TLS port.
    pub fn url(&self) -> String {
        format!("https://{}", self.config.api.listen)
    }

    /// The certificate of the server's authority.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// A signed-in client.
    pub fn api(&self) -> Result<Api> {
        Api::new(&self.url(), &self.config.data_dir.join("ca/ca.pem"), &self.token)
    }
}

/// Incompressible bytes that depend on `seed`.
pub fn bytes_of(seed: usize, len: usize) -> Vec<u8> {
    let mut state = seed as u64 ^ 0x9e37_79b9_7f4a_7c15;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// The image's content.
pub fn content(len: usize) -> Vec<u8> {
    bytes_of(3, len)
}

/// Writes a public image of `bytes` bytes and its manifest into `dir`.
pub fn make_image(dir: &Path, bytes: usize) -> Result<()> {
    std::fs::create_dir_all(dir)?;
    let content = content(bytes);
    let compressed = zstd::encode_all(&content[..], 1)?;
    let digest = |bytes: &[u8]| Sha256Digest(Sha256::digest(bytes).into());
    let manifest = ImageManifest {
        name: IMAGE.to_owned(),
        version: "1".to_owned(),
        os: "Simulated system".to_owned(),
        architecture: "x86_64".to_owned(),
        file: "sim.ext4.zst".to_owned(),
        sha256: digest(&compressed),
        compressed_bytes: compressed.len() as u64,
        content_sha256: digest(&content),
        content_bytes: content.len() as u64,
        boot: BootFiles {
            kernel_release: "6.1.0-sim".to_owned(),
            kernel: "/vmlinuz".to_owned(),
            initrd: "/initrd.img".to_owned(),
            firmware: vec![FirmwareMode::Bios, FirmwareMode::Uefi],
        },
        built_at: inventory_api::UnixMs(1_700_000_000_000),
        public: true,
        recipe_sha256: None,
    };
    std::fs::write(dir.join("sim.ext4.zst"), &compressed)?;
    std::fs::write(dir.join("manifest.json"), serde_json::to_vec_pretty(&manifest)?)?;
    Ok(())
}

fn free_ports() -> Result<[u16; 4]> {
    let mut found = Vec::new();
    let mut port = 10_000 + (std::process::id() as u16 % 2_000) * 10;
    while found.len() < 4 {
        port = if port > 31_000 { 10_000 } else { port + 1 };
        let at = (Ipv4Addr::LOCALHOST, port);
        if std::net::TcpListener::bind(at).is_ok() && std::net::UdpSocket::bind(at).is_ok() {
            found.push(port);
        }
    }
    found.try_into().map_err(|_| anyhow::anyhow!("no free ports"))
}
