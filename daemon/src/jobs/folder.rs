//! A job's folder, from which a daemon that comes back takes up the job:
//!
//! ```text
//! 3-hana/job.json         what was asked for, and how far it is
//!        log.txt          what happened
//!        report.html      a page to look at, made of report.json
//!        checkpoints/     all that the next step depends on
//! ```
//!
//! Every file but the log is written under another name first, so that one that is there is whole.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use utsushi_engine::write_whole;
use utsushi_ipc::protocol::{JobId, JobState};

use super::order::Order;
use super::training::Progress;

const VERSION: u32 = 1;

/// What outlives the daemon, besides checkpoints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    version: u32,
    pub(super) id: JobId,
    pub(super) order: Order,
    pub(super) state: JobState,
    pub(super) progress: Progress,
    pub(super) note: String,
    /// The user was told that no checkpoint can be read, and has the job begin anew.
    #[serde(default)]
    pub(super) begins_anew: bool,
}

impl Record {
    pub(super) fn new(id: JobId, order: Order) -> Self {
        Self {
            version: VERSION,
            id,
            order,
            state: JobState::Queued,
            progress: Progress::default(),
            note: String::new(),
            begins_anew: false,
        }
    }
}

/// A job's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFolder(PathBuf);

impl JobFolder {
    /// Makes the folder of a new job.
    pub(super) fn create(jobs: &Path, record: &Record) -> io::Result<Self> {
        let folder = Self(jobs.join(format!("{}-{}", record.id, record.order.style)));
        fs::create_dir(&folder.0)?;
        let filled = fs::create_dir(folder.0.join("checkpoints")).and_then(|()| folder.write(record));
        if filled.is_err() {
            // What little there is isn't a job.
            let _ = fs::remove_dir_all(&folder.0);
        }
        filled.map(|()| folder)
    }

    /// Every job of which enough is left, oldest first.
    pub(super) fn all(jobs: &Path) -> Vec<(Self, Record)> {
        let Ok(entries) = fs::read_dir(jobs) else { return Vec::new() };
        let folders = entries.flatten().map(|entry| Self(entry.path()));
        let mut all: Vec<_> = folders.filter_map(|folder| Some((folder.read()?, folder))).collect();
        all.sort_by_key(|(record, _)| record.id);
        all.dedup_by_key(|(record, _)| record.id);
        all.into_iter().map(|(record, folder)| (folder, record)).collect()
    }

    fn read(&self) -> Option<Record> {
        let text = fs::read(self.0.join("job.json")).ok()?;
        match serde_json::from_slice::<Record>(&text) {
            Ok(record) if record.version == VERSION => Some(record),
            Ok(record) => {
                tracing::warn!(folder = %self.0.display(), version = record.version, "a newer Utsushi's job is left alone");
                None
            }
            Err(error) => {
                tracing::warn!(folder = %self.0.display(), "a job can't be read: {error}");
                None
            }
        }
    }

    pub(super) fn write(&self, record: &Record) -> io::Result<()> {
        write_whole(&self.0.join("job.json"), &serde_json::to_vec_pretty(record)?)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The page to look at.
    pub fn report(&self) -> PathBuf {
        self.0.join("report.html")
    }

    /// Adds a line to the log. It is worth less than the training: that it can't be written is no reason to stop.
    pub fn log(&self, line: &str) {
        let mut time = String::new();
        let _ = SystemTime.format_time(&mut Writer::new(&mut time));
        let log = OpenOptions::new().append(true).create(true).open(self.0.join("log.txt"));
        let _ = log.and_then(|mut log| log.write_all(format!("{time} {line}\n").as_bytes()));
    }

    /// Where the [`checkpoints`](super::checkpoints) are.
    pub(super) fn checkpoint_folder(&self) -> PathBuf {
        self.0.join("checkpoints")
    }

    /// Deletes what a daemon left half-written that was killed.
    pub(super) fn sweep(&self) {
        for folder in [&self.0, &self.checkpoint_folder()] {
            let Ok(entries) = fs::read_dir(folder) else { continue };
            for path in entries.flatten().map(|entry| entry.path()) {
                if path.extension().is_some_and(|extension| extension == "tmp") {
                    let _ = fs::remove_file(path);
                }
            }
        }
    }

    /// Deletes what only a job needs that is to go on.
    pub(super) fn clear(&self) {
        self.clear_checkpoints();
    }

    pub(super) fn remove(&self) -> io::Result<()> {
        fs::remove_dir_all(&self.0)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::jobs::fake;

    /// The folder of a new job.
    pub(crate) fn folder(jobs: &Path) -> JobFolder {
        JobFolder::create(jobs, &record(1)).expect("made")
    }

    fn record(id: u32) -> Record {
        let spec = fake::spec(Path::new("/"), "hana", 7);
        Record::new(JobId(id), Order::try_from(spec).expect("sound"))
    }

    #[test]
    fn what_was_written_is_read_again() {
        let jobs = tempfile::tempdir().expect("a folder");
        let written =
            [record(11), Record { note: "went back".into(), state: JobState::Cancelled, ..record(2) }];
        let folders = written.each_ref().map(|record| JobFolder::create(jobs.path(), record).expect("made"));
        assert!(JobFolder::create(jobs.path(), &written[0]).is_err(), "it is there already");
        // What isn't a job, is broken, or comes from the future is passed over.
        fs::create_dir(jobs.path().join("3-empty")).expect("made");
        fs::write(jobs.path().join("lock"), "").expect("written");
        for (name, text) in [("4-broken", "{"), ("5-odd", "{\"version\": 1}")] {
            fs::create_dir(jobs.path().join(name)).expect("made");
            fs::write(jobs.path().join(name).join("job.json"), text).expect("written");
        }
        let later = JobFolder::create(jobs.path(), &record(6)).expect("made");
        later.write(&Record { version: VERSION + 1, ..record(6) }).expect("written");

        let [first, second] = written;
        assert_eq!(JobFolder::all(jobs.path()), [(folders[1].clone(), second), (folders[0].clone(), first)]);
        folders[0].remove().expect("removed");
        assert_eq!(JobFolder::all(jobs.path()).len(), 1);
        assert_eq!(JobFolder::all(&jobs.path().join("nowhere")), []);
    }

    /// Jobs outlive versions of the program.
    #[test]
    fn the_first_versions_jobs_can_be_read() {
        let text = r#"{
            "version": 1, "id": 3, "state": "Running", "note": "",
            "progress": {"stage": "imitation", "step": 40, "steps": 100, "done": 0.25},
            "order": {
                "style": "hana", "name": "Hana", "art": ["/art"], "photos": "/photos", "budget": {"Minutes": 60},
                "like": null, "recipe": "Quality", "author": "I", "licence": "private", "attribution": "",
                "threads": null, "on_battery": false
            }
        }"#;
        let record: Record = serde_json::from_str(text).expect("a job");
        assert_eq!((record.id, record.order.style.as_str(), record.progress.step), (JobId(3), "hana", 40));
        let paused = r#"{"Paused": {"cause": "Disk", "why": "full"}}"#;
        let state: JobState = serde_json::from_str(paused).expect("a state");
        assert!(matches!(state, JobState::Paused { .. }));
    }

    #[test]
    fn the_log_has_a_line_an_event() {
        let jobs = tempfile::tempdir().expect("a folder");
        let folder = JobFolder::create(jobs.path(), &record(1)).expect("made");
        folder.log("queued");
        folder.log("begun");
        let log = fs::read_to_string(folder.path().join("log.txt")).expect("a log");
        let lines: Vec<_> = log.lines().filter_map(|line| line.split_once(' ')).collect();
        assert_eq!((lines.len(), lines[0].1, lines[1].1), (2, "queued", "begun"), "{log}");
        assert!(lines[0].0.starts_with("20") && lines[0].0.ends_with('Z'), "{log}");
    }
}
