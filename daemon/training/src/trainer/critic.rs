//! A style's discriminators, and what moves them.

use candle_core::{Device, Result, Tensor};
use candle_nn::VarBuilder;
use rand::Rng;
use utsushi_engine::differentiable::{Maps, Place};

use super::augment::Augmentation;
use super::learner::Learner;
use super::outcome::Outcome;
use super::random;
use crate::losses::{Form, approximate_r1};
use crate::networks::feature_discriminator::FeatureDiscriminator;
use crate::networks::layer::WeightNorm;
use crate::networks::patch_discriminator::PatchDiscriminator;
use crate::networks::perceptual::Level;
use crate::optimiser::{Parameters, usual_weights};
use crate::recipe::{Adversarial, Discriminators};

/// The discriminators of one style.
pub(super) struct Critic {
    pub(super) learner: Learner,
    trained: Networks,
    /// The same weights, for the generator's losses: no gradients for them.
    frozen: Networks,
}

struct Networks {
    features: Option<FeatureDiscriminator>,
    pixels: Option<PatchDiscriminator>,
}

/// Pictures as discriminators see them.
pub(super) struct Seen {
    /// Features over their length.
    pub(super) views: Vec<Maps>,
    pub(super) luminance: Maps,
}

impl Seen {
    pub(super) fn detached(&self) -> Self {
        Self { views: self.views.iter().map(Maps::detach).collect(), luminance: self.luminance.detach() }
    }
}

impl Critic {
    pub(super) fn new(recipe: &Adversarial, levels: &[Level], seed: u64) -> Result<Self> {
        let load = |weights: &VarBuilder| Networks::load(&recipe.discriminators, levels, weights);
        let (parameters, trained) = Parameters::initialised(seed, usual_weights, load)?;
        let frozen = load(&parameters.frozen())?;
        Ok(Self { learner: Learner::new(parameters, &recipe.course), trained, frozen })
    }

    /// What the discriminator on features looks at; nothing if there is none.
    pub(super) fn views(&self, features: &[Maps]) -> Result<Vec<Maps>> {
        self.trained.features.as_ref().map_or(Ok(Vec::new()), |network| network.views(features))
    }

    /// Tells art from what the generator drew, and learns from it. `smoothed` is art without clear edges, as
    /// luminance: a fake, too.
    pub(super) fn learn(
        &mut self,
        place: &Place,
        recipe: &Discriminators,
        (art, drawn, smoothed): (&Seen, &Seen, Option<&Maps>),
        (augmentation, noise): (Option<&Augmentation>, u64),
        rate: f64,
        outcome: &mut Outcome,
    ) -> Result<()> {
        // What all of them say of all pictures, taken at once.
        let (of_features, of_pixels) = (&self.trained.features, &self.trained.pixels);
        let mut all = Vec::new();
        if let Some(network) = of_features {
            let (real, fake) = (network.forward(&art.views)?, network.forward(&drawn.views)?);
            all.extend(real.into_iter().zip(fake).flat_map(|(real, fake)| [real, fake]));
        }
        if let Some(network) = of_pixels {
            let scores = |luminance: &Maps| network.forward(&changed(luminance, augmentation)?);
            all.extend([scores(&art.luminance)?, scores(&drawn.luminance)?]);
            all.extend(smoothed.map(scores).transpose()?);
            if recipe.penalty > 0.0 {
                all.push(scores(&disturbed(place, &art.luminance, recipe.penalty_deviation, noise)?)?);
            }
        }
        let mut all = place.take(&all)?.into_iter();
        let mut next = || all.next().expect("as many as were taken");

        let mut game = Game { form: recipe.form, losses: Vec::new(), accuracies: Vec::new() };
        for _ in 0..of_features.as_ref().map_or(0, FeatureDiscriminator::heads) {
            game.add(recipe.features, &next(), &next())?;
        }
        if of_pixels.is_some() {
            let real = next();
            game.add(recipe.pixels, &real, &next())?;
            if smoothed.is_some() {
                let loss = recipe.form.fake(&next())?;
                game.losses.push((loss * (recipe.pixels * recipe.edge_smoothed))?);
            }
            if recipe.penalty > 0.0 {
                let penalty = approximate_r1(&real, &next(), recipe.penalty_deviation)?;
                game.losses.push((penalty * (recipe.pixels * recipe.penalty))?);
            }
        }
        let loss = Tensor::stack(&game.losses, 0)?.sum_all()?;
        let accuracy = game.accuracies.iter().sum::<f64>() / game.accuracies.len() as f64;
        outcome.tell("discriminator", loss.to_scalar::<f32>()?.into());
        outcome.tell("accuracy", accuracy);
        outcome.vitals.accuracy = Some(accuracy);
        outcome.vitals.losses.push(loss.to_scalar::<f32>()?.into());
        let (gradients, norm) = self.learner.gradients(&loss.backward()?)?;
        outcome.vitals.discriminator_gradient = norm;
        if outcome.is_finite() { self.learner.step(&gradients, rate) } else { Ok(()) }
    }

    /// What the discriminators say of what the generator drew: the heads on features, then that on pixels.
    pub(super) fn scores(&self, drawn: &Seen, augmentation: Option<&Augmentation>) -> Result<Vec<Maps>> {
        let mut scores = Vec::new();
        if let Some(network) = &self.frozen.features {
            scores.extend(network.forward(&drawn.views)?);
        }
        if let Some(network) = &self.frozen.pixels {
            scores.push(network.forward(&changed(&drawn.luminance, augmentation)?)?);
        }
        Ok(scores)
    }

    /// What the generator pays for its [scores](Self::scores).
    pub(super) fn judge(&self, recipe: &Discriminators, scores: &[Tensor]) -> Result<Tensor> {
        let heads = self.frozen.features.as_ref().map_or(0, FeatureDiscriminator::heads);
        let loss = |(i, scores): (usize, &Tensor)| {
            recipe.form.generator(scores)? * if i < heads { recipe.features } else { recipe.pixels }
        };
        let losses = scores.iter().enumerate().map(loss).collect::<Result<Vec<_>>>()?;
        Tensor::stack(&losses, 0)?.sum_all()
    }
}

/// Pictures as the discriminator on pixels sees them.
fn changed(luminance: &Maps, augmentation: Option<&Augmentation>) -> Result<Maps> {
    augmentation.map_or_else(|| Ok(luminance.clone()), |augmentation| augmentation.apply(luminance))
}

impl Networks {
    fn load(recipe: &Discriminators, levels: &[Level], weights: &VarBuilder) -> Result<Self> {
        let norm = if recipe.spectral_norm { WeightNorm::Spectral } else { WeightNorm::None };
        let features = (recipe.features > 0.0)
            .then(|| FeatureDiscriminator::load(levels, norm, &weights.pp("features")))
            .transpose()?;
        let pixels = (recipe.pixels > 0.0)
            .then(|| PatchDiscriminator::load(norm, &weights.pp("pixels")))
            .transpose()?;
        Ok(Self { features, pixels })
    }
}

/// A round of it.
struct Game {
    form: Form,
    losses: Vec<Tensor>,
    accuracies: Vec<f64>,
}

impl Game {
    fn add(&mut self, weight: f64, real: &Tensor, fake: &Tensor) -> Result<()> {
        let loss = (self.form.real(real)? + self.form.fake(fake)?)?;
        self.losses.push((loss * weight)?);
        let threshold = self.form.threshold();
        let above = |scores: &Tensor| -> Result<f64> {
            let scores: Vec<f32> = scores.flatten_all()?.to_vec1()?;
            let count = scores.iter().filter(|score| f64::from(**score) > threshold).count();
            Ok(count as f64 / scores.len() as f64)
        };
        self.accuracies.push((above(real)? + 1.0 - above(fake)?) / 2.0);
        Ok(())
    }
}

/// With normally distributed noise of this deviation.
fn disturbed(place: &Place, pictures: &Maps, deviation: f64, seed: u64) -> Result<Maps> {
    let mut random = random::of_step(seed, 0);
    // A sum of twelve is near enough to normal.
    let noise = |_| (0..12).map(|_| random.random::<f32>()).sum::<f32>() - 6.0;
    let noise: Vec<f32> = (0..pictures.dims().iter().product()).map(noise).collect();
    let noise = (Tensor::from_vec(noise, pictures.dims(), &Device::Cpu)? * deviation)?;
    pictures.add(&place.bring(&noise)?)
}
