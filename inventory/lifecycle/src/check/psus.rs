//! Power supplies: by bay or in groups.

use inventory_api::check::{HardwareProfile, PsuProfile, Severity, code};
use inventory_api::report::{AssetReport, PowerSupply};
use inventory_api::text::counted;

use super::difference::{Differences, LOOK};
use super::findings::Findings;
use super::parts::{Kind, Outcome, Place, pair};
use super::text::{label, near, same, words_or};

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
        let (severity, code, place) = (Severity::Warning, code::PSU_MISSING, "power supplies");
        let found = "power supplies not reported";
        return findings.add_as(severity, code, place, &expected, found, &sentence);
    }
    let kind = Psus {
        percent: profile.tolerance.psu_watts,
    };
    let place = |have: usize| place_of(&haves[have], have);
    let wanted = |want: usize| wants[want].bay.as_deref().unwrap_or("power supplies");
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
                        let is_this = |psu: &PowerSupply| bay_of(psu).is_some_and(|is| same(bay, is));
                        let found = match haves.iter().any(is_this) {
                            true => "the bay is empty",
                            false => "none is seen there",
                        };
                        let name = word(bay);
                        let sentence =
                            format!("{name}: ordered {what}, {found}. Check that it is there and seated.");
                        (bay, sentence)
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
                findings.extra(code::PSU_EXTRA, &place, &word(&place), "empty", &found);
            }
            Outcome::Moved { want, have } => {
                let (from, to) = (wanted(want), place(have));
                let sentence = format!("The power supply of {from} sits in {to}. Move it to {from}.");
                findings.add(code::PSU_MOVED, from, from, &to, &sentence);
            }
            Outcome::Swapped { want, have, .. } => {
                let (from, to) = (wanted(want), place(have));
                let sentence = format!("The power supplies of {from} and {to} are swapped. Exchange them.");
                findings.add(code::PSU_MOVED, from, from, &to, &sentence);
            }
            Outcome::Differs { want, have } => {
                let list = kind.differences(&wants[want], &haves[have]);
                let (place, name) = (place(have), word(&place(have)));
                findings.add_list(&place, &name, &list, |said| {
                    let act = match said.code {
                        code::PSU_UNPLUGGED => UNPLUGGED,
                        _ => "Replace it by the one that was ordered.",
                    };
                    format!("{name}: expected {}, found {}. {act}", said.expected, said.found)
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
        have.is_there()
    }

    fn differences(&self, want: &PsuProfile, have: &PowerSupply) -> Differences {
        let mut list = Differences::default();
        let (parts, makers) = ((&want.part, &have.part), (&want.maker, &have.manufacturer));
        list.part(code::PSU_OTHER, parts, makers, same);
        let watts = (want.watts, have.max_watts);
        let holds = |wanted: u32, is: u32| near(is.into(), wanted.into(), self.percent);
        list.fact(code::PSU_OTHER, "power", watts, holds, |watts| {
            format!("{watts} W")
        });
        let word = |plugged: bool| if plugged { "mains power" } else { "no mains power" }.to_owned();
        list.exact(
            code::PSU_UNPLUGGED,
            "mains power",
            want.plugged,
            have.plugged,
            word,
        );
        list
    }
}

/// The bay's name, else the name of the device, which is all that some firmware has. Dell's "PWR
/// SPLY,750W,RDNT,DELTA" names the model.
pub(super) fn bay_of(psu: &PowerSupply) -> Option<&str> {
    let part = psu.part.as_deref();
    let is_part = |name: &&str| part.is_some_and(|part| same(part, name));
    bay_name(psu.location.as_deref().or(psu.name.as_deref())).filter(|name| !is_part(name))
}

/// Whether a name can be that of a bay and not of a model: no comma and no watts.
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
    let is_critical = |status: &str| same("critical", status) || same("non-recoverable", status);
    psu.is_there() && psu.status.as_deref().is_some_and(is_critical)
}

fn describe(psu: &PowerSupply) -> String {
    in_words(psu.max_watts, &psu.manufacturer, &psu.part)
}

fn describe_wanted(want: &PsuProfile) -> String {
    in_words(want.watts, &want.maker, &want.part)
}

fn in_words(watts: Option<u32>, maker: &Option<String>, part: &Option<String>) -> String {
    let watts = watts.map(|watts| format!("{watts} W"));
    words_or(
        "a power supply",
        [watts.as_deref(), maker.as_deref(), part.as_deref()],
    )
}
