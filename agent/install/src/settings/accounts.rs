//! Accounts: user databases, home directories, SSH keys, sudo.

use std::time::SystemTime;

use inventory_api::deploy::Account;
use inventory_api::valid::{FIRST_UID, plain_path};

use super::super::error::{StepError, fail};
use super::super::root::{Owner, ROOT, Root};
use super::HEADER;
use super::databases::{Databases, find, ids, put};

/// Ids of regular accounts (UID_MIN and UID_MAX in Debian's login.defs).
const PEOPLE: std::ops::RangeInclusive<u32> = FIRST_UID..=60000;
/// An account as it is in the edited passwd.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    name: String,
    owner: Owner,
    home: String,
    shell: String,
    fresh: bool,
}

/// Edits the databases. `day` is the date of the password, in days since 1970.
fn edit(db: &mut Databases, accounts: &[Account], day: u64) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    // Fixed uids first, so that automatic ones do not take them.
    let mut order: Vec<&Account> = accounts.iter().collect();
    order.sort_by_key(|a| a.uid.is_none());
    for account in order {
        entries.push(edit_one(db, account, day)?);
    }
    for account in accounts {
        for group in &account.groups {
            let gid = free_id(&db.group, &db.group, group)?;
            db.join(group, Some(&account.name), gid);
        }
    }
    Ok(entries)
}

fn edit_one(db: &mut Databases, account: &Account, day: u64) -> Result<Entry, String> {
    let name = account.name.as_str();
    let old = find(&db.passwd, name);
    let fresh = old.is_none();
    let mut fields = match old {
        Some(old) if old.len() == 7 => old,
        Some(_) => return Err(format!("the image's passwd has a broken line for {name}")),
        None => {
            let uid = match account.uid {
                Some(uid) if ids(&db.passwd).any(|taken| taken == uid) => {
                    return Err(format!("uid {uid} of {name} is taken"));
                }
                Some(uid) => uid,
                None => free_id(&db.passwd, &db.group, name)?,
            };
            let gid = match find(&db.group, name).and_then(|f| f.get(2)?.parse().ok()) {
                Some(gid) => gid,
                None if ids(&db.group).any(|taken| taken == uid) => free_id(&db.group, &db.group, name)?,
                None => uid,
            };
            db.join(name, None, gid);
            let line = format!("{name}:x:{uid}:{gid}::/home/{name}:/bin/bash");
            line.split(':').map(str::to_owned).collect()
        }
    };
    let number = |i: usize| {
        fields[i]
            .parse::<u32>()
            .map_err(|_| format!("the image's passwd has no number for {name}"))
    };
    let (uid, gid) = (number(2)?, number(3)?);
    if !fresh {
        if name != "root" && uid < *PEOPLE.start() {
            return Err(format!("{name} is a system account of the image (uid {uid})"));
        }
        if account.uid.is_some_and(|wanted| wanted != uid) {
            return Err(format!("the image has {name} with another uid, {uid}"));
        }
        if !plain_path(&fields[5]) {
            return Err(format!("the image's home directory of {name} is not a path"));
        }
    }
    if let Some(full_name) = &account.full_name {
        fields[4] = format!("{full_name},,,");
    }
    if let Some(shell) = &account.shell {
        fields[6].clone_from(shell);
    }
    put(&mut db.passwd, &fields.join(":"));
    let hash = account.password_hash.as_deref().unwrap_or("*");
    put(&mut db.shadow, &format!("{name}:{hash}:{day}:0:99999:7:::"));
    Ok(Entry {
        name: name.to_owned(),
        owner: Owner { uid, gid },
        home: fields[5].clone(),
        shell: fields[6].clone(),
        fresh,
    })
}

/// The first regular id that is free in both texts.
fn free_id(a: &str, b: &str, name: &str) -> Result<u32, String> {
    let taken: std::collections::BTreeSet<u32> = ids(a).chain(ids(b)).collect();
    PEOPLE
        .into_iter()
        .find(|id| !taken.contains(id))
        .ok_or_else(|| format!("no id is free for {name}"))
}

/// Path of an account's sudo rule.
pub fn sudoers_path(account: &Account) -> String {
    format!("/etc/sudoers.d/slipway-{}", account.name)
}

/// An account's sudo rule.
pub fn sudoers_text(account: &Account) -> String {
    let tag = match account.password_hash {
        Some(_) => "",
        None => "NOPASSWD: ",
    };
    format!("{HEADER}{} ALL=(ALL:ALL) {tag}ALL\n", account.name)
}

pub(crate) fn apply(root: &Root, accounts: &[Account]) -> Result<(), StepError> {
    if accounts.is_empty() {
        return Ok(());
    }
    let needed = |path: &str| {
        root.read_text(path)?
            .ok_or_else(|| StepError::new("accounts", format!("the image has no {path}")))
    };
    let mut db = Databases {
        passwd: needed("/etc/passwd")?,
        shadow: needed("/etc/shadow")?,
        group: needed("/etc/group")?,
        gshadow: root.read_text("/etc/gshadow")?.unwrap_or_default(),
    };
    // Day 0 would force a password change at the first login (shadow(5)).
    let day = (SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs() / 86_400).max(1);
    let entries = edit(&mut db, accounts, day).map_err(|e| StepError::new("accounts", e))?;
    for entry in &entries {
        if !root.exists(&entry.shell) {
            return fail(
                "accounts",
                format!("the image has no {}, the shell of {}", entry.shell, entry.name),
            );
        }
    }
    for (path, text, mode) in [
        ("/etc/group", &db.group, 0o644),
        ("/etc/gshadow", &db.gshadow, 0o640),
        ("/etc/shadow", &db.shadow, 0o640),
        ("/etc/passwd", &db.passwd, 0o644),
    ] {
        if !text.is_empty() {
            // The owners stay as they were: group shadow may read two of them.
            let owner = root.owner(path).unwrap_or(ROOT);
            root.write(path, text.as_bytes(), mode, owner)?;
        }
    }
    for account in accounts {
        if let Some(entry) = entries.iter().find(|e| e.name == account.name) {
            home(root, account, entry)?;
        }
        if account.sudo && account.name != "root" {
            let text = sudoers_text(account);
            root.write(&sudoers_path(account), text.as_bytes(), 0o440, ROOT)?;
        }
    }
    Ok(())
}

fn home(root: &Root, account: &Account, entry: &Entry) -> Result<(), StepError> {
    if entry.fresh || !root.exists(&entry.home) {
        root.make_dir(&entry.home, 0o700, entry.owner)?;
        root.copy_tree("/etc/skel", &entry.home, entry.owner, 8)?;
    }
    if account.ssh_keys.is_empty() {
        return Ok(());
    }
    let dir = format!("{}/.ssh", entry.home);
    root.make_dir(&dir, 0o700, entry.owner)?;
    let (path, text) = (
        format!("{dir}/authorized_keys"),
        account.ssh_keys.join("\n") + "\n",
    );
    root.write(&path, text.as_bytes(), 0o600, entry.owner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use inventory_api::valid::accounts as check;

    fn image() -> Databases {
        Databases {
            passwd: "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"
                .into(),
            shadow: "root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n".into(),
            group: "root:x:0:\ndaemon:x:1:\nsudo:x:27:\n".into(),
            gshadow: "root:*::\ndaemon:*::\nsudo:*::\n".into(),
        }
    }

    fn account(name: &str) -> Account {
        Account {
            name: name.into(),
            ..Account::default()
        }
    }

    #[test]
    fn the_account_databases_are_written_as_expected() {
        let mut db = image();
        let alice = Account {
            full_name: Some("Alice Ä.".into()),
            groups: vec!["sudo".into(), "ops".into()],
            password_hash: Some("$y$j9T$salt$hash".into()),
            ..account("alice")
        };
        let bob = Account {
            uid: Some(1000),
            shell: Some("/bin/sh".into()),
            groups: vec!["ops".into()],
            ..account("bob")
        };
        let root = Account {
            password_hash: Some("$6$a$b".into()),
            ..account("root")
        };
        let entries = edit(&mut db, &[alice, bob, root], 20000).expect("edited");
        let expected = Databases {
            passwd: "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n\
                bob:x:1000:1000::/home/bob:/bin/sh\nalice:x:1001:1001:Alice Ä.,,,:/home/alice:/bin/bash\n"
                .into(),
            shadow: "root:$6$a$b:20000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n\
                bob:*:20000:0:99999:7:::\nalice:$y$j9T$salt$hash:20000:0:99999:7:::\n"
                .into(),
            group:
                "root:x:0:\ndaemon:x:1:\nsudo:x:27:alice\nbob:x:1000:\nalice:x:1001:\nops:x:1002:alice,bob\n"
                    .into(),
            gshadow: "root:*::\ndaemon:*::\nsudo:*::alice\nbob:!::\nalice:!::\nops:!::alice,bob\n".into(),
        };
        assert_eq!(db, expected);
        assert_eq!(
            entries
                .iter()
                .map(|e| (e.name.as_str(), e.fresh))
                .collect::<Vec<_>>(),
            [("bob", true), ("alice", true), ("root", false)]
        );
    }

    #[test]
    fn a_second_run_changes_nothing() {
        let accounts = [
            Account {
                groups: vec!["ops".into()],
                ..account("alice")
            },
            account("bob"),
        ];
        let mut db = image();
        edit(&mut db, &accounts, 20000).expect("edited");
        let once = db.clone();
        edit(&mut db, &accounts, 20000).expect("edited again");
        assert_eq!(db, once);
    }

    #[test]
    fn system_accounts_and_taken_uids_are_refused() {
        assert!(edit(&mut image(), &[account("daemon")], 1).is_err());
        assert!(
            edit(
                &mut image(),
                &[Account {
                    uid: Some(1),
                    ..account("eve")
                }],
                1
            )
            .is_err()
        );
        let two = [
            Account {
                uid: Some(2000),
                ..account("a")
            },
            Account {
                uid: Some(2000),
                ..account("b")
            },
        ];
        assert!(edit(&mut image(), &two, 1).is_err());
    }

    #[test]
    fn values_that_would_inject_fields_or_lines_are_refused() {
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ alice@host";
        let good = Account {
            ssh_keys: vec![key.into()],
            password_hash: Some("$6$salt$hash./".into()),
            ..account("alice")
        };
        assert_eq!(check(std::slice::from_ref(&good)), Ok(()));
        let bad = [
            account("Alice"),
            account("a:0"),
            account("a\nroot2"),
            account(""),
            Account {
                uid: Some(0),
                ..good.clone()
            },
            Account {
                uid: Some(1),
                ..account("root")
            },
            // L9 of the security test: requests for system accounts' ids fail in the step, after the disk was
            // erased.
            Account {
                uid: Some(1),
                ..good.clone()
            },
            Account {
                uid: Some(999),
                ..good.clone()
            },
            Account {
                full_name: Some("x:0:0".into()),
                ..good.clone()
            },
            Account {
                full_name: Some("x\nevil".into()),
                ..good.clone()
            },
            Account {
                shell: Some("bash".into()),
                ..good.clone()
            },
            Account {
                shell: Some("/bin/sh\nevil".into()),
                ..good.clone()
            },
            Account {
                groups: vec!["a,b".into()],
                ..good.clone()
            },
            Account {
                password_hash: Some("plain".into()),
                ..good.clone()
            },
            Account {
                password_hash: Some("$6$a:0:".into()),
                ..good.clone()
            },
            Account {
                password_hash: Some("$6$a\n".into()),
                ..good.clone()
            },
            Account {
                ssh_keys: vec![format!("{key}\ncommand=x")],
                ..good.clone()
            },
            Account {
                ssh_keys: vec!["ssh-ed25519".into()],
                ..good.clone()
            },
        ];
        for account in bad {
            let refused = check(std::slice::from_ref(&account))
                .expect_err(&account.name)
                .to_string();
            assert!(
                !refused.contains("$6$") && !refused.contains("AAAA"),
                "a secret in {refused}"
            );
        }
        assert!(check(&[good.clone(), good]).is_err());
    }

    #[test]
    fn sudo_asks_for_a_password_when_there_is_one() {
        let sudo = Account {
            sudo: true,
            ..account("alice")
        };
        assert!(sudoers_text(&sudo).ends_with("\nalice ALL=(ALL:ALL) NOPASSWD: ALL\n"));
        let with = Account {
            password_hash: Some("$6$a$b".into()),
            ..sudo
        };
        assert!(sudoers_text(&with).ends_with("\nalice ALL=(ALL:ALL) ALL\n"));
    }
}
