//! The decision about one DHCP message.

use std::net::Ipv4Addr;

use crate::codes::Unanswered;
use crate::network::lease::LeaseChange;

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
