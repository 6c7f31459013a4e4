//! Errors of the commands and their exit codes.

use inventory_api::Problem;
use inventory_client::ClientError;

use words::text::tame;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The command line, a file or the environment is wrong: nothing was tried.
    #[error("{0}")]
    Usage(String),
    /// The server answered with a problem.
    #[error("{}", problem(.0))]
    Refused(Problem),
    /// The command was tried and failed.
    #[error("{0}")]
    Failed(String),
    /// The checked machine is not as expected. Holds the whole answer, for standard output.
    #[error("{0}")]
    Verdict(String),
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> CliError {
        match error {
            ClientError::Usage(text) => CliError::Usage(text),
            ClientError::Refused(problem) => CliError::Refused(problem),
            ClientError::Failed(text) => CliError::Failed(text),
        }
    }
}

impl CliError {
    pub(crate) fn usage(text: impl Into<String>) -> CliError {
        CliError::Usage(text.into())
    }

    pub(crate) fn failed(text: impl Into<String>) -> CliError {
        CliError::Failed(text.into())
    }

    /// 1: refused, failed or a failed check; 2: wrong usage.
    pub fn exit_code(&self) -> u8 {
        match self {
            CliError::Usage(_) => 2,
            CliError::Refused(_) | CliError::Failed(_) | CliError::Verdict(_) => 1,
        }
    }
}

/// The problem as text, with a hint for status 401.
fn problem(p: &Problem) -> String {
    // The detail of a refused import has one error per line.
    let detail: Vec<String> = p.detail.lines().take(60).map(|line| tame(line, 2000)).collect();
    let mut text = format!("{}: {}", tame(&p.title, 200), detail.join("\n  "));
    let hint = match p.status {
        401 => Some(
            "Set SLIPWAY_TOKEN to a valid API token (the first one is printed when the server is first started).",
        ),
        _ => None,
    };
    if let Some(hint) = hint {
        text.push_str("\n  ");
        text.push_str(hint);
    }
    text.push_str(&format!("\n  ({} {})", p.status, tame(&p.code, 80)));
    text
}
