//! `slipway explain`: how far a machine came, in one sentence, from what was heard of it, and what to look at when it came no
//! further.

use inventory_api::boot::{BootEvent, BootEventKind, BootTarget, Purpose};
use inventory_api::machine::MachineSummary;
use inventory_api::{Mac, UnixMs};
use netboot_protocol::UNIFIED;
use netboot_protocol::architecture::unsupported_client;

use crate::boot_files::GRUB;

/// Silence of this length is worth a word.
const QUIET_MS: u64 = 60_000;
/// So many offers in a row that were not taken are no accident: firmware asks four times (PXE 2.1, 2.2.4: 4, 8, 16, 32 s).
const OFFERS: usize = 3;

/// How far it came and what to look at.
pub fn diagnose(mac: Mac, events: &[BootEvent], machine: Option<&MachineSummary>, now: UnixMs) -> String {
    let what = match last(events) {
        None if machine.is_some() => format!("Nothing was heard from {mac} since the server started."),
        None => format!(
            "Nothing was ever heard from {mac}: is it powered on, set to network boot first, and is this NIC on a \
             provisioning network? A switch port that takes 30 s to forward (spanning tree) looks the same."
        ),
        Some(last) => {
            let agent = machine
                .and_then(|machine| machine.last_seen)
                .filter(|seen| *seen >= last.at);
            match agent {
                Some(seen) => format!(
                    "It came up: its agent was heard {} s ago.",
                    now.since(seen) / 1000
                ),
                None => stage(events, last, now),
            }
        }
    };
    match machine {
        Some(machine) => format!("{what} {}", machine.status.sentence),
        None if events.is_empty() => what,
        None => format!("{what} No machine with this MAC is enrolled yet."),
    }
}

/// The last thing that tells how far it came: who asks for a length (HEAD) has fetched nothing yet.
fn last(events: &[BootEvent]) -> Option<&BootEvent> {
    let only_length = |event: &&BootEvent| matches!(&event.what, BootEventKind::Http { head: true, status, .. } if *status < 400);
    let told = events.iter().rev().find(|event| !only_length(event));
    told.or(events.last())
}

/// Where a boot stands that has not come to the agent.
fn stage(events: &[BootEvent], last: &BootEvent, now: UnixMs) -> String {
    let quiet = now.since(last.at) >= QUIET_MS;
    let seconds = now.since(last.at) / 1000;
    match &last.what {
        BootEventKind::Dhcp {
            message,
            client,
            answer,
            boot_file,
            ..
        } => match (answer.as_str(), boot_file) {
            ("offer" | "ack" | "advertise" | "reply", None) if unsupported_client(client).is_some() => {
                let (name, advice) = unsupported_client(client).map_or(("", ""), |it| (it.name, it.advice));
                format!("It has an address, and there is no boot file for {name}: {advice}.")
            }
            ("offer" | "would-offer" | "advertise" | "would-advertise", _)
                if untaken_offers(events) >= OFFERS =>
            {
                let offers = untaken_offers(events);
                format!(
                    "It asked for an address {offers} times in a row ({client}), was offered one each time, and never took it: \
                     another DHCP server's offer is taken first, the offers do not reach it (VLAN, or a switch port that \
                     forwards too late: spanning tree), or its firmware does not like them."
                )
            }
            ("offer" | "advertise", _) if quiet => format!(
                "It asked for an address ({client}, {message}), was offered one, and has been silent for {seconds} s: it did \
                 not take the offer. Another DHCP server on this network, or a firmware that did not like the offer."
            ),
            ("ack" | "reply", Some(file)) if quiet => format!(
                "It has an address and was told to load {file}, but did not fetch it for {seconds} s: TFTP or HTTP from \
                 the machine to this server may be filtered."
            ),
            ("offer" | "ack" | "advertise" | "reply", Some(file)) => {
                format!("DHCP works ({client}); it loads {file} next.")
            }
            ("offer" | "ack" | "advertise" | "reply", None) => {
                format!("DHCP works ({client}); no boot file was asked for or given.")
            }
            ("nak", _) => {
                "It asked for an address it may not have and was told so; it asks anew next.".to_owned()
            }
            ("unknown-relay", _) => format!(
                "Its DHCP {message} came through a relay that belongs to no configured network: add a [[network]] with the \
                 subnet behind that relay, or point the relay elsewhere."
            ),
            (silence, _) => {
                format!("Its DHCP {message} ({client}) was heard and deliberately not answered: {silence}.")
            }
        },
        BootEventKind::Tftp {
            file,
            bytes,
            complete: false,
            ..
        } => format!(
            "It broke off {file} after {bytes} bytes of TFTP. Once is normal (firmware asks for the size first); again and \
             again it is a bad link or a packet size that does not pass."
        ),
        BootEventKind::Tftp { file, bytes, .. } => fetched(file, *bytes, "TFTP", quiet.then_some(seconds)),
        BootEventKind::Http {
            status: 403, path, ..
        } => {
            let from = last
                .ip
                .map_or_else(|| "an address".to_owned(), |ip| ip.to_string());
            format!(
                "{from} asked for its {path} and was refused: that address does not hold this machine's lease. Either \
                 somebody tries to speak for it, or it uses an address that it did not get from this server."
            )
        }
        BootEventKind::Http {
            path, status: 404, ..
        } if path.contains("/arm64/") => format!(
            "It asked for {path}, and this server has no mini-os for 64-bit ARM: run `slipway mini-os build --arch arm64 \
             --agent FILE`; no restart is needed."
        ),
        BootEventKind::Http { path, status, .. } if *status >= 400 => {
            format!(
                "It asked for {path} and got status {status}: a file is missing on the server, or it is to be left alone."
            )
        }
        BootEventKind::Http { path, head: true, .. } => {
            format!("It asked how long {path} is; it loads that next.")
        }
        BootEventKind::Http {
            path,
            bytes,
            partial: true,
            ..
        } => format!(
            "It was fetching {path} by HTTP when its connection broke off, after {bytes} bytes: the network loses packets, or the \
             machine was switched off or stopped reading."
        ),
        BootEventKind::Http { path, bytes, .. } => fetched(path, *bytes, "HTTP", quiet.then_some(seconds)),
        BootEventKind::Connection { .. } | BootEventKind::Agent { .. } => String::new(),
        BootEventKind::Chosen {
            choice,
            refused: Some(why),
        } => format!("Somebody at its console chose {choice}, which was refused: {why}."),
        BootEventKind::Chosen {
            choice,
            refused: None,
        } => {
            format!("Somebody at its console chose {choice} in the boot menu.")
        }
        BootEventKind::Script {
            target: BootTarget::MiniOs {
                purpose: Purpose::Rescue,
            },
        } => "It boots the rescue system, as somebody at its console chose.".to_owned(),
        BootEventKind::Script { target } => match target {
            BootTarget::MiniOs { purpose } if quiet => script_only(&purpose.to_string(), seconds),
            BootTarget::MiniOs { purpose } => format!("It was given the mini-os to boot ({purpose})."),
            BootTarget::LocalDisk => "It was told to boot its own disk.".to_owned(),
            BootTarget::Ignore => "Its question what to boot was not answered.".to_owned(),
        },
    }
}

/// Offers at the end of the journey without anything between them.
fn untaken_offers(events: &[BootEvent]) -> usize {
    events
        .iter()
        .rev()
        .take_while(|event| {
            matches!(&event.what, BootEventKind::Dhcp { message, answer, .. }
                if (message == "discover" && answer.ends_with("offer"))
                    || (message == "solicit" && answer.ends_with("advertise")))
        })
        .count()
}

fn script_only(purpose: &str, seconds: u64) -> String {
    format!(
        "It was given the mini-os to boot ({purpose}) and has not asked for its kernel for {seconds} s: the loader hangs, or \
         HTTP from the machine to this server breaks off. Look at its console."
    )
}

/// After a whole file. `quiet`: the seconds since then, when they are many.
fn fetched(path: &str, bytes: u64, by: &str, quiet: Option<u64>) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    let loaded = format!("It loaded {path} ({bytes} bytes) by {by}");
    match (name, quiet) {
        ("boot.ipxe" | "grub.cfg", Some(seconds)) => format!(
            "{loaded} and has not asked for its kernel for {seconds} s: the loader hangs, or a transfer from this server \
             breaks off. Look at its console."
        ),
        ("boot.ipxe" | "grub.cfg", None) => format!("{loaded}; its kernel comes next."),
        ("autoexec.ipxe", Some(seconds)) => format!(
            "{loaded}, so iPXE runs, and has not asked for its boot script for {seconds} s: HTTP from the machine to this \
             server may be filtered. Look at its console."
        ),
        (UNIFIED, Some(seconds)) => format!(
            "{loaded} and nothing came of it for {seconds} s: its firmware does not trust the key it is signed with, or it has \
             no driver for its NIC. Look at its console."
        ),
        (UNIFIED, None) => format!("{loaded}, the signed mini-os; it asks for its orders next."),
        ("kernel", Some(seconds)) => format!(
            "{loaded} and not the archives behind it, for {seconds} s: too little memory for them, or the link broke off. \
             Look at its console."
        ),
        ("initramfs" | "site" | "boot.args", Some(seconds)) => format!(
            "{loaded}: it has the mini-os, but no agent has been heard for {seconds} s. Look at its console: too little \
             memory, or no driver for its NIC (the `full` mini-os has more of them)."
        ),
        ("kernel" | "initramfs" | "site" | "boot.args", None) => {
            format!("{loaded}; the mini-os starts next.")
        }
        // rhboot/grub2#87: not every GRUB has it.
        (GRUB, Some(seconds)) => format!(
            "{loaded} and has not asked for its script for {seconds} s: beside another DHCP server, Debian 12's GRUB asks that one \
             for it. `slipway mini-os build` fetches Debian 13's, which asks this server; then restart it. Look at the machine's console."
        ),
        (_, Some(seconds)) => format!(
            "{loaded} and has been silent for {seconds} s: the loader hangs or has no driver for this NIC. At its next boot \
             it is given another loader. Look at the machine's console."
        ),
        (_, None) => format!("{loaded}; its boot script comes next."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

    fn event(what: BootEventKind) -> BootEvent {
        BootEvent {
            at: UnixMs(0),
            mac: MAC,
            ip: None,
            network: None,
            what,
        }
    }

    fn dhcp(answer: &str) -> BootEvent {
        event(BootEventKind::Dhcp {
            message: "discover".into(),
            client: "bios".into(),
            answer: answer.into(),
            boot_file: Some("undionly.kpxe".into()),
            facts: Default::default(),
        })
    }

    fn tftp(file: &str, complete: bool) -> BootEvent {
        event(BootEventKind::Tftp {
            file: file.into(),
            bytes: 7,
            complete,
            end: Default::default(),
            block: None,
        })
    }

    fn http(path: &str, status: u16) -> BootEvent {
        event(BootEventKind::Http {
            path: path.into(),
            bytes: 0,
            status,
            head: false,
            partial: false,
        })
    }

    fn head(path: &str, status: u16) -> BootEvent {
        event(BootEventKind::Http {
            path: path.into(),
            bytes: 0,
            status,
            head: true,
            partial: false,
        })
    }

    #[test]
    fn a_fetch_that_broke_off_is_told_so() {
        let mut broken = http("/boot/kernel", 200);
        if let BootEventKind::Http { bytes, partial, .. } = &mut broken.what {
            (*bytes, *partial) = (70_000, true);
        }
        let said = diagnose(MAC, &[broken], None, UnixMs(1000));
        assert!(
            said.contains("/boot/kernel") && said.contains("broke off, after 70000 bytes"),
            "{said}"
        );
    }

    #[test]
    fn firmware_without_a_boot_file_is_named_with_what_to_do() {
        let given = |client: &str, answer: &str| {
            let what = BootEventKind::Dhcp {
                message: "request".into(),
                client: client.into(),
                answer: answer.into(),
                boot_file: None,
                facts: Default::default(),
            };
            diagnose(MAC, &[event(what)], None, UnixMs(1000))
        };
        let text = given("raspberry-pi", "ack");
        assert!(
            text.contains("the Raspberry Pi's own boot loader: put UEFI firmware"),
            "{text}"
        );
        let text = given("uefi-ia32-v6", "reply");
        assert!(
            text.contains("32-bit x86 UEFI: set the firmware to 64-bit"),
            "{text}"
        );
        assert!(given("other", "ack").contains("no boot file was asked for or given"));
    }

    #[test]
    fn each_stage_has_its_sentence() {
        let script = event(BootEventKind::Script {
            target: BootTarget::MiniOs {
                purpose: Purpose::Commission,
            },
        });
        let soon = UnixMs(1000);
        let late = UnixMs(100_000);
        let loader = || tftp("undionly.kpxe", true);
        let cases = [
            (vec![], soon, "Nothing was ever heard"),
            (vec![dhcp("offer")], soon, "loads undionly.kpxe next"),
            (vec![dhcp("offer")], late, "did not take the offer"),
            (vec![dhcp("offer"); 3], soon, "3 times in a row"),
            (vec![dhcp("offer"); 3], soon, "spanning tree"),
            (vec![dhcp("ack")], late, "may be filtered"),
            (vec![dhcp("not-pxe")], soon, "deliberately not answered: not-pxe"),
            (
                vec![dhcp("unknown-relay")],
                soon,
                "belongs to no configured network",
            ),
            (vec![dhcp("ack"), tftp("undionly.kpxe", false)], soon, "broke off"),
            (vec![dhcp("ack"), loader()], soon, "its boot script comes next"),
            (vec![dhcp("ack"), loader()], late, "another loader"),
            (vec![tftp("autoexec.ipxe", true)], late, "so iPXE runs"),
            (
                vec![tftp("grubx64.efi", true)],
                soon,
                "its boot script comes next",
            ),
            (
                vec![tftp("grubx64.efi", true)],
                late,
                "Debian 12's GRUB asks that one",
            ),
            (
                vec![http("/boot/mini-os.efi", 200)],
                late,
                "does not trust the key",
            ),
            (
                vec![http("/boot/mini-os.efi", 200)],
                soon,
                "asks for its orders next",
            ),
            (vec![http("/boot.args", 200)], late, "no agent has been heard"),
            (vec![script.clone()], soon, "was given the mini-os"),
            (vec![script.clone()], late, "has not asked for its kernel"),
            (
                vec![script.clone(), http("/boot.ipxe", 200)],
                late,
                "has not asked for its kernel",
            ),
            (
                vec![tftp("grub/grub.cfg", true)],
                late,
                "has not asked for its kernel",
            ),
            (
                vec![http("/boot/kernel", 200)],
                late,
                "not the archives behind it",
            ),
            (vec![http("/boot/site", 200)], late, "no agent has been heard"),
            (vec![tftp("boot/site", true)], late, "no agent has been heard"),
            (vec![http("/boot/site", 200)], soon, "the mini-os starts next"),
            (
                vec![http("/boot.ipxe", 403)],
                soon,
                "does not hold this machine's lease",
            ),
            (vec![http("/boot.ipxe", 404)], soon, "a file is missing"),
            (vec![http("/boot/arm64/kernel", 404)], soon, "--arch arm64"),
            // UEFI HTTP boot asks for the length first.
            (
                vec![dhcp("ack"), head("/boot/snponly.efi", 200)],
                soon,
                "loads undionly.kpxe next",
            ),
            (
                vec![dhcp("ack"), head("/boot/snponly.efi", 404)],
                soon,
                "a file is missing",
            ),
        ];
        for (events, now, expected) in cases {
            let text = diagnose(MAC, &events, None, now);
            assert!(text.contains(expected), "{text:?} does not say {expected:?}");
        }
        let taken = [dhcp("offer"), dhcp("offer"), dhcp("ack"), dhcp("offer")];
        assert_eq!(untaken_offers(&taken), 1);
    }
}
