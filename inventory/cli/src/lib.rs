//! The commands for people: they speak to a running server over its API, or work on local files.
//!
//! `main.rs` parses [`Command`] as a part of its own, reads the environment into [`CliEnv`] and ends the process with
//! what [`run`] returns: 0 done, 1 refused or failed, 2 the question itself was wrong.

pub mod check;
mod conflict;
mod delivery;
mod error;
mod loaders;
mod local;
mod machine;
mod network;
mod render;
mod table;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::SystemTime;

use clap::{Args, Subcommand, ValueEnum};
use inventory_api::deploy::DeployRequest;
use inventory_api::machine::DeployOrder;
use inventory_api::{Mac, UnixMs};
use inventory_client::{Client, Server};

pub use conflict::ConflictArgs;
pub use error::CliError;
pub use table::Table;

/// What the environment says; only `main.rs` reads it: SLIPWAY_URL, SLIPWAY_TOKEN and SLIPWAY_CA.
pub use inventory_client::Server as CliEnv;

/// A command for people.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List machines, look at one, and tell them what to do
    Machine(Asked<MachineCommand>),
    /// Install a machine: plan, show, go
    Deploy(DeployArgs),
    /// List, build, import and verify images
    Image(Asked<ImageCommand>),
    /// Make the operating system that lives in memory
    MiniOs(Asked<MiniOsCommand>),
    /// Say how far a machine came in its network boot, and what to look at
    Explain(ExplainArgs),
    /// Make the password that opens the rescue system at a machine's console
    Rescue(RescueArgs),
    /// Which loaders worked on which NICs, by model; forget it
    Loaders(loaders::LoadersArgs),
    /// Provisioning networks: other DHCP servers, addresses in use, reservations
    Network(network::NetworkArgs),
    /// Take in a file of orders, hardware profiles or racks, whole or not at all
    Import(delivery::ImportArgs),
    /// Orders: what was received, what is as ordered, what is missing
    Order(Asked<delivery::OrderCommand>),
    /// Racks: what stands where
    Rack(Asked<delivery::RackCommand>),
    /// Hardware profiles: what one machine of a kind must have
    Profile(Asked<check::ProfileCommand>),
    /// Parts: the life of each that has a serial number
    Part(Asked<delivery::PartCommand>),
    /// Check an asset report against a hardware profile, without a server
    Check(check::CheckArgs),
}

/// What every command takes.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// How to answer
    #[arg(long, short, value_enum, default_value_t, global = true)]
    pub output: Output,
    /// Address of the server [environment: SLIPWAY_URL]
    #[arg(long, value_name = "URL", global = true)]
    pub url: Option<String>,
    /// Certificate authority of the server, PEM; nothing else is trusted [environment: SLIPWAY_CA]
    #[arg(long, value_name = "FILE", global = true)]
    pub ca: Option<PathBuf>,
}

impl Common {
    /// The server's client. Options win over the environment.
    fn client(&self, env: CliEnv) -> Result<Client, CliError> {
        Ok(Client::new(Server {
            url: self.url.clone().or(env.url),
            token: env.token,
            ca: self.ca.clone().or(env.ca),
        })?)
    }
}

/// What is asked of a thing that several things can be asked of.
#[derive(Debug, Args)]
pub struct Asked<C: Subcommand> {
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub command: C,
}

/// Form of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    #[default]
    Text,
    /// The API's JSON, for programs
    Json,
}

/// What can be done with machines. MACHINE is an id, a MAC or a serial number.
#[derive(Debug, Subcommand)]
pub enum MachineCommand {
    /// List the machines
    List {
        /// Only machines in this state (new, commissioning, ready, deploying, deployed, failed, ...)
        #[arg(long)]
        state: Option<String>,
    },
    /// Show one machine: state, verdict, hardware, plan, verification
    Show(Which),
    /// Show what happened to a machine: the newest 200 rows
    History {
        /// Id, MAC, serial number or asset tag
        machine: String,
        /// The rows before this one
        #[arg(long, value_name = "ROW")]
        before: Option<i64>,
    },
    /// Check the hardware against what is expected
    Commission(Which),
    /// Install a machine: plan, show, go
    Deploy(Order),
    /// Wipe the disk of a machine and make it ready again
    Release(Confirmed),
    /// Take a machine out of service
    Retire(Confirmed),
    /// Try again what failed
    Retry(Which),
    /// Stop what is going on
    Abort(Which),
    /// Let a machine boot whose boot script is held because its firmware was not heard by DHCP
    Admit(Which),
    /// Delete all that is kept of a machine that is retired or never got further than its first boot
    Forget(Confirmed),
    /// Show two machines that claim one identity side by side, and say which it is
    Conflict(ConflictArgs),
    /// Have the agent report again and check it; a deployed machine is not disturbed
    Recheck(Which),
    /// Switch on the locate LED
    Identify {
        /// Id, MAC, serial number or asset tag
        machine: String,
        /// For how many seconds, at most 255; 0 switches it off
        #[arg(long, default_value_t = 60)]
        seconds: u8,
    },
    /// Load CPU, memory and disks (reading only) of a machine in the mini-os and watch it
    BurnIn {
        /// Id, MAC, serial number or asset tag
        machine: String,
        /// Seconds of load on every processor
        #[arg(long, default_value_t = 300)]
        cpu: u32,
        /// Seconds of writing and reading memory
        #[arg(long, default_value_t = 300)]
        memory: u32,
        /// Seconds of reading each disk
        #[arg(long, default_value_t = 120)]
        disk: u32,
        /// Fail above this temperature, degrees Celsius
        #[arg(long, value_name = "C")]
        max_temperature: Option<f64>,
        /// Fail below this speed of reading a disk, MB/s
        #[arg(long, value_name = "MB/S")]
        min_disk_speed: Option<f64>,
    },
    /// Leave a note that a fault is put right, then check again
    Fixed {
        /// Id, MAC, serial number or asset tag
        machine: String,
        /// What was done
        text: String,
    },
}

/// One machine.
#[derive(Debug, Args)]
pub struct Which {
    /// Id, MAC or serial number
    pub machine: String,
}

/// One machine, and a yes where something is lost.
#[derive(Debug, Args)]
pub struct Confirmed {
    /// Id, MAC or serial number
    pub machine: String,
    /// Do not ask: what the machine holds may be lost
    #[arg(long)]
    pub yes: bool,
}

/// `slipway deploy`.
#[derive(Debug, Args)]
pub struct DeployArgs {
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
    /// What to deploy.
    #[command(flatten)]
    pub order: Order,
}

/// A deployment: of which machine, and what.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["profile", "request"]))]
pub struct Order {
    /// Id, MAC or serial number
    pub machine: String,
    /// A profile of the server's configuration
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// A deploy request as TOML
    #[arg(long, value_name = "FILE.toml")]
    pub request: Option<PathBuf>,
    /// Show the plan and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask before the disk is erased
    #[arg(long)]
    pub yes: bool,
}

/// What can be done with images.
#[derive(Clone, Debug, Subcommand)]
pub enum ImageCommand {
    /// List the images the server can install
    List,
    /// Build an image from a recipe on this host (needs root)
    Build {
        /// The recipe
        #[arg(value_name = "RECIPE.toml")]
        recipe: PathBuf,
        /// Where images are kept: the server's directory
        #[arg(long, default_value_os_t = local::images_dir())]
        dir: PathBuf,
        /// Where downloaded packages are kept
        #[arg(long, default_value = "/var/cache/slipway")]
        cache: PathBuf,
    },
    /// Take in an ext4 root file system that was made elsewhere
    Import {
        /// The file system image, raw or compressed with zstd
        file: PathBuf,
        /// Name: a-z, 0-9, '-'
        #[arg(long)]
        name: String,
        /// Version: a-z, 0-9, '-', '.'
        #[arg(long = "image-version", value_name = "VERSION")]
        version: String,
        /// Operating system in words; absent: what its os-release says
        #[arg(long)]
        os: Option<String>,
        /// It holds secrets: serve it to machines with a certificate only
        #[arg(long)]
        private: bool,
        /// Where images are kept: the server's directory
        #[arg(long, default_value_os_t = local::images_dir())]
        dir: PathBuf,
    },
    /// Read every byte of one image or all, and compare with the manifest
    Verify {
        /// NAME or NAME@VERSION; absent: all
        image: Option<String>,
        /// Where images are kept: the server's directory
        #[arg(long, default_value_os_t = local::images_dir())]
        dir: PathBuf,
    },
}

/// What can be done with the mini-os.
#[derive(Clone, Debug, Subcommand)]
pub enum MiniOsCommand {
    /// Make kernel and initramfs from Debian's packages and the agent
    Build(BuildMiniOs),
    /// Sign it and its loaders with the site's own key, for machines with Secure Boot that trust that key
    Sign(SignMiniOs),
}

/// `slipway mini-os sign`.
#[derive(Clone, Debug, Args)]
pub struct SignMiniOs {
    /// Configuration file of the server
    #[arg(long, default_value = "/etc/slipway/slipway.toml")]
    pub config: PathBuf,
    /// Private key, PEM, without a passphrase
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// Its certificate, PEM: the one that is enrolled in the machines' firmware
    #[arg(long, value_name = "FILE")]
    pub cert: PathBuf,
}

/// `slipway mini-os build`.
#[derive(Clone, Debug, Args)]
pub struct BuildMiniOs {
    /// For which machines; that of arm64 goes into a directory `arm64` below --out
    #[arg(long, default_value = "amd64", value_parser = ["amd64", "arm64"])]
    pub arch: String,
    /// How much is in it: every server driver, or what virtual machines need
    #[arg(long, default_value = "full", value_parser = ["full", "small"])]
    pub variant: String,
    /// The agent: a static slipway-agent
    #[arg(long, value_name = "FILE")]
    pub agent: PathBuf,
    /// Where kernel, initramfs and manifest.json go
    #[arg(long, value_name = "DIR", default_value = "/var/lib/slipway/mini-os")]
    pub out: PathBuf,
    /// Where downloaded packages are kept
    #[arg(long, value_name = "DIR", default_value = "/var/cache/slipway")]
    pub cache: PathBuf,
}

/// `slipway rescue`.
#[derive(Debug, Args)]
pub struct RescueArgs {
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
    /// The machine.
    #[command(flatten)]
    pub which: Which,
}

/// A MAC or a GUID as it is asked about.
fn nic(text: &str) -> Result<String, String> {
    let mac = text.parse::<Mac>().map(|mac| mac.to_string());
    mac.or_else(|error| {
        let guid = text.parse::<inventory_api::Guid>();
        guid.map(|guid| guid.to_string()).map_err(|_| error.to_string())
    })
}

/// `slipway explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
    /// MAC of the NIC that boots, e.g. 52:54:00:12:34:56, or GUID of an InfiniBand port
    #[arg(value_name = "MAC", value_parser = nic)]
    pub nic: String,
    /// Forget which loaders failed on it: its next boot begins with the first loader again
    #[arg(long)]
    pub forget_loader: bool,
}

fn now() -> UnixMs {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    UnixMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Runs a command: answers go to standard output, errors to standard error. Returns the exit code: 0 done, 1 refused
/// or failed, 2 the question itself was wrong.
pub async fn run(command: Command, env: CliEnv) -> u8 {
    match execute(command, env).await {
        Ok(text) => {
            use std::io::Write as _;
            // A closed pipe (`slipway machine list | head -1`) is no error worth a word.
            let _ = std::io::stdout().lock().write_all(text.as_bytes());
            0
        }
        // The answer that a program asked for, and no error of the command.
        Err(CliError::Verdict(text)) => {
            use std::io::Write as _;
            let _ = std::io::stdout().lock().write_all(text.as_bytes());
            1
        }
        Err(error) => {
            eprintln!("slipway: {error}");
            error.exit_code()
        }
    }
}

/// Runs a command and returns what it has to say.
///
/// # Errors
/// What was tried, on what, and what to do; see [`CliError`].
pub async fn execute(command: Command, env: CliEnv) -> Result<String, CliError> {
    match command {
        Command::Machine(args) => machine::run(args.command, &args.common, env).await,
        Command::Deploy(args) => machine::deploy(args.order, &args.common, env).await,
        Command::Image(args) if matches!(args.command, ImageCommand::List) => {
            let images: Vec<inventory_api::image::ImageManifest> =
                args.common.client(env)?.list("/v1/images").await?;
            render::answer(args.common.output, &images, |images| render::images(images))
        }
        Command::Image(args) => {
            local::blocking(move || local::image(&args.command, args.common.output)).await
        }
        Command::Rescue(args) => {
            let client = args.common.client(env)?;
            let path = machine::path(&args.which.machine, "/rescue")?;
            let made: inventory_api::rescue::RescuePassword = client.post(&path, None::<&()>).await?;
            render::answer(args.common.output, &made, render::rescue)
        }
        Command::Loaders(args) => loaders::run(args, env).await,
        Command::Network(args) => network::run(args, env).await,
        Command::Import(args) => delivery::import(args, env).await,
        Command::Order(args) => delivery::order(args, env).await,
        Command::Rack(args) => delivery::rack(args, env).await,
        Command::Part(args) => delivery::part(args, env).await,
        Command::MiniOs(args) => {
            local::blocking(move || match args.command {
                MiniOsCommand::Build(build) => local::mini_os(&build, args.common.output),
                MiniOsCommand::Sign(_) => Err(CliError::usage("mini-os sign is for main")),
            })
            .await
        }
        Command::Profile(args) if matches!(args.command, check::ProfileCommand::FromReport { .. }) => {
            local::blocking(move || check::profile(&args)).await
        }
        Command::Profile(args) => delivery::profile(args, env).await,
        Command::Check(args) => local::blocking(move || check::check(&args)).await,
        Command::Explain(args) => {
            let client = args.common.client(env)?;
            let journey: inventory_api::machine::Journey = if args.forget_loader {
                client.delete(&format!("/v1/journey/{}/loader", args.nic)).await?
            } else {
                client.get(&format!("/v1/journey/{}", args.nic)).await?
            };
            render::answer(args.common.output, &journey, render::journey)
        }
    }
}

impl Order {
    /// The order as the API takes it; reads the request file.
    fn order(&self) -> Result<DeployOrder, CliError> {
        let Some(path) = &self.request else {
            let profile = self.profile.clone().unwrap_or_default();
            return Ok(DeployOrder::Profile { profile });
        };
        let text = std::fs::read_to_string(path)
            .map_err(|e| CliError::usage(format!("the request {} cannot be read: {e}", path.display())))?;
        let request: DeployRequest = toml::from_str(&text)
            .map_err(|e| CliError::usage(format!("the request {} is wrong:\n{e}", path.display())))?;
        Ok(DeployOrder::Request(Box::new(request)))
    }
}
