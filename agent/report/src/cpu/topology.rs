//! Sockets, cores and threads from sysfs.

use std::collections::HashSet;
use std::path::Path;

use super::super::roots::{Roots, attribute, number};
use super::count;
use super::info::Kind;

/// Where one thread is. Ids are unique only within the level above; the kernel's sibling lists are globally
/// unique.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    /// physical_package_id; -1 if the firmware does not provide it (ARM and RISC-V without a PPTT).
    package: Option<i64>,
    package_siblings: Option<String>,
    core: Option<i64>,
    core_siblings: Option<String>,
    /// The kernel (from 5.16) distinguishes clusters and packages.
    clustered: bool,
}

/// The online threads; an offline one has no topology.
pub(super) struct Topology(Vec<Place>);

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub sockets: Option<u32>,
    pub cores: Option<u32>,
    pub threads: Option<u32>,
    /// Absent if the cores differ.
    pub threads_per_core: Option<u32>,
}

impl Topology {
    /// None if no thread has topology.
    pub fn read(roots: &Roots, threads: &[String]) -> Option<Topology> {
        let folder = roots.sys("devices/system/cpu");
        let places: Vec<Place> = threads
            .iter()
            .filter_map(|thread| Place::read(&folder.join(thread).join("topology")))
            .collect();
        (!places.is_empty()).then_some(Topology(places))
    }

    pub fn counts(&self, kind: Kind) -> Counts {
        let package = |p: &Place| {
            p.package_siblings
                .clone()
                .or(p.package.filter(|id| *id >= 0).map(|id| id.to_string()))
        };
        let core = |p: &Place| {
            p.core_siblings
                .clone()
                .or(Some(format!("{}/{}", p.package?, p.core?)))
        };
        let threads = count(self.0.len());
        let sockets = self.distinct(package);
        let cores = self.distinct(core);
        let trusted = match kind {
            // Older kernels numbered clusters as packages; there, use SMBIOS's sockets.
            Kind::Arm => self.0.iter().all(|p| p.clustered),
            // Older kernels and hypervisors make each core a package.
            Kind::Power => sockets == Some(1) || sockets != cores,
            Kind::Other => true,
        };
        Counts {
            sockets: sockets.filter(|_| trusted),
            cores,
            threads,
            threads_per_core: self.uniform(core, cores),
        }
    }

    /// The number of different keys; None if a thread has none.
    fn distinct(&self, key: impl Fn(&Place) -> Option<String>) -> Option<u32> {
        let keys: Option<HashSet<String>> = self.0.iter().map(key).collect();
        count(keys?.len())
    }

    /// Threads per core, if equal for all.
    fn uniform(&self, core: impl Fn(&Place) -> Option<String>, cores: Option<u32>) -> Option<u32> {
        let mut sizes = std::collections::HashMap::new();
        for place in &self.0 {
            *sizes.entry(core(place)?).or_insert(0_u32) += 1;
        }
        let first = *sizes.values().next()?;
        (cores.is_some() && sizes.values().all(|size| *size == first)).then_some(first)
    }
}

impl Place {
    fn read(topology: &Path) -> Option<Place> {
        if !topology.is_dir() {
            return None;
        }
        // New names since Linux 5.2; the old ones mean the same.
        let list = |names: [&str; 4]| {
            let mut found = names.iter().filter_map(|name| attribute(&topology.join(name)));
            found.next().filter(|list| !list.is_empty())
        };
        Some(Place {
            package: number(&topology.join("physical_package_id")),
            package_siblings: list([
                "package_cpus_list",
                "core_siblings_list",
                "package_cpus",
                "core_siblings",
            ]),
            core: number(&topology.join("core_id")),
            core_siblings: list([
                "core_cpus_list",
                "thread_siblings_list",
                "core_cpus",
                "thread_siblings",
            ]),
            clustered: topology.join("cluster_cpus").exists() || topology.join("cluster_id").exists(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(package: i64, core: i64, siblings: Option<&str>) -> Place {
        Place {
            package: Some(package),
            package_siblings: None,
            core: Some(core),
            core_siblings: siblings.map(str::to_owned),
            clustered: false,
        }
    }

    #[test]
    fn a_package_that_firmware_does_not_number_is_no_socket() {
        let counts = Topology(vec![place(-1, 0, None), place(-1, 1, None)]).counts(Kind::Other);
        assert_eq!(
            counts,
            Counts {
                sockets: None,
                cores: Some(2),
                threads: Some(2),
                threads_per_core: Some(1)
            }
        );
    }

    #[test]
    fn clusters_and_cores_are_no_sockets() {
        let topology = || Topology(vec![place(0, 0, Some("0-1")), place(1, 0, Some("2-3"))]);
        assert_eq!(topology().counts(Kind::Arm).sockets, None);
        assert_eq!(topology().counts(Kind::Power).sockets, None);
        assert_eq!(topology().counts(Kind::Other).sockets, Some(2));
        let mut clustered = topology();
        clustered.0.iter_mut().for_each(|p| p.clustered = true);
        assert_eq!(clustered.counts(Kind::Arm).sockets, Some(2));
    }

    #[test]
    fn threads_per_core_are_absent_if_the_cores_differ() {
        let hybrid = Topology(vec![
            place(0, 0, Some("0-1")),
            place(0, 0, Some("0-1")),
            place(0, 4, Some("2")),
        ]);
        let counts = hybrid.counts(Kind::Other);
        assert_eq!((counts.cores, counts.threads_per_core), (Some(2), None));
    }
}
