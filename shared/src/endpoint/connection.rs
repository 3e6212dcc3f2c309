//! Bytes both ways, from two threads, ended from a third.

use std::{
    io::{self, ErrorKind, IoSlice, Read, Write},
    net::Shutdown,
    sync::{Arc, Weak},
    time::Duration,
};

use interprocess::{local_socket::prelude::*, os::unix::uds_local_socket as uds};
use rustix::event::{PollFd, PollFlags, poll};

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
    /// The kernel's buffers keep their size: larger ones make a 48 MB picture no faster.
    pub(super) fn new(stream: uds::Stream) -> Self {
        Self(Arc::new(stream))
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

    /// The process that listened, or that connected, in the kernel's words. For an inherited socket, that is the one
    /// that handed it down. None where the system doesn't tell.
    pub fn peer_pid(&self) -> Option<u32> {
        self.0.peer_creds().ok()?.pid()?.try_into().ok()
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
    /// Wakes the reader on this side, who finds the end. What was still to be said can be said.
    pub fn stop_reading(&self) {
        if let Some(stream) = self.0.upgrade() {
            // Fails only if the peer was faster.
            let _ = stream.inner().shutdown(Shutdown::Read);
        }
    }

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

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
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

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self.0).write_vectored(parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
