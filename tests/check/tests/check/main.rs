//! The check on captured machines: golden profiles, faults in their tables, differences planted into each of
//! them, fleets with one odd machine.

mod cabling;
mod cases;
mod faults;
mod fleet;
mod golden;
mod gone;
mod health;
mod hostile;
mod places;
mod planted;
mod profile;
mod server;
mod unreported;
