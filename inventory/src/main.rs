//! `slipway`: the server and its command line. Only this file of the crate reads arguments and the
//! environment or ends the process.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use config::Config;
use inventory::app::{App, sign_mini_os};
use inventory::data_dir;
use inventory::tokens::{self, TokenTerms};
use service::boot::missing::{There, missing};
use service::core::Clock;
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Bare-metal provisioning and asset check
#[derive(Parser)]
#[command(name = "slipway", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    Serve(ConfigFile),
    /// Check a configuration and print its checked form
    CheckConfig(ConfigFile),
    /// Create, list and revoke API tokens
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    #[command(flatten)]
    Client(cli::Command),
}

#[derive(Args)]
struct ConfigFile {
    /// Configuration file
    #[arg(long, default_value = "/etc/slipway/slipway.toml")]
    config: PathBuf,
}

impl ConfigFile {
    fn load(&self) -> anyhow::Result<Config> {
        Ok(Config::load(&self.config)?)
    }
}

#[derive(Subcommand)]
enum TokenCommand {
    /// Create a token and print it; it cannot be shown again
    Create {
        /// Who will use it; shown in the history
        name: String,
        /// The token can read everything and change nothing
        #[arg(long)]
        read_only: bool,
        /// Days until it expires, such as 90 or 90d; default: valid until it is revoked
        #[arg(long, value_name = "DAYS", value_parser = days)]
        expires: Option<u32>,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// List the tokens: name, rights, state, creation and last use
    List(ConfigFile),
    /// Revoke a token; its sessions and open streams end too
    Revoke {
        /// Name of the token
        name: String,
        #[command(flatten)]
        file: ConfigFile,
    },
}

/// Parses "90" or "90d".
fn days(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix('d').unwrap_or(text).parse();
    number
        .ok()
        .filter(|days| (1..=36_500).contains(days))
        .ok_or_else(|| format!("{text:?} is not a number of days from 1 to 36500, such as 90 or 90d"))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Crates could bring different crypto providers; the whole process uses ring.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("slipway: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = match arguments.command {
        Command::Serve(file) => runtime.block_on(serve(&file)),
        Command::CheckConfig(file) => check_config(&file),
        Command::Token { command } => runtime.block_on(token(command)),
        Command::Client(cli::Command::MiniOs(cli::Asked {
            command: cli::MiniOsCommand::Sign(sign),
            ..
        })) => sign_for_firmware(&sign),
        Command::Client(command) => {
            let env = cli::CliEnv {
                url: std::env::var("SLIPWAY_URL").ok(),
                token: std::env::var("SLIPWAY_TOKEN").ok(),
                ca: std::env::var_os("SLIPWAY_CA").map(PathBuf::from),
            };
            return ExitCode::from(runtime.block_on(cli::run(command, env)));
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("slipway: {}", inventory_api::text::with_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// `slipway mini-os sign`.
fn sign_for_firmware(sign: &cli::SignMiniOs) -> anyhow::Result<()> {
    let dir = sign_mini_os(&Config::load(&sign.config)?, &sign.key, &sign.cert)?;
    println!(
        "The signed files are in {}.\nThe server uses them from its next start, for machines with {} in their firmware's db.",
        dir.display(),
        sign.cert.display()
    );
    Ok(())
}

fn check_config(file: &ConfigFile) -> anyhow::Result<()> {
    let config = file.load()?;
    print!("{}", config.checked_form());
    // Print these as comments, so that the output remains a valid configuration.
    for missing in missing(&config, There::look(&config, false)) {
        println!("\n# MISSING: {}", missing.what.sentence);
    }
    for risk in config.risks() {
        println!("\n# RISK: {risk}");
    }
    Ok(())
}

async fn token(command: TokenCommand) -> anyhow::Result<()> {
    match command {
        TokenCommand::Create {
            name,
            read_only,
            expires,
            file,
        } => {
            let terms = TokenTerms {
                read_only,
                days: expires,
            };
            println!("{}", tokens::create(&file.load()?, &name, terms).await?);
        }
        TokenCommand::List(file) => {
            let all = tokens::list(&file.load()?).await?;
            print!("{}", tokens::table(&all, Clock::system().now()));
        }
        TokenCommand::Revoke { name, file } => {
            tokens::revoke(&file.load()?, &name).await?;
            println!("The token {name} is revoked.");
        }
    }
    Ok(())
}

/// Prints the token only to a terminal. Otherwise writes it to a file, because the output of a service stays
/// in the journal.
fn show_first_token(token: &str, data_dir: &Path) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if out.is_terminal() {
        writeln!(out, "Admin token, shown only this once: {token}")?;
    } else {
        let file = data_dir.join("admin-token");
        data_dir::write_secret(&file, &format!("{token}\n"))?;
        writeln!(
            out,
            "The admin token is in {}: sign in with it, then delete the file.",
            file.display()
        )?;
    }
    Ok(out.flush()?)
}

async fn serve(file: &ConfigFile) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_env("SLIPWAY_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    // Keys and tickets are in memory: keep them out of core dumps and away from other processes of this user.
    if let Err(error) = nix::sys::prctl::set_dumpable(false) {
        tracing::warn!(%error, "cannot disable core dumps of this process");
    }
    let config = file.load()?;
    for risk in config.risks() {
        tracing::warn!("{risk}");
    }
    let app = App::bind(config).await?;
    let bound = app.bound().clone();
    tracing::info!(api = %bound.api, ca = %bound.ca_file.display(), "slipway is running");
    for network in &bound.networks {
        tracing::info!(network = %network.network, dhcp = %network.dhcp, tftp = %network.tftp, http = %network.http,
            "serving network");
    }
    if let Some(token) = &bound.first_token {
        show_first_token(token, &bound.data_dir)?;
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let running = app.spawn();
    let stop = running.stop_token();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        stop.cancel();
    });
    Ok(running.run().await?)
}
