//! The worker as others see it: where pictures go in, and where they come out.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender},
    },
    time::{Duration, Instant},
};

use utsushi_ipc::protocol::PictureSpec;

use super::{Command, Gone, Load, Output, Parcel, Turn, WAITING_BANDS, places::Behind};
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
    pub fn submit(&self, spec: impl Into<PictureSpec>) -> (JobInput, JobOutput) {
        let spec = spec.into();
        let id = JobId(self.last_id.fetch_add(1, Ordering::Relaxed) + 1);
        let (bands_in, bands) = mpsc::sync_channel(WAITING_BANDS);
        // One place more than the worker fills with rows, so that the last word always has room.
        let (results, results_out) = mpsc::sync_channel(WAITING_BANDS + 1);
        let job = |commands| Ticket { id, commands };
        let behind = Arc::<Behind>::default();
        // A worker that is gone drops the ends, which tells the session.
        let _ = self.commands.send(Command::Submit { id, spec, bands, results, behind: Arc::clone(&behind) });
        (
            JobInput { ticket: job(self.commands.clone()), bands: bands_in },
            JobOutput {
                results: results_out,
                reservation: Cell::new(None),
                behind,
                ticket: job(self.commands.clone()),
            },
        )
    }

    /// Asks for the state, which is told after the band at hand.
    pub fn describe(&self) -> Answer<Load> {
        self.ask(Command::Describe)
    }

    /// Has the networks' memory freed after the band at hand.
    pub fn unload(&self) -> Answer<()> {
        self.ask(Command::Unload)
    }

    fn ask<T>(&self, question: impl FnOnce(Sender<T>) -> Command) -> Answer<T> {
        let (reply, answer) = mpsc::channel();
        // A worker that is gone drops the reply, which tells whoever waits.
        let _ = self.commands.send(question(reply));
        Answer(answer)
    }

    /// Turns away the jobs that wait, and all that will come; started ones go on.
    pub fn stop(&self) {
        // A worker that is gone works on nothing.
        let _ = self.commands.send(Command::Stop);
    }
}

/// What the worker will have answered.
pub struct Answer<T>(Receiver<T>);

impl<T> Answer<T> {
    /// Waits for it.
    pub fn wait(self) -> Result<T, Gone> {
        self.0.recv().map_err(|_| Gone)
    }

    /// Waits for it, for so long at most.
    pub fn wait_for(&self, patience: Duration) -> Result<Option<T>, Gone> {
        match self.0.recv_timeout(patience) {
            Ok(answer) => Ok(Some(answer)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Gone),
        }
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
        self.ticket.tell(|id| Command::Given(id, Instant::now()))
    }
}

/// A job's exit. Dropped before the job is finished, it cancels the job.
pub struct JobOutput {
    results: Receiver<Parcel>,
    reservation: Cell<Option<Reservation>>,
    behind: Arc<Behind>,
    /// Dropped after the others, since it tells that their memory is free.
    ticket: Ticket,
}

impl JobOutput {
    /// How many pictures go first; `None` once this one is begun.
    pub fn behind(&self) -> Option<u32> {
        self.behind.get()
    }

    /// The next result, or `None` where none comes in time.
    pub fn take(&self, patience: Duration) -> Result<Option<Output>, Gone> {
        match self.results.recv_timeout(patience) {
            Ok((output, reservation)) => {
                self.reservation.set(reservation);
                // A worker that has finished needs no news, and what it left behind is still to be taken.
                let _ = self.ticket.tell(|id| Command::Taken(id, Instant::now()));
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
