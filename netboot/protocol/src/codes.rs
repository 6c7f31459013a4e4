//! Codes of unanswered messages: one list for the log, metrics, history, pages and diagnosis.

use inventory_api::dhcp::DhcpAnswer;

/// Why a DHCP message was not answered. [`Unanswered::code`] is its stable short code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unanswered {
    /// The machine is to be ignored.
    Ignored,
    /// No network is configured for the interface the message came in by.
    UnknownNetwork,
    /// The relay matches no configured network.
    UnknownRelay,
    /// The network is only observed.
    Observing,
    /// Server mode is still checking for another DHCP server.
    Looking,
    /// There is another DHCP server, and the network refuses to serve beside it.
    ForeignServer,
    /// The addresses that could be offered are used by hosts that did not get them from us.
    AddressInUse,
    /// The sender sends more messages than any machine needs to.
    TooMany,
    /// The rest of the pool is reserved for enrolled machines.
    KeptForKnown,
    /// Another server hands out the addresses in this network.
    AddressServer,
    /// The client does not netboot, and we serve only boot data here.
    NotBooting,
    /// There is no boot file for its architecture.
    NoBootFile,
    /// The client took another server's offer.
    OtherServer,
    /// The client confirms or renews an address we never gave it: not ours to refuse.
    UnknownBinding,
    /// No address is left.
    Exhausted,
    /// A REQUEST, DECLINE or INFORM that lacks its address.
    NoAddress,
    /// An INFORM from an address outside the network.
    ForeignAddress,
    /// DHCPv6: sent to one of our addresses instead of to the multicast group.
    Unicast,
    /// The message ends, declines or extends a lease and was not sent by its holder: wrong source port or
    /// address.
    WrongSender,
    /// A RELEASE or DECLINE of an address that its machine still answers for.
    StillInUse,
    /// A RELEASE: the address is free again.
    Released,
    /// A DECLINE: the address is quarantined for the network's `decline_seconds`.
    Declined,
    /// Set by the shell: the lease could not be written.
    JournalFailed,
    /// Set by the shell: the reply could not be sent.
    SendFailed,
    /// Set by the shell: too much work.
    Busy,
    /// Shorter than a header.
    TooShort,
    /// Longer than [`crate::dhcp4::packet::MAX_BYTES`].
    TooLong,
    /// Not a BOOTREQUEST.
    NotRequest,
    /// Not Ethernet with six-byte addresses.
    HardwareType,
    /// No DHCP magic cookie.
    BadCookie,
    /// No option 53: plain BOOTP.
    Bootp,
    /// A message that no client or relay sends to a server, or one we do not support (lease query, ...).
    MessageType,
    /// DHCPv6: more relays than RFC 8415 allows.
    TooManyRelays,
    /// DHCPv6: a relay message without a relayed message.
    NothingRelayed,
    /// DHCPv6: no client identifier, or an invalid one (RFC 8415, 16).
    NoClientId,
    /// DHCPv6: names a server but must not, or must but does not (RFC 8415, 16).
    ServerId,
    /// DHCPv6: an INFORMATION-REQUEST with an association (RFC 8415, 16.12).
    Association,
    /// DHCPv6: nothing tells the NIC's MAC: the DUID has none, and the link-local address was not made from
    /// one.
    NoMac,
}

impl Unanswered {
    /// All reasons.
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

    /// Code, and the reason in words for a table.
    fn row(self) -> (&'static str, &'static str) {
        match self {
            Unanswered::Ignored => ("ignored", "the machine is set to be ignored"),
            Unanswered::UnknownNetwork => ("unknown-network", "no network is configured for that interface"),
            Unanswered::UnknownRelay => ("unknown-relay", "no network is configured for that relay"),
            Unanswered::Observing => ("observing", "the network is only observed"),
            Unanswered::Looking => ("looking-for-servers", "still listening for other DHCP servers"),
            Unanswered::ForeignServer => ("foreign-server", "another DHCP server hands out addresses here"),
            Unanswered::AddressInUse => ("address-in-use", "all addresses tried are in use"),
            Unanswered::TooMany => ("too-many", "it asked too often"),
            Unanswered::KeptForKnown => (
                "kept-for-known",
                "machines that are not enrolled have used up their share",
            ),
            Unanswered::AddressServer => ("address-server", "left to the server that hands out addresses"),
            Unanswered::NotBooting => ("not-booting", "it does not boot from the network"),
            Unanswered::NoBootFile => ("no-boot-file", "there is no loader for its architecture"),
            Unanswered::OtherServer => ("other-server", "it took another server's offer"),
            Unanswered::UnknownBinding => ("unknown-binding", "it named an address that we do not know"),
            Unanswered::Exhausted => ("pool-exhausted", "no address is left"),
            Unanswered::NoAddress => ("no-address", "it named no address"),
            Unanswered::ForeignAddress => ("foreign-address", "its address is not in this network"),
            Unanswered::Unicast => ("unicast", "DHCPv6: it was sent to us only, not to all servers"),
            Unanswered::WrongSender => ("wrong-sender", "it cannot have come from the machine it names"),
            Unanswered::StillInUse => ("still-in-use", "an address was released that is still in use"),
            Unanswered::Released => ("released", "an address was released"),
            Unanswered::Declined => ("declined", "an address was declined: another host uses it"),
            Unanswered::JournalFailed => ("journal-failed", "the lease journal could not be written"),
            Unanswered::SendFailed => ("send-failed", "the reply could not be sent"),
            Unanswered::Busy => ("busy", "too many messages at once"),
            Unanswered::TooShort => ("too-short", "too short for a DHCP message"),
            Unanswered::TooLong => ("too-long", "too long for a DHCP message"),
            Unanswered::NotRequest => ("not-a-request", "not a client's request"),
            Unanswered::HardwareType => (
                "hardware-type",
                "not Ethernet, for example InfiniBand: only Ethernet can boot",
            ),
            Unanswered::BadCookie => ("bad-cookie", "BOOTP or other bytes: DHCP's cookie is missing"),
            Unanswered::Bootp => ("bootp", "BOOTP without DHCP"),
            Unanswered::MessageType => ("message-type", "not a message that machines send"),
            Unanswered::TooManyRelays => ("too-many-relays", "DHCPv6: it came through too many relays"),
            Unanswered::NothingRelayed => ("nothing-relayed", "DHCPv6: a relay message without content"),
            Unanswered::NoClientId => ("no-client-id", "DHCPv6: it has no usable client identifier"),
            Unanswered::ServerId => (
                "server-id",
                "DHCPv6: it names a server where it must not, or names none",
            ),
            Unanswered::Association => (
                "association",
                "DHCPv6: it asks for settings and an address at once",
            ),
            Unanswered::NoMac => ("no-mac", "DHCPv6: nothing in it tells the NIC's MAC"),
        }
    }

    /// The stable short code.
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

impl From<Unanswered> for DhcpAnswer {
    fn from(why: Unanswered) -> DhcpAnswer {
        DhcpAnswer::Silent(why.code().to_owned())
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
