//! Deployment requests: which image and environment a machine is to get.

use serde::{Deserialize, Serialize};

use crate::check::HardwareProfile;
use crate::id::Mac;
use crate::report::Transport;

/// A deployment as requested by a person or a rule. Named ones in the configuration are *deployment
/// profiles*.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeployRequest {
    /// Image as `name` (newest version) or `name@version`.
    pub image: String,
    /// Host name. `{serial}`, `{mac}` and `{id}` are replaced; absent: `{id}`.
    pub hostname: Option<String>,
    /// Which disk to install on. Absent: the only built-in disk that fits the image; if there are several,
    /// one must be named.
    pub disk: Option<DiskChoice>,
    /// Hardware that must be present before a disk is touched.
    pub expected: Option<HardwareProfile>,
    /// Network of the installed system. Absent: DHCP on the NIC that booted.
    pub network: Vec<NicConfig>,
    /// User accounts.
    pub accounts: Vec<Account>,
    /// Cron jobs.
    pub cron: Vec<CronJob>,
    /// Scripts.
    pub scripts: Vec<Script>,
    /// More kernel arguments for the installed system.
    pub kernel_args: Vec<String>,
}

/// How the install disk is chosen. All given fields must match, and exactly one disk must remain. Disks that
/// are not built in (USB, SD, Fibre Channel, iSCSI, NVMe over fabrics, persistent memory, removable media)
/// are ignored unless `serial` or `wwn` names them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiskChoice {
    /// Serial number.
    pub serial: Option<String>,
    /// WWN.
    pub wwn: Option<String>,
    /// Text that the model contains, ignoring case.
    pub model: Option<String>,
    /// How it is attached, e.g. "nvme", "sata".
    pub transport: Option<Transport>,
    /// Minimum size in bytes.
    pub min_bytes: Option<u64>,
    /// Maximum size in bytes.
    pub max_bytes: Option<u64>,
    /// If several disks remain, take the smallest. The choice still fails if the smallest size occurs more
    /// than once.
    pub smallest: bool,
}

/// Network of one NIC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NicConfig {
    /// The NIC; absent: the one that booted.
    pub mac: Option<Mac>,
    /// Addresses with prefix length, e.g. "10.0.0.7/24"; empty: DHCP.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// Default gateway.
    pub gateway: Option<String>,
    /// Name servers.
    #[serde(default)]
    pub dns: Vec<String>,
}

/// A user account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Account {
    /// Login name; "root" changes the existing account.
    pub name: String,
    /// Numeric id; absent: the next free one from 1000.
    pub uid: Option<u32>,
    /// Full name.
    pub full_name: Option<String>,
    /// Login shell; absent: /bin/bash.
    pub shell: Option<String>,
    /// Supplementary groups; missing ones are created.
    pub groups: Vec<String>,
    /// May run everything as root, without a password if `password_hash` is absent.
    pub sudo: bool,
    /// OpenSSH public keys.
    pub ssh_keys: Vec<String>,
    /// crypt(3) hash, e.g. yescrypt `$y$...` or `$6$...`; absent: password login is locked.
    pub password_hash: Option<String>,
}

/// A cron job; becomes a file in /etc/cron.d.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CronJob {
    /// Name: letters, digits, '-' and '_' (cron ignores files with other characters).
    pub name: String,
    /// Five time fields or @reboot, @hourly, @daily, ...
    pub schedule: String,
    /// The user it runs as.
    pub user: String,
    /// Command line.
    pub command: String,
}

/// A script to install.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Name: letters, digits, '-' and '_'.
    pub name: String,
    /// The text, starting with `#!`.
    pub content: String,
    /// When it runs.
    pub run: ScriptRun,
    /// For `kept`: absolute path; absent: /usr/local/sbin/NAME.
    pub path: Option<String>,
    /// For `kept`: every user may read and run it (mode 0755). Otherwise only root may (0700), as it may
    /// contain a secret.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub everyone: bool,
}

/// When a script runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScriptRun {
    /// Once, by the agent, on the first boot from disk. Its exit status is part of the verification; its file
    /// is removed afterwards.
    FirstBoot,
    /// Never by Slipway: it is installed for people and cron.
    Kept,
}
