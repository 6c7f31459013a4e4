//! `slipway loaders`: shows or forgets which loaders worked on which NICs.

use clap::Args;
use inventory_api::loader::LoaderOverview;
use inventory_api::{Mac, routes};

use super::table::{Table, cell};
use super::{CliError, Remote};
use words::text::tame;

/// `slipway loaders`.
#[derive(Debug, Args)]
pub struct LoadersArgs {
    /// Forget what is known about a NIC (its MAC) or a model (PCI id such as 8086:10d3, or MAC prefix such as
    /// 52:54:00); the next boot starts with the first loader
    #[arg(long, value_name = "NIC")]
    forget: Option<String>,
}

pub(super) async fn run(args: LoadersArgs, remote: &Remote) -> Result<String, CliError> {
    let client = &remote.client;
    let Some(name) = args.forget else {
        return remote.answer(&client.ask(routes::LOADERS, []).await?, show);
    };
    let forgotten = format!("what is known of {} is forgotten\n", tame(&name, 40));
    if let Ok(mac) = name.parse::<Mac>() {
        let journey = client.ask(routes::FORGET_LOADER, [&mac.to_string()]).await?;
        return remote.answer(&journey, |_| forgotten);
    }
    remote.answer(&client.ask(routes::FORGET_MODEL, [&name]).await?, |_| forgotten)
}

fn show(known: &LoaderOverview) -> String {
    if known.models.is_empty() {
        return "No loader has worked or failed yet.\n".to_owned();
    }
    let tallies = known
        .models
        .iter()
        .flat_map(|m| m.loaders.iter().map(move |tally| (m, tally)));
    let models = Table::of(
        tallies,
        &[
            ("NIC MODEL", &|(m, _)| tame(&m.model, 20)),
            ("LOADER", &|(_, tally)| tame(&tally.loader, 40)),
            ("WORKED", &|(_, tally)| tally.worked.to_string()),
            ("FAILED", &|(_, tally)| tally.failed.to_string()),
        ],
    );
    let nics = Table::of(
        &known.nics,
        &[
            ("NIC", &|nic| nic.mac.to_string()),
            ("MODEL", &|nic| cell(&nic.model)),
            ("LOADERS", &|nic| tame(&cell(&nic.sentence), 400)),
        ],
    );
    models.text(0) + &nics.part(0)
}
