//! Taking files in: one transaction each, then the machines they are about are checked again.

use std::collections::BTreeSet;

use inventory_api::check::HardwareProfile;
use inventory_api::import::{ImportReport, Imported, ImportedEntry};
use inventory_api::{MachineId, Problem};

use crate::import::{self, Entry, Fault, Format, place_name, refused};
use crate::problem::of_store;
use crate::service::{Actor, Service};
use crate::store::{Change, Written};

/// Entries and remarks that an answer names.
const NAMED: usize = 100;

/// Counts what became of each entry.
struct Tale {
    report: ImportReport,
    /// Machines to be checked again.
    machines: BTreeSet<MachineId>,
}

impl Tale {
    fn new(kind: &str) -> Tale {
        Tale {
            report: ImportReport {
                kind: kind.to_owned(),
                ..ImportReport::default()
            },
            machines: BTreeSet::new(),
        }
    }

    fn entry(&mut self, name: String, written: Written) {
        let what = match written {
            Written::Same => {
                self.report.unchanged += 1;
                return;
            }
            Written::Added => {
                self.report.added += 1;
                Imported::Added
            }
            Written::Changed => {
                self.report.changed += 1;
                Imported::Changed
            }
        };
        if self.report.entries.len() < NAMED {
            self.report.entries.push(ImportedEntry { name, what });
        }
    }

    fn remark(&mut self, text: String) {
        if self.report.remarks.len() < NAMED && !self.report.remarks.contains(&text) {
            self.report.remarks.push(text);
        }
    }
}

impl Service {
    /// Takes a file of orders.
    pub async fn import_orders(
        &self,
        bytes: &[u8],
        format: Format,
        actor: &Actor,
    ) -> Result<ImportReport, Problem> {
        let entries = import::orders(bytes, format).map_err(|faults| refused(&faults))?;
        let now = self.core.clock.now();
        let mut tale = Tale::new("orders");
        let mut change = self.core.store.begin().await.map_err(of_store)?;
        for Entry { value: order, .. } in &entries {
            let written = change.put_order(order, now).await.map_err(of_store)?;
            if written != Written::Same {
                for place in change
                    .placements_of_order(&order.number)
                    .await
                    .map_err(of_store)?
                {
                    tale.machines
                        .extend(change.machines_placed(&place).await.map_err(of_store)?);
                }
            }
            for item in &order.items {
                if change
                    .hardware_profile(&item.profile)
                    .await
                    .map_err(of_store)?
                    .is_none()
                {
                    tale.remark(unknown_profile(&item.profile));
                }
            }
            tale.entry(order.number.clone(), written);
        }
        change.commit().await.map_err(of_store)?;
        self.told(tale, actor).await
    }

    /// Takes a file of hardware profiles.
    pub async fn import_profiles(
        &self,
        bytes: &[u8],
        format: Format,
        actor: &Actor,
    ) -> Result<ImportReport, Problem> {
        let entries = import::profiles(bytes, format).map_err(|faults| refused(&faults))?;
        let profiles: Vec<HardwareProfile> = entries.into_iter().map(|e| e.value).collect();
        self.put_profiles(&profiles, actor).await
    }

    pub(super) async fn put_profiles(
        &self,
        profiles: &[HardwareProfile],
        actor: &Actor,
    ) -> Result<ImportReport, Problem> {
        let now = self.core.clock.now();
        let mut tale = Tale::new("profiles");
        let mut change = self.core.store.begin().await.map_err(of_store)?;
        for profile in profiles {
            let written = change
                .put_hardware_profile(profile, now)
                .await
                .map_err(of_store)?;
            if written != Written::Same {
                for place in change
                    .placements_of_profile(&profile.name)
                    .await
                    .map_err(of_store)?
                {
                    tale.machines
                        .extend(change.machines_placed(&place).await.map_err(of_store)?);
                }
            }
            tale.entry(profile.name.clone(), written);
        }
        change.commit().await.map_err(of_store)?;
        self.told(tale, actor).await
    }

    /// Takes a rack plan. Places that are not in the file stay as they are.
    pub async fn import_racks(
        &self,
        bytes: &[u8],
        format: Format,
        actor: &Actor,
    ) -> Result<ImportReport, Problem> {
        let entries = import::racks(bytes, format).map_err(|faults| refused(&faults))?;
        let now = self.core.clock.now();
        let mut tale = Tale::new("racks");
        let mut change = self.core.store.begin().await.map_err(of_store)?;
        // All that change leave the plan before any is written: machines may swap their places within a file.
        let mut writes = Vec::new();
        for entry in &entries {
            let p = &entry.value;
            let before = change
                .placement_at(&p.room, &p.rack, p.unit)
                .await
                .map_err(of_store)?;
            let written = match &before {
                Some(before) if before == p => Written::Same,
                Some(_) => Written::Changed,
                None => Written::Added,
            };
            if let Some(before) = before.filter(|_| written == Written::Changed) {
                tale.machines
                    .extend(change.machines_placed(&before).await.map_err(of_store)?);
                change.drop_placement(&before).await.map_err(of_store)?;
            }
            if written != Written::Same {
                writes.push(entry);
            }
            tale.entry(place_name(p), written);
            remarks(&mut change, p, &mut tale).await?;
        }
        let mut faults = Vec::new();
        for entry in writes {
            let p = &entry.value;
            match change.add_placement(p, now).await.map_err(of_store)? {
                None => tale.machines.extend(change.machines_placed(p).await.map_err(of_store)?),
                Some(other) if faults.len() < 50 => faults.push(Fault {
                    line: entry.line,
                    column: 0,
                    field: "serial".to_owned(),
                    detail: format!(
                        "the machine of {} is expected at {} already: give that place another machine, or none, in the same file",
                        place_name(p),
                        place_name(&other)
                    ),
                }),
                Some(_) => {}
            }
        }
        if !faults.is_empty() {
            return Err(refused(&faults));
        }
        change.commit().await.map_err(of_store)?;
        self.told(tale, actor).await
    }

    async fn told(&self, tale: Tale, actor: &Actor) -> Result<ImportReport, Problem> {
        let machines: Vec<MachineId> = tale.machines.into_iter().collect();
        let mut report = tale.report;
        report.rechecked = self.recheck_stored(&machines, &actor.0).await?;
        tracing::info!(actor = %actor.0, kind = report.kind, added = report.added, changed = report.changed,
            unchanged = report.unchanged, rechecked = report.rechecked, "a file was imported");
        Ok(report)
    }
}

fn unknown_profile(name: &str) -> String {
    format!(
        "the hardware profile {name:?} is not known yet: import it, or make it from a machine known to be good"
    )
}

async fn remarks(
    change: &mut Change,
    p: &inventory_api::delivery::Placement,
    tale: &mut Tale,
) -> Result<(), Problem> {
    if let Some(profile) = &p.profile
        && change
            .hardware_profile(profile)
            .await
            .map_err(of_store)?
            .is_none()
    {
        tale.remark(unknown_profile(profile));
    }
    let Some(number) = &p.order else { return Ok(()) };
    match change.order(number).await.map_err(of_store)? {
        None => tale.remark(format!("the order {number:?} is not known yet: import it")),
        Some(order) => {
            if let Some(item) = &p.item
                && !order.items.iter().any(|i| i.item == *item)
            {
                tale.remark(format!("the order {number:?} has no item {item:?}"));
            }
        }
    }
    Ok(())
}
