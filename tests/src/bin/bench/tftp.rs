//! TFTP beside tftpd-hpa, atftpd and dnsmasq, alternating in one run.

use std::process::Command;

use anyhow::{Context, Result, bail};
use e2e::child::Owned;

use crate::rivals::{ADDRESS, Bench, Cores, Rivals, median, memory, slipway, tftp_load};

/// Each figure is the median of this many runs.
const ROUNDS: usize = 3;
/// Names that Slipway serves; each file has the size it is measured with.
const FILES: [(&str, usize); 2] = [("kernel", 50_000_000), ("initramfs", 5_000_000)];
const PACKAGES: [&str; 3] = ["tftpd-hpa", "atftpd", "libwrap0"];

/// What is measured: file, clients, window (0: option not sent), round trip in µs, loss in 10000.
struct Case {
    what: &'static str,
    file: (&'static str, usize),
    clients: usize,
    window: u32,
    round_trip: u32,
    loss: u32,
    cores: Cores,
}

const fn placed(what: &'static str, cores: Cores) -> Case {
    Case {
        cores,
        ..whole(what, 1, 0)
    }
}

const fn whole(what: &'static str, clients: usize, window: u32) -> Case {
    Case {
        what,
        file: FILES[0],
        clients,
        window,
        round_trip: 0,
        loss: 0,
        cores: Cores::Any,
    }
}

const fn hard(what: &'static str, window: u32, round_trip: u32, loss: u32) -> Case {
    Case {
        what,
        file: FILES[1],
        clients: 1,
        window,
        round_trip,
        loss,
        cores: Cores::Any,
    }
}

const CASES: [Case; 10] = [
    placed("1 client", Cores::Same),
    placed("1 client", Cores::Apart),
    whole("1 client, windowsize 4 (EDK2)", 1, 4),
    whole("1 client, windowsize 16", 1, 16),
    whole("16 clients", 16, 0),
    whole("16 clients, windowsize 4", 16, 4),
    whole("16 clients, windowsize 64", 16, 64),
    hard("1 client, windowsize 16, round trip 0.5 ms", 16, 500, 0),
    hard("1 client, 0.2 % loss", 0, 0, 20),
    hard("1 client, windowsize 8, 0.2 % loss", 8, 0, 20),
];

const SERVERS: [&str; 4] = ["Slipway", "tftpd-hpa", "atftpd", "dnsmasq"];

pub fn section() -> Result<String> {
    let rivals = match Rivals::unpack(&PACKAGES) {
        Ok(rivals) => rivals,
        Err(error) => return Ok(format!("\n## TFTP\n\nSkipped: {error:#}.\n")),
    };
    let bench = Bench::new(&FILES)?;
    let mut text = format!(
        "\n## TFTP\n\nA file of 50 MB (5 MB with round trip or loss) in blocks of 1468 bytes over a veth pair, MB/s of all clients together, \
         median of {ROUNDS} (one run with loss), servers in turns. Round trip and loss are made by the client. tftpd-hpa and dnsmasq have no windowsize. Slipway is the release build of `slipway serve`. With one client in lock step \
         every server's rate is decided by the cores that both run on: they are bound to them by hand.\n\n\
         | | {} | ratio to the best other |\n| --- |{}\n",
        SERVERS.join(" | "),
        " --- |".repeat(SERVERS.len() + 1)
    );
    let mut sizes = None;
    for case in &CASES {
        let mut rates = [const { Vec::new() }; 4];
        // With loss, other servers wait for minutes.
        let rounds = if case.loss > 0 { 1 } else { ROUNDS };
        for _ in 0..rounds {
            for (server, rates) in SERVERS.iter().zip(&mut rates) {
                let running = start(&bench, &rivals, server, case.cores)?;
                let before = memory(running.id())?;
                rates.push(rate(&bench, case).with_context(|| format!("{server}, {}", case.what))?);
                if *server == SERVERS[0] && (case.clients, case.window) == (16, 64) {
                    sizes = Some((before.0, memory(running.id())?.1));
                }
                bench.end(running)?;
            }
        }
        let rates = rates.map(median);
        let best = rates[1..].iter().copied().fold(0.0, f64::max);
        let cells: Vec<String> = rates.iter().map(|rate| format!("{rate:.1}")).collect();
        text += &format!(
            "| {}{} | {} | **{:.2}** |\n",
            case.what,
            case.cores.name(),
            cells.join(" | "),
            rates[0] / best
        );
    }
    let (before, most) = sizes.context("the case with 16 clients and window 64 is gone")?;
    text += &format!(
        "\nTargets: ahead of the best other with 1 and 16 clients; at least 4 times tftpd-hpa with windowsize 16 at 0.5 ms; 2000 MB/s with 16 \
         clients at windowsize 64; 5 MB at 0.2 % loss in less than 1 s (5 MB/s). Resident memory of our server: {before:.1} MiB before 16 \
         clients with windowsize 64 came, at most {most:.1} MiB while they were served (files are read as they are sent).\n"
    );
    Ok(text)
}

fn start(bench: &Bench, rivals: &Rivals, server: &str, cores: Cores) -> Result<Owned> {
    let files = bench.files.as_os_str();
    let mut command = match server {
        "tftpd-hpa" => rivals.program("usr/sbin/in.tftpd"),
        "atftpd" => rivals.program("usr/sbin/atftpd"),
        "dnsmasq" => Command::new("dnsmasq"),
        _ => {
            let pool = ["10.77.0.240", "10.77.0.250"];
            let data = bench.files.join("slipway");
            slipway(&data, ADDRESS, "10.77.0.0/24", pool, &bench.files)?
        }
    };
    match server {
        "tftpd-hpa" => command
            .args(["-L", "-u", "root", "-a", &format!("{ADDRESS}:69"), "-s"])
            .arg(files),
        "atftpd" => {
            let words = ["--daemon", "--no-fork", "--port", "69", "--bind-address", ADDRESS];
            command.args(words).arg(files)
        }
        "dnsmasq" => {
            let words = [
                "-k",
                "--user=root",
                "--port=0",
                "--conf-file=/dev/null",
                "--enable-tftp",
                "--pid-file=",
            ];
            command
                .args(words)
                .args(["--bind-interfaces", &format!("--listen-address={ADDRESS}")])
                .arg(format!("--tftp-root={}", bench.files.display()))
        }
        _ => &mut command,
    };
    bench.server(cores.server(command), "udp", 69)
}

/// MB/s of all clients together.
fn rate(bench: &Bench, case: &Case) -> Result<f64> {
    let (name, bytes) = case.file;
    let numbers = [
        bytes,
        case.clients,
        1468,
        case.window as usize,
        case.round_trip as usize,
        case.loss as usize,
    ];
    let load = bench.client.command(&tftp_load()?.display().to_string());
    let output = case
        .cores
        .client(load)
        .args([&format!("{ADDRESS}:69"), name])
        .args(numbers.map(|number| number.to_string()))
        .output()?;
    if !output.status.success() {
        bail!("tftp_load: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let seconds: f64 = String::from_utf8_lossy(&output.stdout).trim().parse()?;
    Ok((bytes * case.clients) as f64 / 1e6 / seconds)
}
