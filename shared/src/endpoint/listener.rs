//! The daemon's side: its sockets, each of which has one daemon and one user.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, ErrorKind, PipeReader, PipeWriter, Write},
    iter,
    os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use interprocess::{
    local_socket::{ListenerNonblockingMode, ListenerOptions, prelude::*},
    os::unix::{local_socket::ListenerOptionsExt as _, uds_local_socket as uds},
};
use listenfd::ListenFd;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::OFlags,
};

use super::{Connection, EndpointError, connect, is_ours, name};

/// A daemon's sockets, which clients connect to: one that it is known by, and perhaps others.
#[derive(Debug)]
pub struct Listener {
    first: Socket,
    others: Vec<Socket>,
    wake: PipeReader,
    closer: Closer,
}

#[derive(Debug)]
struct Socket {
    inner: uds::Listener,
    path: PathBuf,
    /// None if the socket was inherited: then it belongs to whoever handed it down.
    own: Option<OwnSocket>,
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
        Self::new(Socket::bind(path)?, Vec::new())
    }

    /// The sockets that the service manager handed down in `LISTEN_FDS`, if it did.
    ///
    /// Changes the environment, so call it before any thread is started, and once.
    pub fn from_environment() -> Option<Result<Self, EndpointError>> {
        let mut inherited = ListenFd::from_env();
        let listeners =
            (0..inherited.len()).filter_map(|index| inherited.take_unix_listener(index).ok().flatten());
        let mut sockets = listeners.map(|listener| {
            let path = listener
                .local_addr()
                .ok()
                .and_then(|address| address.as_pathname().map(Path::to_path_buf))
                .unwrap_or_default();
            Socket::new(uds::Listener::from(listener), path, None)
        });
        let first = sockets.next()?;
        let others: Result<_, _> = sockets.collect();
        Some(first.and_then(|first| Self::new(first, others?)))
    }

    #[cfg(test)]
    pub(super) fn inherited(socket: uds::Listener, path: PathBuf) -> Result<Self, EndpointError> {
        Self::new(Socket::new(socket, path, None)?, Vec::new())
    }

    fn new(first: Socket, others: Vec<Socket>) -> Result<Self, EndpointError> {
        let (wake, writer) = io::pipe().map_err(EndpointError::io("listen at", &first.path))?;
        Ok(Self { first, others, wake, closer: Closer(Arc::new(writer)) })
    }

    /// Listens at this path, which is absolute, too, as [`Self::bind`] does; true if that is new.
    ///
    /// Asking again changes nothing, unless somebody has removed the socket, or its whole folder: then there is a new
    /// one.
    pub fn add(&mut self, path: &Path) -> Result<bool, EndpointError> {
        if path == self.first.path || self.others.iter().any(|other| other.path == path && other.is_there()) {
            return Ok(false);
        }
        // First the old one, as it may hold the lock.
        self.others.retain(|other| other.path != path);
        self.others.push(Socket::bind(path)?);
        Ok(true)
    }

    /// Waits for the next client of this user; others are turned away without a word.
    ///
    /// An error other than [`EndpointError::Closed`] may pass, as when too many files are open: wait a little, then
    /// try again.
    pub fn accept(&self) -> Result<Connection, EndpointError> {
        loop {
            if let Some(connection) = self.accept_within(None)? {
                return Ok(connection);
            }
        }
    }

    /// The same, for at most this long; None if nobody came.
    pub fn accept_within(&self, patience: Option<Duration>) -> Result<Option<Connection>, EndpointError> {
        let deadline = patience.map(|patience| Instant::now() + patience);
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let (ready, is_closed) = self.poll(left)?;
            if is_closed {
                return Err(EndpointError::Closed);
            }
            for socket in ready {
                if let Some(connection) = socket.accept()? {
                    return Ok(Some(connection));
                }
            }
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(None);
            }
        }
    }

    /// Waits until clients come, or the end: at which sockets are they, and is it the end?
    fn poll(&self, patience: Option<Duration>) -> Result<(Vec<&Socket>, bool), EndpointError> {
        let failed = |error| EndpointError::io("accept a client at", &self.first.path)(error);
        let patience = patience.map(Timespec::try_from).transpose();
        let patience = patience.map_err(|_| failed(ErrorKind::InvalidInput.into()))?;
        let sockets: Vec<_> = iter::once(&self.first).chain(&self.others).collect();
        let mut ready: Vec<_> =
            sockets.iter().map(|socket| PollFd::new(&socket.inner, PollFlags::IN)).collect();
        ready.push(PollFd::new(&self.wake, PollFlags::IN));
        rustix::io::retry_on_intr(|| poll(&mut ready, patience.as_ref()))
            .map_err(|error| failed(error.into()))?;

        let is_ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
        let is_closed = ready.last().is_some_and(is_ready);
        let ready = sockets.into_iter().zip(&ready).filter_map(|(socket, fd)| is_ready(fd).then_some(socket));
        Ok((ready.collect(), is_closed))
    }

    /// A handle that closes this listener.
    pub fn closer(&self) -> Closer {
        self.closer.clone()
    }

    /// The first socket's path; empty if the socket was inherited and has none.
    pub fn path(&self) -> &Path {
        &self.first.path
    }
}

impl Socket {
    fn bind(path: &Path) -> Result<Self, EndpointError> {
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

    fn new(inner: uds::Listener, path: PathBuf, own: Option<OwnSocket>) -> Result<Self, EndpointError> {
        // A client that is gone again between `poll` and `accept` must not block the latter.
        inner
            .set_nonblocking(ListenerNonblockingMode::Accept)
            .map_err(EndpointError::io("listen at", &path))?;
        Ok(Self { inner, path, own })
    }

    /// A client, if one is still there, and of this user.
    fn accept(&self) -> Result<Option<Connection>, EndpointError> {
        match self.inner.accept() {
            Ok(stream) => Ok(is_ours(&stream).then(|| Connection::new(stream))),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ConnectionAborted => Ok(None),
                _ => Err(EndpointError::io("accept a client at", &self.path)(error)),
            },
        }
    }

    /// Can clients still find it?
    fn is_there(&self) -> bool {
        self.own.as_ref().is_none_or(OwnSocket::is_there)
    }
}

/// A socket file of ours, and the right to have one.
#[derive(Debug)]
struct OwnSocket {
    path: PathBuf,
    inode: u64,
    lock: File,
}

impl OwnSocket {
    /// Somebody may have removed it, or put another in its place, such as the service manager.
    fn is_there(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode)
    }
}

impl Drop for OwnSocket {
    fn drop(&mut self) {
        if self.is_there() {
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
        // A sandbox may write into one of these folders: neither follow its links nor wait for its pipes.
        .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
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
