//! What IPv4 and IPv6 addresses and subnets have in common.

use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::net::IpAddr;

/// An address that can be leased: IPv4 or IPv6.
pub trait Address: Copy + Ord + Hash + Debug + Display + Into<IpAddr> {}

impl<A: Copy + Ord + Hash + Debug + Display + Into<IpAddr>> Address for A {}
