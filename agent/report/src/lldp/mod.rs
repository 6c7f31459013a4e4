//! The switch port at the other end of a cable: LLDP frames (IEEE 802.1AB).

mod frame;
mod listen;
#[cfg(test)]
mod tests;

#[cfg(any(test, fuzzing))]
pub(super) use frame::fuzz;
pub use listen::listen;
pub(super) use listen::{neighbour, wait};
