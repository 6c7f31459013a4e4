//! What follows the report of a machine in the mini-os.

use inventory_api::check::Verdict;
use inventory_api::{MachineId, PlanId};

use crate::event::{AfterCheck, Event};
use crate::policy::Decision;

/// Outcome of the deployment that a rule asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deployment {
    /// The machine is not expected. The reason, as a clause.
    NotExpected(String),
    /// The plan.
    Planned(PlanId),
    /// No plan can be made.
    CannotPlan {
        /// Stable short code.
        code: String,
        /// The missing fact.
        detail: String,
    },
}

/// Whether a rule deploys the machine now: only after its first commissioning, and only if the check did not fail.
pub fn deploys_now(first: bool, verdict: Option<Verdict>) -> bool {
    first && verdict != Some(Verdict::Fail)
}

/// The event of a report. `finding`: the first finding of its check. `deployment`: outcome of the deployment that `decision` asks
/// for; `None` if it was not due.
pub fn follow_report(
    machine: &MachineId,
    first: bool,
    verdict: Option<Verdict>,
    finding: Option<String>,
    decision: &Decision,
    deployment: Option<Deployment>,
) -> Event {
    let mut detail = finding.unwrap_or_default();
    let after = match (decision, deployment) {
        (Decision::Deploy { rule, profile }, Some(Deployment::NotExpected(why))) => AfterCheck::NotExpected {
            why: format!(
                "Held: not expected. Rule {rule:?} would deploy it, but {why}. To release it: slipway deploy {machine} \
                 --profile {profile}, or Deploy on its page."
            ),
        },
        (Decision::Deploy { rule, .. }, Some(Deployment::Planned(plan))) => {
            detail = format!("{detail} Rule {rule:?} deploys it.")
                .trim_start()
                .to_owned();
            AfterCheck::Deploy { plan }
        }
        (Decision::Deploy { .. }, Some(Deployment::CannotPlan { code, detail })) => {
            AfterCheck::CannotPlan { code, detail }
        }
        (Decision::Hold { rule: Some(rule) } | Decision::Commission { rule: Some(rule) }, _) => {
            if detail.is_empty() {
                detail = format!("Rule {rule:?} holds it.");
            }
            AfterCheck::Hold
        }
        (Decision::Hold { rule: None } | Decision::Commission { rule: None }, _) => {
            if detail.is_empty() && first {
                "No rule deploys it.".clone_into(&mut detail);
            }
            AfterCheck::Hold
        }
        (Decision::Deploy { .. }, None) => AfterCheck::Hold,
    };
    Event::Reported {
        verdict,
        detail,
        after,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_report_leads_to() {
        let machine = "m-0123456789ab".parse().unwrap();
        let plan: PlanId = "p-0123456789abcdef".parse().unwrap();
        let deploy = Decision::Deploy {
            rule: "web".into(),
            profile: "web-server".into(),
        };
        let hold = |rule: Option<&str>| Decision::Hold {
            rule: rule.map(Into::into),
        };
        let commission = |rule: Option<&str>| Decision::Commission {
            rule: rule.map(Into::into),
        };
        let planned = Some(Deployment::Planned(plan.clone()));
        let cannot = Deployment::CannotPlan {
            code: "no-disk".into(),
            detail: "no disk".into(),
        };
        let deploys = AfterCheck::Deploy { plan };
        let cannot_plan = AfterCheck::CannotPlan {
            code: "no-disk".into(),
            detail: "no disk".into(),
        };
        for (first, finding, decision, deployment, detail, after) in [
            (
                true,
                None,
                &deploy,
                planned.clone(),
                "Rule \"web\" deploys it.",
                deploys.clone(),
            ),
            (
                true,
                Some("DIMM A1: ok."),
                &deploy,
                planned,
                "DIMM A1: ok. Rule \"web\" deploys it.",
                deploys,
            ),
            (true, None, &deploy, Some(cannot), "", cannot_plan),
            (false, None, &deploy, None, "", AfterCheck::Hold),
            (
                true,
                None,
                &hold(Some("spare")),
                None,
                "Rule \"spare\" holds it.",
                AfterCheck::Hold,
            ),
            (true, Some("x"), &hold(Some("spare")), None, "x", AfterCheck::Hold),
            (
                false,
                None,
                &commission(Some("lab")),
                None,
                "Rule \"lab\" holds it.",
                AfterCheck::Hold,
            ),
            (
                true,
                None,
                &hold(None),
                None,
                "No rule deploys it.",
                AfterCheck::Hold,
            ),
            (false, None, &commission(None), None, "", AfterCheck::Hold),
        ] {
            let event = follow_report(
                &machine,
                first,
                None,
                finding.map(Into::into),
                decision,
                deployment,
            );
            let expected = Event::Reported {
                verdict: None,
                detail: detail.into(),
                after,
            };
            assert_eq!(event, expected);
        }
        let held = follow_report(
            &machine,
            true,
            None,
            None,
            &deploy,
            Some(Deployment::NotExpected("no rack plan has it".into())),
        );
        let Event::Reported {
            after: AfterCheck::NotExpected { why },
            ..
        } = held
        else {
            panic!("{held:?}")
        };
        assert!(why.contains("but no rack plan has it.") && why.contains("--profile web-server"));
    }

    #[test]
    fn a_rule_deploys_once_and_never_against_the_check() {
        for (first, verdict, expected) in [
            (true, None, true),
            (true, Some(Verdict::Pass), true),
            (true, Some(Verdict::Warn), true),
            (true, Some(Verdict::Fail), false),
            (false, Some(Verdict::Pass), false),
        ] {
            assert_eq!(deploys_now(first, verdict), expected, "{first} {verdict:?}");
        }
    }
}
