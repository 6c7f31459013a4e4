//! Boot files on loopback, byte by byte as firmware and loaders ask for them.

mod chosen;
mod http;
mod service;
mod tftp;
