//! `slipway find`: what a typed or scanned text stands for.

use clap::Args;
use inventory_api::routes;

use super::{CliError, Remote};
use words::text::tame;

/// `slipway find`.
#[derive(Debug, Args)]
pub struct FindArgs {
    /// Id, MAC, serial number or asset tag of a machine, or serial number of a part
    key: String,
}

pub(super) async fn run(args: FindArgs, remote: &Remote) -> Result<String, CliError> {
    let found = remote.client.ask(routes::LOOKUP, [&args.key]).await?;
    remote.answer(&found, |found| {
        words::lookup::sentence(&tame(&args.key, 128), found) + "\n"
    })
}
