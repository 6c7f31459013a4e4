//! The check against captured machines: their golden profile, faults in their tables, differences planted into every one
//! of them, fleets with one odd machine.

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
