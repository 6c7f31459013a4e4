//! Installs the running agent as the resident one: binary, unit, credentials.

use std::fs::File;
use std::path::Path;

use inventory_api::id::{MachineId, PlanId};
use serde::{Deserialize, Serialize};

use super::super::error::{StepError, Tried};
use super::super::link::Credentials;
use super::super::root::{ROOT, Root};
use super::{enable, write_text};

/// The resident agent's configuration on the installed system.
pub const CONFIG_PATH: &str = "/etc/slipway/agent.json";
/// Directory of `key.pem`, `cert.pem` and `ca.pem` on the installed system.
pub const STATE_DIR: &str = "/var/lib/slipway-agent";
/// The binary on the installed system.
pub const BINARY_PATH: &str = "/usr/local/sbin/slipway-agent";

/// Ordered after the ESP's mount, which the boot does not wait for (`nofail`) but the verification checks.
const UNIT: &str = "\
[Unit]
Description=Slipway resident agent
After=network.target boot-efi.mount

[Service]
ExecStart=/usr/local/sbin/slipway-agent resident
Restart=always
RestartSec=5
UMask=0077

[Install]
WantedBy=multi-user.target
";

/// The content of `/etc/slipway/agent.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentConfig {
    /// Base URL of the TLS port.
    pub server: String,
    /// Base URL of the plain boot service.
    pub boot_url: String,
    /// Who the machine is.
    pub machine: MachineId,
    /// The plan that installed it.
    pub plan: PlanId,
}

pub(crate) fn apply(
    root: &Root,
    exe: &Path,
    credentials: &Credentials,
    plan: &PlanId,
) -> Result<(), StepError> {
    let mut binary = File::open(exe).tried(
        "agent-binary",
        format!("open the agent's binary {}", exe.display()),
    )?;
    root.write_from(BINARY_PATH, &mut binary, 0o755, ROOT)?;
    let config = AgentConfig {
        server: credentials.server.clone(),
        boot_url: credentials.boot_url.clone(),
        machine: credentials.machine.clone(),
        plan: plan.clone(),
    };
    let text = serde_json::to_string_pretty(&config)
        .tried("agent-config", "write the agent's configuration as JSON")?;
    write_text(root, CONFIG_PATH, &(text + "\n"))?;
    root.make_dir(STATE_DIR, 0o700, ROOT)?;
    for (name, pem) in [
        ("key", &credentials.key_pem),
        ("cert", &credentials.cert_pem),
        ("ca", &credentials.ca_pem),
    ] {
        root.write(&format!("{STATE_DIR}/{name}.pem"), pem.as_bytes(), 0o600, ROOT)?;
    }
    write_text(root, "/etc/systemd/system/slipway-agent.service", UNIT)?;
    enable(root, "slipway-agent.service", "multi-user")?;
    super::guard::apply(root, credentials)
}
