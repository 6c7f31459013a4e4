//! The commands for people. They call a running server's API or work on local files.
//!
//! `main.rs` flattens [`Command`] into its own subcommands, reads the environment into [`CliEnv`] and exits
//! with the code that [`run`] returns.

pub mod check;
mod conflict;
mod delivery;
mod error;
mod find;
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

/// Settings from SLIPWAY_URL, SLIPWAY_TOKEN and SLIPWAY_CA; only `main.rs` reads the environment.
pub use inventory_client::Server as CliEnv;

/// A command for people.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Tell what a serial number, asset tag, MAC or id stands for: a machine, a rack place or a part
    Find(find::FindArgs),
    /// List, inspect and operate machines
    Machine(Asked<MachineCommand>),
    /// Install a machine: make a plan, show it, then start
    Deploy(DeployArgs),
    /// List, build, import and verify images
    Image(Asked<ImageCommand>),
    /// Build and sign the mini-os, which runs in memory
    MiniOs(Asked<MiniOsCommand>),
    /// Show how far a machine got in its network boot, and what to check
    Explain(ExplainArgs),
    /// Create the password that opens the rescue system at a machine's console
    Rescue(RescueArgs),
    /// Show which loaders worked on which NICs, by model, or forget it
    Loaders(loaders::LoadersArgs),
    /// Provisioning networks: other DHCP servers, addresses in use, reservations
    Network(network::NetworkArgs),
    /// Import a file of orders, hardware profiles or racks, all or nothing
    Import(delivery::ImportArgs),
    /// Orders: what was received, what passes its check, what is missing
    Order(Asked<delivery::OrderCommand>),
    /// Racks: which machine is in which place
    Rack(Asked<delivery::RackCommand>),
    /// Hardware profiles: what one machine of a kind must have
    Profile(Asked<check::ProfileCommand>),
    /// Parts with a serial number: where each has been
    Part(Asked<delivery::PartCommand>),
    /// Check an asset report against a hardware profile, without a server
    Check(check::CheckArgs),
}

/// Options common to all commands.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// Output format
    #[arg(long, short, value_enum, default_value_t, global = true)]
    pub output: Output,
    /// Address of the server [environment: SLIPWAY_URL]
    #[arg(long, value_name = "URL", global = true)]
    pub url: Option<String>,
    /// Certificate authority of the server, PEM; no other is trusted [environment: SLIPWAY_CA]
    #[arg(long, value_name = "FILE", global = true)]
    pub ca: Option<PathBuf>,
}

impl Common {
    /// The API client. Options override the environment.
    fn client(&self, env: CliEnv) -> Result<Client, CliError> {
        Ok(Client::new(Server {
            url: self.url.clone().or(env.url),
            token: env.token,
            ca: self.ca.clone().or(env.ca),
        })?)
    }
}

/// A command that has subcommands.
#[derive(Debug, Args)]
pub struct Asked<C: Subcommand> {
    /// Options common to all commands.
    #[command(flatten)]
    pub common: Common,
    /// The subcommand.
    #[command(subcommand)]
    pub command: C,
}

/// Output format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    #[default]
    Text,
    /// The API's JSON, for programs
    Json,
}

/// `slipway machine`. MACHINE is an id, a MAC, a serial number or an asset tag.
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
    /// Show the history of a machine: the newest 200 rows
    History {
        /// Id, MAC, serial number or asset tag
        machine: String,
        /// Show the rows before this one
        #[arg(long, value_name = "ROW")]
        before: Option<i64>,
    },
    /// Check the hardware against its hardware profile and rack place
    Commission(Which),
    /// Install a machine: make a plan, show it, then start
    Deploy(Order),
    /// Wipe what a deployment wrote and make the machine ready again
    Release(Confirmed),
    /// Take a machine out of service for good
    Retire(Confirmed),
    /// Retry what failed
    Retry(Which),
    /// Abort what is in progress
    Abort(Which),
    /// Let a machine boot whose boot script is held because no DHCP request of its firmware was heard
    Admit(Which),
    /// Delete everything stored about a machine that is retired or whose agent was never heard
    Forget(Confirmed),
    /// Compare two machines that claim one identity, and decide which it is
    Conflict(ConflictArgs),
    /// Ask the agent for a new report and check it; a deployed machine is not disturbed
    Recheck(Which),
    /// Switch on the locate LED
    Identify {
        /// Id, MAC, serial number or asset tag
        machine: String,
        /// Seconds to keep it on, at most 255; 0 switches it off
        #[arg(long, default_value_t = 60)]
        seconds: u8,
    },
    /// Load CPU, memory and disks (read only) of a machine in the mini-os and watch its health
    BurnIn {
        /// Id, MAC, serial number or asset tag
        machine: String,
        /// Seconds of full load on all CPUs; 0 skips this part
        #[arg(long, default_value_t = 300)]
        cpu: u32,
        /// Seconds of writing and reading memory, at least one pass; 0 skips this part
        #[arg(long, default_value_t = 300)]
        memory: u32,
        /// Seconds of reading each disk, all at once; 0 skips this part
        #[arg(long, default_value_t = 120)]
        disk: u32,
        /// Fail above this temperature, degrees Celsius
        #[arg(long, value_name = "C")]
        max_temperature: Option<f64>,
        /// Fail if a disk reads more slowly than this, MB/s
        #[arg(long, value_name = "MB/S")]
        min_disk_speed: Option<f64>,
    },
    /// Note that a fault is repaired, then check again
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
    /// Id, MAC, serial number or asset tag
    pub machine: String,
}

/// One machine, for commands that lose data and ask first.
#[derive(Debug, Args)]
pub struct Confirmed {
    /// Id, MAC, serial number or asset tag
    pub machine: String,
    /// Do not ask for confirmation, although data may be lost
    #[arg(long)]
    pub yes: bool,
}

/// `slipway deploy`.
#[derive(Debug, Args)]
pub struct DeployArgs {
    /// Options common to all commands.
    #[command(flatten)]
    pub common: Common,
    /// The machine and what to deploy on it.
    #[command(flatten)]
    pub order: Order,
}

/// The machine and either a profile or a request.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["profile", "request"]))]
pub struct Order {
    /// Id, MAC, serial number or asset tag
    pub machine: String,
    /// Name of a deployment profile in the server's configuration
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

/// `slipway image`.
#[derive(Clone, Debug, Subcommand)]
pub enum ImageCommand {
    /// List the images the server can install
    List,
    /// Build an image from a recipe on this host (needs root)
    Build {
        /// The recipe
        #[arg(value_name = "RECIPE.toml")]
        recipe: PathBuf,
        /// Image directory of the server
        #[arg(long, default_value_os_t = local::images_dir())]
        dir: PathBuf,
        /// Directory where downloaded packages are cached
        #[arg(long, default_value = "/var/cache/slipway")]
        cache: PathBuf,
    },
    /// Import an ext4 root file system that was made elsewhere
    Import {
        /// The file system image, raw or compressed with zstd
        file: PathBuf,
        /// Name: a-z, 0-9, '-'
        #[arg(long)]
        name: String,
        /// Version: a-z, 0-9, '-', '.'
        #[arg(long = "image-version", value_name = "VERSION")]
        version: String,
        /// Operating system in words; default: from its os-release
        #[arg(long)]
        os: Option<String>,
        /// The image holds secrets: serve it only to machines with a certificate
        #[arg(long)]
        private: bool,
        /// Image directory of the server
        #[arg(long, default_value_os_t = local::images_dir())]
        dir: PathBuf,
    },
    /// Read every byte of one image, or of all, and compare with the manifest
    Verify {
        /// NAME or NAME@VERSION; default: all
        image: Option<String>,
        /// Image directory of the server
        #[arg(long, default_value_os_t = local::images_dir())]
        dir: PathBuf,
    },
}

/// `slipway mini-os`.
#[derive(Clone, Debug, Subcommand)]
pub enum MiniOsCommand {
    /// Build kernel and initramfs from Debian packages and the agent
    Build(BuildMiniOs),
    /// Sign the mini-os and its loaders with the site's own key, for Secure Boot machines that trust it
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
    /// Certificate of that key, PEM, as enrolled in the machines' firmware
    #[arg(long, value_name = "FILE")]
    pub cert: PathBuf,
}

/// `slipway mini-os build`.
#[derive(Clone, Debug, Args)]
pub struct BuildMiniOs {
    /// Architecture of the machines; arm64 goes into the directory `arm64` below --out
    #[arg(long, default_value = "amd64", value_parser = ["amd64", "arm64"])]
    pub arch: String,
    /// Drivers: full has all for servers, small what virtual machines need
    #[arg(long, default_value = "full", value_parser = ["full", "small"])]
    pub variant: String,
    /// A statically linked slipway-agent
    #[arg(long, value_name = "FILE")]
    pub agent: PathBuf,
    /// Output directory for kernel, initramfs and manifest.json
    #[arg(long, value_name = "DIR", default_value = "/var/lib/slipway/mini-os")]
    pub out: PathBuf,
    /// Directory where downloaded packages are cached
    #[arg(long, value_name = "DIR", default_value = "/var/cache/slipway")]
    pub cache: PathBuf,
}

/// `slipway rescue`.
#[derive(Debug, Args)]
pub struct RescueArgs {
    /// Options common to all commands.
    #[command(flatten)]
    pub common: Common,
    /// The machine.
    #[command(flatten)]
    pub which: Which,
}

/// Parses a MAC or an InfiniBand GUID; the error is the MAC's.
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
    /// Options common to all commands.
    #[command(flatten)]
    pub common: Common,
    /// MAC of the boot NIC, e.g. 52:54:00:12:34:56, or GUID of an InfiniBand port
    #[arg(value_name = "MAC", value_parser = nic)]
    pub nic: String,
    /// Forget which loaders worked or failed on it; its next boot starts with the first loader
    #[arg(long)]
    pub forget_loader: bool,
}

fn now() -> UnixMs {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    UnixMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Runs a command: answers go to standard output, errors to standard error. Returns the exit code: 0 done, 1
/// refused or failed (a failed check too), 2 wrong usage ([`CliError::exit_code`]).
pub async fn run(command: Command, env: CliEnv) -> u8 {
    match execute(command, env).await {
        Ok(text) => {
            use std::io::Write as _;
            // Ignore a closed pipe (`slipway machine list | head -1`).
            let _ = std::io::stdout().lock().write_all(text.as_bytes());
            0
        }
        // The requested answer, not an error: it goes to standard output too.
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

/// Runs a command and returns its answer.
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
        Command::Find(args) => find::run(args, env).await,
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
    /// The request body for the API; reads the request file.
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
