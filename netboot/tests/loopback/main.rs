//! The service on loopback: whole boots, and files byte by byte as firmware and loaders ask for them.

mod boot;
mod chosen;
mod http;
mod service;
mod tftp;
