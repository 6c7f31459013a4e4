//! MACs and host names of known machines, in memory, because the DHCP service needs them for every message.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use inventory_api::Mac;

/// The MACs of known machines, each with its machine's host name, if any.
#[derive(Default)]
pub(crate) struct KnownMacs(RwLock<HashMap<Mac, Option<String>>>);

impl KnownMacs {
    /// The host name, if any, of the known machine with this MAC. `None`: no known machine has it.
    pub(crate) fn host_name(&self, mac: Mac) -> Option<Option<String>> {
        let macs = self.0.read().unwrap_or_else(PoisonError::into_inner);
        macs.get(&mac).cloned()
    }

    pub(crate) fn set(&self, macs: HashMap<Mac, Option<String>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = macs;
    }
}
