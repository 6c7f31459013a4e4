//! Exchanges a second (DISCOVER to ACK) under perfdhcp: ours, whose every ACK is on the disk first, Kea with memfile (which
//! does not sync), dnsmasq (which does).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use e2e::artefacts;
use e2e::child::Owned;
use e2e::netns::{NetNs, ip};

/// Offered rates, a second. A server leaves the race when it drops more than [`DROPS`].
const RATES: [u32; 12] = [
    100, 200, 400, 1000, 2000, 3000, 4000, 5000, 6000, 8000, 10_000, 12_000,
];
/// A rate counts when one of so many runs passes: what else the machine does must not throw a server out.
const TRIES: usize = 3;
/// Percent of either exchange.
const DROPS: f64 = 2.0;
/// Seconds of load at each rate.
const SECONDS: u32 = 4;

/// A server in a namespace and its clients in another, with a cable between.
struct Racer {
    name: &'static str,
    address: String,
    clients: NetNs,
    _server: NetNs,
    process: Owned,
    best: f64,
    drops: f64,
    delay: f64,
    out: bool,
}

pub fn section() -> Result<String> {
    let examples = std::env::var("SLIPWAY_BOOT_EXAMPLES").unwrap_or_default();
    let ours = format!("{examples}/dhcp_server");
    if !Path::new(&ours).is_file() {
        bail!("SLIPWAY_BOOT_EXAMPLES has no dhcp_server: run `make bench`");
    }
    let directory = artefacts::run_directory("bench-dhcp")?;
    let at = |name: &str| directory.path().join(name);
    let mut racers = [
        racer("slipway, durable", 91, &at("slipway.log"), |ns, net| {
            let mut command = ns.command(&ours);
            command.arg(format!("{net}.0.1")).arg(at("slipway.leases"));
            Ok(command)
        })?,
        racer("Kea, memfile", 92, &at("kea.log"), |ns, net| {
            kea(ns, net, &at("kea"))
        })?,
        racer("dnsmasq", 93, &at("dnsmasq.log"), |ns, net| {
            let mut command = ns.command("dnsmasq");
            command.args([
                "-k",
                "-C",
                "/dev/null",
                "-p",
                "0",
                "--no-ping",
                "--user=root",
                "--pid-file=",
            ]);
            command.args(["--dhcp-lease-max=100000", "--quiet-dhcp"]);
            command.arg(format!("--dhcp-range={net}.1.0,{net}.250.255,1h"));
            command.arg(format!("--dhcp-leasefile={}", at("dnsmasq.leases").display()));
            Ok(command)
        })?,
    ];
    let version = Command::new("kea-dhcp4")
        .arg("-v")
        .output()
        .context("kea-dhcp4")?;
    let before: Vec<u64> = racers.iter().map(Racer::resident).collect::<Result<_>>()?;
    for rate in RATES {
        for racer in racers.iter_mut().filter(|racer| !racer.out) {
            racer.run(rate)?;
        }
    }
    let mut text = format!(
        "\n## DHCP\n\n`perfdhcp -4 -R 60000 -p {SECONDS}` through one cable between two namespaces; the highest offered rate with at \
         most {DROPS} % drops, servers in turns. Slipway's ACK waits for the disk (group commit), as dnsmasq's does; Kea {} does \
         not sync.\n\n| server | exchanges/s | drops % | mean ms to ACK | MiB before | MiB after |\n\
         | --- | --- | --- | --- | --- | --- |\n",
        String::from_utf8_lossy(&version.stdout).trim()
    );
    for (racer, before) in racers.iter().zip(&before) {
        text += &format!(
            "| {} | {:.0} | {:.2} | {:.2} | {before} | {} |\n",
            racer.name,
            racer.best,
            racer.drops,
            racer.delay,
            racer.resident()?
        );
    }
    let ratio = |other: &Racer| racers[0].best / other.best.max(1.0);
    text += &format!(
        "\nRatio: {:.1} times Kea (target: at least 1), {:.0} times dnsmasq.\n",
        ratio(&racers[1]),
        ratio(&racers[2])
    );
    Ok(text)
}

fn racer(
    name: &'static str,
    second: u8,
    log: &Path,
    command: impl FnOnce(&NetNs, &str) -> Result<Command>,
) -> Result<Racer> {
    let (server, clients) = (NetNs::new()?, NetNs::new()?);
    let net = format!("10.{second}");
    server.run(|| {
        ip(&format!(
            "link add bench0 type veth peer name bench1 netns {}",
            clients.path()
        ))?;
        ip(&format!("addr add {net}.0.1/16 dev bench0"))?;
        ip("link set bench0 up").map(drop)
    })?;
    clients.run(|| {
        ip(&format!("addr add {net}.0.2/16 dev bench1"))?;
        ip("link set bench1 up").map(drop)
    })?;
    let mut racer = Racer {
        name,
        address: format!("{net}.0.1"),
        process: Owned::start(command(&server, &net)?, log)?,
        clients,
        _server: server,
        best: 0.0,
        drops: 0.0,
        delay: 0.0,
        out: false,
    };
    // It serves as soon as a single exchange succeeds.
    e2e::wait::until_blocking(&format!("{name} to serve"), Duration::from_secs(30), || {
        if let Some(status) = racer.process.ended()? {
            bail!(
                "{name} ended ({status}):\n{}",
                fs::read_to_string(log).unwrap_or_default()
            );
        }
        let run = racer.perfdhcp(&["-r", "10", "-n", "3", "-R", "1", "-W", "500000"])?;
        Ok((run.acks > 0).then_some(()))
    })?;
    Ok(racer)
}

fn kea(ns: &NetNs, net: &str, directory: &Path) -> Result<Command> {
    fs::create_dir(directory)?;
    let file = |name: &str| -> PathBuf { directory.join(name) };
    let config = serde_json::json!({ "Dhcp4": {
        "interfaces-config": { "interfaces": ["bench0"], "dhcp-socket-type": "udp" },
        "lease-database": { "type": "memfile", "persist": true, "name": file("leases.csv"), "lfc-interval": 0 },
        "multi-threading": { "enable-multi-threading": true, "thread-pool-size": 2, "packet-queue-size": 64 },
        "valid-lifetime": 3600,
        "subnet4": [{ "id": 1, "subnet": format!("{net}.0.0/16"),
            "pools": [{ "pool": format!("{net}.1.0-{net}.250.255") }] }],
        "loggers": [{ "name": "kea-dhcp4", "severity": "ERROR", "output_options": [{ "output": "stderr" }] }],
    }});
    fs::write(file("kea.json"), config.to_string())?;
    let mut command = ns.command("kea-dhcp4");
    command.arg("-c").arg(file("kea.json"));
    command
        .env("KEA_PIDFILE_DIR", directory)
        .env("KEA_LOCKFILE_DIR", directory);
    Ok(command)
}

/// What perfdhcp found out.
struct Run {
    acks: u64,
    /// The worse of both exchanges, percent.
    drops: f64,
    /// DISCOVER to OFFER and REQUEST to ACK together, ms.
    delay: f64,
}

impl Racer {
    fn run(&mut self, rate: u32) -> Result<()> {
        let (rate, seconds) = (rate.to_string(), SECONDS.to_string());
        let words = [
            "-r", &rate, "-R", "60000", "-p", &seconds, "-W", "500000", "-s", &rate,
        ];
        for _ in 0..TRIES {
            let run = self.perfdhcp(&words)?;
            let done = run.acks as f64 / f64::from(SECONDS);
            println!(
                "{}: {rate}/s offered, {done:.0}/s, {:.2} % dropped, {:.2} ms",
                self.name, run.drops, run.delay
            );
            if run.drops <= DROPS {
                (self.best, self.drops, self.delay) = (done, run.drops, run.delay);
                return Ok(());
            }
        }
        self.out = true;
        Ok(())
    }

    fn perfdhcp(&self, words: &[&str]) -> Result<Run> {
        let output = self
            .clients
            .command("perfdhcp")
            .args(["-4", "-l", "bench1"])
            .args(words)
            .arg(&self.address)
            .output()
            .context("running perfdhcp: is the package kea-admin installed?")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let after = |name: &str| -> Vec<f64> {
            text.lines()
                .filter_map(|line| {
                    line.trim()
                        .strip_prefix(name)?
                        .split_whitespace()
                        .next()?
                        .parse()
                        .ok()
                })
                .collect()
        };
        let received = after("received packets:");
        // Drops end in 3 (wrong use) or 2 (not all answered): the figures are there either way.
        if received.len() != 2 {
            bail!(
                "perfdhcp {words:?}: {text}{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(Run {
            acks: received[1] as u64,
            drops: after("drops ratio:").into_iter().fold(0.0, f64::max),
            delay: after("avg delay:").iter().sum(),
        })
    }

    /// Resident memory of the server, MiB.
    fn resident(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: u64 = line
            .and_then(|line| line.split_whitespace().next()?.parse().ok())
            .context("no VmRSS")?;
        Ok(kib / 1024)
    }
}
