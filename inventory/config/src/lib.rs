//! Reads and checks `slipway.toml`, and prints its checked form.

mod file;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use inventory_api::deploy::DeployRequest;
use lifecycle::policy::Deploys;
use lifecycle::{Limits, Policy};
use netboot::Network;
use netboot_protocol::Loader;
use serde::{Deserialize, Serialize};

use file::{File, Images};

const DATA_DIR: &str = "/var/lib/slipway";

/// Where Debian's package `ipxe` installs its loaders.
const HOST_LOADERS: &str = "/usr/lib/ipxe";

/// Why a configuration is unusable. Names the file and, if known, the line.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// Not TOML, or a key, type or value that is not allowed.
    #[error("{path}: {detail}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, the mistake and what is allowed.
        detail: String,
    },
    /// A value is not allowed.
    #[error("{path}:{line}: {detail}")]
    Value {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// The mistake and what is allowed.
        detail: String,
    },
}

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Directory of the store, the authority and the leases; created with mode 0700.
    pub data_dir: PathBuf,
    /// The TLS listener for users and agents.
    pub api: Api,
    /// Boot service.
    pub boot: Boot,
    /// Mini-os.
    pub mini_os: MiniOs,
    /// Directory of the images.
    pub images_dir: PathBuf,
    /// Provisioning networks; if empty, no boot service is started.
    pub networks: Vec<Network>,
    /// What happens to machines without a person's order.
    pub policy: Policy,
    /// Deployment profiles, by name.
    pub profiles: BTreeMap<String, DeployRequest>,
    /// Deadlines and numbers of attempts.
    pub limits: Limits,
}

/// `[api]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Api {
    /// Address and port of the TLS listener.
    pub listen: SocketAddr,
    /// Additional names and addresses for the server's certificate.
    pub names: Vec<String>,
}

impl Default for Api {
    fn default() -> Api {
        Api {
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8443)),
            names: Vec::new(),
        }
    }
}

/// Longer than the longest wait for an assignment (60 s, `LONGEST_WAIT` in `service`) plus the agent's
/// longest pause after an error (15 s).
const SILENCE_SECONDS: u64 = 90;

/// A rack of a thousand nodes that is switched on at once is enrolled in five minutes, and the rate at which
/// a stranger can enroll made-up machines stays bounded.
const ENROLMENTS_PER_MINUTE: u32 = 200;

/// `[boot]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Boot {
    /// HTTP boot port.
    pub http_port: u16,
    /// TFTP port.
    pub tftp_port: u16,
    /// DHCP port.
    pub dhcp_port: u16,
    /// Directory of `undionly.kpxe` and `snponly.efi`, and of `ipxe.pxe` and `ipxe.efi` for machines on which
    /// those fail. `None`: the files that `slipway mini-os build` put beside the mini-os, else those of
    /// Debian's package `ipxe`.
    pub loaders: Option<PathBuf>,
    /// shim, for machines with Secure Boot (Debian's package `shim-signed`).
    pub shim: PathBuf,
    /// GRUB that shim starts: a network build that loads by TFTP. `None`: the one that
    /// `slipway mini-os build` put beside the mini-os, else that of Debian's package `grub-efi-amd64-signed`,
    /// which in Debian 12 does not support proxyDHCP.
    pub grub: Option<PathBuf>,
    /// GRUB for UEFI HTTP boot; it needs the module http, as Debian 13's has. `None`: the one that
    /// `slipway mini-os build` put beside the mini-os.
    pub grub_http: Option<PathBuf>,
    /// Directory of an iPXE signed by Microsoft: `ipxe-shimx64.efi` and `ipxe.efi` as released by the iPXE
    /// project. Machines with Secure Boot then get it before shim and GRUB.
    pub signed_ipxe: Option<PathBuf>,
    /// Seconds in which a key at the machine's own console opens the boot menu; 0: no menu and no wait.
    pub menu_seconds: u32,
    /// New machines enrolled per minute and network; the rest are held.
    pub enrolments_per_minute: u32,
    /// Shell of the rescue system: a static busybox (Debian's package `busybox-static`).
    pub busybox: PathBuf,
    /// Directory of `memtest86+x64.bin` and `memtest86+x64.efi` (Debian's package `memtest86+`).
    pub memory_test: PathBuf,
    /// Seconds for which a boot ticket can be claimed.
    pub ticket_seconds: u64,
    /// A running agent is heard at least once in this many seconds. Not in the file: only tests change it.
    #[serde(skip)]
    pub silence_seconds: u64,
    /// The machines are simulated on this host: see [`netboot::Config::reply_to_source`]; tickets may be
    /// claimed from a loopback address. Not in the file: only tests set it.
    #[serde(skip)]
    pub simulated: bool,
}

impl Default for Boot {
    fn default() -> Boot {
        Boot {
            http_port: netboot::DEFAULT_HTTP_PORT,
            tftp_port: 69,
            dhcp_port: 67,
            loaders: None,
            shim: PathBuf::from("/usr/lib/shim/shimx64.efi.signed"),
            grub: None,
            grub_http: None,
            signed_ipxe: None,
            menu_seconds: 0,
            enrolments_per_minute: ENROLMENTS_PER_MINUTE,
            busybox: PathBuf::from("/bin/busybox"),
            memory_test: PathBuf::from("/boot"),
            ticket_seconds: 600,
            silence_seconds: SILENCE_SECONDS,
            simulated: false,
        }
    }
}

/// `[mini_os]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MiniOs {
    /// Directory of `kernel` and `initramfs`; empty in a file: `mini-os` below the data directory.
    pub dir: PathBuf,
    /// Additional kernel arguments for every machine.
    pub kernel_args: Vec<String>,
}

impl Config {
    /// Directory of the boot loaders: the configured one, else the host's.
    pub fn loaders(&self) -> &Path {
        self.boot.loaders.as_deref().unwrap_or(Path::new(HOST_LOADERS))
    }

    /// Path of a loader. Unless `[boot] loaders` is set, a newer one that `slipway mini-os build` put beside
    /// the mini-os is preferred.
    pub fn loader_file(&self, loader: Loader) -> PathBuf {
        let newer = self.mini_os.dir.join(loader.file());
        if self.boot.loaders.is_none() && newer.is_file() {
            return newer;
        }
        self.loaders().join(loader.file())
    }

    /// Reads and checks a file. Paths in it are relative to its directory.
    ///
    /// # Errors
    /// Says file, line, the mistake and what is allowed.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Config::parse(path, &text)
    }

    /// Like [`Config::load`], for a text already read; `path` is for errors and relative paths.
    pub fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
        let file: File = toml::from_str(text).map_err(|e| ConfigError::Parse {
            path: path.to_owned(),
            detail: e.to_string(),
        })?;
        let networks = file.check().map_err(|mistake| ConfigError::Value {
            path: path.to_owned(),
            line: mistake.line(text),
            detail: mistake.detail,
        })?;
        Ok(Config::made(
            file,
            path.parent().unwrap_or(Path::new("")),
            networks,
        ))
    }

    /// The default configuration with this data directory.
    pub fn new(data_dir: PathBuf) -> Config {
        let file = File {
            data_dir: Some(data_dir),
            ..File::default()
        };
        Config::made(file, Path::new(""), Vec::new())
    }

    /// Builds the configuration from checked values. Relative paths are relative to `base`.
    fn made(file: File, base: &Path, networks: Vec<Network>) -> Config {
        let or = |dir: PathBuf, default: PathBuf| match dir.as_os_str().is_empty() {
            true => default,
            false => base.join(dir),
        };
        let data_dir = base.join(file.data_dir.unwrap_or_else(|| DATA_DIR.into()));
        let (mut boot, mut mini_os) = (file.boot, file.mini_os);
        let required = [&mut boot.shim, &mut boot.busybox, &mut boot.memory_test];
        let optional = [
            &mut boot.loaders,
            &mut boot.grub,
            &mut boot.grub_http,
            &mut boot.signed_ipxe,
        ];
        for path in required.into_iter().chain(optional.into_iter().flatten()) {
            *path = base.join(&*path);
        }
        mini_os.dir = or(mini_os.dir, data_dir.join("mini-os"));
        Config {
            images_dir: or(file.images.dir, data_dir.join("images")),
            data_dir,
            api: file.api,
            boot,
            mini_os,
            networks,
            policy: Policy {
                rules: file.rule,
                unknown: file.policy.unknown,
                deploy: file.policy.deploy,
            },
            profiles: file.profile,
            limits: file.limits,
        }
    }

    /// All names and addresses for the server's certificate.
    pub fn tls_names(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::from(["localhost".to_owned(), Ipv4Addr::LOCALHOST.to_string()]);
        names.extend(self.networks.iter().map(|n| n.server().to_string()));
        names.extend(self.api.names.iter().cloned());
        if !self.api.listen.ip().is_unspecified() {
            names.insert(self.api.listen.ip().to_string());
        }
        names
    }

    /// Risks that the configuration permits, perhaps unintentionally: one sentence each, for
    /// `slipway check-config` and the log.
    pub fn risks(&self) -> Vec<String> {
        if self.policy.deploy == Deploys::ExpectedOnly {
            return Vec::new();
        }
        let secret = |profile: &DeployRequest| {
            let hash = profile.accounts.iter().any(|a| a.password_hash.is_some());
            hash || !profile.scripts.is_empty()
        };
        let deploying = self.policy.rules.iter().filter(|rule| !rule.matches.names_one());
        deploying
            .filter_map(|rule| {
                let profile = rule.profile.as_ref()?;
                self.profiles.get(profile).filter(|p| secret(p)).map(|_| {
                    format!(
                        "rule {:?} gives profile {profile}, with its password hashes and scripts, to every machine on the \
                         network that says it is one: deploy = \"expected-only\" gives it only to machines of the rack plan",
                        rule.name
                    )
                })
            })
            .collect()
    }

    /// The checked form as TOML, with defaults filled in and password hashes left out.
    pub fn checked_form(&self) -> String {
        let redacted = |(name, request): (&String, &DeployRequest)| {
            (name.clone(), words::redact::request(request.clone()))
        };
        let file = File {
            data_dir: Some(self.data_dir.clone()),
            api: self.api.clone(),
            boot: self.boot.clone(),
            mini_os: self.mini_os.clone(),
            images: Images {
                dir: self.images_dir.clone(),
            },
            policy: file::Policy {
                unknown: self.policy.unknown,
                deploy: self.policy.deploy,
            },
            limits: self.limits.clone(),
            network: self.networks.iter().map(|n| n.settings().clone()).collect(),
            rule: self.policy.rules.clone(),
            profile: self.profiles.iter().map(redacted).collect(),
        };
        toml::to_string(&file).unwrap_or_else(|e| format!("# cannot be printed: {e}\n"))
    }
}

#[cfg(test)]
mod tests;
