//! What is expected of a machine, and why: from its place in the rack plan, else from its deployment.

use inventory_api::agent::RunsOn;
use inventory_api::check::{CheckResult, Expectation, Finding, HardwareProfile, Severity, Verdict};
use inventory_api::delivery::{ExpectedFrom, Order, Placement};
use inventory_api::report::AssetReport;

use crate::identity::counts_as_name;

/// The names under which a rack plan can list a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineNames {
    /// Serial numbers: system, chassis.
    pub serials: Vec<String>,
    /// Asset tags: chassis, board.
    pub asset_tags: Vec<String>,
}

/// A name as it is compared: ignoring case and surrounding spaces.
pub fn name_key(name: &str) -> String {
    name.trim().to_lowercase()
}

/// Whether a text can be a name in the rack plan: a possible serial number, or a short asset tag ("A17").
pub fn usable_name(text: &str) -> bool {
    let bare: Vec<char> = text.chars().filter(|c| c.is_alphanumeric()).collect();
    let short = (2..=3).contains(&bare.len())
        && bare.iter().any(char::is_ascii_digit)
        && bare.iter().any(|c| *c != bare[0]);
    !text.chars().any(char::is_control) && (short || counts_as_name(text))
}

/// The names in a report. Placeholders are dropped: they would put a machine where another belongs.
pub fn names(report: &AssetReport) -> MachineNames {
    let list = |all: [Option<&String>; 2]| {
        let mut found: Vec<String> = Vec::new();
        for name in all.into_iter().flatten().filter(|n| usable_name(n)) {
            if !found.iter().any(|f| name_key(f) == name_key(name)) {
                found.push(name.trim().to_owned());
            }
        }
        found
    };
    MachineNames {
        serials: list(report.serials()),
        asset_tags: list(report.asset_tags()),
    }
}

/// The place of this machine among those that share a name with it: serial number before asset tag, the
/// system's before the chassis'.
pub fn place_of<'a>(names: &MachineNames, places: &'a [Placement]) -> Option<&'a Placement> {
    let by = |wanted: &[String], name: fn(&Placement) -> Option<&String>| {
        wanted.iter().find_map(|w| {
            places
                .iter()
                .find(|p| name(p).is_some_and(|n| name_key(n) == name_key(w)))
        })
    };
    by(&names.serials, |p| p.serial.as_ref()).or_else(|| by(&names.asset_tags, |p| p.asset_tag.as_ref()))
}

/// Name of the hardware profile of a place: its own, else that of its order item.
pub fn profile_name(place: &Placement, order: Option<&Order>) -> Option<String> {
    let of_item = || {
        let item = place.item.as_ref()?;
        let item = order?.items.iter().find(|i| i.item == *item)?;
        Some(item.profile.clone())
    };
    place
        .profile
        .clone()
        .or_else(of_item)
        .filter(|name| !name.is_empty())
}

/// What is expected of a machine. `profile` is the one named by [`profile_name`], if it exists; `requested`
/// comes from its deployment or rule. `None`: nothing is expected.
pub fn choose(
    place: Option<&Placement>,
    profile_name: Option<String>,
    profile: Option<HardwareProfile>,
    requested: Option<&HardwareProfile>,
) -> Option<(Expectation, ExpectedFrom)> {
    let missing_profile = profile_name.clone().filter(|_| profile.is_none());
    let used = match (&profile, requested) {
        (Some(_), _) => profile_name,
        (None, Some(r)) if !r.name.is_empty() => Some(r.name.clone()),
        (None, _) => None,
    };
    let hardware = profile.or_else(|| requested.cloned());
    if hardware.is_none() && place.is_none() {
        return None;
    }
    let expectation = Expectation {
        profile: hardware.unwrap_or_default(),
        placement: place.cloned(),
    };
    let from = ExpectedFrom {
        placement: place.cloned(),
        profile: used,
        missing_profile,
    };
    Some((expectation, from))
}

/// Checks a report against the expectation. An unknown profile gives a warning: "not compared" must not read
/// as "as ordered". `runs_on`: which system reported.
pub fn check_chosen(
    expectation: &Expectation,
    from: &ExpectedFrom,
    report: &AssetReport,
    runs_on: RunsOn,
) -> CheckResult {
    let mut result = crate::check(expectation, report, runs_on);
    if let Some(name) = &from.missing_profile {
        result.findings.push(Finding {
            code: "profile-unknown".to_owned(),
            place: "system".to_owned(),
            expected: format!("hardware profile {name}"),
            found: "not imported".to_owned(),
            severity: Severity::Warning,
            sentence: format!(
                "The hardware was not compared: its order names the hardware profile {name:?}, which is not known. Import it."
            ),
        });
        result.verdict = result.verdict.max(Verdict::Warn);
        result.findings.sort_by_key(|f| std::cmp::Reverse(f.severity));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use inventory_api::delivery::OrderItem;
    use inventory_api::report::{ChassisFacts, SystemFacts};

    fn place(unit: u32, serial: Option<&str>, tag: Option<&str>) -> Placement {
        Placement {
            room: "R".into(),
            rack: "A".into(),
            unit,
            serial: serial.map(str::to_owned),
            asset_tag: tag.map(str::to_owned),
            order: Some("PO-1".into()),
            item: Some("10".into()),
            ..Placement::default()
        }
    }

    fn report(system: &str, chassis: &str, tag: &str) -> AssetReport {
        AssetReport {
            system: Some(SystemFacts {
                serial: Some(system.into()),
                ..SystemFacts::default()
            }),
            chassis: Some(ChassisFacts {
                serial: Some(chassis.into()),
                asset_tag: Some(tag.into()),
                ..ChassisFacts::default()
            }),
            ..AssetReport::default()
        }
    }

    #[test]
    fn a_place_is_found_by_the_strongest_name_and_never_by_junk() {
        let places = [
            place(1, Some("CHASSIS7"), None),
            place(2, Some(" sys7 "), None),
            place(3, None, Some("INV-9")),
            place(4, Some("Default string"), None),
        ];
        let unit = |r: &AssetReport| place_of(&names(r), &places).map(|p| p.unit);
        assert_eq!(unit(&report("SYS7", "CHASSIS7", "INV-9")), Some(2));
        assert_eq!(unit(&report("OTHER7", "chassis7", "INV-9")), Some(1));
        assert_eq!(
            unit(&report("To Be Filled By O.E.M.", "Default string", "inv-9")),
            Some(3)
        );
        assert_eq!(unit(&report("Default string", "0000000", "N/A")), None);
    }

    #[test]
    fn the_profile_comes_from_the_place_then_its_order_item_then_the_request() {
        let order = Order {
            number: "PO-1".into(),
            items: vec![OrderItem {
                item: "10".into(),
                count: 1,
                profile: "web".into(),
                description: None,
            }],
        };
        let mut here = place(1, Some("SYS7"), None);
        assert_eq!(profile_name(&here, Some(&order)).as_deref(), Some("web"));
        here.profile = Some("special".into());
        assert_eq!(profile_name(&here, Some(&order)).as_deref(), Some("special"));
        here.profile = None;
        here.item = Some("20".into());
        assert_eq!(profile_name(&here, Some(&order)), None);

        let named = |name: &str| HardwareProfile {
            name: name.into(),
            ..HardwareProfile::default()
        };
        let (e, from) = choose(
            Some(&here),
            Some("web".into()),
            Some(named("web")),
            Some(&named("r")),
        )
        .unwrap();
        assert_eq!(
            (e.profile.name.as_str(), from.profile.as_deref()),
            ("web", Some("web"))
        );
        assert!(e.placement.is_some() && from.missing_profile.is_none());
        let (e, from) = choose(Some(&here), Some("web".into()), None, Some(&named("r"))).unwrap();
        assert_eq!(
            (e.profile.name.as_str(), from.profile.as_deref()),
            ("r", Some("r"))
        );
        assert_eq!(from.missing_profile.as_deref(), Some("web"));
        assert!(choose(None, None, None, None).is_none());
    }

    #[test]
    fn an_unknown_profile_is_a_warning_and_not_a_pass() {
        let here = place(1, None, None);
        let (e, from) = choose(Some(&here), Some("web".into()), None, None).unwrap();
        let result = check_chosen(&e, &from, &AssetReport::default(), RunsOn::MiniOs);
        assert!(result.verdict >= Verdict::Warn);
        assert!(result.findings.iter().any(|f| f.code == "profile-unknown"));
    }
}
