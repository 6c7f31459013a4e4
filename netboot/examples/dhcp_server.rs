//! For `make bench`: a DHCP server with 64,000 addresses and nobody to boot, until it is killed.
//!
//! `dhcp_server ADDRESS JOURNAL`: serves ADDRESS/16 with the lease journal in that file.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use inventory_api::Sha256Digest;
use inventory_api::boot::{BootEvent, BootTarget};
use netboot::{
    BootClient, BootSource, Config, Mode, Netboot, Network, NetworkSettings, PoolRange, ScriptOrder,
};
use tokio_util::sync::CancellationToken;

struct Nobody;

impl BootSource for Nobody {
    async fn target(&self, _: &BootClient) -> BootTarget {
        BootTarget::LocalDisk
    }

    async fn script(&self, _: &BootClient) -> ScriptOrder {
        ScriptOrder::Ignore
    }

    async fn public_image(&self, _: Sha256Digest) -> Option<PathBuf> {
        None
    }

    fn heard(&self, _: BootEvent) {}
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [address, journal] = words.as_slice() else {
        return Err("dhcp_server ADDRESS JOURNAL".into());
    };
    let address: Ipv4Addr = address.parse()?;
    let mut settings = NetworkSettings::new("bench", address, format!("{address}/16").parse()?);
    let [a, b, ..] = address.octets();
    settings.mode = Mode::Server;
    settings.look_seconds = 0;
    settings.pools = vec![PoolRange {
        first: Ipv4Addr::new(a, b, 1, 0),
        last: Ipv4Addr::new(a, b, 250, 255),
    }];
    let config = Config::new(vec![Network::new(settings)?], PathBuf::from(journal));
    let netboot = Netboot::bind(config).await?;
    println!("ready");
    netboot
        .start(Arc::new(Nobody), CancellationToken::new())
        .run()
        .await?;
    Ok(())
}
