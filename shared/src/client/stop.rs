//! Stopping a daemon, also one of another version.

use std::{io, path::Path};

use rustix::process::{Pid, Signal, kill_process};

use super::{Client, ClientError};
use crate::{
    protocol::{Hello, Reply},
    wire,
};

/// Stops the daemon: asks it to if it is of this version, and sends it SIGTERM otherwise. Either way it finishes what
/// is running first.
///
/// Waits until a daemon that was asked has closed the connection, thus until it exits, though not for ever.
pub fn stop(socket: &Path) -> Result<(), ClientError> {
    let mut client = Client::introduce(socket)?;
    if !Hello::ours().fits(&client.daemon) {
        return stop_by_pid(&client.daemon);
    }
    client.shutdown()?;
    // However the connection ends, the daemon has promised to stop.
    let _ = wire::read_frame::<Reply>(&mut client.receiver, &mut client.incoming);
    Ok(())
}

/// Ends a daemon too old, or too new, to be asked. It runs as the same user, as the socket has made sure.
fn stop_by_pid(daemon: &Hello) -> Result<(), ClientError> {
    let cannot = |error| ClientError::CannotStop { pid: daemon.pid, error };
    let pid = i32::try_from(daemon.pid).ok().filter(|&pid| pid > 1).and_then(Pid::from_raw);
    let pid =
        pid.ok_or_else(|| cannot(io::Error::new(io::ErrorKind::InvalidData, "that is no process number")))?;
    kill_process(pid, Signal::TERM).map_err(|error| cannot(error.into()))
}
