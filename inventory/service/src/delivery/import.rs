//! Import of files: one transaction each, then a re-check of the machines that it affects.

use std::collections::BTreeSet;

use inventory_api::check::HardwareProfile;
use inventory_api::delivery::{Order, Placement};
use inventory_api::import::{ImportReport, Imported, ImportedEntry};
use inventory_api::{MachineId, Problem};

use crate::{Actor, Service};
use files::import::{self, Entry, Fault, Format, Kind, place_name, refused};
use store::{Change, Written};

/// Most entries, and most remarks, listed in an answer.
const NAMED: usize = 100;

/// Collects the result of an import.
struct Tale {
    report: ImportReport,
    /// Machines to check again.
    machines: BTreeSet<MachineId>,
}

impl Tale {
    fn new(kind: Kind) -> Tale {
        Tale {
            report: ImportReport {
                kind: kind.name().to_owned(),
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

    /// Notes the machines at these places, whose expectation changes.
    async fn affects(&mut self, change: &mut Change, places: &[Placement]) -> Result<(), Problem> {
        for place in places {
            self.machines.extend(change.machines_placed(place).await?);
        }
        Ok(())
    }

    fn remark(&mut self, text: String) {
        if self.report.remarks.len() < NAMED && !self.report.remarks.contains(&text) {
            self.report.remarks.push(text);
        }
    }
}

impl Service {
    /// Imports a file of this kind, completely or not at all.
    pub async fn import(
        &self,
        kind: Kind,
        bytes: &[u8],
        format: Format,
        actor: &Actor,
    ) -> Result<ImportReport, Problem> {
        match kind {
            Kind::Orders => {
                self.put_orders(&read(import::orders, bytes, format)?, actor)
                    .await
            }
            Kind::Profiles => {
                let entries = read(import::profiles, bytes, format)?;
                let profiles: Vec<HardwareProfile> = entries.into_iter().map(|e| e.value).collect();
                self.put_profiles(&profiles, actor).await
            }
            Kind::Racks => self.put_racks(&read(import::racks, bytes, format)?, actor).await,
        }
    }

    async fn put_orders(&self, entries: &[Entry<Order>], actor: &Actor) -> Result<ImportReport, Problem> {
        let now = self.core.clock.now();
        let mut tale = Tale::new(Kind::Orders);
        let mut change = self.core.store.begin().await?;
        for Entry { value: order, .. } in entries {
            let written = change.put_order(order, now).await?;
            if written != Written::Same {
                let places = change.placements_of_order(&order.number).await?;
                tale.affects(&mut change, &places).await?;
            }
            for item in &order.items {
                known_profile(&mut change, &item.profile, &mut tale).await?;
            }
            tale.entry(order.number.clone(), written);
        }
        self.told(change, tale, actor).await
    }

    pub(super) async fn put_profiles(
        &self,
        profiles: &[HardwareProfile],
        actor: &Actor,
    ) -> Result<ImportReport, Problem> {
        let now = self.core.clock.now();
        let mut tale = Tale::new(Kind::Profiles);
        let mut change = self.core.store.begin().await?;
        for profile in profiles {
            let written = change.put_hardware_profile(profile, now).await?;
            if written != Written::Same {
                let places = change.placements_of_profile(&profile.name).await?;
                tale.affects(&mut change, &places).await?;
            }
            tale.entry(profile.name.clone(), written);
        }
        self.told(change, tale, actor).await
    }

    /// Places missing from the file stay as they are.
    async fn put_racks(&self, entries: &[Entry<Placement>], actor: &Actor) -> Result<ImportReport, Problem> {
        let now = self.core.clock.now();
        let mut tale = Tale::new(Kind::Racks);
        let mut change = self.core.store.begin().await?;
        // Remove all changed places before writing any: machines may swap places within a file.
        let mut writes = Vec::new();
        for entry in entries {
            let p = &entry.value;
            let before = change.placement_at(p).await?;
            let written = match &before {
                Some(before) if before == p => Written::Same,
                Some(_) => Written::Changed,
                None => Written::Added,
            };
            if let Some(before) = before.filter(|_| written == Written::Changed) {
                tale.affects(&mut change, std::slice::from_ref(&before)).await?;
                change.drop_placement(&before).await?;
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
            match change.add_placement(p, now).await? {
                None => tale.affects(&mut change, std::slice::from_ref(p)).await?,
                Some(other) if faults.len() < 50 => {
                    let (here, there) = (place_name(p), place_name(&other));
                    let detail = format!(
                        "the machine of {here} is expected at {there} already: give that place another machine, or none, in the same file"
                    );
                    faults.push(Fault::new(entry.line, 0, "serial", detail));
                }
                Some(_) => {}
            }
        }
        if !faults.is_empty() {
            return Err(refused(&faults));
        }
        self.told(change, tale, actor).await
    }

    async fn told(&self, change: Change, tale: Tale, actor: &Actor) -> Result<ImportReport, Problem> {
        let mut report = tale.report;
        report.pending = self.commit_and_recheck(change, &tale.machines, actor).await?;
        report.rechecked = tale.machines.len() as u32 - report.pending;
        tracing::info!(%actor, kind = report.kind, added = report.added, changed = report.changed,
            unchanged = report.unchanged, rechecks = tale.machines.len(), "a file was imported");
        Ok(report)
    }
}

fn read<T>(
    reader: impl Fn(&[u8], Format) -> Result<Vec<Entry<T>>, Vec<Fault>>,
    bytes: &[u8],
    format: Format,
) -> Result<Vec<Entry<T>>, Problem> {
    reader(bytes, format).map_err(|faults| refused(&faults))
}

/// Adds a remark if the profile does not exist yet.
async fn known_profile(change: &mut Change, name: &str, tale: &mut Tale) -> Result<(), Problem> {
    if change.hardware_profile(name).await?.is_none() {
        tale.remark(format!(
            "the hardware profile {name:?} is not known yet: import it, or make it from a machine known to be good"
        ));
    }
    Ok(())
}

async fn remarks(change: &mut Change, p: &Placement, tale: &mut Tale) -> Result<(), Problem> {
    if let Some(profile) = &p.profile {
        known_profile(change, profile, tale).await?;
    }
    let Some(number) = &p.order else { return Ok(()) };
    match change.order(number).await? {
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
