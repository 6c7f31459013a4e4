//! Whether the values of a deployment can be written to the files of an installed system without changing
//! their meaning. The server checks before it makes a plan, the agent again before it writes, both with these
//! functions.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::IpAddr;

use crate::deploy::{Account, CronJob, NicConfig, Script, ScriptRun};
use crate::text::MONTHS;

/// Directory of the first-boot scripts on the installed system.
const FIRST_BOOT_DIR: &str = "/usr/local/lib/slipway/firstboot.d";
/// First uid of a user account (login.defs, UID_MIN); lower ones belong to the system.
pub const FIRST_UID: u32 = 1000;
const LARGEST_SCRIPT: usize = 1 << 20;

/// An unusable value. Password hashes and keys are never quoted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct Invalid {
    /// The field, e.g. "accounts: alice".
    pub field: String,
    /// What is wrong, and what is allowed.
    pub why: String,
}

fn refuse(field: impl Display, why: impl Display) -> Result<(), Invalid> {
    Err(Invalid {
        field: field.to_string(),
        why: why.to_string(),
    })
}

/// Refuses unless `ok`.
fn ensure(ok: bool, field: &str, why: impl Display) -> Result<(), Invalid> {
    if ok { Ok(()) } else { refuse(field, why) }
}

fn unique<T: Ord + Display>(field: &str, values: impl Iterator<Item = T>) -> Result<(), Invalid> {
    let mut seen = BTreeSet::new();
    for value in values {
        if seen.contains(&value) {
            return refuse(field, format!("duplicate {value}"));
        }
        seen.insert(value);
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

/// An absolute path without "..", blanks, or anything that separates fields in passwd or fstab.
pub fn plain_path(path: &str) -> bool {
    path.len() <= 512
        && path.starts_with('/')
        && path
            .split('/')
            .skip(1)
            .all(|part| !matches!(part, "" | "." | ".."))
        && !path
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || c == ':')
}

/// Checks each account, and all of them for duplicates.
pub fn accounts(accounts: &[Account]) -> Result<(), Invalid> {
    accounts.iter().try_for_each(account)?;
    unique("accounts", accounts.iter().map(|a| a.name.as_str()))?;
    unique("accounts: uid", accounts.iter().filter_map(|a| a.uid))
}

fn account(a: &Account) -> Result<(), Invalid> {
    let field = &format!("accounts: {}", a.name.escape_default());
    let ensure = |ok: bool, why: &str| ensure(ok, field, why);
    ensure(
        user_name(&a.name),
        "a name starts with a-z or '_' and continues with a-z, 0-9, '_' or '-', 32 characters at most",
    )?;
    if let Some(group) = a.groups.iter().find(|g| !user_name(g)) {
        return refuse(field, format!("{group:?} is not a group name"));
    }
    let name = a.full_name.as_deref().unwrap_or_default();
    ensure(
        one_line(name) && !name.contains([':', ',']) && name.len() <= 200,
        "full_name must not contain ':', ',' or line breaks, and has at most 200 bytes",
    )?;
    ensure(
        a.shell.as_deref().is_none_or(plain_path),
        "shell must be an absolute path",
    )?;
    let free = |uid: u32| match a.name.as_str() {
        "root" => uid == 0,
        _ => uid >= FIRST_UID && ![65_534, 65_535, u32::MAX].contains(&uid),
    };
    ensure(
        a.uid.is_none_or(free),
        "this uid belongs to the system: user accounts start at 1000, and root has 0",
    )?;
    ensure(
        a.password_hash.as_deref().is_none_or(is_hash),
        "password_hash is not a crypt(5) hash such as $y$...",
    )?;
    ensure(
        a.ssh_keys.len() <= 256 && a.ssh_keys.iter().all(|k| is_key(k)),
        "ssh_keys holds at most 256 OpenSSH public keys, each on one line: type, base64, comment",
    )
}

/// crypt(5): printable ASCII without ':', ';', '*', '!', '\' and white space, in modular form.
fn is_hash(hash: &str) -> bool {
    hash.starts_with('$')
        && hash.len() <= 384
        && hash
            .bytes()
            .all(|c| c.is_ascii_graphic() && !b":;*!\\".contains(&c))
}

fn is_key(key: &str) -> bool {
    let mut words = key.split(' ');
    let kind = words.next().unwrap_or_default();
    let known = ["ssh-", "ecdsa-sha2-", "sk-"].iter().any(|k| kind.starts_with(k));
    let body = words.next().unwrap_or_default();
    let base64 = body.len() >= 16
        && body
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || b"+/=".contains(&c));
    known && base64 && one_line(key) && key.len() <= 16 << 10
}

/// Checks cron jobs.
pub fn cron(jobs: &[CronJob]) -> Result<(), Invalid> {
    jobs.iter().try_for_each(cron_job)?;
    unique("cron", jobs.iter().map(|j| j.name.as_str()))
}

fn cron_job(job: &CronJob) -> Result<(), Invalid> {
    let field = &format!("cron: {}", job.name.escape_default());
    let ensure = |ok: bool, why: &str| ensure(ok, field, why);
    ensure(
        file_name(&job.name),
        "a name consists of letters, digits, '-' and '_' (cron ignores other files)",
    )?;
    ensure(
        user_name(&job.user),
        &format!("{:?} is not a user name", job.user),
    )?;
    // cron reads lines of at most 998 characters (MAX_COMMAND 1000).
    ensure(
        !job.command.trim().is_empty() && one_line(&job.command) && job.command.len() <= 900,
        "command must be one line of at most 900 bytes",
    )?;
    ensure(
        schedule(&job.schedule),
        &format!(
            "schedule {:?} is neither five time fields nor a name such as @daily",
            job.schedule
        ),
    )
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
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

fn schedule(text: &str) -> bool {
    let fields: Vec<&str> = text.split([' ', '\t']).filter(|f| !f.is_empty()).collect();
    match fields.as_slice() {
        [name] => NAMES.contains(name),
        [minute, hour, day, month, weekday] => {
            cron_field(minute, 0, 59, &[])
                && cron_field(hour, 0, 23, &[])
                && cron_field(day, 1, 31, &[])
                && cron_field(month, 1, 12, &MONTHS)
                && cron_field(weekday, 0, 7, &DAYS)
        }
        _ => false,
    }
}

/// One field of crontab(5): `*`, numbers, names, ranges, lists, steps.
fn cron_field(field: &str, least: u32, most: u32, names: &[&str]) -> bool {
    let value = |text: &str| -> Option<u32> {
        if let Some(at) = names.iter().position(|n| n.eq_ignore_ascii_case(text)) {
            return Some(at as u32 + u32::from(least == 1));
        }
        text.bytes()
            .all(|c| c.is_ascii_digit())
            .then(|| text.parse().ok())
            .flatten()
    };
    field.split(',').all(|part| {
        let whole = (part, None);
        let (range, step) = part.split_once('/').map_or(whole, |(range, step)| (range, Some(step)));
        let step_ok = step.is_none_or(|s| value(s).is_some_and(|n| n >= 1 && n <= most));
        let range_ok = range == "*"
            || match range.split_once('-') {
                Some((from, to)) => matches!((value(from), value(to)), (Some(a), Some(b)) if least <= a && a <= b && b <= most),
                None => value(range).is_some_and(|n| (least..=most).contains(&n)),
            };
        step_ok && range_ok
    })
}

/// Path of a script on the installed system.
pub fn script_path(script: &Script) -> String {
    match (script.run, &script.path) {
        (ScriptRun::FirstBoot, _) => format!("{FIRST_BOOT_DIR}/{}", script.name),
        (ScriptRun::Kept, Some(path)) => path.clone(),
        (ScriptRun::Kept, None) => format!("/usr/local/sbin/{}", script.name),
    }
}

/// Checks scripts.
pub fn scripts(scripts: &[Script]) -> Result<(), Invalid> {
    scripts.iter().try_for_each(script)?;
    unique("scripts", scripts.iter().map(|s| s.name.as_str()))?;
    unique("scripts: path", scripts.iter().map(script_path))
}

fn script(s: &Script) -> Result<(), Invalid> {
    let field = &format!("scripts: {}", s.name.escape_default());
    let ensure = |ok: bool, why: &str| ensure(ok, field, why);
    ensure(
        file_name(&s.name),
        "a name consists of letters, digits, '-' and '_'",
    )?;
    ensure(
        s.content.starts_with("#!") && !s.content.contains('\0'),
        "the text must start with #! and an interpreter, and contain no zero byte",
    )?;
    ensure(s.content.len() <= LARGEST_SCRIPT, "a script has at most 1 MiB")?;
    ensure(
        s.run == ScriptRun::Kept || (s.path.is_none() && !s.everyone),
        "path and everyone apply to kept scripts only",
    )?;
    ensure(
        s.path.as_deref().is_none_or(plain_path),
        "path must be absolute and plain",
    )
}

/// Checks the networks of NICs. A request may omit the MAC of one; a plan may not.
pub fn nics(nics: &[NicConfig]) -> Result<(), Invalid> {
    for nic in nics {
        if let Some(bad) = nic.addresses.iter().find(|a| !is_network_address(a)) {
            return refuse(
                "network",
                format!("{bad:?} is not an address with prefix length such as 10.0.0.7/24"),
            );
        }
        let hosts = nic.gateway.iter().chain(&nic.dns);
        if let Some(bad) = hosts.into_iter().find(|a| a.parse::<IpAddr>().is_err()) {
            return refuse("network", format!("{bad:?} is not an IP address"));
        }
    }
    unique("network", nics.iter().filter_map(|n| n.mac))
}

fn is_network_address(text: &str) -> bool {
    let Some((address, prefix)) = text.split_once('/') else {
        return false;
    };
    let most = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    prefix.bytes().all(|c| c.is_ascii_digit()) && prefix.parse().is_ok_and(|p: u8| p >= 1 && p <= most)
}

/// Checks a host name: labels of RFC 1123 section 2.1, at most 64 characters in total (Linux).
pub fn hostname(name: &str) -> Result<(), Invalid> {
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    ensure(
        name.len() <= 64 && name.split('.').all(label),
        "hostname",
        format!("{name:?} is not a host name: letters, digits and '-', at most 63 in a label and 64 in all"),
    )
}

/// Checks kernel arguments: they are written to grub.cfg and to a shell file, and the kernel cuts its command
/// line at 2048 bytes (COMMAND_LINE_SIZE on x86).
pub fn kernel_args(args: &[String]) -> Result<(), Invalid> {
    let word = |a: &&String| {
        !a.is_empty()
            && a.bytes()
                .all(|c| c.is_ascii_graphic() && !b"\"'\\$`".contains(&c))
    };
    if let Some(bad) = args.iter().find(|a| !word(a)) {
        return refuse(
            "kernel_args",
            format!("{bad:?} has characters that are not allowed on a kernel command line"),
        );
    }
    ensure(
        args.iter().map(|a| a.len() + 1).sum::<usize>() <= 1800,
        "kernel_args",
        "together they exceed 1800 bytes",
    )
}
