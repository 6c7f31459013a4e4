//! Other people's servers, measured beside ours in the same run: unpacked from Debian's packages and not
//! installed (tftpd-hpa and atftpd conflict, and installing starts them).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use e2e::child::Owned;
use e2e::netns::{NetNs, ip};
use e2e::{Lab, artefacts, wait};

/// The address the servers use.
pub const ADDRESS: &str = "10.77.0.1";

/// Programs from packages.
pub struct Rivals {
    directory: tempfile::TempDir,
}

impl Rivals {
    /// Downloads and unpacks these packages.
    pub fn unpack(packages: &[&str]) -> Result<Rivals> {
        let directory = tempfile::tempdir()?;
        run(Command::new("apt-get")
            .args(["-qq", "-o", "APT::Sandbox::User=root", "download"])
            .args(packages)
            .current_dir(&directory))?;
        for package in std::fs::read_dir(&directory)? {
            run(Command::new("dpkg-deb")
                .arg("-x")
                .arg(package?.path())
                .arg(directory.path().join("root")))?;
        }
        Ok(Rivals { directory })
    }

    /// nginx with sendfile, serving a directory; its own files are beside its program.
    pub fn nginx(&self, files: &Path, address: &str, port: u16) -> Result<Owned> {
        let directory = self.directory.path().join(format!("nginx-{port}"));
        std::fs::create_dir_all(&directory)?;
        let place = directory.display();
        let configuration = directory.join("nginx.conf");
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {place}/{kind};"))
            .concat();
        std::fs::write(
            &configuration,
            format!(
                "user root; daemon off; worker_processes auto; pid {place}/pid; error_log {place}/error;\n\
                 events {{ worker_connections 1024; }}\n\
                 http {{ sendfile on; tcp_nopush on; access_log off; {temporary}\n\
                 server {{ listen {address}:{port}; root {}; }} }}\n",
                files.display()
            ),
        )?;
        let mut nginx = self.program("usr/sbin/nginx");
        nginx
            .arg("-c")
            .arg(&configuration)
            .arg("-e")
            .arg(directory.join("error"));
        started(nginx, "tcp", port, &directory.join("log"))
    }

    /// The path of one of their programs.
    pub fn program(&self, path: &str) -> Command {
        let root = self.directory.path().join("root");
        let mut command = Command::new(root.join(path));
        let libraries =
            ["usr/lib", "lib"].map(|lib| root.join(lib).join("x86_64-linux-gnu").display().to_string());
        command.env("LD_LIBRARY_PATH", libraries.join(":"));
        command
    }
}

fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("running {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A lab with a server side, in which the calling thread is, and a client with a cable to it.
pub struct Bench {
    // Kept because its drop brings the thread back.
    _lab: Lab,
    /// The client's side.
    pub client: NetNs,
    /// Files of random bytes.
    pub files: PathBuf,
    _directory: tempfile::TempDir,
}

impl Bench {
    /// Makes it with files of these names and sizes.
    pub fn new(files: &[(&str, usize)]) -> Result<Bench> {
        let lab = Lab::enter()?;
        let client = lab.client("02:00:00:00:99:01")?;
        client.run(|| ip("addr add 10.77.0.99/24 dev eth0").map(drop))?;
        let directory = artefacts::run_directory("bench-files")?;
        let path = directory.path().to_owned();
        for (name, bytes) in files {
            std::fs::write(path.join(name), e2e::sim::rig::bytes_of(7, *bytes))?;
        }
        Ok(Bench {
            _lab: lab,
            client,
            files: path,
            _directory: directory,
        })
    }

    /// Starts a server and waits until it listens on the port.
    pub fn server(&self, command: Command, protocol: &str, port: u16) -> Result<Owned> {
        started(command, protocol, port, &self.files.with_extension("log"))
    }

    /// Ends a server that has child processes, and waits until the port is free.
    pub fn end(&self, server: Owned) -> Result<()> {
        end(server)
    }
}

/// Ends a server that has child processes, and waits until it has exited.
pub fn end(mut server: Owned) -> Result<()> {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(server.id())?);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
    let ended = || server.ended();
    wait::until_blocking("a server to end", Duration::from_secs(10), ended).map(drop)
}

/// Starts a server in this thread's namespace and waits until it listens on the port.
pub fn started(command: Command, protocol: &str, port: u16, log: &Path) -> Result<Owned> {
    let name = format!("{command:?}");
    let child = Owned::start(command, log)?;
    let wanted = format!(":{port:04X} 00000000:0000");
    let listens = || {
        let sockets = std::fs::read_to_string(format!("/proc/thread-self/net/{protocol}"))?;
        Ok(sockets.contains(&wanted).then_some(()))
    };
    wait::until_blocking(&format!("{name} to listen"), Duration::from_secs(10), listens)
        .with_context(|| std::fs::read_to_string(log).unwrap_or_default())?;
    Ok(child)
}

/// A process's current and highest resident memory, MiB.
pub fn memory(pid: u32) -> Result<(f64, f64)> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let mib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim()
            .strip_suffix(" kB")?
            .parse::<f64>()
            .ok()
            .map(|kib| kib / 1024.0)
    };
    mib("VmRSS:")
        .zip(mib("VmHWM:"))
        .context("no memory in /proc/PID/status")
}

/// Slipway as shipped: the release build of `slipway serve`, with the least configuration possible. It serves
/// `kernel` and `initramfs` in `files` by TFTP and HTTP. Data and configuration go to `directory`, which is
/// emptied first.
pub fn slipway(
    directory: &Path,
    address: &str,
    subnet: &str,
    pool: [&str; 2],
    files: &Path,
) -> Result<Command> {
    let program = PathBuf::from(std::env::var_os("SLIPWAY_RELEASE").unwrap_or_default());
    if !program.is_file() {
        bail!("SLIPWAY_RELEASE does not name the release build of slipway: run `make bench`");
    }
    if directory.exists() {
        std::fs::remove_dir_all(directory)?;
    }
    std::fs::create_dir_all(directory)?;
    let configuration = directory.join("slipway.toml");
    let [first, last] = pool;
    std::fs::write(
        &configuration,
        format!(
            "data_dir = \"data\"\n[mini_os]\ndir = {files:?}\n\
             [[network]]\nname = \"bench\"\nserver = \"{address}\"\nsubnet = \"{subnet}\"\nmode = \"server\"\n\
             pools = [{{ first = \"{first}\", last = \"{last}\" }}]\n"
        ),
    )?;
    let mut command = Command::new(program);
    command.arg("serve").arg("--config").arg(configuration);
    Ok(command)
}

/// The TFTP load generator, an optimised build.
pub fn tftp_load() -> Result<PathBuf> {
    let directory = std::env::var("SLIPWAY_BOOT_EXAMPLES").unwrap_or_default();
    let file = Path::new(&directory).join("tftp_load");
    if !file.is_file() {
        bail!("SLIPWAY_BOOT_EXAMPLES has no tftp_load: run `make bench`");
    }
    Ok(file)
}

/// Which cores server and client run on. It determines the rate of a single client, whatever the server:
/// handing a packet over on one core wakes up no other core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cores {
    /// The kernel's choice.
    Any,
    /// Both on the first.
    Same,
    /// The server on the first, the client on the second.
    Apart,
}

impl Cores {
    /// Binds a server to its core.
    pub fn server(self, command: Command) -> Command {
        match self {
            Cores::Any => command,
            Cores::Same | Cores::Apart => pinned(command, 0),
        }
    }

    /// Binds a client to its core.
    pub fn client(self, command: Command) -> Command {
        match self {
            Cores::Any => command,
            Cores::Same => pinned(command, 0),
            Cores::Apart => pinned(command, 1),
        }
    }

    /// As the table shows it.
    pub fn name(self) -> &'static str {
        match self {
            Cores::Any => "",
            Cores::Same => ", on the server's core",
            Cores::Apart => ", on another core",
        }
    }
}

/// A command whose process and all its threads stay on one core.
fn pinned(mut command: Command, core: usize) -> Command {
    use std::os::unix::process::CommandExt;
    // SAFETY: sched_setaffinity gets a set on the stack and is allowed between fork and exec.
    unsafe {
        command.pre_exec(move || {
            let mut set = nix::sched::CpuSet::new();
            set.set(core)?;
            nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &set)?;
            Ok(())
        });
    }
    command
}

/// Median of three or more.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
