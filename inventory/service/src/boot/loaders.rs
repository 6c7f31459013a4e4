//! Showing and forgetting which loaders worked.

use inventory_api::Mac;
use inventory_api::loader::LoaderOverview;
use inventory_api::machine::Journey;
use netboot_protocol::NicModel;

use crate::problem::{MODEL_UNKNOWN, Result, quoted};
use crate::{Actor, Service, Turn};

impl Service {
    /// What is known by NIC model, and of each unusual NIC.
    pub fn loaders(&self) -> LoaderOverview {
        self.core.memory.loaders.overview()
    }

    /// Forgets which loaders failed and worked on this NIC: its next boot starts with the first of its list.
    pub async fn forget_loader(&self, mac: Mac, actor: &Actor) -> Result<Journey> {
        self.forget_loaders_of(vec![mac], actor).await?;
        tracing::info!(%mac, %actor, "its loader history is cleared");
        self.journey(mac).await
    }

    /// Forgets what is known of a model, together with its NICs, from which that was learned.
    ///
    /// # Errors
    /// 404: not a model, or nothing is known of it.
    pub async fn forget_model(&self, name: &str, actor: &Actor) -> Result<LoaderOverview> {
        let unknown = || {
            MODEL_UNKNOWN.because(format!(
                "nothing is known of a NIC model {}: give a PCI id as 8086:10d3 or the start of a MAC as 52:54:00; \
                 `slipway loaders` names them",
                quoted(name)
            ))
        };
        let model: NicModel = name.parse().map_err(|()| unknown())?;
        let macs = self.core.memory.loaders.nics_of(model);
        if macs.is_empty() {
            return Err(unknown());
        }
        let nics = macs.len();
        self.forget_loaders_of(macs, actor).await?;
        tracing::info!(%model, nics, %actor, "its loader history is cleared");
        Ok(self.loaders())
    }

    async fn forget_loaders_of(&self, macs: Vec<Mac>, actor: &Actor) -> Result<()> {
        let work = async move |mut turn: Turn| {
            turn.forget_loader_trials(&macs).await?;
            turn.then(move |core| macs.iter().for_each(|mac| core.memory.loaders.forget(*mac)));
            Ok(turn.commit().await?)
        };
        self.turn(actor, work).await
    }
}
