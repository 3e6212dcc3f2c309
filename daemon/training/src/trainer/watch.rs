//! Is the training still sound?

use std::collections::VecDeque;

use candle_core::{Device, Result, Tensor};

use crate::optimiser::Tensors;
use crate::recipe::Watch;

/// Gradients' norms that say what is usual, and how many it takes.
const USUAL_STEPS: usize = 200;
const FEWEST_STEPS: usize = 50;

/// What a step did.
#[derive(Debug, Clone, Default)]
pub(super) struct Vitals {
    /// All losses' sum, of each network.
    pub(super) losses: Vec<f64>,
    /// The norm of the generator's gradients.
    pub(super) gradient: f64,
    /// Of the discriminators'.
    pub(super) discriminator_gradient: f64,
    /// How often the discriminator was right, 0..1.
    pub(super) accuracy: Option<f64>,
    /// The generator's pictures' deviation, as a share of that of what they are compared with.
    pub(super) variation: f64,
}

impl Vitals {
    /// Are losses and gradients numbers?
    pub(super) fn are_finite(&self) -> bool {
        let gradients = [self.gradient, self.discriminator_gradient];
        self.losses.iter().chain(&gradients).all(|v| v.is_finite())
    }
}

/// What has gone wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// A loss or a gradient is no number.
    NotFinite,
    /// The generator's gradients are far longer than usual.
    Explosion,
    /// All pictures look alike: next to nothing.
    Collapse,
    /// The discriminator is never wrong.
    TooEasy,
}

impl Trouble {
    pub(super) fn in_words(self) -> &'static str {
        match self {
            Self::NotFinite => "a loss was no number",
            Self::Explosion => "the gradients exploded",
            Self::Collapse => "the pictures were all one colour",
            Self::TooEasy => "the discriminator was never wrong",
        }
    }
}

/// What it remembers of the steps before.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    gradients: VecDeque<f64>,
    accuracies: VecDeque<f64>,
    explosions: u32,
    collapses: u32,
    /// Steps without trouble.
    sound: u64,
}

impl History {
    /// Looks at a step.
    pub(super) fn look(&mut self, watch: &Watch, vitals: &Vitals) -> Option<Trouble> {
        if !vitals.are_finite() {
            return Some(Trouble::NotFinite);
        }
        let gradient = vitals.gradient;
        let is_long = self.usual().is_some_and(|usual| gradient > watch.gradient_factor * usual);
        self.explosions = if is_long { self.explosions + 1 } else { 0 };
        if !is_long {
            remember(&mut self.gradients, gradient, USUAL_STEPS);
        }
        let is_flat = vitals.variation < watch.least_variation;
        self.collapses = if is_flat { self.collapses + 1 } else { 0 };
        if let Some(accuracy) = vitals.accuracy {
            remember(&mut self.accuracies, accuracy, watch.accuracy_steps);
        }
        let is_easy = self.accuracies.len() == watch.accuracy_steps && self.accuracy() > watch.accuracy;
        if self.explosions >= watch.steps_in_row {
            Some(Trouble::Explosion)
        } else if self.collapses >= watch.steps_in_row {
            Some(Trouble::Collapse)
        } else if is_easy {
            Some(Trouble::TooEasy)
        } else {
            self.sound += 1;
            None
        }
    }

    /// Has there been no trouble for a while, and nothing that could become trouble?
    pub(super) fn is_calm(&self, watch: &Watch) -> bool {
        self.sound >= watch.keep_every
            && self.explosions == 0
            && self.collapses == 0
            && self.accuracy() <= watch.accuracy
    }

    /// The median of the gradients' norms, once there are enough.
    fn usual(&self) -> Option<f64> {
        if self.gradients.len() < FEWEST_STEPS {
            return None;
        }
        let mut sorted: Vec<_> = self.gradients.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        Some(sorted[sorted.len() / 2])
    }

    /// The mean; 0 if there is none.
    fn accuracy(&self) -> f64 {
        self.accuracies.iter().sum::<f64>() / self.accuracies.len().max(1) as f64
    }

    /// All of it, as `f64`.
    pub(super) fn tensors(&self) -> Result<Tensors> {
        let tensor = |values: Vec<f64>| {
            let len = values.len();
            Tensor::from_vec(values, len, &Device::Cpu)
        };
        Ok(Tensors::from([
            ("gradients".to_owned(), tensor(self.gradients.iter().copied().collect())?),
            ("accuracies".to_owned(), tensor(self.accuracies.iter().copied().collect())?),
            (
                "counts".to_owned(),
                tensor(vec![self.explosions.into(), self.collapses.into(), self.sound as f64])?,
            ),
        ]))
    }

    /// What [`Self::tensors`] gave.
    pub(super) fn restored(watch: &Watch, tensors: &Tensors) -> Result<Self> {
        let values = |name: &str| -> Result<Vec<f64>> {
            match tensors.get(name) {
                Some(tensor) => tensor.to_vec1(),
                None => candle_core::bail!("what it remembers of {name} is missing"),
            }
        };
        let counts = values("counts")?;
        let [explosions, collapses, sound] = counts[..] else { candle_core::bail!("its counts are wrong") };
        let mut history = Self {
            explosions: explosions as u32,
            collapses: collapses as u32,
            sound: sound as u64,
            ..Self::default()
        };
        values("gradients")?.into_iter().for_each(|v| remember(&mut history.gradients, v, USUAL_STEPS));
        let accuracies = values("accuracies")?.into_iter();
        accuracies.for_each(|v| remember(&mut history.accuracies, v, watch.accuracy_steps));
        Ok(history)
    }
}

fn remember(values: &mut VecDeque<f64>, value: f64, most: usize) {
    if values.len() >= most {
        values.pop_front();
    }
    values.push_back(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{Preset, Recipe};

    fn vitals(gradient: f64) -> Vitals {
        Vitals { losses: vec![1.0], gradient, accuracy: Some(0.7), variation: 1.0, ..Vitals::default() }
    }

    /// After a hundred sound steps, what it says to each step of another kind.
    fn check(step: &Vitals, want: &[(usize, Option<Trouble>)]) {
        let watch = Recipe::preset(Preset::Fast).watch;
        let mut history = History::default();
        for i in 0..100 {
            assert_eq!(history.look(&watch, &vitals(1.0 + f64::from(i % 7))), None);
        }
        let last = want.iter().map(|(i, _)| *i).max().unwrap_or(0);
        for i in 1..=last {
            // It goes through tensors and is the same.
            history = History::restored(&watch, &history.tensors().expect("tensors")).expect("a history");
            let said = history.look(&watch, step);
            if let Some((_, want)) = want.iter().find(|(at, _)| *at == i) {
                assert_eq!(said, *want, "step {i} of {step:?}");
            }
        }
    }

    #[test]
    fn trouble_is_seen_when_it_lasts() {
        check(&vitals(5.0), &[(1, None), (1000, None)]);
        check(&vitals(f64::NAN), &[(1, Some(Trouble::NotFinite))]);
        check(&Vitals { losses: vec![0.0, f64::INFINITY], ..vitals(1.0) }, &[(1, Some(Trouble::NotFinite))]);
        check(&vitals(500.0), &[(1, None), (9, None), (10, Some(Trouble::Explosion))]);
        check(&Vitals { variation: 0.01, ..vitals(1.0) }, &[(9, None), (10, Some(Trouble::Collapse))]);
        check(&Vitals { accuracy: Some(1.0), ..vitals(1.0) }, &[(290, None), (301, Some(Trouble::TooEasy))]);
        check(&Vitals { accuracy: None, ..vitals(1.0) }, &[(1000, None)]);
    }

    #[test]
    fn a_doubtful_state_is_not_calm() {
        let watch = Recipe::preset(Preset::Fast).watch;
        let mut history = History::default();
        for step in 0..100 {
            assert_eq!(history.is_calm(&watch), step >= watch.keep_every);
            history.look(&watch, &vitals(1.0));
        }
        assert!(history.is_calm(&watch));
        history.look(&watch, &vitals(100.0));
        assert!(!history.is_calm(&watch));
        history.look(&watch, &vitals(1.0));
        assert!(history.is_calm(&watch));
    }
}
