//! Hardware profiles made from known good machines, and comparison of a profile's machines.

use inventory_api::Problem;
use inventory_api::check::{HardwareProfile, ProfileMachine, ProfileMachines};
use inventory_api::import::ImportReport;

use crate::problem::{internal, problem};
use crate::{Actor, Service};

/// Most machines of one profile that are compared: enough to show an outlier.
const COMPARED: u32 = 500;

impl Service {
    /// The machines checked against a hardware profile, and the outliers among them.
    pub async fn profile_machines(&self, name: &str) -> Result<ProfileMachines, Problem> {
        let store = &self.core.store;
        self.hardware_profile(name).await?;
        let ids = store.machines_of_profile(name, COMPARED).await?;
        let mut machines = Vec::with_capacity(ids.len());
        let mut reports = Vec::with_capacity(ids.len());
        let mut burned = Vec::new();
        for id in ids {
            if let Some(report) = store.report(&id).await? {
                reports.push((id.to_string(), report));
            }
            if let Some(result) = store.newest_burn_in(&id).await? {
                burned.push((id.to_string(), result));
            }
            let row = self.row(&id).await?;
            machines.push(ProfileMachine {
                machine: id,
                serial: row.names.serial,
                verdict: row.verdict,
            });
        }
        // Comparing hundreds of reports takes a while, so keep it off the async threads.
        let outliers = tokio::task::spawn_blocking(move || {
            let reports: Vec<_> = reports.iter().map(|(id, report)| (id.clone(), report)).collect();
            let burned: Vec<_> = burned.iter().map(|(id, result)| (id.clone(), result)).collect();
            let mut outliers = lifecycle::check::outliers(&reports);
            outliers.extend(lifecycle::burn_in::compare(&burned));
            outliers
        })
        .await
        .map_err(|e| internal(&e))?;
        Ok(ProfileMachines { machines, outliers })
    }

    /// Makes a hardware profile from the newest report of a known good machine. `accept_unhealthy` allows one
    /// that is not healthy; the health rules still apply to machines checked against the profile.
    pub async fn golden(
        &self,
        key: &str,
        name: &str,
        accept_unhealthy: bool,
        actor: &Actor,
    ) -> Result<ImportReport, Problem> {
        let row = self.find(key).await?;
        let report = self.core.store.report(&row.id).await?;
        let Some(report) = report else {
            return Err(problem(
                409,
                "no-report",
                "Nothing is known about its hardware",
                format!("machine {} has not reported yet: commission it first", row.id),
            ));
        };
        let name = name.trim();
        if name.is_empty()
            || name.chars().count() > 256
            || name.chars().any(char::is_control)
            || name.starts_with('.')
        {
            return Err(problem(
                422,
                "bad-name",
                "Name not usable",
                "the name of a profile has 1 to 256 characters, none of them a control character, the first not a point",
            ));
        }
        let sick = lifecycle::check::unhealthy(&report);
        if !accept_unhealthy && !sick.is_empty() {
            let list: Vec<&str> = sick.iter().take(5).map(|f| f.sentence.as_str()).collect();
            let more = if sick.len() > 5 { " ..." } else { "" };
            return Err(problem(
                409,
                "unhealthy",
                "This machine is not healthy",
                format!(
                    "{}{more} Mend it first, or make the profile all the same (accept_unhealthy, --accept-unhealthy, or tick the \
                     box on the page).",
                    list.join(" ")
                ),
            ));
        }
        let profile = HardwareProfile {
            name: name.to_owned(),
            ..lifecycle::check::golden(&report)
        };
        self.put_profiles(&[profile], actor).await
    }
}
