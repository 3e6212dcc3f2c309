//! Draws pictures through the daemon, over one connection as long as that holds. A daemon that dies under a
//! picture is started again for the same picture, once. While the daemon has no place for a client or a picture,
//! these wait.

use std::ops::ControlFlow;
use std::thread;
use std::time::Duration;

use utsushi_ipc::client::{Client, ClientError};
use utsushi_ipc::pixels::Raster;
use utsushi_ipc::protocol::{FaultKind, PictureSpec, Progress, StyleInfo, StylizeReport};

use super::{Address, Usage};

/// How long to wait for a daemon that takes no more pictures now.
const TRY_LATER: Duration = Duration::from_millis(500);

/// Draws a picture. The pipeline's tests have one without a daemon.
pub(super) trait Paint: Send {
    /// `pixels` are as the spec's raster says, and the result as its result.
    fn paint(
        &mut self,
        spec: &PictureSpec,
        pixels: &[u8],
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<(Vec<u8>, StylizeReport), PaintError>;
}

/// Why a picture was not drawn.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PaintError {
    /// It is this picture; the next one may do.
    Picture(String),
    /// No other picture would do any better.
    Daemon(String),
    /// `progress` broke off.
    Cancelled,
}

/// The connection to the daemon.
pub(super) struct Painter {
    address: Address,
    /// Absent after an error, which ends a connection.
    client: Option<Client>,
}

impl Painter {
    /// Connects, and starts the daemon if it isn't there.
    pub(super) fn connect(address: Address) -> Result<Self, ClientError> {
        let client = Client::connect_or_start(&address.socket, &address.starter)?;
        Ok(Self { address, client: Some(client) })
    }

    /// Fails if the daemon doesn't have one of these styles, before a thousand pictures fail one by one.
    pub(super) fn require<'a>(&mut self, ids: impl Iterator<Item = &'a str>) -> anyhow::Result<()> {
        let styles = self.styles()?;
        for id in ids {
            require(&styles, id)?;
        }
        Ok(())
    }

    fn styles(&mut self) -> Result<Vec<StyleInfo>, ClientError> {
        let mut deaths = 0;
        loop {
            let mut client = self.take_client()?;
            let error = match client.styles() {
                Ok(styles) => {
                    self.client = Some(client);
                    return Ok(styles);
                }
                Err(error) => error,
            };
            match after(&error) {
                After::TryAgain if deaths == 0 => deaths += 1,
                After::TryLater => thread::sleep(TRY_LATER),
                After::TryAgain | After::GiveUp(_) => return Err(error),
            }
        }
    }

    fn take_client(&mut self) -> Result<Client, ClientError> {
        match self.client.take() {
            Some(client) => Ok(client),
            None => Client::connect_or_start(&self.address.socket, &self.address.starter),
        }
    }
}

fn require(styles: &[StyleInfo], id: &str) -> Result<(), Usage> {
    if styles.iter().any(|style| style.id == id) {
        return Ok(());
    }
    let ids: Vec<_> = styles.iter().map(|style| style.id.as_str()).collect();
    Err(Usage::new(format!("there is no style `{id}`; there are: {}", ids.join(", "))))
}

impl Paint for Painter {
    fn paint(
        &mut self,
        spec: &PictureSpec,
        pixels: &[u8],
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<(Vec<u8>, StylizeReport), PaintError> {
        let (raster, result) = (spec.raster(), spec.result());
        let range = |raster: &Raster, first: u32, rows: u32| {
            let start = first as usize * raster.row_bytes();
            start..start + rows as usize * raster.row_bytes()
        };
        let mut drawn = vec![0; result.total_bytes() as usize];
        let mut deaths = 0;
        loop {
            let client = self.take_client().map_err(|error| PaintError::Daemon(error.to_string()))?;
            let finished = client.draw(
                spec,
                |first, rows, band| {
                    band.copy_from_slice(&pixels[range(&raster, first, rows)]);
                    Ok(())
                },
                |first, rows, band| {
                    drawn[range(&result, first, rows)].copy_from_slice(band);
                    Ok(())
                },
                &mut *progress,
            );
            let error = match finished {
                Ok((client, report)) => {
                    self.client = Some(client);
                    return Ok((drawn, report));
                }
                Err(error) => error,
            };
            match after(&error) {
                After::TryAgain if deaths == 0 => deaths += 1,
                After::TryAgain => return Err(PaintError::Picture(format!("twice in a row, {error}"))),
                After::TryLater => {
                    thread::sleep(TRY_LATER);
                    if progress(Progress { rows_done: 0, rows: result.height(), behind: None }).is_break() {
                        return Err(PaintError::Cancelled);
                    }
                }
                After::GiveUp(why) => return Err(why),
            }
        }
    }
}

/// What follows from an error.
#[derive(Debug, PartialEq, Eq)]
enum After {
    /// The daemon died: start it again.
    TryAgain,
    /// The daemon's queue is full, or it finishes its work before it stops.
    TryLater,
    GiveUp(PaintError),
}

fn after(error: &ClientError) -> After {
    match error {
        ClientError::Lost { .. } => After::TryAgain,
        // The next picture would wait as long, and in vain.
        ClientError::Silent { .. } => After::GiveUp(PaintError::Daemon(error.to_string())),
        ClientError::Cancelled => After::GiveUp(PaintError::Cancelled),
        ClientError::Fault(fault) => match fault.kind {
            FaultKind::Busy | FaultKind::Stopping => After::TryLater,
            FaultKind::UnknownStyle | FaultKind::BadStyle => {
                After::GiveUp(PaintError::Daemon(fault.message.clone()))
            }
            _ => After::GiveUp(PaintError::Picture(fault.message.clone())),
        },
        other => After::GiveUp(PaintError::Picture(other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use utsushi_ipc::protocol::Fault;

    use super::*;

    #[test]
    fn faults_end_a_picture_or_a_batch_or_pass() {
        fn check(kind: FaultKind, expected: After) {
            assert_eq!(after(&ClientError::Fault(Fault::new(kind, "why"))), expected, "{kind:?}");
        }
        let picture = || After::GiveUp(PaintError::Picture("why".into()));
        let daemon = || After::GiveUp(PaintError::Daemon("why".into()));
        check(FaultKind::Invalid, picture());
        check(FaultKind::OutOfMemory, picture());
        check(FaultKind::TimedOut, picture());
        check(FaultKind::Internal, picture());
        check(FaultKind::UnknownStyle, daemon());
        check(FaultKind::BadStyle, daemon());
        check(FaultKind::Busy, After::TryLater);
        check(FaultKind::Stopping, After::TryLater);
    }
}
