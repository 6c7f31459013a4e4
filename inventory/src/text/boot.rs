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
            path, bytes, status, ..
        } => (
            "HTTP".to_owned(),
            format!("{path}: {status}, {}", disk_size(*bytes)),
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
