//! What must hold for every report, whatever devices and firmware say; used by fuzzers and property tests.

use inventory_api::report::{AssetReport, distinct};
use serde_json::Value;

use super::render_text;

/// Longest text of a fact, in characters (`clean::text`).
const TEXT_LIMIT: usize = 256;

/// Checks a report filled with a parser's output: every text is short and without control characters, the
/// report survives JSON, and it can be rendered as text.
pub(super) fn assert_harmless(fill: impl FnOnce(&mut AssetReport)) {
    let mut report = AssetReport::default();
    fill(&mut report);
    let json = serde_json::to_value(&report).expect("a report is JSON");
    assert_texts(&json);
    let again: AssetReport = serde_json::from_value(json).expect("its own JSON is a report");
    assert_eq!(again, report);
    render_text(&report);
    let parts = distinct(again);
    assert_texts(&serde_json::to_value(&parts).expect("a report is JSON"));
    render_text(&parts);
}

fn assert_texts(value: &Value) {
    match value {
        Value::String(text) => {
            assert!(
                text.chars().count() <= TEXT_LIMIT,
                "{} characters: {text:?}",
                text.chars().count()
            );
            assert!(!text.chars().any(char::is_control), "{text:?}");
        }
        Value::Array(values) => values.iter().for_each(assert_texts),
        Value::Object(fields) => fields.values().for_each(assert_texts),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
