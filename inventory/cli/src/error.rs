//! Errors of the commands and their exit codes.

use inventory_client::ClientError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The command was refused, failed or could not be tried.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The checked machine is not as expected. Holds the whole answer, for standard output.
    #[error("{0}")]
    Verdict(String),
}

impl CliError {
    /// The command line, a file or the environment is wrong: nothing was tried.
    pub(crate) fn usage(text: impl Into<String>) -> CliError {
        ClientError::Usage(text.into()).into()
    }

    /// The command was tried and failed.
    pub(crate) fn failed(text: impl Into<String>) -> CliError {
        ClientError::Failed(text.into()).into()
    }

    /// 1: refused, failed or a failed check; 2: wrong usage.
    pub fn exit_code(&self) -> u8 {
        match self {
            CliError::Client(ClientError::Usage(_)) => 2,
            CliError::Client(_) | CliError::Verdict(_) => 1,
        }
    }
}
