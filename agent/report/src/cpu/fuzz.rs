//! Any bytes as /proc/cpuinfo.

use inventory_api::report::CpuFacts;

use super::super::harmless::assert_harmless;
use super::info::CpuInfo;

pub(crate) fn door(bytes: &[u8]) {
    let info = CpuInfo::parse(&String::from_utf8_lossy(bytes));
    assert_harmless(|report| {
        report.cpu = Some(CpuFacts {
            sockets: info.sockets(),
            cores: info.physical_cores(),
            threads: info.threads(),
            vendor: info.vendor,
            model: info.model,
            flags: info.flags,
            microcode: info.microcode,
            ..Default::default()
        });
    });
}
