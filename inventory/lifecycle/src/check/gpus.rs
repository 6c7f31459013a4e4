//! GPUs and other accelerators.

use inventory_api::check::{GpuProfile, code};
use inventory_api::report::{AssetReport, GpuFacts};
use inventory_api::text::memory_size;

use super::difference::Differences;
use super::findings::Findings;
use super::parts::{Kind, Outcome, Place, pair};
use super::pci::Explained;
use super::text::{same, words, words_or};

pub(super) fn check(
    findings: &mut Findings,
    wants: &[GpuProfile],
    report: &AssetReport,
    explained: &mut Explained,
) {
    if wants.is_empty() {
        return;
    }
    let haves = &report.gpus;
    for outcome in pair(&Gpus, wants, haves) {
        match outcome {
            // Addresses shift when another card is added.
            Outcome::Fits { .. } | Outcome::Moved { .. } | Outcome::Swapped { .. } => {}
            Outcome::Missing { want, lacking } => {
                let want = &wants[want];
                explained.is_missing(&want.pci_id, lacking);
                let what = words_or("a GPU", [want.name.as_deref(), want.pci_id.as_deref()]);
                let of = want.count.unwrap_or(1);
                let place = want.pci.as_deref().unwrap_or("GPUs");
                let sentence = match of {
                    0 | 1 => {
                        format!("Accelerator {what} at {place} is missing. Check its seat and power cables.")
                    }
                    _ => format!(
                        "{lacking} of {of} accelerators {what} are missing. Check seat and power cables."
                    ),
                };
                let expected = if of > 1 { format!("{of} x {what}") } else { what };
                findings.add(code::GPU_MISSING, place, &expected, "missing", &sentence);
            }
            Outcome::Extra { have } => {
                let gpu = &haves[have];
                explained.is_extra(&gpu.pci_id);
                let found = words([gpu.name.as_deref(), gpu.pci_id.as_deref()]);
                let name = format!("Accelerator {found} at {}", gpu.pci);
                let sentence = format!("{name} is there although none was ordered.");
                findings.add(code::GPU_EXTRA, &gpu.pci, "none", &found, &sentence);
            }
            Outcome::Differs { want, have } => {
                let (want, gpu) = (&wants[want], &haves[have]);
                let list = Gpus.differences(want, gpu);
                let Some(said) = list.said() else { continue };
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

    fn differences(&self, want: &GpuProfile, have: &GpuFacts) -> Differences {
        let mut list = Differences::default();
        list.text(code::GPU_OTHER, "PCI id", &want.pci_id, &have.pci_id, same);
        list.text(code::GPU_OTHER, "name", &want.name, &have.name, same);
        let (wanted, is) = (want.memory, have.memory_bytes);
        list.exact(code::GPU_OTHER, "memory", wanted, is, memory_size);
        list
    }
}
