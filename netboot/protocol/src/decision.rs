//! The decision about one DHCP message.

use std::net::Ipv4Addr;

use inventory_api::dhcp::DhcpReply;

use crate::codes::Unanswered;
use crate::network::lease::{Lease, LeaseChange, LeaseState};

/// What to do about a message, by IPv4 or IPv6.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision<C, A = Ipv4Addr> {
    /// The reply, or why there is none.
    pub answer: Result<C, Unanswered>,
    /// A change of the leases, to be made before anything else. Unless it is an offer, it must be durable
    /// before the answer is sent.
    pub change: Option<LeaseChange<A>>,
}

impl<C, A> From<Result<C, Unanswered>> for Decision<C, A> {
    /// The leases stay as they are.
    fn from(answer: Result<C, Unanswered>) -> Decision<C, A> {
        Decision { answer, change: None }
    }
}

impl<C, A> Decision<C, A> {
    /// A message for another server. If it follows an offer of ours, the offer is void.
    pub(crate) fn took_another_offer(ours: Option<Lease<A>>) -> Decision<C, A> {
        let offered = ours.filter(|lease| lease.state == LeaseState::Offered);
        Decision {
            answer: Err(Unanswered::OtherServer),
            change: offered.map(|lease| LeaseChange::Forget(lease.ip)),
        }
    }
}

/// The type of a reply on the wire: option 53 (RFC 2132, 9.6), in DHCPv6 the first byte (RFC 8415, 7.3).
pub(crate) const fn wire_type(reply: DhcpReply) -> u8 {
    match reply {
        DhcpReply::Offer | DhcpReply::Advertise => 2,
        DhcpReply::Ack => 5,
        DhcpReply::Nak => 6,
        DhcpReply::Reply => 7,
    }
}
