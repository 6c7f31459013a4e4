//! Cron jobs: one file each in /etc/cron.d.

use inventory_api::deploy::CronJob;

use super::super::error::StepError;
use super::super::root::{ROOT, Root};
use super::{file_name, one_line, quoted, user_name};

const WORDS: [&str; 8] = [
    "@reboot",
    "@yearly",
    "@annually",
    "@monthly",
    "@weekly",
    "@daily",
    "@midnight",
    "@hourly",
];

pub(in super::super) fn check(jobs: &[CronJob]) -> Result<(), String> {
    let mut seen = std::collections::BTreeSet::new();
    for job in jobs {
        let name = quoted(&job.name);
        if !file_name(&job.name) {
            return Err(format!(
                "{name} is not a name of a cron job: letters, digits, '-' and '_'"
            ));
        }
        if !seen.insert(&job.name) {
            return Err(format!("job {name} comes twice"));
        }
        if !user_name(&job.user) {
            return Err(format!("job {name}: {} is not a user name", quoted(&job.user)));
        }
        if !schedule(&job.schedule) {
            return Err(format!(
                "job {name}: {} is neither five time fields nor @daily and the like",
                quoted(&job.schedule)
            ));
        }
        // cron reads lines of at most 998 characters (MAX_COMMAND 1000).
        if job.command.trim().is_empty() || !one_line(&job.command) || job.command.len() > 900 {
            return Err(format!(
                "job {name}: its command must be one line of at most 900 bytes"
            ));
        }
    }
    Ok(())
}

fn schedule(text: &str) -> bool {
    let field = |f: &str| {
        f.bytes()
            .all(|c| c.is_ascii_alphanumeric() || b"*,-/".contains(&c))
    };
    let fields: Vec<&str> = text.split([' ', '\t']).filter(|f| !f.is_empty()).collect();
    match fields[..] {
        [word] => WORDS.contains(&word),
        [_, _, _, _, _] => fields.iter().all(|f| field(f)),
        _ => false,
    }
}

/// Where a job's file is on the installed system.
pub fn cron_path(job: &CronJob) -> String {
    format!("/etc/cron.d/slipway-{}", job.name)
}

/// What is in a job's file: its last line is the job.
pub fn cron_text(job: &CronJob) -> String {
    let CronJob {
        schedule,
        user,
        command,
        ..
    } = job;
    format!(
        "# Written by Slipway when the system was installed.\nSHELL=/bin/sh\n\
         PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n{schedule} {user} {command}\n"
    )
}

pub(in super::super) fn apply(root: &Root, jobs: &[CronJob]) -> Result<(), StepError> {
    jobs.iter()
        .try_for_each(|job| root.write(&cron_path(job), cron_text(job).as_bytes(), 0o644, ROOT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_that_would_say_something_else_are_refused() {
        let job = |name: &str, schedule: &str, user: &str, command: &str| CronJob {
            name: name.into(),
            schedule: schedule.into(),
            user: user.into(),
            command: command.into(),
        };
        let good = job("backup", "*/5 1-3 * * mon", "root", "/usr/bin/true # x");
        assert_eq!(check(std::slice::from_ref(&good)), Ok(()));
        assert!(cron_text(&good).ends_with("\n*/5 1-3 * * mon root /usr/bin/true # x\n"));
        assert_eq!(cron_path(&good), "/etc/cron.d/slipway-backup");
        assert_eq!(check(&[job("a", "@daily", "www-data", "true")]), Ok(()));
        for bad in [
            job("a.b", "@daily", "root", "true"),
            job("../a", "@daily", "root", "true"),
            job("a", "* * * *", "root", "true"),
            job("a", "* * * * *\n* * * * * root evil", "root", "true"),
            job("a", "@never", "root", "true"),
            job("a", "@daily", "root evil", "true"),
            job("a", "@daily", "root", "true\n@daily root evil"),
            job("a", "@daily", "root", " "),
        ] {
            assert!(check(std::slice::from_ref(&bad)).is_err(), "{bad:?}");
        }
        assert!(check(&[good.clone(), good]).is_err());
    }
}
