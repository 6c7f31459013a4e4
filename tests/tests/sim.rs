//! Level sim: the server in process, and simulated machines with real bytes and the real agent library.

#[path = "sim/burn_in.rs"]
mod burn_in;
#[path = "sim/disks.rs"]
mod disks;
#[path = "sim/fleet.rs"]
mod fleet;
#[path = "sim/hostile.rs"]
mod hostile;
#[path = "sim/identity.rs"]
mod identity;
#[path = "sim/power.rs"]
mod power;
#[path = "sim/tickets.rs"]
mod tickets;
