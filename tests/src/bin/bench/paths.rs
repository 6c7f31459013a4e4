//! Seconds from power-on to the kernel's first line, for each boot path: with Slipway, and with what people
//! combine today (dnsmasq for DHCP and TFTP, nginx, Debian 12's iPXE or GRUB), alternating in one run.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};
use e2e::boot_path::KERNEL_WITHIN;
use e2e::{BootPathSpec, Firmware, Lab, Vm, VmSpec, artefacts};
use inventory_api::boot::BootEventKind;

use crate::rivals::{ADDRESS, Rivals, end, started};

/// The kernel's first words, by `earlyprintk`.
const FIRST_LINE: &str = "Linux version ";
const NGINX_PORT: u16 = 8068;

struct Row {
    name: &'static str,
    firmware: Firmware,
    target: Option<f64>,
    /// What today's recipe gives this firmware.
    recipe: Recipe,
}

enum Recipe {
    /// This loader, then a script by HTTP.
    Ipxe(&'static str),
    /// shim and Debian 12's GRUB, all by TFTP.
    Grub,
    /// Not possible with Debian 12's packages.
    None,
}

const ROWS: [Row; 5] = [
    Row {
        name: "BIOS, iPXE in the card's ROM",
        firmware: Firmware::Bios,
        target: Some(5.5),
        recipe: Recipe::Ipxe("undionly.kpxe"),
    },
    Row {
        name: "UEFI PXE, snponly.efi",
        firmware: Firmware::Uefi,
        target: Some(10.5),
        recipe: Recipe::Ipxe("snponly.efi"),
    },
    Row {
        name: "UEFI HTTP boot, snponly.efi",
        firmware: Firmware::UefiHttp,
        target: None,
        recipe: Recipe::Ipxe("snponly.efi"),
    },
    Row {
        name: "Secure Boot, stock keys, by TFTP",
        firmware: Firmware::SecureBoot,
        target: None,
        recipe: Recipe::Grub,
    },
    Row {
        name: "Secure Boot, stock keys, by HTTP boot",
        firmware: Firmware::SecureBootHttp,
        target: Some(13.5),
        recipe: Recipe::None,
    },
];

pub fn section() -> Result<String> {
    let nginx = Rivals::unpack(&["nginx"]);
    let mut text = String::from(
        "\n## Boot paths\n\nSeconds from power-on to the kernel's first line, virtio, `small` mini-os. Slipway: as it is delivered, from its \
         second boot on with Secure Boot. Today's recipe: dnsmasq for DHCP and TFTP, nginx for script, kernel and initramfs (GRUB has them by \
         TFTP), loaders of Debian 12.\n\n\
         | path | Slipway | first DHCP | loader had its script | last file sent | today's recipe | target |\n| --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for row in ROWS {
        let (firmware, name) = (row.firmware, row.name);
        let ours = in_thread(move || ours(firmware)).with_context(|| format!("{name}, Slipway"))?;
        let theirs = match (&row.recipe, &nginx) {
            (Recipe::None, _) => "none".to_owned(),
            (Recipe::Ipxe(_), Err(error)) => format!("skipped: {error}"),
            (recipe, nginx) => format!("{:.1}", theirs(firmware, recipe, nginx.as_ref().ok())?),
        };
        let target = row.target.map_or(String::new(), |target| format!("{target:.1}"));
        text += &format!(
            "| {name} | **{:.1}** | {:.1} | {:.1} | {:.1} | {theirs} | {target} |\n",
            ours.kernel, ours.dhcp, ours.script, ours.files
        );
    }
    Ok(text)
}

/// On a thread of its own, because a lab moves its thread.
fn in_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    std::thread::spawn(work)
        .join()
        .map_err(|_| anyhow::anyhow!("a boot path panicked"))?
}

/// Seconds since power-on.
struct Times {
    dhcp: f64,
    script: f64,
    files: f64,
    kernel: f64,
}

fn ours(firmware: Firmware) -> Result<Times> {
    super::boot::block_on(async {
        let mut spec = BootPathSpec::new(&format!("path-{firmware}"), firmware);
        spec.vm.network_first = true;
        let mut path = spec.start().await?;
        if matches!(firmware, Firmware::SecureBoot | Firmware::SecureBootHttp) {
            path.vm.power_on()?;
            path.vm.wait_console("Access Denied", KERNEL_WITHIN).await?;
            path.vm.power_off();
        }
        let begun = super::boot::now()?;
        let kernel = power_on_to_kernel(&mut path.vm).await?;
        let journey = path.journey().await?;
        let times = |wanted: fn(&BootEventKind) -> bool| {
            let after = journey.events.iter().filter(|event| event.at >= begun);
            after
                .filter(|event| wanted(&event.what))
                .map(|event| event.at.since(begun) as f64 / 1000.0)
                .collect::<Vec<_>>()
        };
        let first = |times: Vec<f64>| times.first().copied().unwrap_or(f64::NAN);
        let files = times(|what| matches!(what, BootEventKind::Http { .. } | BootEventKind::Tftp { .. }));
        Ok(Times {
            dhcp: first(times(|what| matches!(what, BootEventKind::Dhcp { .. }))),
            script: first(times(|what| matches!(what, BootEventKind::Script { .. }))),
            files: files.last().copied().unwrap_or(f64::NAN),
            kernel,
        })
    })
}

fn theirs(firmware: Firmware, recipe: &Recipe, nginx: Option<&Rivals>) -> Result<f64> {
    let lab = Lab::enter()?;
    let directory = artefacts::run_directory("recipe")?;
    let root = directory.path();
    lay_out(root, recipe)?;
    let mut dnsmasq = Command::new("dnsmasq");
    dnsmasq.args([
        "-k",
        "-C",
        "/dev/null",
        "-p",
        "0",
        "--user=root",
        "--pid-file=",
        "--enable-tftp",
    ]);
    dnsmasq.arg(format!("--tftp-root={}", root.display()));
    dnsmasq.arg(format!("--dhcp-leasefile={}", root.join("leases").display()));
    dnsmasq.arg("--dhcp-range=10.77.0.100,10.77.0.199,1h");
    match recipe {
        Recipe::Ipxe(loader) => {
            dnsmasq.args([
                "--dhcp-match=set:ipxe,175",
                "--dhcp-vendorclass=set:http,HTTPClient",
            ]);
            dnsmasq.arg(format!("--dhcp-boot=tag:!ipxe,tag:!http,{loader}"));
            let base = format!("http://{ADDRESS}:{NGINX_PORT}");
            dnsmasq.arg(format!("--dhcp-boot=tag:!ipxe,tag:http,{base}/{loader}"));
            dnsmasq.arg("--dhcp-option-force=tag:http,60,HTTPClient");
            dnsmasq.arg(format!("--dhcp-boot=tag:ipxe,{base}/boot.ipxe"));
        }
        Recipe::Grub | Recipe::None => {
            dnsmasq.arg("--dhcp-boot=shimx64.efi");
        }
    }
    let _dnsmasq = started(dnsmasq, "udp", 67, &root.join("dnsmasq.log"))?;
    let nginx = match (recipe, nginx) {
        (Recipe::Ipxe(_), Some(rivals)) => Some(rivals.nginx(root, ADDRESS, NGINX_PORT)?),
        _ => None,
    };
    let mut spec = VmSpec::new(&format!("recipe-{firmware}"), firmware);
    spec.network_first = true;
    let mut vm = Vm::new(spec, lab.tap()?)?;
    let seconds = super::boot::block_on(power_on_to_kernel(&mut vm));
    // Its workers outlive a master that is killed.
    nginx.map_or(Ok(()), end)?;
    seconds
}

async fn power_on_to_kernel(vm: &mut Vm) -> Result<f64> {
    let begun = Instant::now();
    vm.power_on()?;
    vm.wait_console(FIRST_LINE, KERNEL_WITHIN).await?;
    Ok(begun.elapsed().as_secs_f64())
}

/// The files of a recipe.
fn lay_out(root: &Path, recipe: &Recipe) -> Result<()> {
    let mini_os = artefacts::built("mini-os/small", "mini-os")?;
    let copy = |from: &Path, to: &str| {
        std::fs::copy(from, root.join(to)).with_context(|| format!("copying {}", from.display()))
    };
    for file in ["kernel", "initramfs"] {
        copy(&mini_os.join(file), file)?;
    }
    let line = "console=tty0 console=ttyS0,115200 earlyprintk=ttyS0,115200";
    match recipe {
        Recipe::Ipxe(loader) => {
            copy(&Path::new("/usr/lib/ipxe").join(loader), loader)?;
            let script = format!("#!ipxe\nkernel kernel initrd=initramfs {line}\ninitrd initramfs\nboot\n");
            std::fs::write(root.join("boot.ipxe"), script)?;
        }
        Recipe::Grub | Recipe::None => {
            copy(Path::new("/usr/lib/shim/shimx64.efi.signed"), "shimx64.efi")?;
            let grub = Path::new("/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed");
            copy(grub, "grubx64.efi")?;
            std::fs::create_dir(root.join("grub"))?;
            let script = format!("set timeout=0\nlinux /kernel {line}\ninitrd /initramfs\nboot\n");
            std::fs::write(root.join("grub/grub.cfg"), script)?;
        }
    }
    Ok(())
}
