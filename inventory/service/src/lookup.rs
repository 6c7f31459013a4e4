//! What a typed or scanned text stands for: a machine, a place of the rack plan or a part.

use inventory_api::lookup::Lookup;
use lifecycle::expectation::MachineNames;

use crate::Service;
use crate::problem::{LOOKUP_NOTHING, Result};

impl Service {
    /// What `key` stands for: a machine's id, MAC, serial number or asset tag, the serial number or asset tag
    /// of a machine that the rack plan awaits, or a part's serial number.
    ///
    /// # Errors
    /// 404 if nothing is known of it.
    pub async fn lookup(&self, key: &str) -> Result<Lookup> {
        let key = key.trim();
        let mut rows = self.machines_of_key(key).await?;
        if rows.len() > 1 {
            let ids = rows.into_iter().map(|row| row.id).collect();
            return Ok(Lookup::Machines { ids });
        }
        if let Some(row) = rows.pop() {
            return Ok(Lookup::Machine { id: row.id });
        }
        let names = MachineNames {
            serials: vec![key.to_owned()],
            asset_tags: vec![key.to_owned()],
        };
        if let Some(place) = self.core.store.placements_named(&names).await?.into_iter().next() {
            return Ok(Lookup::Place { place });
        }
        let parts = self.parts_of_key(key).await?;
        if let Some(first) = parts.first() {
            return Ok(Lookup::Part {
                part: first.kind,
                serial: first.serial.clone(),
                seen_in: parts
                    .iter()
                    .flat_map(|p| &p.seen_in)
                    .map(|s| s.machine.clone())
                    .collect(),
            });
        }
        let shown: String = key.chars().filter(|c| !c.is_control()).take(128).collect();
        Err(LOOKUP_NOTHING.because(format!(
            "nothing is known of {shown:?}: no machine or part with this id, MAC, serial number or asset tag has reported, \
             and no place of the rack plan names it"
        )))
    }
}
