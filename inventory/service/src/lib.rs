//! The operations behind API, page and boot service. Every method for API and page returns a wire type or a
//! [`Problem`](inventory_api::Problem).

mod agents;
pub mod boot;
mod check;
pub mod core;
mod delivery;
mod health;
mod lock;
mod lookup;
mod machines;
mod networks;
mod pages;
pub mod problem;
mod rescue;
pub mod secret;
mod tasks;
mod tokens;
mod turn;

use std::sync::Arc;

use inventory_api::MachineId;
use inventory_api::deploy::DeployRequest;
use inventory_api::image::ImageManifest;
use inventory_api::machine::Profile;
use tokio::sync::broadcast;

use crate::core::Core;
use crate::problem::Result;
use words::redact;

pub use agents::ImageFile;
pub use boot::journey::{mac_of, tls_broken};
pub use inventory_api::machine::{Actor, Verb};
pub use machines::{MachineList, deadlines};
pub use pages::{BAD_TOKEN, Listed, bad_query, page};
pub use store::MachineCounts;
pub use tokens::{Login, unknown_token};
pub use turn::{AdvanceError, Advanced, Turn};

/// The service, shared as `Arc<Service>`.
#[derive(Clone)]
pub struct Service {
    core: Arc<Core>,
}

impl Service {
    /// Creates the service.
    pub fn new(core: Arc<Core>) -> Service {
        Service { core }
    }

    /// The shared state.
    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// The installable images, sorted by name, newest first.
    pub async fn images(&self) -> Result<Vec<ImageManifest>> {
        let images = machines::planning::list_images(&self.core).await?;
        Ok(images.into_iter().map(|i| i.manifest).collect())
    }

    /// The deployment profiles of the configuration, without password hashes.
    pub fn profiles(&self) -> Vec<Profile> {
        let profile = |(name, request): (&String, &DeployRequest)| Profile {
            name: name.clone(),
            request: redact::request(request.clone()),
        };
        self.core.config.profiles.iter().map(profile).collect()
    }

    /// Ids of changed machines: state, progress, report, address. A receiver that lags must read everything
    /// again.
    pub fn changes(&self) -> broadcast::Receiver<MachineId> {
        self.core.memory.sessions.changes()
    }
}
