//! The thread that owns the engine: device, networks and the state of every started picture.
//!
//! It lives off one channel of commands. Before every band it takes all that was said, asks the scheduler whose
//! turn it is, and gives one band to that picture, so that a person's request comes in between two bands of a
//! batch. It never waits for a client: the two channels of a job are bounded, and the worker counts what is in
//! them, so that it takes a band only where one lies ready and hands one on only where there is room.
//!
//! ```text
//! session's reader  -- JobInput::give --> 2 bands --> worker --> 2 results --> JobOutput::take --  writer
//! ```
//!
//! Dropping either end cancels the job, also while it waits. An engine that panics loses the picture at hand
//! and whatever it had loaded, and nothing else.
//!
//! A client that sends or takes too slowly (`patience`) loses its place when somebody else waits for one (`places`).
//!
//! Training has a thread of its own, and goes by the [`Turn`] that the worker gives and takes.

mod handle;
mod job;
mod patience;
mod places;
mod turn;

use std::{
    collections::{HashMap, HashSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender, TryRecvError},
    },
    time::{Duration, Instant},
};

use tracing::{debug, info, warn};
use utsushi_ipc::protocol::{Fault, FaultKind, PictureSpec, StylizeReport};

pub use self::{
    handle::{Answer, Handle, JobInput, JobOutput},
    turn::Turn,
};
use self::{job::Job, places::Behind};
use crate::{
    memory::Reservation,
    scheduler::{JobId, Limits, QueueFull, Scheduler},
};

/// Bands that may wait at a job's entrance, and results that may wait at its exit.
pub(crate) const WAITING_BANDS: usize = 2;

/// How long the memory of the last picture is kept for the next: previews follow one another closely.
const LET_GO_AFTER: Duration = Duration::from_millis(300);

/// What re-draws and enlarges pictures.
pub trait Engine: Send + 'static {
    /// Begins a picture, loading what networks it needs. The spec was checked: see [`crate::session`].
    fn open(&mut self, job: &PictureSpec) -> Result<Box<dyn Stream>, Refusal>;
    /// Frees the memory of the networks; the next picture loads them again.
    fn unload(&mut self);
    /// The ids of the styles whose networks are in memory.
    fn loaded(&self) -> Vec<String>;
    /// The device that the networks run on, in words.
    fn device(&self) -> String;
}

/// Why a picture wasn't begun.
#[derive(Debug)]
pub enum Refusal {
    /// It can't be drawn.
    Fault(Fault),
    /// There is no memory for it beside those that are being drawn; if there are none, it can't be drawn.
    Later(Fault),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// A picture being re-drawn.
pub trait Stream {
    /// Takes whole source rows, from the top, and appends finished rows to `out`. When it has them all and
    /// not all rows have come out, it is called again, without rows, and each time gives some.
    fn push(&mut self, rows: &[u8], out: &mut Vec<u8>) -> Result<(), Fault>;
    /// Ends it after its last rows, and frees its memory. What is reserved for these rows stays so until they are taken.
    fn finish(self: Box<Self>) -> Option<Reservation> {
        None
    }
}

/// An output, and, with the last one, what is reserved until the client has it.
type Parcel = (Output, Option<Reservation>);

/// What comes out of a job: rows, then one of the others.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// Finished rows, from the top; possibly many.
    Rows(Vec<u8>),
    /// All rows were handed on.
    Done(StylizeReport),
    /// The job failed.
    Fault(Fault),
}

/// What the worker has to do and has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// As [`Engine::loaded`].
    pub loaded: Vec<String>,
    /// As [`Engine::device`].
    pub device: String,
    /// Started jobs.
    pub running: usize,
    /// Jobs that wait for their first turn.
    pub queued: usize,
    /// Pictures finished since the start.
    pub finished: u64,
}

/// The job or the worker is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

enum Command {
    Submit {
        id: JobId,
        spec: PictureSpec,
        bands: Receiver<Vec<u8>>,
        results: SyncSender<Parcel>,
        behind: Arc<Behind>,
    },
    /// A band was put in at the job's entrance, at that time.
    Given(JobId, Instant),
    /// A result was taken out at the job's exit, at that time.
    Taken(JobId, Instant),
    Cancel(JobId),
    Describe(Sender<Load>),
    Unload(Sender<()>),
    /// Work on no new job from here on.
    Stop,
}

/// What was said to the worker and is still to be heard.
pub struct Commands(Receiver<Command>, Turn);

/// The two sides of a worker that is still to be [`run`].
pub fn channel() -> (Handle, Commands) {
    let (sender, commands) = mpsc::channel();
    let turn = Turn::default();
    let handle = Handle { commands: sender, last_id: Arc::default(), turn: turn.clone() };
    (handle, Commands(commands, turn))
}

/// Works, on this thread, until every [`Handle`] and every job's ends are dropped.
pub fn run(engine: impl Engine, commands: Commands, limits: Limits, idle_unload: Option<Duration>) {
    let worker = Worker {
        engine,
        commands: commands.0,
        turn: commands.1,
        scheduler: Scheduler::new(limits),
        grace: limits.grace,
        jobs: HashMap::new(),
        leaving: HashSet::new(),
        idle_unload,
        idle_since: None,
        is_to_let_go: false,
        is_stopping: false,
        finished: 0,
    };
    worker.run();
}

struct Worker<E> {
    engine: E,
    commands: Receiver<Command>,
    turn: Turn,
    scheduler: Scheduler,
    /// How far a client may be behind while others wait.
    grace: Duration,
    jobs: HashMap<JobId, Job>,
    /// Those that are finished and whose clients still have to take the last rows.
    leaving: HashSet<JobId>,
    idle_unload: Option<Duration>,
    /// When the engine last had a job, if it may hold networks.
    idle_since: Option<Instant>,
    /// Memory of pictures that are gone may still be this process's.
    is_to_let_go: bool,
    is_stopping: bool,
    finished: u64,
}

impl<E: Engine> Worker<E> {
    fn run(mut self) {
        loop {
            self.turn.set(self.scheduler.may_train());
            // All that was said comes before the next band: it may cancel, or bring somebody more urgent.
            match self.commands.try_recv() {
                Ok(command) => self.obey(command),
                Err(TryRecvError::Disconnected) => return,
                Err(TryRecvError::Empty) => {
                    self.make_room();
                    let next = self.scheduler.choose();
                    self.tell_places();
                    match next.map_or_else(|| self.wait().map(Some), |_| Ok(None)) {
                        Ok(Some(command)) => self.obey(command),
                        Ok(None) => next.into_iter().for_each(|id| self.advance(id)),
                        Err(RecvTimeoutError::Timeout) if self.jobs.is_empty() && self.is_to_let_go => {
                            self.is_to_let_go = false;
                            utsushi_engine::let_go();
                        }
                        Err(RecvTimeoutError::Timeout) if self.jobs.is_empty() => {
                            debug!("idle: unloading");
                            self.unload();
                        }
                        // A client has become too slow.
                        Err(RecvTimeoutError::Timeout) => {}
                        Err(RecvTimeoutError::Disconnected) => return,
                    }
                }
            }
        }
    }

    /// Waits for a command, until a client has been too slow, or until the last picture's memory, and then the networks, have
    /// lain idle for long enough.
    fn wait(&self) -> Result<Command, RecvTimeoutError> {
        if self.is_to_let_go && self.jobs.is_empty() {
            // From the last picture on, however many questions come meanwhile.
            let idle = self.idle_since.map_or(LET_GO_AFTER, |since| since.elapsed());
            return self.commands.recv_timeout(LET_GO_AFTER.saturating_sub(idle));
        }
        match (self.idle_since, self.idle_unload) {
            (Some(idle_since), Some(idle_unload)) if self.jobs.is_empty() => {
                self.commands.recv_timeout(idle_unload.saturating_sub(idle_since.elapsed()))
            }
            _ => match self.next_look() {
                Some(patience) => self.commands.recv_timeout(patience),
                None => self.commands.recv().map_err(|_| RecvTimeoutError::Disconnected),
            },
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Submit { id, spec, bands, results, behind } => {
                self.submit(id, Job::new(spec, bands, results, behind));
            }
            Command::Given(id, at) => self.update(id, at, |job| job.given += 1),
            Command::Taken(id, at) => self.update(id, at, |job| job.untaken -= 1),
            Command::Cancel(id) => {
                if self.jobs.contains_key(&id) {
                    debug!(id = id.0, "cancelled");
                    self.forget(id);
                } else if self.leaving.remove(&id) {
                    // Its client has it, so that there is room.
                    self.scheduler.remove(id);
                    self.is_to_let_go = true;
                }
            }
            Command::Describe(reply) => {
                // Whoever asked may have gone in the meantime, here and below.
                let _ = reply.send(self.describe());
            }
            Command::Unload(reply) => {
                self.unload();
                let _ = reply.send(());
            }
            Command::Stop => {
                self.is_stopping = true;
                for id in self.scheduler.waiting() {
                    self.fail(id, stopping());
                }
            }
        }
    }

    fn submit(&mut self, id: JobId, job: Job) {
        debug!(id = id.0, spec = ?job.spec, "submitted");
        self.jobs.insert(id, job);
        let admitted = if self.is_stopping {
            Err(stopping())
        } else {
            self.admit(id).map_err(|QueueFull| {
                Fault::new(
                    FaultKind::Busy,
                    "too many pictures are waiting already; wait until some of them are finished, then try again",
                )
            })
        };
        if let Err(fault) = admitted {
            self.fail(id, fault);
        }
    }

    /// Counts a hand-over. News of jobs that are gone was on its way when they went.
    fn update(&mut self, id: JobId, at: Instant, count: impl FnOnce(&mut Job)) {
        if let Some(job) = self.jobs.get_mut(&id) {
            count(job);
            job.patience.update(!job.is_ready(), at);
            self.scheduler.set_ready(id, job.is_ready());
        }
    }

    /// Works on the job's next band.
    fn advance(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return self.scheduler.remove(id);
        };
        // A job that panicked is dropped with all its state, and so is what the engine had loaded.
        let advanced = catch_unwind(AssertUnwindSafe(|| job.advance(&mut self.engine)));
        self.idle_since = Some(Instant::now());
        match advanced {
            Ok(Ok(rows)) => self.hand_on(id, rows),
            Ok(Err(Refusal::Fault(fault))) => self.fail(id, fault),
            Ok(Err(Refusal::Later(fault))) => self.put_off(id, fault),
            Err(_panic) => {
                self.fail(id, defect("the engine stopped unexpectedly"));
                self.unload();
            }
        }
    }

    fn hand_on(&mut self, id: JobId, rows: Vec<u8>) {
        let grace = self.grace;
        self.update(id, Instant::now(), |job| {
            job.pay(grace);
            if !rows.is_empty() {
                job.untaken += 1;
                // It has room, as it was counted; a session that is gone cancels the job.
                let _ = job.results.try_send((Output::Rows(rows), None));
            }
        });
        if let Some(job) = self.jobs.get_mut(&id).filter(|job| job.is_finished()) {
            let report = job.report();
            let (width, height) = (job.spec.raster().width(), job.spec.raster().height());
            info!(
                width,
                height,
                queued_ms = report.queued_ms,
                engine_ms = report.engine_ms,
                "picture finished"
            );
            let reservation = job.stream.take().and_then(|stream| {
                catch_unwind(AssertUnwindSafe(|| stream.finish())).unwrap_or_else(|_panic| {
                    warn!(id = id.0, "the engine stopped unexpectedly while it finished a picture");
                    None
                })
            });
            let _ = job.results.try_send((Output::Done(report), reservation));
            self.finished += 1;
            self.leaving.insert(id);
            self.forget(id);
        }
    }

    /// Has a job wait for the memory of those that are being drawn, or taken by their clients.
    fn put_off(&mut self, id: JobId, if_alone: Fault) {
        // It counts as started itself.
        if self.scheduler.started() > 1 || !self.leaving.is_empty() {
            self.scheduler.put_off(id);
        } else if std::mem::take(&mut self.is_to_let_go) {
            // What those took that are gone may be all that is missing: it is chosen again at once.
            utsushi_engine::let_go();
        } else {
            self.fail(id, if_alone);
        }
    }

    fn fail(&mut self, id: JobId, fault: Fault) {
        warn!(id = id.0, kind = ?fault.kind, "picture failed: {fault}");
        if let Some(job) = self.jobs.get(&id) {
            let _ = job.results.try_send((Output::Fault(fault), None));
        }
        self.forget(id);
    }

    fn forget(&mut self, id: JobId) {
        self.idle_since = self.idle_since.map(|_| Instant::now());
        self.scheduler.remove(id);
        self.is_to_let_go = true;
        let job = self.jobs.remove(&id);
        if catch_unwind(AssertUnwindSafe(|| drop(job))).is_err() {
            warn!(id = id.0, "the engine stopped unexpectedly while it cleared a picture away");
        }
    }

    fn unload(&mut self) {
        self.idle_since = None;
        self.is_to_let_go = true;
        if catch_unwind(AssertUnwindSafe(|| self.engine.unload())).is_err() {
            warn!("the engine stopped unexpectedly while it unloaded");
        }
    }

    fn describe(&self) -> Load {
        Load {
            loaded: self.engine.loaded(),
            device: self.engine.device(),
            running: self.scheduler.started(),
            queued: self.scheduler.queued(),
            finished: self.finished,
        }
    }
}

fn stopping() -> Fault {
    Fault::new(FaultKind::Stopping, "the daemon is shutting down; try again, and it will be started anew")
}

fn defect(what: &str) -> Fault {
    let message = format!("{what}; this is a defect of Utsushi's: please report it, with the daemon's log");
    Fault::new(FaultKind::Internal, message)
}

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;
