//! Import of files: one transaction each, then a re-check of the machines that it affects.

use std::collections::BTreeSet;

use inventory_api::MachineId;
use inventory_api::check::HardwareProfile;
use inventory_api::delivery::{Order, Placement};
use inventory_api::import::{ImportReport, Imported, ImportedEntry};

use crate::problem::Result;
use crate::{Actor, Service, Turn};
use files::import::{self, Entry, Fault, Format, Kind, refused};
use store::{StoreError, Written};

/// Most entries, and most remarks, listed in an answer.
const NAMED: usize = 100;
/// Most errors listed for one file.
const FAULTS: usize = 50;

/// An import under way.
struct Import {
    turn: Turn,
    report: ImportReport,
    /// Machines to check again.
    machines: BTreeSet<MachineId>,
}

impl Import {
    fn begin(turn: Turn, kind: Kind) -> Import {
        Import {
            turn,
            report: ImportReport {
                kind: kind.name().to_owned(),
                ..ImportReport::default()
            },
            machines: BTreeSet::new(),
        }
    }

    fn entry(&mut self, name: String, written: Written) {
        let (count, what) = match written {
            Written::Same => return self.report.unchanged += 1,
            Written::Added => (&mut self.report.added, Imported::Added),
            Written::Changed => (&mut self.report.changed, Imported::Changed),
        };
        *count += 1;
        if self.report.entries.len() < NAMED {
            self.report.entries.push(ImportedEntry { name, what });
        }
    }

    /// Notes the machines at these places, whose expectation changes.
    async fn affects(&mut self, places: &[Placement]) -> Result<(), StoreError> {
        for place in places {
            self.machines.extend(self.turn.machines_placed(place).await?);
        }
        Ok(())
    }

    fn remark(&mut self, text: String) {
        if self.report.remarks.len() < NAMED && !self.report.remarks.contains(&text) {
            self.report.remarks.push(text);
        }
    }

    /// Adds a remark if the profile is not known yet.
    async fn needs_profile(&mut self, name: &str) -> Result<(), StoreError> {
        if self.turn.hardware_profile(name).await?.is_none() {
            self.remark(format!(
                "the hardware profile {name:?} is not known yet: import it, or make it from a machine known to be good"
            ));
        }
        Ok(())
    }

    /// Adds remarks about what a place names that is not known yet.
    async fn needs_of(&mut self, place: &Placement) -> Result<(), StoreError> {
        if let Some(profile) = &place.profile {
            self.needs_profile(profile).await?;
        }
        let Some(number) = &place.order else {
            return Ok(());
        };
        match (self.turn.order(number).await?, &place.item) {
            (None, _) => self.remark(format!("the order {number:?} is not known yet: import it")),
            (Some(order), Some(item)) if !order.items.iter().any(|i| i.item == *item) => {
                self.remark(format!("the order {number:?} has no item {item:?}"));
            }
            (Some(_), _) => {}
        }
        Ok(())
    }

    async fn commit(mut self) -> Result<ImportReport> {
        let (mut report, actor) = (self.report, self.turn.actor.clone());
        report.rechecked = self.turn.recheck(&self.machines).await?;
        self.turn.commit().await?;
        tracing::info!(%actor, kind = report.kind, added = report.added, changed = report.changed,
            unchanged = report.unchanged, rechecks = report.rechecked, "a file was imported");
        Ok(report)
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
    ) -> Result<ImportReport> {
        match kind {
            Kind::Orders => self.put_orders(read(import::orders, bytes, format)?, actor).await,
            Kind::Profiles => {
                let entries = read(import::profiles, bytes, format)?;
                self.put_profiles(entries.into_iter().map(|e| e.value).collect(), actor)
                    .await
            }
            Kind::Racks => self.put_racks(read(import::racks, bytes, format)?, actor).await,
        }
    }

    async fn put_orders(&self, entries: Vec<Entry<Order>>, actor: &Actor) -> Result<ImportReport> {
        let work = async move |turn: Turn| {
            let now = turn.now;
            let mut import = Import::begin(turn, Kind::Orders);
            for Entry { value: order, .. } in entries {
                let written = import.turn.put_order(&order, now).await?;
                if written != Written::Same {
                    let places = import.turn.placements_of_order(&order.number).await?;
                    import.affects(&places).await?;
                }
                for item in &order.items {
                    import.needs_profile(&item.profile).await?;
                }
                import.entry(order.number, written);
            }
            import.commit().await
        };
        self.rechecked(self.turn(actor, work).await?).await
    }

    pub(crate) async fn put_profiles(
        &self,
        profiles: Vec<HardwareProfile>,
        actor: &Actor,
    ) -> Result<ImportReport> {
        let work = async move |turn: Turn| {
            let now = turn.now;
            let mut import = Import::begin(turn, Kind::Profiles);
            for profile in profiles {
                let written = import.turn.put_hardware_profile(&profile, now).await?;
                if written != Written::Same {
                    let places = import.turn.placements_of_profile(&profile.name).await?;
                    import.affects(&places).await?;
                }
                import.entry(profile.name, written);
            }
            import.commit().await
        };
        self.rechecked(self.turn(actor, work).await?).await
    }

    /// Places missing from the file stay as they are.
    async fn put_racks(&self, entries: Vec<Entry<Placement>>, actor: &Actor) -> Result<ImportReport> {
        let work = async move |turn: Turn| {
            let now = turn.now;
            let mut import = Import::begin(turn, Kind::Racks);
            // Remove all changed places before writing any: machines may swap places within a file.
            let mut writes = Vec::new();
            for entry in &entries {
                let place = &entry.value;
                let written = match import.turn.placement_at(place).await? {
                    Some(before) if before == *place => Written::Same,
                    Some(before) => {
                        import.affects(std::slice::from_ref(&before)).await?;
                        import.turn.drop_placement(&before).await?;
                        Written::Changed
                    }
                    None => Written::Added,
                };
                if written != Written::Same {
                    writes.push(entry);
                }
                import.entry(place.name(), written);
                import.needs_of(place).await?;
            }
            let mut faults = Vec::new();
            for Entry {
                value: place, line, ..
            } in writes
            {
                let Some(other) = import.turn.add_placement(place, now).await? else {
                    import.affects(std::slice::from_ref(place)).await?;
                    continue;
                };
                if faults.len() < FAULTS {
                    let (here, there) = (place.name(), other.name());
                    let detail = format!(
                        "the machine of {here} is expected at {there} already: give that place another machine, or none, in the same file"
                    );
                    faults.push(Fault::new(*line, 0, "serial", detail));
                }
            }
            if !faults.is_empty() {
                return Err(refused(&faults));
            }
            import.commit().await
        };
        self.rechecked(self.turn(actor, work).await?).await
    }

    /// Waits a moment for the re-checks of an import, which go on without it.
    async fn rechecked(&self, mut report: ImportReport) -> Result<ImportReport> {
        report.pending = self.await_rechecks(report.rechecked).await?;
        report.rechecked -= report.pending;
        Ok(report)
    }
}

fn read<T>(
    reader: impl Fn(&[u8], Format) -> Result<Vec<Entry<T>>, Vec<Fault>>,
    bytes: &[u8],
    format: Format,
) -> Result<Vec<Entry<T>>> {
    reader(bytes, format).map_err(|faults| refused(&faults))
}
