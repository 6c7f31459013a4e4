//! Showing and forgetting which loaders worked.

use inventory_api::loader::LoaderOverview;
use inventory_api::machine::Journey;
use inventory_api::{Mac, Problem};
use netboot_protocol::NicModel;

use super::{Actor, Service};
use crate::problem::problem;

impl Service {
    /// What is known by NIC model, and of each unusual NIC.
    pub fn loaders(&self) -> LoaderOverview {
        self.core.memory.loaders.overview()
    }

    /// Forgets which loaders failed and worked on this NIC: its next boot starts with the first of its list.
    pub async fn forget_loader(&self, mac: Mac, actor: &Actor) -> Result<Journey, Problem> {
        self.forget_loaders_of(&[mac]).await?;
        tracing::info!(%mac, %actor, "what became of its loaders is forgotten");
        self.journey(mac).await
    }

    /// Forgets what is known of a model, together with its NICs, from which that was learned.
    ///
    /// # Errors
    /// 404: not a model, or nothing is known of it.
    pub async fn forget_model(&self, name: &str, actor: &Actor) -> Result<LoaderOverview, Problem> {
        let shown: String = name.chars().take(40).collect();
        let unknown = || {
            let detail = format!(
                "nothing is known of a NIC model {shown:?}: give a PCI id as 8086:10d3 or the start of a MAC as 52:54:00; \
                 `slipway loaders` names them"
            );
            problem(404, "model-unknown", "No such NIC model", detail)
        };
        let model: NicModel = name.parse().map_err(|()| unknown())?;
        let macs = self.core.memory.loaders.nics_of(model);
        if macs.is_empty() {
            return Err(unknown());
        }
        self.forget_loaders_of(&macs).await?;
        tracing::info!(%model, nics = macs.len(), %actor, "what became of its loaders is forgotten");
        Ok(self.loaders())
    }

    async fn forget_loaders_of(&self, macs: &[Mac]) -> Result<(), Problem> {
        let store = &self.core.store;
        store.forget_loader_trials(macs).await?;
        for mac in macs {
            self.core.memory.loaders.forget(*mac);
        }
        Ok(())
    }
}
