//! One boot attempt in a journey: from the firmware's first DISCOVER to the next one.

use inventory_api::boot::{BootEvent, BootEventKind, BootTarget, TftpEnd};
use inventory_api::dhcp::{DhcpAnswer, DhcpReply};
use netboot_protocol::{GRUB, Loader, UNIFIED, Unanswered};

use super::asked::{Asked, asked};
use super::{Stage, file_name};

/// Splits a journey into attempts, oldest first. A new one begins when firmware looks for a server again
/// after something else has happened.
pub(super) fn split(events: &[BootEvent]) -> Vec<&[BootEvent]> {
    let mut attempts = Vec::new();
    let mut begin = 0;
    for (i, event) in events.iter().enumerate() {
        let further = events[begin..i].iter().any(|event| !is_first_question(event));
        if further && is_first_question(event) && is_firmware(event) {
            attempts.push(&events[begin..i]);
            begin = i;
        }
    }
    attempts.push(&events[begin..]);
    attempts
}

fn is_first_question(event: &BootEvent) -> bool {
    asked(event).is_some_and(|asked| asked.message.looks_for_server())
}

/// Whether a DHCP message is from firmware, not from a loader, the mini-os or a client that does not netboot.
fn is_firmware(event: &BootEvent) -> bool {
    asked(event).is_some_and(|asked| {
        asked.facts.who.is_none() && !matches!(asked.client, "ipxe" | "slipway" | "other" | "system")
    })
}

/// The events of one attempt.
pub(super) struct Attempt<'a> {
    pub(super) events: &'a [BootEvent],
    /// The last event that shows how far the machine got; if none does, the last of all.
    pub(super) last: &'a BootEvent,
}

impl<'a> Attempt<'a> {
    /// `events` must not be empty.
    pub(super) fn new(events: &'a [BootEvent]) -> Attempt<'a> {
        let loaded = |before: usize| events[..before].iter().any(is_fetched);
        let tells = |(i, event): &(usize, &BootEvent)| match &event.what {
            // A request for the length only, or one that was repeated, shows nothing.
            BootEventKind::Http {
                head: true, status, ..
            } => *status >= 400,
            BootEventKind::Tftp { end, bytes, .. } => match end {
                TftpEnd::SizeAsked => false,
                TftpEnd::Superseded => *bytes > 0,
                // A running loader probes for optional files: modules, scripts, revocation lists.
                TftpEnd::NotFound => !loaded(*i),
                TftpEnd::Complete
                | TftpEnd::Refused
                | TftpEnd::Silent
                | TftpEnd::NeverAnswered
                | TftpEnd::Unreachable
                | TftpEnd::NoGrub
                | TftpEnd::Busy
                | TftpEnd::Failed
                | TftpEnd::Unknown => true,
            },
            BootEventKind::Http {
                status: 404, path, ..
            } => !loaded(*i) || is_ours(path),
            BootEventKind::Dhcp { .. } => {
                !asked(event).is_some_and(|asked| asked.is_silent(Unanswered::Released))
            }
            BootEventKind::Http { .. }
            | BootEventKind::Script { .. }
            | BootEventKind::Chosen { .. }
            | BootEventKind::Connection { .. }
            | BootEventKind::Agent { .. } => true,
        };
        let found = events.iter().enumerate().rev().find(tells);
        Attempt {
            events,
            last: found.map_or(&events[events.len() - 1], |(_, event)| event),
        }
    }

    /// Whether it has only DHCP messages, all of them answered, so that there is nothing to report yet.
    pub(super) fn has_only_begun(&self) -> bool {
        let given = |asked: Asked<'_>| asked.answer.gives();
        self.events.iter().all(|event| asked(event).is_some_and(given))
    }

    /// The furthest stage it reached.
    pub(super) fn reach(&self) -> Stage {
        let stages = self.events.iter().map(stage);
        stages.max().unwrap_or(Stage::Unheard)
    }

    /// Result of `of` for the last event for which it is not `None`.
    pub(super) fn find<T>(&self, of: impl Fn(&'a BootEvent) -> Option<T>) -> Option<T> {
        self.events.iter().rev().find_map(of)
    }

    /// The boot file that it was last told to load.
    pub(super) fn told(&self) -> Option<&'a str> {
        self.find(|event| asked(event)?.boot_file)
    }

    /// Its last known address; an IPv4 address that was only offered does not count.
    pub(super) fn address(&self) -> Option<std::net::IpAddr> {
        self.find(|event| match asked(event) {
            Some(asked) if asked.is_silent(Unanswered::AddressServer) => asked.facts.wants,
            Some(Asked {
                answer: DhcpAnswer::Sent(DhcpReply::Offer) | DhcpAnswer::Would(DhcpReply::Offer),
                ..
            }) => None,
            _ => event.ip,
        })
    }
}

/// Whether a file was fetched completely.
pub(crate) fn is_fetched(event: &BootEvent) -> bool {
    match &event.what {
        BootEventKind::Tftp { complete, .. } => *complete,
        BootEventKind::Http {
            status: 200..=299,
            head: false,
            partial: false,
            ..
        } => true,
        _ => false,
    }
}

/// Whether Slipway itself tells machines to fetch this file.
fn is_ours(path: &str) -> bool {
    matches!(
        file_name(path),
        "kernel" | "initramfs" | "site" | "boot.ipxe" | "boot.args" | "grub.cfg" | UNIFIED
    )
}

/// Whether a loader of ours has this name.
pub(super) fn is_loader(name: &str) -> bool {
    name == GRUB || Loader::ALL.iter().any(|loader| loader.file() == name)
}

/// How far a machine has got if it did this.
fn stage(event: &BootEvent) -> Stage {
    match &event.what {
        BootEventKind::Dhcp { .. } => match asked(event) {
            Some(asked) if asked.client == "slipway" => Stage::MiniOs,
            Some(asked) if asked.client == "ipxe" && asked.answer.confirms() => Stage::Loaded,
            Some(asked) if asked.is_addressed_elsewhere() => Stage::Addressed,
            Some(Asked {
                answer: DhcpAnswer::Would(DhcpReply::Offer | DhcpReply::Advertise),
                ..
            }) => Stage::Offered,
            Some(asked) => asked.stage(),
            None => Stage::Asks,
        },
        BootEventKind::Tftp { file, complete, .. } => fetched(file, *complete),
        BootEventKind::Http {
            path,
            status,
            partial,
            head,
            ..
        } => fetched(path, *status < 400 && !partial && !head),
        BootEventKind::Script {
            target: BootTarget::LocalDisk,
        } => Stage::Disk,
        BootEventKind::Script { .. } | BootEventKind::Chosen { .. } => Stage::Script,
        BootEventKind::Connection { .. } => Stage::Addressed,
        BootEventKind::Agent { .. } => Stage::Agent,
    }
}

fn fetched(path: &str, whole: bool) -> Stage {
    match file_name(path) {
        "initramfs" | "site" | "boot.args" if whole => Stage::MiniOs,
        "kernel" | "initramfs" | "site" | UNIFIED => Stage::Kernel,
        "boot.ipxe" | "grub.cfg" if whole => Stage::Script,
        "boot.ipxe" | "grub.cfg" | "autoexec.ipxe" => Stage::Loaded,
        name if whole && is_loader(name) => Stage::Loaded,
        _ => Stage::Loader,
    }
}
