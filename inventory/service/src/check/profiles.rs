//! Hardware profiles made from known good machines, and comparison of a profile's machines.

use inventory_api::MachineId;
use inventory_api::check::{HardwareProfile, ProfileMachine, ProfileMachines};
use inventory_api::import::ImportReport;

use crate::problem::{BAD_NAME, Result, UNHEALTHY, internal};
use crate::{Actor, Service};

/// Most machines of one profile that are compared: enough to show an outlier.
const COMPARED: u32 = 500;

impl Service {
    /// The machines checked against a hardware profile, and the outliers among them.
    pub async fn profile_machines(&self, name: &str) -> Result<ProfileMachines> {
        let store = &self.core.store;
        self.hardware_profile(name).await?;
        let checked = store.machines_of_profile(name, COMPARED).await?;
        let ids: Vec<MachineId> = checked.iter().map(|(id, ..)| id.clone()).collect();
        let (mut reports, mut burn_ins) = (Vec::with_capacity(ids.len()), Vec::new());
        // A few at a time: reports are large, and between two batches the thread serves others.
        for ids in ids.chunks(16) {
            let stored = store.stored_reports(ids).await?;
            reports.extend(
                stored
                    .into_iter()
                    .map(|(id, stored)| (id.to_string(), stored.report)),
            );
            burn_ins.extend(store.burn_ins(ids).await?);
            tokio::task::yield_now().await;
        }
        // Comparing hundreds of reports takes a while, so keep it off the async threads.
        let outliers = tokio::task::spawn_blocking(move || {
            let reports: Vec<_> = reports.iter().map(|(id, report)| (id.clone(), report)).collect();
            let burn_ins: Vec<_> = burn_ins.iter().map(|(id, r)| (id.to_string(), r)).collect();
            let mut outliers = lifecycle::check::outliers(&reports);
            outliers.extend(lifecycle::burn_in::compare(&burn_ins));
            outliers
        })
        .await
        .map_err(|e| internal(&e))?;
        let machine = |(machine, serial, verdict)| ProfileMachine {
            machine,
            serial,
            verdict,
        };
        Ok(ProfileMachines {
            machines: checked.into_iter().map(machine).collect(),
            outliers,
        })
    }

    /// Makes a hardware profile from the newest report of a known good machine. `accept_unhealthy` allows one
    /// that is not healthy; the health rules still apply to machines checked against the profile.
    pub async fn golden(
        &self,
        key: &str,
        name: &str,
        accept_unhealthy: bool,
        actor: &Actor,
    ) -> Result<ImportReport> {
        let row = self.find(key).await?;
        let report = self.stored_report(&row).await?.report;
        let name = name.trim();
        if name.is_empty()
            || name.chars().count() > 256
            || name.chars().any(char::is_control)
            || name.starts_with('.')
        {
            return Err(BAD_NAME.because(
                "a profile's name has 1 to 256 characters, no control character, and does not begin with a dot",
            ));
        }
        let sick = lifecycle::check::unhealthy(&report);
        if !accept_unhealthy && !sick.is_empty() {
            let list: Vec<&str> = sick.iter().take(5).map(|f| f.sentence.as_str()).collect();
            let more = if sick.len() > 5 { " ..." } else { "" };
            return Err(UNHEALTHY.because(format!(
                "{}{more} Repair it first, or make the profile anyway (accept_unhealthy, --accept-unhealthy, or tick the box on \
                 the page).",
                list.join(" ")
            )));
        }
        let profile = HardwareProfile {
            name: name.to_owned(),
            ..lifecycle::check::golden(&report)
        };
        self.put_profiles(vec![profile], actor).await
    }
}
