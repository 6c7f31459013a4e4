//! A DHCP message of the journey and its answer.

use inventory_api::boot::{BootEvent, BootEventKind, DhcpFacts};
use inventory_api::dhcp::{DhcpAnswer, DhcpMessage};
use netboot_protocol::Unanswered;

use super::Stage;

pub(super) struct Asked<'a> {
    pub(super) event: &'a BootEvent,
    pub(super) message: &'a DhcpMessage,
    pub(super) client: &'a str,
    pub(super) answer: &'a DhcpAnswer,
    pub(super) boot_file: Option<&'a str>,
    pub(super) facts: &'a DhcpFacts,
}

impl Asked<'_> {
    /// Whether this is the reason why it was not answered.
    pub(super) fn is_silent(&self, why: Unanswered) -> bool {
        matches!(self.answer, DhcpAnswer::Silent(code) if code == why.code())
    }

    /// Whether another server gave the address: in proxy mode, a REQUEST shows that.
    pub(super) fn is_addressed_elsewhere(&self) -> bool {
        *self.message == DhcpMessage::Request && self.is_silent(Unanswered::AddressServer)
    }

    /// How far the answer gets the machine.
    pub(super) fn stage(&self) -> Stage {
        match self.answer {
            answer if answer.confirms() => Stage::Addressed,
            answer if answer.offers() => Stage::Offered,
            _ => Stage::Asks,
        }
    }
}

/// The DHCP message of an event; `None`: it is another kind of event.
pub(super) fn asked(event: &BootEvent) -> Option<Asked<'_>> {
    let BootEventKind::Dhcp {
        message,
        client,
        answer,
        boot_file,
        facts,
    } = &event.what
    else {
        return None;
    };
    Some(Asked {
        event,
        message,
        client: client.strip_suffix("-v6").unwrap_or(client),
        answer,
        boot_file: boot_file.as_deref(),
        facts,
    })
}
