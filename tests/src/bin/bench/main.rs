//! `make bench`: reports of captured machines, sizes, smallest memory, seconds per boot path and per phase of a virtual first boot, write path against `zstd -d | dd`,
//! DHCP, TFTP and HTTP boot against the usual servers.
//! Prints a table and keeps it in docs/bench.md. Machines are noisy: compare figures of one run only.

mod boot;
mod dhcp;
mod http;
mod paths;
mod report;
mod rivals;
mod tftp;
mod write;

use anyhow::Result;
use e2e::{Firmware, artefacts};

fn main() -> Result<()> {
    // One section by itself, while working on it; the kept table is always of one whole run.
    match std::env::var("SLIPWAY_BENCH").unwrap_or_default().as_str() {
        "" => {}
        "report" => return report::section().map(|text| println!("{text}")),
        "dhcp" => return in_thread(dhcp::section).map(|text| println!("{text}")),
        "tftp" => return in_thread(tftp::section).map(|text| println!("{text}")),
        "http" => return in_thread(http::section).map(|text| println!("{text}")),
        "paths" => return in_thread(paths::section).map(|text| println!("{text}")),
        other => anyhow::bail!(
            "SLIPWAY_BENCH={other}: report, dhcp, tftp, http and paths can be run by themselves"
        ),
    }
    let mut out = String::from(
        "# Bench\n\nMade by `make bench`; each section names what it ran. Machines are noisy and the accelerator differs from place to \
         place: compare figures of one run, and ratios.\n",
    );
    out += &format!(
        "\nAccelerator: {}; {} CPUs.\n",
        e2e::accelerator::accelerator(),
        std::thread::available_parallelism()?
    );
    out += &report::section()?;
    out += &sizes()?;
    out += &write::section()?;
    // A lab moves its thread into a namespace: each run gets a thread of its own.
    out += &in_thread(dhcp::section)?;
    out += &in_thread(tftp::section)?;
    out += &in_thread(http::section)?;
    out += &in_thread(paths::section)?;
    out += &in_thread(boot::smallest_memory)?;
    for firmware in [Firmware::Bios, Firmware::Uefi] {
        out += &in_thread(move || boot::first_boot(firmware))?;
    }
    let path = artefacts::workspace().join("docs/bench.md");
    std::fs::write(&path, &out)?;
    println!("{out}\nkept in docs/bench.md");
    Ok(())
}

fn in_thread(work: impl FnOnce() -> Result<String> + Send + 'static) -> Result<String> {
    std::thread::spawn(work)
        .join()
        .map_err(|_| anyhow::anyhow!("a part of the bench panicked"))?
}

fn sizes() -> Result<String> {
    let mut text = String::from(
        "\n## Kernel and initramfs\n\n`make mini-os`; target for `full`: 40 MB together.\n\n\
         | variant | kernel MB | initramfs MB | together MB | modules | firmware files |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for variant in ["full", "small"] {
        let file = artefacts::built(&format!("mini-os/{variant}/manifest.json"), "mini-os")?;
        let manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(file)?)?;
        let number = |key: &str| manifest[key].as_u64().unwrap_or(0);
        let (kernel, initramfs) = (number("kernel_bytes"), number("initramfs_bytes"));
        let mb = |bytes: u64| format!("{:.2}", bytes as f64 / 1e6);
        text += &format!(
            "| {variant} | {} | {} | {} | {} | {} |\n",
            mb(kernel),
            mb(initramfs),
            mb(kernel + initramfs),
            number("modules"),
            number("firmware_files")
        );
    }
    Ok(text)
}
