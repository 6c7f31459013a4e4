//! What makes this system unique among copies of its image: host name, machine id, SSH host keys.

use super::super::error::StepError;
use super::super::root::Root;
use super::{enable, write_text};

/// Creates the host keys before sshd starts: Debian's ssh.service fails its `sshd -t` without them.
const HOST_KEYS_UNIT: &str = "\
[Unit]
Description=Make the SSH host keys of this machine
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key
Before=ssh.service ssh.socket

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -A
RemainAfterExit=yes

[Install]
WantedBy=multi-user.target
RequiredBy=ssh.service
";
fn hosts(hostname: &str) -> String {
    let short = hostname.split('.').next().unwrap_or(hostname);
    let names = if short == hostname {
        hostname.to_owned()
    } else {
        format!("{hostname} {short}")
    };
    format!(
        "127.0.0.1 localhost\n127.0.1.1 {names}\n\n::1 localhost ip6-localhost ip6-loopback\n\
         ff02::1 ip6-allnodes\nff02::2 ip6-allrouters\n"
    )
}

pub(crate) fn apply(root: &Root, hostname: &str) -> Result<(), StepError> {
    write_text(root, "/etc/hostname", &format!("{hostname}\n"))?;
    write_text(root, "/etc/hosts", &hosts(hostname))?;
    // Empty: systemd creates one on the first boot (machine-id(5)).
    write_text(root, "/etc/machine-id", "")?;
    if root.exists("/var/lib/dbus/machine-id") {
        root.symlink("/etc/machine-id", "/var/lib/dbus/machine-id")?;
    }
    // Machines of one image must not share random seeds.
    root.remove("/var/lib/systemd/random-seed")?;
    let keys = root.list("/etc/ssh")?;
    for name in keys.iter().filter(|name| name.starts_with("ssh_host_")) {
        root.remove(&format!("/etc/ssh/{name}"))?;
    }
    const UNIT: &str = "slipway-host-keys.service";
    let path = format!("/etc/systemd/system/{UNIT}");
    write_text(root, &path, HOST_KEYS_UNIT)?;
    enable(root, UNIT, "multi-user")?;
    root.symlink(&path, &format!("/etc/systemd/system/ssh.service.requires/{UNIT}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use inventory_api::valid::hostname as check;

    #[test]
    fn hosts_has_the_full_and_the_short_name() {
        for good in ["a", "web-1", "m-0123456789ab", "db1.example.org"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["", "-a", "a-", "a..b", "a b", "a\nb", "ä", &"a".repeat(65)] {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert!(hosts("web.example.org").contains("127.0.1.1 web.example.org web\n"));
        assert!(hosts("web").contains("127.0.1.1 web\n"));
    }
}
