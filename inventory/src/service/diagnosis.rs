//! `slipway explain`: how far a machine came, in one sentence, from what was heard of it.

use inventory_api::boot::{BootEvent, BootEventKind, BootTarget};
use inventory_api::machine::MachineStatus;
use inventory_api::{Mac, UnixMs};

/// Silence of this length is worth a word.
const QUIET_MS: u64 = 60_000;

/// How far it came and what to look at.
pub fn diagnose(mac: Mac, events: &[BootEvent], machine: Option<&MachineStatus>, now: UnixMs) -> String {
    let Some(last) = events.last() else {
        return match machine {
            Some(status) => format!(
                "Nothing was heard from {mac} since the server started. {}",
                status.sentence
            ),
            None => format!(
                "Nothing was ever heard from {mac}: is it powered on, set to network boot first, and is this NIC on a \
                 provisioning network? A switch port that takes 30 s to forward (spanning tree) looks the same."
            ),
        };
    };
    let quiet = now.since(last.at) >= QUIET_MS;
    let seconds = now.since(last.at) / 1000;
    let what = match &last.what {
        BootEventKind::Dhcp {
            message,
            client,
            answer,
            boot_file,
        } => match (answer.as_str(), boot_file) {
            ("offer", _) if quiet => format!(
                "It asked for an address ({client}, {message}), was offered one, and has been silent for {seconds} s: it did \
                 not take the offer. Another DHCP server on this network, or a firmware that did not like the offer."
            ),
            ("ack", Some(file)) if quiet => format!(
                "It has an address and was told to load {file}, but did not fetch it for {seconds} s: TFTP or HTTP from \
                 the machine to this server may be filtered."
            ),
            ("offer" | "ack", Some(file)) => format!("DHCP works ({client}); it loads {file} next."),
            ("offer" | "ack", None) => format!("DHCP works ({client}); no boot file was asked for or given."),
            ("nak", _) => {
                "It asked for an address it may not have and was told so; it asks anew next.".to_owned()
            }
            (silence, _) => {
                format!("Its DHCP {message} ({client}) was heard and deliberately not answered: {silence}.")
            }
        },
        BootEventKind::Tftp {
            file,
            bytes,
            complete: true,
        } => {
            if quiet {
                format!(
                    "It loaded {file} ({bytes} bytes) by TFTP and has been silent for {seconds} s: the loader hangs or has \
                     no driver for this NIC. Look at the machine's console."
                )
            } else {
                format!("It loaded {file} ({bytes} bytes) by TFTP; its boot script comes next.")
            }
        }
        BootEventKind::Tftp {
            file,
            bytes,
            complete: false,
        } => format!(
            "It broke off {file} after {bytes} bytes of TFTP. Once is normal (firmware asks for the size first); again and \
             again it is a bad link or a packet size that does not pass."
        ),
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
        BootEventKind::Http { path, status, .. } if *status >= 400 => {
            format!(
                "It asked for {path} and got status {status}: a file is missing on the server, or it is to be left alone."
            )
        }
        BootEventKind::Http { path, bytes, .. } => {
            let mini_os = path.starts_with("/boot/initramfs") || path.starts_with("/boot/site");
            if mini_os && quiet {
                format!(
                    "It loaded the mini-os ({path}, {bytes} bytes) and has been silent for {seconds} s. Look at its console: too \
                     little memory, or no driver for its NIC."
                )
            } else {
                format!("It loaded {path} ({bytes} bytes) by HTTP.")
            }
        }
        BootEventKind::Script { target } => match target {
            BootTarget::MiniOs { purpose } => format!("It was given the mini-os to boot ({purpose})."),
            BootTarget::LocalDisk => "It was told to boot its own disk.".to_owned(),
            BootTarget::Ignore => "Its question what to boot was not answered.".to_owned(),
        },
    };
    match machine {
        Some(status) => format!("{what} {}", status.sentence),
        None => format!("{what} No machine with this MAC is enrolled yet."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_has_its_sentence() {
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        let event = |what| BootEvent {
            at: UnixMs(0),
            mac,
            ip: None,
            network: None,
            what,
        };
        let dhcp = |answer: &str| {
            event(BootEventKind::Dhcp {
                message: "discover".into(),
                client: "bios".into(),
                answer: answer.into(),
                boot_file: Some("undionly.kpxe".into()),
            })
        };
        let tftp = |complete| {
            event(BootEventKind::Tftp {
                file: "undionly.kpxe".into(),
                bytes: 7,
                complete,
            })
        };
        let http = |status| {
            event(BootEventKind::Http {
                path: "/boot.ipxe".into(),
                bytes: 0,
                status,
            })
        };
        let soon = UnixMs(1000);
        let late = UnixMs(100_000);
        let cases = [
            (vec![], soon, "Nothing was ever heard"),
            (vec![dhcp("offer")], soon, "loads undionly.kpxe next"),
            (vec![dhcp("offer")], late, "did not take the offer"),
            (vec![dhcp("ack")], late, "may be filtered"),
            (vec![dhcp("not-pxe")], soon, "deliberately not answered: not-pxe"),
            (vec![dhcp("ack"), tftp(false)], soon, "broke off"),
            (vec![dhcp("ack"), tftp(true)], late, "no driver"),
            (vec![http(403)], soon, "does not hold this machine's lease"),
            (vec![http(404)], soon, "a file is missing"),
        ];
        for (events, now, expected) in cases {
            let text = diagnose(mac, &events, None, now);
            assert!(text.contains(expected), "{text:?} does not say {expected:?}");
        }
    }
}
