//! Any bytes as a frame.

use inventory_api::report::NicFacts;

use super::super::harmless::assert_harmless;
use super::frame::parse;

pub(crate) fn door(unit: &[u8]) {
    let Some(heard) = parse(unit) else { return };
    let nic = NicFacts {
        lldp: Some(heard.neighbour),
        ..Default::default()
    };
    assert_harmless(|report| report.nics.push(nic));
}
