//! Any bytes as every answer of a BMC.

use std::collections::BTreeMap;

use super::super::harmless::assert_harmless;
use super::{decode, fru, sdr, sel};

pub(crate) fn door(answer: &[u8]) {
    let _ = decode::is_lan(answer);
    let lan = decode::Lan::new(Some(answer), Some(answer), Some(answer));
    let mut bmc = decode::device_id(answer).unwrap_or_default();
    (bmc.ip, bmc.ip_source, bmc.mac) = (lan.ip, lan.source, lan.mac);
    let names = BTreeMap::new();
    bmc.events.extend(sel::parse(answer, &names));
    bmc.fru.extend(fru::parse(answer).map(|unit| unit.facts));
    let mut records = sdr::Records::default();
    let (reading, record) = answer.split_at_checked(4).unwrap_or_default();
    records.add(record);
    let told = sdr::Reading::parse(reading);
    let sensors = records.sensors.iter();
    assert_harmless(|report| {
        report.bmc = Some(bmc);
        report.sensors = sensors.filter_map(|sensor| sdr::facts(sensor, told?)).collect();
    });
}
