//! Level sim: the server in process and simulated machines with real bytes and the real agent library.

#[path = "sim/fleet.rs"]
mod fleet;
