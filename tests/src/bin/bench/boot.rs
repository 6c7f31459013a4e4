//! Virtual servers: how little memory the mini-os needs, and where the time of a first boot goes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use e2e::scenario::profile;
use e2e::{Firmware, Lab, Server, ServerSpec, Vm, VmSpec, artefacts};
use inventory_api::UnixMs;
use inventory_api::boot::BootEventKind;

pub fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

pub fn now() -> Result<UnixMs> {
    Ok(UnixMs(
        SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as i64
    ))
}

async fn server(lab: &str, serial: Option<String>) -> Result<(Server, tempfile::TempDir)> {
    let directory = artefacts::run_directory(lab)?;
    let server = Server::start(ServerSpec {
        directory: directory.path().to_owned(),
        mini_os: artefacts::built("mini-os/full", "mini-os")?,
        images: artefacts::built("images", "image")?,
        profile: serial.map(|serial| (serial, profile(artefacts::RECIPE))),
        network: ServerSpec::SERVER_MODE.to_owned(),
        more: String::new(),
    })
    .await?;
    Ok((server, directory))
}

/// Bisects between "too little" and "enough", down to 16 MiB.
pub fn smallest_memory() -> Result<String> {
    let (mut too_little, mut enough) = (64, 512);
    let mut runs = Vec::new();
    while enough - too_little > 16 {
        let memory = (too_little + enough) / 2 / 16 * 16;
        let reported = block_on(reports_in(memory))?;
        runs.push(format!("{memory} {}", if reported { "yes" } else { "no" }));
        if reported {
            enough = memory
        } else {
            too_little = memory
        }
    }
    Ok(format!(
        "\n## Smallest memory\n\n`full` mini-os on SeaBIOS, q35, virtio: boots and its report is taken. Target: 256 MiB.\n\n\
         **{enough} MiB** (tried, in MiB: {}).\n",
        runs.join(", ")
    ))
}

async fn reports_in(memory: u32) -> Result<bool> {
    let lab = Lab::enter()?;
    let name = format!("mem{memory}");
    let (server, _directory) = server(&name, None).await?;
    let mut spec = VmSpec::new(&name, Firmware::Bios);
    spec.memory_mib = memory;
    let serial = spec.system_serial();
    let mut vm = Vm::new(spec, lab.tap()?)?;
    vm.power_on()?;
    Ok(server
        .api()?
        .wait_state(&serial, "ready", Duration::from_secs(75))
        .await
        .is_ok())
}

/// Where the time goes from power-on to Deployed.
pub fn first_boot(firmware: Firmware) -> Result<String> {
    block_on(phases(firmware))
}

async fn phases(firmware: Firmware) -> Result<String> {
    let lab = Lab::enter()?;
    let name = format!("bench-{firmware}");
    let spec = VmSpec::new(&name, firmware);
    let (server, _directory) = server(&name, Some(spec.system_serial())).await?;
    let (serial, mac) = (spec.system_serial(), spec.mac.clone());
    let mut vm = Vm::new(spec, lab.tap()?)?;
    let begun = now()?;
    vm.power_on()?;
    let api = server.api()?;
    let detail = api
        .wait_state(&serial, "deployed", Duration::from_secs(900))
        .await
        .with_context(|| vm.tail(30))?;
    let journey = api.journey(&mac).await?;
    let history = api.history(&serial).await?;
    let mut marks: Vec<(String, UnixMs)> = Vec::new();
    if let Some(first) = journey.events.first() {
        marks.push(("firmware asks for an address".into(), first.at));
    }
    if let Some(script) = journey
        .events
        .iter()
        .find(|e| matches!(e.what, BootEventKind::Script { .. }))
    {
        marks.push(("loader has its boot script".into(), script.at));
    }
    for row in &history {
        let mark = match row.event.as_str() {
            "claimed" => "mini-os is up, ticket claimed".to_owned(),
            "reported" => "asset report taken and checked".to_owned(),
            "install-done" => "installed".to_owned(),
            "resident-reported" => "booted from disk, resident agent reports".to_owned(),
            "verified" => "verified: Deployed".to_owned(),
            _ => continue,
        };
        marks.push((mark, row.at));
    }
    let mut text = format!(
        "\n## First boot, {firmware}\n\n`full` mini-os, image {} ({} MB compressed), 1 GiB of memory, virtio disk. Target: Deployed in \
         under 180 s in emulation.\n\n| until | at s | phase s |\n| --- | --- | --- |\n",
        detail
            .plan
            .as_ref()
            .map_or(String::new(), |p| format!("{} {}", p.image, p.image_version)),
        compressed(&detail) / 1_000_000
    );
    let mut before = begun;
    for (mark, at) in &marks {
        let seconds = |from: UnixMs| at.since(from) as f64 / 1000.0;
        text += &format!("| {mark} | {:.1} | {:.1} |\n", seconds(begun), seconds(before));
        before = *at;
    }
    if let Some(report) = &detail.report {
        text += &format!(
            "\nThe report's collectors took {} ms on the installed system.\n",
            report.collect_ms
        );
    }
    Ok(text)
}

fn compressed(detail: &inventory_api::machine::MachineDetail) -> u64 {
    let steps = detail.plan.iter().flat_map(|p| &p.steps);
    steps
        .filter_map(|s| match s {
            inventory_api::plan::Step::WriteImage { source, .. } => Some(source.compressed_bytes),
            _ => None,
        })
        .sum()
}
