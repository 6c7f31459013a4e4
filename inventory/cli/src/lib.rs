//! The commands for people. They call a running server's API or work on local files.
//!
//! `main.rs` flattens [`Command`] into its own subcommands, reads the environment into [`CliEnv`] and exits
//! with the code that [`run`] returns.

mod check;
mod conflict;
mod delivery;
mod error;
mod file;
mod find;
mod hardware_profile;
mod loaders;
mod local;
mod machine;
mod network;
mod render;
mod table;
#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::path::PathBuf;
use std::time::SystemTime;

use clap::{Args, Subcommand, ValueEnum};
use inventory_api::{Guid, Mac, UnixMs, routes};
use inventory_client::{Client, Server};
use serde::Serialize;

pub use error::CliError;
pub use local::{MiniOsCommand, SignMiniOs};
pub use table::Table;

use local::ImageCommand;
use machine::{DeployArgs, MachineCommand, Which};

/// Settings from SLIPWAY_URL, SLIPWAY_TOKEN and SLIPWAY_CA; only `main.rs` reads the environment.
pub use inventory_client::Server as CliEnv;

/// A command for people.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Tell what a serial number, asset tag, MAC or id stands for: a machine, a rack place or a part
    Find(With<find::FindArgs>),
    /// List, inspect and operate machines
    Machine(Asked<MachineCommand>),
    /// Install a machine: make a plan, show it, then start
    Deploy(With<DeployArgs>),
    /// List, build, import and verify images
    Image(Asked<ImageCommand>),
    /// Build and sign the mini-os, which runs in memory
    MiniOs(Asked<MiniOsCommand>),
    /// Show how far a machine got in its network boot, and what to check
    Explain(With<ExplainArgs>),
    /// Create the password that opens the rescue system at a machine's console
    Rescue(With<Which>),
    /// Show which loaders worked on which NICs, by model, or forget it
    Loaders(With<loaders::LoadersArgs>),
    /// Provisioning networks: other DHCP servers, addresses in use, reservations
    Network(With<network::NetworkArgs>),
    /// Import a file of purchase orders, hardware profiles or racks, all or nothing
    Import(With<delivery::ImportArgs>),
    /// Purchase orders: what was received, what passes its check, what is missing
    Order(Asked<delivery::OrderCommand>),
    /// Racks: which machine is in which place
    Rack(Asked<delivery::RackCommand>),
    /// Hardware profiles: what one machine of a kind must have
    #[command(alias = "profile")]
    HardwareProfile(Asked<hardware_profile::HardwareProfileCommand>),
    /// Parts with a serial number: where each has been
    Part(Asked<delivery::PartCommand>),
    /// Check an asset report against a hardware profile, without a server
    #[command(after_help = "Exit status: 0 pass or warn, 1 fail, 2 a file is wrong.")]
    Check(With<check::CheckArgs>),
}

/// Options common to all commands.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// Output format
    #[arg(long, short, value_enum, default_value_t, global = true)]
    output: Output,
    /// Address of the server [environment: SLIPWAY_URL]
    #[arg(long, value_name = "URL", global = true)]
    url: Option<String>,
    /// Certificate authority of the server, PEM; no other is trusted [environment: SLIPWAY_CA]
    #[arg(long, value_name = "FILE", global = true)]
    ca: Option<PathBuf>,
}

/// A command that has subcommands.
#[derive(Debug, Args)]
pub struct Asked<C: Subcommand> {
    #[command(flatten)]
    common: Common,
    /// The subcommand.
    #[command(subcommand)]
    pub command: C,
}

/// A command that has none.
#[derive(Debug, Args)]
pub struct With<A: Args> {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    args: A,
}

/// A server, and the format in which its answers are printed.
struct Remote {
    client: Client,
    output: Output,
}

impl Common {
    /// Options override the environment.
    fn remote(self, env: CliEnv) -> Result<Remote, CliError> {
        let client = Client::new(Server {
            url: self.url.or(env.url),
            token: env.token,
            ca: self.ca.or(env.ca),
        })?;
        Ok(Remote {
            client,
            output: self.output,
        })
    }
}

impl Remote {
    fn answer<T: Serialize>(&self, value: &T, text: impl FnOnce(&T) -> String) -> Result<String, CliError> {
        self.output.answer(value, text)
    }
}

/// Output format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    #[default]
    Text,
    /// The API's JSON, for programs
    Json,
}

impl Output {
    /// The answer in this format.
    fn answer<T: Serialize>(self, value: &T, text: impl FnOnce(&T) -> String) -> Result<String, CliError> {
        match self {
            Output::Text => Ok(text(value)),
            Output::Json => serde_json::to_string_pretty(value)
                .map(|json| json + "\n")
                .map_err(|e| CliError::failed(format!("the answer cannot be written as JSON: {e}"))),
        }
    }
}

/// Parses a MAC or an InfiniBand GUID; the error is the MAC's.
fn nic(text: &str) -> Result<String, String> {
    let mac = text.parse::<Mac>().map(|mac| mac.to_string());
    mac.or_else(|error| {
        let guid = text.parse::<Guid>();
        guid.map(|guid| guid.to_string()).map_err(|_| error.to_string())
    })
}

/// `slipway explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// MAC of the boot NIC, e.g. 52:54:00:12:34:56, or GUID of an InfiniBand port
    #[arg(value_name = "MAC", value_parser = nic)]
    nic: String,
    /// Forget which loaders worked or failed on it; its next boot starts with the first loader
    #[arg(long)]
    forget_loader: bool,
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
    let (text, code) = match execute(command, env).await {
        Ok(text) => (text, 0),
        // The requested answer, not an error: it goes to standard output too.
        Err(CliError::Verdict(text)) => (text, 1),
        Err(error) => {
            eprintln!("slipway: {error}");
            return error.exit_code();
        }
    };
    // Ignore a closed pipe (`slipway machine list | head -1`).
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    code
}

/// Runs a command and returns its answer.
///
/// # Errors
/// What was tried, on what, and what to do; see [`CliError`].
pub async fn execute(command: Command, env: CliEnv) -> Result<String, CliError> {
    match command {
        Command::Machine(a) => machine::run(a.command, &a.common.remote(env)?).await,
        Command::Deploy(a) => machine::deploy(a.args, &a.common.remote(env)?).await,
        Command::Image(a) if matches!(a.command, ImageCommand::List) => {
            let remote = a.common.remote(env)?;
            let images = remote.client.list(routes::IMAGES, [], &()).await?;
            remote.answer(&images, |images| render::images(images))
        }
        Command::Image(a) => local::blocking(move || local::image(&a.command, a.common.output)).await,
        Command::Rescue(a) => {
            let remote = a.common.remote(env)?;
            let made = remote.client.ask(routes::RESCUE, [&a.args.machine]).await?;
            remote.answer(&made, render::rescue)
        }
        Command::Find(a) => find::run(a.args, &a.common.remote(env)?).await,
        Command::Loaders(a) => loaders::run(a.args, &a.common.remote(env)?).await,
        Command::Network(a) => network::run(a.args, &a.common.remote(env)?).await,
        Command::Import(a) => delivery::import(a.args, a.common, env).await,
        Command::Order(a) => delivery::order(a.command, &a.common.remote(env)?).await,
        Command::Rack(a) => delivery::rack(a.command, &a.common.remote(env)?).await,
        Command::Part(a) => delivery::part(a.command, &a.common.remote(env)?).await,
        Command::MiniOs(a) => {
            local::blocking(move || match a.command {
                MiniOsCommand::Build(build) => local::mini_os(&build, a.common.output),
                MiniOsCommand::Sign(_) => Err(CliError::usage("mini-os sign is for main")),
            })
            .await
        }
        Command::HardwareProfile(a) => hardware_profile::run(a.command, a.common, env).await,
        Command::Check(a) => local::blocking(move || check::check(&a.args, a.common.output)).await,
        Command::Explain(a) => {
            let remote = a.common.remote(env)?;
            let route = if a.args.forget_loader {
                routes::FORGET_LOADER
            } else {
                routes::JOURNEY
            };
            remote.answer(&remote.client.ask(route, [&a.args.nic]).await?, render::journey)
        }
    }
}
