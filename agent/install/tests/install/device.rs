//! The same on a real block device: a loop device with a real ext4, if this machine allows it.

use std::fs;
use std::path::Path;
use std::process::Command;

use agent_install::{Ended, Site, execute, wipe};
use inventory_api::plan::Step;
use inventory_api::report::DiskFacts;

use crate::bench::{Bench, MIB, ROOT_UUID, Server, plan, tool};

/// Root partition of 765 MiB, or exactly the image's 64 if this machine may not grow a file system.
fn disk_size() -> u64 {
    const CAP_SYS_RESOURCE: u32 = 24;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|l| u64::from_str_radix(l.strip_prefix("CapEff:")?.trim(), 16).ok());
    if mask.unwrap_or(0) >> CAP_SYS_RESOURCE & 1 == 1 {
        return 1024 * MIB;
    }
    println!("without growing: the kernel wants CAP_SYS_RESOURCE for that, which is not here");
    (258 + 64 + 1) * MIB
}

struct Loop(String);

impl Loop {
    fn attach(file: &Path) -> Result<Loop, String> {
        let out = Command::new("losetup")
            .args(["--find", "--show", "--partscan"])
            .arg(file)
            .output();
        let out = out.map_err(|e| format!("losetup: {e}"))?;
        if !out.status.success() {
            return Err(format!(
                "losetup: {}",
                String::from_utf8_lossy(&out.stderr).trim()
            ));
        }
        Ok(Loop(String::from_utf8_lossy(&out.stdout).trim().to_owned()))
    }
    fn name(&self) -> &str {
        self.0.trim_start_matches("/dev/")
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["--detach", &self.0]).status();
    }
}

/// A root file system as an ext4 image: (compressed, content).
fn image(dir: &Path, tree: &Path) -> Result<(Vec<u8>, Vec<u8>), String> {
    let file = dir.join("root.ext4");
    fs::File::create(&file)
        .and_then(|f| f.set_len(64 * MIB))
        .map_err(|e| e.to_string())?;
    let features = "metadata_csum,metadata_csum_seed,64bit";
    let out = Command::new("mkfs.ext4")
        .args(["-q", "-O", features, "-E", "lazy_itable_init=0", "-d"])
        .arg(tree)
        .arg(&file)
        .output();
    let out = out.map_err(|e| format!("mkfs.ext4: {e}"))?;
    if !out.status.success() {
        return Err(format!("mkfs.ext4: {}", String::from_utf8_lossy(&out.stderr)));
    }
    let content = fs::read(&file).map_err(|e| e.to_string())?;
    Ok((
        zstd::encode_all(&content[..], 1).map_err(|e| e.to_string())?,
        content,
    ))
}

#[tokio::test]
async fn a_loop_device_with_a_real_file_system() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: needs root for a loop device");
        return;
    }
    let size = disk_size();
    let mut bench = Bench::new();
    let (compressed, content) = match image(bench.dir.path(), &bench.path("root")) {
        Ok(made) => made,
        Err(why) => return println!("skipped: {why}"),
    };
    fs::File::create(bench.path("device"))
        .and_then(|f| f.set_len(size))
        .expect("made");
    let device = match Loop::attach(&bench.path("device")) {
        Ok(device) => device,
        Err(why) => return println!("skipped: {why}"),
    };
    bench.plan = plan(&compressed, &content, size);
    if !fs::read_to_string("/proc/filesystems").is_ok_and(|t| t.contains("\tvfat\n")) {
        println!("without the boot loader step: this kernel has no vfat");
        bench.plan.steps.retain(|s| !matches!(s, Step::Bootloader { .. }));
    }
    bench.image = compressed.into();
    let facts = DiskFacts {
        name: device.name().to_owned(),
        serial: Some("S1".into()),
        size_bytes: Some(size),
        logical_block_bytes: Some(512),
        ..DiskFacts::default()
    };
    let site = Site::machine(move || vec![facts.clone()]).with_mounts(bench.path("mnt"));
    // Twice: the second run finds the first one's partitions and file systems.
    for round in 0..2 {
        let server = Server {
            partx: Some(device.0.clone()),
            ..bench.server()
        };
        let ended = execute(&bench.plan, &bench.credentials(), &site, &server).await;
        assert_eq!(ended, Ok(Ended::Done), "round {round}");
    }
    tool("sfdisk", &["--verify", &device.0]);
    let root = format!("{}p3", device.0);
    tool("e2fsck", &["-fn", &root]);
    let out = Command::new("dumpe2fs")
        .args(["-h", &root])
        .output()
        .expect("dumpe2fs");
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(text.contains(ROOT_UUID), "{text}");
    let blocks = text
        .lines()
        .find_map(|l| l.strip_prefix("Block count:")?.trim().parse::<u64>().ok())
        .expect("a count");
    let block = text
        .lines()
        .find_map(|l| l.strip_prefix("Block size:")?.trim().parse::<u64>().ok())
        .expect("a size");
    assert!(
        blocks * block > size - 260 * MIB,
        "the file system did not grow: {blocks} blocks of {block}"
    );
    let show = Command::new("debugfs")
        .args(["-R", "cat /etc/hostname", &root])
        .output()
        .expect("debugfs");
    assert_eq!(String::from_utf8_lossy(&show.stdout), "web-1\n");
    let stat = Command::new("debugfs")
        .args(["-R", "stat /home/alice", &root])
        .output()
        .expect("debugfs");
    let stat = String::from_utf8_lossy(&stat.stdout).into_owned();
    assert!(
        stat.contains("Mode:  0700") && stat.contains("User:  1500   Group:  1500"),
        "{stat}"
    );

    // A mounted disk is neither installed nor wiped.
    let mounted = bench.path("elsewhere");
    fs::create_dir(&mounted).expect("made");
    let flags = nix::mount::MsFlags::empty();
    nix::mount::mount(Some(root.as_str()), &mounted, Some("ext4"), flags, None::<&str>).expect("mounted");
    let refused = execute(&bench.plan, &bench.credentials(), &site, &bench.server())
        .await
        .map_err(|f| (f.code, f.wrote));
    let kept = wipe(std::slice::from_ref(&bench.plan.disk), &site)
        .await
        .map_err(|f| (f.code, f.wrote));
    nix::mount::umount(&mounted).expect("unmounted");
    assert_eq!(refused, Err(("disk-busy".into(), false)));
    assert_eq!(kept, Err(("disk-busy".into(), false)));

    wipe(std::slice::from_ref(&bench.plan.disk), &site)
        .await
        .expect("wiped");
    assert!(
        !Path::new(&format!("/sys/block/{0}/{0}p3", device.name())).exists(),
        "the kernel still sees a partition"
    );
}
