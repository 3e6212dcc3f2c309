//! Tells how a video goes: a bar on a terminal, a line at the end in a pipe, an object a line with `--json`.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use serde::Serialize;

use super::super::super::complain;
use super::super::super::report::ReportArgs;
use super::reel::Event;

/// How often programs are told of progress.
const INTERVAL: Duration = Duration::from_millis(500);

pub(super) struct Teller {
    manner: Manner,
    source: String,
    output: String,
    /// As far as is known.
    frames: Option<u64>,
    begun: Instant,
    told: Instant,
    tally: Tally,
}

enum Manner {
    Quiet,
    Plain,
    Json,
    Bar(ProgressBar),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
struct Tally {
    frames: u64,
    /// The others are the frames before, to the last bit.
    drawn: u64,
    engine_ms: f64,
}

/// A line of `--json`.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Line<'a> {
    Skipped {
        source: &'a str,
        output: &'a str,
        reason: &'static str,
    },
    Started {
        source: &'a str,
        output: &'a str,
    },
    Progress {
        source: &'a str,
        frames_done: u64,
        /// An estimate where the file doesn't say.
        #[serde(skip_serializing_if = "Option::is_none")]
        frames: Option<u64>,
    },
    Done {
        source: &'a str,
        output: &'a str,
        #[serde(flatten)]
        tally: Tally,
        seed: u64,
        seconds: f64,
    },
    Failed {
        source: &'a str,
        output: &'a str,
        message: &'a str,
    },
    Error {
        message: &'a str,
    },
    Summary {
        done: u8,
        skipped: u8,
        failed: u8,
        undone: u8,
        interrupted: bool,
        seconds: f64,
    },
}

impl Teller {
    pub(super) fn new(args: ReportArgs, source: &Path, output: &Path, frames: Option<u64>) -> Self {
        let manner = if args.is_json() {
            Manner::Json
        } else if args.is_quiet() {
            Manner::Quiet
        } else if io::stdout().is_terminal() && io::stderr().is_terminal() {
            Manner::Bar(bar(frames))
        } else {
            Manner::Plain
        };
        let now = Instant::now();
        Self {
            manner,
            source: source.display().to_string(),
            output: output.display().to_string(),
            frames,
            begun: now,
            told: now,
            tally: Tally::default(),
        }
    }

    pub(super) fn skipped(&self) {
        match self.manner {
            Manner::Json => {
                line(&Line::Skipped { source: &self.source, output: &self.output, reason: "exists" });
                self.sum_up(0, 1, 0, false);
            }
            Manner::Quiet => {}
            Manner::Plain | Manner::Bar(_) => say(&format!("{} is there already", self.output)),
        }
    }

    pub(super) fn started(&self) {
        if let Manner::Json = self.manner {
            line(&Line::Started { source: &self.source, output: &self.output });
        }
    }

    pub(super) fn event(&mut self, event: &Event) {
        match event {
            Event::Frame { engine_ms } => self.frame(*engine_ms),
            Event::Warning(message) => self.warn(message),
            Event::Interrupted | Event::End(_) => {}
        }
    }

    fn frame(&mut self, engine_ms: Option<f32>) {
        self.tally.frames += 1;
        if let Some(engine_ms) = engine_ms {
            self.tally.drawn += 1;
            self.tally.engine_ms += f64::from(engine_ms);
        }
        match &self.manner {
            Manner::Json if self.told.elapsed() >= INTERVAL => {
                self.told = Instant::now();
                let (frames_done, frames) = (self.tally.frames, self.frames);
                line(&Line::Progress { source: &self.source, frames_done, frames });
            }
            Manner::Bar(bar) => bar.set_position(self.tally.frames),
            _ => {}
        }
    }

    /// Something that doesn't keep the video from being drawn.
    pub(super) fn warn(&self, message: &str) {
        match &self.manner {
            Manner::Json => line(&Line::Error { message }),
            Manner::Bar(bar) => bar.suspend(|| complain(message)),
            Manner::Quiet | Manner::Plain => complain(message),
        }
    }

    /// `seed`: with which it was drawn.
    pub(super) fn done(self, seed: u64) {
        let seconds = self.begun.elapsed().as_secs_f64();
        match &self.manner {
            Manner::Json => {
                let (source, output) = (&self.source, &self.output);
                line(&Line::Done { source, output, tally: self.tally, seed, seconds });
                self.sum_up(1, 0, 0, false);
            }
            Manner::Quiet => {}
            Manner::Plain | Manner::Bar(_) => {
                self.clear();
                say(&format!("{} -> {}, {}", self.source, self.output, in_words(self.tally, seconds)));
            }
        }
    }

    pub(super) fn failed(self, message: &str) {
        self.clear();
        match self.manner {
            Manner::Json => {
                line(&Line::Failed { source: &self.source, output: &self.output, message });
                self.sum_up(0, 0, 1, false);
            }
            _ => complain(message),
        }
    }

    pub(super) fn interrupted(self) {
        self.clear();
        match self.manner {
            Manner::Json => self.sum_up(0, 0, 0, true),
            _ => complain("interrupted; nothing was written"),
        }
    }

    fn sum_up(&self, done: u8, skipped: u8, failed: u8, interrupted: bool) {
        let (undone, seconds) = (1 - done - skipped - failed, self.begun.elapsed().as_secs_f64());
        line(&Line::Summary { done, skipped, failed, undone, interrupted, seconds });
    }

    fn clear(&self) {
        if let Manner::Bar(bar) = &self.manner {
            bar.finish_and_clear();
        }
    }
}

fn bar(frames: Option<u64>) -> ProgressBar {
    let (bar, template) = match frames {
        Some(frames) => {
            (ProgressBar::new(frames), "{wide_bar} {percent:>3} %  {eta:>4}  {pos}/{len} frames  {rate}/s")
        }
        None => (ProgressBar::new_spinner(), "{spinner} {pos} frames  {rate}/s"),
    };
    let style = ProgressStyle::with_template(template).expect("the template is well-formed");
    let rate = |state: &ProgressState, out: &mut dyn fmt::Write| {
        // Writing to a line of the terminal's doesn't fail.
        let _ = write!(out, "{:.1}", state.per_sec());
    };
    bar.set_style(style.with_key("rate", rate));
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

fn in_words(Tally { frames, drawn, engine_ms }: Tally, seconds: f64) -> String {
    let rate = frames as f64 / seconds;
    let share = 100.0 * engine_ms / 1000.0 / seconds;
    let repeated = match frames - drawn {
        0 => String::new(),
        repeated => format!(" ({repeated} of them repeated)"),
    };
    format!(
        "{frames} frames{repeated} in {seconds:.1} s: {rate:.1} frames/s, {share:.0} % of the time drawing"
    )
}

fn line(line: &Line) {
    say(&serde_json::to_string(line).expect("strings and numbers"));
}

/// Writes to standard output. The work goes on if nobody reads it.
fn say(what: &str) {
    let _ = writeln!(io::stdout(), "{what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_end() {
        fn check(frames: u64, drawn: u64, expected: &str) {
            assert_eq!(in_words(Tally { frames, drawn, engine_ms: 8000.0 }, 10.0), expected);
        }
        check(50, 50, "50 frames in 10.0 s: 5.0 frames/s, 80 % of the time drawing");
        check(50, 40, "50 frames (10 of them repeated) in 10.0 s: 5.0 frames/s, 80 % of the time drawing");
    }

    #[test]
    fn json_lines() {
        fn check(line: Line, expected: &str) {
            assert_eq!(serde_json::to_string(&line).unwrap(), expected);
        }
        check(
            Line::Progress { source: "a", frames_done: 3, frames: Some(9) },
            r#"{"event":"progress","source":"a","frames_done":3,"frames":9}"#,
        );
        let tally = Tally { frames: 9, drawn: 8, engine_ms: 1.5 };
        check(
            Line::Done { source: "a", output: "b", tally, seed: 7, seconds: 0.5 },
            r#"{"event":"done","source":"a","output":"b","frames":9,"drawn":8,"engine_ms":1.5,"seed":7,"seconds":0.5}"#,
        );
    }
}
