//! Codes of unanswered messages: one list for the log, metrics, history, pages and diagnosis.

use inventory_api::dhcp::DhcpAnswer;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $words:literal;)*) => {
        /// Why a DHCP message was not answered. [`Unanswered::code`] is its stable short code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Unanswered {
            $($(#[$doc])* $name,)*
        }

        impl Unanswered {
            /// All reasons.
            pub const ALL: [Unanswered; [$($code),*].len()] = [$(Unanswered::$name),*];

            /// The stable short code.
            pub fn code(self) -> &'static str {
                match self {
                    $(Unanswered::$name => $code,)*
                }
            }

            /// The reason in words.
            pub fn words(self) -> &'static str {
                match self {
                    $(Unanswered::$name => $words,)*
                }
            }
        }
    };
}

reasons! {
    /// The machine is to be ignored.
    Ignored = "ignored", "the machine is set to be ignored";
    /// No network is configured for the interface the message came in by.
    UnknownNetwork = "unknown-network", "no network is configured for that interface";
    /// The relay matches no configured network.
    UnknownRelay = "unknown-relay", "no network is configured for that relay";
    /// The network is only observed.
    Observing = "observing", "the network is only observed";
    /// Server mode is still checking for another DHCP server.
    Looking = "looking-for-servers", "still listening for other DHCP servers";
    /// There is another DHCP server, and the network refuses to serve beside it.
    ForeignServer = "foreign-server", "another DHCP server hands out addresses here";
    /// The addresses that could be offered are used by hosts that did not get them from us.
    AddressInUse = "address-in-use", "all addresses tried are in use";
    /// The sender sends more messages than any machine needs to.
    TooMany = "too-many", "it asked too often";
    /// The rest of the pool is reserved for enrolled machines.
    KeptForKnown = "kept-for-known", "machines that are not enrolled have used up their share";
    /// Another server hands out the addresses in this network.
    AddressServer = "address-server", "left to the server that hands out addresses";
    /// The client does not netboot, and we serve only boot data here.
    NotBooting = "not-booting", "it does not boot from the network";
    /// There is no boot file for its architecture.
    NoBootFile = "no-boot-file", "there is no loader for its architecture";
    /// The client took another server's offer.
    OtherServer = "other-server", "it took another server's offer";
    /// The client confirms or renews an address we never gave it: not ours to refuse.
    UnknownBinding = "unknown-binding", "it named an address that we do not know";
    /// No address is left.
    Exhausted = "pool-exhausted", "no address is left";
    /// A REQUEST, DECLINE or INFORM that lacks its address.
    NoAddress = "no-address", "it named no address";
    /// An INFORM from an address outside the network.
    ForeignAddress = "foreign-address", "its address is not in this network";
    /// DHCPv6: sent to one of our addresses instead of to the multicast group.
    Unicast = "unicast", "DHCPv6: it was sent to us only, not to all servers";
    /// The message ends, declines or extends a lease and was not sent by its holder: wrong source port or
    /// address.
    WrongSender = "wrong-sender", "it cannot have come from the machine it names";
    /// A RELEASE or DECLINE of an address that its machine still answers for.
    StillInUse = "still-in-use", "an address was released that is still in use";
    /// A RELEASE: the address is free again.
    Released = "released", "an address was released";
    /// A DECLINE: the address is quarantined for the network's `decline_seconds`.
    Declined = "declined", "an address was declined: another host uses it";
    /// Set by the shell: the lease could not be written.
    JournalFailed = "journal-failed", "the lease journal could not be written";
    /// Set by the shell: the reply could not be sent.
    SendFailed = "send-failed", "the reply could not be sent";
    /// Set by the shell: too much work.
    Busy = "busy", "too many messages at once";
    /// Shorter than a header.
    TooShort = "too-short", "too short for a DHCP message";
    /// Longer than [`crate::dhcp4::packet::MAX_BYTES`].
    TooLong = "too-long", "too long for a DHCP message";
    /// Not a BOOTREQUEST.
    NotRequest = "not-a-request", "not a client's request";
    /// Not Ethernet with six-byte addresses.
    HardwareType = "hardware-type", "not Ethernet, for example InfiniBand: only Ethernet can boot";
    /// No DHCP magic cookie.
    BadCookie = "bad-cookie", "BOOTP or other bytes: DHCP's cookie is missing";
    /// No option 53: plain BOOTP.
    Bootp = "bootp", "BOOTP without DHCP";
    /// A message that no client or relay sends to a server, or one we do not support (lease query, ...).
    MessageType = "message-type", "not a message that machines send";
    /// DHCPv6: more relays than RFC 8415 allows.
    TooManyRelays = "too-many-relays", "DHCPv6: it came through too many relays";
    /// DHCPv6: a relay message without a relayed message.
    NothingRelayed = "nothing-relayed", "DHCPv6: a relay message without content";
    /// DHCPv6: no client identifier, or an invalid one (RFC 8415, 16).
    NoClientId = "no-client-id", "DHCPv6: it has no usable client identifier";
    /// DHCPv6: names a server but must not, or must but does not (RFC 8415, 16).
    ServerId = "server-id", "DHCPv6: it names a server where it must not, or names none";
    /// DHCPv6: an INFORMATION-REQUEST with an association (RFC 8415, 16.12).
    Association = "association", "DHCPv6: it asks for settings and an address at once";
    /// DHCPv6: nothing tells the NIC's MAC: the DUID has none, and the link-local address was not made from
    /// one.
    NoMac = "no-mac", "DHCPv6: nothing in it tells the NIC's MAC";
}

impl Unanswered {
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
            "each is in ALL once"
        );
        assert_eq!(Unanswered::of("newer"), None);
    }
}
