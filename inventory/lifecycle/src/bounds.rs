//! A report is cut to a safe size while it is read. What a machine sends is untrusted: three bytes of JSON
//! become hundreds of bytes of memory in a list of disks.

use std::fmt;

use inventory_api::agent::ReportRequest;
use inventory_api::report::{AssetReport, CollectorProblem};
use inventory_api::text::is_wild;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

/// Entries of any list. The largest real machines have a few hundred PCI devices and sensors.
pub const MAX_ENTRIES: usize = 2048;
/// Entries of all lists together, because lists contain lists.
const MAX_ALL_ENTRIES: usize = 16 * MAX_ENTRIES;
/// Characters of any text. The agent itself keeps 256.
pub const MAX_TEXT: usize = 1024;
/// Number of sentences about what was cut.
const MAX_SENTENCES: usize = 32;
/// The collector name under which cuts are reported.
const SERVER: &str = "server";

/// Reads a report. Each list is cut to [`MAX_ENTRIES`], all lists together to sixteen times that, and each
/// text to [`MAX_TEXT`] characters; control and invisible characters are removed. Cuts are reported as
/// problems of the collector "server". Memory stays within a small multiple of `bytes` and of these bounds.
///
/// # Errors
/// The bytes are not JSON, or not a report.
pub fn read_report(bytes: &[u8]) -> Result<ReportRequest, serde_json::Error> {
    read(bytes, |request: &mut ReportRequest| &mut request.report)
}

/// As [`read_report`], for a report without its envelope.
///
/// # Errors
/// As [`read_report`].
pub fn read_asset_report(bytes: &[u8]) -> Result<AssetReport, serde_json::Error> {
    read(bytes, |report| report)
}

fn read<T: DeserializeOwned>(
    bytes: &[u8],
    report: fn(&mut T) -> &mut AssetReport,
) -> Result<T, serde_json::Error> {
    let (text, cut) = bounded_json(bytes)?;
    let mut read = serde_json::from_slice(&text)?;
    tell(report(&mut read), cut);
    Ok(read)
}

fn tell(report: &mut AssetReport, cut: Vec<String>) {
    report.problems.truncate(MAX_ENTRIES - cut.len());
    report
        .problems
        .extend(cut.into_iter().map(|detail| CollectorProblem {
            collector: SERVER.to_owned(),
            detail,
        }));
}

/// Copies JSON within the bounds, with a sentence for each list that was cut. Nothing is deserialized on the
/// way.
fn bounded_json(bytes: &[u8]) -> Result<(Vec<u8>, Vec<String>), serde_json::Error> {
    let mut writer = Writer::default();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    Copy(&mut writer).deserialize(&mut reader)?;
    reader.end()?;
    if writer.left_out > 0 {
        writer.cut.push(format!(
            "the lists have more than {MAX_ALL_ENTRIES} entries together; {} are left out",
            writer.left_out
        ));
    }
    Ok((writer.out, writer.cut))
}

#[derive(Default)]
struct Writer {
    out: Vec<u8>,
    /// Path in the report, ".disks".
    path: String,
    entries: usize,
    left_out: usize,
    cut: Vec<String>,
}

/// Copies one value.
struct Copy<'a>(&'a mut Writer);

impl<'de> DeserializeSeed<'de> for Copy<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Copy<'_> {
    fn scalar<E: de::Error>(self, value: &impl serde::Serialize) -> Result<(), E> {
        serde_json::to_writer(&mut self.0.out, value).map_err(E::custom)
    }
}

impl<'de> Visitor<'de> for Copy<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.scalar(&())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.scalar(&value)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.scalar(&value)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.scalar(&value)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        self.scalar(&value)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<(), E> {
        if is_tame(value) {
            return self.scalar(&value);
        }
        self.scalar(&bounded_text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let writer = self.0;
        writer.out.push(b'[');
        let mut kept = 0;
        while kept < MAX_ENTRIES && writer.entries < MAX_ALL_ENTRIES {
            let before = writer.out.len();
            if kept > 0 {
                writer.out.push(b',');
            }
            writer.entries += 1;
            if list.next_element_seed(Copy(writer))?.is_none() {
                writer.out.truncate(before);
                break;
            }
            kept += 1;
        }
        let mut more = 0;
        while list.next_element::<IgnoredAny>()?.is_some() {
            more += 1;
        }
        writer.out.push(b']');
        if more > 0 && kept < MAX_ENTRIES {
            writer.left_out += more;
        } else if more > 0 && writer.cut.len() < MAX_SENTENCES {
            let (all, path) = (kept + more, writer.path.trim_start_matches('.'));
            writer.cut.push(format!(
                "{all} entries of {path} were reported; the first {MAX_ENTRIES} are kept"
            ));
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let writer = self.0;
        writer.out.push(b'{');
        let mut kept = 0;
        while let Some(key) = map.next_key::<String>()? {
            // Keys can come from the machine: the kernel's names of vulnerabilities.
            if kept >= MAX_ENTRIES || !is_tame(&key) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            if kept > 0 {
                writer.out.push(b',');
            }
            kept += 1;
            serde_json::to_writer(&mut writer.out, &key).map_err(de::Error::custom)?;
            writer.out.push(b':');
            let length = writer.path.len();
            writer.path.push('.');
            writer.path.push_str(&key);
            map.next_value_seed(Copy(writer))?;
            writer.path.truncate(length);
        }
        writer.out.push(b'}');
        Ok(())
    }
}

fn is_tame(text: &str) -> bool {
    text.len() <= MAX_TEXT && !text.chars().any(is_wild)
}

/// Bounds a text of an agent outside its report as [`read_report`] does: no control or invisible characters,
/// at most [`MAX_TEXT`] characters.
pub fn bounded_text(text: &str) -> String {
    if is_tame(text) {
        return text.to_owned();
    }
    text.chars().filter(|c| !is_wild(*c)).take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use inventory_api::report::{DiskFacts, SystemFacts};

    fn through(report: &AssetReport) -> AssetReport {
        read_asset_report(&serde_json::to_vec(report).unwrap()).unwrap()
    }

    #[test]
    fn an_honest_report_is_kept_as_it_is() {
        let report = AssetReport {
            system: Some(SystemFacts {
                product: Some("PowerEdge R650 <é>".into()),
                ..SystemFacts::default()
            }),
            disks: vec![DiskFacts::default(); 100],
            sensors: vec![inventory_api::report::SensorFacts {
                value: -1.25e-7,
                ..Default::default()
            }],
            ..AssetReport::default()
        };
        assert_eq!(through(&report), report);
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
        let cut = through(&report);
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

    /// `{"disks":[{},{},...]}`, and lists within lists, which a bound on single lists does not catch.
    #[test]
    fn a_list_is_bounded_before_anything_is_built_of_it() {
        let empty = |n: usize| vec!["{}"; n].join(",");
        let flat = format!(r#"{{"disks":[{}]}}"#, empty(300_000));
        let (text, _) = bounded_json(flat.as_bytes()).unwrap();
        assert!(text.len() < 4 * MAX_ENTRIES, "{} bytes are left", text.len());
        let shelf = format!(r#"{{"disks":[{}]}}"#, empty(1000));
        let nested = format!(r#"{{"controllers":[{}]}}"#, vec![shelf.as_str(); 300].join(","));
        let report = read_asset_report(nested.as_bytes()).unwrap();
        let all: usize = report.controllers.iter().map(|c| c.disks.len()).sum();
        assert!(all <= MAX_ALL_ENTRIES, "{all}");
        assert!(
            report.problems[0].detail.contains("together"),
            "{:?}",
            report.problems
        );
    }

    #[test]
    fn bytes_that_are_not_json_or_not_a_report_are_refused() {
        for bad in ["", "{", "{} x", r#"{"disks":7}"#, "\u{0}"] {
            assert!(read_asset_report(bad.as_bytes()).is_err(), "{bad}");
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(read_asset_report(deep.as_bytes()).is_err());
    }
}
