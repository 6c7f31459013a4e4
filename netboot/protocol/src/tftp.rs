//! TFTP (RFC 1350) for reading, with the options blksize, tsize, timeout (RFC 2347 to 2349) and windowsize
//! (RFC 7440): what a datagram says ([`parse`]), which options to accept ([`negotiate`]), and what to send
//! next ([`Transfer`]).
//!
//! Times are [`std::time::Duration`]s since the transfer began.

mod options;
pub mod packet;
mod repeat;
mod rtt;
mod transfer;

pub use options::{Accepted, Limits, negotiate};
pub use packet::{ErrorCode, Packet, RefusedRequest, Request, TransferMode, netascii, parse, table_name};
pub use repeat::{Repeat, repeated};
pub use transfer::{Outcome, Send, Step, Transfer};
