//! Runs a program and explains its failure.

use std::process::{Command, Stdio};

use crate::{Error, Result};

/// How much of a program's standard error goes into the error text.
const TAIL_BYTES: usize = 2000;

/// Runs `command` and returns its standard output.
///
/// # Errors
/// [`Error::Program`] if it cannot be started (the text names the program, so a missing package is obvious)
/// or does not succeed.
pub fn run(command: &mut Command) -> Result<Vec<u8>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|e| Error::Program {
            program: name.clone(),
            outcome: format!("cannot start it: {e}; is it installed? see .ci/packages"),
            tail: String::new(),
        })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let text = text.trim();
    let mut start = text.len().saturating_sub(TAIL_BYTES);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    Err(Error::Program {
        program: name,
        outcome: output.status.to_string(),
        tail: text[start..].to_owned(),
    })
}
