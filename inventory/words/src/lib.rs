//! What people read: sentences of the history, what a journey's end means, sizes and times in words. Pure.

pub mod diagnosis;
pub mod redact;
pub mod sentence;
pub mod tasks;
pub mod text;
pub mod timeline;
