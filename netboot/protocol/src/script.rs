//! Boot scripts for iPXE, as old as Debian 12's (git of January 2019): only commands and options it has.
//!
//! No script asks DHCP a second time: iPXE fetched it over the lease it has.

use inventory_api::Mac;
use inventory_api::boot::BootArgs;

use crate::boot::BootUrls;

/// Times that kernel and archives are asked for before the machine restarts.
const TRIES: u32 = 5;
/// Longest kernel command line of x86 (COMMAND_LINE_SIZE) with its end.
const MAX_COMMAND_LINE: usize = 2047;

/// Why there is no script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// A word would change the script. The word is not shown: it may be the ticket.
    #[error("kernel argument number {0} has a space or one of \" $ & | ; # \\ or a control character")]
    Word(usize),
    /// Too long.
    #[error("the kernel command line has {0} characters, the most is {MAX_COMMAND_LINE}")]
    TooLong(usize),
}

/// The script that boots the mini-os.
pub fn mini_os_script(urls: &BootUrls, args: &BootArgs, extra: &[String]) -> Result<String, ScriptError> {
    // The EFI stub loads what initrd= names from iPXE's virtual file system, in this order; on BIOS the words mean
    // nothing and iPXE hands over every initrd it fetched.
    let mut words = vec!["initrd=initramfs".to_owned(), "initrd=site".to_owned()];
    words.extend(extra.iter().cloned());
    words.extend(args.to_words());
    for (number, word) in words.iter().enumerate() {
        let bad = |c: char| !c.is_ascii_graphic() || "\"$&|;#\\'`".contains(c);
        if word.is_empty() || word.chars().any(bad) {
            return Err(ScriptError::Word(number));
        }
    }
    let line = words.join(" ");
    if line.len() > MAX_COMMAND_LINE {
        return Err(ScriptError::TooLong(line.len()));
    }
    let base = urls.base();
    Ok(format!(
        "#!ipxe
echo Slipway: {mac} boots the mini-os ({purpose})
set tries:int32 0
:again
imgfree
kernel --name kernel {base}/boot/kernel {line} || goto failed
initrd --name initramfs {base}/boot/initramfs || goto failed
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

/// The script that boots the local disk. On BIOS straight from the first disk; on UEFI by leaving with an error, which
/// makes the firmware go on to its next boot entry (a plain `exit` drops some into their boot manager, and `sanboot`
/// takes removable media first).
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
    fn mini_os() {
        let script = mini_os_script(&URLS, &args(), &["console=ttyS0,115200".into()]).unwrap();
        let kernel = script.lines().find(|line| line.starts_with("kernel ")).unwrap();
        let command = kernel.strip_suffix(" || goto failed").unwrap();
        let command = command
            .strip_prefix("kernel --name kernel http://10.0.0.1:8067/boot/kernel ")
            .unwrap();
        assert!(command.starts_with("initrd=initramfs initrd=site console=ttyS0,115200 slipway.server="));
        assert!(
            BootArgs::parse(command).unwrap() == args(),
            "what the agent reads is what was meant"
        );
        assert!(script.contains("initrd --name initramfs http://10.0.0.1:8067/boot/initramfs "));
        assert!(script.contains("initrd --name site http://10.0.0.1:8067/boot/site "));
        assert!(script.starts_with("#!ipxe\n") && !script.contains("dhcp"));
        assert!(script.lines().all(|line| !line.ends_with(' ')));
        for label in ["again", "failed", "restart"] {
            assert_eq!(script.matches(&format!("\n:{label}\n")).count(), 1, "{label}");
        }
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
            let by_ticket = mini_os_script(&URLS, &with, &[]);
            assert!(by_ticket.is_err() || evil.is_empty(), "{evil:?}");
            assert!(
                mini_os_script(&URLS, &args(), &[evil.to_owned()]).is_err(),
                "{evil:?}"
            );
        }
        let long = mini_os_script(&URLS, &args(), &["x".repeat(2000)]);
        assert!(matches!(long, Err(ScriptError::TooLong(_))));
    }

    #[test]
    fn local_disk_never_falls_into_a_boot_manager() {
        let script = local_disk_script(Mac([2, 0, 0, 0, 0, 1]));
        assert!(script.contains("sanboot --no-describe --drive 0x80 || goto next\n"));
        assert!(script.ends_with(":next\nexit 1\n"));
    }
}
