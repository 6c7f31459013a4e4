//! The boot menu: a few seconds in which a person at the machine's console can choose something else.
//!
//! The first entry is the server's decision, which is followed if nobody is there. For any other choice the
//! machine asks the server again, which decides about it and makes its script: no ticket is made for an entry
//! nobody chooses.

use inventory_api::Mac;
use inventory_api::boot::Choice;

use crate::boot::BootUrls;

/// Seconds until an open menu falls back to the server's decision.
const OPEN_SECONDS: u32 = 300;

/// What a person may choose, and how long the boot waits for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Menu {
    /// Seconds in which a key opens the menu.
    pub seconds: u32,
    /// Entries besides the server's decision.
    pub choices: Vec<Choice>,
}

/// An entry's text, and its key.
fn entry(choice: Choice) -> (&'static str, char) {
    match choice {
        Choice::LocalDisk => ("Local disk", 'd'),
        Choice::MiniOs => ("Mini-os: report the hardware and wait", 'o'),
        Choice::Rescue => ("Rescue: a shell, behind a password", 'r'),
        Choice::MemoryTest => ("Memory test (Memtest86+)", 't'),
    }
}

/// Puts the menu in front of an iPXE script. `decided`: what that script does, in words.
pub fn ipxe_menu(script: &str, menu: &Menu, urls: &BootUrls, mac: Mac, decided: &str) -> String {
    let begin = script.strip_prefix("#!ipxe\n").unwrap_or(script);
    let items: String = menu
        .choices
        .iter()
        .map(|choice| {
            let (words, key) = entry(*choice);
            // Neither exists for ARM, and only iPXE knows which processor it runs on.
            let not_arm = match choice {
                Choice::Rescue | Choice::MemoryTest => "iseq ${buildarch} arm64 || ",
                Choice::LocalDisk | Choice::MiniOs => "",
            };
            format!("{not_arm}item --key {key} {choice} {words} ({key})\n")
        })
        .collect();
    format!(
        "#!ipxe
prompt --key m --timeout {wait} Slipway: press m within {seconds} s for the boot menu || goto begin
:menu
menu Slipway: {mac}
item begin Go on: {decided}
{items}choose --timeout {open} --default begin chosen || goto begin
iseq ${{chosen}} begin && goto begin ||
chain --replace {base}/boot.ipxe?mac={mac}&choice=${{chosen}} || goto menu
:begin
{begin}",
        wait = menu.seconds * 1000,
        seconds = menu.seconds,
        open = OPEN_SECONDS * 1000,
        base = urls.base(),
    )
}

/// Like [`ipxe_menu`], for GRUB, which shows its entries while it waits. The memory test is left out:
/// Memtest86+ is not signed, and nothing unsigned may start here.
pub fn grub_menu(script: &str, menu: &Menu, decided: &str) -> String {
    let begin: String = script.lines().map(|line| format!("  {line}\n")).collect();
    let entries: String = menu
        .choices
        .iter()
        .filter(|choice| **choice != Choice::MemoryTest)
        .map(|choice| {
            let (words, key) = entry(*choice);
            format!("menuentry '{words} ({key})' --hotkey={key} {{\n  configfile /grub/{choice}.cfg\n}}\n")
        })
        .collect();
    format!(
        "set default=0
set timeout={seconds}
menuentry 'Go on: {decided}' {{
{begin}}}
{entries}",
        seconds = menu.seconds,
    )
}

/// The boot script that GRUB's file name stands for: the machine's own, or that of a menu choice. `None`: not
/// a script.
pub fn grub_script(name: &str) -> Option<Option<Choice>> {
    if name == crate::boot::script::GRUB_CONFIG {
        return Some(None);
    }
    let choice = name.strip_prefix("grub/")?.strip_suffix(".cfg")?;
    choice.parse().ok().map(Some)
}

/// Starts the memory test from iPXE: on BIOS it is booted like a kernel, on UEFI it is an EFI program. It
/// understands the kernel arguments `console=...` too.
pub fn memory_test_script(urls: &BootUrls, mac: Mac, kernel_args: &[String]) -> String {
    let consoles: String = kernel_args
        .iter()
        .filter(|word| {
            word.starts_with("console=ttyS")
                && word
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"=,".contains(&b))
        })
        .map(|word| format!(" {word}"))
        .collect();
    let base = urls.base();
    format!(
        "#!ipxe
echo Slipway: {mac} runs the memory test
iseq ${{platform}} efi && goto efi ||
kernel {base}/boot/{bios}{consoles} || goto failed
boot || goto failed
:efi
chain {base}/boot/{efi}{consoles} || goto failed
:failed
echo Slipway: the memory test cannot be started, restarting in 20 s
sleep 20
reboot
",
        bios = MEMORY_TEST[0],
        efi = MEMORY_TEST[1],
    )
}

/// The names Memtest86+ is served under, for BIOS and UEFI.
pub const MEMORY_TEST: [&str; 2] = ["memtest.bin", "memtest.efi"];

/// Shows on the console why a choice is refused, then asks what to boot.
pub fn refusal_script(urls: &BootUrls, mac: Mac, why: &str) -> String {
    ask_again(urls, mac, &format!("not possible: {}", plain(why)), "sleep 6")
}

/// Shows why the machine is held. Repeats DHCP, which tells the server that the machine is booting, then asks
/// what to boot.
pub fn held_script(urls: &BootUrls, mac: Mac, why: &str) -> String {
    ask_again(urls, mac, &plain(why), "sleep 10\ndhcp netX || reboot")
}

fn ask_again(urls: &BootUrls, mac: Mac, says: &str, before: &str) -> String {
    format!(
        "#!ipxe
echo Slipway: {says}
{before}
chain --replace {base}/boot.ipxe?mac={mac} || reboot
",
        base = urls.base(),
    )
}

/// Like [`refusal_script`], for GRUB.
pub fn grub_refusal_script(why: &str) -> String {
    format!(
        "echo 'Slipway: not possible: {}'\nsleep 6\nconfigfile /grub/grub.cfg\n",
        plain(why)
    )
}

/// A sentence without characters that are special to iPXE, or to GRUB in quotes.
fn plain(text: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || " .,:()-_/".contains(c);
    text.chars()
        .map(|c| if harmless(c) { c } else { ' ' })
        .take(200)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::script::{grub_local_disk_script, local_disk_script};
    use std::net::Ipv4Addr;

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const URLS: BootUrls = BootUrls {
        server: Ipv4Addr::new(10, 0, 0, 1),
        http_port: 8067,
    };

    fn menu() -> Menu {
        Menu {
            seconds: 3,
            choices: vec![Choice::LocalDisk, Choice::Rescue, Choice::MemoryTest],
        }
    }

    #[test]
    fn in_ipxe_a_key_opens_the_menu_and_a_choice_asks_the_server_again() {
        let script = ipxe_menu(&local_disk_script(MAC), &menu(), &URLS, MAC, "local disk");
        let expected = "#!ipxe
prompt --key m --timeout 3000 Slipway: press m within 3 s for the boot menu || goto begin
:menu
menu Slipway: 02:00:00:00:00:01
item begin Go on: local disk
item --key d local-disk Local disk (d)
iseq ${buildarch} arm64 || item --key r rescue Rescue: a shell, behind a password (r)
iseq ${buildarch} arm64 || item --key t memory-test Memory test (Memtest86+) (t)
choose --timeout 300000 --default begin chosen || goto begin
iseq ${chosen} begin && goto begin ||
chain --replace http://10.0.0.1:8067/boot.ipxe?mac=02:00:00:00:00:01&choice=${chosen} || goto menu
:begin
echo Slipway: 02:00:00:00:00:01 boots its own disk
";
        assert!(script.starts_with(expected), "{script}");
        assert!(script.ends_with(":next\nexit 1\n"));
    }

    #[test]
    fn in_grub_the_first_entry_is_the_decision_and_nothing_unsigned_is_offered() {
        let script = grub_menu(&grub_local_disk_script(MAC), &menu(), "local disk");
        assert!(
            script.starts_with(
                "set default=0\nset timeout=3\nmenuentry 'Go on: local disk' {\n  set timeout=0\n"
            )
        );
        assert!(script.contains("menuentry 'Rescue: a shell, behind a password (r)' --hotkey=r {\n  configfile /grub/rescue.cfg\n}\n"));
        assert!(!script.contains("emory"), "{script}");
        assert_eq!(script.matches('{').count(), script.matches('}').count());
        for (name, expected) in [
            ("grub/grub.cfg", Some(None)),
            ("grub/rescue.cfg", Some(Some(Choice::Rescue))),
            ("grub/local-disk.cfg", Some(Some(Choice::LocalDisk))),
            ("grub/other.cfg", None),
            ("rescue.cfg", None),
            ("grub/x86_64-efi/http.mod", None),
        ] {
            assert_eq!(grub_script(name), expected, "{name}");
        }
    }

    #[test]
    fn the_memory_test_gets_the_serial_consoles() {
        let args = [
            "console=tty0",
            "console=ttyS0,115200",
            "quiet",
            "console=ttyS1;reboot",
        ]
        .map(str::to_owned);
        let script = memory_test_script(&URLS, MAC, &args);
        assert!(
            script.contains(
                "kernel http://10.0.0.1:8067/boot/memtest.bin console=ttyS0,115200 || goto failed\n"
            )
        );
        assert!(
            script.contains("\n:efi\nchain http://10.0.0.1:8067/boot/memtest.efi console=ttyS0,115200 ||")
        );
    }

    #[test]
    fn no_sentence_can_change_a_script() {
        let evil = "x'; reboot || ${net0/mac}\nexit && \"#";
        for script in [refusal_script(&URLS, MAC, evil), grub_refusal_script(evil)] {
            let line = script.lines().find(|line| line.contains("not possible")).unwrap();
            let said = line
                .split("not possible: ")
                .nth(1)
                .unwrap()
                .trim_end_matches('\'');
            assert!(
                !said.contains(['\'', '$', '|', '&', ';', '"', '#', '{']),
                "{said}"
            );
        }
        assert!(
            refusal_script(&URLS, MAC, "no").ends_with(
                "chain --replace http://10.0.0.1:8067/boot.ipxe?mac=02:00:00:00:00:01 || reboot\n"
            )
        );
    }
}
