//! The server in this process, over real TLS, with agents that speak to it as real ones do.

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
