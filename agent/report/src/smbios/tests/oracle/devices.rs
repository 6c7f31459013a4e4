//! Caches, slots, power supplies, on-board devices, BMC, OEM strings.

use inventory_api::report::AssetReport;

use super::super::super::super::clean;
use super::{Oracle, Section, Text, fact, is_placeholder};

impl Oracle {
    pub(super) fn oem_strings(&mut self, name: &str, report: &AssetReport, said: &[&Section]) {
        let mut strings = Vec::new();
        for section in said {
            let mut numbered: Vec<(u32, &str)> = section
                .fields
                .iter()
                .filter_map(|(key, value)| Some((key.strip_prefix("String ")?.parse().ok()?, value.as_str())))
                .collect();
            numbered.sort_unstable();
            strings.extend(numbered.into_iter().map(|(_, text)| text.trim()));
        }
        let facts: Vec<&str> = strings
            .into_iter()
            .filter(|text| !text.is_empty() && !is_placeholder(text))
            .filter(|text| !self.damaged || clean::fact(text).is_some())
            .map(|text| text.get(..256).unwrap_or(text).trim_end())
            .collect();
        let got: Vec<&str> = report.oem_strings.iter().map(String::as_str).collect();
        self.same(&format!("{name}: OEM strings"), Some(got), Some(facts));
    }

    pub(super) fn bmc(&mut self, name: &str, report: &AssetReport, said: Option<&Section>) {
        let bmc = report.bmc.clone().unwrap_or_default();
        let interface = said.and_then(|s| fact(s.said("Interface Type"), Text::Word));
        // "KCS (Keyboard Control Style)".
        let interface = interface.map(|s| s.split(' ').next().unwrap_or(s));
        self.same(&format!("{name} BMC"), bmc.interface.as_deref(), interface);
        let version = said
            .and_then(|s| s.said("Specification Version"))
            .filter(|v| *v != "0.0");
        self.same(&format!("{name} IPMI"), bmc.ipmi_version.as_deref(), version);
    }

    pub(super) fn caches(&mut self, name: &str, report: &AssetReport, said: &[&Section]) {
        let none = Vec::new();
        let got = report.cpu.as_ref().map_or(&none, |cpu| &cpu.smbios_caches);
        self.same(&format!("{name}: caches"), Some(got.len()), Some(said.len()));
        for (i, (cache, said)) in got.iter().zip(said).enumerate() {
            let at = |field: &str| format!("{name} cache {i} {field}");
            self.text(
                &at("name"),
                &cache.name,
                said.said("Socket Designation"),
                Text::Place,
            );
            let configuration = said.said("Configuration").unwrap_or_default();
            self.same(
                &at("enabled"),
                cache.enabled,
                Some(configuration.starts_with("Enabled")),
            );
            let level = configuration.rsplit("Level ").next();
            self.number(&at("level"), cache.level, level, "");
            let size = cache.size_bytes.filter(|bytes| *bytes != 0);
            self.size(&at("size"), size, said.said("Installed Size"));
            for (field, got, text) in [
                ("System Type", &cache.kind, Text::Word),
                ("Associativity", &cache.associativity, Text::Word),
                ("Error Correction Type", &cache.error_correction, Text::WordOrNone),
            ] {
                self.text(&at(field), got, said.said(field), text);
            }
        }
    }

    pub(super) fn slots(&mut self, name: &str, report: &AssetReport, said: &[&Section]) {
        self.same(
            &format!("{name}: slots"),
            Some(report.slots.len()),
            Some(said.len()),
        );
        for (i, (slot, said)) in report.slots.iter().zip(said).enumerate() {
            let at = |field: &str| format!("{name} expansion slot {i} {field}");
            self.text(
                &at("Designation"),
                &slot.slot,
                said.said("Designation"),
                Text::Place,
            );
            self.text(&at("Type"), &slot.kind, said.said("Type"), Text::Word);
            // "8x or x8".
            let width =
                fact(said.said("Data Bus Width"), Text::Word).map(|w| w.rsplit(" or ").next().unwrap_or(w));
            self.same(&at("Width"), slot.width.as_deref(), width);
            let in_use = match said.said("Current Usage") {
                Some("In Use") => Some(true),
                Some("Available") => Some(false),
                _ => None,
            };
            self.same(&at("Usage"), slot.in_use, in_use);
            self.same(&at("Bus"), slot.pci.as_deref(), address(said));
        }
    }

    pub(super) fn power(&mut self, name: &str, report: &AssetReport, said: &[&Section]) {
        self.same(
            &format!("{name}: PSUs"),
            Some(report.power_supplies.len()),
            Some(said.len()),
        );
        for (i, (psu, said)) in report.power_supplies.iter().zip(said).enumerate() {
            let at = |field: &str| format!("{name} PSU {i} {field}");
            let location = fact(said.said("Location"), Text::Place).or(fact(said.said("Name"), Text::Free));
            self.same(&at("Location"), psu.location.as_deref(), location);
            for (field, got) in [
                ("Name", &psu.name),
                ("Manufacturer", &psu.manufacturer),
                ("Serial Number", &psu.serial),
                ("Asset Tag", &psu.asset_tag),
                ("Model Part Number", &psu.part),
                ("Revision", &psu.revision),
            ] {
                self.text(&at(field), got, said.said(field), Text::Free);
            }
            let watts = said.said("Max Power Capacity").filter(|w| *w != "0 W");
            self.number(&at("Watts"), psu.max_watts, watts, "W");
            let status = said.said("Status").unwrap_or_default();
            let present = status.strip_prefix("Present, ");
            self.same(&at("present"), psu.present, Some(present.is_some()));
            self.same(&at("status"), psu.status.as_deref(), fact(present, Text::Word));
            let plugged = said
                .said("Plugged")
                .map(|p| p == "Yes")
                .filter(|_| present.is_some());
            self.same(&at("plugged"), psu.plugged, plugged);
            let hot = said.said("Hot Replaceable").map(|p| p == "Yes");
            self.same(&at("hot"), psu.hot_replaceable, hot);
        }
    }

    pub(super) fn onboard(
        &mut self,
        name: &str,
        report: &AssetReport,
        extended: &[&Section],
        older: &[&Section],
    ) {
        let (said, field) = match extended.is_empty() {
            true => (older, "Description"),
            false => (extended, "Reference Designation"),
        };
        self.same(
            &format!("{name}: on board"),
            Some(report.onboard.len()),
            Some(said.len()),
        );
        for (i, (device, said)) in report.onboard.iter().zip(said).enumerate() {
            let at = |field: &str| format!("{name} on board {i} {field}");
            self.text(&at("name"), &device.name, said.said(field), Text::Place);
            self.text(&at("Type"), &device.kind, said.said("Type"), Text::Word);
            self.same(
                &at("Status"),
                device.enabled,
                said.said("Status").map(|s| s == "Enabled"),
            );
            self.same(&at("Bus"), device.pci.as_deref(), address(said));
        }
    }
}

/// dmidecode prints addresses that mean none: the host bridge's, and bus 0xff device 0x1f.7.
fn address(said: &Section) -> Option<&str> {
    said.said("Bus Address")
        .filter(|address| *address != "0000:00:00.0" && !address.ends_with("ff:1f.7"))
}
