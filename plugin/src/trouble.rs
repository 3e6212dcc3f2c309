//! What goes wrong with the daemon, in the user's language. What the daemon itself says of a picture comes in English.

use utsushi_ipc::client::ClientError;
use utsushi_ipc::protocol::Hello;

use crate::words;

/// The error in words: what happened, to what, and what to do.
pub(crate) fn describe(error: &ClientError) -> String {
    match error {
        ClientError::NotRunning { socket } => {
            words::NOT_RUNNING.with(&[("socket", &socket.display().to_string())])
        }
        ClientError::CannotStart { program, reason } => {
            words::CANNOT_START.with(&[("program", &program.display().to_string()), ("reason", reason)])
        }
        ClientError::Version { daemon } => words::OTHER_VERSION
            .with(&[("theirs", &daemon.application), ("ours", &Hello::ours().application)]),
        ClientError::Silent { pid: Some(pid), waited } => {
            words::SILENT.with(&[("seconds", &waited.as_secs().to_string()), ("pid", &pid.to_string())])
        }
        ClientError::Lost { reason } => words::LOST.with(&[("reason", &reason.to_string())]),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_the_client_says_is_said_in_words_that_can_be_translated() {
        let check = |error: ClientError, expected: &str| assert_eq!(describe(&error), expected);
        let error = ClientError::NotRunning { socket: PathBuf::from("/run/socket") };
        let client = error.to_string();
        check(error, &client);
        let silent = |pid| ClientError::Silent { pid, waited: Duration::from_secs(30) };
        let (known, unknown) = (silent(Some(7)).to_string(), silent(None).to_string());
        check(silent(Some(7)), &known);
        check(silent(None), &unknown);
        let error = ClientError::CannotStart { program: "utsushi".into(), reason: "it isn't there".into() };
        let expected = "can't start the daemon with `utsushi`: it isn't there; install Utsushi anew, or start it with \
                        `utsushi serve`";
        check(error, expected);
        check(ClientError::Cancelled, "cancelled");
    }
}
