//! One simulated machine: power, firmware, iPXE, mini-os, installed system.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agent::install::Site;
use agent::report::{Roots, collect};
use agent::resident::{FirstBoot, Resident};
use agent::session::{Duty, Exit, Origin, Pace};
use anyhow::{Context, Result, bail};
use inventory_api::Mac;
use inventory_api::boot::BootArgs;
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::captured::Captured;
use super::dhcp::{self, Asker};
use super::tftp;

/// Where the boot service is.
#[derive(Clone, Copy, Debug)]
pub struct BootService {
    /// DHCP socket.
    pub dhcp: SocketAddr,
    /// TFTP socket.
    pub tftp: SocketAddr,
    /// HTTP socket.
    pub http: SocketAddr,
}

/// What the machine's console showed, and a hook that sees each line as it comes.
#[derive(Default)]
pub struct Console {
    lines: Mutex<Vec<String>>,
    more: Notify,
}

impl Console {
    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a line that holds `text`, from line number `from` on; gives the number after it.
    pub async fn wait(&self, text: &str, from: usize) -> usize {
        loop {
            let more = self.more.notified();
            tokio::pin!(more);
            // Registered before looking: a line that comes in between is not missed.
            more.as_mut().enable();
            let found = self.lines().iter().skip(from).position(|l| l.contains(text));
            if let Some(at) = found {
                return from + at + 1;
            }
            more.await;
        }
    }
}

impl agent::console::Console for Console {
    fn line(&self, text: &str) {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(text.to_owned());
        self.more.notify_waiters();
    }
}

/// A machine and all that stays with it when its power is cut: its disk and its hardware.
#[derive(Clone)]
pub struct Machine {
    /// The NIC it boots from.
    pub mac: Mac,
    /// System serial number.
    pub serial: String,
    /// Serial number of its disk.
    pub disk_serial: String,
    /// BIOS or UEFI.
    pub asker: Asker,
    /// What its hardware says of itself.
    pub captured: Captured,
    /// What its console showed, over all its boots.
    pub console: Arc<Console>,
    dir: PathBuf,
}

/// What one power-on came to.
#[derive(Debug)]
pub enum Booted {
    /// The mini-os ran and ended so.
    MiniOs(Exit),
    /// The installed system ran and ended so.
    Installed(Exit),
    /// The boot script said local disk, and there is nothing on it.
    NoSystem,
    /// The server wants nothing of it.
    Ignored,
}

/// Changes to one power-on that a test wants.
#[derive(Clone, Default)]
pub struct PowerOn {
    /// Speaks to this boot URL in place of the one in the boot arguments.
    pub boot_url: Option<String>,
}

impl Machine {
    /// Makes machine number `number` in `dir`: hardware, an empty disk of `disk_bytes`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn make(dir: &Path, number: u16, disk_bytes: u64) -> Result<Machine> {
        let [high, low] = number.to_be_bytes();
        let mac = Mac([0x02, 0x51, 0x4d, 0, high, low]);
        let (serial, disk_serial) = (format!("SIM-{number:04}"), format!("SIMDISK-{number:04}"));
        let dir = dir.join(&serial);
        std::fs::create_dir_all(&dir)?;
        let captured = Captured::make(&dir.join("hardware"), &serial, mac, &disk_serial, disk_bytes)?;
        std::fs::File::create(dir.join("disk.raw"))?.set_len(disk_bytes)?;
        let asker = if number.is_multiple_of(2) {
            Asker::Bios
        } else {
            Asker::Uefi
        };
        Ok(Machine {
            mac,
            serial,
            disk_serial,
            asker,
            captured,
            console: Arc::default(),
            dir,
        })
    }

    /// The file that is its disk.
    pub fn disk(&self) -> PathBuf {
        self.dir.join("disk.raw")
    }

    /// The directory that stands for the mounted root of the installed system.
    pub fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    fn say(&self, text: impl AsRef<str>) {
        agent::console::Console::line(self.console.as_ref(), text.as_ref());
    }

    /// Powers it on until it reboots by itself or its agent gives up. Dropping the future is the loss of power.
    ///
    /// # Errors
    /// The boot service did not answer as it must.
    pub async fn power_on(&self, service: BootService, how: PowerOn) -> Result<Booted> {
        self.say("firmware: power on");
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let xid = u32::from_be_bytes([self.mac.0[2], self.mac.0[3], self.mac.0[4], self.mac.0[5]]);
        let offer = dhcp::lease(&socket, service.dhcp, self.asker, self.mac, xid).await?;
        self.say(format!("firmware: address {}", offer.yiaddr));
        if offer.file.is_empty() {
            return self.boot_disk().await;
        }
        let loader = tftp::get(service.tftp, &offer.file).await?;
        self.say(format!(
            "firmware: loaded {} of {} bytes",
            offer.file,
            loader.len()
        ));
        let ipxe = dhcp::lease(&socket, service.dhcp, Asker::Ipxe, self.mac, xid ^ 0x1000_0000).await?;
        if ipxe.yiaddr != offer.yiaddr {
            bail!(
                "{}: {} for the firmware, {} for iPXE",
                self.mac,
                offer.yiaddr,
                ipxe.yiaddr
            );
        }
        self.say(format!("ipxe: script {}", ipxe.file));
        let http = client()?;
        let script = match fetch(&http, &ipxe.file).await {
            Ok(bytes) => String::from_utf8(bytes)?,
            Err(error) => {
                self.say(format!("ipxe: no script: {error:#}"));
                return Ok(Booted::Ignored);
            }
        };
        match Script::parse(&script, &ipxe.file)? {
            Script::Local => {
                self.say("ipxe: local disk");
                self.boot_disk().await
            }
            Script::Kernel { arguments, files } => {
                let mut site = Vec::new();
                for url in &files {
                    site = fetch(&http, url).await?;
                    self.say(format!("ipxe: loaded {url}"));
                }
                self.mini_os(&arguments, &site, how).await.map(Booted::MiniOs)
            }
        }
    }

    async fn mini_os(&self, arguments: &str, site_archive: &[u8], how: PowerOn) -> Result<Exit> {
        std::fs::write(
            self.captured.root().join("proc/cmdline"),
            format!("{arguments}\n"),
        )?;
        let mut args = BootArgs::parse(arguments)?;
        if let Some(url) = how.boot_url {
            args.boot_url = url;
        }
        self.say(format!("mini-os: {}", args.purpose));
        let ca_pem = certificate_in(site_archive)?;
        Ok(agent::session::run(agent::session::Machine {
            origin: Origin::Ticket { args, ca_pem },
            roots: Roots::under(self.captured.root()),
            duty: Duty::MiniOs { site: self.site()? },
            console: self.console.clone(),
            server_time: None,
            pace: quick(),
            cancel: CancellationToken::new(),
        })
        .await)
    }

    /// Its disk as the place of an installation.
    ///
    /// # Errors
    /// A directory cannot be made.
    pub fn site(&self) -> Result<Site> {
        let (root, esp) = (self.root(), self.dir.join("esp"));
        std::fs::create_dir_all(&esp)?;
        image_tree(&root)?;
        let roots = Roots::under(self.captured.root());
        let disks = BTreeMap::from([("vda".to_owned(), self.disk())]);
        let binary = self.dir.join("agent");
        std::fs::write(&binary, "#!/bin/false\n")?;
        Ok(Site::simulated(
            move || collect(&roots).disks,
            disks,
            root,
            esp,
            binary,
        ))
    }

    /// What the firmware does with the disk.
    async fn boot_disk(&self) -> Result<Booted> {
        if !self.root().join("etc/slipway/agent.json").exists() {
            self.say("disk: nothing to boot");
            return Ok(Booted::NoSystem);
        }
        self.say("disk: the installed system starts");
        std::fs::write(self.captured.root().join("proc/cmdline"), "root=UUID=sim ro\n")?;
        let exit = agent::resident::run(Resident {
            root: self.root(),
            roots: Roots::under(self.captured.root()),
            first_boot: FirstBoot::Pretend { exit_status: 0 },
            console: self.console.clone(),
            pace: quick(),
            cancel: CancellationToken::new(),
        })
        .await?;
        Ok(Booted::Installed(exit))
    }

    /// Powers it on again and again, as it reboots, for ever: until the future is dropped. An installed system that is
    /// content never ends.
    ///
    /// # Errors
    /// It came to something that is not a reboot.
    pub async fn live(&self, service: BootService) -> Result<()> {
        loop {
            match self.power_on(service, PowerOn::default()).await? {
                Booted::MiniOs(Exit::Reboot { .. }) | Booted::Installed(Exit::Reboot { .. }) => {}
                other => bail!(
                    "{}: {other:?}; console:\n{}",
                    self.serial,
                    self.console.lines().join("\n")
                ),
            }
        }
    }
}

/// Impatient, so that a test with a restart in it is quick.
fn quick() -> Pace {
    Pace {
        poll_wait: Duration::from_secs(5),
        retry_first: Duration::from_millis(50),
        retry_cap: Duration::from_millis(500),
        progress: Duration::from_millis(100),
        report: Duration::from_secs(24 * 3600),
    }
}

fn client() -> Result<reqwest::Client> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Plain HTTP only: the platform's certificates are not wanted, and not there on a bare machine.
    Ok(reqwest::Client::builder()
        .tls_certs_only([])
        .timeout(Duration::from_secs(60))
        .build()?)
}

async fn fetch(client: &reqwest::Client, url: &str) -> Result<Vec<u8>> {
    let response = client.get(url).send().await?.error_for_status()?;
    Ok(response.bytes().await?.to_vec())
}

/// What an iPXE script says, as far as a machine must understand it.
#[derive(Debug, PartialEq, Eq)]
enum Script {
    Local,
    Kernel { arguments: String, files: Vec<String> },
}

impl Script {
    /// `url` is where it came from: names in it are relative to that.
    fn parse(text: &str, url: &str) -> Result<Script> {
        if !text.starts_with("#!ipxe\n") {
            bail!("not an iPXE script: {:?}", text.lines().next());
        }
        let base = reqwest::Url::parse(url)?;
        let (mut arguments, mut files) = (None, Vec::new());
        for line in text.lines() {
            let line = line.split("||").next().unwrap_or_default();
            // The one option with a value that our scripts use.
            let line = line
                .replace("--name kernel ", "")
                .replace("--name initramfs ", "")
                .replace("--name site ", "");
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("kernel") => {
                    files.push(
                        base.join(words.next().context("kernel without a file")?)?
                            .to_string(),
                    );
                    arguments = Some(words.collect::<Vec<_>>().join(" "));
                }
                Some("initrd" | "module") => {
                    files.push(
                        base.join(words.next().context("initrd without a file")?)?
                            .to_string(),
                    );
                }
                Some("sanboot" | "exit") if arguments.is_none() => return Ok(Script::Local),
                _ => {}
            }
        }
        let arguments = arguments.with_context(|| format!("the script boots nothing:\n{text}"))?;
        Ok(Script::Kernel { arguments, files })
    }
}

/// The CA certificate in the site archive.
fn certificate_in(archive: &[u8]) -> Result<String> {
    let text = String::from_utf8_lossy(archive);
    let from = text
        .find("-----BEGIN CERTIFICATE-----")
        .context("no certificate in the site archive")?;
    const END: &str = "-----END CERTIFICATE-----";
    let to = from
        + text[from..]
            .find(END)
            .context("a cut certificate in the site archive")?
        + END.len();
    Ok(format!("{}\n", &text[from..to]))
}

/// What an image brings and the install steps need, in the directory that stands for the mounted root.
fn image_tree(root: &Path) -> Result<()> {
    if root.exists() {
        std::fs::remove_dir_all(root)?;
    }
    let boot = root.join("usr/lib/slipway/boot");
    for dir in [
        "etc/ssh",
        "etc/systemd/system/multi-user.target.wants",
        "etc/cron.d",
        "etc/sudoers.d",
        "home",
        "bin",
        "root",
        "boot/grub",
    ] {
        std::fs::create_dir_all(root.join(dir))?;
    }
    std::fs::create_dir_all(&boot)?;
    // A boot sector ends with its signature.
    let mut sector = vec![0u8; 512];
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    std::fs::write(boot.join("boot.img"), &sector)?;
    std::fs::write(boot.join("core.img"), vec![0x90u8; 30_000])?;
    for name in ["shimx64.efi", "grubx64.efi"] {
        std::fs::write(boot.join(name), vec![0x4d; 4096])?;
    }
    for (name, text) in [
        ("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"),
        ("etc/shadow", "root:*:19000:0:99999:7:::\n"),
        ("etc/group", "root:x:0:\nsudo:x:27:\n"),
        ("etc/gshadow", "root:*::\nsudo:*::\n"),
        ("etc/hosts", "127.0.0.1 localhost\n"),
        ("vmlinuz", "kernel"),
        ("bin/bash", "#!/bin/false\n"),
        ("initrd.img", "initrd"),
    ] {
        std::fs::write(root.join(name), text)?;
    }
    Ok(())
}
