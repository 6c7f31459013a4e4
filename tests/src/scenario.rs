//! What virtual and simulated machines are deployed with.

use inventory_api::deploy::{Account, CronJob, DeployRequest, Script, ScriptRun};

/// The deployment profile's name.
pub const PROFILE: &str = "web";

/// Password of the account `alice` on virtual servers. It protects nothing: they are on an isolated network.
pub const PASSWORD: &str = "slipway";

/// crypt(3) SHA-512 of [`PASSWORD`].
const PASSWORD_HASH: &str =
    "$6$slipwaylab$hygp98uWBZyJ.2OWTyGKsyriZIUaFNa1N.BbQnH6CvE/wBvtpn0CEEZK1FRUgPt49Lm/PHGSsxFFKCcE2.jZl.";

/// The text that the first-boot script writes to /etc/slipway-first-boot.
pub const FIRST_BOOT_MARK: &str = "set up once";

/// An image with accounts, a cron job and both kinds of scripts.
pub fn profile(image: &str) -> DeployRequest {
    DeployRequest {
        image: image.to_owned(),
        hostname: Some("web-{serial}".to_owned()),
        accounts: vec![
            Account {
                name: "alice".to_owned(),
                uid: Some(1500),
                full_name: Some("Alice Lab".to_owned()),
                groups: vec!["operators".to_owned()],
                sudo: true,
                ssh_keys: vec![
                    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJq0y2n8cZ7y3o5Yk1c1Q2mTqf7m2m2h0n8oS4bq0p1e alice@lab".to_owned(),
                ],
                password_hash: Some(PASSWORD_HASH.to_owned()),
                ..Account::default()
            },
            Account { name: "deploy".to_owned(), ..Account::default() },
        ],
        cron: vec![CronJob {
            name: "heartbeat".to_owned(),
            schedule: "*/5 * * * *".to_owned(),
            user: "deploy".to_owned(),
            command: "/usr/local/sbin/heartbeat".to_owned(),
        }],
        scripts: vec![
            Script {
                name: "first-setup".to_owned(),
                content: format!("#!/bin/sh\nset -e\necho '{FIRST_BOOT_MARK}' >> /etc/slipway-first-boot\n"),
                run: ScriptRun::FirstBoot,
                path: None,
                everyone: false,
            },
            Script {
                name: "heartbeat".to_owned(),
                content: "#!/bin/sh\ntouch /tmp/heartbeat\n".to_owned(),
                run: ScriptRun::Kept,
                path: None,
                everyone: false,
            },
        ],
        ..DeployRequest::default()
    }
}
