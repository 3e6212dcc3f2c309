//! Stopping a daemon, also one of another version.

use std::{
    io,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{Client, ClientError};
use crate::{
    endpoint,
    protocol::{Hello, STOP_GRACE},
};

/// How long a daemon is waited for: as long as it may take, and a little.
const PATIENCE: Duration = STOP_GRACE.saturating_add(Duration::from_secs(5));
/// How often to look whether a daemon that got a signal is still there.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Stops the daemon: asks it to if it is of this version, and sends it SIGTERM otherwise. Either way it finishes what
/// is running first, and is waited for; one that then still runs is [`ClientError::StillRunning`].
pub fn stop(socket: &Path) -> Result<(), ClientError> {
    stop_within(PATIENCE, socket)
}

pub(super) fn stop_within(patience: Duration, socket: &Path) -> Result<(), ClientError> {
    let mut client = Client::introduce(socket)?;
    let is_gone = if Hello::ours().fits(&client.daemon) {
        client.shutdown()?;
        // It says nothing more: the next to be read is the end, and an error is the end, too.
        client.receiver.wait(patience).unwrap_or(true)
    } else {
        stop_by_signal(&client)?;
        is_left_within(patience, socket)
    };
    match is_gone {
        true => Ok(()),
        false => Err(ClientError::StillRunning { pid: client.daemon.pid, waited: patience }),
    }
}

/// Ends a daemon too old, or too new, to be asked; it runs as the same user, as the socket has made sure. What it says
/// of itself isn't enough: the kernel must say, too, that this process listens. They differ where a service manager
/// does, who is not to be ended.
fn stop_by_signal(client: &Client) -> Result<(), ClientError> {
    let cannot = |error| ClientError::CannotStop { pid: client.daemon.pid, error };
    let pid = client.receiver.peer_pid().filter(|&pid| pid == client.daemon.pid);
    let pid = pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    let pid = pid.ok_or_else(|| {
        cannot(io::Error::other("its socket belongs to another process, such as a service manager"))
    })?;
    kill_process(pid, Signal::TERM).map_err(|error| cannot(error.into()))
}

/// Does the socket come to have no daemon? Connections don't tell, as one of another version closes them at once.
fn is_left_within(patience: Duration, socket: &Path) -> bool {
    let deadline = Instant::now() + patience;
    while endpoint::connect(socket).is_ok() {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(POLL_INTERVAL);
    }
    true
}
