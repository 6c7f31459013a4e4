//! A report cut to a size that nothing behind it has to fear. What a machine sends is a stranger's word.

use inventory_api::report::{AssetReport, CollectorProblem};
use serde_json::Value;

/// Entries of any list. The largest real machines list some hundred PCI devices and sensors.
pub const MAX_ENTRIES: usize = 2048;
/// Characters of any text. The agent itself keeps 256.
pub const MAX_TEXT: usize = 1024;
/// The collector that names what was cut.
const SERVER: &str = "server";

/// The report with each list cut to [`MAX_ENTRIES`], each text to [`MAX_TEXT`] characters, and without control and
/// invisible characters. What was cut is told as a problem of the collector "server".
pub fn bounded(report: &AssetReport) -> AssetReport {
    let mut cut = Vec::new();
    let bounded = serde_json::to_value(report).and_then(|mut value| {
        walk(&mut value, &mut String::new(), &mut cut);
        serde_json::from_value::<AssetReport>(value)
    });
    // Both ways hold for every report; one for which they did not is worth nothing.
    let mut bounded = bounded.unwrap_or_default();
    bounded
        .problems
        .truncate(MAX_ENTRIES - cut.len().min(MAX_ENTRIES));
    bounded
        .problems
        .extend(cut.into_iter().map(|detail| CollectorProblem {
            collector: SERVER.to_owned(),
            detail,
        }));
    bounded
}

fn walk(value: &mut Value, path: &mut String, cut: &mut Vec<String>) {
    match value {
        Value::String(text) => tame(text),
        Value::Array(list) => {
            if list.len() > MAX_ENTRIES {
                if cut.len() < 32 {
                    cut.push(format!(
                        "{} entries of {} were reported; the first {MAX_ENTRIES} are kept",
                        list.len(),
                        path.trim_start_matches('.')
                    ));
                }
                list.truncate(MAX_ENTRIES);
            }
            for entry in list {
                walk(entry, path, cut);
            }
        }
        Value::Object(map) => {
            if map.len() > MAX_ENTRIES {
                let more: Vec<String> = map.keys().skip(MAX_ENTRIES).cloned().collect();
                for key in more {
                    map.remove(&key);
                }
            }
            // Keys that are a machine's own words: the kernel's names of vulnerabilities.
            let odd: Vec<String> = map.keys().filter(|k| !is_tame(k)).cloned().collect();
            for key in odd {
                map.remove(&key);
            }
            for (key, entry) in map.iter_mut() {
                let length = path.len();
                path.push('.');
                path.push_str(key);
                walk(entry, path, cut);
                path.truncate(length);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Control, bidirectional and zero-width characters make a page or a terminal show something else than what is there.
fn is_wild(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn is_tame(text: &str) -> bool {
    text.len() <= MAX_TEXT && !text.chars().any(is_wild)
}

/// A text of an agent outside its report, as [`bounded`] keeps the texts in it: without control and invisible characters, at most
/// [`MAX_TEXT`] characters.
pub fn bounded_text(text: &str) -> String {
    let mut text = text.to_owned();
    tame(&mut text);
    text
}

fn tame(text: &mut String) {
    if !is_tame(text) {
        *text = text.chars().filter(|c| !is_wild(*c)).take(MAX_TEXT).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inventory_api::report::{DiskFacts, SystemFacts};

    #[test]
    fn an_honest_report_is_kept_as_it_is() {
        let report = AssetReport {
            system: Some(SystemFacts {
                product: Some("PowerEdge R650 <é>".into()),
                ..SystemFacts::default()
            }),
            disks: vec![DiskFacts::default(); 100],
            ..AssetReport::default()
        };
        assert_eq!(bounded(&report), report);
    }

    #[test]
    fn a_hundred_thousand_disks_and_wild_texts_are_cut() {
        let mut report = AssetReport {
            system: Some(SystemFacts {
                product: Some(format!("\u{1b}[2J\u{202e}R1{}", "x".repeat(1 << 20))),
                ..SystemFacts::default()
            }),
            disks: vec![DiskFacts::default(); 100_000],
            ..AssetReport::default()
        };
        report
            .cpu
            .get_or_insert_default()
            .vulnerabilities
            .insert("a\nb".into(), "x".into());
        let cut = bounded(&report);
        assert_eq!(cut.disks.len(), MAX_ENTRIES);
        let product = cut.system.unwrap().product.unwrap();
        assert!(product.starts_with("[2JR1x") && product.chars().count() == MAX_TEXT);
        assert!(cut.cpu.unwrap().vulnerabilities.is_empty());
        assert_eq!(cut.problems.len(), 1);
        assert!(
            cut.problems[0].detail.contains("100000 entries of disks"),
            "{}",
            cut.problems[0].detail
        );
    }
}
