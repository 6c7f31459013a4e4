//! The codes of messages that are not answered: one list for log, metric, history, page and diagnosis.

use crate::packet::NotForUs;
use crate::reply::Silence;
use crate::v6;

/// Why a DHCP message was not answered. [`Unanswered::code`] is the stable short code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // Each is the reason of its name in `Silence`, `NotForUs` and `v6::NotForUs`.
pub enum Unanswered {
    Ignored,
    UnknownNetwork,
    UnknownRelay,
    Observing,
    Looking,
    ForeignServer,
    AddressInUse,
    TooMany,
    KeptForKnown,
    AddressServer,
    NotBooting,
    NoBootFile,
    OtherServer,
    UnknownBinding,
    Exhausted,
    NoAddress,
    ForeignAddress,
    Unicast,
    WrongSender,
    StillInUse,
    Released,
    Declined,
    /// Of the shell: the lease could not be written.
    JournalFailed,
    /// Of the shell: the reply could not be sent.
    SendFailed,
    /// Of the shell: it had too much to do.
    Busy,
    TooShort,
    TooLong,
    NotRequest,
    HardwareType,
    BadCookie,
    Bootp,
    MessageType,
    TooManyRelays,
    NothingRelayed,
    NoClientId,
    ServerId,
    Association,
    NoMac,
}

impl Unanswered {
    /// All.
    pub const ALL: [Unanswered; 38] = [
        Unanswered::Ignored,
        Unanswered::UnknownNetwork,
        Unanswered::UnknownRelay,
        Unanswered::Observing,
        Unanswered::Looking,
        Unanswered::ForeignServer,
        Unanswered::AddressInUse,
        Unanswered::TooMany,
        Unanswered::KeptForKnown,
        Unanswered::AddressServer,
        Unanswered::NotBooting,
        Unanswered::NoBootFile,
        Unanswered::OtherServer,
        Unanswered::UnknownBinding,
        Unanswered::Exhausted,
        Unanswered::NoAddress,
        Unanswered::ForeignAddress,
        Unanswered::Unicast,
        Unanswered::WrongSender,
        Unanswered::StillInUse,
        Unanswered::Released,
        Unanswered::Declined,
        Unanswered::JournalFailed,
        Unanswered::SendFailed,
        Unanswered::Busy,
        Unanswered::TooShort,
        Unanswered::TooLong,
        Unanswered::NotRequest,
        Unanswered::HardwareType,
        Unanswered::BadCookie,
        Unanswered::Bootp,
        Unanswered::MessageType,
        Unanswered::TooManyRelays,
        Unanswered::NothingRelayed,
        Unanswered::NoClientId,
        Unanswered::ServerId,
        Unanswered::Association,
        Unanswered::NoMac,
    ];

    /// Stable short code, and the reason in words for a table.
    fn row(self) -> (&'static str, &'static str) {
        match self {
            Unanswered::Ignored => ("ignored", "the machine is to be left alone"),
            Unanswered::UnknownNetwork => ("unknown-network", "no network is configured for that interface"),
            Unanswered::UnknownRelay => ("unknown-relay", "no network is configured for that relay"),
            Unanswered::Observing => ("observing", "the network is only observed"),
            Unanswered::Looking => (
                "looking-for-servers",
                "it was still being looked for other DHCP servers",
            ),
            Unanswered::ForeignServer => ("foreign-server", "another DHCP server gives out addresses here"),
            Unanswered::AddressInUse => ("address-in-use", "the addresses that were tried are in use"),
            Unanswered::TooMany => ("too-many", "it asked too often"),
            Unanswered::KeptForKnown => (
                "kept-for-known",
                "machines that are not enrolled hold their share",
            ),
            Unanswered::AddressServer => (
                "address-server",
                "the business of the server that gives the addresses",
            ),
            Unanswered::NotBooting => ("not-booting", "it does not boot from the network"),
            Unanswered::NoBootFile => ("no-boot-file", "there is no loader for its architecture"),
            Unanswered::OtherServer => ("other-server", "it took another server's offer"),
            Unanswered::UnknownBinding => ("unknown-binding", "it named an address that is not known here"),
            Unanswered::Exhausted => ("pool-exhausted", "no address is left"),
            Unanswered::NoAddress => ("no-address", "it named no address"),
            Unanswered::ForeignAddress => ("foreign-address", "its address is none of this network"),
            Unanswered::Unicast => (
                "unicast",
                "DHCPv6: it was sent to us alone instead of to all servers",
            ),
            Unanswered::WrongSender => (
                "wrong-sender",
                "it cannot have come from the machine it speaks for",
            ),
            Unanswered::StillInUse => ("still-in-use", "an address was given back that is still in use"),
            Unanswered::Released => ("released", "an address was given back"),
            Unanswered::Declined => ("declined", "an address was declined: somebody else uses it"),
            Unanswered::JournalFailed => ("journal-failed", "the lease journal could not be written"),
            Unanswered::SendFailed => ("send-failed", "the reply could not be sent"),
            Unanswered::Busy => ("busy", "too many messages at once"),
            Unanswered::TooShort => ("too-short", "too short for a DHCP message"),
            Unanswered::TooLong => ("too-long", "too long for a DHCP message"),
            Unanswered::NotRequest => ("not-a-request", "no request of a client"),
            Unanswered::HardwareType => (
                "hardware-type",
                "not by Ethernet, as InfiniBand: only Ethernet boots",
            ),
            Unanswered::BadCookie => ("bad-cookie", "BOOTP or other bytes: DHCP's cookie is missing"),
            Unanswered::Bootp => ("bootp", "BOOTP without DHCP"),
            Unanswered::MessageType => ("message-type", "no message that a machine sends"),
            Unanswered::TooManyRelays => ("too-many-relays", "DHCPv6: it came through too many relays"),
            Unanswered::NothingRelayed => ("nothing-relayed", "DHCPv6: a relay passed on nothing"),
            Unanswered::NoClientId => ("no-client-id", "DHCPv6: it has no usable client identifier"),
            Unanswered::ServerId => (
                "server-id",
                "DHCPv6: it names a server where it must not, or none",
            ),
            Unanswered::Association => (
                "association",
                "DHCPv6: it asks for settings and an address at once",
            ),
            Unanswered::NoMac => ("no-mac", "DHCPv6: nothing in it tells the NIC's address"),
        }
    }

    /// Stable short code.
    pub fn code(self) -> &'static str {
        self.row().0
    }

    /// The reason in words.
    pub fn words(self) -> &'static str {
        self.row().1
    }

    /// The reason with this code.
    pub fn of(code: &str) -> Option<Unanswered> {
        Unanswered::ALL.into_iter().find(|reason| reason.code() == code)
    }
}

impl From<Silence> for Unanswered {
    fn from(silence: Silence) -> Unanswered {
        match silence {
            Silence::Ignored => Unanswered::Ignored,
            Silence::UnknownNetwork => Unanswered::UnknownNetwork,
            Silence::UnknownRelay => Unanswered::UnknownRelay,
            Silence::Observing => Unanswered::Observing,
            Silence::Looking => Unanswered::Looking,
            Silence::ForeignServer => Unanswered::ForeignServer,
            Silence::AddressInUse => Unanswered::AddressInUse,
            Silence::TooMany => Unanswered::TooMany,
            Silence::KeptForKnown => Unanswered::KeptForKnown,
            Silence::AddressServer => Unanswered::AddressServer,
            Silence::NotBooting => Unanswered::NotBooting,
            Silence::NoBootFile => Unanswered::NoBootFile,
            Silence::OtherServer => Unanswered::OtherServer,
            Silence::UnknownBinding => Unanswered::UnknownBinding,
            Silence::Exhausted(_) => Unanswered::Exhausted,
            Silence::NoAddress => Unanswered::NoAddress,
            Silence::ForeignAddress => Unanswered::ForeignAddress,
            Silence::Unicast => Unanswered::Unicast,
            Silence::WrongSender => Unanswered::WrongSender,
            Silence::StillInUse => Unanswered::StillInUse,
            Silence::Released => Unanswered::Released,
            Silence::Declined => Unanswered::Declined,
        }
    }
}

impl From<NotForUs> for Unanswered {
    fn from(reason: NotForUs) -> Unanswered {
        match reason {
            NotForUs::TooShort => Unanswered::TooShort,
            NotForUs::TooLong => Unanswered::TooLong,
            NotForUs::NotRequest => Unanswered::NotRequest,
            NotForUs::HardwareType => Unanswered::HardwareType,
            NotForUs::BadCookie => Unanswered::BadCookie,
            NotForUs::NoMessageType => Unanswered::Bootp,
            NotForUs::MessageType(_) => Unanswered::MessageType,
        }
    }
}

impl From<v6::NotForUs> for Unanswered {
    fn from(reason: v6::NotForUs) -> Unanswered {
        match reason {
            v6::NotForUs::TooShort => Unanswered::TooShort,
            v6::NotForUs::TooLong => Unanswered::TooLong,
            v6::NotForUs::MessageType(_) => Unanswered::MessageType,
            v6::NotForUs::TooManyRelays => Unanswered::TooManyRelays,
            v6::NotForUs::NothingRelayed => Unanswered::NothingRelayed,
            v6::NotForUs::NoClientId => Unanswered::NoClientId,
            v6::NotForUs::ServerId => Unanswered::ServerId,
            v6::NotForUs::Association => Unanswered::Association,
            v6::NotForUs::NoMac => Unanswered::NoMac,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_read_back_and_has_words() {
        for reason in Unanswered::ALL {
            assert_eq!(Unanswered::of(reason.code()), Some(reason));
            assert!(!reason.words().is_empty() && reason.words() != reason.code());
        }
        let distinct: std::collections::BTreeSet<_> = Unanswered::ALL.into_iter().collect();
        assert_eq!(
            distinct.len(),
            Unanswered::NoMac as usize + 1,
            "ALL has each once"
        );
        assert_eq!(Unanswered::of("newer"), None);
    }
}
