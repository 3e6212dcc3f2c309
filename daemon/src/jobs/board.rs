//! The jobs and their states: what sessions ask for, and what the runner reports.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use tracing::{info, warn};
use utsushi_ipc::protocol::{Fault, FaultKind, JobId, JobInfo, JobState, Loss, PauseCause};

use super::folder::{JobFolder, Record};
use super::order::Order;
use super::pause;
use super::training::Progress;

/// More than anybody waits for, and few enough to be read at every start.
const MAX_JOBS: usize = 1000;

/// What the user wants of a job that the runner has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Pause,
    Cancel,
}

pub(super) struct Board {
    folder: PathBuf,
    /// The lock on the folder, while it is ours.
    lock: Option<File>,
    jobs: BTreeMap<JobId, Job>,
    /// Those whose `job.json` can't be read. They keep their numbers, and nobody else gets their styles.
    damaged: BTreeMap<JobId, Damaged>,
    last_version: u64,
    /// Nothing new is to begin.
    pub(super) is_stopping: bool,
    /// The runner is through.
    pub(super) is_stopped: bool,
}

pub(super) struct Job {
    pub(super) folder: JobFolder,
    pub(super) record: Record,
    /// How far preparing is.
    pub(super) prepared: Progress,
    pub(super) losses: Vec<Loss>,
    pub(super) seconds_left: Option<u32>,
    /// To be obeyed by the runner, which has the job.
    pub(super) wish: Option<Wish>,
    /// Another with all news.
    pub(super) version: u64,
}

impl Job {
    pub(super) fn info(&self) -> JobInfo {
        let Record { id, order, state, progress, note, .. } = &self.record;
        let Progress { stage, step, steps, done } = match state {
            JobState::Preparing => Progress { done: progress.done, ..self.prepared.clone() },
            _ => progress.clone(),
        };
        JobInfo {
            id: *id,
            style: order.style.clone(),
            name: order.name.clone(),
            state: state.clone(),
            stage,
            step,
            steps,
            done,
            losses: self.losses.clone(),
            seconds_left: self.seconds_left,
            note: note.clone(),
            folder: self.folder.path().to_owned(),
            report: Some(self.folder.report()).filter(|report| report.exists()),
        }
    }
}

/// What is known of a job that can't be read.
struct Damaged {
    folder: JobFolder,
    style: String,
    /// What happened, and what to do.
    why: String,
}

impl Damaged {
    fn new(id: JobId, folder: JobFolder, why: &str) -> Self {
        let path = folder.path().join("job.json");
        let why = format!(
            "damaged: {} can't be read ({why}); put that right and restart the daemon (utsushi stop), or give the job up \
             (utsushi jobs remove {id}), with its checkpoints",
            path.display()
        );
        warn!(id = id.0, "{why}");
        let style = folder.named().map_or(String::new(), |(_, style)| style.to_owned());
        Self { folder, style, why }
    }

    fn info(&self, id: JobId) -> JobInfo {
        JobInfo {
            id,
            style: self.style.clone(),
            name: self.style.clone(),
            state: JobState::Failed { why: self.why.clone() },
            stage: String::new(),
            step: 0,
            steps: 0,
            done: 0.0,
            losses: Vec::new(),
            seconds_left: None,
            note: String::new(),
            folder: self.folder.path().to_owned(),
            report: Some(self.folder.report()).filter(|report| report.exists()),
        }
    }
}

impl Board {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            lock: None,
            jobs: BTreeMap::new(),
            damaged: BTreeMap::new(),
            last_version: 0,
            is_stopping: false,
            is_stopped: false,
        }
    }

    /// Makes sure that the folder is this daemon's, and takes up what it finds there.
    pub(super) fn hold(&mut self) -> Result<(), Fault> {
        if self.lock.is_some() {
            return Ok(());
        }
        if self.is_stopping {
            return Err(stopping());
        }
        if !self.folder.exists() {
            return Ok(());
        }
        let lock = File::create(self.folder.join("lock")).map_err(|error| self.disk(&error))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|error| not_locked(&self.folder, error))?;
        let found = JobFolder::all(&self.folder).map_err(|error| self.disk(&error))?;
        self.lock = Some(lock);
        for (id, folder, record) in found {
            let mut record = match record {
                Ok(record) => record,
                Err(why) => {
                    self.damaged.insert(id, Damaged::new(id, folder, &why));
                    continue;
                }
            };
            if matches!(record.state, JobState::Preparing | JobState::Running) {
                folder.log("a daemon takes it up again");
                record.state = JobState::Queued;
            }
            if record.is_over() {
                folder.clear();
            }
            self.insert(folder, record);
        }
        Ok(())
    }

    /// Leaves the folder to the next daemon.
    pub(super) fn let_go(&mut self) {
        self.lock = None;
        self.is_stopped = true;
    }

    fn insert(&mut self, folder: JobFolder, record: Record) -> &Job {
        self.last_version += 1;
        let job = Job {
            folder,
            prepared: Progress::default(),
            losses: Vec::new(),
            seconds_left: None,
            wish: None,
            version: self.last_version,
            record,
        };
        let id = job.record.id;
        self.jobs.insert(id, job);
        &self.jobs[&id]
    }

    pub(super) fn admit(&mut self, order: Order) -> Result<JobInfo, Fault> {
        if self.is_stopping {
            return Err(stopping());
        }
        fs::create_dir_all(&self.folder).map_err(|error| self.disk(&error))?;
        self.hold()?;
        if self.jobs.len() + self.damaged.len() >= MAX_JOBS {
            let message =
                format!("there are {MAX_JOBS} jobs; remove some that have ended (utsushi jobs remove)");
            return Err(Fault::new(FaultKind::Busy, message));
        }
        let same =
            self.jobs.values().find(|job| job.record.order.style == order.style && !job.record.is_over());
        if let Some(job) = same {
            let (style, id) = (&order.style, job.record.id);
            return Err(Fault::new(
                FaultKind::Invalid,
                format!(
                    "job {id} is there for the style {style:?} already; follow it (utsushi jobs watch {id}), end it \
                     (utsushi jobs cancel {id}), or give the new style another id"
                ),
            ));
        }
        if let Some((id, _)) = self.damaged.iter().find(|(_, damaged)| damaged.style == order.style) {
            let message = format!(
                "job {id}, which is damaged, is there for the style {:?} already; `utsushi jobs` says what to do about it, or \
                 give the new style another id",
                order.style
            );
            return Err(Fault::new(FaultKind::Invalid, message));
        }
        let last = self.jobs.keys().last().max(self.damaged.keys().last());
        let id = JobId(last.map_or(1, |last| last.0.saturating_add(1)));
        let record = Record::new(id, order);
        let folder = JobFolder::create(&self.folder, &record).map_err(|error| self.disk(&error))?;
        folder.log(&format!("queued: {}", serde_json::to_string(&record.order).unwrap_or_default()));
        info!(id = id.0, style = record.order.style, "a training is queued");
        Ok(self.insert(folder, record).info())
    }

    pub(super) fn list(&mut self) -> Result<Vec<JobInfo>, Fault> {
        self.hold()?;
        let damaged = self.damaged.iter().map(|(id, damaged)| damaged.info(*id));
        let mut all: Vec<_> = self.jobs.values().map(Job::info).chain(damaged).collect();
        all.sort_by_key(|job| job.id);
        Ok(all)
    }

    /// Another with all news of any job.
    pub(super) fn last_version(&self) -> u64 {
        self.last_version
    }

    pub(super) fn job(&mut self, id: JobId) -> Result<&mut Job, Fault> {
        self.hold()?;
        if let Some(damaged) = self.damaged.get(&id) {
            return Err(Fault::new(FaultKind::Invalid, format!("job {id} is {}", damaged.why)));
        }
        self.jobs.get_mut(&id).ok_or_else(|| unknown(id))
    }

    /// Changes a job, and says so to whoever watches.
    pub(super) fn update(&mut self, id: JobId, change: impl FnOnce(&mut Job)) {
        self.last_version += 1;
        if let Some(job) = self.jobs.get_mut(&id) {
            change(job);
            job.version = self.last_version;
        }
    }

    /// Puts a job into another state, on the disk, too, as far as that has room.
    pub(super) fn settle(&mut self, id: JobId, state: JobState) {
        self.update(id, |job| {
            job.wish = None;
            job.seconds_left = None;
            match &state {
                JobState::Queued => job.folder.log("queued"),
                JobState::Preparing => job.folder.log("prepares"),
                JobState::Running => job.folder.log("trains"),
                JobState::Paused { why, .. } => job.folder.log(why),
                JobState::Finished => job.folder.log("finished"),
                JobState::Failed { why } => job.folder.log(&format!("failed: {why}")),
                JobState::Cancelled => job.folder.log("cancelled"),
            }
            job.record.state = state;
            match job.folder.write(&job.record) {
                // What the job would go on from goes only when it is on the disk that it won't.
                Ok(()) if job.record.is_over() => job.folder.clear(),
                Ok(()) => {}
                Err(error) => warn!(id = id.0, "the job's state can't be written: {error}"),
            }
        });
    }

    /// Notes what the user wants; at once if the runner doesn't have the job.
    pub(super) fn wish(&mut self, id: JobId, wish: Wish) -> Result<(), Fault> {
        let job = self.job(id)?;
        let state = match (&job.record.state, wish) {
            (JobState::Preparing | JobState::Running, _) => {
                job.wish = Some(wish);
                return Ok(());
            }
            (JobState::Paused { cause: PauseCause::User, .. }, Wish::Pause)
            | (JobState::Cancelled, Wish::Cancel) => return Ok(()),
            (JobState::Queued | JobState::Paused { .. }, Wish::Pause) => pause(PauseCause::User, id, ""),
            (JobState::Queued | JobState::Paused { .. } | JobState::Failed { .. }, Wish::Cancel) => {
                JobState::Cancelled
            }
            _ => return Err(ended(id)),
        };
        self.settle(id, state);
        Ok(())
    }

    pub(super) fn resume(&mut self, id: JobId) -> Result<JobInfo, Fault> {
        let job = self.job(id)?;
        match job.record.state {
            JobState::Finished | JobState::Cancelled => return Err(ended(id)),
            JobState::Paused { cause, .. } => {
                job.record.order.on_battery |= cause == PauseCause::Battery;
                self.settle(id, JobState::Queued);
            }
            JobState::Failed { .. } => {
                // Whoever resumes it has read that no checkpoint can be.
                job.record.begins_anew = job.folder.is_lost();
                self.settle(id, JobState::Queued);
            }
            // It may have been told to wait a moment ago.
            JobState::Queued | JobState::Preparing | JobState::Running => job.wish = None,
        }
        Ok(self.job(id)?.info())
    }

    pub(super) fn remove(&mut self, id: JobId) -> Result<(), Fault> {
        self.hold()?;
        let folder = match self.damaged.get(&id) {
            Some(damaged) => damaged.folder.clone(),
            None => {
                let job = self.job(id)?;
                if !job.record.state.is_ended() {
                    let message = format!("job {id} has not ended; end it first (utsushi jobs cancel {id})");
                    return Err(Fault::new(FaultKind::Invalid, message));
                }
                job.folder.clone()
            }
        };
        folder.remove().map_err(|error| self.disk(&error))?;
        self.jobs.remove(&id);
        self.damaged.remove(&id);
        self.last_version += 1;
        Ok(())
    }

    /// The job to train next; those that wait for the mains are told so.
    pub(super) fn next(&mut self, is_on_battery: impl FnOnce() -> bool) -> Option<JobId> {
        let is_waiting = |job: &&Job| {
            let state = &job.record.state;
            matches!(state, JobState::Queued | JobState::Paused { cause: PauseCause::Battery, .. })
        };
        let waiting: Vec<_> = self.jobs.values().filter(is_waiting).map(|job| job.record.id).collect();
        if waiting.is_empty() || !is_on_battery() {
            return waiting.first().copied();
        }
        let (undaunted, others): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|id| self.jobs[id].record.order.on_battery);
        for id in others {
            if self.jobs[&id].record.state == JobState::Queued {
                self.settle(id, pause(PauseCause::Battery, id, ""));
            }
        }
        undaunted.first().copied()
    }

    fn disk(&self, error: &io::Error) -> Fault {
        let folder = self.folder.display();
        let remedy = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room",
            _ => "see that the folder and all in it are yours, and whether the disk is well",
        };
        Fault::new(FaultKind::Disk, format!("{folder}: the jobs can't be kept there ({error}); {remedy}"))
    }
}

/// Why the folder isn't this daemon's.
fn not_locked(folder: &Path, error: Errno) -> Fault {
    let folder = folder.display();
    match error {
        Errno::WOULDBLOCK => {
            let message = format!("another daemon of yours trains in {folder}; stop one of the two");
            Fault::new(FaultKind::Busy, message)
        }
        other => {
            let message = format!(
                "{folder}: the system can't lock it ({other}), without which two daemons might train there; set \
                 XDG_STATE_HOME to a folder on a disk of this machine"
            );
            Fault::new(FaultKind::Disk, message)
        }
    }
}

fn stopping() -> Fault {
    Fault::new(FaultKind::Stopping, "the daemon is shutting down; try again, and it will be started anew")
}

fn unknown(id: JobId) -> Fault {
    Fault::new(FaultKind::UnknownJob, format!("there is no job {id}; `utsushi jobs` lists them"))
}

fn ended(id: JobId) -> Fault {
    let message =
        format!("job {id} has ended for good; `utsushi jobs` says how, and `utsushi train` begins another");
    Fault::new(FaultKind::Invalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_the_folder_from_being_locked_is_told() {
        fn check(error: Errno, kind: FaultKind, words: &str) {
            let fault = not_locked(Path::new("/state/jobs"), error);
            assert_eq!((fault.kind, fault.message.contains(words)), (kind, true), "{fault}");
            assert!(fault.message.contains("/state/jobs"), "{fault}");
        }
        check(Errno::WOULDBLOCK, FaultKind::Busy, "another daemon of yours trains");
        check(Errno::NOLCK, FaultKind::Disk, "can't lock it");
        check(Errno::NOTSUP, FaultKind::Disk, "can't lock it");
        check(Errno::INTR, FaultKind::Disk, "can't lock it");
    }
}
