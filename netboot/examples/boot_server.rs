//! For `make bench`: TFTP and HTTP boot of the files in a directory, until it is killed.
//!
//! `boot_server ADDRESS SUBNET DIRECTORY`: TFTP on port 69, HTTP on 8067; the file `f300m` is `/boot/kernel`.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use inventory_api::Sha256Digest;
use inventory_api::boot::{BootEvent, BootTarget};
use netboot::{BootClient, BootSource, Config, Netboot, Network, NetworkSettings, PoolRange, ScriptOrder};
use tokio_util::sync::CancellationToken;

struct Nobody;

impl BootSource for Nobody {
    async fn target(&self, _: &BootClient) -> BootTarget {
        BootTarget::Ignore
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
    let [address, subnet, directory] = words.as_slice() else {
        return Err("boot_server ADDRESS SUBNET DIRECTORY".into());
    };
    let (address, directory): (Ipv4Addr, _) = (address.parse()?, PathBuf::from(directory));
    let mut settings = NetworkSettings::new("bench", address, subnet.parse()?);
    let [a, b, c, _] = address.octets();
    settings.pools = vec![PoolRange {
        first: Ipv4Addr::new(a, b, c, 240),
        last: Ipv4Addr::new(a, b, c, 250),
    }];
    let journal = std::env::temp_dir().join(format!("boot_server-{}.leases", std::process::id()));
    let mut config = Config::new(vec![Network::new(settings)?], journal);
    config.dhcp_port = 0;
    config.reply_to_source = true;
    config.kernel = directory.join("f300m");
    let mut files = BTreeMap::new();
    for file in std::fs::read_dir(&directory)? {
        let file = file?;
        let name = file.file_name().to_string_lossy().into_owned();
        if name != "f300m" {
            files.insert(name, std::fs::read(file.path())?.into());
        }
    }
    config.boot_files = files;
    let netboot = Netboot::bind(config).await?;
    println!("ready");
    netboot
        .start(Arc::new(Nobody), CancellationToken::new())
        .run()
        .await?;
    Ok(())
}
