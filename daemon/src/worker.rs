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
//! A client that sends or takes too slowly ([`patience`]) loses its place when somebody else waits for one ([`places`]).
//!
//! Training has a thread of its own, and goes by the [`Turn`] that the worker gives and takes.

mod handle;
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
use utsushi_ipc::protocol::{Fault, FaultKind, StylizeReport, StylizeSpec};
use utsushi_ipc::wire;

pub use self::{
    handle::{Answer, Handle, JobInput, JobOutput},
    turn::Turn,
};
use self::{patience::Patience, places::Behind};
use crate::{
    memory::Reservation,
    scheduler::{JobId, Limits, QueueFull, Scheduler},
};

/// Bands that may wait at a job's entrance, and results that may wait at its exit.
pub(crate) const WAITING_BANDS: usize = 2;

/// How long the memory of the last picture is kept for the next: previews follow one another closely.
const LET_GO_AFTER: Duration = Duration::from_millis(300);

/// What re-draws pictures.
pub trait Engine: Send + 'static {
    /// Begins a picture, loading what its styles need. The spec was checked: see [`crate::session`].
    fn open(&mut self, job: &StylizeSpec) -> Result<Box<dyn Stream>, Refusal>;
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
        spec: StylizeSpec,
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

struct Job {
    spec: StylizeSpec,
    bands: Receiver<Vec<u8>>,
    results: SyncSender<Parcel>,
    /// Bands that wait at the entrance.
    given: usize,
    /// Results that wait at the exit.
    untaken: usize,
    patience: Patience,
    behind: Arc<Behind>,
    /// The engine's state, once the job is started.
    stream: Option<Box<dyn Stream>>,
    bytes_in: u64,
    bytes_out: u64,
    /// Of both, what is to the client's credit already.
    bytes_paid: u64,
    submitted_at: Instant,
    queued_time: Duration,
    engine_time: Duration,
}

impl Job {
    fn new(
        spec: StylizeSpec,
        bands: Receiver<Vec<u8>>,
        results: SyncSender<Parcel>,
        behind: Arc<Behind>,
    ) -> Self {
        let now = Instant::now();
        Self {
            spec,
            bands,
            results,
            given: 0,
            untaken: 0,
            patience: Patience::new(now),
            behind,
            stream: None,
            bytes_in: 0,
            bytes_out: 0,
            bytes_paid: 0,
            submitted_at: now,
            queued_time: Duration::ZERO,
            engine_time: Duration::ZERO,
        }
    }

    /// Counts what was worked on to the client's credit, either way: some networks give nothing before they have all.
    fn pay(&mut self, grace: Duration) {
        let raster = &self.spec.raster;
        let band_bytes = f64::from(wire::band_rows(raster)) * raster.row_bytes() as f64;
        let bytes = self.bytes_in + self.bytes_out;
        self.patience.pay((bytes - self.bytes_paid) as f64 / band_bytes, grace);
        self.bytes_paid = bytes;
    }

    fn is_ready(&self) -> bool {
        (self.given > 0 || self.has_all_rows()) && self.untaken < WAITING_BANDS
    }

    /// Gives the next band to the engine, or lets it go on when it has all; returns the rows that came out.
    fn advance(&mut self, engine: &mut impl Engine) -> Result<Vec<u8>, Refusal> {
        let began = Instant::now();
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let stream = engine.open(&self.spec)?;
                self.queued_time = began - self.submitted_at;
                none.insert(stream)
            }
        };
        let goes_on = self.bytes_in == self.spec.raster.total_bytes();
        let rows = if goes_on {
            Vec::new()
        } else {
            self.given -= 1;
            self.bands.try_recv().map_err(|_| defect("a band was announced and not handed over"))?
        };
        let mut out = Vec::new();
        stream.push(&rows, &mut out)?;
        self.engine_time += began.elapsed();
        self.bytes_in += rows.len() as u64;
        self.bytes_out += out.len() as u64;

        let raster = &self.spec.raster;
        let is_whole_rows = out.len().is_multiple_of(raster.row_bytes());
        let is_missing = goes_on && out.is_empty();
        if !is_whole_rows || is_missing || self.bytes_out > raster.total_bytes() {
            return Err(defect("the engine made another number of rows than the picture has").into());
        }
        Ok(out)
    }

    fn has_all_rows(&self) -> bool {
        self.bytes_in == self.spec.raster.total_bytes()
    }

    fn is_finished(&self) -> bool {
        self.bytes_out == self.spec.raster.total_bytes()
    }

    fn report(&self) -> StylizeReport {
        let raster = &self.spec.raster;
        StylizeReport {
            queued_ms: self.queued_time.as_secs_f32() * 1e3,
            engine_ms: self.engine_time.as_secs_f32() * 1e3,
            brush_size: self.spec.brush_size.resolve(raster.width(), raster.height()),
        }
    }
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
            return self.commands.recv_timeout(LET_GO_AFTER);
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
            let (width, height) = (job.spec.raster.width(), job.spec.raster.height());
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
