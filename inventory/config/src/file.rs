//! The file as written, before its values are checked.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use inventory_api::deploy::DeployRequest;
use lifecycle::{Limits, Rule};
use netboot::NetworkSettings;
use serde::Deserialize;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct File {
    pub data_dir: PathBuf,
    pub api: Api,
    pub boot: Boot,
    pub mini_os: MiniOs,
    pub images: Images,
    pub network: Vec<Spanned<NetworkSettings>>,
    pub policy: Policy,
    pub rule: Vec<Spanned<Rule>>,
    pub profile: BTreeMap<String, Spanned<DeployRequest>>,
    pub limits: Limits,
}

impl Default for File {
    fn default() -> File {
        File {
            data_dir: PathBuf::from("/var/lib/slipway"),
            api: Api::default(),
            boot: Boot::default(),
            mini_os: MiniOs::default(),
            images: Images::default(),
            network: Vec::new(),
            policy: Policy::default(),
            rule: Vec::new(),
            profile: BTreeMap::new(),
            limits: Limits::default(),
        }
    }
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Api {
    pub listen: SocketAddr,
    pub names: Vec<Spanned<String>>,
}

impl Default for Api {
    fn default() -> Api {
        Api {
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8443)),
            names: Vec::new(),
        }
    }
}

/// A rack of a thousand nodes that is switched on at once is enrolled in five minutes, and the rate at which
/// a stranger can enroll made-up machines stays bounded.
const ENROLMENTS_PER_MINUTE: u32 = 200;

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Boot {
    pub http_port: u16,
    pub tftp_port: u16,
    pub dhcp_port: u16,
    pub loaders: Option<PathBuf>,
    pub shim: PathBuf,
    pub grub: Option<PathBuf>,
    pub grub_http: Option<PathBuf>,
    pub signed_ipxe: Option<PathBuf>,
    pub ticket_seconds: Spanned<u64>,
    pub menu_seconds: Spanned<u32>,
    pub enrolments_per_minute: Spanned<u32>,
    pub busybox: PathBuf,
    pub memory_test: PathBuf,
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
            ticket_seconds: Spanned::new(0..0, 600),
            menu_seconds: Spanned::new(0..0, 0),
            enrolments_per_minute: Spanned::new(0..0, ENROLMENTS_PER_MINUTE),
            busybox: PathBuf::from("/bin/busybox"),
            memory_test: PathBuf::from("/boot"),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct MiniOs {
    pub dir: Option<PathBuf>,
    pub kernel_args: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Images {
    pub dir: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Policy {
    pub unknown: lifecycle::policy::Unknown,
    pub deploy: lifecycle::policy::Deploys,
}
