//! The worker as others see it: where pictures go in, and where they come out.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender},
    },
    time::Duration,
};

use utsushi_ipc::protocol::StylizeSpec;

use super::{Command, Gone, Load, Output, Parcel, Turn, WAITING_BANDS};
use crate::{memory::Reservation, scheduler::JobId};

/// Talks to the worker. The worker ends when all of these and all jobs' ends are dropped.
#[derive(Clone)]
pub struct Handle {
    pub(super) commands: Sender<Command>,
    pub(super) last_id: Arc<AtomicU64>,
    pub(super) turn: Turn,
}

impl Handle {
    /// Training's turn.
    pub fn turn(&self) -> &Turn {
        &self.turn
    }

    /// Queues a job. Where the queue is full or the daemon is stopping, the fault comes out of the job's end.
    pub fn submit(&self, spec: StylizeSpec) -> (JobInput, JobOutput) {
        let id = JobId(self.last_id.fetch_add(1, Ordering::Relaxed) + 1);
        let (bands_in, bands) = mpsc::sync_channel(WAITING_BANDS);
        // One place more than the worker fills with rows, so that the last word always has room.
        let (results, results_out) = mpsc::sync_channel(WAITING_BANDS + 1);
        let job = |commands| Ticket { id, commands };
        // A worker that is gone drops the ends, which tells the session.
        let _ = self.commands.send(Command::Submit { id, spec, bands, results });
        (
            JobInput { ticket: job(self.commands.clone()), bands: bands_in },
            JobOutput {
                results: results_out,
                reservation: Cell::new(None),
                ticket: job(self.commands.clone()),
            },
        )
    }

    /// Waits for the band at hand, then tells the state.
    pub fn describe(&self) -> Result<Load, Gone> {
        let (reply, answer) = mpsc::channel();
        self.commands.send(Command::Describe(reply)).map_err(|_| Gone)?;
        answer.recv().map_err(|_| Gone)
    }

    /// Waits for the band at hand, then frees the networks' memory.
    pub fn unload(&self) -> Result<(), Gone> {
        let (reply, answer) = mpsc::channel();
        self.commands.send(Command::Unload(reply)).map_err(|_| Gone)?;
        answer.recv().map_err(|_| Gone)
    }

    /// Turns away the jobs that wait, and all that will come; started ones go on.
    pub fn stop(&self) {
        // A worker that is gone works on nothing.
        let _ = self.commands.send(Command::Stop);
    }
}

/// A job's entrance. Dropped before the job is finished, it cancels the job.
pub struct JobInput {
    ticket: Ticket,
    bands: SyncSender<Vec<u8>>,
}

impl JobInput {
    /// Hands over the next whole rows; waits while two bands wait already.
    pub fn give(&self, rows: Vec<u8>) -> Result<(), Gone> {
        self.bands.send(rows).map_err(|_| Gone)?;
        self.ticket.tell(Command::Given)
    }
}

/// A job's exit. Dropped before the job is finished, it cancels the job.
pub struct JobOutput {
    results: Receiver<Parcel>,
    reservation: Cell<Option<Reservation>>,
    /// Dropped after the others, since it tells that their memory is free.
    ticket: Ticket,
}

impl JobOutput {
    /// The next result, or `None` where none comes in time.
    pub fn take(&self, patience: Duration) -> Result<Option<Output>, Gone> {
        match self.results.recv_timeout(patience) {
            Ok((output, reservation)) => {
                self.reservation.set(reservation);
                // A worker that has finished needs no news, and what it left behind is still to be taken.
                let _ = self.ticket.tell(Command::Taken);
                Ok(Some(output))
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Gone),
        }
    }
}

struct Ticket {
    id: JobId,
    commands: Sender<Command>,
}

impl Ticket {
    fn tell(&self, news: impl FnOnce(JobId) -> Command) -> Result<(), Gone> {
        self.commands.send(news(self.id)).map_err(|_| Gone)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // After the job's end this says nothing new.
        let _ = self.tell(Command::Cancel);
    }
}
