//! Networks that normalise over the whole picture, run exactly or in bands.
//!
//! Such a network is a row of steps. The statistics of a normalisation are those of the whole map that comes to
//! it, and so depend on every step before it:
//!
//! ```text
//! survey   step by step, each over the whole map: measures, and draws exactly    memory as the picture's area
//! push     band by band, each through all steps, statistics as measured          memory as the picture's width
//! ```
//!
//! A picture that is small enough is surveyed, and that is its result. Of a larger one a reduced copy is
//! surveyed, and its statistics are frozen for all bands. Then bands don't show, since every pixel sees the same
//! numbers, but the result is near that of the whole picture, and not it.

use std::sync::Arc;

use candle_core::{Result, bail};
use utsushi_kernels::{Affine, Shape};

use crate::bands::{Band, Delay};
use crate::ops::{Conv, Depthwise, add, channel_sums, tanh};
use crate::window::{Surroundings, Window};

/// One of the things that are done to a map in turn.
pub(super) enum Step {
    /// From one convolution to the next.
    Prepare(Prepare),
    Conv(Conv),
    Depthwise(Depthwise),
    /// Keeps the map, for the [`Step::AddKept`] of the same number. Numbers count from 0.
    Keep(usize),
    AddKept(usize),
    Tanh,
}

/// Normalises, activates, enlarges, and gives rows and columns their surroundings.
pub(super) struct Prepare {
    pub(super) norm: Option<Norm>,
    /// Of the leaky ReLU; 1 for none.
    pub(super) slope: f32,
    pub(super) around: Surroundings,
}

/// A group normalisation with one group: mean 0 and variance 1 over all of the map, then a scale and a shift for
/// each channel.
pub(super) struct Norm {
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
}

impl Norm {
    const EPSILON: f64 = 1e-5;

    /// The whole of it as a scale and a shift, for the maps of one picture.
    fn measure(&self, bands: &[Band], trim: usize, slope: f32) -> Result<Affine> {
        let (mut total, mut count) = ([0.0; 2], 0.0);
        for rows in bands.iter().map(|band| &band.rows).filter(|rows| !rows.is_empty()) {
            for sums in channel_sums(rows, trim)? {
                total[0] += sums[0];
                total[1] += sums[1];
            }
            let Shape { rows: count_rows, cols, channels } = rows.shape()?;
            count += (count_rows * (cols - 2 * trim) * channels) as f64;
        }
        let mean = total[0] / count;
        let factor = 1.0 / ((total[1] / count - mean * mean).max(0.0) + Self::EPSILON).sqrt();
        let scale = |weight: &f32| f64::from(*weight) * factor;
        let shift = |(weight, bias): (&f32, &f32)| (f64::from(*bias) - mean * scale(weight)) as f32;
        Ok(Affine {
            scale: self.weight.iter().map(|weight| scale(weight) as f32).collect(),
            shift: self.weight.iter().zip(&self.bias).map(shift).collect(),
            slope,
        })
    }
}

/// A picture's way through the steps.
pub(super) struct Pass {
    steps: Arc<Vec<Step>>,
    states: Vec<State>,
    /// What is kept, until what it is added to has caught up.
    kept: Vec<Delay>,
}

#[derive(Default)]
struct State {
    window: Window,
    /// The normalisation with its statistics, once they are known.
    affine: Option<Affine>,
}

impl Pass {
    pub(super) fn new(steps: Arc<Vec<Step>>) -> Self {
        let states = steps.iter().map(|_| State::default()).collect();
        let keeps = steps.iter().filter(|step| matches!(step, Step::Keep(_))).count();
        Self { steps, states, kept: (0..keeps).map(|_| Delay::default()).collect() }
    }

    /// The same statistics, at the top of a picture.
    pub(super) fn rewound(self) -> Self {
        let rewind = |State { affine, .. }| State { affine, ..State::default() };
        Self { states: self.states.into_iter().map(rewind).collect(), ..self }
    }

    /// Runs a whole picture and measures it on the way. The bands are let go of as they are used up.
    pub(super) fn survey(&mut self, bands: Vec<Band>) -> Result<Vec<Band>> {
        let kept = &mut self.kept;
        self.steps.iter().zip(&mut self.states).try_fold(bands, |bands, (step, state)| {
            if let Step::Prepare(Prepare { norm: Some(norm), slope, around }) = step {
                state.affine = Some(norm.measure(&bands, around.columns.trim, *slope)?);
            }
            bands.into_iter().map(|band| state.push(step, band, kept)).collect()
        })
    }

    /// Runs the next rows of a picture, after a survey.
    pub(super) fn push(&mut self, band: Band) -> Result<Band> {
        let kept = &mut self.kept;
        let mut steps = self.steps.iter().zip(&mut self.states);
        steps.try_fold(band, |band, (step, state)| state.push(step, band, kept))
    }
}

impl State {
    fn push(&mut self, step: &Step, band: Band, kept: &mut [Delay]) -> Result<Band> {
        match step {
            Step::Prepare(prepare) => {
                let affine = match (&self.affine, &prepare.norm) {
                    (Some(affine), _) => affine,
                    (None, Some(_)) => bail!("rows came before the picture was surveyed"),
                    (None, None) if band.rows.is_empty() => return Ok(band),
                    (None, None) => self.affine.insert(identity(band.rows.shape()?.channels, prepare.slope)),
                };
                self.window.push(band, &prepare.around, affine)
            }
            Step::Conv(conv) => band.map(|rows| conv.forward(rows)),
            Step::Depthwise(conv) => band.map(|rows| conv.forward(rows)),
            Step::Keep(number) => {
                kept[*number].push(&band.rows);
                Ok(band)
            }
            Step::AddKept(number) => band.map(|rows| add(rows, &kept[*number].take(rows.count())?)),
            Step::Tanh => band.map(tanh),
        }
    }
}

fn identity(channels: usize, slope: f32) -> Affine {
    Affine { scale: vec![1.0; channels], shift: vec![0.0; channels], slope }
}
