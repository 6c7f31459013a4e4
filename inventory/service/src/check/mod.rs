//! The check of a machine: what is expected of it, and how its report compares.

pub(crate) mod profiles;
mod recheck;
pub(crate) mod signals;

use inventory_api::MachineId;
use inventory_api::agent::RunsOn;
use inventory_api::check::{CheckResult, Expectation, HardwareProfile, Severity, Verdict};
use inventory_api::delivery::{ExpectedFrom, Placement};
use inventory_api::report::AssetReport;
use lifecycle::expectation::{check_chosen, choose, names, place_of, profile_name};
use lifecycle::{Decision, State};

use crate::machines::facts::{facts_of, smbios_names_of};
use crate::problem::{CHECK_FAILED, Result};
use crate::{Service, Turn};
use store::{MachineRow, StoreError};

/// A check and the expectation behind it.
pub(crate) struct Checked {
    pub(crate) result: CheckResult,
    pub(crate) from: ExpectedFrom,
}

impl Checked {
    /// The machine's place in the rack plan, as text.
    pub(crate) fn place(&self) -> Option<String> {
        self.from.placement.as_ref().map(Placement::name)
    }
}

impl Service {
    /// The expectation for the sender of this report. `requested`: hardware asked for by its deployment or
    /// rule.
    async fn expectation_of(
        &self,
        report: &AssetReport,
        requested: Option<&HardwareProfile>,
    ) -> Result<Option<(Expectation, ExpectedFrom)>> {
        let store = &self.core.store;
        let names = names(report);
        let places = store.placements_named(&names).await?;
        let place = place_of(&names, &places);
        let order = match place.and_then(|p| p.order.as_deref()) {
            Some(number) => store.order(number).await?,
            None => None,
        };
        let name = place.and_then(|p| profile_name(p, order.as_ref()));
        let profile = match &name {
            Some(name) => store.hardware_profile(name).await?,
            None => None,
        };
        Ok(choose(place, name, profile, requested))
    }

    /// Checks a report. `runs_on`: the system that its boot facts are from. `None`: nothing is expected of
    /// this machine.
    pub(crate) async fn check_report(
        &self,
        report: &AssetReport,
        runs_on: RunsOn,
        requested: Option<&HardwareProfile>,
    ) -> Result<Option<Checked>> {
        let chosen = self.expectation_of(report, requested).await?;
        Ok(chosen.map(|(expectation, from)| Checked {
            result: check_chosen(&expectation, &from, report, runs_on),
            from,
        }))
    }

    /// The hardware that a machine's deployment or a rule asks for.
    pub(crate) async fn requested_of(
        &self,
        row: &MachineRow,
        report: &AssetReport,
    ) -> Result<Option<HardwareProfile>> {
        let by_deployment = match &row.state {
            State::Deploying(_) | State::Deployed(_) | State::Releasing(_) | State::Failed(_) => true,
            State::New
            | State::Commissioning(_)
            | State::Ready(_)
            | State::Quarantined(_)
            | State::Retired => false,
        };
        if by_deployment && let Some(request) = self.core.store.request(&row.id).await? {
            return Ok(request.expected);
        }
        let facts = facts_of(row, smbios_names_of(report));
        let config = &self.core.config;
        Ok(match config.policy.decide(&facts, true) {
            Decision::Deploy { profile, .. } => {
                config.profiles.get(&profile).and_then(|r| r.expected.clone())
            }
            Decision::Hold { .. } | Decision::Commission { .. } => None,
        })
    }
}

impl Turn {
    /// Stores a check in place of the one before. Without an expectation the old verdict means nothing.
    pub(crate) async fn put_checked(
        &mut self,
        id: &MachineId,
        checked: Option<&Checked>,
    ) -> Result<(), StoreError> {
        let now = self.now;
        match checked {
            Some(checked) => self.put_check(id, &checked.result, &checked.from, now).await,
            None => self.drop_check(id).await,
        }
    }
}

/// The gravest finding of a check as a sentence.
pub(crate) fn first_finding(check: &CheckResult) -> Option<String> {
    let first = check.findings.first()?;
    let errors = check.findings.iter().filter(|f| f.severity == Severity::Error);
    let more = match errors.count() {
        0 | 1 => String::new(),
        errors => format!(" ({} more)", errors - 1),
    };
    // Most sentences name the place themselves.
    let place = match first.sentence.contains(&first.place) {
        true => String::new(),
        false => format!("{}: ", first.place),
    };
    Some(format!("{place}{}{more}", first.sentence))
}

/// Refuses a machine that failed its check.
pub(crate) fn refuse_failed(check: &CheckResult) -> Result<()> {
    if check.verdict != Verdict::Fail {
        return Ok(());
    }
    Err(CHECK_FAILED.because(format!(
        "the machine's newest report is not what the request expects: {}",
        first_finding(check).unwrap_or_default()
    )))
}
