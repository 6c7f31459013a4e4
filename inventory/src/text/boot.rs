//! A network boot in words.

use inventory_api::boot::{BootEventKind, BootTarget};

use super::disk_size;

/// One event of a boot in words: (what, detail).
pub fn event(what: &BootEventKind) -> (String, String) {
    match what {
        BootEventKind::Dhcp {
            message,
            client,
            answer,
            boot_file,
        } => (
            format!("DHCP {message}"),
            match boot_file {
                Some(file) => format!("from {client}: {answer}, boot file {file}"),
                None => format!("from {client}: {answer}"),
            },
        ),
        BootEventKind::Tftp {
            file,
            bytes,
            complete,
        } => (
            "TFTP".to_owned(),
            format!(
                "{file}: {}{}",
                disk_size(*bytes),
                if *complete { "" } else { ", NOT read to its end" }
            ),
        ),
        BootEventKind::Http {
            path,
            status,
            head: true,
            ..
        } => (
            "HTTP".to_owned(),
            format!("{path}: {status}, its length was asked for"),
        ),
        BootEventKind::Http {
            path,
            bytes,
            status,
            partial,
            ..
        } => (
            "HTTP".to_owned(),
            format!(
                "{path}: {status}, {}{}",
                disk_size(*bytes),
                if *partial { ", NOT read to its end" } else { "" }
            ),
        ),
        BootEventKind::Chosen { choice, refused } => (
            "boot menu".to_owned(),
            match refused {
                Some(why) => format!("{choice} was chosen and refused: {why}"),
                None => format!("{choice} was chosen at the console"),
            },
        ),
        BootEventKind::Script { target } => (
            "boot script".to_owned(),
            match target {
                BootTarget::MiniOs { purpose } => format!("boots the mini-os to {purpose}"),
                BootTarget::LocalDisk => "boots the local disk".to_owned(),
                BootTarget::Ignore => "no answer: this machine is not to be booted".to_owned(),
            },
        ),
    }
}

/// Why a DHCP message was not answered, in words, by its code; the table of docs/networks.md. Empty for a code that is newer.
pub fn silence(code: &str) -> &'static str {
    match code {
        "ignored" => "the machine is to be left alone",
        "unknown-network" => "no network is configured for that interface",
        "unknown-relay" => "no network is configured for that relay",
        "looking-for-servers" => "it was still being looked for other DHCP servers",
        "foreign-server" => "another DHCP server gives out addresses here",
        "address-server" => "the business of the server that gives the addresses",
        "not-booting" => "it does not boot from the network",
        "no-boot-file" => "there is no loader for its architecture",
        "other-server" => "it took another server's offer",
        "unknown-binding" => "it named an address that is not known here",
        "pool-exhausted" => "no address is left",
        "kept-for-known" => "machines that are not enrolled hold their share",
        "address-in-use" => "the addresses that were tried are in use",
        "too-many" => "it asked too often",
        "journal-failed" => "the lease journal could not be written",
        "no-mac" => "nothing in it tells the NIC's address",
        "no-client-id" | "server-id" | "association" | "too-many-relays" | "nothing-relayed" => {
            "no DHCPv6 message that can be answered"
        }
        "released" => "an address was given back",
        "declined" => "an address was declined: somebody else uses it",
        "no-address" => "it named no address",
        "foreign-address" => "its address is none of this network",
        "bootp" => "BOOTP without DHCP",
        "bad-cookie" | "hardware-type" | "junk-mac" | "message-type" | "too-short" | "too-long" => {
            "no DHCP message of a machine"
        }
        _ => "",
    }
}
