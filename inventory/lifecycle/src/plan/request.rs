//! Checks the values of a request before anything runs: what would break a file of the installed system, or
//! change its meaning there, is refused.

use inventory_api::MachineId;
use inventory_api::deploy::{DeployRequest, DiskChoice, NicConfig};
use inventory_api::report::{AssetReport, Transport};
use inventory_api::valid::{self, Invalid};

use super::PlanError;
use crate::check;

fn bad(field: impl Into<String>, why: impl Into<String>) -> PlanError {
    let (field, why) = (field.into(), why.into());
    Invalid { field, why }.into()
}

/// Refuses a request that is wrong for every machine. What depends on the machine (disks, NICs, serial
/// number) is checked when its plan is made.
pub fn check_request(request: &DeployRequest) -> Result<(), PlanError> {
    valid::accounts(&request.accounts)?;
    valid::cron(&request.cron)?;
    valid::scripts(&request.scripts)?;
    valid::nics(&request.network)?;
    kernel_args(request)?;
    if let Some(template) = &request.hostname {
        let filled = template.replace("{id}", "m").replace("{serial}", "s");
        valid::hostname(&filled.replace("{mac}", "525400000001"))?;
    }
    if let Some(DiskChoice {
        transport: Some(Transport::Unknown),
        ..
    }) = request.disk
    {
        return Err(bad(
            "disk",
            "unknown transport; known are sata, sas, scsi, nvme, virtio, mmc, usb, sd, fibre-channel, iscsi, nvme-of, pmem",
        ));
    }
    let mut problems = request.expected.iter().flat_map(check::validate);
    match problems.next() {
        Some(problem) => Err(bad(format!("expected.{}", problem.field), problem.detail)),
        None => Ok(()),
    }
}

/// The kernel arguments of a plan.
pub(super) fn kernel_args(request: &DeployRequest) -> Result<Vec<String>, Invalid> {
    let mut args = Vec::new();
    if !request.kernel_args.iter().any(|a| a.starts_with("console=")) {
        args.extend(["console=tty0".to_owned(), "console=ttyS0,115200".to_owned()]);
    }
    args.extend(request.kernel_args.iter().cloned());
    valid::kernel_args(&args)?;
    Ok(args)
}

/// Fills in the template and checks the result.
pub(super) fn hostname(
    template: Option<&str>,
    machine: &MachineId,
    report: &AssetReport,
) -> Result<String, PlanError> {
    let template = template.unwrap_or("{id}");
    let mut name = template.replace("{id}", machine.as_str());
    if name.contains("{serial}") {
        let serial = report.system.as_ref().and_then(|s| s.serial.as_deref());
        let serial = serial.ok_or_else(|| {
            bad(
                "hostname",
                "{serial} is asked for, but the machine reported no serial",
            )
        })?;
        let label: String = serial
            .to_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        name = name.replace("{serial}", label.trim_matches('-'));
    }
    if name.contains("{mac}") {
        let mac = report.boot.boot_mac.ok_or(PlanError::NoBootNic)?;
        name = name.replace("{mac}", &mac.to_string().replace(':', ""));
    }
    valid::hostname(&name)?;
    Ok(name)
}

/// One entry per NIC, each with its MAC.
pub(super) fn nics(wanted: &[NicConfig], report: &AssetReport) -> Result<Vec<NicConfig>, PlanError> {
    let default = [NicConfig {
        mac: None,
        addresses: vec![],
        gateway: None,
        dns: vec![],
    }];
    let wanted = if wanted.is_empty() { &default } else { wanted };
    let mut nics: Vec<NicConfig> = Vec::new();
    for nic in wanted {
        let mac = match nic.mac {
            Some(mac) => {
                let there = report
                    .nics
                    .iter()
                    .any(|n| n.mac == Some(mac) || n.permanent_mac == Some(mac));
                if !there {
                    return Err(PlanError::NicNotFound { mac: mac.to_string() });
                }
                mac
            }
            None => report.boot.boot_mac.ok_or(PlanError::NoBootNic)?,
        };
        nics.push(NicConfig {
            mac: Some(mac),
            ..nic.clone()
        });
    }
    valid::nics(&nics)?;
    Ok(nics)
}
