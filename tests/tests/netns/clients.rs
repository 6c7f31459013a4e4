//! DHCP clients that people really use: ISC's dhclient and busybox's udhcpc.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::child::Owned;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::port::Port;
use crate::site::{RESERVED, Site};

/// A running client; its hook script configures the address and records each event.
struct Client {
    process: Owned,
    events: PathBuf,
    log: PathBuf,
}

impl Client {
    fn dhclient(site: &Site, port: &Port, run: &str) -> Result<Client> {
        let dir = directory(site, port, run)?;
        let events = dir.join("events");
        // The server's T1 is minutes away, so this client is told to renew after two seconds.
        std::fs::write(dir.join("conf"), "supersede dhcp-renewal-time 2;\ntimeout 20;\n")?;
        let hook = hook(
            &dir,
            &format!(
                "case $reason in BOUND|RENEW|REBIND|REBOOT) ip addr replace $new_ip_address/24 dev eth0;; esac\n\
                 echo \"$reason $new_ip_address\" >> {}\n",
                events.display()
            ),
        )?;
        let mut command = port.ns.command("dhclient");
        command.args(["-4", "-d", "-1", "-sf"]).arg(hook);
        command.arg("-cf").arg(dir.join("conf"));
        command.arg("-lf").arg(dir.join("leases"));
        command.arg("-pf").arg(dir.join("pid")).arg("eth0");
        let log = dir.join("log");
        Ok(Client {
            process: Owned::start(command, &log)?,
            events,
            log,
        })
    }

    fn udhcpc(site: &Site, port: &Port, run: &str) -> Result<Client> {
        let dir = directory(site, port, run)?;
        let events = dir.join("events");
        let hook = hook(
            &dir,
            &format!(
                "case $1 in bound|renew) ip addr replace $ip/24 dev eth0;; deconfig) ip addr flush dev eth0;; esac\n\
                 echo \"$1 $ip\" >> {}\n",
                events.display()
            ),
        )?;
        let mut command = port.ns.command("udhcpc");
        command
            .args(["-f", "-i", "eth0", "-t", "10", "-T", "1", "-s"])
            .arg(hook);
        let log = dir.join("log");
        Ok(Client {
            process: Owned::start(command, &log)?,
            events,
            log,
        })
    }

    /// Waits for an event and returns its address.
    async fn wait(&self, event: &str) -> Result<String> {
        let what = format!("the client's {event}");
        let waited = e2e::wait::until(&what, Duration::from_secs(15), async || {
            let text = std::fs::read_to_string(&self.events).unwrap_or_default();
            let found = text
                .lines()
                .find_map(|l| l.strip_prefix(event)?.strip_prefix(' '));
            Ok(found.map(str::to_owned))
        })
        .await;
        waited.with_context(|| std::fs::read_to_string(&self.log).unwrap_or_default())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(self.process.id() as i32), signal)?)
    }
}

fn directory(site: &Site, port: &Port, run: &str) -> Result<PathBuf> {
    let dir = site
        .directory()
        .join(format!("{}-{run}", port.mac.to_string().replace(':', "")));
    std::fs::create_dir(&dir)?;
    Ok(dir)
}

fn hook(dir: &std::path::Path, text: &str) -> Result<PathBuf> {
    let path = dir.join("hook");
    std::fs::write(
        &path,
        format!("#!/bin/sh\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\n{text}"),
    )?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

/// Counts the server's answers to a machine.
async fn counted(site: &Site, port: &Port) -> Result<BTreeMap<String, usize>> {
    let mut counts = BTreeMap::new();
    for answer in site.answers(port.mac).await? {
        *counts.entry(answer).or_default() += 1;
    }
    Ok(counts)
}

#[tokio::test]
async fn udhcpc_gets_renews_and_releases() -> Result<()> {
    let Some(mut site) = Site::start().await? else {
        return Ok(());
    };
    let port = site.port("02:00:00:00:40:01")?;
    let client = Client::udhcpc(&site, &port, "first")?;
    let address = client.wait("bound").await?;
    ensure!(address.starts_with("10.77.0."), "{address}");
    client.signal(Signal::SIGUSR1)?;
    assert_eq!(client.wait("renew").await?, address);
    // The server is killed and restarted: the next renewal is answered by one that has only its journal.
    site.server.kill();
    site.server.power_on().await?;
    std::fs::remove_file(&client.events)?;
    client.signal(Signal::SIGUSR1)?;
    assert_eq!(client.wait("renew").await?, address);
    assert_eq!(
        counted(&site, &port).await?,
        [("request:ack".to_owned(), 1)].into()
    );
    client.signal(Signal::SIGUSR2)?;
    site.wait_answer(port.mac, "release:released").await?;
    drop(client);
    let again = Client::udhcpc(&site, &port, "second")?;
    assert_eq!(
        again.wait("bound").await?,
        address,
        "the same MAC, the same address"
    );
    Ok(())
}

#[tokio::test]
async fn dhclient_gets_renews_and_releases() -> Result<()> {
    let Some(mut site) = Site::start().await? else {
        return Ok(());
    };
    let (port, reserved) = (site.port("02:00:00:00:41:01")?, site.port(RESERVED.0)?);
    let client = Client::dhclient(&site, &port, "first")?;
    let fixed = Client::dhclient(&site, &reserved, "first")?;
    let address = client.wait("BOUND").await?;
    assert_eq!(fixed.wait("BOUND").await?, RESERVED.1);
    assert_ne!(address, RESERVED.1);
    assert_eq!(client.wait("RENEW").await?, address);
    drop(client);
    site.server.kill();
    site.server.power_on().await?;
    // The client has forgotten everything, the server nothing.
    let client = Client::dhclient(&site, &port, "second")?;
    assert_eq!(client.wait("BOUND").await?, address);
    drop(client);
    let dir = site.directory().join("020000004101-second");
    let text = |name: &str| dir.join(name).to_string_lossy().into_owned();
    let (leases, pid, sf) = (text("leases"), text("none"), text("hook"));
    let released = port.run(
        "dhclient",
        &["-4", "-r", "-sf", &sf, "-lf", &leases, "-pf", &pid, "eth0"],
    )?;
    ensure!(
        released.status.success(),
        "{}",
        String::from_utf8_lossy(&released.stderr)
    );
    site.wait_answer(port.mac, "release:released").await?;
    Ok(())
}
