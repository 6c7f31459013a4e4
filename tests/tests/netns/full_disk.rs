//! The disk of the data directory fills up and is freed again while the server runs.

use std::fs::File;
use std::io::Write as _;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::sim::dhcp::Asker;
use e2e::wait;
use nix::sched::{CloneFlags, unshare};

use crate::port::Port;
use crate::site::Site;

fn mount(arguments: &[&str]) -> Result<()> {
    let done = Command::new("mount")
        .args(arguments)
        .status()
        .context("running mount")?;
    ensure!(done.success(), "mount {arguments:?}");
    Ok(())
}

/// The status of the machine's boot script.
fn script(port: &Port) -> Result<u16> {
    let url = format!("http://10.77.0.1:8067/boot.ipxe?mac={}", port.mac);
    Ok(port.curl(&[&url])?.1)
}

#[tokio::test]
async fn a_full_disk_is_reported_and_needs_no_restart_once_freed() -> Result<()> {
    let Some(mut site) = Site::start().await? else {
        return Ok(());
    };
    let data = site.directory().join("data");
    site.server.kill();
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(&["--make-rprivate", "/"])?;
    let target = data.to_str().context("a path that is text")?;
    mount(&["-t", "tmpfs", "-o", "size=8m,mode=700", "none", target])?;
    site.server.power_on().await?;
    let ca = site.server.ca_file().display().to_string();
    let health = |port: &Port| -> Result<u16> {
        Ok(port
            .curl(&["--cacert", &ca, "https://10.77.0.1:8443/v1/health"])?
            .1)
    };
    let first = site.port("02:00:00:00:73:01")?;
    first.boot(Asker::Ipxe, 1).await?;
    assert_eq!((script(&first)?, health(&first)?), (200, 200));

    for round in 0..2u8 {
        let other = site.port(&format!("02:00:00:00:73:1{round}"))?;
        other.boot(Asker::Ipxe, 10 + u32::from(round)).await?;
        let fill = data.join("fill");
        let mut file = File::create(&fill)?;
        for size in [1 << 16, 512, 1] {
            while file.write_all(&vec![b'x'; size]).is_ok() {}
        }
        // An open file keeps its space.
        drop(file);
        assert_eq!(script(&other)?, 503, "round {round}");
        wait::until(
            "health to tell of the full disk",
            Duration::from_secs(20),
            async || Ok((health(&other)? == 503).then_some(())),
        )
        .await?;
        std::fs::remove_file(&fill)?;
        wait::until("health to be good again", Duration::from_secs(20), async || {
            Ok((health(&other)? == 200).then_some(()))
        })
        .await?;
        assert_eq!(script(&other)?, 200, "round {round}");
    }
    Ok(())
}
