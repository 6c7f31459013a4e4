//! The real `slipway serve` process with a configuration made for a lab.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use inventory_api::deploy::DeployRequest;
use serde::Serialize;

use crate::api::Api;
use crate::artefacts::program;
use crate::child::Owned;
use crate::lab::SERVER;
use crate::scenario::PROFILE;
use crate::wait;

#[derive(Clone, Debug)]
pub struct ServerSpec {
    /// For the data directory and the configuration.
    pub directory: PathBuf,
    /// Directory of the mini-os: `kernel` and `initramfs`.
    pub mini_os: PathBuf,
    pub images: PathBuf,
    /// What machines of maker "Slipway" get automatically; `None`: they are checked and held.
    pub profile: Option<(String, DeployRequest)>,
    /// The lines of its `[[network]]` that say what it does there, e.g. [`ServerSpec::SERVER_MODE`].
    pub network: String,
    /// More lines at the end of the configuration.
    pub more: String,
}

impl ServerSpec {
    /// The server gives addresses, without searching for other servers first.
    pub const SERVER_MODE: &str = "mode = \"server\"\nlook_seconds = 0\n\
        pools = [{ first = \"10.77.0.100\", last = \"10.77.0.199\" }]\n";
}

/// A running server process in the calling thread's network namespace.
pub struct Server {
    spec: ServerSpec,
    process: Option<Owned>,
    token: String,
}

impl Server {
    /// Writes the configuration, starts the process and reads its token. Fails with the log if the server
    /// does not come up.
    pub async fn start(spec: ServerSpec) -> Result<Server> {
        std::fs::create_dir_all(&spec.directory)?;
        std::fs::write(spec.directory.join("slipway.toml"), configuration(&spec)?)?;
        let mut server = Server {
            spec,
            process: None,
            token: String::new(),
        };
        server.power_on().await?;
        Ok(server)
    }

    /// Restarts the process after [`Server::kill`].
    pub async fn power_on(&mut self) -> Result<()> {
        let mut command = Command::new(program("slipway")?);
        command
            .arg("serve")
            .arg("--config")
            .arg(self.spec.directory.join("slipway.toml"));
        command.env("NO_COLOR", "1");
        let log = self.log_path();
        let served = |log: &Path| {
            std::fs::read_to_string(log)
                .unwrap_or_default()
                .matches("slipway is running")
                .count()
        };
        let before = served(&log);
        let mut process = Owned::start(command, &log)?;
        wait::until("slipway to serve", Duration::from_secs(30), async || {
            if let Some(status) = process.ended()? {
                bail!(
                    "slipway serve ended ({status}):\n{}",
                    std::fs::read_to_string(&log).unwrap_or_default()
                );
            }
            // The token is printed after that line and before the first answer.
            Ok((served(&log) > before
                && self.ca_file().exists()
                && (before > 0 || find_token(&self.spec.directory).is_some()))
            .then_some(()))
        })
        .await?;
        if let Some(token) = find_token(&self.spec.directory) {
            self.token = token;
        }
        self.process = Some(process);
        Ok(())
    }

    /// Sends SIGKILL.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Its process id; `None` after [`Server::kill`].
    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Owned::id)
    }

    pub fn log_path(&self) -> PathBuf {
        self.spec.directory.join("slipway.log")
    }

    /// The log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The certificate that clients trust.
    pub fn ca_file(&self) -> PathBuf {
        self.spec.directory.join("data/ca/ca.pem")
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    /// Base URL of its TLS port inside the lab.
    pub fn url(&self) -> String {
        format!("https://{SERVER}:8443")
    }

    /// A client for code inside the lab.
    pub fn api(&self) -> Result<Api> {
        Api::new(&self.url(), &self.ca_file(), &self.token)
    }
}

/// The server's output is not a terminal, so the first token is in a file.
fn find_token(directory: &Path) -> Option<String> {
    let text = std::fs::read_to_string(directory.join("data/admin-token")).ok()?;
    text.strip_suffix('\n').map(str::to_owned)
}

fn configuration(spec: &ServerSpec) -> Result<String> {
    #[derive(Serialize)]
    struct Profiles<'a> {
        profile: std::collections::BTreeMap<&'a str, &'a DeployRequest>,
    }
    let mut text = format!(
        "data_dir = \"data\"\n\
         [mini_os]\ndir = {:?}\nkernel_args = [\"console=tty0\", \"console=ttyS0,115200\", \
         \"earlyprintk=ttyS0,115200\"]\n\
         [images]\ndir = {:?}\n\
         [[network]]\nname = \"lab\"\nserver = \"{SERVER}\"\nsubnet = \"10.77.0.0/24\"\n{}",
        spec.mini_os, spec.images, spec.network
    );
    if let Some((serial, profile)) = &spec.profile {
        text.push_str(&format!(
            "[[rule]]\nname = \"lab machines\"\nmatch = {{ manufacturer = \"Slipway\", serial = {serial:?} }}\naction = \"deploy\"\n\
             profile = \"{PROFILE}\"\n"
        ));
        let profiles = Profiles {
            profile: [(PROFILE, profile)].into(),
        };
        text.push_str(&toml::to_string(&profiles).context("writing the profile as TOML")?);
    }
    text.push_str(&spec.more);
    Ok(text)
}
