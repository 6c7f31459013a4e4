//! The Slipway server: remembers the machines, decides what they do, answers agents and people.

pub mod cli;
pub mod service;
pub mod text;
pub mod tls;
