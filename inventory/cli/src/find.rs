//! `slipway find`: what a typed or scanned text stands for.

use clap::Args;
use inventory_api::lookup::Lookup;

use super::{CliEnv, CliError, Common, render};
use words::text::{segment, tame};

/// `slipway find`.
#[derive(Debug, Args)]
pub struct FindArgs {
    /// Options common to all commands.
    #[command(flatten)]
    pub common: Common,
    /// Id, MAC, serial number or asset tag of a machine, or serial number of a part
    pub key: String,
}

pub(super) async fn run(args: FindArgs, env: CliEnv) -> Result<String, CliError> {
    let client = args.common.client(env)?;
    let found: Lookup = client.get(&format!("/v1/lookup/{}", segment(&args.key))).await?;
    render::answer(args.common.output, &found, |found| {
        words::lookup::sentence(&tame(&args.key, 128), found) + "\n"
    })
}
