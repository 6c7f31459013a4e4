//! `slipway`: the server and its command line. The only place of this crate that reads arguments and the environment or
//! ends the process.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use inventory::app::{App, create_token};
use inventory::cli;
use inventory::config::Config;
use inventory::missing::{There, missing};
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
    Serve {
        /// Configuration file
        #[arg(long, default_value = "/etc/slipway/slipway.toml")]
        config: PathBuf,
    },
    /// Check a configuration and print its checked form
    CheckConfig {
        /// Configuration file
        #[arg(long, default_value = "/etc/slipway/slipway.toml")]
        config: PathBuf,
    },
    /// API tokens
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    #[command(flatten)]
    People(cli::Command),
}

#[derive(Subcommand)]
enum TokenCommand {
    /// Make a token and print it; it cannot be shown again
    Create {
        /// Name of who will use it; it stands in histories
        name: String,
        /// Configuration file
        #[arg(long, default_value = "/etc/slipway/slipway.toml")]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Two crates could each bring a provider; the whole process uses ring.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("slipway: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = match arguments.command {
        Command::Serve { config } => runtime.block_on(serve(config)),
        Command::CheckConfig { config } => check_config(&config),
        Command::Token {
            command: TokenCommand::Create { name, config },
        } => runtime.block_on(token_create(&name, &config)),
        Command::People(command) => {
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
            eprintln!("slipway: {error}");
            ExitCode::FAILURE
        }
    }
}

fn check_config(path: &std::path::Path) -> anyhow::Result<()> {
    let config = Config::load(path)?;
    print!("{}", config.checked_form());
    // As comments: what is printed stays a configuration.
    for missing in missing(&config, There::look(&config, false)) {
        println!("\n# MISSING: {}", missing.sentence);
    }
    for risk in config.risks() {
        println!("\n# RISK: {risk}");
    }
    Ok(())
}

async fn token_create(name: &str, path: &std::path::Path) -> anyhow::Result<()> {
    println!("{}", create_token(&Config::load(path)?, name).await?);
    Ok(())
}

async fn serve(path: PathBuf) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_env("SLIPWAY_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let config = Config::load(&path)?;
    for risk in config.risks() {
        tracing::warn!("{risk}");
    }
    let app = App::bind(config).await?;
    let bound = app.bound().clone();
    tracing::info!(api = %bound.api, ca = %bound.ca_file.display(), "slipway serves");
    for network in &bound.networks {
        tracing::info!(network = %network.network, dhcp = %network.dhcp, tftp = %network.tftp, http = %network.http,
            "network is served");
    }
    if let Some(token) = &bound.first_token {
        let mut out = std::io::stdout().lock();
        writeln!(out, "Admin token, shown this once: {token}")?;
        out.flush()?;
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
        tracing::info!("asked to stop");
        stop.cancel();
    });
    Ok(running.run().await?)
}
