//! How an error is printed: its own text, then its causes.

use std::error::Error;

/// `error` and its sources, separated by colons. Our own texts leave the source out; some crates repeat it in theirs (hyper,
/// rustls), so a cause that has been said is skipped.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        next = cause.source();
    }
    text
}
