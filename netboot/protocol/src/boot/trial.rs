//! Which loader a machine gets, and what happens after one that makes no progress.
//!
//! A loader has failed if the firmware fetched all of it and then starts DHCP again, although nothing was
//! heard that only the loader could have sent. Firmware whose Secure Boot refuses a loader goes to its next
//! boot entry at once (10 ms after the last block in OVMF, measured). If a loader's
//! network driver does not work, the machine comes back after the loader's own attempts or a reset.

use inventory_api::UnixMs;
use inventory_api::boot::{BootEvent, BootEventKind};
use serde::{Deserialize, Serialize};

use crate::boot::architecture::ClientKind;
use crate::boot::experience::{Experience, Tally};
use crate::boot::loader::Loader;

/// Firmware that comes back within this time after fetching the whole loader never started it. Milliseconds;
/// a loader that runs needs longer to find out that it cannot work.
const REFUSED_WITHIN_MS: u64 = 2_500;

/// The loader that a path or URL ends with.
fn of_path(path: &str) -> Option<Loader> {
    let name = path.rsplit('/').next().unwrap_or(path);
    Loader::ALL.into_iter().find(|loader| loader.file() == name)
}

/// Why a loader is not given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// Fetched completely, and the firmware asked again at once: Secure Boot refused it.
    Refused,
    /// Fetched completely, without progress.
    NoProgress,
}

/// The history of a machine's loaders.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Trial {
    /// The loader that got the machine to its boot script.
    pub worked: Option<Loader>,
    /// Loaders that failed, and why. Empty after one worked.
    pub failed: Vec<(Loader, Failure)>,
    /// Loaders that had failed when one worked: irrelevant for this NIC now, but a hint for others of its
    /// model.
    pub overcome: Vec<Loader>,
    /// The loader last given to the firmware.
    #[serde(skip)]
    given: Option<Loader>,
    /// When the firmware had fetched all of it.
    #[serde(skip)]
    fetched: Option<UnixMs>,
}

impl Trial {
    /// Records an event of the machine. Returns whether anything worth storing changed.
    pub fn heard(&mut self, event: &BootEvent) -> bool {
        match &event.what {
            // MACs are easily forged in two datagrams, and what we learn is stored: believe this only after a
            // complete fetch. A script, given only to a lease holder, proves the same a moment later.
            BootEventKind::Dhcp { client, .. }
                if self.fetched.is_some() && matches!(client.as_str(), "ipxe" | "ipxe-v6") =>
            {
                self.progress()
            }
            BootEventKind::Dhcp {
                answer,
                boot_file: Some(file),
                ..
            } if answer.gives() => {
                if let Some(loader) = of_path(file) {
                    if self.given != Some(loader) {
                        self.fetched = None;
                    }
                    self.given = Some(loader);
                }
                false
            }
            BootEventKind::Dhcp { .. } => false,
            BootEventKind::Tftp {
                file, complete: true, ..
            } => self.fetched_file(file, event.at),
            // A client that fetched only the length has no loader that could fail.
            BootEventKind::Http { path, head: true, .. } if of_path(path).is_some() => false,
            BootEventKind::Http {
                path,
                status: 200,
                partial: false,
                ..
            } => self.fetched_file(path, event.at),
            BootEventKind::Script { .. } | BootEventKind::Chosen { .. } => self.progress(),
            BootEventKind::Tftp { .. }
            | BootEventKind::Http { .. }
            | BootEventKind::Connection { .. }
            | BootEventKind::Agent { .. } => false,
        }
    }

    fn fetched_file(&mut self, path: &str, at: UnixMs) -> bool {
        match of_path(path) {
            Some(loader) if self.given == Some(loader) => {
                self.fetched = Some(at);
                false
            }
            // Another loader than the one given: an old answer, or a person typing names.
            Some(_) => false,
            // Only a running loader asks for this.
            None => self.progress(),
        }
    }

    fn progress(&mut self) -> bool {
        let Some(loader) = self.given.take() else {
            return false;
        };
        self.fetched = None;
        let changed = self.worked != Some(loader) || !self.failed.is_empty();
        self.worked = Some(loader);
        if !self.failed.is_empty() {
            self.overcome = self.failed.drain(..).map(|(loader, _)| loader).collect();
        }
        self.overcome.retain(|other| *other != loader);
        changed
    }

    /// The firmware starts DHCP again. Returns whether this means that its last loader failed.
    pub fn firmware_restarts(&mut self, now: UnixMs) -> bool {
        let (Some(loader), Some(fetched)) = (self.given, self.fetched.take()) else {
            return false;
        };
        let why = if now.since(fetched) <= REFUSED_WITHIN_MS && !loader.is_signed() {
            Failure::Refused
        } else {
            Failure::NoProgress
        };
        self.given = None;
        if self.worked == Some(loader) {
            self.worked = None;
        }
        self.failed.retain(|(other, _)| *other != loader);
        self.failed.push((loader, why));
        true
    }

    /// Whether its firmware refused a loader, or started only a signed one: then its history is about Secure
    /// Boot.
    fn is_secure_boot(&self) -> bool {
        self.failed.iter().any(|(_, why)| *why == Failure::Refused)
            || self.worked.is_some_and(Loader::is_signed)
    }

    fn has_failed(&self, loader: Loader) -> bool {
        self.failed.iter().any(|(failed, _)| *failed == loader)
    }

    /// Every loader that failed, before or after one worked.
    fn ever_failed(&self) -> impl Iterator<Item = Loader> + '_ {
        let now = self.failed.iter().map(|(loader, _)| *loader);
        let before = self.overcome.iter().copied();
        now.chain(before.filter(|loader| !self.has_failed(*loader)))
    }

    /// The next loader among those `available`: the one that worked; a signed one if Secure Boot refused
    /// another; else the first that has not failed. If all have failed, the first again. `model` is the
    /// experience with other NICs of the model and decides the order.
    pub fn next(
        &self,
        kind: ClientKind,
        model: &Experience,
        available: impl Fn(Loader) -> bool,
    ) -> Option<Loader> {
        let mut list = Loader::list(kind).to_vec();
        list.retain(|loader| available(*loader));
        model.sort(&mut list);
        let find = |fits: &dyn Fn(Loader) -> bool| list.iter().copied().find(|loader| fits(*loader));
        let refused = self.failed.iter().any(|(_, why)| *why == Failure::Refused);
        find(&|loader| self.worked == Some(loader))
            .or_else(|| find(&|loader| refused && loader.is_signed() && !self.has_failed(loader)))
            .or_else(|| find(&|loader| !self.has_failed(loader)))
            .or(list.first().copied())
    }

    /// Whether it differs from a fresh history.
    pub fn is_worth_keeping(&self) -> bool {
        self.worked.is_some() || !self.failed.is_empty()
    }

    /// A message for the operator; `None` while the first loader of the list works. `available`: the loaders
    /// this server has.
    pub fn sentence(&self, available: impl Fn(Loader) -> bool) -> Option<String> {
        let failed: Vec<String> = self
            .failed
            .iter()
            .map(|(loader, why)| {
                let then = match why {
                    Failure::Refused => "refused at once, as Secure Boot does with unsigned programs",
                    Failure::NoProgress => "made no progress",
                };
                format!("{} was fetched completely and {then}", loader.file())
            })
            .collect();
        let Some((last, why)) = self.failed.last() else {
            return match self.worked {
                None | Some(Loader::Undionly | Loader::Snponly) => None,
                Some(loader) => Some(format!("It boots with {}.", loader.file())),
            };
        };
        let next = last
            .siblings()
            .iter()
            .copied()
            .find(|loader| available(*loader) && !self.has_failed(*loader));
        let then = match (next, why) {
            (Some(_), _) => "another loader is next",
            (None, Failure::Refused) => {
                "there is no other loader: switch off Secure Boot in the firmware setup, or install Debian's packages \
                 shim-signed and grub-efi-amd64-signed on the server and restart it"
            }
            (None, Failure::NoProgress) => {
                "all loaders have been tried: look at the machine's console, or boot through another NIC"
            }
        };
        Some(format!("{}: {then}.", failed.join("; ")))
    }
}

impl Experience {
    /// Counts a NIC. Secure Boot depends on the machine and says nothing about the NIC's model, so it does
    /// not count.
    pub fn add(&mut self, trial: &Trial) {
        self.count(trial, |count| *count += 1);
    }

    /// Undoes [`Experience::add`] for the same trial.
    pub fn remove(&mut self, trial: &Trial) {
        self.count(trial, |count| *count = count.saturating_sub(1));
        self.0.retain(|_, tally| *tally != Tally::default());
    }

    fn count(&mut self, trial: &Trial, change: fn(&mut u32)) {
        if trial.is_secure_boot() {
            return;
        }
        if let Some(worked) = trial.worked {
            change(&mut self.0.entry(worked).or_default().worked);
        }
        for loader in trial.ever_failed() {
            change(&mut self.0.entry(loader).or_default().failed);
        }
    }
}

#[cfg(test)]
mod tests;
