//! The machine's own place: serial number, asset tag, cabling.

use inventory_api::check::code;
use inventory_api::delivery::{Placement, PlannedPort};
use inventory_api::report::{AssetReport, LldpNeighbour, NicFacts};

use super::findings::Findings;
use super::nics::place_of;
use super::parts::PART_LIMIT;
use super::text::same;

/// Maximum number of compared ports of a plan.
const PORT_LIMIT: usize = 256;

/// "room 1, rack A12, unit 7".
fn where_is(placement: &Placement) -> String {
    let parts: Vec<String> = [
        (!placement.room.is_empty()).then(|| format!("room {}", placement.room)),
        (!placement.rack.is_empty()).then(|| format!("rack {}", placement.rack)),
        (placement.unit > 0).then(|| format!("unit {}", placement.unit)),
        placement.node.as_ref().map(|node| format!("node {node}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() {
        "system".to_owned()
    } else {
        parts.join(", ")
    }
}

pub(super) fn identity(findings: &mut Findings, placement: &Placement, report: &AssetReport) {
    let place = where_is(placement);
    let wrong = |wanted: &Option<String>, are: [Option<&String>; 2]| {
        let wanted = wanted.clone().filter(|w| !w.trim().is_empty())?;
        let holds = are.iter().flatten().any(|is| same(&wanted, is));
        let found = are
            .into_iter()
            .flatten()
            .next()
            .map_or("not reported", String::as_str);
        (!holds).then_some((wanted, found.to_owned()))
    };
    if let Some((wanted, found)) = wrong(&placement.serial, report.serials()) {
        let sentence = format!(
            "The plan has the machine with serial number {wanted} at {place}, but this one is {found}. Install the right machine, or \
             correct the plan."
        );
        findings.add(code::SERIAL_OTHER, &place, &wanted, &found, &sentence);
    } else if let Some((wanted, found)) = wrong(&placement.asset_tag, report.asset_tags()) {
        let sentence = format!(
            "The plan has the machine with asset tag {wanted} at {place}, but this one has {found}. Install the right machine, set its \
             tag, or correct the plan."
        );
        findings.add(code::ASSET_TAG_OTHER, &place, &wanted, &found, &sentence);
    }
}

/// One cable as planned and as found.
struct Cable<'a> {
    plan: &'a PlannedPort,
    nic: Option<&'a NicFacts>,
}

pub(super) fn cabling(findings: &mut Findings, placement: &Placement, report: &AssetReport) {
    let nics: Vec<&NicFacts> = report.nics.iter().take(PART_LIMIT).collect();
    let plans: Vec<&PlannedPort> = placement.ports.iter().take(PORT_LIMIT).collect();
    if plans.is_empty() {
        return;
    }
    // A cable without a NIC: any NIC that sees the port, else any that sees another port and that no other
    // cable names.
    let mut used = vec![false; nics.len()];
    let mut cables: Vec<Cable> = plans.iter().map(|plan| Cable { plan, nic: None }).collect();
    for pass in 0..3 {
        for cable in &mut cables {
            if cable.nic.is_some() || (pass == 0) != cable.plan.nic.is_some() {
                continue;
            }
            let found = (0..nics.len()).find(|at| {
                !used[*at]
                    && match (&cable.plan.nic, &nics[*at].lldp) {
                        (Some(name), _) => is_named(name, nics[*at]),
                        (None, Some(seen)) => pass == 2 || is_at(cable.plan, seen),
                        (None, None) => false,
                    }
            });
            if let Some(at) = found {
                used[at] = true;
                cable.nic = Some(nics[at]);
            }
        }
    }
    if nics.iter().all(|nic| nic.lldp.is_none()) {
        let named: Vec<String> = plans.iter().take(4).map(|plan| words(plan)).collect();
        let named = named.join(", ");
        let eaters = nics.iter().filter_map(|nic| Some((nic, answers_lldp(nic)?)));
        let eaters: Vec<String> = eaters
            .map(|(nic, driver)| format!("{} ({driver})", cable_place(nic)))
            .collect();
        let act = match eaters.len() {
            n if n > 0 => format!(
                "This card answers LLDP itself, so the system sees no LLDP there and the cables may be right: {}. Switch its \
                 LLDP agent off to see them.",
                eaters[..n.min(4)].join(", ")
            ),
            _ => "Check the cables, and that the switches speak LLDP.".to_owned(),
        };
        let sentence = format!("Nothing was heard from a switch on any port; the plan has {named}. {act}");
        return findings.add(code::CABLE_SILENT, "cabling", &named, "nothing heard", &sentence);
    }
    let mut told = vec![false; cables.len()];
    swapped(findings, &cables, &mut told);
    for (cable, told) in cables.iter().zip(told) {
        if !told {
            single(findings, cable);
        }
    }
}

/// Two NICs that see each other's port.
fn swapped(findings: &mut Findings, cables: &[Cable], told: &mut [bool]) {
    let sees = |cable: &Cable, plan: &PlannedPort| {
        let seen = cable.nic.and_then(|nic| nic.lldp.as_ref());
        seen.is_some_and(|seen| is_at(plan, seen))
    };
    for a in 0..cables.len() {
        for b in a + 1..cables.len() {
            let (one, two) = (&cables[a], &cables[b]);
            let (Some(nic), Some(other)) = (one.nic, two.nic) else {
                continue;
            };
            if told[a] || told[b] || sees(one, one.plan) || !sees(one, two.plan) || !sees(two, one.plan) {
                continue;
            }
            told[a] = true;
            told[b] = true;
            let (place, there) = (cable_place(nic), cable_place(other));
            let expected = format!("{place} to {}, {there} to {}", words(one.plan), words(two.plan));
            let found = format!("{place} to {}, {there} to {}", words(two.plan), words(one.plan));
            let sentence = format!(
                "The cables of {place} and {there} are swapped. Connect {place} to {} and {there} to {}.",
                words(one.plan),
                words(two.plan)
            );
            findings.add(code::CABLE_SWAPPED, &place, &expected, &found, &sentence);
        }
    }
}

fn single(findings: &mut Findings, cable: &Cable) {
    let plan = cable.plan;
    let expected = words(plan);
    let Some(nic) = cable.nic else {
        // The port named by the plan may be the one that the profile reports as missing.
        if plan.nic.is_some() && findings.has_code(code::NIC_MISSING) {
            return;
        }
        let place = plan.nic.clone().unwrap_or_else(|| expected.clone());
        let (found, sentence) = match &plan.nic {
            Some(name) => (
                "no such network port",
                format!("The plan connects {name} to {expected}, but the machine has no such network port."),
            ),
            None => (
                "nothing heard",
                format!("No network port of the machine hears {expected}. Check the cable."),
            ),
        };
        return findings.add(code::CABLE_SILENT, &place, &expected, found, &sentence);
    };
    let place = cable_place(nic);
    let Some(seen) = &nic.lldp else {
        let link = match nic.link {
            Some(false) => "no link",
            _ => "nothing heard",
        };
        let act = match answers_lldp(nic).filter(|_| nic.link != Some(false)) {
            Some(driver) => format!(
                "This card answers LLDP itself ({driver}), so the system sees no LLDP; the cable may be right."
            ),
            None => "Check the cable and its transceivers.".to_owned(),
        };
        let sentence = format!("{place}: {link}; the plan has {expected}. {act}");
        return findings.add(code::CABLE_SILENT, &place, &expected, link, &sentence);
    };
    let switch = seen.system.as_deref().or(seen.chassis.as_deref());
    let port = seen.port.as_deref().or(seen.port_description.as_deref());
    let found = format!(
        "{} {}",
        switch.unwrap_or("a switch without a name"),
        port.unwrap_or("port unknown")
    );
    if !is_switch(&plan.switch, seen) {
        let sentence = format!("{place} is connected to {found}: wrong switch. Connect it to {expected}.");
        findings.add(code::CABLE_OTHER_SWITCH, &place, &expected, &found, &sentence);
    } else if !is_port(&plan.port, seen) {
        let sentence =
            format!("{place} is connected to {found}: right switch, wrong port. Connect it to {expected}.");
        findings.add(code::CABLE_OTHER_PORT, &place, &expected, &found, &sentence);
    } else if let (Some(wanted), Some(is)) = (plan.vlan, seen.vlan)
        && wanted != is
    {
        let sentence =
            format!("{place} at {found} is in VLAN {is}, the plan has {wanted}. Correct the switch port.");
        let (expected, found) = (format!("VLAN {wanted}"), format!("VLAN {is}"));
        findings.add(code::CABLE_VLAN, &place, &expected, &found, &sentence);
    }
}

/// The driver of a card whose firmware handles LLDP itself, so that the switch cannot be heard.
fn answers_lldp(nic: &NicFacts) -> Option<&str> {
    let driver = nic.driver.as_deref().unwrap_or("its firmware");
    let eats = nic.lldp_in_firmware.unwrap_or(matches!(driver, "i40e" | "ice"));
    eats.then_some(driver)
}

fn words(plan: &PlannedPort) -> String {
    format!("{} {}", plan.switch, plan.port)
}

/// Slot and port if known; else the kernel's name, which helps more at the rack than a PCI address.
fn cable_place(nic: &NicFacts) -> String {
    if nic.slot.is_some() {
        place_of(nic)
    } else {
        nic.name.clone()
    }
}

fn is_named(name: &str, nic: &NicFacts) -> bool {
    if let Ok(mac) = name.trim().parse() {
        return nic.permanent_mac.or(nic.mac) == Some(mac) || nic.mac == Some(mac);
    }
    let slot = [nic.slot.as_deref(), nic.pci.as_deref(), Some(nic.name.as_str())];
    same(name, &place_of(nic)) || slot.iter().flatten().any(|is| same(name, is))
}

fn is_at(plan: &PlannedPort, seen: &LldpNeighbour) -> bool {
    is_switch(&plan.switch, seen) && is_port(&plan.port, seen)
}

/// A switch may be named with or without its domain.
fn is_switch(wanted: &str, seen: &LldpNeighbour) -> bool {
    let short = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    let system = seen.system.as_deref().is_some_and(|is| {
        same(wanted, is) || ((!wanted.contains('.') || !is.contains('.')) && same(&short(wanted), &short(is)))
    });
    system || seen.chassis.as_deref().is_some_and(|is| same(wanted, is))
}

fn is_port(wanted: &str, seen: &LldpNeighbour) -> bool {
    [&seen.port, &seen.port_description]
        .into_iter()
        .flatten()
        .any(|is| same_port(wanted, is))
}

/// "Eth1/7" equals "Ethernet1/7": one word is a prefix of the other, and the numbers are the same.
fn same_port(wanted: &str, is: &str) -> bool {
    let split = |text: &str| -> (String, String) {
        let text: String = text
            .trim()
            .to_lowercase()
            .chars()
            .filter(|c| *c != ' ')
            .take(128)
            .collect();
        let at = text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len());
        (text[..at].to_owned(), text[at..].to_owned())
    };
    if same(wanted, is) {
        return true;
    }
    let ((word, number), (other, there)) = (split(wanted), split(is));
    !number.is_empty()
        && number == there
        && (!word.is_empty() && !other.is_empty())
        && (word.starts_with(&other) || other.starts_with(&word))
}

#[cfg(test)]
mod tests {
    use super::same_port;

    #[test]
    fn ports_as_switches_and_people_write_them() {
        assert!(same_port("Eth1/7", "Ethernet1/7"));
        assert!(same_port("Gi1/0/1", "GigabitEthernet1/0/1"));
        assert!(same_port("swp7", "swp7"));
        assert!(!same_port("Eth1/7", "Ethernet1/17"));
        assert!(!same_port("Gi1/0/1", "TenGigabitEthernet1/0/1"));
        assert!(!same_port("7", "swp7"));
        assert!(same_port("7", "7"));
    }
}
