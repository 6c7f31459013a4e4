//! Rules: what happens to a machine by itself, on its first boot.

use inventory_api::Mac;
use serde::{Deserialize, Serialize};

/// The rules in order, and what happens to a machine that none matches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// First match wins.
    pub rules: Vec<Rule>,
    /// For a machine that no rule matches. Never a deployment.
    pub unknown: Unknown,
}

/// What happens to a machine that no rule matches.
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
    /// What must hold; at least one field.
    #[serde(rename = "match")]
    pub matches: RuleMatch,
    /// What happens.
    pub action: RuleAction,
    /// The profile, for [`RuleAction::Deploy`].
    #[serde(default)]
    pub profile: Option<String>,
    /// Kernel arguments of the mini-os for the machines it matches: see [`Policy::kernel_args`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kernel_args: Vec<String>,
}

/// All fields that are given must hold. Texts are compared without case; a trailing `*` matches any rest.
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

/// What is known of a machine when rules are asked.
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

/// What the rules say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Leave it alone.
    Hold {
        /// The rule that said so.
        rule: Option<String>,
    },
    /// Report the hardware.
    Commission {
        /// The rule that said so.
        rule: Option<String>,
    },
    /// Install this profile.
    Deploy {
        /// The rule that said so.
        rule: String,
        /// Name of the profile.
        profile: String,
    },
}

impl Policy {
    /// Asked twice: before the report (`reported` false: a rule about what only a report tells cannot match yet, so an
    /// undecided machine is commissioned to find out) and after it.
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
}

impl Policy {
    /// Kernel arguments for a machine: of the first rule that matches it and has any. A rule about what only a report tells does not
    /// match a machine that has not reported.
    pub fn kernel_args(&self, facts: &MachineFacts) -> &[String] {
        let mut matching = self
            .rules
            .iter()
            .filter(|rule| !rule.kernel_args.is_empty())
            .filter(|rule| matches!(rule_matches(&rule.matches, facts, true), Match::Yes));
        matching.next().map_or(&[], |rule| &rule.kernel_args)
    }
}

enum Match {
    Yes,
    No,
    NeedsReport,
}

fn rule_matches(rule: &RuleMatch, facts: &MachineFacts, reported: bool) -> Match {
    if rule.mac.is_some_and(|mac| !facts.macs.contains(&mac)) {
        return Match::No;
    }
    if rule
        .network
        .as_deref()
        .is_some_and(|pattern| !text_matches(pattern, facts.network.as_deref()))
    {
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
    let all = by_report.iter().all(|(pattern, fact)| {
        pattern
            .as_deref()
            .is_none_or(|p| text_matches(p, fact.as_deref()))
    });
    if all { Match::Yes } else { Match::No }
}

fn text_matches(pattern: &str, fact: Option<&str>) -> bool {
    let Some(fact) = fact else { return false };
    let (pattern, fact) = (pattern.to_lowercase(), fact.to_lowercase());
    match pattern.strip_suffix('*') {
        Some(start) => fact.starts_with(start),
        None => pattern == fact,
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
            unknown: Unknown::Commission,
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
}
