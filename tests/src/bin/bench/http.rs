//! HTTP boot of a large file beside nginx with sendfile, by curl.

use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::rivals::{ADDRESS, Bench, Cores, Rivals, median, memory, slipway};

const ROUNDS: usize = 15;
const FILE: (&str, usize) = ("kernel", 300_000_000);
const NGINX_PORT: u16 = 8068;

pub fn section() -> Result<String> {
    let rivals = match Rivals::unpack(&["nginx"]) {
        Ok(rivals) => rivals,
        Err(error) => return Ok(format!("\n## HTTP boot\n\nSkipped: {error:#}.\n")),
    };
    let bench = Bench::new(&[FILE])?;
    let nginx = rivals.nginx(&bench.files, ADDRESS, NGINX_PORT)?;
    let pool = ["10.77.0.240", "10.77.0.250"];
    let ours = slipway(
        &bench.files.join("slipway"),
        ADDRESS,
        "10.77.0.0/24",
        pool,
        &bench.files,
    )?;
    let ours = bench.server(ours, "tcp", netboot::DEFAULT_HTTP_PORT)?;
    let before = memory(ours.id())?.0;
    let addresses = [
        format!("http://{ADDRESS}:{}/boot/kernel", netboot::DEFAULT_HTTP_PORT),
        format!("http://{ADDRESS}:{NGINX_PORT}/{}", FILE.0),
    ];
    let mut text = format!(
        "\n## HTTP boot\n\nA file of 300 MB by curl over a veth pair, MB/s of all clients together, median of {ROUNDS}, in turns. nginx with \
         sendfile; Slipway is the release build of `slipway serve`. Target: ratio at least 1.0 with one client.\n\n| clients | Slipway | nginx | ratio |\n| --- | --- | --- | --- |\n"
    );
    // Both servers have a worker on each core and choose one themselves; neither can choose the client's
    // core.
    for (clients, cores) in [
        (1, Cores::Any),
        (1, Cores::Same),
        (1, Cores::Apart),
        (16, Cores::Any),
    ] {
        let mut rates = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (address, rates) in addresses.iter().zip(&mut rates) {
                rates.push(rate(&bench, address, clients, cores)?);
            }
        }
        let [ours, theirs] = rates.map(median);
        text += &format!(
            "| {clients}{} | {ours:.0} | {theirs:.0} | **{:.2}** |\n",
            match cores {
                Cores::Any => "",
                Cores::Same => ", on the first core",
                Cores::Apart => ", on the second core",
            },
            ours / theirs
        );
    }
    let most = memory(ours.id())?.1;
    text += &format!("\nResident memory of our server: {before:.1} MiB before, at most {most:.1} MiB.\n");
    bench.end(nginx)?;
    bench.end(ours)?;
    Ok(text)
}

fn rate(bench: &Bench, address: &str, clients: usize, cores: Cores) -> Result<f64> {
    let begun = Instant::now();
    let running: Vec<_> = (0..clients)
        .map(|_| {
            let mut curl = cores.client(bench.client.command("curl"));
            curl.args(["-sSf", "-o", "/dev/null", "-w", "%{size_download}", address]);
            curl.stdout(Stdio::piped()).spawn()
        })
        .collect();
    for curl in running {
        let output = curl.context("running curl")?.wait_with_output()?;
        let bytes = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() || bytes != FILE.1.to_string() {
            bail!("curl {address}: {bytes} bytes");
        }
    }
    Ok((FILE.1 * clients) as f64 / 1e6 / begun.elapsed().as_secs_f64())
}
