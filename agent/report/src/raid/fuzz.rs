//! Any bytes as a RAID controller's answer.

use inventory_api::report::StorageController;

use super::super::harmless::assert_harmless;
use super::{megaraid, smart_array};

pub(crate) fn door(bytes: &[u8]) {
    megaraid::list(bytes);
    smart_array::list(bytes);
    let disks = megaraid::disk(bytes).into_iter().chain(smart_array::disk(bytes));
    let controller = StorageController {
        disks: disks.collect(),
        ..StorageController::default()
    };
    assert_harmless(|report| report.controllers.push(controller));
}
