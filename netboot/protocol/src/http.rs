//! HTTP/1 as firmware and boot loaders speak it: heads of requests and responses, and byte ranges.

pub mod head;
pub mod range;
