//! Network boot in words.

use inventory_api::boot::{BootEventKind, BootTarget, ConnectionEnd, TftpEnd};
use inventory_api::network::{Gives, OtherServer, Sender};

use super::{disk_size, if_any};

/// A boot event in words: (what, detail).
pub fn event(what: &BootEventKind) -> (String, String) {
    let cut_short = |cut: bool| if cut { ", NOT read to its end" } else { "" };
    match what {
        BootEventKind::Dhcp {
            message,
            client,
            answer,
            boot_file,
            facts,
        } => {
            let who = facts.who.as_deref().unwrap_or(client);
            let relay = if_any(" by relay ", facts.relay);
            let file = if_any(", boot file ", boot_file.as_ref());
            (
                format!("DHCP {message}"),
                format!("from {who}{relay}: {answer}{file}"),
            )
        }
        BootEventKind::Tftp {
            file,
            bytes,
            complete,
            end,
            ..
        } => {
            let end = match tftp_end(*end) {
                Some(end) => end.to_owned(),
                None => format!("{}{}", disk_size(*bytes), cut_short(!complete)),
            };
            ("TFTP".to_owned(), format!("{file}: {end}"))
        }
        BootEventKind::Connection { port, end, detail } => {
            let (end, detail) = (connection_end(*end), if_any(": ", detail.as_ref()));
            (format!("port {port}"), format!("a connection {end}{detail}"))
        }
        BootEventKind::Agent {
            asked,
            status,
            code,
            detail,
        } => {
            let code = code
                .as_ref()
                .map(|code| format!("{code}: {}", detail.as_deref().unwrap_or_default()));
            (
                format!("agent: {asked}"),
                format!("{status}{}", if_any(" ", code)),
            )
        }
        BootEventKind::Http {
            path,
            bytes,
            status,
            partial,
            head,
        } => {
            let sent = match head {
                true => "only its length was requested".to_owned(),
                false => format!("{}{}", disk_size(*bytes), cut_short(*partial)),
            };
            ("HTTP".to_owned(), format!("{path}: {status}, {sent}"))
        }
        BootEventKind::Chosen { choice, refused } => {
            let chosen = match refused {
                Some(why) => format!("{choice} was chosen and refused: {why}"),
                None => format!("{choice} was chosen at the console"),
            };
            ("boot menu".to_owned(), chosen)
        }
        BootEventKind::Script { target } => {
            let target = match target {
                BootTarget::MiniOs { purpose } => format!("boots the mini-os to {purpose}"),
                BootTarget::LocalDisk => "boots the local disk".to_owned(),
                BootTarget::Ignore => "no answer: Slipway leaves this machine alone".to_owned(),
            };
            ("boot script".to_owned(), target)
        }
    }
}

/// How a transfer ended that sent nothing; `None`: it sent something.
fn tftp_end(end: TftpEnd) -> Option<&'static str> {
    match end {
        TftpEnd::NotFound => Some("no such file here"),
        TftpEnd::NoGrub => Some("refused, GRUB was not fetched before"),
        TftpEnd::Busy => Some("not answered, too many transfers"),
        TftpEnd::Failed => Some("the server could not send it, see its log"),
        TftpEnd::SizeAsked => Some("only its length was requested"),
        TftpEnd::NeverAnswered => Some("the machine acknowledged nothing"),
        TftpEnd::Complete
        | TftpEnd::Refused
        | TftpEnd::Silent
        | TftpEnd::Unreachable
        | TftpEnd::Superseded
        | TftpEnd::Unknown => None,
    }
}

/// How a connection without a request ended, in words.
pub fn connection_end(end: ConnectionEnd) -> &'static str {
    match end {
        ConnectionEnd::Clock => "ended: by the machine's clock our certificate is not valid",
        ConnectionEnd::Authority => "ended: the machine does not know our authority",
        ConnectionEnd::Certificate => "ended: the machine does not accept our certificate",
        ConnectionEnd::Closed => "was closed before any request",
        ConnectionEnd::TimedOut => "timed out without a usable request",
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
    let id = match (&sender.guid, &sender.client_id) {
        (Some(guid), _) => Some(format!("GUID {guid}")),
        (None, id) => id.as_ref().map(|id| format!("client id {id}")),
    };
    let relay = sender.relay.map(|relay| format!("by relay {relay}"));
    let words = [id, sender.vendor.clone(), relay];
    words.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// What a foreign DHCP server gives: "addresses, boot file pxelinux.0".
pub fn gives(server: &OtherServer) -> String {
    let gives = match server.gives {
        Gives::Addresses => "addresses",
        Gives::BootData => "boot data",
        Gives::Unknown => "?",
    };
    format!("{gives}{}", if_any(", boot file ", server.boot_file.as_ref()))
}
