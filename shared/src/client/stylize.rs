//! A picture through the daemon, streaming both ways at once.
//!
//! One thread sends the source, the caller's thread takes the result. Neither may ever leave the other waiting for a
//! peer that is gone:
//!
//! - whoever fails on this side, even by a panic, hangs up, which wakes the other;
//! - a failed *send* doesn't hang up: a daemon that refuses a picture says why and closes, so that the sender breaks
//!   off while the reason still waits to be read;
//! - a daemon that says nothing for too long is given up, which counts as a failure of this side;
//! - what the caller is told is what happened first: the daemon's word, then this side's failure, then the loss.

use std::{io, ops::ControlFlow, panic, thread, time::Duration};

use super::{Client, ClientError, unexpected};
use crate::{
    endpoint::{Hangup, Receiver, Sender},
    protocol::{PictureSpec, Progress, Reply, Request, StylizeReport, StylizeSpec},
    wire::{self, WireError},
};

/// How often the caller is asked whether to go on while the daemon tells nothing.
const PATIENCE: Duration = Duration::from_millis(100);

impl Client {
    /// Re-draws a picture. The connection comes back for the next picture, unless this one failed.
    ///
    /// - `source(first_row, rows, pixels)` fills `pixels` with these rows of the picture; it is called in order, from
    ///   the top, on a thread of its own.
    /// - `sink(first_row, rows, pixels)` takes finished rows, in the same order.
    /// - `progress` is called whenever the daemon tells how far it is, and ten times a second while it tells nothing;
    ///   [`ControlFlow::Break`] cancels by closing the connection.
    ///
    /// A daemon that says nothing for [`SILENCE_LIMIT`](crate::protocol::SILENCE_LIMIT) is [`ClientError::Silent`].
    ///
    /// An error of `source` or `sink` is returned as [`ClientError::Io`].
    pub fn stylize(
        self,
        spec: &StylizeSpec,
        source: impl FnMut(u32, u32, &mut [u8]) -> io::Result<()> + Send,
        sink: impl FnMut(u32, u32, &[u8]) -> io::Result<()>,
        progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<(Self, StylizeReport), ClientError> {
        self.draw(&spec.clone().into(), source, sink, progress)
    }

    /// Re-draws or enlarges a picture, as [`Self::stylize`]; `sink` takes rows of the
    /// [result](PictureSpec::result).
    ///
    /// # Errors
    /// As there.
    pub fn draw(
        mut self,
        spec: &PictureSpec,
        source: impl FnMut(u32, u32, &mut [u8]) -> io::Result<()> + Send,
        sink: impl FnMut(u32, u32, &[u8]) -> io::Result<()>,
        progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<(Self, StylizeReport), ClientError> {
        let Self { receiver, sender, hangup, incoming, outgoing, silence_limit, daemon } = &mut self;
        let (hangup, silence_limit) = (&*hangup, *silence_limit);

        let (received, sent) = thread::scope(|scope| {
            let sending = scope.spawn(|| {
                let guard = HangupOnDrop(hangup);
                let sent = send(sender, outgoing, spec, source);
                if !matches!(sent, Err(SendError::Source(_))) {
                    guard.disarm();
                }
                sent
            });

            let guard = HangupOnDrop(hangup);
            let received = receive(receiver, incoming, silence_limit, spec, sink, progress)
                .map_err(|error| error.of(daemon, silence_limit));
            if received.is_ok() {
                guard.disarm();
            } else {
                drop(guard);
            }
            (received, sending.join().unwrap_or_else(|payload| panic::resume_unwind(payload)))
        });

        match (received, sent) {
            (Ok(report), Ok(())) => Ok((self, report)),
            (Err(ClientError::Lost { .. }), Err(SendError::Source(error))) => Err(ClientError::Io(error)),
            (Err(error), _) => Err(error),
            (Ok(_), Err(_)) => {
                Err(ClientError::protocol("it finished a picture that it had not wholly received"))
            }
        }
    }
}

/// Hangs up when dropped, thus on a panic, too.
struct HangupOnDrop<'a>(&'a Hangup);

impl HangupOnDrop<'_> {
    fn disarm(self) {
        std::mem::forget(self);
    }
}

impl Drop for HangupOnDrop<'_> {
    fn drop(&mut self) {
        self.0.shutdown();
    }
}

enum SendError {
    Source(io::Error),
    /// Of no interest by itself: the receiving side learns why.
    Socket,
}

fn send(
    sender: &mut Sender,
    band: &mut Vec<u8>,
    spec: &PictureSpec,
    mut source: impl FnMut(u32, u32, &mut [u8]) -> io::Result<()>,
) -> Result<(), SendError> {
    let raster = &spec.raster();
    let band_rows = wire::band_rows(raster);
    band.resize(band_rows as usize * raster.row_bytes(), 0);

    wire::write_frame(sender, &Request::from(spec.clone()), &spec.profile().0)
        .map_err(|_| SendError::Socket)?;
    for first_row in (0..raster.height()).step_by(band_rows as usize) {
        let rows = band_rows.min(raster.height() - first_row);
        let pixels = &mut band[..rows as usize * raster.row_bytes()];
        source(first_row, rows, pixels).map_err(SendError::Source)?;
        wire::write_frame(sender, &Request::Rows(rows), pixels).map_err(|_| SendError::Socket)?;
    }
    Ok(())
}

fn receive(
    receiver: &mut Receiver,
    band: &mut Vec<u8>,
    silence_limit: Duration,
    spec: &PictureSpec,
    mut sink: impl FnMut(u32, u32, &[u8]) -> io::Result<()>,
    mut progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<StylizeReport, ClientError> {
    let result = spec.result();
    let height = result.height();
    let mut next_row = 0;
    let mut so_far = Progress { rows_done: 0, rows: height, behind: None };
    let mut ask = |so_far| match progress(so_far) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(ClientError::Cancelled),
    };

    loop {
        // Counted in waits, not by a clock: a machine, or a process, that was suspended has waited once.
        let mut silence = Duration::ZERO;
        while !receiver.wait(PATIENCE).map_err(|error| ClientError::from(WireError::Io(error)))? {
            silence += PATIENCE;
            if silence >= silence_limit {
                return Err(ClientError::Silent { pid: None, waited: silence_limit });
            }
            ask(so_far)?;
        }
        match wire::read_frame(receiver, band)? {
            Reply::Rows(rows) => {
                if rows == 0 || rows > height - next_row || band.len() != rows as usize * result.row_bytes() {
                    let bytes = band.len();
                    return Err(ClientError::protocol(format!(
                        "it sent {bytes} bytes as {rows} rows after row {next_row}"
                    )));
                }
                sink(next_row, rows, band).map_err(ClientError::Io)?;
                next_row += rows;
            }
            Reply::Progress(news) => {
                so_far = news;
                ask(so_far)?;
            }
            Reply::Busy => {}
            Reply::Stylized(_) if next_row < height => {
                return Err(ClientError::protocol(format!("it sent {next_row} of {height} rows")));
            }
            Reply::Stylized(report) => return Ok(report),
            Reply::Fault(fault) => return Err(fault.into()),
            other => return Err(unexpected(&other)),
        }
    }
}
