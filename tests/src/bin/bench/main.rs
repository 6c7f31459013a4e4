//! `make bench`: reports of captured machines, sizes, smallest memory, seconds for each boot path and for
//! each phase of a virtual first boot, the write path against `zstd -d | dd`, lists against bare SQL, and
//! DHCP, TFTP and HTTP boot against the usual servers. Writes the tables to docs/bench.md. Machines are
//! noisy: compare figures of one run only.

mod boot;
mod dhcp;
mod http;
mod lists;
mod paths;
mod report;
mod rivals;
mod tftp;
mod write;

use std::io::Write;

use anyhow::{Context, Result, bail};
use e2e::{Firmware, artefacts};

type Section = fn() -> Result<String>;

/// In the order of the table.
const SECTIONS: [(&str, Section); 11] = [
    ("report", report::section),
    ("sizes", sizes),
    ("write", write::section),
    ("lists", lists::section),
    ("dhcp", dhcp::section),
    ("tftp", tftp::section),
    ("http", http::section),
    ("paths", paths::section),
    ("memory", boot::smallest_memory),
    ("bios", || boot::first_boot(Firmware::Bios)),
    ("uefi", || boot::first_boot(Firmware::Uefi)),
];

fn main() -> Result<()> {
    let head = format!(
        "# Bench\n\nMade by `make bench`; each section names what it ran. Machines are noisy and the accelerator differs from place to \
         place: compare figures of one run, and ratios.\n\nAccelerator: {}; {} CPUs.\n",
        e2e::accelerator::accelerator(),
        std::thread::available_parallelism()?
    );
    // A single section, while working on it. docs/bench.md always has one whole run.
    let only = std::env::var("SLIPWAY_BENCH").unwrap_or_default();
    if !only.is_empty() {
        let section = SECTIONS.iter().find(|(name, _)| *name == only);
        let Some((_, section)) = section else {
            let names = SECTIONS.map(|(name, _)| name).join(", ");
            bail!("SLIPWAY_BENCH={only} is no section; there are {names}");
        };
        println!("{}", in_thread(*section)?);
        return Ok(());
    }
    let mut table = head.clone();
    print!("{head}");
    let mut failed = Vec::new();
    for (name, section) in SECTIONS {
        // One failing section does not discard half an hour of measurements.
        match in_thread(section) {
            Ok(text) => {
                print!("{text}");
                table += &text;
            }
            Err(error) => {
                println!("\n{name} failed: {error:#}");
                failed.push(name);
            }
        }
        std::io::stdout().flush()?;
    }
    if !failed.is_empty() {
        bail!(
            "failed: {}. The table is not kept; SLIPWAY_BENCH=NAME runs one section",
            failed.join(", ")
        );
    }
    let path = artefacts::workspace().join("docs/bench.md");
    std::fs::write(&path, &table).with_context(|| format!("writing {}", path.display()))?;
    println!("\nkept in docs/bench.md");
    Ok(())
}

/// Each section gets a thread, because a lab moves its thread into a namespace.
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
