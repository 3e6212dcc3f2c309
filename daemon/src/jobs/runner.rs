//! The training thread: takes one job after the other, and a step of it whenever it is training's turn.

use std::any::Any;
use std::io;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use tracing::{error, info, warn};
use utsushi_engine::style_file::{StyleFile, StyleFileError};
use utsushi_ipc::protocol::{JobId, JobState, PauseCause};

use super::board::{Job, Wish};
use super::checkpoints::IfLost;
use super::folder::{JobFolder, Record};
use super::order::Order;
use super::power::is_on_battery;
use super::training::{Halt, News, Progress, Step, Training};
use super::{Shared, pause};
use crate::library::LibraryError;
use crate::worker::Turn;

/// How often to look for what the user wants, while it isn't training's turn.
const PATIENCE: Duration = Duration::from_millis(50);
/// The lowest priority there is. Threads inherit it, thus the pool that trains does, too.
const NICE: i32 = 19;
/// An epoch's end is a good moment for a checkpoint, but not for one every few seconds.
const EPOCHS_AN_INTERVAL: u32 = 10;
/// Before so much of the training is done, it isn't said how long the rest will take.
const LEAST_DONE: f32 = 0.005;

/// Works until the board says to stop.
pub(super) fn run(shared: &Shared, turn: &Turn) {
    // This thread's alone, on Linux, in spite of the name.
    if let Err(error) = rustix::process::nice(NICE) {
        warn!("training can't be given a low priority: {error}");
    }
    // Also if this thread ends otherwise than it should: who waits for it is not to wait for ever.
    let _let_go = LetGo(shared);
    while let Some(id) = next(shared) {
        let trained = catch_unwind(AssertUnwindSafe(|| train(shared, turn, id)));
        if let Err(panic) = trained {
            let state = defect(shared, id, &*panic);
            shared.lock().settle(id, state);
            shared.changed.notify_all();
        }
    }
}

struct LetGo<'a>(&'a Shared);

impl Drop for LetGo<'_> {
    fn drop(&mut self) {
        self.0.lock().let_go();
        self.0.changed.notify_all();
    }
}

fn next(shared: &Shared) -> Option<JobId> {
    let mut board = shared.lock();
    loop {
        if board.is_stopping {
            return None;
        }
        if board.hold().is_ok() {
            let next = board.next(|| is_on_battery(&shared.config.power_supplies));
            if let Some(id) = next {
                board.settle(id, JobState::Preparing);
            }
            // Others may have been told to wait.
            shared.changed.notify_all();
            if next.is_some() {
                return next;
            }
        }
        let waited = shared.changed.wait_timeout(board, shared.config.poll_interval);
        board = waited.unwrap_or_else(PoisonError::into_inner).0;
    }
}

/// What ends an attempt before its job is finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    Stop,
    Pause(PauseCause),
    Cancel,
}

fn train(shared: &Shared, turn: &Turn, id: JobId) {
    let (Record { order, begins_anew, .. }, folder) = match shared.lock().job(id) {
        Ok(job) => (job.record.clone(), job.folder.clone()),
        Err(_removed) => return,
    };
    let now = Instant::now();
    let mut attempt = Attempt {
        shared,
        turn,
        id,
        order: &order,
        folder: &folder,
        if_lost: if begins_anew { IfLost::BeginAnew } else { IfLost::Stop },
        ask: Ask::Stop,
        looked_at_power: now,
        saved_at: now,
        trained: Duration::ZERO,
        done_before: None,
    };
    // An attempt that panicked is dropped with all its state, but for its checkpoints.
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(order.threads.unwrap_or(0) as usize);
        let pool = pool.build().map_err(|error| {
            Halt::Failed(format!("the system has no thread left ({error}); resume the job later"))
        })?;
        pool.install(|| attempt.run())
    }));
    let state = match ended {
        Ok(Ok(())) => JobState::Finished,
        Ok(Err(Halt::Asked)) => match attempt.ask {
            Ask::Stop => JobState::Queued,
            Ask::Pause(cause) => pause(cause, id, ""),
            Ask::Cancel => JobState::Cancelled,
        },
        Ok(Err(Halt::Disk(why))) => pause(PauseCause::Disk, id, &why),
        Ok(Err(Halt::Lost(what))) => JobState::Failed {
            why: format!(
                "the training can't go on, as none of its checkpoints can be read ({what}); nothing was deleted: put a \
                 sound checkpoint in its place, or get the Utsushi that wrote it, then `utsushi jobs resume {id}`, which \
                 begins anew if there still is none"
            ),
        },
        Ok(Err(Halt::Failed(why))) => JobState::Failed { why },
        Err(panic) => defect(shared, id, &*panic),
    };
    // What the steps took is kept for the next one, which there isn't.
    utsushi_engine::let_go();
    info!(id = id.0, ?state, "the training");
    shared.trainers.settled(&folder, &state);
    shared.lock().settle(id, state);
    shared.changed.notify_all();
}

/// What a job is told to have come to that panicked.
fn defect(shared: &Shared, id: JobId, panic: &(dyn Any + Send)) -> JobState {
    let words = crate::log::words(panic);
    error!(id = id.0, "the training stopped unexpectedly: {words}");
    let log = shared.lock().job(id).map_or_else(|_removed| "log.txt".into(), |job| job.folder.log_file());
    JobState::Failed {
        why: format!(
            "the training stopped unexpectedly ({words}); this is a defect of Utsushi's: please report it, with {}",
            log.display()
        ),
    }
}

/// A job, from its start or its last checkpoint, to its end or until it is asked to stop.
struct Attempt<'a> {
    shared: &'a Shared,
    turn: &'a Turn,
    id: JobId,
    order: &'a Order,
    folder: &'a JobFolder,
    if_lost: IfLost,
    /// What it was asked that ended it.
    ask: Ask,
    looked_at_power: Instant,
    saved_at: Instant,
    /// The time that this attempt's steps took ...
    trained: Duration,
    /// ... and the share that was done after the first of them.
    done_before: Option<f32>,
}

impl Attempt<'_> {
    fn run(&mut self) -> Result<(), Halt> {
        self.folder.sweep();
        let path = self.folder.style();
        // The daemon before may have been killed between the training's end and the job's.
        let style = match StyleFile::open(&path) {
            Ok(style) => style,
            Err(_absent) => {
                let style = self.train()?;
                style.save(&path).and_then(|()| StyleFile::open(&path)).map_err(|error| match error {
                    StyleFileError::Io { .. } => Halt::Disk(error.to_string()),
                    other => Halt::Failed(other.to_string()),
                })?
            }
        };
        let style = self.install(style)?;
        self.update(|job| job.record.order.style = style);
        Ok(())
    }

    /// Takes all the steps that are left.
    fn train(&mut self) -> Result<StyleFile, Halt> {
        let (trainers, if_lost) = (&self.shared.trainers, self.if_lost);
        let mut training = trainers.begin(self.order, self.folder, if_lost, &mut |news| self.hear(&news))?;
        self.shared.lock().settle(self.id, JobState::Running);
        self.shared.changed.notify_all();
        self.saved_at = Instant::now();
        let mut saved_steps = training.steps();
        while !training.is_done() {
            if self.wait_for_turn().is_break() {
                if self.ask != Ask::Cancel && saved_steps != training.steps() {
                    self.save(&mut *training)?;
                }
                return Err(Halt::Asked);
            }
            let began = Instant::now();
            let told = training.step()?;
            let ends_epoch = told.ends_epoch;
            self.tell(told, began.elapsed());
            if self.is_checkpoint_due(ends_epoch) {
                self.save(&mut *training)?;
                saved_steps = training.steps();
            }
        }
        self.save(&mut *training)?;
        training.style()
    }

    fn update(&self, change: impl FnOnce(&mut Job)) {
        self.shared.lock().update(self.id, change);
        self.shared.changed.notify_all();
    }

    fn hear(&mut self, news: &News<'_>) -> ControlFlow<()> {
        match *news {
            News::Doing(what, step, steps) => self.update(|job| {
                if job.prepared.stage != what {
                    job.folder.log(what);
                }
                job.prepared = Progress { stage: what.to_owned(), step, steps, done: 0.0 };
            }),
            News::Note(note) => self.update(|job| {
                job.folder.log(note);
                note.clone_into(&mut job.record.note);
            }),
        }
        self.wait_for_turn()
    }

    /// Comes back when the next step may begin, or breaks off if the job is not to go on.
    fn wait_for_turn(&mut self) -> ControlFlow<()> {
        loop {
            if let Some(ask) = self.asked() {
                self.ask = ask;
                return ControlFlow::Break(());
            }
            if self.turn.wait(PATIENCE) {
                return ControlFlow::Continue(());
            }
        }
    }

    fn asked(&mut self) -> Option<Ask> {
        let config = &self.shared.config;
        if self.looked_at_power.elapsed() >= config.poll_interval {
            self.looked_at_power = Instant::now();
            let may_train = || self.shared.lock().job(self.id).is_ok_and(|job| job.record.order.on_battery);
            if is_on_battery(&config.power_supplies) && !may_train() {
                return Some(Ask::Pause(PauseCause::Battery));
            }
        }
        let mut board = self.shared.lock();
        let wish = board.job(self.id).ok()?.wish;
        match wish {
            Some(Wish::Cancel) => Some(Ask::Cancel),
            _ if board.is_stopping => Some(Ask::Stop),
            Some(Wish::Pause) => Some(Ask::Pause(PauseCause::User)),
            None => None,
        }
    }

    fn tell(&mut self, told: Step, took: Duration) {
        let done = told.progress.done;
        let seconds_left = match self.done_before {
            Some(before) => {
                self.trained += took;
                let gained = done - before;
                let a_share = self.trained.as_secs_f32() / gained;
                (gained >= LEAST_DONE).then(|| ((1.0 - done) * a_share).ceil() as u32)
            }
            // The first step is a slow one.
            None => {
                self.done_before = Some(done);
                None
            }
        };
        self.update(|job| {
            job.record.progress = told.progress;
            job.losses = told.losses;
            job.seconds_left = seconds_left;
            if let Some(note) = told.note {
                job.folder.log(&note);
                job.record.note = note;
            }
        });
    }

    fn is_checkpoint_due(&self, ends_epoch: bool) -> bool {
        let interval = self.shared.config.checkpoint_interval;
        let least = if ends_epoch { interval / EPOCHS_AN_INTERVAL } else { interval };
        self.saved_at.elapsed() >= least
    }

    /// Writes a checkpoint and the report. A disk that is full loses neither those before.
    fn save(&mut self, training: &mut dyn Training) -> Result<(), Halt> {
        training.checkpoint(&self.folder.next_checkpoint(training.steps())?)?;
        training.report(&self.folder.report())?;
        self.saved_at = Instant::now();
        let mut board = self.shared.lock();
        let Ok(job) = board.job(self.id) else { return Ok(()) };
        job.record.begins_anew = false;
        let losses: Vec<_> =
            job.losses.iter().map(|loss| format!(", {} {:.4}", loss.name, loss.value)).collect();
        let Progress { stage, step, steps, .. } = &job.record.progress;
        // At first nobody knows how many steps there will be.
        let of = if *steps == 0 { String::new() } else { format!(" of {steps}") };
        self.folder.log(&format!("{stage}, step {step}{of}{}", losses.concat()));
        self.folder.write(&job.record).map_err(|error| disk(self.folder, &error))?;
        self.folder.thin_out();
        Ok(())
    }

    /// Puts the style among the user's, under another id should its own have been taken in the meantime. One that it has
    /// put there already stays.
    fn install(&self, file: StyleFile) -> Result<String, Halt> {
        let mut id = self.order.style.clone();
        for number in 2.. {
            let mut styles = file.styles().to_vec();
            styles[0].id.clone_from(&id);
            let file = file.clone().with_styles(styles).map_err(|error| Halt::Failed(error.to_string()))?;
            let library = &self.shared.config.library;
            if library.volume(&id).is_some_and(|(_, there)| there.is_same(&file)) {
                return Ok(id);
            }
            match library.add(&file) {
                Ok(_) => return Ok(id),
                Err(LibraryError::BuiltIn(_) | LibraryError::Exists(_) | LibraryError::Occupied(_)) => {
                    let stem: String = self.order.style.chars().take(50).collect();
                    id = format!("{stem}-{number}");
                }
                Err(LibraryError::File { source: StyleFileError::Io { path, source }, .. })
                | Err(LibraryError::Io { path, source }) => {
                    return Err(Halt::Disk(format!("{}: {source}", path.display())));
                }
                Err(error) => return Err(Halt::Failed(error.to_string())),
            }
        }
        unreachable!("there are more numbers than styles")
    }
}

fn disk(folder: &JobFolder, error: &io::Error) -> Halt {
    Halt::Disk(format!("{}: {error}", folder.path().display()))
}
