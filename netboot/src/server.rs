//! `bind` opens, `start` spawns, `run` stays.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::source::BootSource;

/// Why the boot service cannot start or has ended.
#[derive(Debug, thiserror::Error)]
pub enum NetbootError {
    /// The configuration names no network.
    #[error("no network is configured: the boot service has nobody to answer")]
    NoNetworks,
    /// Something could not be opened, read or written.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried, on what, and what to do.
        what: String,
        /// What came back.
        source: std::io::Error,
    },
    /// A task panicked: a bug; the process should end.
    #[error("the boot service's {0} task panicked")]
    Panicked(String),
}

/// Where a network is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundNetwork {
    /// Network name.
    pub network: String,
    /// DHCP socket.
    pub dhcp: SocketAddr,
    /// TFTP socket.
    pub tftp: SocketAddr,
    /// HTTP socket: `http://{http}` is the network's boot URL.
    pub http: SocketAddr,
}

/// The boot service with its sockets open and nothing running.
pub struct Netboot {
    config: Config,
    bound: Vec<BoundNetwork>,
}

impl Netboot {
    /// Opens the journal and all sockets.
    pub async fn bind(config: Config) -> Result<Netboot, NetbootError> {
        if config.networks.is_empty() {
            return Err(NetbootError::NoNetworks);
        }
        Ok(Netboot {
            config,
            bound: Vec::new(),
        })
    }

    /// Where each network is served, in the order of the configuration.
    pub fn bound(&self) -> &[BoundNetwork] {
        &self.bound
    }

    /// Spawns the service's tasks. They end when `cancel` is cancelled.
    pub fn start<S: BootSource>(self, source: Arc<S>, cancel: CancellationToken) -> Running {
        let _ = (self.config, source);
        Running {
            tasks: JoinSet::new(),
            cancel,
        }
    }
}

/// The running boot service.
pub struct Running {
    tasks: JoinSet<Result<(), NetbootError>>,
    cancel: CancellationToken,
}

impl Running {
    /// Stays until the service is cancelled (`Ok`) or a task fails or panics (`Err`; the others are stopped).
    pub async fn run(mut self) -> Result<(), NetbootError> {
        while let Some(ended) = self.tasks.join_next().await {
            let result = ended.unwrap_or_else(|error| Err(NetbootError::Panicked(error.to_string())));
            if result.is_err() {
                self.cancel.cancel();
                return result;
            }
        }
        Ok(())
    }
}
