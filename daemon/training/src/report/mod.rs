//! A page to look at: how a training goes, or went.
//!
//! ```text
//! Report   what there is to tell; kept beside the checkpoint, so that a resumed job goes on telling
//! curve    losses and scores over the steps, in a bounded number of points
//! shot     a picture inside the page
//! chart    a curve as SVG
//! page     all of it as one HTML file
//! ```
//!
//! The page needs no network and no server: it opens from a file, and loads nothing. While the job runs it loads
//! itself again now and then, and keeps the reader's place. Its size is bounded, however long the job: pictures are
//! reduced, and of the samples, points and events only so many are kept (the constants below). That makes some
//! 5 MB at most.

mod chart;
mod curve;
mod page;
mod shot;
#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use utsushi_engine::write_whole;

use self::curve::Curve;
use self::shot::Shot;
use crate::data::{Picture, Skipped};

/// Samples that are kept: dense at the beginning, where most happens, and ever wider apart, but for the last one.
pub const MAX_SAMPLES: usize = 20;
/// Pictures of a sample.
pub const MAX_SAMPLE_PICTURES: usize = 6;
/// Pictures that are compared with what they were.
pub const MAX_COMPARISONS: usize = 4;
/// Events that are kept, the last ones.
pub const MAX_EVENTS: usize = 200;
/// Skipped files that are named.
pub const MAX_SKIPPED: usize = 500;
const SAMPLE_PX: u32 = 320;
const COMPARISON_PX: u32 = 720;

/// What there is to tell of a training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What is trained: the style's name.
    pub title: String,
    /// How it is going.
    pub state: State,
    /// The present stage, in words.
    pub stage: String,
    /// Steps done, in all stages.
    pub step: u64,
    /// Steps in all, if that is known.
    pub of: Option<u64>,
    /// Minutes that it worked.
    pub minutes: f64,
    /// Minutes that are left, about.
    pub minutes_left: Option<f64>,
    /// A few figures that matter most, by name: how many pictures, the least distance to the art.
    pub figures: Vec<(String, String)>,
    settings: Vec<(String, String)>,
    curves: Vec<Curve>,
    /// What the samples are drawn from.
    photos: Vec<Shot>,
    samples: Vec<Sample>,
    comparisons: Vec<Comparison>,
    events: Vec<Event>,
    earlier_events: usize,
    skipped: Vec<Skipped>,
    more_skipped: usize,
}

/// How a training is going.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It works.
    Running,
    /// It waits, for this reason.
    Paused(String),
    /// It is done.
    Finished,
    /// Somebody ended it.
    Cancelled,
    /// It can't go on, for this reason.
    Failed(String),
}

impl State {
    /// Will there be more to tell?
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Finished | Self::Cancelled | Self::Failed(_))
    }
}

/// What a curve is about; curves of one kind stand together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// How good it is.
    Score,
    /// What is being made small.
    Loss,
    /// What tells how the training goes: learning rate, gradients.
    Vital,
}

/// What the generator made of the photos at a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Sample {
    step: u64,
    shots: Vec<Shot>,
}

/// A photo and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Comparison {
    before: Shot,
    after: Shot,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Event {
    step: u64,
    words: String,
}

impl Report {
    /// A report of a training that begins; `settings` is shown as a table, a line for each number of it.
    pub fn new(title: impl Into<String>, settings: &impl Serialize) -> Self {
        let mut table = Vec::new();
        match toml::Value::try_from(settings) {
            Ok(value) => flatten(String::new(), &value, &mut table),
            Err(error) => table.push(("settings".into(), format!("can't be shown: {error}"))),
        }
        Self {
            title: title.into(),
            state: State::Running,
            stage: String::new(),
            step: 0,
            of: None,
            minutes: 0.0,
            minutes_left: None,
            figures: Vec::new(),
            settings: table,
            curves: Vec::new(),
            photos: Vec::new(),
            samples: Vec::new(),
            comparisons: Vec::new(),
            events: Vec::new(),
            earlier_events: 0,
            skipped: Vec::new(),
            more_skipped: 0,
        }
    }

    /// Adds a point to the curve of this name. What is no number is left out.
    pub fn point(&mut self, kind: Kind, name: &str, step: u64, value: f64) {
        let place = self.curves.iter().position(|curve| curve.kind == kind && curve.name == name);
        let place = place.unwrap_or_else(|| {
            self.curves.push(Curve::new(kind, name));
            self.curves.len() - 1
        });
        self.curves[place].push(step, value);
    }

    /// Sets the photos that samples are drawn from; the first few are shown.
    pub fn photos(&mut self, photos: &[Picture]) {
        self.photos = shots(photos);
    }

    /// Adds what the generator makes of the photos at this step; the first few are kept.
    pub fn sample(&mut self, step: u64, results: &[Picture]) {
        // A job that went back to a checkpoint comes by here again.
        self.samples.retain(|sample| sample.step < step);
        self.samples.push(Sample { step, shots: shots(results) });
        if self.samples.len() > MAX_SAMPLES {
            self.samples.remove(most_crowded(&self.samples));
        }
    }

    /// Sets photos and what has become of them, to be looked at closely; the first few are shown.
    pub fn compare<'a>(&mut self, pairs: impl IntoIterator<Item = (&'a Picture, &'a Picture)>) {
        let shot = |picture| Shot::new(picture, COMPARISON_PX);
        let pairs = pairs.into_iter().take(MAX_COMPARISONS);
        self.comparisons =
            pairs.map(|(photo, result)| Comparison { before: shot(photo), after: shot(result) }).collect();
    }

    /// Adds what happened at a step, in words.
    pub fn event(&mut self, step: u64, words: impl Into<String>) {
        self.events.push(Event { step, words: words.into() });
        if self.events.len() > MAX_EVENTS {
            self.events.remove(0);
            self.earlier_events += 1;
        }
    }

    /// Sets which files are not learned from.
    pub fn skipped(&mut self, skipped: &[Skipped]) {
        self.skipped = skipped.iter().take(MAX_SKIPPED).cloned().collect();
        self.more_skipped = skipped.len() - self.skipped.len();
    }

    /// The page.
    pub fn html(&self) -> String {
        page::html(self)
    }

    /// Writes the page. It is there as a whole, or the one before is as it was.
    pub fn write_html(&self, path: &Path) -> io::Result<()> {
        write_whole(path, self.html().as_bytes())
    }
}

fn shots(pictures: &[Picture]) -> Vec<Shot> {
    pictures.iter().take(MAX_SAMPLE_PICTURES).map(|picture| Shot::new(picture, SAMPLE_PX)).collect()
}

/// The sample, neither the first nor the last, whose neighbours are nearest to each other as factors: what is left
/// without it grows from step to step by about the same factor.
fn most_crowded(samples: &[Sample]) -> usize {
    let factor = |i: &usize| (samples[i + 1].step + 1) as f64 / (samples[i - 1].step + 1) as f64;
    (1..samples.len() - 1).min_by(|a, b| factor(a).total_cmp(&factor(b))).unwrap_or(0)
}

/// A line for each value, named by the way to it: `adversarial.weights.l1`.
fn flatten(name: String, value: &toml::Value, table: &mut Vec<(String, String)>) {
    match value {
        toml::Value::Table(fields) => {
            for (field, value) in fields {
                let name = if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
                flatten(name, value, table);
            }
        }
        toml::Value::String(text) => table.push((name, text.clone())),
        toml::Value::Float(number) => table.push((name, curve::number(*number))),
        other => table.push((name, other.to_string())),
    }
}
