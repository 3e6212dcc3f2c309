//! A job's folder, from which a daemon that comes back takes up the job:
//!
//! ```text
//! 3-hana/job.json         what was asked for, and how far it is
//!        log.txt          what happened
//!        report.html      a page to look at, made of report.json
//!        checkpoints/     all that the next step depends on
//!        style.safetensors  what the training has led to, until it is the user's
//! ```
//!
//! Every file but the log is written under another name first, so that one that is there is whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use utsushi_engine::{remove_leftovers_in, write_whole};
use utsushi_ipc::protocol::{JobId, JobState};

use super::order::Order;
use super::training::Progress;

const VERSION: u32 = 1;
/// What the names of folders begin with that aren't jobs yet.
const UNFINISHED: &str = ".new-";

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

    /// Will it never go on?
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, JobState::Finished | JobState::Cancelled)
    }
}

/// A job's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFolder(PathBuf);

/// A job, or why it can't be read.
pub(super) type Found = (JobId, JobFolder, Result<Record, String>);

impl JobFolder {
    /// Makes the folder of a new job, under another name first, so that one that is there is whole.
    pub(super) fn create(jobs: &Path, record: &Record) -> io::Result<Self> {
        let folder = Self(jobs.join(format!("{}-{}", record.id, record.order.style)));
        // As any new folder: less the umask.
        let permissions = fs::Permissions::from_mode(0o777);
        let making = tempfile::Builder::new().prefix(UNFINISHED).permissions(permissions).tempdir_in(jobs)?;
        let new = Self(making.path().to_owned());
        fs::create_dir(new.checkpoint_folder())?;
        new.write(record)?;
        // If there is such a folder, it stays, unless it is empty.
        fs::rename(&new.0, &folder.0)?;
        let _ = making.keep();
        File::open(jobs)?.sync_all()?;
        Ok(folder)
    }

    /// Every job, oldest first.
    pub(super) fn all(jobs: &Path) -> io::Result<Vec<Found>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(jobs)? {
            let folder = Self(entry?.path());
            let name = folder.0.file_name().unwrap_or_default().as_encoded_bytes();
            if name.starts_with(UNFINISHED.as_bytes()) {
                let _ = folder.remove();
                continue;
            }
            remove_leftovers_in(&folder.0);
            remove_leftovers_in(&folder.checkpoint_folder());
            let record = folder.read();
            // What has no number either is no job.
            let id = record.as_ref().ok().map(|record| record.id).or_else(|| Some(folder.named()?.0));
            all.extend(id.map(|id| (id, folder, record)));
        }
        all.sort_by_key(|(id, _, record)| (*id, record.is_err()));
        all.dedup_by(|(id, folder, _), (before, first, _)| {
            if id == before {
                let (folder, first) = (folder.0.display(), first.0.display());
                tracing::warn!(
                    "{folder}: passed over, as {first} is job {before} already; move one elsewhere"
                );
            }
            id == before
        });
        Ok(all)
    }

    /// The job's number and its style's id, as the folder's name tells.
    pub(super) fn named(&self) -> Option<(JobId, &str)> {
        let (id, style) = self.0.file_name()?.to_str()?.split_once('-')?;
        Some((JobId(id.parse().ok()?), style))
    }

    fn read(&self) -> Result<Record, String> {
        let text = fs::read(self.0.join("job.json")).map_err(|error| error.to_string())?;
        let record: Record = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        match record.version {
            VERSION => Ok(record),
            newer => Err(format!("it has version {newer}, which a newer Utsushi reads")),
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

    /// What has happened to the job, a line an event.
    pub(super) fn log_file(&self) -> PathBuf {
        self.0.join("log.txt")
    }

    /// Adds a line to the log. It is worth less than the training: that it can't be written is no reason to stop.
    pub fn log(&self, line: &str) {
        let mut time = String::new();
        let _ = SystemTime.format_time(&mut Writer::new(&mut time));
        let log = OpenOptions::new().append(true).create(true).open(self.log_file());
        let _ = log.and_then(|mut log| log.write_all(format!("{time} {line}\n").as_bytes()));
    }

    /// The finished style, from the training's end until it is the user's and the job is settled.
    pub(super) fn style(&self) -> PathBuf {
        self.0.join("style.safetensors")
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
        let _ = fs::remove_file(self.style());
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
        // What isn't a job, or isn't one yet, is passed over.
        fs::write(jobs.path().join("lock"), "").expect("written");
        for name in ["pictures", ".new-7", "some-thing"] {
            fs::create_dir(jobs.path().join(name)).expect("made");
        }
        for (name, text) in [("4-broken", "{"), ("5-odd", "{\"version\": 1}"), ("3-copy-of-hana", "")] {
            fs::create_dir(jobs.path().join(name)).expect("made");
            fs::write(jobs.path().join(name).join("job.json"), text).expect("written");
        }
        fs::create_dir(jobs.path().join("8-empty")).expect("made");
        let later = JobFolder::create(jobs.path(), &record(6)).expect("made");
        later.write(&Record { version: VERSION + 1, ..record(6) }).expect("written");

        let all = JobFolder::all(jobs.path()).expect("a folder");
        let found: Vec<_> = all.iter().map(|(id, folder, record)| (id.0, folder, record.as_ref())).collect();
        assert_eq!((found[0].0, found[0].1, found[0].2), (2, &folders[1], Ok(&written[1])));
        assert_eq!((found[6].0, found[6].1, found[6].2), (11, &folders[0], Ok(&written[0])));
        let damaged: Vec<_> = found[1..6]
            .iter()
            .map(|(id, folder, record)| (*id, folder.named().expect("a number").1, record.is_err()))
            .collect();
        assert_eq!(
            damaged,
            [
                (3, "copy-of-hana", true),
                (4, "broken", true),
                (5, "odd", true),
                (6, "hana", true),
                (8, "empty", true)
            ]
        );
        assert!(found[4].2.is_err_and(|why| why.contains("a newer Utsushi")));
        assert!(!jobs.path().join(".new-7").exists());
        folders[0].remove().expect("removed");
        assert_eq!(JobFolder::all(jobs.path()).expect("a folder").len(), 6);
        assert!(JobFolder::all(&jobs.path().join("nowhere")).is_err());
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
