//! A second socket in a folder that comes and goes, as that by which a sandbox reaches us.
//!
//! The folder is looked for again and again. What goes wrong there is told in the log, once, and troubles nobody who
//! comes by the front door.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tracing::{info, warn};
use utsushi_ipc::endpoint::Listener;

/// A sandbox is seldom faster up, and asked for a picture, than this.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A socket, two folders below one that somebody else makes.
#[derive(Debug, Clone)]
pub struct SideDoor {
    socket: PathBuf,
    look_every: Duration,
    complaint: Option<String>,
}

impl SideDoor {
    /// With this socket, such as `/run/user/1000/app/NAME/utsushi/daemon.sock`, to listen at while
    /// `/run/user/1000/app/NAME` is there.
    pub fn new(socket: PathBuf) -> Self {
        Self { socket, look_every: LOOK_EVERY, complaint: None }
    }

    /// Looks for the folder this often.
    #[cfg(test)]
    pub(super) fn every(self, look_every: Duration) -> Self {
        Self { look_every, ..self }
    }

    /// Listens there, if that is possible and not done already; returns when to look again.
    pub(super) fn look_after(&mut self, listener: &mut Listener) -> Duration {
        if self.socket.ancestors().nth(2).is_some_and(Path::is_dir) {
            match listener.add(&self.socket) {
                Ok(true) => {
                    info!(socket = %self.socket.display(), "listening, too");
                    self.complaint = None;
                }
                Ok(false) => {}
                Err(error) => self.complain(error.to_string()),
            }
        }
        self.look_every
    }

    fn complain(&mut self, what: String) {
        if self.complaint.as_ref() != Some(&what) {
            warn!("a sandbox can't reach this daemon: {what}");
            self.complaint = Some(what);
        }
    }
}
