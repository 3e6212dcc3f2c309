//! What a job's page tells, kept beside its checkpoints, so that a job that goes on goes on telling.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use utsushi_engine::write_whole;
use utsushi_ipc::protocol::JobState;
use utsushi_training::data::{Picture, Skipped};
use utsushi_training::recipe::Recipe;
use utsushi_training::report::{Kind, Report, State};
use utsushi_training::trainer::StepReport;

use super::jury::{self, Sitting};
use super::kept::kept;
use crate::jobs::folder::JobFolder;
use crate::jobs::training::{Halt, Progress};

/// The page gets new pictures when so much training has gone by: drawing them takes a step or two.
const SAMPLE_MINUTES: f64 = 4.0;
/// A sheet that is looked at while it fills, not only when it is full.
const FIRST_MINUTES: f64 = 0.5;

/// A report, and where it lies.
pub(super) struct Diary {
    pub(super) report: Report,
    path: PathBuf,
    /// Minutes of training at the last sample.
    sampled_at: Option<f64>,
}

impl Diary {
    /// Goes on with the folder's, or begins one.
    pub(super) fn open(
        folder: &JobFolder,
        title: &str,
        recipe: &Recipe,
        photos: &[Picture],
        skipped: &[Skipped],
    ) -> Result<Self, Halt> {
        let path = path(folder);
        let report = kept(folder, &path)?.unwrap_or_else(|| Report::new(title, recipe));
        let mut diary = Self { report, path, sampled_at: None };
        diary.report.state = State::Running;
        diary.report.photos(photos);
        diary.report.skipped(skipped);
        Ok(diary)
    }

    /// Notes what a step told.
    pub(super) fn step(&mut self, told: &StepReport, progress: &Progress) {
        let Self { report, .. } = self;
        let step = told.steps_in_all;
        for (name, value) in &told.losses {
            report.point(Kind::Loss, name, step, *value);
        }
        report.point(Kind::Vital, "learning rate", step, told.learning_rate);
        report.point(Kind::Vital, "gradient", step, told.gradient);
        if let Some(event) = &told.event {
            report.event(step, event.as_str());
        }
        report.stage.clone_from(&progress.stage);
        report.step = step;
        report.minutes += told.seconds / 60.0;
        let done = f64::from(progress.done);
        report.minutes_left = (done > 0.0).then(|| report.minutes / done * (1.0 - done));
    }

    /// Notes how good the style was found.
    pub(super) fn judged(&mut self, Sitting { step, scores }: &Sitting) {
        for (name, value) in [
            ("distance to the art", scores.distance),
            ("content distance", scores.content),
            ("diversity", scores.diversity),
        ] {
            self.report.point(Kind::Score, name, *step, value);
        }
    }

    /// Is it time for new pictures?
    pub(super) fn wants_sample(&self, is_done: bool) -> bool {
        let minutes = self.report.minutes;
        match self.sampled_at {
            _ if is_done => true,
            Some(at) => minutes - at >= SAMPLE_MINUTES,
            None => minutes >= FIRST_MINUTES,
        }
    }

    /// Adds what has become of the photos.
    pub(super) fn sample(&mut self, photos: &[Picture], results: &[Picture]) {
        self.sampled_at = Some(self.report.minutes);
        self.report.sample(self.report.step, results);
        self.report.compare(photos.iter().zip(results));
    }

    /// Writes the page, and what the next daemon needs to go on with it.
    pub(super) fn write(&self, page: &Path) -> io::Result<()> {
        write_whole(&self.path, &serde_json::to_vec(&self.report)?)?;
        self.report.write_html(page)
    }
}

/// Tells on the page how the job is now. A page that can't be written is as it was.
pub(super) fn settle(folder: &JobFolder, state: &JobState) {
    let path = path(folder);
    let Some(mut report) = read(&path) else {
        if path.exists() {
            folder.log(&format!("{} can't be read, and its page stays as it was", path.display()));
        }
        return;
    };
    report.state = match state {
        JobState::Queued | JobState::Preparing | JobState::Running => State::Running,
        JobState::Paused { why, .. } => State::Paused(why.clone()),
        JobState::Finished => State::Finished,
        JobState::Failed { why } => State::Failed(why.clone()),
        JobState::Cancelled => State::Cancelled,
    };
    if !matches!(report.state, State::Running) {
        report.minutes_left = None;
    }
    if matches!(report.state, State::Finished | State::Cancelled) {
        jury::clear(folder.path());
    }
    let written = serde_json::to_vec(&report).map_err(io::Error::from);
    let written = written.and_then(|bytes| write_whole(&path, &bytes));
    if let Err(error) = written.and_then(|()| report.write_html(&folder.report())) {
        folder.log(&format!("the report can't be written: {error}"));
    }
}

fn path(folder: &JobFolder) -> PathBuf {
    folder.path().join("report.json")
}

fn read(path: &Path) -> Option<Report> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use utsushi_training::recipe::Preset;
    use utsushi_training::trainer::Stage;

    use super::*;

    fn folder(jobs: &Path) -> JobFolder {
        crate::jobs::folder::tests::folder(jobs)
    }

    fn open(folder: &JobFolder) -> Diary {
        Diary::open(folder, "Hana", &Recipe::preset(Preset::Fast), &[], &[]).expect("a diary")
    }

    fn told(step: u64) -> (StepReport, Progress) {
        let report = StepReport {
            stage: Stage::Imitation,
            step,
            of: Some(8),
            steps_in_all: step,
            losses: vec![("l1".into(), 0.5)],
            learning_rate: 1e-3,
            gradient: 1.0,
            event: Some("it went back 3 steps".into()),
            seconds: 60.0,
        };
        let done = step as f32 / 8.0;
        (report, Progress { stage: "imitation".into(), step: step as u32, steps: 8, done })
    }

    #[test]
    fn a_page_goes_on_and_tells_how_it_ended() {
        let jobs = tempfile::tempdir().expect("a folder");
        let folder = folder(jobs.path());
        settle(&folder, &JobState::Cancelled);
        assert!(!folder.report().exists(), "there was nothing to tell");
        let mut diary = open(&folder);
        assert!(!diary.wants_sample(false) && diary.wants_sample(true));
        for step in [1, 2] {
            let (report, progress) = told(step);
            diary.step(&report, &progress);
        }
        assert_eq!((diary.report.minutes, diary.report.minutes_left), (2.0, Some(6.0)));
        assert!(diary.wants_sample(false));
        diary.sample(&[], &[]);
        assert!(!diary.wants_sample(false));
        diary.write(&folder.report()).expect("written");

        let mut diary = open(&folder);
        assert_eq!((diary.report.step, diary.report.minutes), (2, 2.0));
        let (report, progress) = told(3);
        diary.step(&report, &progress);
        diary.write(&folder.report()).expect("written");
        let check = |state: JobState, expected: &str| {
            settle(&folder, &state);
            let page = fs::read_to_string(folder.report()).expect("a page");
            assert!(page.contains(expected) && page.contains("Hana"), "{state:?}");
            assert_eq!(open(&folder).report.step, 3);
        };
        check(JobState::Failed { why: "the moon is wrong".into() }, "the moon is wrong");
        let cause = utsushi_ipc::protocol::PauseCause::Disk;
        check(JobState::Paused { cause, why: "no room".into() }, "no room");
    }
}
