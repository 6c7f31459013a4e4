//! A simulated machine with one disk, a plan for it, an image, and a server that can misbehave.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::future::Future;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agent_install::{ByteStream, Credentials, FetchError, Link, Patience, Site};
use bytes::Bytes;
use futures::StreamExt;
use inventory_api::agent::{Permission, Progress, StepOutcome, StepReport};
use inventory_api::deploy::{Account, NicConfig};
use inventory_api::id::Sha256Digest;
use inventory_api::plan::{DiskTarget, ImageSource, InstallPlan, Step};
use inventory_api::report::DiskFacts;
use inventory_api::sample;

pub const MIB: u64 = 1 << 20;
pub const DISK: u64 = 600 * MIB;
pub const ROOT_UUID: &str = "0d4d5a6e-93a5-4f6e-8d2b-2f5f0f4b7a11";
pub const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7w alice@desk";
pub const HASH: &str = "$y$j9T$abcdefgh$0123456789abcdef";

/// Random content with runs of zeros and a partial last block.
pub fn content() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut bytes = vec![0; 13 * MIB as usize + 777];
    for (i, chunk) in bytes.chunks_mut(8).enumerate() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let hole = (i * 8) as u64 / MIB % 3 == 1;
        if !hole {
            chunk.copy_from_slice(&(state >> 8).to_le_bytes()[..chunk.len()]);
        }
    }
    bytes
}

pub fn sha256(bytes: &[u8]) -> Sha256Digest {
    let mut digest = [0; 32];
    digest.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    Sha256Digest(digest)
}

/// One machine with its plan.
pub struct Bench {
    pub dir: tempfile::TempDir,
    pub plan: InstallPlan,
    pub facts: Arc<Mutex<Vec<DiskFacts>>>,
    pub image: Arc<Vec<u8>>,
    pub content: Vec<u8>,
}

pub fn facts(name: &str, serial: &str) -> DiskFacts {
    DiskFacts {
        name: name.into(),
        serial: Some(serial.into()),
        size_bytes: Some(DISK),
        logical_block_bytes: Some(512),
        ..DiskFacts::default()
    }
}

impl Bench {
    pub fn new() -> Bench {
        let dir = tempfile::tempdir().expect("a directory");
        let content = content();
        let image = zstd::encode_all(&content[..], 1).expect("compressed");
        // Leftovers of an earlier system, which must not show up anywhere.
        let disk = fs::File::create(dir.path().join("disk")).expect("made");
        disk.set_len(DISK).expect("sized");
        let old = vec![0xa5; 20 * MIB as usize];
        for at in [0, DISK - 20 * MIB, 258 * MIB] {
            std::os::unix::fs::FileExt::write_all_at(&disk, &old, at).expect("written");
        }
        root_dir(&dir.path().join("root"));
        fs::create_dir(dir.path().join("esp")).expect("made");
        fs::write(dir.path().join("agent"), b"the agent's binary").expect("written");
        let plan = plan(&image, &content, DISK);
        let facts = Arc::new(Mutex::new(vec![facts("sda", "S1"), facts("sdb", "S2")]));
        Bench {
            dir,
            plan,
            facts,
            image: Arc::new(image),
            content,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn site(&self) -> Site {
        let facts = self.facts.clone();
        let look = move || facts.lock().expect("facts").clone();
        let disks = BTreeMap::from([("sda".to_owned(), self.path("disk"))]);
        let patience = Patience {
            stall: Duration::from_secs(5),
            give_up: Duration::from_millis(300),
            pause: Duration::from_millis(5),
        };
        Site::simulated(
            look,
            disks,
            self.path("root"),
            self.path("esp"),
            self.path("agent"),
        )
        .with_patience(patience)
    }

    pub fn credentials(&self) -> Credentials {
        Credentials {
            machine: self.plan.machine.clone(),
            server: "https://10.0.0.1:8443".into(),
            boot_url: "http://10.0.0.1:8067".into(),
            key_pem: "KEY".into(),
            cert_pem: "CERT".into(),
            ca_pem: "CA".into(),
        }
    }

    pub fn server(&self) -> Server {
        Server {
            image: self.image.clone(),
            ..Server::default()
        }
    }

    /// Bytes of the disk file.
    pub fn disk(&self, from: u64, len: usize) -> Vec<u8> {
        let file = fs::File::open(self.path("disk")).expect("opened");
        let mut bytes = vec![0; len];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, from).expect("read");
        bytes
    }

    /// Start of the root partition, in bytes.
    pub fn root_start(&self) -> u64 {
        258 * MIB
    }

    pub fn root_file(&self, path: &str) -> String {
        let path = self.path("root").join(path);
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    pub fn image_step(&mut self) -> &mut ImageSource {
        let source = self.plan.steps.iter_mut().find_map(|s| match s {
            Step::WriteImage { source, .. } => Some(source),
            _ => None,
        });
        source.expect("an image step")
    }
}

/// The image's content, as far as the steps use it.
fn root_dir(root: &Path) {
    for dir in [
        "etc/ssh",
        "etc/skel",
        "usr/lib/slipway/boot",
        "bin",
        "usr/lib/systemd/system",
        "var/lib",
        "home",
        "root",
    ] {
        fs::create_dir_all(root.join(dir)).expect("made");
    }
    let mut boot = vec![0xb0; 512];
    boot[510..].copy_from_slice(&[0x55, 0xaa]);
    for (path, bytes) in [
        ("usr/lib/slipway/boot/boot.img", &boot[..]),
        ("usr/lib/slipway/boot/core.img", &[0xc0; 30_000]),
        ("usr/lib/slipway/boot/shimx64.efi", b"shim"),
        ("usr/lib/slipway/boot/grubx64.efi", b"grub"),
        ("bin/bash", b""),
        ("bin/sh", b""),
        ("etc/skel/.profile", b"# profile\n"),
        ("etc/ssh/ssh_host_rsa_key", b"the image's"),
        ("etc/machine-id", b"the image's"),
        (
            "etc/passwd",
            b"root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/usr/sbin/nologin\n",
        ),
        ("etc/shadow", b"root:*:1:0:99999:7:::\ndaemon:*:1:0:99999:7:::\n"),
        ("etc/group", b"root:x:0:\ndaemon:x:1:\nsudo:x:27:\n"),
        ("usr/lib/systemd/system/systemd-networkd.service", b""),
        ("usr/lib/systemd/system/systemd-resolved.service", b""),
    ] {
        fs::write(root.join(path), bytes).expect("written");
    }
}

/// The sample's plan, for a disk of `size` bytes.
pub fn plan(image: &[u8], content: &[u8], size: u64) -> InstallPlan {
    let mut plan = sample::plan();
    plan.machine = "m-0123456789ab".parse().expect("an id");
    plan.hostname = "web-1".into();
    plan.disk = DiskTarget {
        serial: Some("S1".into()),
        wwn: None,
        model: None,
        size_bytes: size,
        ..plan.disk
    };
    for step in &mut plan.steps {
        match step {
            Step::Partition { partitions, .. } => {
                let starts = [MIB, 2 * MIB, 258 * MIB, size - MIB];
                for (part, range) in partitions.iter_mut().zip(starts.windows(2)) {
                    part.guid = format!("{0}0000000-0000-4000-8000-000000000000", part.number);
                    (part.first_lba, part.last_lba) = (range[0] / 512, range[1] / 512 - 1);
                }
            }
            Step::WriteImage { source, uuid, .. } => {
                source.path = "/images/test".into();
                (source.sha256, source.compressed_bytes) = (sha256(image), image.len() as u64);
                (source.content_sha256, source.content_bytes) = (sha256(content), content.len() as u64);
                *uuid = ROOT_UUID.into();
            }
            Step::Bootloader { root_uuid, .. } => *root_uuid = ROOT_UUID.into(),
            Step::Fstab { mounts } => mounts[0].device = format!("UUID={ROOT_UUID}"),
            Step::Hostname { hostname } => hostname.clone_from(&plan.hostname),
            Step::Network { nics } => {
                nics[0] = NicConfig {
                    addresses: vec![],
                    gateway: None,
                    dns: vec![],
                    ..nics[0].clone()
                };
            }
            Step::Accounts { accounts } => {
                accounts.truncate(1);
                accounts[0] = Account {
                    groups: vec!["sudo".into()],
                    ssh_keys: vec![KEY.into()],
                    password_hash: Some(HASH.into()),
                    ..accounts[0].clone()
                };
            }
            Step::Cron { jobs } => jobs[0].user = "alice".into(),
            Step::Scripts { scripts } => scripts.truncate(1),
            _ => {}
        }
    }
    plan
}

/// The other end of the link, in memory.
#[derive(Default)]
pub struct Server {
    pub image: Arc<Vec<u8>>,
    /// The reports received.
    pub steps: Mutex<Vec<StepReport>>,
    pub progress: Mutex<Vec<Progress>>,
    pub notes: Mutex<Vec<String>>,
    /// Start offsets of fetches.
    pub fetches: Mutex<Vec<u64>>,
    /// The stream is cut at each of these offsets once.
    pub cuts: Mutex<VecDeque<usize>>,
    /// Every fetch fails.
    pub dead: bool,
    /// The stream stalls at this offset.
    pub hang: Option<usize>,
    /// Permission is refused before this step.
    pub stop: Option<u32>,
    /// Tell the kernel about this device's partitions after they are written, for kernels that do not parse
    /// GPT.
    pub partx: Option<String>,
}

impl Link for Server {
    async fn step(&self, report: StepReport) -> Result<Permission, String> {
        let stop = self.stop == Some(report.index) && report.outcome == StepOutcome::Starting {};
        if let (Some(device), "partition", StepOutcome::Done { .. }) =
            (&self.partx, &*report.name, &report.outcome)
        {
            tool("partx", &["--update", device]);
        }
        self.steps.lock().expect("steps").push(report);
        Ok(if stop {
            Permission::Stop {
                message: "enough".into(),
            }
        } else {
            Permission::Continue {}
        })
    }

    fn progress(&self, progress: Progress) {
        self.progress.lock().expect("progress").push(progress);
    }

    fn note(&self, text: &str) {
        self.notes.lock().expect("notes").push(text.to_owned());
    }

    fn fetch(
        &self,
        _: &ImageSource,
        from: u64,
    ) -> impl Future<Output = Result<ByteStream, FetchError>> + Send {
        self.fetches.lock().expect("fetches").push(from);
        let from = from as usize;
        let cut = self.cuts.lock().expect("cuts").pop_front();
        let (dead, hang, image) = (self.dead, self.hang, self.image.clone());
        async move {
            if dead {
                return Err(FetchError::Retry("connection refused".into()));
            }
            let end = cut.or(hang).unwrap_or(image.len());
            let chunks: Vec<_> = image[from..end.max(from)]
                .chunks(50_000)
                .map(|c| Ok(Bytes::copy_from_slice(c)))
                .collect();
            let chunks = futures::stream::iter(chunks);
            let stream: ByteStream = match (cut, hang) {
                (Some(_), _) => {
                    Box::pin(chunks.chain(futures::stream::iter([Err(std::io::Error::other("reset"))])))
                }
                (None, Some(_)) => Box::pin(chunks.chain(futures::stream::pending())),
                (None, None) => Box::pin(chunks),
            };
            Ok(stream)
        }
    }
}

impl Server {
    pub fn codes(&self) -> Vec<String> {
        let steps = self.steps.lock().expect("steps");
        let failed = steps.iter().filter_map(|s| match &s.outcome {
            StepOutcome::Failed { code, .. } => Some(format!("{}: {code}", s.name)),
            _ => None,
        });
        failed.collect()
    }
}

/// Runs a tool; if it is missing, prints that and returns false. Panics if the tool reports an error.
pub fn tool(name: &str, args: &[&str]) -> bool {
    match Command::new(name)
        .args(args)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .output()
    {
        Err(e) => {
            println!("skipped: {name} cannot run here: {e}");
            false
        }
        Ok(out) => {
            let text =
                String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
            assert!(out.status.success(), "{name} {args:?}: {}\n{text}", out.status);
            true
        }
    }
}

/// Copies a part of a file to another.
pub fn cut_out(from: &Path, at: u64, len: u64, to: &Path) {
    let mut file = fs::File::open(from).expect("opened");
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(at)).expect("seek");
    std::io::copy(&mut file.take(len), &mut fs::File::create(to).expect("made")).expect("copied");
}
