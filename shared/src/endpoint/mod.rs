//! The socket: who may bind it, who may connect to it, and what a connection can do. The only user of interprocess.
//!
//! Three things keep other users out: the socket lies in a folder that only its owner may enter, its own mode is
//! 0600, and each side asks the kernel who the other one is. One thing keeps a second daemon out: a lock on a file
//! beside the socket, which the kernel releases when its owner dies in whatever way. Whoever holds the lock may
//! replace the socket that a dead daemon left behind.

mod connection;
mod listener;
#[cfg(test)]
mod tests;

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use interprocess::{
    local_socket::{ConnectOptions, GenericFilePath, Name, prelude::*},
    os::unix::uds_local_socket as uds,
};

pub use self::{
    connection::{Connection, Hangup, Receiver, Sender},
    listener::{Closer, Listener},
};

/// What a socket's address has room for.
const MAX_PATH_BYTES: usize = 107;

/// Why there is no socket, or no connection.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// Nobody listens: the socket is absent, or left behind by a dead daemon.
    #[error("no daemon listens at {}; start one with `utsushi serve`", path.display())]
    NotRunning {
        /// The socket.
        path: PathBuf,
    },
    /// Somebody listens already.
    #[error("a daemon is already running at {}; stop it first with `utsushi stop`", path.display())]
    AlreadyRunning {
        /// The socket.
        path: PathBuf,
    },
    /// The socket's folder can't protect it.
    #[error("the socket can't lie in {}: {problem}", folder.display())]
    UnsafeFolder {
        /// The socket's folder.
        folder: PathBuf,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// The process that listens belongs to another user.
    #[error(
        "the daemon at {} belongs to another user, so nothing was sent to it; set UTSUSHI_SOCKET to a path of your own",
        path.display()
    )]
    ForeignPeer {
        /// The socket.
        path: PathBuf,
    },
    /// The path doesn't fit into a socket's address.
    #[error(
        "the socket's path {} has more than the possible {MAX_PATH_BYTES} bytes; set UTSUSHI_SOCKET to a shorter one",
        path.display()
    )]
    PathTooLong {
        /// The socket.
        path: PathBuf,
    },
    /// The listener was closed by its [`Closer`].
    #[error("the socket was closed")]
    Closed,
    /// The system refused.
    #[error("can't {action} {}: {error}", path.display())]
    Io {
        /// As in "can't listen at".
        action: &'static str,
        /// The socket, or a file beside it.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

impl EndpointError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io { action, path: path.to_path_buf(), error }
    }
}

/// Connects to the daemon at this path, or fails with [`EndpointError::NotRunning`].
pub fn connect(path: &Path) -> Result<Connection, EndpointError> {
    let failed = || EndpointError::io("connect to", path);
    let options = ConnectOptions::new().name(name(path)?);
    let stream: uds::Stream = options.connect_sync_as().map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            EndpointError::NotRunning { path: path.to_path_buf() }
        }
        _ => failed()(error),
    })?;
    if !is_ours(&stream) {
        return Err(EndpointError::ForeignPeer { path: path.to_path_buf() });
    }
    Ok(Connection::new(stream))
}

fn name(path: &Path) -> Result<Name<'_>, EndpointError> {
    if path.as_os_str().len() > MAX_PATH_BYTES {
        return Err(EndpointError::PathTooLong { path: path.to_path_buf() });
    }
    path.to_fs_name::<GenericFilePath>().map_err(EndpointError::io("use the path", path))
}

/// Is the process at the other end the same user's?
fn is_ours(stream: &uds::Stream) -> bool {
    let peer = stream.peer_creds().ok().and_then(|peer| peer.euid());
    peer == Some(rustix::process::geteuid().as_raw())
}
