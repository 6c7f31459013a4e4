//! `slipway hardware-profile`: on the server, or made from a file without one.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use inventory_api::check::Finding;
use inventory_api::import::GoldenProfile;
use inventory_api::routes;

use super::machine::Which;
use super::table::Table;
use super::{CliEnv, CliError, Common, Output, delivery, file, local};
use words::text::{tame, timestamp};

/// Subcommands of `slipway hardware-profile`.
#[derive(Debug, Subcommand)]
pub enum HardwareProfileCommand {
    /// Make a golden profile from the asset report of a good machine (`slipway-agent report --json`)
    ///
    /// Prints TOML, or JSON with --output json. The profile fixes what belongs to the model (slots, sizes,
    /// parts, speeds, firmware), nothing of the single machine (serial numbers, MACs, hours). Health problems
    /// of the machine are listed on standard error and in TOML comments; they are not part of the profile.
    FromReport {
        /// The report, JSON; - is standard input
        #[arg(value_name = "REPORT.json")]
        report: PathBuf,
        /// Name of the profile; default: maker and model
        #[arg(long)]
        name: Option<String>,
    },
    /// List the hardware profiles of the server
    List,
    /// Print one hardware profile of the server as JSON
    Show {
        /// Name of the profile
        name: String,
    },
    /// Make a profile on the server from a machine that is known to be good
    FromMachine {
        #[command(flatten)]
        which: Which,
        /// Name of the profile
        name: String,
        /// Make the profile although the machine is not healthy; the health rules stay on
        #[arg(long)]
        accept_unhealthy: bool,
    },
    /// Remove a profile; refused while a rack place or an order item uses it
    Remove {
        /// Name of the profile
        name: String,
    },
}

pub(crate) async fn run(
    command: HardwareProfileCommand,
    common: Common,
    env: CliEnv,
) -> Result<String, CliError> {
    if let HardwareProfileCommand::FromReport { report, name } = command {
        return local::blocking(move || from_report(&report, name, common.output)).await;
    }
    let remote = common.remote(env)?;
    let client = &remote.client;
    match command {
        HardwareProfileCommand::List => {
            let profiles = client.list(routes::HARDWARE_PROFILES, [], &()).await?;
            remote.answer(&profiles, |profiles| {
                let table = Table::of(
                    profiles,
                    &[
                        ("PROFILE", &|p| p.name.clone()),
                        ("MACHINES", &|p| p.machines.to_string()),
                        ("CHANGED", &|p| timestamp(p.changed_at)),
                    ],
                );
                table.text(0)
            })
        }
        HardwareProfileCommand::Show { name } => {
            let profile = client.ask(routes::HARDWARE_PROFILE, [&name]).await?;
            Output::Json.answer(&profile, |_| String::new())
        }
        HardwareProfileCommand::Remove { name } => {
            let removed = client.ask(routes::REMOVE_HARDWARE_PROFILE, [&name]).await?;
            remote.answer(&removed, delivery::removed)
        }
        HardwareProfileCommand::FromReport { .. } => Err(CliError::usage("a report is a file")),
        HardwareProfileCommand::FromMachine {
            which,
            name,
            accept_unhealthy,
        } => {
            let body = GoldenProfile {
                name,
                accept_unhealthy,
            };
            let report = client.send(routes::GOLDEN, [&which.machine], &body).await?;
            remote.answer(&report, delivery::imported)
        }
    }
}

pub(crate) fn from_report(report: &Path, name: Option<String>, output: Output) -> Result<String, CliError> {
    let report = file::report(report)?;
    let mut profile = lifecycle::check::golden(&report);
    let sick = sick_lines(&lifecycle::check::unhealthy(&report));
    if !sick.is_empty() {
        eprintln!("slipway: {}", sick.join("\n  "));
    }
    profile.name = name.unwrap_or(profile.name);
    if output == Output::Json {
        return output.answer(&profile, |_| String::new());
    }
    let toml = toml::to_string_pretty(&profile)
        .map_err(|e| CliError::failed(format!("the profile cannot be written as TOML: {e}")))?;
    Ok(sick.iter().map(|line| format!("# {line}\n")).collect::<String>() + &toml)
}

/// A heading and one line per health problem of the golden machine; empty if it is healthy.
fn sick_lines(sick: &[Finding]) -> Vec<String> {
    if sick.is_empty() {
        return Vec::new();
    }
    let health = "This machine is not healthy; the profile asks for a healthy one all the same:";
    let lines = sick
        .iter()
        .take(50)
        .map(|f| format!("- {} [{}]", tame(&f.sentence, 600), tame(&f.code, 40)));
    [health.to_owned()].into_iter().chain(lines).collect()
}
