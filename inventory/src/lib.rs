//! The Slipway server: remembers the machines, decides what they do, answers agents and people.

pub mod actions;
pub mod advance;
pub mod api;
pub mod app;
mod boot_files;
pub mod boot_source;
pub mod cli;
pub mod config;
pub mod core;
pub mod deadlines;
mod diagnosis;
pub mod export;
pub mod import;
mod journeys;
pub mod known;
pub mod loaders;
pub mod missing;
pub mod problem;
pub mod redact;
pub mod secret;
pub mod sentence;
pub mod service;
pub mod store;
pub mod text;
pub mod tls;
pub mod ui;
