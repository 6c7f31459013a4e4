//! Checks an account: passwd, shadow, group, sudoers, authorized_keys.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use inventory_api::deploy::Account;

use super::files::{owner_and_mode, read_text, under};
use crate::install::{self, lines_of};

/// Largest database file read, in bytes.
const LIMIT: u64 = 4 << 20;

/// The account files of one installed system, read once. The first valid line for a name counts.
pub struct Databases {
    passwd: String,
    shadow: String,
    group: String,
}

struct Passwd<'a> {
    uid: u32,
    gid: u32,
    gecos: &'a str,
    home: &'a str,
    shell: &'a str,
}

impl<'a> Passwd<'a> {
    fn parse(fields: &[&'a str]) -> Option<Passwd<'a>> {
        let [_, _, uid, gid, gecos, home, shell] = *fields else {
            return None;
        };
        Some(Passwd {
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            gecos,
            home,
            shell,
        })
    }
}

impl Databases {
    /// Reads /etc/passwd, /etc/shadow and /etc/group under `root`; the error names the file.
    pub fn read(root: &Path) -> Result<Databases, String> {
        let text = |file: &str| {
            read_text(&root.join("etc").join(file), LIMIT).map_err(|e| format!("/etc/{file}: {e}"))
        };
        Ok(Databases {
            passwd: text("passwd")?,
            shadow: text("shadow")?,
            group: text("group")?,
        })
    }

    /// Id and members.
    fn group(&self, name: &str) -> Option<(u32, Vec<&str>)> {
        lines_of(&self.group, name).find_map(|fields| match fields[..] {
            [_, _, gid, members] => Some((gid.parse().ok()?, members.split(',').collect())),
            _ => None,
        })
    }

    /// The differences from the request; empty if there are none. Never contains a password hash.
    pub fn differences(&self, root: &Path, account: &Account) -> Vec<String> {
        let mut lines = lines_of(&self.passwd, &account.name);
        let Some(passwd) = lines.find_map(|fields| Passwd::parse(&fields)) else {
            return vec!["no such account in /etc/passwd".into()];
        };
        let mut wrong = Vec::new();
        if let Some(uid) = account.uid
            && uid != passwd.uid
        {
            wrong.push(format!("uid {} instead of {uid}", passwd.uid));
        }
        if let Some(full_name) = &account.full_name
            && passwd.gecos.split(',').next() != Some(full_name.as_str())
        {
            wrong.push(format!("full name {:?} instead of {full_name:?}", passwd.gecos));
        }
        // If no shell was requested, an account from the image keeps its own.
        if let Some(shell) = &account.shell
            && *shell != passwd.shell
        {
            wrong.push(format!("shell {} instead of {shell}", passwd.shell));
        }
        self.password(account, &mut wrong);
        for name in &account.groups {
            match self.group(name) {
                None => wrong.push(format!("no group {name}")),
                Some((gid, members)) if gid == passwd.gid || members.contains(&account.name.as_str()) => {}
                Some(_) => wrong.push(format!("not in group {name}")),
            }
        }
        wrong.extend(sudo(root, account));
        wrong.extend(keys(root, account, &passwd));
        wrong
    }

    fn password(&self, account: &Account, wrong: &mut Vec<String>) {
        let field = lines_of(&self.shadow, &account.name).find_map(|fields| fields.get(1).copied());
        match (&account.password_hash, field) {
            (_, None) => wrong.push("no line in /etc/shadow".into()),
            (Some(asked), Some(found)) if asked != found => {
                wrong.push("the password hash differs".into());
            }
            (None, Some(found)) if !found.starts_with(['!', '*']) => {
                wrong.push("password login is not locked".into());
            }
            _ => {}
        }
    }
}

/// Checks the file in /etc/sudoers.d that the installer writes for an account. Root needs none.
fn sudo(root: &Path, account: &Account) -> Vec<String> {
    let place = install::sudoers_path(account);
    let Some(path) = under(root, &place) else {
        return vec![format!("{place:?} is not a path")];
    };
    let text = match (read_text(&path, LIMIT), account.sudo && account.name != "root") {
        (Ok(text), true) => text,
        (Ok(_), false) => return vec!["has a sudo rule that was not requested".into()],
        (Err(e), true) => return vec![format!("{place}: {e}")],
        (Err(_), false) => return Vec::new(),
    };
    let mut wrong = Vec::new();
    if text != install::sudoers_text(account) {
        wrong.push(format!("{place} differs from the plan"));
    }
    // sudo ignores a file that others can write.
    if let Ok(meta) = path.metadata()
        && (meta.uid() != 0 || meta.mode() & 0o022 != 0)
    {
        wrong.push(format!("sudo file: {}", owner_and_mode(&meta)));
    }
    wrong
}

fn keys(root: &Path, account: &Account, passwd: &Passwd<'_>) -> Vec<String> {
    if account.ssh_keys.is_empty() {
        return Vec::new();
    }
    let Some(home) = under(root, passwd.home) else {
        return vec![format!("home directory {:?}", passwd.home)];
    };
    let directory = home.join(".ssh");
    let file = directory.join("authorized_keys");
    let text = match read_text(&file, LIMIT) {
        Ok(text) => text,
        Err(e) => return vec![format!("{}/.ssh/authorized_keys: {e}", passwd.home)],
    };
    let mut wrong = Vec::new();
    let keys = &account.ssh_keys;
    let is_missing = |key: &&String| !text.lines().any(|line| line.trim() == key.trim());
    let missing = keys.iter().filter(is_missing).count();
    if missing > 0 {
        wrong.push(format!("{missing} of {} SSH keys missing", keys.len()));
    }
    // sshd (StrictModes) ignores keys that others can write, and nobody else needs to read them.
    for (what, path, mode) in [(".ssh", &directory, 0o700), ("authorized_keys", &file, 0o600)] {
        match path.symlink_metadata() {
            Ok(meta) if meta.uid() == passwd.uid && meta.mode() & 0o777 == mode => {}
            Ok(meta) => wrong.push(format!(
                "{what}: {} instead of owner {} mode {mode:04o}",
                owner_and_mode(&meta),
                passwd.uid
            )),
            Err(e) => wrong.push(format!("{what}: {e}")),
        }
    }
    wrong
}
