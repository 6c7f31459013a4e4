//! Texts for people: history in sentences, boot diagnosis, sizes and times in words. Pure.

pub mod diagnosis;
pub mod lookup;
pub mod redact;
pub mod sentence;
pub mod tasks;
pub mod text;
pub mod timeline;
