//! Following a job: a bar on a terminal, a line now and then in a pipe, an object a line with `--json`.

use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use utsushi_ipc::client::{Client, ClientError};
use utsushi_ipc::protocol::{JobId, JobInfo, JobState, PauseCause};

use super::{Ending, complain};

/// The bar's length.
const BAR_STEPS: u64 = 1000;
/// In a pipe, a line for every so many per cent.
const PERCENT_A_LINE: u32 = 5;

/// How a job is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    Json,
    Lines,
    Bar,
}

impl Manner {
    pub(super) fn new(is_json: bool) -> Self {
        if is_json {
            Self::Json
        } else if io::stdout().is_terminal() && io::stderr().is_terminal() {
            Self::Bar
        } else {
            Self::Lines
        }
    }

    /// Writes an object.
    pub(super) fn tell(&self, job: &JobInfo) -> io::Result<()> {
        writeln!(io::stdout(), "{}", serde_json::to_string(&Told::of(job))?)
    }
}

/// A job as JSON.
#[derive(Debug, Serialize)]
pub(super) struct Told<'a> {
    id: u32,
    style: &'a str,
    name: &'a str,
    state: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    why: &'a str,
    stage: &'a str,
    step: u32,
    steps: u32,
    done: f32,
    losses: serde_json::Map<String, serde_json::Value>,
    seconds_left: Option<u32>,
    #[serde(skip_serializing_if = "str::is_empty")]
    note: &'a str,
    folder: String,
    report: Option<String>,
}

impl<'a> Told<'a> {
    pub(super) fn of(job: &'a JobInfo) -> Self {
        let losses = job.losses.iter().map(|loss| (loss.name.clone(), loss.value.into()));
        Self {
            id: job.id.0,
            style: &job.style,
            name: &job.name,
            state: state(&job.state),
            why: why(&job.state),
            stage: &job.stage,
            step: job.step,
            steps: job.steps,
            done: job.done,
            losses: losses.collect(),
            seconds_left: job.seconds_left,
            note: &job.note,
            folder: job.folder.display().to_string(),
            report: job.report.as_ref().map(|report| report.display().to_string()),
        }
    }
}

/// A word for it.
pub(super) fn state(state: &JobState) -> &'static str {
    match state {
        JobState::Queued => "queued",
        JobState::Preparing => "preparing",
        JobState::Running => "running",
        JobState::Paused { .. } => "paused",
        JobState::Finished => "finished",
        JobState::Failed { .. } => "failed",
        JobState::Cancelled => "cancelled",
    }
}

/// Why it doesn't go on, if it doesn't.
pub(super) fn why(state: &JobState) -> &str {
    match state {
        JobState::Paused { why, .. } | JobState::Failed { why } => why,
        _ => "",
    }
}

/// What it does, in a few words.
pub(super) fn describe(job: &JobInfo) -> String {
    let of = if job.steps == 0 { String::new() } else { format!(" of {}", job.steps) };
    let left = job.seconds_left.map_or(String::new(), |seconds| format!(", {} left", span(seconds)));
    match &job.state {
        JobState::Queued => "waits for its turn".to_owned(),
        JobState::Preparing | JobState::Running if job.stage.is_empty() => "begins".to_owned(),
        JobState::Preparing => format!("{}, {}{of}", job.stage, job.step),
        JobState::Running => {
            let losses: Vec<_> =
                job.losses.iter().map(|loss| format!(", {} {:.3}", loss.name, loss.value)).collect();
            format!("{}, step {}{of}{}{left}", job.stage, job.step, losses.concat())
        }
        JobState::Finished => format!("finished: the style {:?} is there", job.style),
        JobState::Cancelled => "cancelled".to_owned(),
        JobState::Paused { why, .. } => why.clone(),
        JobState::Failed { why } => format!("failed: {why}"),
    }
}

/// As `4 min`.
pub(crate) fn span(seconds: u32) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Follows a job until it has ended, is paused for want of room on the disk, or the user has seen enough.
pub(super) fn follow(client: Client, id: JobId, manner: Manner) -> anyhow::Result<Ending> {
    let is_interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&is_interrupted);
    ctrlc::set_handler(move || flag.store(true, Ordering::SeqCst)).context("can't listen for signals")?;
    let mut screen = Screen::new(manner);
    let mut told = Ok(());
    let watched = client.watch_job(id, |job| {
        told = screen.show(job);
        let is_stuck = matches!(job.state, JobState::Paused { cause: PauseCause::Disk, .. });
        match told.is_err() || is_stuck || is_interrupted.load(Ordering::SeqCst) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    screen.clear();
    // Nobody reads it any more, or the disk is full.
    told?;
    let job = watched.map_err(|error| match error {
        ClientError::Lost { .. } => anyhow::anyhow!(
            "the daemon stopped; job {id} goes on from its last checkpoint when one runs again: `utsushi jobs watch {id}`"
        ),
        other => other.into(),
    })?;
    let say = |words: String| if manner == Manner::Json { Ok(()) } else { writeln!(io::stdout(), "{words}") };
    match &job.state {
        JobState::Finished => {
            let report = job.report.as_ref().map_or(String::new(), |report| report.display().to_string());
            say(format!("job {id}: {}\nreport: {report}", describe(&job)))?;
            Ok(Ending::Done)
        }
        JobState::Failed { .. } | JobState::Cancelled | JobState::Paused { cause: PauseCause::Disk, .. } => {
            complain(format_args!("job {id}: {}", describe(&job)));
            Ok(Ending::Failed)
        }
        _ => {
            complain(format_args!(
                "job {id} goes on without this: `utsushi jobs watch {id}` follows it again, `utsushi jobs cancel {id}` \
                 ends it"
            ));
            Ok(Ending::Interrupted)
        }
    }
}

/// What was shown already.
struct Screen {
    manner: Manner,
    bar: Option<ProgressBar>,
    last_job: Option<JobInfo>,
    last_line: Option<(&'static str, String, u32)>,
}

impl Screen {
    fn new(manner: Manner) -> Self {
        let bar = (manner == Manner::Bar).then(bar);
        Self { manner, bar, last_job: None, last_line: None }
    }

    fn show(&mut self, job: &JobInfo) -> io::Result<()> {
        let last_job = self.last_job.replace(job.clone());
        if last_job.as_ref() == Some(job) {
            return Ok(());
        }
        match (self.manner, &self.bar) {
            (Manner::Json, _) => return Manner::Json.tell(job),
            (_, Some(bar)) => {
                bar.set_position((f64::from(job.done) * BAR_STEPS as f64) as u64);
                bar.set_message(describe(job));
            }
            (_, None) => {
                let percent = (job.done * 100.0) as u32 / PERCENT_A_LINE * PERCENT_A_LINE;
                let now = (state(&job.state), job.stage.clone(), percent);
                if self.last_line.as_ref() != Some(&now) && !job.state.is_ended() {
                    writeln!(io::stdout(), "{percent:>3} %  {}", describe(job))?;
                }
                self.last_line = Some(now);
            }
        }
        if last_job.map_or(!job.note.is_empty(), |last| last.note != job.note) {
            match &self.bar {
                Some(bar) => bar.println(&job.note),
                None => writeln!(io::stdout(), "{}", job.note)?,
            }
        }
        Ok(())
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new(BAR_STEPS);
    let style = ProgressStyle::with_template("{wide_bar} {percent:>3} %\n{wide_msg}");
    bar.set_style(style.expect("the template is well-formed"));
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::fake::info;

    #[test]
    fn words() {
        fn check(state: JobState, expected: &str) {
            assert_eq!(describe(&info(3, state)), expected);
        }
        check(JobState::Queued, "waits for its turn");
        check(JobState::Preparing, "imitation, 120 of 4000");
        check(JobState::Running, "imitation, step 120 of 4000, l1 0.062, 12 min left");
        let why = || "the disk is full; make room".to_owned();
        check(JobState::Paused { cause: PauseCause::Disk, why: why() }, "the disk is full; make room");
        check(JobState::Finished, "finished: the style \"hana\" is there");
        check(JobState::Failed { why: why() }, "failed: the disk is full; make room");
        check(JobState::Cancelled, "cancelled");
        let begun = JobInfo { steps: 0, seconds_left: None, losses: vec![], ..info(3, JobState::Running) };
        assert_eq!(describe(&begun), "imitation, step 120");
    }

    #[test]
    fn spans() {
        fn check(seconds: u32, expected: &str) {
            assert_eq!(span(seconds), expected);
        }
        check(0, "0 s");
        check(59, "59 s");
        check(60, "1 min");
        check(61, "2 min");
        check(3600, "1 h 0 min");
        check(7260, "2 h 1 min");
    }

    #[test]
    fn objects() {
        let told =
            serde_json::to_string(&Told::of(&info(3, JobState::Running))).expect("strings and numbers");
        let expected =
            r#"{"id":3,"style":"hana","name":"Hana","state":"running","stage":"imitation","step":120,"#
                .to_owned()
                + r#""steps":4000,"done":0.437,"losses":{"l1":0.0625},"seconds_left":700,"folder":"/jobs/3-hana","#
                + r#""report":"/jobs/3-hana/report.html"}"#;
        assert_eq!(told, expected);
        let failed = info(3, JobState::Failed { why: "few".into() });
        let told = serde_json::to_string(&Told::of(&failed)).expect("strings and numbers");
        assert!(told.contains(r#""state":"failed","why":"few""#), "{told}");
    }
}
