//! The daemon's side: one socket, one daemon, one user.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, ErrorKind, PipeReader, PipeWriter, Write},
    os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use interprocess::{
    local_socket::{ListenerNonblockingMode, ListenerOptions, prelude::*},
    os::unix::{local_socket::ListenerOptionsExt as _, uds_local_socket as uds},
};
use listenfd::ListenFd;
use rustix::event::{PollFd, PollFlags, poll};

use super::{Connection, EndpointError, connect, is_ours, name};

/// A socket that clients connect to.
#[derive(Debug)]
pub struct Listener {
    socket: uds::Listener,
    path: PathBuf,
    /// None if the socket was inherited: then it belongs to whoever handed it down.
    _own: Option<OwnSocket>,
    wake: PipeReader,
    closer: Closer,
}

/// Makes [`Listener::accept`] return [`EndpointError::Closed`], from any thread, now and ever after.
#[derive(Debug, Clone)]
pub struct Closer(Arc<PipeWriter>);

impl Closer {
    /// Closes the listener.
    pub fn close(&self) {
        // The byte is never taken out again, so whoever polls finds it.
        let _ = (&*self.0).write(&[0]);
    }
}

impl Listener {
    /// Listens at this path, or fails with [`EndpointError::AlreadyRunning`].
    ///
    /// The folder is created if it is absent, with mode 0700. One that is there must be the user's, and closed to
    /// others: its mode isn't repaired, since the folder may serve others too.
    pub fn bind(path: &Path) -> Result<Self, EndpointError> {
        let path = std::path::absolute(path).map_err(EndpointError::io("find", path))?;
        secure_folder(path.parent().unwrap_or(Path::new("/")))?;
        let lock = lock(&path)?;
        remove_stale(&path)?;

        let failed = || EndpointError::io("listen at", &path);
        let options = ListenerOptions::new().name(name(&path)?).reclaim_name(false).mode(0o600);
        let socket: uds::Listener = options.create_sync_as().map_err(failed())?;
        let inode = fs::symlink_metadata(&path).map_err(failed())?.ino();
        let own = OwnSocket { path: path.clone(), inode, lock };
        Self::new(socket, path, Some(own))
    }

    /// The socket that the service manager handed down in `LISTEN_FDS`, if it did.
    ///
    /// Changes the environment, so call it before any thread is started, and once.
    pub fn from_environment() -> Option<Result<Self, EndpointError>> {
        let mut inherited = ListenFd::from_env();
        let listener =
            (0..inherited.len()).find_map(|index| inherited.take_unix_listener(index).ok().flatten())?;
        let path =
            listener.local_addr().ok().and_then(|address| address.as_pathname().map(Path::to_path_buf));
        Some(Self::inherited(uds::Listener::from(listener), path.unwrap_or_default()))
    }

    pub(super) fn inherited(socket: uds::Listener, path: PathBuf) -> Result<Self, EndpointError> {
        Self::new(socket, path, None)
    }

    fn new(socket: uds::Listener, path: PathBuf, own: Option<OwnSocket>) -> Result<Self, EndpointError> {
        // A client that is gone again between `poll` and `accept` must not block the latter.
        socket
            .set_nonblocking(ListenerNonblockingMode::Accept)
            .map_err(EndpointError::io("listen at", &path))?;
        let (wake, writer) = io::pipe().map_err(EndpointError::io("listen at", &path))?;
        Ok(Self { socket, path, _own: own, wake, closer: Closer(Arc::new(writer)) })
    }

    /// Waits for the next client of this user; others are turned away without a word.
    ///
    /// An error other than [`EndpointError::Closed`] may pass, as when too many files are open: wait a little, then
    /// try again.
    pub fn accept(&self) -> Result<Connection, EndpointError> {
        let failed = || EndpointError::io("accept a client at", &self.path);
        loop {
            let mut ready =
                [PollFd::new(&self.socket, PollFlags::IN), PollFd::new(&self.wake, PollFlags::IN)];
            rustix::io::retry_on_intr(|| poll(&mut ready, None)).map_err(|error| failed()(error.into()))?;
            if !ready[1].revents().is_empty() {
                return Err(EndpointError::Closed);
            }
            match self.socket.accept() {
                Ok(stream) if is_ours(&stream) => return Ok(Connection::new(stream)),
                Ok(_stranger) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => return Err(failed()(error)),
            }
        }
    }

    /// A handle that closes this listener.
    pub fn closer(&self) -> Closer {
        self.closer.clone()
    }

    /// The socket's path; empty if the socket was inherited and has none.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A socket file of ours, and the right to have one.
#[derive(Debug)]
struct OwnSocket {
    path: PathBuf,
    inode: u64,
    lock: File,
}

impl Drop for OwnSocket {
    fn drop(&mut self) {
        // Somebody may have put another socket in its place, such as the service manager.
        let still_ours = fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode);
        if still_ours {
            let _ = fs::remove_file(&self.path);
        }
        // Closing the file would do, if no child process that is just being started held it for a moment longer.
        let _ = self.lock.unlock();
    }
}

/// Creates the folder for the user alone, or checks that it is so.
fn secure_folder(folder: &Path) -> Result<(), EndpointError> {
    let failed = || EndpointError::io("use the folder", folder);
    let refused =
        |problem: String| Err(EndpointError::UnsafeFolder { folder: folder.to_path_buf(), problem });

    if let Some(above) = folder.parent() {
        fs::create_dir_all(above).map_err(EndpointError::io("create the folder", above))?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed()(error)),
        _ => {}
    }

    // Not following a link: in /tmp, it could be anybody's.
    let found = fs::symlink_metadata(folder).map_err(failed())?;
    if !found.is_dir() {
        return refused("it is no folder; remove it, or set UTSUSHI_SOCKET to another path".into());
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return refused(
            "it belongs to another user; set UTSUSHI_SOCKET to a path in a folder of your own".into(),
        );
    }
    let mode = found.mode() & 0o7777;
    if mode & 0o077 != 0 {
        let name = folder.display();
        return refused(format!(
            "others may enter it (its mode is {mode:o}); close it with `chmod 700 '{name}'`, or set UTSUSHI_SOCKET to \
             a path in another folder"
        ));
    }
    Ok(())
}

/// Takes the lock beside the socket. The file stays for ever: removing it would let two daemons lock two files.
fn lock(socket: &Path) -> Result<File, EndpointError> {
    let mut path = socket.as_os_str().to_owned();
    path.push(".lock");
    let path = PathBuf::from(path);
    let failed = || EndpointError::io("lock", &path);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(failed())?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(EndpointError::AlreadyRunning { path: socket.to_path_buf() }),
        Err(TryLockError::Error(error)) => Err(failed()(error)),
    }
}

/// Removes what a dead daemon left. A live socket without a lock is the service manager's.
fn remove_stale(path: &Path) -> Result<(), EndpointError> {
    match connect(path) {
        Ok(_) | Err(EndpointError::ForeignPeer { .. }) => {
            return Err(EndpointError::AlreadyRunning { path: path.to_path_buf() });
        }
        Err(EndpointError::NotRunning { .. }) => {}
        Err(error) => return Err(error),
    }
    let failed = || EndpointError::io("replace the old socket", path);
    match fs::symlink_metadata(path) {
        Ok(file) if file.file_type().is_socket() => fs::remove_file(path).map_err(failed()),
        Ok(_) => Err(failed()(io::Error::new(ErrorKind::AlreadyExists, "it is no socket; move it away"))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed()(error)),
    }
}
