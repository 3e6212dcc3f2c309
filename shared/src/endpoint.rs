//! The socket: who may bind it, who may connect to it, and what a connection can do. The only user of interprocess.
//!
//! Three things keep other users out: the socket lies in a folder that only its owner may enter, its own mode is
//! 0600, and each side asks the kernel who the other one is. One thing keeps a second daemon out: a lock on a file
//! beside the socket, which the kernel releases when its owner dies in whatever way. Whoever holds the lock may
//! replace the socket that a dead daemon left behind.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write},
    net::Shutdown,
    os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    time::Duration,
};

use interprocess::{
    ConnectWaitMode,
    local_socket::{ConnectOptions, GenericFilePath, ListenerNonblockingMode, ListenerOptions, prelude::*},
    os::unix::{local_socket::ListenerOptionsExt as _, uds_local_socket as uds},
};
use listenfd::ListenFd;
use rustix::event::{PollFd, PollFlags, poll};

/// What is asked of the kernel for each direction; bands then cross with half as many changes of threads.
const SOCKET_BUFFER_BYTES: usize = 1 << 20;

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
    #[error("the daemon at {} belongs to another user, so nothing was sent to it; set UTSUSHI_SOCKET to a path of your own", path.display())]
    ForeignPeer {
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
        #[source]
        error: io::Error,
    },
}

impl EndpointError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io { action, path: path.to_path_buf(), error }
    }
}

/// A socket that clients connect to.
#[derive(Debug)]
pub struct Listener {
    socket: uds::Listener,
    path: PathBuf,
    /// None if the socket was inherited: then it belongs to whoever handed it down.
    own: Option<OwnSocket>,
    wake: PipeReader,
    closer: Closer,
}

/// Makes [`Listener::accept`] return [`EndpointError::Closed`], from any thread, now and ever after.
#[derive(Debug, Clone)]
pub struct Closer(Arc<PipeWriter>);

impl Closer {
    /// Closes the listener.
    pub fn close(&self) {
        // The byte is never taken out again. Should the pipe be full, then there is one in it already.
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

        let listen = |path: &Path| {
            let name = path.to_fs_name::<GenericFilePath>()?;
            let options = ListenerOptions::new().name(name).reclaim_name(false).mode(0o600);
            let socket = options.create_sync_as::<uds::Listener>()?;
            Ok((socket, fs::symlink_metadata(path)?.ino()))
        };
        let (socket, inode) = listen(&path).map_err(EndpointError::io("listen at", &path))?;
        let own = OwnSocket { path: path.clone(), inode, _lock: lock };
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
        Some(Self::new(uds::Listener::from(listener), path.unwrap_or_default(), None))
    }

    fn new(socket: uds::Listener, path: PathBuf, own: Option<OwnSocket>) -> Result<Self, EndpointError> {
        // A client that is gone again between `poll` and `accept` must not block the latter.
        socket
            .set_nonblocking(ListenerNonblockingMode::Accept)
            .map_err(EndpointError::io("listen at", &path))?;
        let (wake, writer) = io::pipe().map_err(EndpointError::io("listen at", &path))?;
        Ok(Self { socket, path, own, wake, closer: Closer(Arc::new(writer)) })
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
                Ok(stream) if is_ours(&stream) => return Connection::new(stream).map_err(failed()),
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

    /// Was the socket handed down by the service manager, rather than bound here?
    pub fn is_inherited(&self) -> bool {
        self.own.is_none()
    }
}

/// A socket file of ours, and the right to have one.
#[derive(Debug)]
struct OwnSocket {
    path: PathBuf,
    inode: u64,
    _lock: File,
}

impl Drop for OwnSocket {
    fn drop(&mut self) {
        // Somebody may have put another socket in its place, such as the service manager.
        let still_ours = fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode);
        if still_ours {
            let _ = fs::remove_file(&self.path);
        }
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
            "others may enter it (its mode is {mode:o}); close it with `chmod 700 '{name}'`, or set UTSUSHI_SOCKET to a path in another folder"
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

/// Connects to the daemon at this path, or fails with [`EndpointError::NotRunning`].
pub fn connect(path: &Path) -> Result<Connection, EndpointError> {
    let failed = || EndpointError::io("connect to", path);
    let name = path.to_fs_name::<GenericFilePath>().map_err(failed())?;
    let options = ConnectOptions::new().name(name).wait_mode(ConnectWaitMode::Unbounded);
    let stream: uds::Stream = options.connect_sync_as().map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            EndpointError::NotRunning { path: path.to_path_buf() }
        }
        _ => failed()(error),
    })?;
    if !is_ours(&stream) {
        return Err(EndpointError::ForeignPeer { path: path.to_path_buf() });
    }
    Connection::new(stream).map_err(failed())
}

/// Is the process at the other end the same user's?
fn is_ours(stream: &uds::Stream) -> bool {
    let peer = stream.peer_creds().ok().and_then(|peer| peer.euid());
    peer == Some(rustix::process::geteuid().as_raw())
}

/// Bytes both ways, closed when this, or both its halves, are dropped.
#[derive(Debug)]
pub struct Connection(Arc<uds::Stream>);

/// The half that reads.
#[derive(Debug)]
pub struct Receiver(Arc<uds::Stream>);

/// The half that writes.
#[derive(Debug)]
pub struct Sender(Arc<uds::Stream>);

/// Ends a connection from any thread: whoever reads or writes it is woken. Doesn't keep the connection open.
#[derive(Debug, Clone)]
pub struct Hangup(Weak<uds::Stream>);

impl Connection {
    fn new(stream: uds::Stream) -> io::Result<Self> {
        rustix::net::sockopt::set_socket_send_buffer_size(&stream, SOCKET_BUFFER_BYTES)?;
        Ok(Self(Arc::new(stream)))
    }

    /// How long a single read or write may wait before it fails with [`ErrorKind::WouldBlock`]; None is for ever.
    pub fn set_timeouts(&self, read: Option<Duration>, write: Option<Duration>) -> io::Result<()> {
        self.0.set_recv_timeout(read)?;
        self.0.set_send_timeout(write)
    }

    /// Two halves for two threads. Timeouts stay.
    pub fn split(self) -> (Receiver, Sender) {
        (Receiver(Arc::clone(&self.0)), Sender(self.0))
    }

    /// A handle that ends this connection.
    pub fn hangup(&self) -> Hangup {
        Hangup(Arc::downgrade(&self.0))
    }
}

impl Receiver {
    /// As [`Connection::set_timeouts`].
    pub fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.set_recv_timeout(timeout)
    }

    /// Waits until there is something to read, be it the end; false if nothing came in time.
    pub fn wait(&self, timeout: Duration) -> io::Result<bool> {
        let timeout = timeout.try_into().map_err(|_| io::Error::from(ErrorKind::InvalidInput))?;
        let mut ready = [PollFd::new(&*self.0, PollFlags::IN)];
        let count = rustix::io::retry_on_intr(|| poll(&mut ready, Some(&timeout)))?;
        Ok(count > 0)
    }
}

impl Sender {
    /// As [`Connection::set_timeouts`].
    pub fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.set_send_timeout(timeout)
    }
}

impl Hangup {
    /// Ends the connection both ways; does nothing if it is closed already.
    pub fn shutdown(&self) {
        if let Some(stream) = self.0.upgrade() {
            // Fails only if the peer was faster.
            let _ = stream.inner().shutdown(Shutdown::Both);
        }
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buffer)
    }
}

impl Read for Receiver {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buffer)
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn write_vectored(&mut self, parts: &[io::IoSlice<'_>]) -> io::Result<usize> {
        (&*self.0).write_vectored(parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for Sender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn write_vectored(&mut self, parts: &[io::IoSlice<'_>]) -> io::Result<usize> {
        (&*self.0).write_vectored(parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
