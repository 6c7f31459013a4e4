//! Describes entries of the system event log (IPMI 2.0, chapter 32). Pure; layout and names come from
//! ipmi-rs-core.

use std::collections::BTreeMap;
use std::fmt;

use inventory_api::UnixMs;
use inventory_api::report::BmcEvent;
use ipmi_rs_core::storage::sdr::SensorType;
use ipmi_rs_core::storage::sel::{Entry, EventDirection};

use super::super::clean;

/// Timestamps up to this count from the BMC's start, because its clock was not set (37.1).
const LAST_RELATIVE: u32 = 0x2000_0000;
const NO_TIME: u32 = 0xffff_ffff;

/// Writes the standard's name of an event.
struct Words<'a>(&'a Entry);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.event_description(f)
    }
}

/// One 16-byte entry; `names` maps sensor numbers to names. None if it is too short, or a vendor-specific
/// kind without time.
pub(super) fn parse(entry: &[u8], names: &BTreeMap<u8, String>) -> Option<BmcEvent> {
    // Both kinds with a timestamp have it here.
    let stamp = u32::from_le_bytes(entry.get(3..7)?.try_into().ok()?);
    let at = (stamp > LAST_RELATIVE && stamp != NO_TIME).then(|| UnixMs(i64::from(stamp) * 1000));
    match Entry::parse(entry).ok()? {
        ref parsed @ Entry::System {
            sensor_type,
            sensor_number,
            event_direction,
            event_type,
            ref event_data,
            ..
        } => {
            let kind = SensorType::from(sensor_type);
            let said = Words(parsed).to_string();
            Some(BmcEvent {
                at,
                sensor: names
                    .get(&sensor_number)
                    .cloned()
                    .unwrap_or_else(|| format!("{kind} #{sensor_number}")),
                event: clean::text(&said)
                    .unwrap_or_else(|| format!("event type {event_type:02x}h, offset {}", event_data.offset)),
                asserted: Some(event_direction == EventDirection::Assert),
            })
        }
        Entry::OemTimestamped { ty, data, .. } => Some(BmcEvent {
            at,
            sensor: format!("maker's record {ty:02x}h"),
            event: hex::encode(data),
            asserted: None,
        }),
        Entry::OemNotTimestamped { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_in_words_with_the_sensors_name() {
        let names = BTreeMap::from([(0x52, "PS1 Status".to_owned())]);
        // Of a PowerEdge: power supply 1 lost its input, 2026-03-01 12:00:00; then an ECC error of a module
        // without a clock.
        let entry = |stamp: u32, kind: u8, number: u8, direction: u8, data: u8| {
            let [a, b, c, d] = stamp.to_le_bytes();
            [
                1, 0, 2, a, b, c, d, 0x20, 0, 4, kind, number, direction, data, 0xff, 0xff,
            ]
        };
        let lost = parse(&entry(1_772_366_400, 0x08, 0x52, 0x6f, 0xa3), &names).unwrap();
        assert_eq!(lost.at, Some(UnixMs(1_772_366_400_000)));
        assert_eq!((lost.sensor.as_str(), lost.asserted), ("PS1 Status", Some(true)));
        assert!(lost.event.to_lowercase().contains("input lost"), "{lost:?}");
        let ecc = parse(&entry(77, 0x0c, 0x10, 0xef, 0x01), &names).unwrap();
        assert_eq!(
            (ecc.at, ecc.sensor.as_str(), ecc.asserted),
            (None, "Memory #16", Some(false))
        );
        assert!(ecc.event.to_lowercase().contains("uncorrectable"), "{ecc:?}");
        assert_eq!(parse(&[0; 15], &names), None);
        assert!(
            parse(&entry(1_772_366_400, 0xc0, 1, 0x70, 0x05), &names)
                .unwrap()
                .event
                .contains("70h")
        );
    }
}
