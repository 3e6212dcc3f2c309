//! Training jobs: a queue, of which one trains at a time, on a thread of its own.
//!
//! ```text
//! sessions -- Jobs: train, pause, cancel --> board <-- runner: the training thread
//!          <-- wait: news of a job ---------       <-- worker's Turn, the battery
//! ```
//!
//! The board is the truth, and sessions and the runner change it under one lock. Everything in it that has to outlive
//! the daemon lies in the job's folder ([`folder`]): the order, the state, and checkpoints. A daemon that comes back
//! takes up whatever was in the queue or being trained, from the newest checkpoint that can be read ([`checkpoints`]).
//! A job whose order can't be read keeps its number and its style's id, and is told of as one that failed.
//!
//! A step is taken only when no picture is there ([`crate::scheduler`]), at the lowest priority, so that a picture that
//! comes in the middle of one begins at once, and has nearly the whole processor. That is why training has a thread of
//! its own instead of a place in the worker's queue.
//!
//! | state     | goes on                                         | at the daemon's end     |
//! |-----------|-------------------------------------------------|-------------------------|
//! | queued    | when its turn comes                             | goes on with the next   |
//! | preparing, running | to the end                             | goes on with the next   |
//! | paused    | when the user resumes it; on battery, by itself | stays so                |
//! | failed    | when the user resumes it                        | stays so                |
//! | finished, cancelled | never; only its log and report are left | stays so              |
//!
//! Only one daemon of a user's may train in a folder: the one that holds its lock.

mod board;
pub mod checkpoints;
pub mod folder;
pub mod order;
mod power;
mod runner;
pub mod training;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use utsushi_ipc::protocol::{Fault, FaultKind, JobId, JobInfo, JobState, PauseCause, TrainSpec};

use self::board::{Board, Wish};
use self::order::Order;
pub use self::power::POWER_SUPPLIES;
use self::training::Trainers;
use crate::library::Library;
use crate::worker::Turn;

/// How long a session waits for a job to do what it was told: less than a client waits for an answer.
const OBEDIENCE: Duration = Duration::from_secs(25);

/// Where and how jobs run.
#[derive(Debug, Clone)]
pub struct Config {
    /// Their folders' folder. Made with the first job.
    pub folder: PathBuf,
    /// Where finished styles go.
    pub library: Library,
    /// Where batteries are told of: [`POWER_SUPPLIES`].
    pub power_supplies: PathBuf,
    /// At most so much training is lost when the daemon is killed.
    pub checkpoint_interval: Duration,
    /// How often to look at the battery.
    pub poll_interval: Duration,
}

impl Config {
    /// As people want it.
    pub fn new(folder: PathBuf, library: Library) -> Self {
        Self {
            folder,
            library,
            power_supplies: POWER_SUPPLIES.into(),
            checkpoint_interval: Duration::from_secs(5 * 60),
            poll_interval: Duration::from_secs(10),
        }
    }
}

/// The jobs, from any thread.
#[derive(Clone)]
pub struct Jobs(Arc<Shared>);

struct Shared {
    config: Config,
    trainers: Box<dyn Trainers>,
    board: Mutex<Board>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Board> {
        // The board makes sense after each line that changes it: whoever panics with it ends alone.
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Jobs {
    /// Those of a folder, which need not be there yet. Nothing trains before `run`.
    pub fn new(config: Config, trainers: impl Trainers) -> Self {
        let board = Mutex::new(Board::new(config.folder.clone()));
        Self(Arc::new(Shared { config, trainers: Box::new(trainers), board, changed: Condvar::new() }))
    }

    /// Puts a job into the queue.
    pub(crate) fn train(&self, spec: TrainSpec) -> Result<JobInfo, Fault> {
        let order = Order::try_from(spec)?;
        self.check_styles(&order)?;
        self.0.trainers.check(&order)?;
        let mut board = self.0.lock();
        let info = board.admit(order)?;
        self.0.changed.notify_all();
        Ok(info)
    }

    fn check_styles(&self, order: &Order) -> Result<(), Fault> {
        let library = &self.0.config.library;
        if library.find(&order.style).is_some() {
            return Err(Fault::new(
                FaultKind::Invalid,
                format!(
                    "there is a style {0:?} already; give the new one another id, or remove the old one (utsushi \
                     styles remove {0})",
                    order.style
                ),
            ));
        }
        match &order.like {
            Some(like) if library.find(like).is_none() => {
                Err(Fault::new(FaultKind::UnknownStyle, library.unknown(like).to_string()))
            }
            _ => Ok(()),
        }
    }

    /// Every job, oldest first.
    pub(crate) fn list(&self) -> Result<Vec<JobInfo>, Fault> {
        self.0.lock().list()
    }

    /// Every job, and the version of this news. Waits, for so long at most, until that isn't `seen` any more.
    pub(crate) fn news(&self, seen: Option<u64>, patience: Duration) -> Result<(Vec<JobInfo>, u64), Fault> {
        let has_news = |board: &mut Board| board.hold().is_err() || Some(board.last_version()) != seen;
        let mut board = self.wait_until(patience, has_news);
        Ok((board.list()?, board.last_version()))
    }

    /// How a job is, and the version of this news. Waits, for so long at most, until that isn't `seen` any more.
    pub(crate) fn wait(
        &self,
        id: JobId,
        seen: Option<u64>,
        patience: Duration,
    ) -> Result<(JobInfo, u64), Fault> {
        let has_news = |board: &mut Board| board.job(id).map_or(true, |job| Some(job.version) != seen);
        let mut board = self.wait_until(patience, has_news);
        let job = board.job(id)?;
        Ok((job.info(), job.version))
    }

    fn wait_until(
        &self,
        patience: Duration,
        mut is_so: impl FnMut(&mut Board) -> bool,
    ) -> MutexGuard<'_, Board> {
        let waited = self.0.changed.wait_timeout_while(self.0.lock(), patience, |board| !is_so(board));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Has a job wait, and waits until it does.
    pub(crate) fn pause(&self, id: JobId) -> Result<JobInfo, Fault> {
        self.wish(id, Wish::Pause)
    }

    /// Ends a job for good, and waits until it has ended.
    pub(crate) fn cancel(&self, id: JobId) -> Result<JobInfo, Fault> {
        self.wish(id, Wish::Cancel)
    }

    fn wish(&self, id: JobId, wish: Wish) -> Result<JobInfo, Fault> {
        self.0.lock().wish(id, wish)?;
        self.0.changed.notify_all();
        let is_obeyed = |board: &mut Board| board.job(id).map_or(true, |job| job.wish.is_none());
        let mut board = self.wait_until(OBEDIENCE, is_obeyed);
        let job = board.job(id)?;
        let (folder, state, info) = (job.folder.clone(), job.record.state.clone(), job.info());
        // Writing a page takes too long for all others to wait.
        drop(board);
        self.0.trainers.settled(&folder, &state);
        Ok(info)
    }

    /// Has a job go on.
    pub(crate) fn resume(&self, id: JobId) -> Result<JobInfo, Fault> {
        let info = self.0.lock().resume(id)?;
        self.0.changed.notify_all();
        Ok(info)
    }

    /// Deletes what is left of a job that has ended.
    pub(crate) fn remove(&self, id: JobId) -> Result<(), Fault> {
        self.0.lock().remove(id)?;
        self.0.changed.notify_all();
        Ok(())
    }

    /// Trains, on this thread, until [`Self::stop`].
    pub(crate) fn run(&self, turn: &Turn) {
        runner::run(&self.0, turn);
    }

    /// Has the job that trains write a checkpoint, and nothing more begin.
    pub(crate) fn stop(&self) {
        self.0.lock().is_stopping = true;
        self.0.changed.notify_all();
    }

    /// Waits until a stopped [`Self::run`] has come to its end; false if that takes longer than this.
    pub(crate) fn wait_until_stopped(&self, deadline: Instant) -> bool {
        let patience = deadline.saturating_duration_since(Instant::now());
        self.wait_until(patience, |board| board.is_stopped).is_stopped
    }
}

/// Why a job that nobody paused waits, in words.
fn pause(cause: PauseCause, id: JobId, what: &str) -> JobState {
    let why = match cause {
        PauseCause::User => format!("paused; `utsushi jobs resume {id}` has it go on"),
        PauseCause::Battery => format!(
            "the machine runs on its battery; the job goes on at the mains, or at once by `utsushi jobs resume {id}`"
        ),
        PauseCause::Disk => {
            format!("{what}; make room on the disk, then `utsushi jobs resume {id}`")
        }
    };
    JobState::Paused { cause, why }
}
