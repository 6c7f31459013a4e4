//! The request's values: what would break a file of the installed system, or say something else there than it says in the
//! request, is refused here, before anything runs.

use inventory_api::MachineId;
use inventory_api::deploy::{Account, CronJob, DeployRequest, NicConfig, Script, ScriptRun};
use inventory_api::report::AssetReport;

use super::PlanError;

fn bad(field: impl Into<String>, why: impl Into<String>) -> PlanError {
    PlanError::BadRequest {
        field: field.into(),
        why: why.into(),
    }
}

/// Refuses what cannot be written into passwd, cron, sudoers or a script file.
pub(super) fn validate(request: &DeployRequest) -> Result<(), PlanError> {
    for arg in &request.kernel_args {
        if arg.is_empty()
            || !arg
                .bytes()
                .all(|c| c.is_ascii_graphic() && !b"\"'\\$`".contains(&c))
        {
            return Err(bad(
                "kernel_args",
                format!("{arg:?} has characters that do not belong on a kernel command line"),
            ));
        }
    }
    request.accounts.iter().try_for_each(account)?;
    request.cron.iter().try_for_each(cron)?;
    request.scripts.iter().try_for_each(script)?;
    unique("accounts", request.accounts.iter().map(|a| a.name.as_str()))?;
    unique("cron", request.cron.iter().map(|c| c.name.as_str()))?;
    unique("scripts", request.scripts.iter().map(|s| s.name.as_str()))
}

fn unique<'a>(field: &str, names: impl Iterator<Item = &'a str>) -> Result<(), PlanError> {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(bad(field, format!("{name:?} is there twice")));
        }
    }
    Ok(())
}

/// useradd's rule: a lower-case letter or '_', then letters, digits, '_' and '-', at most 32.
fn user_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() <= 32
        && bytes.next().is_some_and(|c| c.is_ascii_lowercase() || c == b'_')
        && bytes.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_' || c == b'-')
}

/// cron and run-parts ignore files with other characters.
fn file_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
}

fn one_line(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

fn account(a: &Account) -> Result<(), PlanError> {
    let field = format!("accounts: {}", a.name.escape_default());
    if !user_name(&a.name) {
        return Err(bad(
            field,
            "a name begins with a-z or '_' and goes on with a-z, 0-9, '_', '-', 32 at most",
        ));
    }
    if let Some(group) = a.groups.iter().find(|g| !user_name(g)) {
        return Err(bad(field, format!("{group:?} is not a group name")));
    }
    if a.full_name
        .as_deref()
        .is_some_and(|t| !one_line(t) || t.contains([':', ',']))
    {
        return Err(bad(field, "full_name must not contain ':' or ',' or line breaks"));
    }
    if a.shell
        .as_deref()
        .is_some_and(|s| !s.starts_with('/') || !one_line(s) || s.contains([':', ' ']))
    {
        return Err(bad(field, "shell must be an absolute path"));
    }
    if a.uid
        .is_some_and(|uid| uid == 0 && a.name != "root" || uid == u32::MAX || uid == 65_534 || uid == 65_535)
    {
        return Err(bad(field, "this uid is reserved"));
    }
    if let Some(hash) = &a.password_hash {
        // crypt(5): printable ASCII without ':', ';', '*', '!', '\\' and white space; modular form begins with '$'.
        let ok = hash.starts_with('$')
            && hash.len() <= 384
            && hash
                .bytes()
                .all(|c| c.is_ascii_graphic() && !b":;*!\\".contains(&c));
        if !ok {
            return Err(bad(
                field,
                "password_hash is not a crypt(5) hash such as $y$... or $6$...",
            ));
        }
    }
    for key in &a.ssh_keys {
        let kind = key.split(' ').next().unwrap_or("");
        let known = kind.starts_with("ssh-") || kind.starts_with("ecdsa-sha2-") || kind.starts_with("sk-");
        if !known || !one_line(key) || key.split(' ').nth(1).is_none_or(|k| k.len() < 16) {
            return Err(bad(
                field,
                "ssh_keys holds OpenSSH public keys in one line: type, base64, comment",
            ));
        }
    }
    Ok(())
}

fn cron(job: &CronJob) -> Result<(), PlanError> {
    let field = format!("cron: {}", job.name.escape_default());
    if !file_name(&job.name) {
        return Err(bad(
            field,
            "a name has letters, digits, '-' and '_' only (cron ignores other files)",
        ));
    }
    if !user_name(&job.user) {
        return Err(bad(field, format!("{:?} is not a user name", job.user)));
    }
    if job.command.trim().is_empty() || !one_line(&job.command) {
        return Err(bad(field, "command must be one line"));
    }
    const NAMES: [&str; 8] = [
        "@reboot",
        "@yearly",
        "@annually",
        "@monthly",
        "@weekly",
        "@daily",
        "@midnight",
        "@hourly",
    ];
    let fields: Vec<&str> = job.schedule.split_ascii_whitespace().collect();
    let ok = match fields.as_slice() {
        [name] => NAMES.contains(name),
        [minute, hour, day, month, weekday] => {
            cron_field(minute, 0, 59, &[])
                && cron_field(hour, 0, 23, &[])
                && cron_field(day, 1, 31, &[])
                && cron_field(month, 1, 12, &MONTHS)
                && cron_field(weekday, 0, 7, &DAYS)
        }
        _ => false,
    };
    if !ok {
        return Err(bad(
            field,
            format!(
                "schedule {:?} is not five time fields or @daily and the like",
                job.schedule
            ),
        ));
    }
    Ok(())
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// One field as crontab(5) has it: `*`, numbers, names, ranges, lists, steps.
fn cron_field(field: &str, least: u32, most: u32, names: &[&str]) -> bool {
    let value = |text: &str| -> Option<u32> {
        if let Some(at) = names.iter().position(|n| n.eq_ignore_ascii_case(text)) {
            return Some(at as u32 + if least == 1 { 1 } else { 0 });
        }
        text.bytes()
            .all(|c| c.is_ascii_digit())
            .then(|| text.parse().ok())
            .flatten()
    };
    field.split(',').all(|part| {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (part, None),
        };
        let step_ok = step.is_none_or(|s| value(s).is_some_and(|n| n >= 1 && n <= most));
        let range_ok = range == "*"
            || match range.split_once('-') {
                Some((from, to)) => matches!((value(from), value(to)), (Some(a), Some(b)) if least <= a && a <= b && b <= most),
                None => value(range).is_some_and(|n| (least..=most).contains(&n)),
            };
        step_ok && range_ok
    })
}

fn script(s: &Script) -> Result<(), PlanError> {
    let field = format!("scripts: {}", s.name.escape_default());
    if !file_name(&s.name) {
        return Err(bad(field, "a name has letters, digits, '-' and '_' only"));
    }
    if !s.content.starts_with("#!") {
        return Err(bad(field, "the text must begin with #! and an interpreter"));
    }
    if s.content.len() > 1 << 20 {
        return Err(bad(field, "a script has at most 1 MiB"));
    }
    match (&s.path, s.run) {
        (Some(_), ScriptRun::FirstBoot) => Err(bad(field, "path is for kept scripts")),
        (Some(path), ScriptRun::Kept) => {
            let plain = path.starts_with('/')
                && !path.ends_with('/')
                && path
                    .split('/')
                    .skip(1)
                    .all(|p| !p.is_empty() && p != "." && p != "..")
                && one_line(path);
            if plain {
                Ok(())
            } else {
                Err(bad(field, "path must be absolute and plain"))
            }
        }
        (None, _) => Ok(()),
    }
}

/// Fills in the template and checks the result (RFC 1123 section 2.1, each label).
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
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    if name.len() > 253 || !name.split('.').all(label) {
        return Err(bad("hostname", format!("{name:?} is not a host name")));
    }
    Ok(name)
}

/// One entry a NIC, each with its MAC.
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
        if nics.iter().any(|n| n.mac == Some(mac)) {
            return Err(bad("network", format!("NIC {mac} is there twice")));
        }
        for address in &nic.addresses {
            if !is_network_address(address) {
                return Err(bad(
                    "network",
                    format!("{address:?} is not an address with prefix length such as 10.0.0.7/24"),
                ));
            }
        }
        for address in nic.gateway.iter().chain(&nic.dns) {
            if address.parse::<std::net::IpAddr>().is_err() {
                return Err(bad("network", format!("{address:?} is not an IP address")));
            }
        }
        nics.push(NicConfig {
            mac: Some(mac),
            ..nic.clone()
        });
    }
    Ok(nics)
}

fn is_network_address(text: &str) -> bool {
    let Some((address, prefix)) = text.split_once('/') else {
        return false;
    };
    let most = match address.parse() {
        Ok(std::net::IpAddr::V4(_)) => 32,
        Ok(std::net::IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    prefix.parse::<u8>().is_ok_and(|p| p >= 1 && p <= most)
}
