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

/// Whether a rule deploys the machine now: only after its first commissioning, and only if the check did not
/// fail.
pub fn deploys_now(first: bool, verdict: Option<Verdict>) -> bool {
    first && verdict != Some(Verdict::Fail)
}

/// The event of a report. `finding`: the first finding of its check. `deployment`: outcome of the deployment
/// that `decision` asks for; `None` if it was not due.
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

    fn followed(
        first: bool,
        finding: &str,
        decision: &Decision,
        deployment: Option<Deployment>,
    ) -> (String, AfterCheck) {
        let machine = "m-0123456789ab".parse().unwrap();
        match follow_report(&machine, first, None, Some(finding.into()), decision, deployment) {
            Event::Reported { detail, after, .. } => (detail, after),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_the_deployment_of_a_rule_leads_to() {
        let deploy = Decision::Deploy {
            rule: "web".into(),
            profile: "web-server".into(),
        };
        let plan: PlanId = "p-0123456789abcdef".parse().unwrap();
        let after = AfterCheck::Deploy { plan: plan.clone() };
        for (finding, detail) in [
            ("", "Rule \"web\" deploys it."),
            ("A remark.", "A remark. Rule \"web\" deploys it."),
        ] {
            let planned = Some(Deployment::Planned(plan.clone()));
            assert_eq!(
                followed(true, finding, &deploy, planned),
                (detail.into(), after.clone())
            );
        }
        let (code, detail) = ("no-disk".to_owned(), "no disk".to_owned());
        let cannot = Deployment::CannotPlan {
            code: code.clone(),
            detail: detail.clone(),
        };
        let after = AfterCheck::CannotPlan { code, detail };
        assert_eq!(followed(true, "", &deploy, Some(cannot)), (String::new(), after));
        assert_eq!(
            followed(false, "", &deploy, None),
            (String::new(), AfterCheck::Hold)
        );
        let held = Deployment::NotExpected("no rack plan has it".into());
        match followed(true, "", &deploy, Some(held)).1 {
            AfterCheck::NotExpected { why } => {
                assert!(why.contains("but no rack plan has it.") && why.contains("--profile web-server"));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_machine_that_no_rule_deploys_is_held() {
        let hold = |rule: &str| Decision::Hold {
            rule: (!rule.is_empty()).then(|| rule.into()),
        };
        let commission = |rule: &str| Decision::Commission {
            rule: (!rule.is_empty()).then(|| rule.into()),
        };
        for (first, finding, decision, detail) in [
            (true, "", hold("spare"), "Rule \"spare\" holds it."),
            (true, "x", hold("spare"), "x"),
            (false, "", commission("lab"), "Rule \"lab\" holds it."),
            (true, "", hold(""), "No rule deploys it."),
            (false, "", commission(""), ""),
        ] {
            let expected = (detail.to_owned(), AfterCheck::Hold);
            assert_eq!(
                followed(first, finding, &decision, None),
                expected,
                "{decision:?}"
            );
        }
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
