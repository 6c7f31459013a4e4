//! Boot scripts for iPXE and, on machines with Secure Boot, for Debian's signed GRUB.
//!
//! iPXE may be as old as Debian 12's (git of January 2019): scripts use only commands and options it has.
//!
//! No script repeats DHCP: iPXE already has the lease it fetched the script with.

use inventory_api::Mac;
use inventory_api::boot::BootArgs;

use crate::boot::BootUrls;
use crate::boot::loader::Loader;

/// Attempts to fetch kernel and archives before the machine restarts.
const TRIES: u32 = 5;
/// Longest kernel command line on x86 (COMMAND_LINE_SIZE), including its terminator.
const MAX_COMMAND_LINE: usize = 2047;

/// Why a script cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// A word would change the script. It is not shown, since it may be the ticket.
    #[error("kernel argument number {0} contains a space, a control character or one of \" $ & | ; # \\")]
    Word(usize),
    /// The command line is too long.
    #[error("the kernel command line has {0} characters; at most {MAX_COMMAND_LINE} are allowed")]
    TooLong(usize),
}

/// Whether each argument is a single word to iPXE and GRUB.
///
/// # Errors
/// [`ScriptError::Word`]
pub fn check_kernel_args(args: &[String]) -> Result<(), ScriptError> {
    let bad = |c: char| !c.is_ascii_graphic() || "\"$&|;#\\'`".contains(c);
    match args
        .iter()
        .position(|word| word.is_empty() || word.chars().any(bad))
    {
        Some(number) => Err(ScriptError::Word(number)),
        None => Ok(()),
    }
}

/// Kernel arguments, where a more specific setting (network, rule) replaces all arguments of the same name:
/// `console=ttyS1,115200` for one model removes every general `console=` and keeps the other words.
pub fn narrowed(general: &[String], narrower: &[String]) -> Vec<String> {
    fn name(word: &str) -> &str {
        word.split('=').next().unwrap_or(word)
    }
    let kept = general
        .iter()
        .filter(|word| narrower.iter().all(|other| name(other) != name(word)));
    kept.chain(narrower).cloned().collect()
}

/// The words of the mini-os kernel's command line, each a single word to iPXE and GRUB.
fn words(args: &BootArgs, extra: &[String], first: &[&str]) -> Result<Vec<String>, ScriptError> {
    let mut words: Vec<String> = first.iter().map(|word| (*word).to_owned()).collect();
    words.extend(extra.iter().cloned());
    words.extend(args.to_words());
    check_kernel_args(&words)?;
    let length = words.iter().map(|word| word.len() + 1).sum::<usize>() - 1;
    if length > MAX_COMMAND_LINE {
        return Err(ScriptError::TooLong(length));
    }
    Ok(words)
}

/// What the server has for machines whose firmware starts only signed programs. iPXE itself runs there only
/// if it was signed by somebody the firmware trusts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trusted {
    /// A unified kernel image signed by the site: [`UNIFIED`].
    pub unified: bool,
    /// Debian's shim, which trusts Debian's kernel: for an iPXE signed by Microsoft.
    pub shim: bool,
}

/// Name of the site's unified kernel image.
pub const UNIFIED: &str = "mini-os.efi";

/// iPXE since 2023 can read firmware variables (`core/efi_settings.c`); an older one finds nothing and goes
/// on.
const SECURE_BOOT: &str = "iseq ${efi/SecureBoot:hexraw} 01";

/// The script that boots the mini-os.
pub fn mini_os_script(
    urls: &BootUrls,
    args: &BootArgs,
    extra: &[String],
    trusted: Trusted,
) -> Result<String, ScriptError> {
    // The EFI stub loads what initrd= names from iPXE's virtual file system, in this order. On BIOS the words
    // mean nothing, and iPXE passes on every initrd it fetched.
    let line = words(args, extra, &["initrd=initramfs", "initrd=site"])?.join(" ");
    let base = urls.base();
    // Its own command line is signed; the agent asks for the words ours would have. Firmware that does not
    // trust the site goes on.
    let unified = if trusted.unified {
        format!(
            "{SECURE_BOOT} || goto again
imgfree
kernel --name {UNIFIED} {base}/boot/{UNIFIED} || goto again
boot ||
echo Slipway: this firmware does not trust the site's own key
"
        )
    } else {
        String::new()
    };
    let shim = if trusted.shim {
        format!("{SECURE_BOOT} && shim {base}/boot/{} ||\n", Loader::Signed.file())
    } else {
        String::new()
    };
    // iPXE tells its own processor: that gives the folder of the mini-os, empty for x86-64.
    Ok(format!(
        "#!ipxe
echo Slipway: {mac} boots the mini-os ({purpose})
set tries:int32 0
iseq ${{buildarch}} arm64 && set folder arm64/ ||
{unified}:again
imgfree
{shim}kernel --name kernel {base}/boot/${{folder}}kernel {line} || goto failed
initrd --name initramfs {base}/boot/${{folder}}initramfs || goto failed
initrd --name site {base}/boot/site || goto failed
boot || goto failed
:failed
inc tries
iseq ${{tries}} {TRIES} && goto restart ||
echo Slipway: boot files cannot be fetched from {base}, try ${{tries}} of {TRIES}, again in 3 s
sleep 3
goto again
:restart
echo Slipway: no luck, restarting in 20 s
sleep 20
reboot
",
        mac = args.mac,
        purpose = args.purpose,
    ))
}

/// The file that newer iPXE for UEFI fetches from its own folder before anything else.
pub const AUTOEXEC: &str = "autoexec.ipxe";

/// That file: uses the lease that the firmware got, without repeating DHCP, and goes straight to the boot
/// script. It says nothing about any machine, so anybody may read it.
///
/// iPXE since 2023 takes over the firmware's lease for the NIC it was loaded through ("cached DHCPACK"): that
/// NIC has an address before anything was opened. `ipxe.efi` with its own drivers sees other NICs too.
pub fn autoexec_script(urls: &BootUrls) -> String {
    let base = urls.base();
    format!(
        "#!ipxe
set nic:int32 0
:next
isset ${{net${{nic}}/mac}} || goto ask
isset ${{net${{nic}}/ip}} && goto opened ||
inc nic
goto next
:opened
ifopen net${{nic}} || goto ask
chain --replace {base}/boot.ipxe?mac=${{net${{nic}}/mac}} || sleep 3
chain --replace {base}/boot.ipxe?mac=${{net${{nic}}/mac}} || goto failed
:ask
echo Slipway: the firmware left no address, asking for one
dhcp || goto failed
chain --replace {base}/boot.ipxe?mac=${{netX/mac}} || goto failed
:failed
echo Slipway: no boot script from {base}, next boot option in 5 s
sleep 5
exit 1
"
    )
}

/// The script that boots the local disk. On BIOS, straight from the first disk. On UEFI, by exiting with an
/// error, so that the firmware goes on to its next boot entry: a plain `exit` drops some into their boot
/// manager, and `sanboot` tries removable media first.
pub fn local_disk_script(mac: Mac) -> String {
    format!(
        "#!ipxe
echo Slipway: {mac} boots its own disk
iseq ${{platform}} efi && goto next ||
sanboot --no-describe --drive 0x80 || goto next
:next
exit 1
"
    )
}

/// The first file GRUB fetches, relative to where it was loaded from; the prefix is compiled into Debian's
/// network builds.
pub const GRUB_CONFIG: &str = "grub/grub.cfg";

/// Like [`mini_os_script`], for GRUB. Paths without a device refer to where GRUB came from: TFTP or HTTP
/// boot.
pub fn grub_mini_os_script(args: &BootArgs, extra: &[String]) -> Result<String, ScriptError> {
    // GRUB interprets nothing in single quotes, and no word contains one.
    let line = words(args, extra, &[])?
        .iter()
        .map(|word| format!("'{word}'"))
        .collect::<Vec<_>>()
        .join(" ");
    Ok(format!(
        "set timeout=0
echo 'Slipway: {mac} boots the mini-os ({purpose}) by the signed chain'
if linux /boot/kernel {line} ; then
  if initrd /boot/initramfs /boot/site ; then
    boot
  fi
fi
echo 'Slipway: boot files cannot be fetched, restarting in 20 s'
sleep 20
reboot
",
        mac = args.mac,
        purpose = args.purpose,
    ))
}

/// Like [`local_disk_script`], for GRUB: starts the installed system's loader from the EFI system partition
/// through GRUB's chainloader, which asks shim to verify it; else returns to the firmware.
pub fn grub_local_disk_script(mac: Mac) -> String {
    format!(
        "set timeout=0
echo 'Slipway: {mac} boots its own disk'
if search --no-floppy --set=esp --file /EFI/debian/grubx64.efi ; then
  set root=$esp
  chainloader /EFI/debian/grubx64.efi
  boot
fi
exit
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use inventory_api::UnixMs;
    use inventory_api::boot::Purpose;
    use std::net::Ipv4Addr;

    fn args() -> BootArgs {
        BootArgs {
            server: "https://10.0.0.1:8443".into(),
            boot_url: "http://10.0.0.1:8067".into(),
            mac: Mac([2, 0, 0, 0, 0, 1]),
            ticket: "abc-DEF_0".into(),
            time: UnixMs(1_700_000_000_000),
            purpose: Purpose::Commission,
        }
    }

    const URLS: BootUrls = BootUrls {
        server: Ipv4Addr::new(10, 0, 0, 1),
        http_port: 8067,
    };

    #[test]
    fn more_specific_arguments_replace_those_of_the_same_name() {
        let list = |words: &str| words.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for (general, narrower, expected) in [
            (
                "console=tty0 console=ttyS0 iommu=pt",
                "console=ttyS1,115200",
                "iommu=pt console=ttyS1,115200",
            ),
            ("quiet console=ttyS0", "", "quiet console=ttyS0"),
            ("quiet", "quiet debug", "quiet debug"),
            ("", "console=ttyAMA0", "console=ttyAMA0"),
        ] {
            assert_eq!(narrowed(&list(general), &list(narrower)), list(expected));
        }
        assert_eq!(check_kernel_args(&list("a=b c")), Ok(()));
        assert_eq!(
            check_kernel_args(&["a".to_owned(), "b c".to_owned()]),
            Err(ScriptError::Word(1))
        );
    }

    #[test]
    fn mini_os() {
        let script = mini_os_script(
            &URLS,
            &args(),
            &["console=ttyS0,115200".into()],
            Trusted::default(),
        )
        .unwrap();
        let kernel = script.lines().find(|line| line.starts_with("kernel ")).unwrap();
        let command = kernel.strip_suffix(" || goto failed").unwrap();
        let command = command
            .strip_prefix("kernel --name kernel http://10.0.0.1:8067/boot/${folder}kernel ")
            .unwrap();
        assert!(command.starts_with("initrd=initramfs initrd=site console=ttyS0,115200 slipway.server="));
        assert!(
            BootArgs::parse(command).unwrap() == args(),
            "the agent reads what was meant"
        );
        assert!(script.contains("initrd --name initramfs http://10.0.0.1:8067/boot/${folder}initramfs "));
        assert!(
            script.contains("\niseq ${buildarch} arm64 && set folder arm64/ ||\n"),
            "otherwise it is empty"
        );
        assert!(script.contains("initrd --name site http://10.0.0.1:8067/boot/site "));
        assert!(script.starts_with("#!ipxe\n") && !script.contains("dhcp"));
        assert!(script.lines().all(|line| !line.ends_with(' ')));
        for label in ["again", "failed", "restart"] {
            assert_eq!(script.matches(&format!("\n:{label}\n")).count(), 1, "{label}");
        }
    }

    #[test]
    fn under_secure_boot_the_signed_image_is_tried_before_what_shim_trusts() {
        let trusted = Trusted {
            unified: true,
            shim: true,
        };
        let script = mini_os_script(&URLS, &args(), &[], trusted).unwrap();
        let at = |text: &str| script.find(text).unwrap_or_else(|| panic!("{text} in {script}"));
        let unified =
            "kernel --name mini-os.efi http://10.0.0.1:8067/boot/mini-os.efi || goto again\nboot ||\n";
        let shim = "iseq ${efi/SecureBoot:hexraw} 01 && shim http://10.0.0.1:8067/boot/shimx64.efi ||\n";
        assert!(at("01 || goto again\n") < at(unified) && at(unified) < at(":again\nimgfree\n"));
        assert!(at(":again\n") < at(shim) && at(shim) < at("kernel --name kernel "));
        let ticket = script.find("slipway.ticket").unwrap();
        assert!(ticket > at(shim), "the signed image gets no words");
        let plain = mini_os_script(&URLS, &args(), &[], Trusted::default()).unwrap();
        assert!(!plain.contains("efi/SecureBoot") && !plain.contains("shim"));
    }

    #[test]
    fn mini_os_by_grub() {
        let script = grub_mini_os_script(&args(), &["console=ttyS0,115200".into()]).unwrap();
        let kernel = script.lines().find(|line| line.contains("linux ")).unwrap();
        let command = kernel.strip_prefix("if linux /boot/kernel ").unwrap();
        let command = command.strip_suffix(" ; then").unwrap().replace('\'', "");
        assert!(command.starts_with("console=ttyS0,115200 slipway.server="));
        assert!(BootArgs::parse(&command).unwrap() == args());
        assert!(script.contains("initrd /boot/initramfs /boot/site ;"));
        let mut evil = args();
        evil.ticket = "a';reboot;'".into();
        assert!(grub_mini_os_script(&evil, &[]).is_err());
    }

    #[test]
    fn no_word_can_change_the_script() {
        for evil in [
            "a b",
            "a\nreboot",
            "${net0/mac}",
            "a||shell",
            "a&&b",
            "",
            "#x",
            "caf\u{e9}",
        ] {
            let mut with = args();
            with.ticket = evil.to_owned();
            let by_ticket = mini_os_script(&URLS, &with, &[], Trusted::default());
            assert!(by_ticket.is_err() || evil.is_empty(), "{evil:?}");
            assert!(
                mini_os_script(&URLS, &args(), &[evil.to_owned()], Trusted::default()).is_err(),
                "{evil:?}"
            );
        }
        let long = mini_os_script(&URLS, &args(), &["x".repeat(2000)], Trusted::default());
        assert!(matches!(long, Err(ScriptError::TooLong(_))));
    }

    #[test]
    fn autoexec_uses_the_existing_lease() {
        let script = autoexec_script(&URLS);
        let with_lease =
            script.find("chain --replace http://10.0.0.1:8067/boot.ipxe?mac=${net${nic}/mac} || sleep 3");
        assert!(with_lease.unwrap() < script.find("\ndhcp ").unwrap());
        assert!(
            script.starts_with("#!ipxe\n") && !script.contains("slipway."),
            "{script}"
        );
        for label in ["next", "opened", "ask", "failed"] {
            assert_eq!(script.matches(&format!("\n:{label}\n")).count(), 1, "{label}");
        }
    }

    #[test]
    fn local_disk_never_falls_into_a_boot_manager() {
        let script = local_disk_script(Mac([2, 0, 0, 0, 0, 1]));
        assert!(script.contains("sanboot --no-describe --drive 0x80 || goto next\n"));
        assert!(script.ends_with(":next\nexit 1\n"));
    }
}
