//! Network boot in words.

use inventory_api::boot::{BootEventKind, BootTarget, ConnectionEnd, TftpEnd};
use inventory_api::network::{Gives, OtherServer, Sender};

use super::disk_size;

/// A boot event in words: (what, detail).
pub fn event(what: &BootEventKind) -> (String, String) {
    match what {
        BootEventKind::Dhcp {
            message,
            client,
            answer,
            boot_file,
            facts,
        } => (
            format!("DHCP {message}"),
            format!(
                "from {}{}: {answer}{}",
                facts.who.as_deref().unwrap_or(client),
                facts
                    .relay
                    .map_or(String::new(), |relay| format!(" by relay {relay}")),
                boot_file
                    .as_ref()
                    .map_or(String::new(), |file| format!(", boot file {file}"))
            ),
        ),
        BootEventKind::Tftp {
            file,
            bytes,
            complete,
            end,
            ..
        } => (
            "TFTP".to_owned(),
            match end {
                TftpEnd::NotFound => format!("{file}: there is no such file here"),
                TftpEnd::NoGrub => format!("{file}: refused, GRUB was not fetched before"),
                TftpEnd::Busy => format!("{file}: not answered, too many transfers"),
                TftpEnd::Failed => format!("{file}: the server could not send it, see its log"),
                TftpEnd::SizeAsked => format!("{file}: its length was asked for"),
                TftpEnd::NeverAnswered => format!("{file}: the machine acknowledged nothing"),
                TftpEnd::Complete
                | TftpEnd::Refused
                | TftpEnd::Silent
                | TftpEnd::Unreachable
                | TftpEnd::Superseded
                | TftpEnd::Unknown => format!(
                    "{file}: {}{}",
                    disk_size(*bytes),
                    if *complete { "" } else { ", NOT read to its end" }
                ),
            },
        ),
        BootEventKind::Connection { port, end, detail } => (
            format!("port {port}"),
            format!(
                "a connection {}{}",
                connection_end(*end),
                detail
                    .as_ref()
                    .map_or(String::new(), |detail| format!(": {detail}"))
            ),
        ),
        BootEventKind::Agent {
            asked,
            status,
            code,
            detail,
        } => (
            format!("agent: {asked}"),
            match code {
                None => status.to_string(),
                Some(code) => format!("{status} {code}: {}", detail.as_deref().unwrap_or_default()),
            },
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

/// How a connection without a request ended, in words.
pub fn connection_end(end: ConnectionEnd) -> &'static str {
    match end {
        ConnectionEnd::Clock => "ended: the machine takes our certificate for not valid now",
        ConnectionEnd::Authority => "ended: the machine does not know our authority",
        ConnectionEnd::Certificate => "ended: the machine does not take our certificate",
        ConnectionEnd::Closed => "was closed before anything was asked",
        ConnectionEnd::TimedOut => "brought nothing usable in time",
        ConnectionEnd::Protocol => "spoke another protocol",
        ConnectionEnd::Busy => "was refused: too many connections",
        ConnectionEnd::Unknown => "ended",
    }
}

/// Why a DHCP message was not answered, by its code. Empty for an unknown code.
pub fn silence(code: &str) -> &'static str {
    netboot_protocol::Unanswered::of(code).map_or("", netboot_protocol::Unanswered::words)
}

/// "GUID b8cef6030031333e, PXEClient": how the sender of an unanswered message identifies itself.
pub fn sender(sender: &Sender) -> String {
    let guid = sender.guid.map(|guid| format!("GUID {guid}"));
    let id = sender.client_id.as_ref().filter(|_| guid.is_none());
    let id = id.map(|id| format!("client id {id}"));
    let relay = sender.relay.map(|relay| format!("by relay {relay}"));
    let words = [guid, id, sender.vendor.clone(), relay];
    words.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// What a foreign DHCP server gives: "addresses, boot file pxelinux.0".
pub fn gives(server: &OtherServer) -> String {
    let gives = match server.gives {
        Gives::Addresses => "addresses",
        Gives::BootData => "boot data",
        Gives::Unknown => "?",
    };
    match &server.boot_file {
        Some(file) => format!("{gives}, boot file {file}"),
        None => gives.to_owned(),
    }
}
