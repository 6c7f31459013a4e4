//! EDAC: errors counted by the memory controllers since boot.
//!
//! /sys/devices/system/edac/mc/mcN has its own counters and one folder per DIMM (`dimmN`) or rank (`rankN`),
//! depending on the driver (seen in the field); older kernels have `csrowN`. So EDAC gives errors, but never
//! the list of modules.

use inventory_api::report::EdacCounter;

use super::roots::{Roots, attribute, is_numbered, names, number};
use super::{Problems, clean};

const LIMIT: usize = 1024;

/// The controllers' counters: one per DIMM or rank, and one for errors a controller could not locate.
pub(super) fn collect(roots: &Roots, problems: &mut Problems) -> Vec<EdacCounter> {
    let folder = roots.sys("devices/system/edac/mc");
    let controllers = problems.names(&folder);
    let mut counters = Vec::new();
    for controller in controllers.iter().filter(|name| is_numbered(name, "mc")) {
        let folder = folder.join(controller);
        let count = |path: &str| number(&folder.join(path));
        let counter = |label: Option<String>, corrected, uncorrected| EdacCounter {
            controller: controller.clone(),
            label,
            corrected,
            uncorrected,
        };
        let parts = names(&folder);
        let mut placed = false;
        for part in parts
            .iter()
            .filter(|name| is_numbered(name, "dimm") || is_numbered(name, "rank"))
        {
            let label =
                attribute(&folder.join(part).join("dimm_label")).and_then(|label| clean::place(&label));
            counters.push(counter(
                Some(label.unwrap_or_else(|| part.clone())),
                count(&format!("{part}/dimm_ce_count")),
                count(&format!("{part}/dimm_ue_count")),
            ));
            placed = true;
        }
        if !placed {
            for part in parts.iter().filter(|name| is_numbered(name, "csrow")) {
                counters.push(counter(
                    Some(part.clone()),
                    count(&format!("{part}/ce_count")),
                    count(&format!("{part}/ue_count")),
                ));
                placed = true;
            }
        }
        // With parts: errors that belong to no part. Without: all errors.
        let (corrected, uncorrected) = match placed {
            true => (count("ce_noinfo_count"), count("ue_noinfo_count")),
            false => (count("ce_count"), count("ue_count")),
        };
        if !placed || corrected.unwrap_or(0) > 0 || uncorrected.unwrap_or(0) > 0 {
            counters.push(counter(None, corrected, uncorrected));
        }
    }
    problems.keep(&mut counters, LIMIT, "edac", "counters");
    counters
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collected(files: &[(&str, &str)]) -> Vec<EdacCounter> {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join("sys/devices/system/edac/mc").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let mut problems = Problems::new("memory");
        let counters = collect(&Roots::under(dir.path()), &mut problems);
        assert!(problems.found.is_empty(), "{problems:?}");
        counters
    }

    fn counter(controller: &str, label: Option<&str>, corrected: u64, uncorrected: u64) -> EdacCounter {
        EdacCounter {
            controller: controller.to_owned(),
            label: label.map(str::to_owned),
            corrected: Some(corrected),
            uncorrected: Some(uncorrected),
        }
    }

    #[test]
    fn errors_are_counted_per_dimm_and_unlocated_ones_apart() {
        let label = "CPU_SrcID#0_MC#0_Chan#0_DIMM#0";
        let counters = collected(&[
            ("mc0/dimm0/dimm_label", "CPU_SrcID#0_MC#0_Chan#0_DIMM#0\n"),
            ("mc0/dimm0/dimm_ce_count", "7\n"),
            ("mc0/dimm0/dimm_ue_count", "0\n"),
            ("mc0/dimm10/dimm_ce_count", "0\n"),
            ("mc0/dimm10/dimm_ue_count", "1\n"),
            ("mc0/ce_noinfo_count", "0\n"),
            ("mc0/ue_noinfo_count", "2\n"),
            ("mc0/ce_count", "7\n"),
            ("mc0/csrow0/ce_count", "7\n"),
            ("power/control", "auto\n"),
        ]);
        assert_eq!(
            counters,
            [
                counter("mc0", Some(label), 7, 0),
                counter("mc0", Some("dimm10"), 0, 1),
                counter("mc0", None, 0, 2)
            ]
        );
    }

    #[test]
    fn an_older_kernel_has_rows_or_the_controller_alone() {
        let counters = collected(&[
            ("mc0/csrow0/ce_count", "1\n"),
            ("mc0/csrow0/ue_count", "0\n"),
            ("mc1/ce_count", "5\n"),
            ("mc1/ue_count", "0\n"),
        ]);
        assert_eq!(
            counters,
            [counter("mc0", Some("csrow0"), 1, 0), counter("mc1", None, 5, 0)]
        );
    }
}
