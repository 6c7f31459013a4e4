//! Power supplies: bay by bay or in groups.

use inventory_api::check::{HardwareProfile, PsuProfile, code};
use inventory_api::report::{AssetReport, PowerSupply};

use super::difference::{Difference, LOOK};
use super::findings::Findings;
use super::memory::near;
use super::parts::{Kind, Outcome, Place, pair};
use super::text::{counted, label, same, same_part, words};

pub(super) fn check(findings: &mut Findings, profile: &HardwareProfile, report: &AssetReport) {
    let wants = &profile.psus;
    if wants.is_empty() {
        return;
    }
    let haves = &report.power_supplies;
    if haves.is_empty() {
        let of: u64 = wants.iter().map(|want| u64::from(want.count.unwrap_or(1))).sum();
        let expected = counted(of, "power supply").replace("supplys", "supplies");
        let sentence = format!(
            "Power supplies not reported (expected {expected}): the machine's firmware lists none. {LOOK}"
        );
        return findings.add_unknown(
            code::PSU_MISSING,
            "power supplies",
            &expected,
            "power supplies not reported",
            &sentence,
        );
    }
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
                let (place, sentence) = match bay_name(want.bay.as_deref()) {
                    Some(bay) => {
                        // Only firmware that lists the bay knows that it is empty.
                        let listed = haves
                            .iter()
                            .any(|psu| bay_of(psu).is_some_and(|is| same(bay, is)));
                        let found = if listed {
                            "the bay is empty"
                        } else {
                            "none is seen there"
                        };
                        (
                            bay,
                            format!(
                                "{}: ordered {what}, {found}. Check that it is there and seated.",
                                word(bay)
                            ),
                        )
                    }
                    None if of == 1 => ("power supplies", format!("The power supply ({what}) is missing.")),
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
                let place = place(have);
                findings.add_list(&place, &word(&place), &list, |said| {
                    let act = match said.code {
                        code::PSU_UNPLUGGED => UNPLUGGED,
                        _ => "Replace it by the one that was ordered.",
                    };
                    format!(
                        "{}: expected {}, found {}. {act}",
                        word(&place),
                        said.expected,
                        said.found
                    )
                });
            }
        }
    }
}

pub(super) const UNPLUGGED: &str = "Plug in its power cord, and look at the supply line.";

struct Psus {
    percent: u32,
}

impl Kind for Psus {
    type Want = PsuProfile;
    type Have = PowerSupply;

    fn place(&self, want: &PsuProfile) -> Option<Place> {
        Place::new("bay", bay_name(want.bay.as_deref()), None)
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
        let part = want.part.as_deref();
        let as_ordered = part
            .zip(have.part.as_deref())
            .is_some_and(|(wanted, is)| same_part(wanted, is));
        if let Some(wanted) = part.filter(|_| !as_ordered) {
            list.push(Difference::of(code::PSU_OTHER, wanted, have.part.clone(), "part"));
        }
        // The maker of the ordered part is the ordered one, in whatever words.
        if let Some(wanted) = want.maker.as_deref().filter(|_| !as_ordered)
            && !have.manufacturer.as_deref().is_some_and(|is| same(wanted, is))
        {
            list.push(Difference::of(
                code::PSU_OTHER,
                wanted,
                have.manufacturer.clone(),
                "maker",
            ));
        }
        if let Some(watts) = want.watts
            && !have
                .max_watts
                .is_some_and(|is| near(u64::from(is), u64::from(watts), self.percent))
        {
            let found = have.max_watts.map(|is| format!("{is} W"));
            list.push(Difference::of(
                code::PSU_OTHER,
                format!("{watts} W"),
                found,
                "power",
            ));
        }
        if let Some(plugged) = want.plugged.filter(|wanted| have.plugged != Some(*wanted)) {
            let word = |plugged| if plugged { "mains power" } else { "no mains power" }.to_owned();
            list.push(Difference::of(
                code::PSU_UNPLUGGED,
                word(plugged),
                have.plugged.map(word),
                "mains power",
            ));
        }
        list
    }
}

/// The bay's name; some firmware gives only the device a name. Dell's "PWR SPLY,750W,RDNT,DELTA" names the model.
pub(super) fn bay_of(psu: &PowerSupply) -> Option<&str> {
    let part = psu.part.as_deref();
    let is_part = |name: &&str| part.is_some_and(|part| same(part, name));
    bay_name(psu.location.as_deref().or(psu.name.as_deref())).filter(|name| !is_part(name))
}

/// A name that can be a bay's, and not a model's: without a comma and without watts.
pub(super) fn bay_name(name: Option<&str>) -> Option<&str> {
    let watts = |word: &str| {
        let digits = word.trim_end_matches(['w', 'W', 'p', 'P']);
        digits.len() < word.len() && digits.len() > 2 && digits.bytes().all(|b| b.is_ascii_digit())
    };
    name.filter(|name| !name.contains(',') && !name.split([' ', '-', '_']).any(watts))
}

pub(super) fn place_of(psu: &PowerSupply, at: usize) -> String {
    bay_of(psu).map_or_else(|| format!("power supply {}", at + 1), str::to_owned)
}

pub(super) fn fails(psu: &PowerSupply) -> bool {
    psu.present != Some(false) && psu.status.as_deref().is_some_and(super::alarms::is_critical)
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
