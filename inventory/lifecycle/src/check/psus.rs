//! Power supplies: bay by bay or in groups.

use inventory_api::check::{HardwareProfile, PsuProfile, code};
use inventory_api::report::{AssetReport, PowerSupply};

use super::findings::Findings;
use super::memory::near;
use super::parts::{Difference, Kind, Outcome, Place, pair};
use super::text::{label, same, words};

pub(super) fn check(findings: &mut Findings, profile: &HardwareProfile, report: &AssetReport) {
    let wants = &profile.psus;
    if wants.is_empty() {
        return;
    }
    let haves = &report.power_supplies;
    let kind = Psus {
        percent: profile.tolerance.psu_watts,
    };
    let place = |have: usize| place_of(&haves[have], have);
    let word = |place: &str| match place {
        "power supplies" => "Power supply".to_owned(),
        place => label("Power supply", place),
    };
    for outcome in pair(&kind, wants, haves) {
        match outcome {
            Outcome::Fits { .. } => {}
            Outcome::Missing { want, lacking } => {
                let want = &wants[want];
                let what = describe_wanted(want);
                let of = want.count.unwrap_or(1);
                let (place, sentence) = match &want.bay {
                    Some(bay) => (
                        bay.as_str(),
                        format!("{}: ordered {what}, the bay is empty.", word(bay)),
                    ),
                    None => (
                        "power supplies",
                        format!("{lacking} of {of} power supplies ({what}) are missing."),
                    ),
                };
                findings.add(code::PSU_MISSING, place, &what, "missing", &sentence);
            }
            Outcome::Extra { have } => {
                let (place, found) = (place(have), describe(&haves[have]));
                let sentence = format!("{}: {found} is there although none was ordered.", word(&place));
                findings.add(code::PSU_EXTRA, &place, "empty", &found, &sentence);
            }
            Outcome::Moved { want, have } => {
                let (from, to) = (
                    wants[want].bay.as_deref().unwrap_or("power supplies"),
                    place(have),
                );
                let sentence = format!("The power supply of {from} sits in {to}. Move it to {from}.");
                findings.add(code::PSU_MOVED, from, from, &to, &sentence);
            }
            Outcome::Swapped { want, have, .. } => {
                let (from, to) = (
                    wants[want].bay.as_deref().unwrap_or("power supplies"),
                    place(have),
                );
                let sentence = format!("The power supplies of {from} and {to} are swapped. Exchange them.");
                findings.add(code::PSU_MOVED, from, from, &to, &sentence);
            }
            Outcome::Differs { want, have } => {
                let list = kind.differences(&wants[want], &haves[have]);
                let Some(first) = list.first() else { continue };
                let join = |of: fn(&Difference) -> &str| list.iter().map(of).collect::<Vec<_>>().join(", ");
                let (expected, found) = (join(|d| &d.expected), join(|d| &d.found));
                let place = place(have);
                let act = match first.code {
                    code::PSU_UNPLUGGED => "Plug in its power cord, and look at the supply line.",
                    _ => "Replace it by the one that was ordered.",
                };
                let sentence = format!("{}: expected {expected}, found {found}. {act}", word(&place));
                findings.add(first.code, &place, &expected, &found, &sentence);
            }
        }
    }
}

struct Psus {
    percent: u32,
}

impl Kind for Psus {
    type Want = PsuProfile;
    type Have = PowerSupply;

    fn place(&self, want: &PsuProfile) -> Option<Place> {
        Place::new("bay", want.bay.as_deref(), None)
    }

    fn places(&self, have: &PowerSupply) -> Vec<Place> {
        Place::new("bay", bay_of(have), None).into_iter().collect()
    }

    fn count(&self, want: &PsuProfile) -> u32 {
        want.count.unwrap_or(1)
    }

    fn is_there(&self, have: &PowerSupply) -> bool {
        have.present != Some(false)
    }

    fn differences(&self, want: &PsuProfile, have: &PowerSupply) -> Vec<Difference> {
        let mut list = Vec::new();
        for (what, wanted, is) in [
            ("part", &want.part, &have.part),
            ("maker", &want.maker, &have.manufacturer),
        ] {
            if let Some(wanted) = wanted
                && !is.as_deref().is_some_and(|is| same(wanted, is))
            {
                list.push(Difference {
                    code: code::PSU_OTHER,
                    expected: wanted.clone(),
                    found: is.clone().unwrap_or_else(|| format!("{what} not reported")),
                });
            }
        }
        if let Some(watts) = want.watts
            && !have
                .max_watts
                .is_some_and(|is| near(u64::from(is), u64::from(watts), self.percent))
        {
            list.push(Difference {
                code: code::PSU_OTHER,
                expected: format!("{watts} W"),
                found: have
                    .max_watts
                    .map_or("power not reported".to_owned(), |is| format!("{is} W")),
            });
        }
        if let Some(plugged) = want.plugged.filter(|wanted| have.plugged != Some(*wanted)) {
            let word = |plugged| if plugged { "mains power" } else { "no mains power" }.to_owned();
            list.push(Difference {
                code: code::PSU_UNPLUGGED,
                expected: word(plugged),
                found: have.plugged.map_or("mains power not reported".to_owned(), word),
            });
        }
        list
    }
}

/// The bay's name; some firmware gives only the device a name.
pub(super) fn bay_of(psu: &PowerSupply) -> Option<&str> {
    psu.location.as_deref().or(psu.name.as_deref())
}

pub(super) fn place_of(psu: &PowerSupply, at: usize) -> String {
    bay_of(psu).map_or_else(|| format!("power supply {}", at + 1), str::to_owned)
}

pub(super) fn fails(psu: &PowerSupply) -> bool {
    psu.present != Some(false)
        && psu
            .status
            .as_deref()
            .is_some_and(|status| same("critical", status))
}

fn describe(psu: &PowerSupply) -> String {
    let watts = psu.max_watts.map(|w| format!("{w} W"));
    let text = words([watts.as_deref(), psu.manufacturer.as_deref(), psu.part.as_deref()]);
    if text.is_empty() {
        "a power supply".to_owned()
    } else {
        text
    }
}

fn describe_wanted(want: &PsuProfile) -> String {
    let watts = want.watts.map(|w| format!("{w} W"));
    let text = words([watts.as_deref(), want.maker.as_deref(), want.part.as_deref()]);
    if text.is_empty() {
        "a power supply".to_owned()
    } else {
        text
    }
}
