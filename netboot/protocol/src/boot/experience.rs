//! How the loaders fared on NICs of one model: the first guess for a NIC without history of its own.
//!
//! At the first DISCOVER, a server knows only a NIC's MAC and the kind of its firmware; the PCI id comes with
//! the machine's report. So experience is kept under both: the PCI id where known, else the MAC's OUI. The
//! kind of firmware is implied, since each loader is for one kind.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use inventory_api::Mac;

use crate::boot::loader::Loader;

/// What NICs of one model have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NicModel {
    /// PCI vendor and device.
    Pci(u16, u16),
    /// The first three bytes of the MAC: its maker, and often the series.
    Oui([u8; 3]),
}

impl NicModel {
    /// The model that any MAC tells.
    pub fn oui(mac: Mac) -> NicModel {
        let [a, b, c, ..] = mac.0;
        NicModel::Oui([a, b, c])
    }
}

impl fmt::Display for NicModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NicModel::Pci(vendor, device) => write!(f, "{vendor:04x}:{device:04x}"),
            NicModel::Oui([a, b, c]) => write!(f, "{a:02x}:{b:02x}:{c:02x}"),
        }
    }
}

impl FromStr for NicModel {
    type Err = ();

    /// "8086:10d3" or "52:54:00".
    fn from_str(text: &str) -> Result<NicModel, ()> {
        let words: Result<Vec<Vec<u8>>, _> = text.split(':').map(hex::decode).collect();
        let words = words.map_err(|_| ())?;
        match words.iter().map(Vec::as_slice).collect::<Vec<_>>()[..] {
            [&[a, b], &[c, d]] => {
                let number = u16::from_be_bytes;
                Ok(NicModel::Pci(number([a, b]), number([c, d])))
            }
            [&[a], &[b], &[c]] => Ok(NicModel::Oui([a, b, c])),
            _ => Err(()),
        }
    }
}

/// The number of NICs of a model that a loader worked or failed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// NICs that boot with it.
    pub worked: u32,
    /// NICs that fetched it completely and made no progress.
    pub failed: u32,
}

/// How the loaders fared on all NICs of one model. Each NIC counts once, however often it boots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Experience(pub(super) BTreeMap<Loader, Tally>);

impl Experience {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The loaders with a tally.
    pub fn iter(&self) -> impl Iterator<Item = (Loader, Tally)> + '_ {
        self.0.iter().map(|(loader, tally)| (*loader, *tally))
    }

    /// Sorts loaders into the order in which a NIC of this model tries them: those that worked on more NICs
    /// than they failed on, those never tried, the others. The sort is stable.
    pub fn sort(&self, list: &mut [Loader]) {
        list.sort_by_key(|loader| {
            let Tally { worked, failed } = self.0.get(loader).copied().unwrap_or_default();
            match worked.cmp(&failed) {
                std::cmp::Ordering::Greater => 0,
                std::cmp::Ordering::Equal if failed == 0 => 1,
                std::cmp::Ordering::Equal | std::cmp::Ordering::Less => 2,
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::architecture::ClientKind;
    use crate::boot::trial::{Failure, Trial};

    fn trial(worked: Option<Loader>, failed: &[Loader]) -> Trial {
        let mut trial = Trial::default();
        trial.worked = worked;
        trial.failed = failed.iter().map(|l| (*l, Failure::NoProgress)).collect();
        trial
    }

    fn first(experience: &Experience, own: &Trial) -> Loader {
        own.next(ClientKind::Bios, experience, |_| true).unwrap()
    }

    #[test]
    fn a_new_nic_starts_with_what_worked_on_its_model_but_its_own_history_wins() {
        let mut model = Experience::default();
        let fresh = Trial::default();
        assert_eq!(first(&model, &fresh), Loader::Undionly);
        // One machine on which the first loader failed.
        let learned = trial(Some(Loader::IpxeBios), &[Loader::Undionly]);
        model.add(&learned);
        assert_eq!(first(&model, &fresh), Loader::IpxeBios);
        assert_eq!(
            first(&model, &trial(Some(Loader::Undionly), &[])),
            Loader::Undionly
        );
        assert_eq!(first(&model, &trial(None, &[Loader::IpxeBios])), Loader::Undionly);
        // This does not affect firmware of another kind.
        assert_eq!(
            fresh.next(ClientKind::UefiX64, &model, |_| true),
            Some(Loader::Snponly)
        );
        // It works on most of them: that one machine was the exception.
        model.add(&trial(Some(Loader::Undionly), &[]));
        model.add(&trial(Some(Loader::Undionly), &[]));
        assert_eq!(first(&model, &fresh), Loader::Undionly);
        model.remove(&learned);
        assert!(
            model
                .iter()
                .eq([(Loader::Undionly, Tally { worked: 2, failed: 0 })])
        );
        model.remove(&trial(Some(Loader::Undionly), &[]));
        model.remove(&trial(Some(Loader::Undionly), &[]));
        assert!(model.is_empty());
    }

    #[test]
    fn a_loader_that_only_failed_comes_after_untried_ones() {
        let mut model = Experience::default();
        model.add(&trial(None, &[Loader::Snponly]));
        let mut list = Loader::list(ClientKind::UefiX64).to_vec();
        model.sort(&mut list);
        let expected = [
            Loader::SignedIpxe,
            Loader::Signed,
            Loader::IpxeEfi,
            Loader::Snponly,
        ];
        assert_eq!(list, expected);
    }

    #[test]
    fn secure_boot_on_one_machine_does_not_affect_others() {
        let mut refused = Trial::default();
        refused.failed = vec![(Loader::Snponly, Failure::Refused)];
        let signed = trial(Some(Loader::Signed), &[]);
        let mut after = trial(Some(Loader::Signed), &[]);
        after.overcome = vec![Loader::Snponly];
        let next = |model: &Experience| Trial::default().next(ClientKind::UefiX64, model, |_| true);
        for secure in [refused, signed, after] {
            let mut model = Experience::default();
            model.add(&secure);
            assert!(model.is_empty(), "{secure:?}");
            assert_eq!(next(&model), Some(Loader::Snponly));
            model.remove(&secure);
            assert!(model.is_empty());
        }
    }

    #[test]
    fn nic_models_round_trip_as_text() {
        for text in ["8086:10d3", "52:54:00"] {
            assert_eq!(text.parse::<NicModel>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "8086",
            "8086:10d",
            "8086:10d3:1",
            "52:54:0g",
            "+086:10d3",
            "52:54:00:00",
        ] {
            assert!(text.parse::<NicModel>().is_err(), "{text:?}");
        }
        assert_eq!(
            NicModel::oui(Mac([0x52, 0x54, 0, 1, 2, 3])).to_string(),
            "52:54:00"
        );
    }
}
