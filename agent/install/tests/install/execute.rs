//! A whole plan on a file, and the file's content afterwards.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use agent_install::{Ended, execute};
use inventory_api::agent::StepOutcome;
use inventory_api::plan::Step;

use crate::bench::{Bench, DISK, KEY, MIB, cut_out, tool};

#[tokio::test]
async fn every_step_is_permitted_and_reported_and_its_bytes_are_where_they_belong() {
    let bench = Bench::new();
    let server = bench.server();
    let ended = execute(&bench.plan, &bench.credentials(), &bench.site(), &server).await;
    assert_eq!(ended, Ok(Ended::Done));

    // Permission was asked and the result reported for each step in order, then for the whole plan.
    let steps = server.steps.lock().expect("steps");
    let mut told = steps.iter().map(|s| {
        (
            s.index as usize,
            s.name.as_str(),
            matches!(s.outcome, StepOutcome::Starting {}),
        )
    });
    for (i, step) in bench.plan.steps.iter().enumerate() {
        assert_eq!(told.next(), Some((i, step.name(), true)));
        assert_eq!(told.next(), Some((i, step.name(), false)));
    }
    assert_eq!(told.next(), Some((bench.plan.steps.len(), "plan", false)));
    assert_eq!(told.next(), None);
    let last = server
        .progress
        .lock()
        .expect("progress")
        .last()
        .cloned()
        .expect("progress");
    assert_eq!(
        (last.done_bytes, last.total_bytes),
        (bench.content.len() as u64, bench.content.len() as u64)
    );

    // The image, byte for byte, replacing the old content.
    assert!(
        bench.disk(bench.root_start(), bench.content.len()) == bench.content,
        "the root partition differs"
    );

    // The partition table, as read by other tools.
    let disk = bench.path("disk");
    let disk_text = disk.to_str().expect("a path");
    tool("sfdisk", &["--verify", disk_text]);
    tool("sgdisk", &["--verify", disk_text]);
    let esp = bench.path("esp.img");
    cut_out(&disk, 2 * MIB, 256 * MIB, &esp);
    tool("fsck.fat", &["-n", esp.to_str().expect("a path")]);
    let head = bench.disk(2 * MIB, 512);
    assert_eq!(
        (&head[67..71], &head[71..82], &head[82..87]),
        (&[0x4d, 0x3c, 0x2b, 0x1a][..], &b"ESP        "[..], &b"FAT32"[..])
    );

    // The BIOS boot loader: code, then the existing table, then core.img with its block list.
    let mbr = bench.disk(0, 512);
    assert_eq!((mbr[0], mbr[450], &mbr[510..]), (0xb0, 0xee, &[0x55, 0xaa][..]));
    assert_eq!(mbr[0x5c..0x64], 2048u64.to_le_bytes());
    let core = bench.disk(MIB, 512);
    assert_eq!(core[0x1f4..0x1fc], 2049u64.to_le_bytes());
    assert_eq!(core[0x1fc..0x200], [58, 0, 0x20, 0x08]);
    // The end of the disk holds only the backup table.
    assert_eq!(bench.disk(DISK - MIB, 512), [0; 512]);
    assert_eq!(&bench.disk(DISK - 512, 8), b"EFI PART");
}

#[tokio::test]
async fn the_new_system_has_its_settings() {
    let bench = Bench::new();
    execute(&bench.plan, &bench.credentials(), &bench.site(), &bench.server())
        .await
        .expect("installed");
    assert!(fs::read(bench.path("esp/EFI/BOOT/BOOTX64.EFI")).expect("there") == b"shim");
    assert!(fs::read(bench.path("esp/EFI/debian/grubx64.efi")).expect("there") == b"grub");
    let esp = fs::read_to_string(bench.path("esp/EFI/debian/grub.cfg")).expect("there");
    assert!(esp.starts_with("search.fs_uuid 0d4d5a6e-"), "{esp}");
    assert!(
        bench
            .root_file("boot/grub/grub.cfg")
            .contains("linux /vmlinuz root=UUID=0d4d5a6e-")
    );
    assert!(
        bench
            .root_file("etc/fstab")
            .contains("UUID=1A2B-3C4D /boot/efi vfat umask=0077 0 2\n")
    );
    assert_eq!(bench.root_file("etc/hostname"), "web-1\n");
    assert_eq!(bench.root_file("etc/machine-id"), "");
    assert!(!bench.path("root/etc/ssh/ssh_host_rsa_key").exists());
    assert!(
        bench
            .root_file("etc/systemd/network/10-slipway-5254001a2b04.network")
            .contains("DHCP=yes")
    );
    assert!(
        bench
            .root_file("etc/passwd")
            .ends_with("\nalice:x:1500:1500:Alice Berg,,,:/home/alice:/bin/bash\n")
    );
    assert_eq!(
        bench.root_file("home/alice/.ssh/authorized_keys"),
        format!("{KEY}\n")
    );
    assert_eq!(bench.root_file("home/alice/.profile"), "# profile\n");
    assert!(
        bench
            .root_file("etc/sudoers.d/slipway-alice")
            .ends_with("\nalice ALL=(ALL:ALL) ALL\n")
    );
    assert!(
        bench
            .root_file("etc/cron.d/slipway-backup")
            .ends_with("\n17 3 * * * alice /usr/local/sbin/backup --all\n")
    );
    assert!(
        bench
            .root_file("usr/local/lib/slipway/firstboot.d/setup")
            .contains("nginx")
    );
    assert_eq!(
        bench.root_file("usr/local/sbin/slipway-agent"),
        "the agent's binary"
    );
    assert_eq!(bench.root_file("var/lib/slipway-agent/key.pem"), "KEY");
    let config: agent_install::AgentConfig =
        serde_json::from_str(&bench.root_file("etc/slipway/agent.json")).expect("JSON");
    assert_eq!(
        (config.machine, config.plan),
        (bench.plan.machine.clone(), bench.plan.id.clone())
    );
    for (path, mode) in [
        ("home/alice", 0o700),
        ("home/alice/.ssh", 0o700),
        ("home/alice/.ssh/authorized_keys", 0o600),
        ("etc/shadow", 0o640),
        ("etc/sudoers.d/slipway-alice", 0o440),
        ("etc/cron.d/slipway-backup", 0o644),
        ("usr/local/lib/slipway/firstboot.d/setup", 0o700),
        ("usr/local/sbin/slipway-agent", 0o755),
        ("var/lib/slipway-agent", 0o700),
        ("var/lib/slipway-agent/key.pem", 0o600),
    ] {
        let found = fs::metadata(bench.path("root").join(path))
            .expect(path)
            .permissions()
            .mode()
            & 0o7777;
        assert_eq!(found, mode, "{path}: {found:o}");
    }
    for (link, target) in [
        (
            "etc/systemd/system/multi-user.target.wants/slipway-agent.service",
            "/etc/systemd/system/slipway-agent.service",
        ),
        ("etc/resolv.conf", "/run/systemd/resolve/stub-resolv.conf"),
    ] {
        assert_eq!(
            fs::read_link(bench.path("root").join(link)).expect(link).to_str(),
            Some(target)
        );
    }
}

#[tokio::test]
async fn the_server_can_stop_before_any_step() {
    let bench = Bench::new();
    let before = bench.disk(0, 1 << 20);
    let server = crate::bench::Server {
        stop: Some(0),
        ..bench.server()
    };
    let ended = execute(&bench.plan, &bench.credentials(), &bench.site(), &server).await;
    assert_eq!(
        ended,
        Ok(Ended::Stopped {
            index: 0,
            message: "enough".into()
        })
    );
    assert!(bench.disk(0, 1 << 20) == before, "something was written");

    let server = crate::bench::Server {
        stop: Some(3),
        ..bench.server()
    };
    let ended = execute(&bench.plan, &bench.credentials(), &bench.site(), &server).await;
    assert!(matches!(ended, Ok(Ended::Stopped { index: 3, .. })), "{ended:?}");
    assert_eq!(server.fetches.lock().expect("fetches").len(), 0);
}

#[tokio::test]
async fn disks_with_large_blocks_get_their_own_layout() {
    let mut bench = Bench::new();
    bench.plan.disk.block_bytes = 4096;
    for step in &mut bench.plan.steps {
        if let Step::Partition { partitions, .. } = step {
            partitions.iter_mut().for_each(|p| {
                p.first_lba /= 8;
                p.last_lba = (p.last_lba + 1) / 8 - 1;
            });
        }
    }
    bench.facts.lock().expect("facts")[0].logical_block_bytes = Some(4096);
    let ended = execute(&bench.plan, &bench.credentials(), &bench.site(), &bench.server()).await;
    assert_eq!(ended, Ok(Ended::Done));
    assert_eq!(&bench.disk(4096, 8), b"EFI PART");
    assert_eq!(&bench.disk(DISK - 4096, 8), b"EFI PART");
    let esp = bench.path("esp.img");
    cut_out(&bench.path("disk"), 2 * MIB, 256 * MIB, &esp);
    tool("fsck.fat", &["-n", esp.to_str().expect("a path")]);
    assert!(
        bench.disk(bench.root_start(), bench.content.len()) == bench.content,
        "the root partition differs"
    );
}
