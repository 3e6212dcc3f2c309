//! `utsushi status`: how the daemon is.

use std::{
    io::{self, Write},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use serde::Serialize;
use utsushi_ipc::client::{Client, ClientError};
use utsushi_ipc::protocol::Status;
use utsushi_ipc::status::{NOT_RUNNING, describe};

use super::{Address, Ending};

/// For how long a daemon that hangs up may be ending.
const DYING_LIMIT: Duration = Duration::from_secs(2);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Show how the daemon is: model, device, memory, queue
///
/// Exits with 1 if no daemon is running. It isn't started: that happens by itself when a picture is drawn.
#[derive(Debug, Args)]
#[command(
    name = "status",
    after_help = "Examples:
  utsushi status
  utsushi status --json | jq .queued"
)]
pub(super) struct StatusCommand {
    /// Write one JSON object
    #[arg(long)]
    json: bool,
}

/// What is told as JSON.
#[derive(Serialize)]
#[serde(untagged)]
enum State<'a> {
    Stopped {
        running: bool,
    },
    Running {
        running: bool,
        version: &'a str,
        pid: u32,
        loaded: &'a [String],
        device: &'a str,
        resident_bytes: u64,
        budget_bytes: u64,
        reserved_bytes: u64,
        drawing: u32,
        queued: u32,
        finished: u64,
        uptime_s: u64,
    },
}

impl StatusCommand {
    pub(super) fn execute(&self, address: &Address) -> anyhow::Result<Ending> {
        let status = ask(&address.socket)?;
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{}", serde_json::to_string(&state(status.as_ref()))?)?;
        } else {
            match &status {
                Some(status) => out.write_all(describe(status).as_bytes())?,
                None => writeln!(out, "{NOT_RUNNING}")?,
            }
        }
        Ok(if status.is_some() { Ending::Done } else { Ending::Failed })
    }
}

/// What the daemon says of itself, or nothing where none runs.
fn ask(socket: &Path) -> Result<Option<Status>, ClientError> {
    let deadline = Instant::now() + DYING_LIMIT;
    loop {
        match Client::connect(socket).and_then(|mut client| client.status()) {
            Ok(status) => return Ok(Some(status)),
            Err(ClientError::NotRunning { .. }) => return Ok(None),
            // It is just ending: soon there will be none, or the next one.
            Err(ClientError::Lost { .. }) if Instant::now() < deadline => thread::sleep(POLL_INTERVAL),
            Err(error) => return Err(error),
        }
    }
}

fn state(status: Option<&Status>) -> State<'_> {
    let Some(status) = status else { return State::Stopped { running: false } };
    let Status { version, pid, loaded, device, resident_bytes, budget_bytes, reserved_bytes, .. } = status;
    let Status { running: drawing, queued, finished, uptime_s, .. } = status;
    State::Running {
        running: true,
        version,
        pid: *pid,
        loaded,
        device,
        resident_bytes: *resident_bytes,
        budget_bytes: *budget_bytes,
        reserved_bytes: *reserved_bytes,
        drawing: *drawing,
        queued: *queued,
        finished: *finished,
        uptime_s: *uptime_s,
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::net::UnixListener};

    use super::*;

    #[test]
    fn a_daemon_that_is_just_ending_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("daemon.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let ending = thread::spawn({
            let socket = socket.clone();
            move || {
                drop(listener.accept().unwrap());
                fs::remove_file(socket).unwrap();
            }
        });
        assert!(ask(&socket).unwrap().is_none());
        ending.join().unwrap();
    }

    #[test]
    fn objects() {
        let status = Status {
            version: "0.1.0".into(),
            pid: 7,
            loaded: vec!["cel".into(), "ink".into()],
            device: "CPU".into(),
            resident_bytes: 120 << 20,
            budget_bytes: 4 << 30,
            reserved_bytes: 70 << 20,
            running: 1,
            queued: 2,
            finished: 3,
            uptime_s: 60,
        };
        assert_eq!(
            serde_json::to_string(&state(Some(&status))).unwrap(),
            r#"{"running":true,"version":"0.1.0","pid":7,"loaded":["cel","ink"],"device":"CPU","#.to_owned()
                + r#""resident_bytes":125829120,"budget_bytes":4294967296,"reserved_bytes":73400320,"drawing":1,"queued":2,"finished":3,"uptime_s":60}"#
        );
        assert_eq!(serde_json::to_string(&state(None)).unwrap(), r#"{"running":false}"#);
    }
}
