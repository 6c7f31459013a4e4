//! What became of the loaders that machines were given: asked for every message of firmware, so from memory; kept in the
//! store, so that a restart does not begin anew with a loader that does not work.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use inventory_api::boot::BootEvent;
use inventory_api::{Mac, UnixMs};
use netboot_protocol::{ClientKind, Loader, Trial};

/// NICs with something on foot; those of which nothing is to be kept go first.
const LIMIT: usize = 16_384;

/// The trials by NIC.
#[derive(Default)]
pub struct Loaders(Mutex<HashMap<Mac, Trial>>);

impl Loaders {
    /// Takes in what the store kept.
    pub fn restore(&self, kept: Vec<(Mac, Trial)>) {
        self.trials().extend(kept);
    }

    /// Takes in what was heard. `Some`: this is to be kept from now on.
    pub fn heard(&self, event: &BootEvent) -> Option<Trial> {
        let mut trials = self.trials();
        if trials.len() >= LIMIT && !trials.contains_key(&event.mac) {
            trials.retain(|_, trial| trial.is_worth_keeping());
        }
        if trials.len() >= LIMIT && !trials.contains_key(&event.mac) {
            return None;
        }
        let trial = trials.entry(event.mac).or_default();
        trial.heard(event).then(|| trial.clone())
    }

    /// The loader whose turn it is; with what is to be kept from now on, when the firmware's coming back ended a trial.
    pub fn next(
        &self,
        mac: Mac,
        kind: ClientKind,
        anew: bool,
        there_is: &dyn Fn(Loader) -> bool,
        now: UnixMs,
    ) -> (Option<Loader>, Option<Trial>) {
        let mut trials = self.trials();
        let Some(trial) = trials.get_mut(&mac) else {
            return (Trial::default().next(kind, there_is), None);
        };
        let ended = anew && trial.asks_anew(now);
        (trial.next(kind, there_is), ended.then(|| trial.clone()))
    }

    /// What is known of a NIC's loaders.
    pub fn of(&self, mac: Mac) -> Option<Trial> {
        self.trials().get(&mac).cloned()
    }

    /// Begins anew with the first loader.
    pub fn forget(&self, mac: Mac) {
        self.trials().remove(&mac);
    }

    fn trials(&self) -> MutexGuard<'_, HashMap<Mac, Trial>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
