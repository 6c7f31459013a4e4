use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;
use std::time::Duration;

use inventory_api::deploy::Account;

use super::*;

#[derive(Default)]
struct Lines(Mutex<Vec<String>>);

impl Console for Lines {
    fn line(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }
}

const HASH: &str = "$y$j9T$secretsalt$secrethash";
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIexample alice@example";

fn put(root: &Path, path: &str, text: &str, mode: u32) {
    let path = root.join(path.trim_start_matches('/'));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn expectation() -> VerifyRequest {
    let script = |name: &str, content: &str, run| Script {
        name: name.into(),
        content: content.into(),
        run,
        path: None,
        everyone: false,
    };
    VerifyRequest {
        hostname: "web-1".into(),
        accounts: vec![Account {
            name: "alice".into(),
            full_name: Some("Alice A.".into()),
            groups: vec!["ops".into()],
            sudo: true,
            ssh_keys: vec![KEY.into()],
            password_hash: Some(HASH.into()),
            ..Account::default()
        }],
        cron: vec![CronJob {
            name: "backup".into(),
            schedule: "0 3 * * *".into(),
            user: "root".into(),
            command: "/usr/local/sbin/backup".into(),
        }],
        scripts: vec![
            script(
                "setup",
                "#!/bin/sh\necho run >> runs\necho all well\numask > mask\n",
                ScriptRun::FirstBoot,
            ),
            script("backup", "#!/bin/sh\nexit 0\n", ScriptRun::Kept),
        ],
        mounts: vec![Mount {
            device: "UUID=1".into(),
            path: "/".into(),
            kind: "ext4".into(),
            options: "defaults".into(),
            pass: 1,
        }],
    }
}

/// A system that matches the request. None without root, which is needed to change owners.
fn installed(expect: &VerifyRequest) -> Option<tempfile::TempDir> {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: owners of files need root");
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    put(root, "etc/hostname", "web-1\n", 0o644);
    put(
        root,
        "etc/passwd",
        "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000:Alice A.,,,:/home/alice:/bin/bash\n",
        0o644,
    );
    put(
        root,
        "etc/shadow",
        &format!("root:*:1::::::\nalice:{HASH}:1::::::\n"),
        0o640,
    );
    put(
        root,
        "etc/group",
        "root:x:0:\nalice:x:1000:\nops:x:1001:bob,alice\n",
        0o644,
    );
    let alice = &expect.accounts[0];
    put(
        root,
        &install::sudoers_path(alice),
        &install::sudoers_text(alice),
        0o440,
    );
    put(
        root,
        "home/alice/.ssh/authorized_keys",
        &format!("# mine\n{KEY}\n"),
        0o600,
    );
    let ssh = root.join("home/alice/.ssh");
    std::fs::set_permissions(&ssh, std::fs::Permissions::from_mode(0o700)).unwrap();
    for path in [ssh.clone(), ssh.join("authorized_keys")] {
        std::os::unix::fs::chown(path, Some(1000), Some(1000)).unwrap();
    }
    for job in &expect.cron {
        put(root, &install::cron_path(job), &install::cron_text(job), 0o644);
    }
    for script in &expect.scripts {
        put(
            root,
            &inventory_api::valid::script_path(script),
            &script.content,
            0o700,
        );
    }
    put(root, "etc/fstab", "# static\nUUID=1 / ext4 defaults 0 1\n", 0o644);
    Some(dir)
}

async fn look(root: &Path, expect: &VerifyRequest) -> Vec<VerifiedItem> {
    let run = FirstBoot::Run {
        limit: Duration::from_secs(20),
    };
    let plan = "p-1".parse().unwrap();
    verify(root, &plan, expect, &run, &Lines::default()).await
}

fn wrong(items: &[VerifiedItem]) -> Vec<String> {
    let bad = items.iter().filter(|i| !i.ok);
    bad.map(|i| format!("{}: {}", i.what, i.found)).collect()
}

#[tokio::test]
async fn a_correct_system_passes_and_scripts_run_once() {
    let expect = expectation();
    let Some(dir) = installed(&expect) else { return };
    let items = look(dir.path(), &expect).await;
    assert_eq!(wrong(&items), Vec::<String>::new());
    assert_eq!(items.len(), 6);
    let again = look(dir.path(), &expect).await;
    assert_eq!(again, items);
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    assert_eq!(read("runs"), "run\n");
    assert_eq!(read("mask").trim(), "0022");
    assert!(read("var/lib/slipway-agent/firstboot/setup.json").contains("all well"));
    // L3 of the security test: a script that has run is gone, and only root can read what stays.
    assert!(
        !dir.path()
            .join("usr/local/lib/slipway/firstboot.d/setup")
            .exists()
    );
}

#[tokio::test]
async fn who_reaches_the_boot_service_is_reported_but_is_no_failure() {
    let expect = expectation();
    let Some(dir) = installed(&expect) else { return };
    put(
        dir.path(),
        "etc/slipway/guard.nft",
        "table inet slipway {}\n",
        0o644,
    );
    for (path, says) in [
        ("etc/x", "has no /usr/sbin/nft"),
        ("usr/sbin/nft", "not active"),
        ("run/slipway-guard", "only root"),
    ] {
        put(dir.path(), path, "", 0o755);
        let items = look(dir.path(), &expect).await;
        let item = items.last().unwrap();
        assert!(item.ok && item.found.contains(says), "{item:?}");
    }
}

#[tokio::test]
async fn every_difference_is_named_and_no_hash_is_told() {
    let expect = expectation();
    type Break = fn(&Path);
    let cases: [(&str, Break); 13] = [
        ("hostname: \"other\"", |r| {
            put(r, "etc/hostname", "other\n", 0o644)
        }),
        ("hash differs", |r| {
            put(r, "etc/shadow", "alice:$y$j9T$other$otherhash:1::::::\n", 0o640)
        }),
        ("no such account", |r| {
            put(r, "etc/passwd", "root:x:0:0::/root:/bin/sh\n", 0o644)
        }),
        ("not in group ops", |r| {
            put(r, "etc/group", "ops:x:1001:bob\n", 0o644)
        }),
        ("account alice: sudo file: owner 0:0 mode 0462", |r| {
            let text = std::fs::read_to_string(r.join("etc/sudoers.d/slipway-alice")).unwrap();
            put(r, "etc/sudoers.d/slipway-alice", &text, 0o462);
        }),
        ("slipway-alice: ", |r| {
            std::fs::remove_file(r.join("etc/sudoers.d/slipway-alice")).unwrap()
        }),
        ("1 of 1 SSH keys missing", |r| {
            std::fs::write(r.join("home/alice/.ssh/authorized_keys"), "").unwrap()
        }),
        ("authorized_keys: owner 0:0", |r| {
            std::os::unix::fs::chown(r.join("home/alice/.ssh/authorized_keys"), Some(0), Some(0)).unwrap();
        }),
        ("cron backup: owner 0:0 mode 0666", |r| {
            let file = r.join("etc/cron.d/slipway-backup");
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o666)).unwrap();
        }),
        (
            "script backup: /usr/local/sbin/backup differs from the plan",
            |r| {
                put(r, "usr/local/sbin/backup", "#!/bin/sh\nexit 1\n", 0o700);
            },
        ),
        (
            "script setup: /usr/local/lib/slipway/firstboot.d/setup: owner 0:0 mode 0644",
            |r| {
                let file = r.join("usr/local/lib/slipway/firstboot.d/setup");
                std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).unwrap();
            },
        ),
        (
            "script backup: /usr/local/sbin/backup: owner 0:0 mode 0755",
            |r| {
                let file = r.join("usr/local/sbin/backup");
                std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
            },
        ),
        ("mount /: xfs instead of ext4", |r| {
            put(r, "etc/fstab", "UUID=1 / xfs defaults 0 1\n", 0o644)
        }),
    ];
    for (says, spoil) in cases {
        let Some(dir) = installed(&expect) else { return };
        spoil(dir.path());
        let items = look(dir.path(), &expect).await;
        let found = wrong(&items);
        assert!(found.len() == 1 && found[0].contains(says), "{says}: {found:?}");
        assert!(
            !format!("{items:?}").contains("hash$") && !format!("{items:?}").contains("$y$"),
            "{items:?}"
        );
    }
}

#[tokio::test]
async fn a_script_that_fails_hangs_or_was_cut_off() {
    let mut expect = expectation();
    expect.scripts.truncate(1);
    let root_of = |content: &str| {
        let mut expect = expect.clone();
        expect.scripts[0].content = content.into();
        installed(&expect).map(|dir| (dir, expect))
    };
    let Some((dir, failing)) = root_of("#!/bin/sh\necho 'no disk' >&2\nexit 3\n") else {
        return;
    };
    let found = wrong(&look(dir.path(), &failing).await);
    assert_eq!(found, ["script setup: exit status 3; its last output: no disk"]);

    let (dir, hanging) = root_of("#!/bin/sh\nsleep 1000 & sleep 1000\n").unwrap();
    let short = FirstBoot::Run {
        limit: Duration::from_millis(300),
    };
    let plan = "p-1".parse().unwrap();
    let items = verify(dir.path(), &plan, &hanging, &short, &Lines::default()).await;
    assert_eq!(wrong(&items), ["script setup: killed after 0 s"]);

    // Power was lost while it ran: it is started again, at most three times.
    let (dir, cut) = root_of("#!/bin/sh\nexit 0\n").unwrap();
    for (runs, ok) in [(1, true), (3, false)] {
        let sha256 = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(b"#!/bin/sh\nexit 0\n"));
        let record =
            format!(r#"{{"plan":"p-1","sha256":"{sha256}","runs":{runs},"started_at":5,"end":null}}"#);
        put(
            dir.path(),
            "var/lib/slipway-agent/firstboot/setup.json",
            &record,
            0o600,
        );
        let items = look(dir.path(), &cut).await;
        assert_eq!(items[1].ok, ok, "{items:?}");
    }
}

#[test]
fn mount_tables_are_parsed_with_their_escapes() {
    let table = parse_mounts("# x\n/dev/vda3 / ext4 rw 0 0\nnone /a\\040b tmpfs rw 0 0\nbroken\n");
    assert_eq!(table.len(), 2);
    assert_eq!(table[1].path, "/a b");
}
