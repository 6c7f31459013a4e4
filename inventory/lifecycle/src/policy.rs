//! Rules: what happens to a machine automatically, on its first boot.

use inventory_api::{Mac, MachineId};
use serde::{Deserialize, Serialize};

use crate::check::same;

/// The rules in order, and what happens to a machine that matches none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// First match wins.
    pub rules: Vec<Rule>,
    /// For a machine that matches no rule. Never a deployment.
    pub unknown: Unknown,
    /// Which machines a rule deploys automatically.
    pub deploy: Deploys,
}

/// Which machines a rule deploys automatically. Serial number, maker and model are claims of the machine:
/// whoever sends the ones of a rule gets its install plan, with password hashes, keys and scripts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deploys {
    /// A machine that the rack plan lists by serial number or asset tag, or that the rule names by MAC or
    /// whole serial number, and that was not received before.
    #[default]
    ExpectedOnly,
    /// Every machine that matches a rule, whoever sent the facts.
    AnyMachineThatSaysSo,
}

/// Whether a machine that a rule would deploy is expected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// The rack plan has a place for its serial number or asset tag.
    pub placed: bool,
    /// Another machine that has reported the same serial number or asset tag.
    pub received_as: Option<MachineId>,
}

/// What happens to a machine that matches no rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unknown {
    /// It stays New and boots its disk.
    Hold,
    /// Its hardware is reported, then it is held.
    #[default]
    Commission,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Name, for people.
    pub name: String,
    /// What must match; at least one field.
    #[serde(rename = "match")]
    pub matches: RuleMatch,
    /// What happens.
    pub action: RuleAction,
    /// The profile, for [`RuleAction::Deploy`].
    pub profile: Option<String>,
    /// Kernel arguments of the mini-os for the machines it matches: see [`Policy::kernel_args`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kernel_args: Vec<String>,
}

/// All given fields must match. Texts are compared as in a hardware profile: without case, and `*` matches
/// anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuleMatch {
    /// System serial.
    pub serial: Option<String>,
    /// System maker.
    pub manufacturer: Option<String>,
    /// Product name.
    pub product: Option<String>,
    /// One of the machine's MACs.
    pub mac: Option<Mac>,
    /// Name of the provisioning network it booted on.
    pub network: Option<String>,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleAction {
    /// Leave it alone: it boots its disk.
    Hold,
    /// Report the hardware, then hold.
    Commission,
    /// Report, check, install the profile.
    Deploy,
}

/// Facts that rules match against.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineFacts {
    /// System serial.
    pub serial: Option<String>,
    /// System maker.
    pub manufacturer: Option<String>,
    /// Product name.
    pub product: Option<String>,
    /// All its MACs.
    pub macs: Vec<Mac>,
    /// The network it booted on.
    pub network: Option<String>,
}

/// The decision of the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Leave it alone.
    Hold {
        /// The rule that decided.
        rule: Option<String>,
    },
    /// Report the hardware.
    Commission {
        /// The rule that decided.
        rule: Option<String>,
    },
    /// Install this profile.
    Deploy {
        /// The rule that decided.
        rule: String,
        /// Name of the profile.
        profile: String,
    },
}

impl Policy {
    /// Called twice: before the report (`reported` false: a rule on facts from a report cannot match yet, so
    /// an undecided machine is commissioned first) and after it.
    pub fn decide(&self, facts: &MachineFacts, reported: bool) -> Decision {
        for rule in &self.rules {
            match rule_matches(&rule.matches, facts, reported) {
                Match::No => {}
                Match::NeedsReport => return Decision::Commission { rule: None },
                Match::Yes => {
                    let name = rule.name.clone();
                    return match (rule.action, &rule.profile) {
                        (RuleAction::Hold, _) => Decision::Hold { rule: Some(name) },
                        (RuleAction::Deploy, Some(profile)) => Decision::Deploy {
                            rule: name,
                            profile: profile.clone(),
                        },
                        (RuleAction::Commission, _) | (RuleAction::Deploy, None) => {
                            Decision::Commission { rule: Some(name) }
                        }
                    };
                }
            }
        }
        match self.unknown {
            Unknown::Hold => Decision::Hold { rule: None },
            Unknown::Commission => Decision::Commission { rule: None },
        }
    }

    /// Kernel arguments for a machine, from the first matching rule that has any. A rule on facts from a
    /// report does not match a machine that has not reported.
    pub fn kernel_args(&self, facts: &MachineFacts) -> &[String] {
        let mut matching = self
            .rules
            .iter()
            .filter(|rule| !rule.kernel_args.is_empty())
            .filter(|rule| matches!(rule_matches(&rule.matches, facts, true), Match::Yes));
        matching.next().map_or(&[], |rule| &rule.kernel_args)
    }

    /// Whether a rule may deploy this machine automatically. `facts.macs`: only those that fetched a boot
    /// script.
    ///
    /// # Errors
    /// Why it waits for a user instead: a clause without a full stop.
    pub fn may_deploy(&self, rule: &str, facts: &MachineFacts, expected: &Expected) -> Result<(), String> {
        if self.deploy == Deploys::AnyMachineThatSaysSo {
            return Ok(());
        }
        if let Some(other) = &expected.received_as {
            return Err(format!(
                "its serial number or asset tag was received before, as {other}"
            ));
        }
        let named = self.rules.iter().any(|r| {
            r.name == rule
                && r.matches.names_one()
                && matches!(rule_matches(&r.matches, facts, true), Match::Yes)
        });
        if expected.placed || named {
            return Ok(());
        }
        Err(match &facts.serial {
            Some(serial) => format!(
                "no rack plan has its serial number {serial}, and the rule names no MAC or serial number"
            ),
            None => "it reports no serial number, and the rule names no MAC".to_owned(),
        })
    }
}

impl RuleMatch {
    /// Whether it names one machine, by MAC or whole serial number.
    pub fn names_one(&self) -> bool {
        self.mac.is_some() || self.serial.as_deref().is_some_and(|s| !s.contains('*'))
    }
}

enum Match {
    Yes,
    No,
    NeedsReport,
}

fn rule_matches(rule: &RuleMatch, facts: &MachineFacts, reported: bool) -> Match {
    let fits = |pattern: &Option<String>, fact: &Option<String>| match (pattern, fact) {
        (Some(pattern), Some(fact)) => same(pattern, fact),
        (pattern, _) => pattern.is_none(),
    };
    if rule.mac.is_some_and(|mac| !facts.macs.contains(&mac)) || !fits(&rule.network, &facts.network) {
        return Match::No;
    }
    let by_report = [
        (&rule.serial, &facts.serial),
        (&rule.manufacturer, &facts.manufacturer),
        (&rule.product, &facts.product),
    ];
    if !reported && by_report.iter().any(|(pattern, _)| pattern.is_some()) {
        return Match::NeedsReport;
    }
    match by_report.iter().all(|(pattern, fact)| fits(pattern, fact)) {
        true => Match::Yes,
        false => Match::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str, matches: RuleMatch, action: RuleAction, profile: Option<&str>) -> Rule {
        Rule {
            name: name.into(),
            matches,
            action,
            profile: profile.map(str::to_owned),
            kernel_args: Vec::new(),
        }
    }

    #[test]
    fn kernel_args_are_those_of_the_first_matching_rule_that_has_any() {
        let maker = |manufacturer: &str| RuleMatch {
            manufacturer: Some(manufacturer.into()),
            ..Default::default()
        };
        let mut policy = Policy {
            rules: vec![
                rule("all", maker("*"), RuleAction::Commission, None),
                rule("supermicro", maker("Supermicro*"), RuleAction::Commission, None),
                rule("later", maker("Super*"), RuleAction::Commission, None),
            ],
            unknown: Unknown::Hold,
            deploy: Deploys::default(),
        };
        policy.rules[1].kernel_args = vec!["console=ttyS1,115200".into()];
        policy.rules[2].kernel_args = vec!["console=ttyS2".into()];
        let facts = |manufacturer: Option<&str>| MachineFacts {
            manufacturer: manufacturer.map(str::to_owned),
            ..Default::default()
        };
        assert_eq!(
            policy.kernel_args(&facts(Some("Supermicro"))),
            ["console=ttyS1,115200"]
        );
        assert!(policy.kernel_args(&facts(Some("Dell Inc."))).is_empty());
        assert!(policy.kernel_args(&facts(None)).is_empty());
    }

    #[test]
    fn first_match_wins_and_unknown_is_never_deployed() {
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        let policy = Policy {
            rules: vec![
                rule(
                    "spare",
                    RuleMatch {
                        mac: Some(mac),
                        ..Default::default()
                    },
                    RuleAction::Hold,
                    None,
                ),
                rule(
                    "web",
                    RuleMatch {
                        product: Some("PowerEdge R6*".into()),
                        ..Default::default()
                    },
                    RuleAction::Deploy,
                    Some("web"),
                ),
            ],
            ..Policy::default()
        };
        let mut facts = MachineFacts {
            macs: vec![mac],
            ..Default::default()
        };
        assert_eq!(
            policy.decide(&facts, false),
            Decision::Hold {
                rule: Some("spare".into())
            }
        );
        facts.macs = vec![Mac([2, 0, 0, 0, 0, 2])];
        assert_eq!(policy.decide(&facts, false), Decision::Commission { rule: None });
        assert_eq!(policy.decide(&facts, true), Decision::Commission { rule: None });
        facts.product = Some("poweredge r640".into());
        assert_eq!(
            policy.decide(&facts, true),
            Decision::Deploy {
                rule: "web".into(),
                profile: "web".into()
            }
        );
    }

    #[test]
    fn only_expected_machines_are_deployed_automatically() {
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        let by = |matches: RuleMatch| Policy {
            rules: vec![rule("r", matches, RuleAction::Deploy, Some("web"))],
            ..Policy::default()
        };
        let model = || RuleMatch {
            product: Some("R6*".into()),
            ..RuleMatch::default()
        };
        let facts = MachineFacts {
            serial: Some("SN1".into()),
            product: Some("R640".into()),
            macs: vec![mac],
            ..MachineFacts::default()
        };
        let serial = |serial: &str| RuleMatch {
            serial: Some(serial.into()),
            ..RuleMatch::default()
        };
        let by_mac = |mac| RuleMatch {
            mac: Some(mac),
            ..RuleMatch::default()
        };
        let placed = Expected {
            placed: true,
            received_as: None,
        };
        let again = Expected {
            placed: true,
            received_as: Some("m-000000000002".parse().unwrap()),
        };
        let nowhere = Expected::default();
        for (policy, expected, may) in [
            (by(model()), &nowhere, false),
            (by(model()), &placed, true),
            (by(model()), &again, false),
            (by(serial("SN1")), &nowhere, true),
            (by(serial("SN1")), &again, false),
            (by(serial("SN*")), &nowhere, false),
            (by(serial("*N1")), &nowhere, false),
            (by(serial("*N1")), &placed, true),
            (by(by_mac(mac)), &nowhere, true),
            (by(by_mac(Mac([2, 0, 0, 0, 0, 9]))), &nowhere, false),
        ] {
            let said = policy.may_deploy("r", &facts, expected);
            assert_eq!(said.is_ok(), may, "{policy:?} {expected:?} {said:?}");
            let any = Policy {
                deploy: Deploys::AnyMachineThatSaysSo,
                ..policy
            };
            assert_eq!(any.may_deploy("r", &facts, expected), Ok(()));
        }
    }
}
