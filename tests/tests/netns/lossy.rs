//! DHCP, TFTP and HTTP through a network that loses, duplicates and reorders packets.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::cable::{self, Weather};
use e2e::sim::dhcp::Asker;

use crate::port::Port;
use crate::site::{LOADER, Site};

#[tokio::test]
async fn a_machine_boots_at_ten_percent_loss() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let weather = Weather {
        loss: 100,
        copies: 20,
        delay: Duration::from_millis(2),
        seed: 42,
    };
    let mac = "02:00:00:00:68:01";
    let (client, switch) = cable::client(&site.lab, mac, weather)?;
    let port = Port::new(client, mac)?;
    let mut firmware = None;
    for xid in 1..10 {
        // Firmware asks four times; then a person powers on again.
        firmware = port.boot(Asker::Bios, xid).await.ok();
        if firmware.is_some() {
            break;
        }
    }
    ensure!(firmware.is_some(), "no lease");
    let loader = std::fs::read(LOADER)?;
    let file = site.directory().join("fetched");
    let name = file.to_string_lossy().into_owned();
    let got = port.run(
        "atftp",
        &[
            "--get",
            "--option",
            "blksize 1428",
            "--option",
            "windowsize 4",
            "--remote-file",
            "undionly.kpxe",
            "--local-file",
            &name,
            "10.77.0.1",
        ],
    )?;
    ensure!(
        got.status.success(),
        "atftp: {}",
        String::from_utf8_lossy(&got.stderr)
    );
    assert!(std::fs::read(&file)? == loader, "atftp: other bytes");
    let url = "http://10.77.0.1:8067/boot/kernel";
    let (kernel, code) = port.curl(&["--retry", "5", "--retry-connrefused", url])?;
    assert_eq!(code, 200);
    assert!(kernel == std::fs::read(site.directory().join("mini-os/kernel"))?);
    assert!(switch.lost() > 20, "it was a bad network: {}", switch.lost());
    Ok(())
}
