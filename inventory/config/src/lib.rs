//! Reads and checks `slipway.toml`, and prints its checked form.

mod file;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use inventory_api::deploy::DeployRequest;
use lifecycle::policy::Deploys;
use lifecycle::{Limits, Policy, RuleAction};
use netboot::Network;
use netboot_protocol::Loader;
use serde::Serialize;
use toml::Spanned;

use file::File;
use words::text::listed;

/// Where Debian's package `ipxe` installs its loaders.
const HOST_LOADERS: &str = "/usr/lib/ipxe";

/// Why a configuration is unusable. Names the file and, if known, the line.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {source}")]
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
#[derive(Clone, Debug, Serialize)]
pub struct Api {
    /// Address and port of the TLS listener.
    pub listen: SocketAddr,
    /// Additional names and addresses for the server's certificate.
    pub names: Vec<String>,
}

/// Longer than the longest wait for an assignment (60 s, `LONGEST_WAIT` in `service`) plus the agent's
/// longest pause after an error (15 s).
const SILENCE_SECONDS: u64 = 90;

/// Maximum of `menu_seconds`, because every boot with a menu waits this long for a key.
const MOST_MENU_SECONDS: u32 = 60;

/// `[boot]`.
#[derive(Clone, Debug, Serialize)]
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

/// `[mini_os]`.
#[derive(Clone, Debug, Serialize)]
pub struct MiniOs {
    /// Directory of `kernel` and `initramfs`.
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
        let mut file: File = toml::from_str(text).map_err(|e| ConfigError::Parse {
            path: path.to_owned(),
            detail: e.to_string(),
        })?;
        let wrong = |at: usize, detail: String| ConfigError::Value {
            path: path.to_owned(),
            line: text
                .get(..at)
                .map_or(1, |before| before.matches('\n').count() + 1),
            detail,
        };
        let mut networks: Vec<Network> = Vec::new();
        for entry in std::mem::take(&mut file.network) {
            let at = entry.span().start;
            let network = Network::new(entry.into_inner()).map_err(|e| wrong(at, e.to_string()))?;
            if let Some((other, why)) = netboot::clash(&networks, &network) {
                let of = |n: &Network| match n.v6() {
                    Some(v6) => format!("{} ({}, {})", n.name(), n.subnet(), v6.prefix()),
                    None => format!("{} ({})", n.name(), n.subnet()),
                };
                return Err(wrong(
                    at,
                    format!(
                        "networks {} and {} {why}: change one of them",
                        of(other),
                        of(&network)
                    ),
                ));
            }
            networks.push(network);
        }
        let mut profiles = BTreeMap::new();
        for (name, entry) in std::mem::take(&mut file.profile) {
            let at = entry.span().start;
            let request = entry.into_inner();
            if request.image.is_empty() {
                return Err(wrong(
                    at,
                    format!("profile {name}: `image` is missing: NAME or NAME@VERSION"),
                ));
            }
            lifecycle::check_request(&request).map_err(|e| wrong(at, format!("profile {name}: {e}")))?;
            profiles.insert(name, request);
        }
        let mut policy = Policy {
            rules: Vec::new(),
            unknown: file.policy.unknown,
            deploy: file.policy.deploy,
        };
        for entry in std::mem::take(&mut file.rule) {
            let at = entry.span().start;
            let rule = entry.into_inner();
            let name = &rule.name;
            netboot_protocol::check_kernel_args(&rule.kernel_args)
                .map_err(|e| wrong(at, format!("rule {name}: kernel_args: {e}")))?;
            if rule.matches == lifecycle::RuleMatch::default() {
                return Err(wrong(
                    at,
                    format!(
                        "rule {name}: `match` is empty; give at least one of serial, manufacturer, product, mac, network"
                    ),
                ));
            }
            match (rule.action, &rule.profile) {
                (RuleAction::Deploy, None) => {
                    return Err(wrong(at, format!("rule {name}: action deploy needs a `profile`")));
                }
                (RuleAction::Deploy, Some(profile)) if !profiles.contains_key(profile) => {
                    let known: Vec<_> = profiles.keys().map(String::as_str).collect();
                    return Err(wrong(
                        at,
                        format!(
                            "rule {name}: there is no [profile.{profile}]; profiles are: {}",
                            listed(&known, "(none)")
                        ),
                    ));
                }
                (RuleAction::Hold | RuleAction::Commission, Some(_)) => {
                    return Err(wrong(
                        at,
                        format!("rule {name}: `profile` goes only with action = \"deploy\""),
                    ));
                }
                (RuleAction::Deploy, Some(_)) | (RuleAction::Hold | RuleAction::Commission, None) => {}
            }
            policy.rules.push(rule);
        }
        for entry in &file.api.names {
            let name = entry.get_ref();
            let good = (1..=253).contains(&name.len())
                && name
                    .bytes()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b':'));
            if !good {
                return Err(wrong(
                    entry.span().start,
                    format!("name {name:?} is neither a host name nor an address"),
                ));
            }
        }
        let ticket_seconds = file.boot.ticket_seconds.get_ref();
        if !(30..=3600).contains(ticket_seconds) {
            return Err(wrong(
                file.boot.ticket_seconds.span().start,
                format!("ticket_seconds = {ticket_seconds} has to be between 30 and 3600"),
            ));
        }
        let menu_seconds = file.boot.menu_seconds.get_ref();
        if *menu_seconds > MOST_MENU_SECONDS {
            return Err(wrong(
                file.boot.menu_seconds.span().start,
                format!(
                    "menu_seconds = {menu_seconds} has to be between 0 (no boot menu) and {MOST_MENU_SECONDS}"
                ),
            ));
        }
        let enrolments = file.boot.enrolments_per_minute.get_ref();
        if *enrolments == 0 {
            return Err(wrong(
                file.boot.enrolments_per_minute.span().start,
                "enrolments_per_minute = 0 enrolls no machine: it has to be at least 1".to_owned(),
            ));
        }
        let base = path.parent().unwrap_or(Path::new(""));
        Ok(Config::made(file, base, networks, policy, profiles))
    }

    /// The default configuration with this data directory.
    pub fn new(data_dir: PathBuf) -> Config {
        let file = File {
            data_dir,
            ..File::default()
        };
        let (base, policy) = (Path::new(""), Policy::default());
        Config::made(file, base, Vec::new(), policy, BTreeMap::new())
    }

    /// Builds the configuration from checked values. Relative paths are relative to `base`.
    fn made(
        file: File,
        base: &Path,
        networks: Vec<Network>,
        policy: Policy,
        profiles: BTreeMap<String, DeployRequest>,
    ) -> Config {
        let data_dir = base.join(file.data_dir);
        let below = |dir: Option<PathBuf>, name| dir.map_or(data_dir.join(name), |dir| base.join(dir));
        let at = |path: Option<PathBuf>| path.map(|path| base.join(path));
        Config {
            api: Api {
                listen: file.api.listen,
                names: file.api.names.into_iter().map(Spanned::into_inner).collect(),
            },
            boot: Boot {
                http_port: file.boot.http_port,
                tftp_port: file.boot.tftp_port,
                dhcp_port: file.boot.dhcp_port,
                loaders: at(file.boot.loaders),
                shim: base.join(file.boot.shim),
                grub: at(file.boot.grub),
                grub_http: at(file.boot.grub_http),
                signed_ipxe: at(file.boot.signed_ipxe),
                ticket_seconds: file.boot.ticket_seconds.into_inner(),
                menu_seconds: file.boot.menu_seconds.into_inner(),
                enrolments_per_minute: file.boot.enrolments_per_minute.into_inner(),
                busybox: base.join(file.boot.busybox),
                memory_test: base.join(file.boot.memory_test),
                silence_seconds: SILENCE_SECONDS,
                simulated: false,
            },
            mini_os: MiniOs {
                dir: below(file.mini_os.dir, "mini-os"),
                kernel_args: file.mini_os.kernel_args,
            },
            images_dir: below(file.images.dir, "images"),
            data_dir,
            networks,
            policy,
            profiles,
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
        #[derive(Serialize)]
        struct CheckedPolicy {
            unknown: lifecycle::policy::Unknown,
            deploy: lifecycle::policy::Deploys,
        }
        #[derive(Serialize)]
        struct Checked<'a> {
            data_dir: &'a Path,
            api: &'a Api,
            boot: &'a Boot,
            mini_os: &'a MiniOs,
            images: BTreeMap<&'a str, &'a Path>,
            policy: CheckedPolicy,
            limits: &'a Limits,
            network: Vec<&'a netboot::NetworkSettings>,
            rule: &'a [lifecycle::Rule],
            profile: BTreeMap<&'a str, DeployRequest>,
        }
        let checked = Checked {
            data_dir: &self.data_dir,
            api: &self.api,
            boot: &self.boot,
            mini_os: &self.mini_os,
            images: BTreeMap::from([("dir", self.images_dir.as_path())]),
            policy: CheckedPolicy {
                unknown: self.policy.unknown,
                deploy: self.policy.deploy,
            },
            limits: &self.limits,
            network: self.networks.iter().map(Network::settings).collect(),
            rule: &self.policy.rules,
            profile: self
                .profiles
                .iter()
                .map(|(name, request)| (name.as_str(), words::redact::request(request.clone())))
                .collect(),
        };
        toml::to_string(&checked).unwrap_or_else(|e| format!("# cannot be printed: {e}\n"))
    }
}

#[cfg(test)]
mod tests;
