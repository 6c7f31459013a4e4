//! The verbs that take nothing but the machine.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// A verb of `POST /v1/machines/{id}/{verb}` other than deploy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Check the assets.
    Commission,
    /// Wipe the disks and make it ready again.
    Release,
    /// Take it out of service.
    Retire,
    /// Try again what failed.
    Retry,
    /// Stop what is going on.
    Abort,
    /// Let it boot although its firmware was not heard.
    Admit,
    /// Delete all that is kept of it.
    Forget,
}

impl Verb {
    /// All of them.
    pub const ALL: [Verb; 7] = [
        Verb::Commission,
        Verb::Release,
        Verb::Retire,
        Verb::Retry,
        Verb::Abort,
        Verb::Admit,
        Verb::Forget,
    ];
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl FromStr for Verb {
    type Err = ();

    fn from_str(text: &str) -> Result<Verb, ()> {
        Verb::ALL.into_iter().find(|v| v.to_string() == text).ok_or(())
    }
}
