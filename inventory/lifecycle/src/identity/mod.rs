//! Who a machine is: a weighted set of facts, never one field.
//!
//! [`Identity::of`] takes the usable facts from a report, [`compare`] compares two identities, [`recognise`]
//! decides whether a report comes from a known machine, and [`standing`] decides what follows for the
//! enrolment it came through. An identity is a claim of the sender, not a proof; the caller decides what may
//! follow from it (see docs/security.md).

mod facts;
mod junk;
mod recognise;
mod standing;

pub use facts::{Field, Identity, Serial, Uuid};
pub use inventory_api::serial::{counts_as_name, counts_as_serial};
pub use recognise::{CLAIM, Change, Comparison, Known, Recognition, Share, changed, compare, recognise};
pub use standing::{Candidate, Situation, Standing, settles, standing};
