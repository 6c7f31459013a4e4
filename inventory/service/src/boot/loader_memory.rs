//! Which loaders worked on which NIC. Every firmware message needs this, so it is in memory; it is also in
//! the store, so that a restart does not try a failed loader again.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, OnceLock};

use inventory_api::boot::BootEvent;
use inventory_api::loader::{LoaderFailure, LoaderModel, LoaderOverview, LoaderTally, NicLoaders};
use inventory_api::{Mac, UnixMs};
use netboot_protocol::{ClientKind, Experience, Failure, Loader, NicModel, Tally, Trial};

use crate::lock::lock;

/// NICs tracked at once; when full, those with nothing worth keeping are dropped.
const LIMIT: usize = 16_384;
/// Most models, and most NICs, in an overview.
const SHOWN: usize = 1000;

/// Results of loaders, by NIC and by model.
#[derive(Default)]
pub struct Loaders {
    known: Mutex<Learned>,
    /// The loaders that this server has; unset: assume all.
    there: OnceLock<BTreeSet<Loader>>,
}

/// What was learned from the boots of machines.
#[derive(Default)]
struct Learned {
    trials: HashMap<Mac, Trial>,
    /// PCI ids of reported NICs.
    pci: HashMap<Mac, NicModel>,
    /// The trials summed up by model.
    models: HashMap<NicModel, Experience>,
}

impl Learned {
    /// The models that a NIC counts for: its PCI id, if known, and its OUI.
    fn models_of(&self, mac: Mac) -> impl Iterator<Item = NicModel> + use<> {
        self.pci
            .get(&mac)
            .copied()
            .into_iter()
            .chain([NicModel::oui(mac)])
    }

    /// The experience with NICs of the same model: by PCI id if there is any, else by OUI.
    fn experience(&self, mac: Mac) -> Option<&Experience> {
        self.models_of(mac).find_map(|model| self.models.get(&model))
    }

    /// Changes the trial of a NIC and keeps the sums by model in step.
    fn change(&mut self, mac: Mac, change: impl FnOnce(&mut Self)) {
        self.count(mac, Experience::remove);
        change(self);
        self.count(mac, Experience::add);
    }

    fn count(&mut self, mac: Mac, count: fn(&mut Experience, &Trial)) {
        let trial = self.trials.get(&mac).filter(|trial| trial.is_worth_keeping());
        let Some(trial) = trial.cloned() else {
            return;
        };
        for model in self.models_of(mac) {
            let experience = self.models.entry(model).or_default();
            count(experience, &trial);
            if experience.is_empty() {
                self.models.remove(&model);
            }
        }
    }

    fn status(&self, mac: Mac, trial: &Trial, sentence: Option<String>) -> NicLoaders {
        let failed = |(loader, why): &(Loader, Failure)| LoaderFailure {
            loader: loader.file().to_owned(),
            reason: match why {
                Failure::Refused => "refused",
                Failure::NoProgress => "no-progress",
            }
            .to_owned(),
        };
        NicLoaders {
            mac,
            model: self.pci.get(&mac).map(ToString::to_string),
            worked: trial.worked.map(|loader| loader.file().to_owned()),
            failed: trial.failed.iter().map(failed).collect(),
            sentence,
        }
    }
}

impl Loaders {
    /// Sets which loaders this server has.
    pub fn set_there(&self, there: impl IntoIterator<Item = Loader>) {
        // Called once, at the start.
        let _ = self.there.set(there.into_iter().collect());
    }

    fn sentence(&self, trial: &Trial) -> Option<String> {
        trial.sentence(|loader| self.there.get().is_none_or(|there| there.contains(&loader)))
    }

    /// Restores what the store kept.
    pub fn restore(&self, kept: Vec<(Mac, Trial)>, models: Vec<(Mac, NicModel)>) {
        let mut known = self.known();
        known.pci.extend(models);
        for (mac, trial) in kept {
            known.change(mac, |known| {
                known.trials.insert(mac, trial);
            });
        }
    }

    /// Sets the model of a NIC, from a report.
    pub(crate) fn reported(&self, mac: Mac, model: NicModel) {
        self.known().change(mac, |known| {
            known.pci.insert(mac, model);
        });
    }

    /// Learns from a boot event. `Some`: the trial to store.
    pub(crate) fn heard(&self, event: &BootEvent) -> Option<Trial> {
        let mut known = self.known();
        let mac = event.mac;
        let full = |known: &Learned| known.trials.len() >= LIMIT && !known.trials.contains_key(&mac);
        if full(&known) {
            known.trials.retain(|_, trial| trial.is_worth_keeping());
        }
        if full(&known) {
            return None;
        }
        let mut trial = known.trials.get(&mac).cloned().unwrap_or_default();
        let news = trial.heard(event).then(|| trial.clone());
        known.change(mac, |known| {
            known.trials.insert(mac, trial);
        });
        news
    }

    /// The loader to try next. The second value is the trial to store, if the firmware's restart
    /// (`restarted`) ended one.
    pub(crate) fn next(
        &self,
        mac: Mac,
        kind: ClientKind,
        restarted: bool,
        available: &dyn Fn(Loader) -> bool,
        now: UnixMs,
    ) -> (Option<Loader>, Option<Trial>) {
        let mut known = self.known();
        let mut ended = None;
        if restarted && let Some(mut trial) = known.trials.get(&mac).cloned() {
            if trial.firmware_restarts(now) {
                ended = Some(trial.clone());
            }
            known.change(mac, |known| {
                known.trials.insert(mac, trial);
            });
        }
        let (new, none) = (Trial::default(), Experience::default());
        let trial = known.trials.get(&mac).unwrap_or(&new);
        let next = trial.next(kind, known.experience(mac).unwrap_or(&none), available);
        (next, ended)
    }

    /// What is known about a NIC's loaders, for display.
    pub(crate) fn status(&self, mac: Mac) -> NicLoaders {
        let known = self.known();
        let trial = known.trials.get(&mac).cloned().unwrap_or_default();
        known.status(mac, &trial, self.sentence(&trial))
    }

    /// Everything that is known, for display: each model, and each NIC on which the first loader of its list
    /// did not work.
    pub(crate) fn overview(&self) -> LoaderOverview {
        let known = self.known();
        let model = |(model, experience): (&NicModel, &Experience)| LoaderModel {
            model: model.to_string(),
            kind: match model {
                NicModel::Pci(..) => "pci",
                NicModel::Oui(_) => "oui",
            }
            .to_owned(),
            loaders: experience.iter().map(tally).collect(),
        };
        let mut models: Vec<LoaderModel> = known.models.iter().map(model).collect();
        models.sort_by(|a, b| (&b.kind, &a.model).cmp(&(&a.kind, &b.model)));
        models.truncate(SHOWN);
        let unusual =
            |(mac, trial): (&Mac, &Trial)| Some(known.status(*mac, trial, Some(self.sentence(trial)?)));
        let mut nics: Vec<NicLoaders> = known.trials.iter().filter_map(unusual).collect();
        nics.sort_by_key(|nic| nic.mac);
        nics.truncate(SHOWN);
        LoaderOverview { models, nics }
    }

    /// Forgets a NIC's trial, so that it starts with the first loader.
    pub(crate) fn forget(&self, mac: Mac) {
        self.known().change(mac, |known| {
            known.trials.remove(&mac);
        });
    }

    /// The NICs that contributed to a model's experience.
    pub(crate) fn nics_of(&self, model: NicModel) -> Vec<Mac> {
        let known = self.known();
        let is = |mac: &&Mac| known.models_of(**mac).any(|other| other == model);
        known.trials.keys().filter(is).copied().collect()
    }

    fn known(&self) -> MutexGuard<'_, Learned> {
        lock(&self.known)
    }
}

fn tally((loader, tally): (Loader, Tally)) -> LoaderTally {
    LoaderTally {
        loader: loader.file().to_owned(),
        worked: tally.worked,
        failed: tally.failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inventory_api::boot::BootEventKind;

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

    fn event(mac: Mac, at: i64, what: BootEventKind) -> BootEvent {
        BootEvent {
            at: UnixMs(at),
            mac,
            ip: None,
            network: None,
            what,
        }
    }

    fn told(mac: Mac) -> BootEvent {
        let what = BootEventKind::Dhcp {
            message: "request".into(),
            client: "uefi-x64".into(),
            answer: "ack".into(),
            boot_file: Some("snponly.efi".into()),
            facts: Default::default(),
        };
        event(mac, 0, what)
    }

    fn ask(loaders: &Loaders, restarted: bool, now: i64) -> (Option<Loader>, Option<Trial>) {
        loaders.next(
            MAC,
            ClientKind::UefiX64,
            restarted,
            &|l| l != Loader::SignedIpxe,
            UnixMs(now),
        )
    }

    #[test]
    fn a_refused_loader_is_kept_over_a_restart_and_forgotten_on_request() {
        let loaders = Loaders::default();
        assert_eq!(ask(&loaders, true, 0).0, Some(Loader::Snponly));
        assert_eq!(loaders.heard(&told(MAC)), None);
        let fetched = BootEventKind::Tftp {
            file: "snponly.efi".into(),
            bytes: 1,
            complete: true,
            end: Default::default(),
            block: None,
        };
        assert_eq!(loaders.heard(&event(MAC, 10, fetched)), None);
        let (next, kept) = ask(&loaders, true, 20);
        let kept = kept.expect("a refusal is worth keeping");
        assert_eq!(
            (next, &kept.failed[..]),
            (Some(Loader::Signed), &[(Loader::Snponly, Failure::Refused)][..])
        );
        assert_eq!(
            ask(&loaders, false, 30),
            (Some(Loader::Signed), None),
            "its REQUEST is no new attempt"
        );

        let after = Loaders::default();
        after.restore(vec![(MAC, kept)], vec![]);
        assert_eq!(ask(&after, true, 40).0, Some(Loader::Signed));
        after.forget(MAC);
        assert_eq!(ask(&after, true, 50).0, Some(Loader::Snponly));
        assert_eq!(after.known().trials.get(&MAC), None);
    }

    #[test]
    fn the_second_machine_of_a_model_begins_with_what_worked_on_the_first() {
        let loaders = Loaders::default();
        let learned = |loader, failed| {
            let mut trial = Trial::default();
            (trial.worked, trial.overcome) = (Some(loader), failed);
            trial
        };
        let ask = |mac| {
            loaders
                .next(mac, ClientKind::UefiX64, true, &|_| true, UnixMs(0))
                .0
        };
        let (sibling, stranger) = (Mac([2, 0, 0, 9, 9, 9]), Mac([4, 0, 0, 0, 0, 1]));
        let (model, other) = (NicModel::Pci(0x8086, 0x1533), NicModel::Pci(0x14e4, 0x165f));
        loaders.restore(
            vec![(MAC, learned(Loader::IpxeEfi, vec![Loader::Snponly]))],
            vec![(MAC, model)],
        );
        assert_eq!(ask(sibling), Some(Loader::IpxeEfi), "by its OUI");
        assert_eq!(ask(stranger), Some(Loader::Snponly));
        // Its report shows the same card under another OUI. A card of another model uses its own model's
        // experience.
        loaders.reported(stranger, model);
        assert_eq!(ask(stranger), Some(Loader::IpxeEfi), "by its PCI id");
        loaders.restore(
            vec![(Mac([6, 0, 0, 0, 0, 1]), learned(Loader::Snponly, vec![]))],
            vec![(Mac([6, 0, 0, 0, 0, 1]), other)],
        );
        loaders.reported(sibling, other);
        assert_eq!(
            ask(sibling),
            Some(Loader::Snponly),
            "the PCI id says more than the OUI"
        );

        let models = loaders.overview().models;
        let names: Vec<&str> = models.iter().map(|m| m.model.as_str()).collect();
        assert_eq!(names, ["14e4:165f", "8086:1533", "02:00:00", "06:00:00"]);
        assert_eq!(loaders.nics_of(model), [MAC]);
        loaders.forget(MAC);
        assert_eq!(
            ask(stranger),
            Some(Loader::Snponly),
            "what was learned went with its NIC"
        );
        assert_eq!(loaders.overview().models.len(), 2);
    }

    #[test]
    fn a_flood_of_macs_is_bounded_and_takes_nothing_from_those_with_a_past() {
        let loaders = Loaders::default();
        let mut worked = Trial::default();
        worked.worked = Some(Loader::Signed);
        loaders.restore(vec![(MAC, worked.clone())], vec![]);
        for n in 0..2 * LIMIT as u32 {
            let [a, b, c, d] = n.to_be_bytes();
            loaders.heard(&told(Mac([4, 0, a, b, c, d])));
        }
        assert!(loaders.known().trials.len() <= LIMIT);
        assert_eq!(loaders.known().trials.get(&MAC), Some(&worked));
    }
}
