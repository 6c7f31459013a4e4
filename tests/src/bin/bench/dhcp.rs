//! Exchanges a second (DISCOVER to ACK) under perfdhcp: `slipway serve` with its defaults, which probes each
//! new address by ARP and writes every ACK to disk first; Kea with memfile (does neither); dnsmasq (writes).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use e2e::artefacts;
use e2e::child::Owned;
use e2e::netns::{NetNs, ip};

use crate::rivals::{end, memory, slipway};

/// Offered rates, a second. A server is out once it drops more than [`DROPS`].
const RATES: [u32; 17] = [
    100, 200, 400, 1000, 2000, 4000, 5000, 5500, 6000, 6500, 7000, 7500, 8000, 8500, 9000, 10_000, 12_000,
];
/// A rate counts if one of this many runs passes, so that other load on the machine does not eliminate a
/// server.
const TRIES: usize = 3;
/// Percent, of either exchange.
const DROPS: f64 = 0.1;
/// Seconds of load at each rate.
const SECONDS: u32 = 4;
/// Number of clients, chosen at random. Fewer than 80 % of the pool, which is all that Slipway gives to
/// unknown machines.
const MACHINES: &str = "50000";

/// How to start a server in a namespace without any state of earlier runs.
type Start = Box<dyn Fn(&NetNs, &str) -> Result<Command>>;

/// A server in one namespace and its clients in another, with a cable between.
struct Racer {
    name: &'static str,
    net: String,
    clients: NetNs,
    server: NetNs,
    start: Start,
    log: PathBuf,
    best: Option<Run>,
    out: bool,
}

pub fn section() -> Result<String> {
    let directory = artefacts::run_directory("bench-dhcp")?;
    let at = |name: &str| directory.path().join(name);
    let (data, files, kea_files, leases) = (at("slipway"), at("files"), at("kea"), at("dnsmasq.leases"));
    fs::create_dir(&files)?;
    let mut racers = [
        racer("Slipway", 91, at("slipway.log"), move |ns, net| {
            let pool = [format!("{net}.1.0"), format!("{net}.250.255")];
            let (address, subnet) = (format!("{net}.0.1"), format!("{net}.0.0/16"));
            let ours = slipway(
                &data,
                &address,
                &subnet,
                pool.each_ref().map(String::as_str),
                &files,
            )?;
            let mut command = ns.command(&ours.get_program().to_string_lossy());
            command.args(ours.get_args());
            Ok(command)
        })?,
        racer("Kea, memfile", 92, at("kea.log"), move |ns, net| {
            kea(ns, net, &kea_files)
        })?,
        racer("dnsmasq", 93, at("dnsmasq.log"), move |ns, net| {
            let _ = fs::remove_file(&leases);
            Ok(dnsmasq(ns, net, &leases))
        })?,
    ];
    let version = Command::new("kea-dhcp4")
        .arg("-v")
        .output()
        .context("kea-dhcp4")?;
    for rate in RATES {
        for racer in racers.iter_mut().filter(|racer| !racer.out) {
            racer.run(rate)?;
        }
    }
    let mut text = format!(
        "\n## DHCP\n\n`perfdhcp -4 -R {MACHINES} -p {SECONDS}` through one cable between two namespaces; the highest offered rate with at most \
         {DROPS} % drops, servers in turns, each started afresh, without leases, for every rate. Slipway is the release build of `slipway serve` with its \
         defaults: it asks by ARP before it offers a new address (250 to 280 ms, part of its time to ACK), and its ACK waits for the disk (group \
         commit), as dnsmasq's does. Kea {} does neither; dnsmasq was told not to ping.\n\n| server | exchanges/s | drops % | mean ms to ACK | MiB after |\n\
         | --- | --- | --- | --- | --- |\n",
        String::from_utf8_lossy(&version.stdout).trim()
    );
    let best = |racer: &Racer| racer.best.as_ref().map_or(0.0, Run::rate);
    for racer in &racers {
        let Some(run) = &racer.best else {
            text += &format!("| {} | none | | | |\n", racer.name);
            continue;
        };
        text += &format!(
            "| {} | {:.0} | {:.2} | {:.2} | {} |\n",
            racer.name,
            run.rate(),
            run.drops,
            run.delay,
            run.resident
        );
    }
    let ratio = |other: &Racer| best(&racers[0]) / best(other).max(1.0);
    text += &format!(
        "\nRatio: {:.1} times Kea (target: at least 1.1), {:.0} times dnsmasq.\n",
        ratio(&racers[1]),
        ratio(&racers[2])
    );
    Ok(text)
}

fn dnsmasq(ns: &NetNs, net: &str, leases: &Path) -> Command {
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
    command.arg(format!("--dhcp-leasefile={}", leases.display()));
    command
}

fn racer(
    name: &'static str,
    second: u8,
    log: PathBuf,
    start: impl Fn(&NetNs, &str) -> Result<Command> + 'static,
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
    Ok(Racer {
        name,
        net,
        clients,
        server,
        start: Box::new(start),
        log,
        best: None,
        out: false,
    })
}

fn kea(ns: &NetNs, net: &str, directory: &Path) -> Result<Command> {
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
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

/// perfdhcp's results.
struct Run {
    acks: u64,
    /// The worse of both exchanges, percent.
    drops: f64,
    /// DISCOVER to OFFER and REQUEST to ACK together, ms.
    delay: f64,
    /// Resident memory of the server afterwards, MiB.
    resident: u64,
}

impl Run {
    /// Exchanges a second.
    fn rate(&self) -> f64 {
        self.acks as f64 / f64::from(SECONDS)
    }
}

impl Racer {
    fn run(&mut self, rate: u32) -> Result<()> {
        let (rate, seconds) = (rate.to_string(), SECONDS.to_string());
        let words = [
            "-r", &rate, "-R", MACHINES, "-p", &seconds, "-W", "1000000", "-s", &rate,
        ];
        for _ in 0..TRIES {
            let process = self.serve()?;
            let mut run = self.perfdhcp(&words)?;
            run.resident = resident(&process)?;
            end(process)?;
            println!(
                "{}: {rate}/s offered, {:.0}/s, {:.2} % dropped, {:.2} ms",
                self.name,
                run.rate(),
                run.drops,
                run.delay
            );
            if run.drops <= DROPS {
                self.best = Some(run);
                return Ok(());
            }
        }
        self.out = true;
        Ok(())
    }

    /// Starts the server; it is ready once a single exchange succeeds.
    fn serve(&self) -> Result<Owned> {
        let mut process = Owned::start((self.start)(&self.server, &self.net)?, &self.log)?;
        let name = self.name;
        e2e::wait::until_blocking(&format!("{name} to serve"), Duration::from_secs(30), || {
            if let Some(status) = process.ended()? {
                bail!(
                    "{name} ended ({status}):\n{}",
                    fs::read_to_string(&self.log).unwrap_or_default()
                );
            }
            let run = self.perfdhcp(&["-r", "10", "-n", "3", "-R", "1", "-W", "500000"])?;
            Ok((run.acks > 0).then_some(()))
        })?;
        Ok(process)
    }

    fn perfdhcp(&self, words: &[&str]) -> Result<Run> {
        let output = self
            .clients
            .command("perfdhcp")
            .args(["-4", "-l", "bench1"])
            .args(words)
            .arg(format!("{}.0.1", self.net))
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
        // perfdhcp exits with 3 (wrong use) or 2 (not all answered); it prints the figures either way.
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
            resident: 0,
        })
    }
}

fn resident(process: &Owned) -> Result<u64> {
    Ok(memory(process.id())?.0.round() as u64)
}
