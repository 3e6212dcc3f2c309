//! Tells how the drawing goes: a bar on a terminal, a line a picture in a pipe, an object a line with `--json`,
//! or only what fails with `--quiet`. What fails is named on standard error in each of them but `--json`.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use utsushi_ipc::protocol::{Progress, StylizeReport};

use super::left_out::LeftOut;
use super::pipeline::{Event, Job, Outcome};
use super::{Ending, complain};
use crate::picture::Loss;

#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "What to tell")]
pub(super) struct ReportArgs {
    /// Say nothing unless something fails
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,
    /// Write an object a line to standard output: skipped, started, warning, progress, done, failed,
    /// and a summary
    #[arg(long)]
    json: bool,
}

/// How many pictures went which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Tally {
    done: usize,
    skipped: usize,
    failed: usize,
}

/// Why a picture needn't be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Skip {
    /// An earlier run of the same batch has drawn it.
    Finished,
    /// Something is there already.
    Exists,
}

pub(super) struct Report {
    manner: Manner,
    /// With which they are drawn.
    seed: u64,
    tally: Tally,
    left_out: LeftOut,
    total: usize,
    begun: Instant,
}

enum Manner {
    Quiet,
    Plain,
    Json,
    Bar(ProgressBar),
}

/// A line of `--json`.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Line<'a> {
    Skipped {
        source: &'a str,
        output: &'a str,
        reason: Skip,
    },
    Started {
        source: &'a str,
        output: &'a str,
    },
    Progress {
        source: &'a str,
        rows_done: u32,
        rows: u32,
        /// How many pictures go first, while it waits for its turn.
        #[serde(skip_serializing_if = "Option::is_none")]
        behind: Option<u32>,
    },
    Done {
        source: &'a str,
        output: &'a str,
        queued_ms: f32,
        engine_ms: f32,
        brush_size: f32,
        seed: u64,
        seconds: f64,
    },
    Failed {
        source: &'a str,
        /// Absent for what can't even be looked into.
        #[serde(skip_serializing_if = "Option::is_none")]
        output: Option<&'a str>,
        message: &'a str,
    },
    Warning {
        source: &'a str,
        message: &'a str,
        #[serde(skip_serializing_if = "LeftOut::is_empty")]
        left_out: LeftOut,
    },
    Error {
        message: &'a str,
    },
    Summary {
        #[serde(flatten)]
        tally: Tally,
        undone: usize,
        left_out: &'a LeftOut,
        interrupted: bool,
        seconds: f64,
    },
}

/// The steps of the bar that a picture takes.
const STEPS: u64 = 1000;

impl ReportArgs {
    pub(super) fn is_json(self) -> bool {
        self.json
    }

    pub(super) fn is_quiet(self) -> bool {
        self.quiet
    }

    /// Begins a report on `total` pictures that are drawn with a seed, those included that will be skipped.
    pub(super) fn begin(self, total: usize, seed: u64) -> Report {
        let manner = if self.json {
            Manner::Json
        } else if self.quiet {
            Manner::Quiet
        } else if io::stdout().is_terminal() && io::stderr().is_terminal() {
            Manner::Bar(bar(total))
        } else {
            Manner::Plain
        };
        let (tally, left_out) = (Tally::default(), LeftOut::default());
        Report { manner, seed, tally, left_out, total, begun: Instant::now() }
    }
}

fn bar(total: usize) -> ProgressBar {
    let bar = ProgressBar::new(total as u64 * STEPS);
    let style = ProgressStyle::with_template("{wide_bar} {percent:>3} %  {eta:>4}  {msg}");
    bar.set_style(style.expect("the template is well-formed"));
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

impl Report {
    pub(super) fn skipped(&mut self, job: &Job, reason: Skip) {
        self.tally.skipped += 1;
        if let Manner::Json = self.manner {
            line(&Line::Skipped { source: &text(&job.source), output: &text(&job.output), reason });
        }
        self.move_bar(0);
    }

    pub(super) fn event(&mut self, jobs: &[Job], event: &Event) {
        match event {
            Event::Started(index) => self.started(&jobs[*index]),
            Event::Lost(index, loss) => self.loss(&jobs[*index], loss),
            Event::Progress(index, progress) => self.progress(&jobs[*index], *progress),
            Event::Done(index, report, seconds) => self.done(&jobs[*index], report, *seconds),
            Event::Failed(index, message) => self.failed(&jobs[*index], message),
            Event::GaveUp(message) => self.warn(message),
            Event::Interrupted | Event::End => {}
        }
    }

    fn started(&self, job: &Job) {
        match &self.manner {
            Manner::Json => line(&Line::Started { source: &text(&job.source), output: &text(&job.output) }),
            Manner::Bar(bar) => bar.set_message(self.numbered(name(&job.source))),
            Manner::Quiet | Manner::Plain => {}
        }
    }

    fn progress(&self, job: &Job, Progress { rows_done, rows, behind }: Progress) {
        match &self.manner {
            Manner::Json => line(&Line::Progress { source: &text(&job.source), rows_done, rows, behind }),
            Manner::Bar(bar) => bar.set_message(match behind {
                None | Some(0) => self.numbered(name(&job.source)),
                Some(behind) => format!("{}, waits: {behind} go first", self.numbered(name(&job.source))),
            }),
            Manner::Quiet | Manner::Plain => {}
        }
        self.move_bar(u64::from(rows_done) * STEPS / u64::from(rows.max(1)));
    }

    fn done(&mut self, job: &Job, report: &StylizeReport, seconds: f64) {
        let StylizeReport { queued_ms, engine_ms, brush_size } = *report;
        let (source, output) = (text(&job.source), text(&job.output));
        match &self.manner {
            Manner::Json => {
                line(&Line::Done {
                    source: &source,
                    output: &output,
                    queued_ms,
                    engine_ms,
                    brush_size,
                    seed: self.seed,
                    seconds,
                });
            }
            Manner::Plain => say(&self.numbered(&format!("{source} -> {output}, {seconds:.1} s"))),
            Manner::Quiet | Manner::Bar(_) => {}
        }
        self.tally.done += 1;
        self.move_bar(0);
    }

    fn failed(&mut self, job: &Job, message: &str) {
        self.fail(&job.source, Some(&job.output), message);
    }

    /// Something below the inputs can't be read.
    pub(super) fn lost(&mut self, path: &Path, message: &str) {
        self.fail(path, None, message);
    }

    fn fail(&mut self, source: &Path, output: Option<&Path>, message: &str) {
        self.tally.failed += 1;
        match self.manner {
            Manner::Json => {
                let output = output.map(text);
                line(&Line::Failed { source: &text(source), output: output.as_deref(), message });
            }
            _ => self.warn(message),
        }
        self.move_bar(0);
    }

    /// The picture is drawn, but not all that its file holds.
    fn loss(&mut self, job: &Job, loss: &Loss) {
        let source = text(&job.source);
        let mut left_out = LeftOut::default();
        left_out.add_loss(loss);
        self.left_out.add_loss(loss);
        match &self.manner {
            Manner::Json => line(&Line::Warning { source: &source, message: &loss.to_string(), left_out }),
            _ => self.warn(&format!("{source}: {loss}")),
        }
    }

    /// Files among the inputs are of kinds that aren't drawn.
    pub(super) fn left_out(&mut self, files: LeftOut) {
        self.left_out = files;
    }

    /// Something that is no picture's fault went wrong.
    pub(super) fn warn(&self, message: &str) {
        match &self.manner {
            Manner::Json => line(&Line::Error { message }),
            Manner::Bar(bar) => bar.suspend(|| complain(message)),
            Manner::Quiet | Manner::Plain => complain(message),
        }
    }

    /// Sums up what was done, unless that was said already, as of a single picture.
    pub(super) fn end(self, outcome: Outcome) -> Ending {
        let undone = self.undone();
        let interrupted = outcome == Outcome::Interrupted;
        match &self.manner {
            Manner::Json => {
                let seconds = self.begun.elapsed().as_secs_f64();
                let left_out = &self.left_out;
                line(&Line::Summary { tally: self.tally, undone, left_out, interrupted, seconds });
            }
            Manner::Bar(bar) => bar.finish_and_clear(),
            Manner::Plain | Manner::Quiet => {}
        }
        if matches!(self.manner, Manner::Plain | Manner::Bar(_))
            && (self.total != 1 || self.tally.skipped > 0 || self.left_out.has_files())
        {
            say(&(summary(self.tally, undone) + &self.left_out.in_words()));
        }
        match outcome {
            Outcome::Interrupted => Ending::Interrupted,
            _ if self.tally.failed > 0 || undone > 0 => Ending::Failed,
            _ => Ending::Done,
        }
    }

    fn concluded(&self) -> usize {
        self.tally.done + self.tally.skipped + self.tally.failed
    }

    fn undone(&self) -> usize {
        self.total - self.concluded()
    }

    /// `what` with its place in the batch before it.
    fn numbered(&self, what: &str) -> String {
        match self.total {
            1 => what.into(),
            total => format!("[{}/{total}] {what}", self.concluded() + 1),
        }
    }

    fn move_bar(&self, steps: u64) {
        if let Manner::Bar(bar) = &self.manner {
            bar.set_position(self.concluded() as u64 * STEPS + steps);
        }
    }
}

fn summary(tally: Tally, undone: usize) -> String {
    let parts = [
        (tally.done, "drawn"),
        (tally.skipped, "already there"),
        (tally.failed, "failed"),
        (undone, "left to draw"),
    ];
    let mut words =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    let first = words.next().unwrap_or_else(|| "nothing to draw".into());
    words.fold(first, |text, part| text + ", " + &part)
}

fn line(line: &Line) {
    say(&serde_json::to_string(line).expect("strings and numbers"));
}

/// Writes to standard output. The work goes on if nobody reads it.
fn say(what: &str) {
    let _ = writeln!(io::stdout(), "{what}");
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Part;

    #[test]
    fn summaries() {
        fn check(done: usize, skipped: usize, failed: usize, undone: usize, expected: &str) {
            assert_eq!(summary(Tally { done, skipped, failed }, undone), expected);
        }
        check(0, 0, 0, 0, "nothing to draw");
        check(12, 0, 0, 0, "12 drawn");
        check(0, 3, 0, 0, "3 already there");
        check(7, 3, 1, 1, "7 drawn, 3 already there, 1 failed, 1 left to draw");
    }

    #[test]
    fn the_end_follows_from_the_tally() {
        fn check(done: usize, failed: usize, outcome: Outcome, expected: Ending) {
            let mut report = ReportArgs { quiet: true, json: false }.begin(2, 0);
            report.tally = Tally { done, skipped: 0, failed };
            assert_eq!(report.end(outcome), expected, "{done} {failed} {outcome:?}");
        }
        check(2, 0, Outcome::Finished, Ending::Done);
        check(1, 1, Outcome::Finished, Ending::Failed);
        check(1, 0, Outcome::Finished, Ending::Failed);
        check(1, 0, Outcome::GaveUp, Ending::Failed);
        check(1, 0, Outcome::Interrupted, Ending::Interrupted);
    }

    #[test]
    fn json_lines() {
        fn check(line: Line, expected: &str) {
            assert_eq!(serde_json::to_string(&line).unwrap(), expected);
        }
        check(Line::Started { source: "a", output: "b" }, r#"{"event":"started","source":"a","output":"b"}"#);
        check(
            Line::Skipped { source: "a", output: "b", reason: Skip::Finished },
            r#"{"event":"skipped","source":"a","output":"b","reason":"finished"}"#,
        );
        check(
            Line::Failed { source: "a", output: Some("b"), message: "c" },
            r#"{"event":"failed","source":"a","output":"b","message":"c"}"#,
        );
        check(
            Line::Failed { source: "a", output: None, message: "c" },
            r#"{"event":"failed","source":"a","message":"c"}"#,
        );
        let (queued_ms, engine_ms, seconds) = (0.5, 1.5, 2.5);
        check(
            Line::Done { source: "a", output: "b", queued_ms, engine_ms, brush_size: 1.0, seed: 7, seconds },
            r#"{"event":"done","source":"a","output":"b","queued_ms":0.5,"engine_ms":1.5,"brush_size":1.0,"seed":7,"seconds":2.5}"#,
        );
        let tally = Tally { done: 1, skipped: 2, failed: 3 };
        check(
            Line::Summary {
                tally,
                undone: 4,
                left_out: &LeftOut::default(),
                interrupted: true,
                seconds: 0.5,
            },
            r#"{"event":"summary","done":1,"skipped":2,"failed":3,"undone":4,"left_out":{},"interrupted":true,"seconds":0.5}"#,
        );
        let mut left_out = LeftOut::default();
        left_out.add_loss(&Loss::Parts { part: Part::Page, count: 2 });
        check(
            Line::Warning { source: "a", message: "c", left_out },
            r#"{"event":"warning","source":"a","message":"c","left_out":{"page":2}}"#,
        );
        check(
            Line::Warning { source: "a", message: "c", left_out: LeftOut::default() },
            r#"{"event":"warning","source":"a","message":"c"}"#,
        );
    }
}
