//! The switch port at the other end of a cable: LLDP frames (IEEE 802.1AB).

mod frame;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod listen;
#[cfg(test)]
mod tests;

pub use listen::listen;
pub(super) use listen::{neighbour, wait};
