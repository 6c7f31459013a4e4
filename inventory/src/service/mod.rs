//! What API, page and boot service ask for. Every method answers with a wire type or a [`Problem`].

mod verb;

use inventory_api::image::ImageManifest;
use inventory_api::machine::{
    DeployOrder, DeployResponse, HistoryEntry, Journey, MachineDetail, MachineSummary, Profile, VerbResponse,
};
use inventory_api::plan::InstallPlan;
use inventory_api::{Mac, MachineId, Problem};
use tokio::sync::broadcast;

pub use verb::Verb;

/// Who acts: the name of a token, or "agent", "boot", "clock". Stands in the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor(pub String);

/// The service. Shared as `Arc<Service>`.
pub struct Service {
    changes: broadcast::Sender<MachineId>,
}

impl Service {
    /// All machines, newest enrolled first.
    pub async fn machines(&self) -> Result<Vec<MachineSummary>, Problem> {
        Err(not_built())
    }

    /// One machine, by id, MAC or serial number.
    pub async fn machine(&self, key: &str) -> Result<MachineDetail, Problem> {
        let _ = key;
        Err(not_built())
    }

    /// Its history, oldest first.
    pub async fn history(&self, key: &str) -> Result<Vec<HistoryEntry>, Problem> {
        let _ = key;
        Err(not_built())
    }

    /// Its current plan, password hashes left out.
    pub async fn plan(&self, key: &str) -> Result<InstallPlan, Problem> {
        let _ = key;
        Err(not_built())
    }

    /// What was heard from a MAC and what it means.
    pub async fn journey(&self, mac: Mac) -> Result<Journey, Problem> {
        let _ = mac;
        Err(not_built())
    }

    /// The images that can be installed, newest first.
    pub async fn images(&self) -> Result<Vec<ImageManifest>, Problem> {
        Err(not_built())
    }

    /// The profiles of the configuration, password hashes left out.
    pub fn profiles(&self) -> Vec<Profile> {
        Vec::new()
    }

    /// Does a verb other than deploy.
    pub async fn verb(&self, key: &str, verb: Verb, actor: &Actor) -> Result<VerbResponse, Problem> {
        let _ = (key, verb, actor);
        Err(not_built())
    }

    /// Orders a deployment; with `dry_run` only says what the plan would be.
    pub async fn deploy(
        &self,
        key: &str,
        order: DeployOrder,
        dry_run: bool,
        actor: &Actor,
    ) -> Result<DeployResponse, Problem> {
        let _ = (key, order, dry_run, actor);
        Err(not_built())
    }

    /// The name of a token, if it is one.
    pub async fn authenticate(&self, token: &str) -> Result<Option<Actor>, Problem> {
        let _ = token;
        Err(not_built())
    }

    /// Ids of machines as they change: state, progress, report, address. A receiver that lags must read all anew.
    pub fn changes(&self) -> broadcast::Receiver<MachineId> {
        self.changes.subscribe()
    }
}

fn not_built() -> Problem {
    Problem {
        code: "not-built".into(),
        title: "Not built yet".into(),
        status: 501,
        detail: "this server was built before the service was complete".into(),
    }
}
