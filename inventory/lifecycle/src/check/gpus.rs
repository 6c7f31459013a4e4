//! GPUs and other accelerators.

use inventory_api::check::{GpuProfile, code};
use inventory_api::report::{AssetReport, GpuFacts};

use super::difference::{Difference, said};
use super::findings::Findings;
use super::nics::Explained;
use super::parts::{Kind, Outcome, Place, pair};
use super::text::{memory_size, same, words};

pub(super) fn check(findings: &mut Findings, wants: &[GpuProfile], report: &AssetReport) -> Explained {
    let mut explained = Explained::default();
    if wants.is_empty() {
        return explained;
    }
    let haves = &report.gpus;
    for outcome in pair(&Gpus, wants, haves) {
        match outcome {
            // Addresses shift when another card is added.
            Outcome::Fits { .. } | Outcome::Moved { .. } | Outcome::Swapped { .. } => {}
            Outcome::Missing { want, lacking } => {
                let want = &wants[want];
                explained.is_missing(&want.pci_id, lacking);
                let what = words([want.name.as_deref(), want.pci_id.as_deref()]);
                let what = if what.is_empty() { "a GPU".to_owned() } else { what };
                let of = want.count.unwrap_or(1);
                let place = want.pci.as_deref().unwrap_or("GPUs");
                let (expected, sentence) = if of > 1 {
                    (
                        format!("{of} x {what}"),
                        format!(
                            "{lacking} of {of} accelerators {what} are missing. Check seat and power cables."
                        ),
                    )
                } else {
                    (
                        what.clone(),
                        format!("Accelerator {what} at {place} is missing. Check its seat and power cables."),
                    )
                };
                findings.add(code::GPU_MISSING, place, &expected, "missing", &sentence);
            }
            Outcome::Extra { have } => {
                let gpu = &haves[have];
                explained.is_extra(&gpu.pci_id);
                let found = words([gpu.name.as_deref(), gpu.pci_id.as_deref()]);
                let sentence = format!(
                    "Accelerator {found} at {} is there although none was ordered.",
                    gpu.pci
                );
                findings.add(code::GPU_EXTRA, &gpu.pci, "none", &found, &sentence);
            }
            Outcome::Differs { want, have } => {
                let (want, gpu) = (&wants[want], &haves[have]);
                let list = Gpus.differences(want, gpu);
                let Some(said) = said(&list) else { continue };
                if !said.unknown {
                    explained.is_missing(&want.pci_id, 1);
                    explained.is_extra(&gpu.pci_id);
                }
                let name = format!("Accelerator at {}", gpu.pci);
                findings.add_said(&gpu.pci, &name, &said, |said| {
                    format!("{name}: expected {}, found {}.", said.expected, said.found)
                });
            }
        }
    }
    explained
}

struct Gpus;

impl Kind for Gpus {
    type Want = GpuProfile;
    type Have = GpuFacts;

    fn place(&self, want: &GpuProfile) -> Option<Place> {
        Place::new("pci", want.pci.as_deref(), None)
    }

    fn places(&self, have: &GpuFacts) -> Vec<Place> {
        Place::new("pci", Some(&have.pci), None).into_iter().collect()
    }

    fn count(&self, want: &GpuProfile) -> u32 {
        want.count.unwrap_or(1)
    }

    fn shifts(&self, _: &GpuProfile) -> bool {
        true
    }

    fn differences(&self, want: &GpuProfile, have: &GpuFacts) -> Vec<Difference> {
        let mut list = Vec::new();
        for (what, wanted, is) in [
            ("PCI id", &want.pci_id, &have.pci_id),
            ("name", &want.name, &have.name),
        ] {
            if let Some(wanted) = wanted
                && !is.as_deref().is_some_and(|is| same(wanted, is))
            {
                list.push(Difference::of(code::GPU_OTHER, wanted, is.clone(), what));
            }
        }
        if let Some(memory) = want.memory.filter(|wanted| have.memory_bytes != Some(*wanted)) {
            let found = have.memory_bytes.map(memory_size);
            list.push(Difference::of(
                code::GPU_OTHER,
                memory_size(memory),
                found,
                "memory",
            ));
        }
        list
    }
}
