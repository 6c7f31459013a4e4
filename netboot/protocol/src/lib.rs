//! Network boot as pure decisions: who is asking, what to answer. No socket, clock or randomness: time is an
//! argument.

pub mod network;

pub use network::{Mode, Network, NetworkError, NetworkSettings, PoolRange};
