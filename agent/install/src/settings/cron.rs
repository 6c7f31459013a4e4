//! Cron jobs: one file each in /etc/cron.d.

use inventory_api::deploy::CronJob;

use super::super::error::StepError;
use super::super::root::{ROOT, Root};
use super::HEADER;

/// Path of a job's file on the installed system.
pub fn cron_path(job: &CronJob) -> String {
    format!("/etc/cron.d/slipway-{}", job.name)
}

/// Content of a job's file; its last line is the job.
pub fn cron_text(job: &CronJob) -> String {
    let CronJob {
        schedule,
        user,
        command,
        ..
    } = job;
    format!(
        "{HEADER}SHELL=/bin/sh\n\
         PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n{schedule} {user} {command}\n"
    )
}

pub(crate) fn apply(root: &Root, jobs: &[CronJob]) -> Result<(), StepError> {
    jobs.iter()
        .try_for_each(|job| root.write(&cron_path(job), cron_text(job).as_bytes(), 0o644, ROOT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use inventory_api::valid::cron as check;

    #[test]
    fn jobs_that_would_inject_lines_are_refused() {
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
