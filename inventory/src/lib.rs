//! The Slipway server: remembers the machines, decides what they do, answers agents and people.

pub mod service;
