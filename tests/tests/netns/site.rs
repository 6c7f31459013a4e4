//! A provisioning site: the lab, three networks, the real server with files that are quick to fetch.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::artefacts::{program, run_directory};
use e2e::sim::rig::{bytes_of, make_image};
use e2e::{Lab, Level, Server, ServerSpec};
use inventory_api::Mac;
use inventory_api::image::ImageManifest;
use inventory_api::network::NetworkStatus;

use crate::port::Port;

/// A machine with a reservation in the lab's network, and its address.
pub const RESERVED: (&str, &str) = ("02:00:00:00:00:50", "10.77.0.50");
/// A bridge that is not configured.
pub const OTHER_BRIDGE: &str = "br1";
/// The bridge of the network `small`, whose pool has two addresses.
pub const SMALL_BRIDGE: &str = "br2";
/// Debian's loader for BIOS machines.
pub const LOADER: &str = "/usr/lib/ipxe/undionly.kpxe";

/// Networks besides the lab's own (which is the last table of the configuration before these lines).
const NETWORKS: &str = r#"
[network.reservations]
"02:00:00:00:00:50" = "10.77.0.50"

[[network]]
name = "small"
server = "10.79.0.1"
subnet = "10.79.0.0/24"
mode = "server"
look_seconds = 0
pools = [{ first = "10.79.0.10", last = "10.79.0.11" }]
[network.reservations]
"02:00:00:00:00:50" = "10.79.0.50"

[[network]]
name = "far"
server = "10.77.0.1"
subnet = "10.88.0.0/24"
mode = "server"
look_seconds = 0
pools = [{ first = "10.88.0.100", last = "10.88.0.109" }]
"#;

/// The running site.
pub struct Site {
    // Dropped in this order: the process, the network, the files.
    pub server: Server,
    pub lab: Lab,
    directory: tempfile::TempDir,
}

impl Site {
    /// Starts it in a network namespace that the calling thread enters. `None`: this level cannot run here,
    /// which has been reported.
    pub async fn start() -> Result<Option<Site>> {
        Site::start_with(&[], "").await
    }

    /// Like [`Site::start`], with further bridges (name and address) and configuration lines for networks on
    /// them.
    pub async fn start_with(bridges: &[(&str, &str)], networks: &str) -> Result<Option<Site>> {
        Site::start_prepared(bridges, networks, || Ok(())).await
    }

    /// Like [`Site::start_with`], with more preparation in the lab before the server starts.
    pub async fn start_prepared(
        bridges: &[(&str, &str)],
        networks: &str,
        prepare: impl FnOnce() -> Result<()>,
    ) -> Result<Option<Site>> {
        if !Level::Netns.runs() {
            return Ok(None);
        }
        let directory = run_directory("netns")?;
        let path = directory.path();
        std::fs::create_dir(path.join("mini-os"))?;
        std::fs::write(path.join("mini-os/kernel"), bytes_of(1, 300_000))?;
        std::fs::write(path.join("mini-os/initramfs"), bytes_of(2, 700_000))?;
        make_image(&path.join("images/open-1"), 400_000)?;
        make_image(&path.join("images/closed-1"), 200_000)?;
        let manifest = path.join("images/closed-1/manifest.json");
        let mut closed: ImageManifest = serde_json::from_slice(&std::fs::read(&manifest)?)?;
        (closed.name, closed.public) = ("closed".to_owned(), false);
        std::fs::write(&manifest, serde_json::to_vec(&closed)?)?;

        let lab = Lab::enter()?;
        lab.bridge(OTHER_BRIDGE, "10.78.0.1/24")?;
        lab.bridge(SMALL_BRIDGE, "10.79.0.1/24")?;
        for (name, address) in bridges {
            lab.bridge(name, address)?;
        }
        prepare()?;
        let server = Server::start(ServerSpec {
            directory: path.to_owned(),
            mini_os: path.join("mini-os"),
            images: path.join("images"),
            profile: None,
            network: ServerSpec::SERVER_MODE.to_owned(),
            more: format!("{NETWORKS}{networks}"),
        })
        .await?;
        Ok(Some(Site {
            server,
            lab,
            directory,
        }))
    }

    /// A machine with a cable to the lab's network.
    pub fn port(&self, mac: &str) -> Result<Port> {
        Port::new(self.lab.client(mac)?, mac)
    }

    /// A machine with a cable to another bridge.
    pub fn port_on(&self, bridge: &str, mac: &str) -> Result<Port> {
        Port::new(self.lab.client_on(bridge, mac)?, mac)
    }

    /// The directory of this test.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// File and digest of an image.
    pub fn image(&self, folder: &str) -> Result<(PathBuf, String)> {
        let folder = self.directory().join("images").join(folder);
        let manifest: ImageManifest = serde_json::from_slice(&std::fs::read(folder.join("manifest.json"))?)?;
        Ok((folder.join(&manifest.file), manifest.sha256.to_string()))
    }

    /// What `slipway explain MAC` prints.
    pub fn explain(&self, mac: Mac) -> Result<String> {
        self.slipway(&["explain", &mac.to_string()])
    }

    /// The state of a network, from `slipway network show`.
    pub fn network(&self, name: &str) -> Result<NetworkStatus> {
        let text = self.slipway(&["network", "show", name, "--output", "json"])?;
        serde_json::from_str(&text).with_context(|| text)
    }

    /// What a `slipway` command prints.
    pub fn slipway(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(program("slipway")?)
            .args(arguments)
            .env("SLIPWAY_URL", self.server.url())
            .env("SLIPWAY_CA", self.server.ca_file())
            .env("SLIPWAY_TOKEN", self.server.token())
            .output()
            .context("running slipway")?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        ensure!(
            output.status.success(),
            "slipway {arguments:?}: {}",
            text(&output.stderr)
        );
        Ok(text(&output.stdout))
    }

    /// The answers to this machine's DHCP messages that the server remembers: `discover:offer`.
    pub async fn answers(&self, mac: Mac) -> Result<Vec<String>> {
        use inventory_api::boot::BootEventKind::Dhcp;
        let journey = self.server.api()?.journey(&mac.to_string()).await?;
        let dhcp = journey.events.into_iter().filter_map(|event| match event.what {
            Dhcp { message, answer, .. } => Some(format!("{message}:{answer}")),
            _ => None,
        });
        Ok(dhcp.collect())
    }

    /// Waits until the server remembers this answer.
    pub async fn wait_answer(&self, mac: Mac, answer: &str) -> Result<()> {
        let what = format!("the answer {answer} to {mac}");
        e2e::wait::until(&what, std::time::Duration::from_secs(10), async || {
            Ok(self.answers(mac).await?.iter().any(|a| a == answer).then_some(()))
        })
        .await
    }
}
