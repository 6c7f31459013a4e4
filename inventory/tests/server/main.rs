//! The server in this process, with simulated agents that talk to it over real TLS.

mod boot;
mod claims;
mod cli;
mod console;
mod delivery;
mod harness;
mod lifecycle;
mod pages;
mod parts;
mod rack;
mod release;
mod replay;
mod users;
