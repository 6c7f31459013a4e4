//! The credentials that the installation left on the disk.

use std::io;
use std::path::{Path, PathBuf};

use crate::install::{AgentConfig, Credentials};
use crate::proof::read_bounded;

/// Why stored credentials cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// A file cannot be read.
    #[error("cannot read {}: this system was not installed by Slipway, or its files are damaged", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// agent.json cannot be parsed.
    #[error("cannot parse {}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: serde_json::Error,
    },
}

/// Largest file read here, in bytes.
const LIMIT: u64 = 256 << 10;

/// Reads `/etc/slipway/agent.json` and `/var/lib/slipway-agent/{key,cert,ca}.pem` under `root`.
pub fn load(root: &Path) -> Result<Credentials, StoredError> {
    let text = |path: &str| {
        let path = root.join(path);
        let read = read_bounded(&path, LIMIT).and_then(|bytes| {
            String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8"))
        });
        read.map_err(|source| StoredError::File { path, source })
    };
    // Unknown fields are allowed: a later installer may write more.
    let path = "etc/slipway/agent.json";
    let config: AgentConfig = serde_json::from_str(&text(path)?).map_err(|source| StoredError::Config {
        path: root.join(path),
        source,
    })?;
    Ok(Credentials {
        machine: config.machine,
        server: config.server,
        boot_url: config.boot_url,
        key_pem: text("var/lib/slipway-agent/key.pem")?,
        cert_pem: text("var/lib/slipway-agent/cert.pem")?,
        ca_pem: text("var/lib/slipway-agent/ca.pem")?,
    })
}
