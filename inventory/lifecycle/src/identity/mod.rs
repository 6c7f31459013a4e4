//! Who a machine is: a weighted set of facts, never one field.
//!
//! [`Identity::of`] takes from a report what counts, [`compare`] puts two side by side, [`recognise`] decides whether a
//! report comes from a machine that is known, and [`standing`] what follows for the enrolment it came through. What it says is a claim of the sender and no proof: what may follow from it
//! is the caller's to decide (see docs/security.md).

mod facts;
mod junk;
mod recognise;
mod standing;

pub use facts::{Field, Identity, Serial, Uuid};
pub use inventory_api::serial::{counts_as_name, counts_as_serial};
pub use junk::counts_as_mac;
pub use recognise::{CLAIM, Change, Comparison, Known, Recognition, Share, changed, compare, recognise};
pub use standing::{Candidate, Situation, Standing, settles, standing};
