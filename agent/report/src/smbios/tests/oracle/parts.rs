//! Processors and memory.

use inventory_api::report::{AssetReport, MemorySlot, ProcessorFacts};

use super::{Oracle, Section, Text, bytes};

impl Oracle {
    pub(super) fn processors(&mut self, name: &str, report: &AssetReport, said: &[&Section]) {
        let got: &[ProcessorFacts] = report.cpu.as_ref().map_or(&[], |cpu| &cpu.processors);
        let not_central = ["Math Processor", "DSP Processor", "Video Processor"];
        let said: Vec<_> = said
            .iter()
            .filter(|s| s.said("Type").is_none_or(|kind| !not_central.contains(&kind)))
            .collect();
        self.same(&format!("{name}: sockets"), Some(got.len()), Some(said.len()));
        for (i, (p, said)) in got.iter().zip(said).enumerate() {
            let at = |field: &str| format!("{name} processor {i} {field}");
            let status = said.said("Status").unwrap_or_default();
            let populated = status.starts_with("Populated");
            self.same(&at("populated"), p.populated, Some(populated));
            for (field, got, text) in [
                ("Socket Designation", &p.socket, Text::Place),
                ("Type", &p.kind, Text::Word),
            ] {
                self.text(&at(field), got, said.said(field), text);
            }
            self.number(&at("Max Speed"), p.max_mhz, said.said("Max Speed"), "MHz");
            if !said.handle.is_empty() {
                self.text(&at("Upgrade"), &p.upgrade, said.said("Upgrade"), Text::WordOrNone);
            }
            if !populated {
                // dmidecode prints the table's fields for an empty socket, where there is no processor.
                let socket = ProcessorFacts {
                    socket: p.socket.clone(),
                    populated: Some(false),
                    kind: p.kind.clone(),
                    max_mhz: p.max_mhz,
                    upgrade: p.upgrade.clone(),
                    ..ProcessorFacts::default()
                };
                self.same(&at("empty"), Some(p), Some(&socket));
                continue;
            }
            let enabled = match status {
                "Populated, Enabled" => Some(true),
                "Populated, Disabled By BIOS" | "Populated, Disabled By User" => Some(false),
                _ => None,
            };
            self.same(&at("Status"), p.enabled, enabled);
            for (field, got, text) in [
                ("Family", &p.family, Text::Word),
                ("Manufacturer", &p.manufacturer, Text::Free),
                ("Version", &p.model, Text::Free),
                ("Serial Number", &p.serial, Text::Free),
                ("Part Number", &p.part, Text::Free),
            ] {
                self.text(&at(field), got, said.said(field), text);
            }
            for (field, got, unit) in [
                ("Core Count", p.cores, ""),
                ("Core Enabled", p.cores_enabled, ""),
                ("Thread Count", p.threads, ""),
                ("Current Speed", p.current_mhz, "MHz"),
            ] {
                self.number(&at(field), got, said.said(field), unit);
            }
            if !said.handle.is_empty() {
                self.text(&at("Asset Tag"), &p.asset_tag, said.said("Asset Tag"), Text::Free);
            }
        }
    }

    pub(super) fn memory(
        &mut self,
        name: &str,
        report: &AssetReport,
        devices: &[&Section],
        arrays: &[&Section],
    ) {
        // Skip a slot whose array is not system memory; keep one whose array is missing (VMware).
        let use_of = |handle: Option<&str>| {
            let mut uses = arrays.iter().filter(|a| Some(a.handle.as_str()) == handle);
            uses.clone().count() == 0 || uses.any(|a| a.said("Use") == Some("System Memory"))
        };
        let mut said: Vec<&&Section> = devices
            .iter()
            .filter(|d| d.handle.is_empty() || use_of(d.said("Array Handle")))
            .collect();
        let got: Vec<&MemorySlot> = match name {
            // Its one module points to a missing array; the expected.json omits it.
            "u-root__VMWare" if devices.iter().all(|d| d.handle.is_empty()) => report
                .memory
                .slots
                .iter()
                .filter(|slot| slot.size_bytes.is_none())
                .collect(),
            _ => report.memory.slots.iter().collect(),
        };
        self.same(&format!("{name}: slots"), Some(got.len()), Some(said.len()));
        said.truncate(got.len());
        for (i, (slot, said)) in got.into_iter().zip(said).enumerate() {
            self.slot(&format!("{name} slot {i}"), slot, said);
        }
        if devices.iter().any(|d| d.handle.is_empty()) {
            return;
        }
        let said: Vec<_> = arrays
            .iter()
            .filter(|a| a.said("Use") == Some("System Memory"))
            .collect();
        let got = &report.memory.arrays;
        self.same(&format!("{name}: arrays"), Some(got.len()), Some(said.len()));
        for (i, (array, said)) in got.iter().zip(said).enumerate() {
            let at = |field: &str| format!("{name} array {i} {field}");
            self.text(
                &at("Location"),
                &array.location,
                said.said("Location"),
                Text::Word,
            );
            self.text(
                &at("Error Correction"),
                &array.error_correction,
                said.said("Error Correction Type"),
                Text::WordOrNone,
            );
            self.size(
                &at("Maximum Capacity"),
                array.max_bytes,
                said.said("Maximum Capacity"),
            );
            self.number(&at("Devices"), array.slots, said.said("Number Of Devices"), "");
        }
    }

    pub(super) fn slot(&mut self, at: &str, slot: &MemorySlot, said: &Section) {
        let at = |field: &str| format!("{at} {field}");
        for (field, got, text) in [
            ("Locator", &slot.slot, Text::Place),
            ("Bank Locator", &slot.bank, Text::Place),
            ("Form Factor", &slot.form, Text::Word),
            ("Type", &slot.kind, Text::Word),
            ("Type Detail", &slot.detail, Text::Word),
        ] {
            // "Other Unknown" is no value, like each of its words.
            let said = said.said(field).filter(|s| *s != "Other Unknown");
            self.text(&at(field), got, said, text);
        }
        let size = said.said("Size").and_then(bytes).filter(|b| *b != 0);
        self.size(&at("Size"), slot.size_bytes, said.said("Size"));
        match said.said("Size") {
            Some("No Module Installed") => self.same(&at("populated"), slot.populated, Some(false)),
            _ if size.is_some() => self.same(&at("populated"), slot.populated, Some(true)),
            // Unknown size: a serial or part number shows whether a module is present.
            _ => assert_ne!(slot.populated, Some(false), "{}", at("Size")),
        }
        if !said.handle.is_empty() {
            self.number(
                &at("Total Width"),
                slot.total_width,
                said.said("Total Width"),
                "bits",
            );
            self.number(
                &at("Data Width"),
                slot.data_width,
                said.said("Data Width"),
                "bits",
            );
        }
        if slot.populated == Some(false) {
            let bare = MemorySlot {
                slot: slot.slot.clone(),
                bank: slot.bank.clone(),
                form: slot.form.clone(),
                kind: slot.kind.clone(),
                detail: slot.detail.clone(),
                total_width: slot.total_width,
                data_width: slot.data_width,
                populated: Some(false),
                ..MemorySlot::default()
            };
            self.same(&at("empty"), Some(slot), Some(&bare));
            return;
        }
        // The same number: dmidecode said MHz until 3.2.
        let mts = |said: Option<&str>| said.map(|s| s.replace("MHz", "MT/s"));
        self.number(
            &at("Speed"),
            slot.speed_mts,
            mts(said.said("Speed")).as_deref(),
            "MT/s",
        );
        let configured = mts(said.either(["Configured Memory Speed", "Configured Clock Speed"]));
        self.number(
            &at("Configured"),
            slot.configured_mts,
            configured.as_deref(),
            "MT/s",
        );
        self.number(&at("Rank"), slot.rank, said.said("Rank"), "");
        for (field, got) in [
            ("Manufacturer", &slot.manufacturer),
            ("Part Number", &slot.part),
            ("Serial Number", &slot.serial),
        ] {
            self.text(&at(field), got, said.said(field), Text::Free);
        }
        if said.handle.is_empty() {
            return;
        }
        self.text(
            &at("Asset Tag"),
            &slot.asset_tag,
            said.said("Asset Tag"),
            Text::Free,
        );
        self.text(
            &at("Firmware"),
            &slot.firmware,
            said.said("Firmware Version"),
            Text::Free,
        );
        self.text(
            &at("Technology"),
            &slot.technology,
            said.said("Memory Technology"),
            Text::Word,
        );
        let volts = said
            .said("Configured Voltage")
            .and_then(|s| s.strip_suffix(" V")?.parse().ok());
        self.same(&at("Voltage"), slot.voltage, volts);
    }
}
