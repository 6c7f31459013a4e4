//! The file as written, and its checks. The checked form is written in the same shape.

use std::collections::BTreeMap;
use std::path::PathBuf;

use inventory_api::deploy::DeployRequest;
use lifecycle::policy::{Deploys, Unknown};
use lifecycle::{Limits, Rule, RuleAction, RuleMatch};
use netboot::{Network, NetworkSettings};
use serde::{Deserialize, Serialize};
use toml::de::DeTable;
use words::text::listed;

use super::{Api, Boot, MiniOs};

/// Maximum of `menu_seconds`, because every boot with a menu waits this long for a key.
const MOST_MENU_SECONDS: u64 = 60;

#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct File {
    pub data_dir: Option<PathBuf>,
    pub api: Api,
    pub boot: Boot,
    pub mini_os: MiniOs,
    pub images: Images,
    pub policy: Policy,
    pub limits: Limits,
    pub network: Vec<NetworkSettings>,
    pub rule: Vec<Rule>,
    pub profile: BTreeMap<String, DeployRequest>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Images {
    pub dir: PathBuf,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Policy {
    pub unknown: Unknown,
    pub deploy: Deploys,
}

/// A value that is not allowed.
pub(super) struct Mistake {
    /// Keys and indexes that lead to it.
    at: Vec<String>,
    pub detail: String,
}

impl Mistake {
    fn new(at: &[&str], detail: String) -> Mistake {
        let at = at.iter().map(|step| (*step).to_owned()).collect();
        Mistake { at, detail }
    }

    /// Its line in the file, from 1.
    pub(super) fn line(&self, text: &str) -> usize {
        let start = || {
            let table = DeTable::parse(text).ok()?;
            let (first, rest) = self.at.split_first()?;
            let mut value = table.get_ref().get(first.as_str())?;
            for step in rest {
                value = match step.parse::<usize>() {
                    Ok(index) if value.get_ref().is_array() => value.get_ref().get(index)?,
                    _ => value.get_ref().get(step.as_str())?,
                };
            }
            text.get(..value.span().start)
        };
        start().map_or(1, |before| before.matches('\n').count() + 1)
    }
}

impl File {
    /// Checks all values; returns the networks.
    pub(super) fn check(&self) -> Result<Vec<Network>, Mistake> {
        let networks = networks(&self.network)?;
        for (name, request) in &self.profile {
            profile(request).map_err(|e| Mistake::new(&["profile", name], format!("profile {name}: {e}")))?;
        }
        for (index, one) in self.rule.iter().enumerate() {
            rule(one, &self.profile).map_err(|e| {
                Mistake::new(&["rule", &index.to_string()], format!("rule {}: {e}", one.name))
            })?;
        }
        names(&self.api.names)?;
        boot(&self.boot)?;
        Ok(networks)
    }
}

fn networks(all: &[NetworkSettings]) -> Result<Vec<Network>, Mistake> {
    let mut networks: Vec<Network> = Vec::new();
    for (index, settings) in all.iter().enumerate() {
        let wrong = |detail| Mistake::new(&["network", &index.to_string()], detail);
        let network = Network::new(settings.clone()).map_err(|e| wrong(e.to_string()))?;
        if let Some((other, why)) = netboot::clash(&networks, &network) {
            let of = |n: &Network| match n.v6() {
                Some(v6) => format!("{} ({}, {})", n.name(), n.subnet(), v6.prefix()),
                None => format!("{} ({})", n.name(), n.subnet()),
            };
            let (one, two) = (of(other), of(&network));
            return Err(wrong(format!(
                "networks {one} and {two} {why}: change one of them"
            )));
        }
        networks.push(network);
    }
    Ok(networks)
}

fn profile(request: &DeployRequest) -> Result<(), String> {
    if request.image.is_empty() {
        return Err("`image` is missing: NAME or NAME@VERSION".to_owned());
    }
    lifecycle::check_request(request).map_err(|e| e.to_string())
}

fn rule(rule: &Rule, profiles: &BTreeMap<String, DeployRequest>) -> Result<(), String> {
    netboot_protocol::check_kernel_args(&rule.kernel_args).map_err(|e| format!("kernel_args: {e}"))?;
    if rule.matches == RuleMatch::default() {
        return Err(
            "`match` is empty; give at least one of serial, manufacturer, product, mac, network".to_owned(),
        );
    }
    match (rule.action, &rule.profile) {
        (RuleAction::Deploy, None) => Err("action deploy needs a `profile`".to_owned()),
        (RuleAction::Deploy, Some(profile)) if !profiles.contains_key(profile) => {
            let known: Vec<_> = profiles.keys().map(String::as_str).collect();
            let known = listed(&known, "(none)");
            Err(format!("there is no [profile.{profile}]; profiles are: {known}"))
        }
        (RuleAction::Hold | RuleAction::Commission, Some(_)) => {
            Err("`profile` is only allowed with action = \"deploy\"".to_owned())
        }
        (RuleAction::Deploy, Some(_)) | (RuleAction::Hold | RuleAction::Commission, None) => Ok(()),
    }
}

fn names(names: &[String]) -> Result<(), Mistake> {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b':');
    let good = |name: &String| (1..=253).contains(&name.len()) && name.bytes().all(allowed);
    match names.iter().position(|name| !good(name)) {
        None => Ok(()),
        Some(index) => Err(Mistake::new(
            &["api", "names", &index.to_string()],
            format!("name {:?} is neither a host name nor an address", names[index]),
        )),
    }
}

fn boot(boot: &Boot) -> Result<(), Mistake> {
    let enrolments = boot.enrolments_per_minute.into();
    for (key, value, min, max, why) in [
        ("ticket_seconds", boot.ticket_seconds, 30, 3600, ""),
        (
            "menu_seconds",
            boot.menu_seconds.into(),
            0,
            MOST_MENU_SECONDS,
            " (0: no boot menu)",
        ),
        (
            "enrolments_per_minute",
            enrolments,
            1,
            u32::MAX.into(),
            " (0 would enroll no machine)",
        ),
    ] {
        if !(min..=max).contains(&value) {
            let detail = format!("{key} = {value} must be between {min} and {max}{why}");
            return Err(Mistake::new(&["boot", key], detail));
        }
    }
    Ok(())
}
