//! A style's discriminator, and what moves it.

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use utsushi_engine::differentiable::{Maps, Place};

use super::learner::Learner;
use super::outcome::Outcome;
use super::snapshot::Snapshot;
use crate::losses::{THRESHOLD, generator, hinge};
use crate::networks::feature_discriminator::FeatureDiscriminator;
use crate::networks::perceptual::Level;
use crate::optimiser::{Parameters, usual_weights};

/// Adam's decay rates: the first moment is the gradient itself, so that it follows the generator at once.
const BETAS: [f64; 2] = [0.0, 0.99];
/// Its gradients are as long as they are.
const MOST_GRADIENT: f64 = f64::INFINITY;

/// The discriminator of one style.
pub(super) struct Critic {
    learner: Learner,
    trained: FeatureDiscriminator,
    /// The same weights, for the generator's losses: no gradients for them.
    frozen: FeatureDiscriminator,
}

impl Critic {
    pub(super) fn new(levels: &[Level], seed: u64) -> Result<Self> {
        let load = |weights: &VarBuilder| FeatureDiscriminator::load(levels, &weights.pp("features"));
        let (parameters, trained) = Parameters::initialised(seed, usual_weights, load)?;
        let frozen = load(&parameters.frozen())?;
        Ok(Self { learner: Learner::new(parameters, BETAS, MOST_GRADIENT), trained, frozen })
    }

    pub(super) fn parameters(&self) -> &Parameters {
        &self.learner.parameters
    }

    /// What it looks at, of a perceptual network's features.
    pub(super) fn views(&self, features: &[Maps]) -> Result<Vec<Maps>> {
        self.trained.views(features)
    }

    /// Tells art from what the generator drew, and learns from it, both as [views](Self::views) without gradients.
    pub(super) fn learn(
        &mut self,
        place: &Place,
        (art, drawn): (&[Maps], &[Maps]),
        rate: f64,
        outcome: &mut Outcome,
    ) -> Result<()> {
        // What all heads say of all pictures, taken at once.
        let scores = place.take(&self.trained.forward(&[art, drawn])?.concat())?;
        let (real, fake) = scores.split_at(self.trained.heads());
        let heads = || real.iter().zip(fake);
        let losses = heads().map(|(real, fake)| hinge(real, fake)).collect::<Result<Vec<_>>>()?;
        let loss = Tensor::stack(&losses, 0)?.sum_all()?;
        let right = heads().map(|(real, fake)| Ok((share_above(real)? + 1.0 - share_above(fake)?) / 2.0));
        let accuracy = right.sum::<Result<f64>>()? / losses.len() as f64;
        outcome.tell("discriminator", loss.to_scalar::<f32>()?.into());
        outcome.tell("accuracy", accuracy);
        outcome.vitals.accuracy = Some(accuracy);
        outcome.vitals.losses.push(loss.to_scalar::<f32>()?.into());
        let (gradients, norm) = self.learner.gradients(&loss.backward()?)?;
        outcome.vitals.discriminator_gradient = norm;
        if outcome.is_finite() { self.learner.step(&gradients, rate) } else { Ok(()) }
    }

    /// What the heads say of what the generator drew.
    pub(super) fn scores(&self, drawn: &[Maps]) -> Result<Vec<Maps>> {
        Ok(self.frozen.forward(&[drawn])?.concat())
    }

    /// What the generator pays for its [scores](Self::scores).
    pub(super) fn judge(scores: &[Tensor]) -> Result<Tensor> {
        Tensor::stack(&scores.iter().map(generator).collect::<Result<Vec<_>>>()?, 0)?.sum_all()
    }

    pub(super) fn save(&self, name: &str, to: &mut Snapshot) -> Result<()> {
        self.learner.save(name, to)
    }

    pub(super) fn restore(&mut self, name: &str, from: &Snapshot) -> Result<()> {
        self.learner.restore(name, BETAS, MOST_GRADIENT, from)
    }
}

/// How many of the scores say that it is art, 0..1.
fn share_above(scores: &Tensor) -> Result<f64> {
    let scores: Vec<f32> = scores.flatten_all()?.to_vec1()?;
    Ok(scores.iter().filter(|score| **score > THRESHOLD).count() as f64 / scores.len() as f64)
}
