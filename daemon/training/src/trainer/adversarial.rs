//! The second stage: the generator learns to draw what can't be told from the art, and keeps what is in the photo.
//!
//! The filter's picture stays the reference of what is where (content and luminance), the art that of how it is
//! drawn (Gram matrices, discriminators) and of the palette. All but the palette look at luminance alone.
//!
//! Networks see pictures reduced, where the recipe says so. In a step the perceptual network sees the art, the filter's pictures and the drawn ones once each. First the
//! discriminators learn, then the generator, from what they know now.

use candle_core::{Device, Result, Tensor};
use rand::Rng;
use utsushi_engine::differentiable::Maps;

use super::augment::Augmentation;
use super::critic::Seen;
use super::random::{self, Purpose};
use super::statistics::Statistics;
use super::{Outcome, Trainer, deviation};
use crate::data::{EdgeSmoothing, smooth_edges};
use crate::losses::{colour, content, grey, grid, l1, luminance, style, total_variation};
use crate::recipe::Adversarial;

/// Surfaces of one colour in a step, and their sides. Borders are repeated, so that small ones are as good as large ones.
const SURFACES: usize = 16;
const SURFACE_PX: usize = 24;

impl Trainer {
    /// Measures a batch of art.
    pub(super) fn measure(&mut self, recipe: &Adversarial) -> Result<Outcome> {
        let (_, targets) = self.photos(&recipe.course)?;
        let art = self.art(recipe)?;
        let (features, levels) = self.features(&grey(&reduced(&art, recipe.reduction)?)?)?;
        let grams = self.place.take(&grams(&features, &levels)?)?;
        let style = self.style();
        self.statistics[style].add(&art, grams, &targets)?;
        let mut outcome = Outcome::default();
        outcome.vitals.variation = 1.0;
        Ok(outcome)
    }

    /// A round of the game.
    pub(super) fn play(&mut self, recipe: &Adversarial) -> Result<Outcome> {
        let Adversarial { weights, discriminators, course, .. } = recipe;
        let mut losses = Outcome::default();
        let (photos, targets) = self.photos(course)?;
        let art = self.art(recipe)?;
        let drawn = self.network.forward_on(&self.place, &photos, &self.shares()?)?;
        losses.vitals.variation = deviation(&drawn)? / deviation(&targets)?;
        let reduction = recipe.reduction;
        let small = reduced(&drawn, reduction)?;
        let (features, gram_levels) = self.features(&grey(&small)?)?;
        let style_at = self.style();
        let seed = |purpose| random::seed(self.recipe.seed, purpose, style_at);
        let tick = self.progress.tick;
        let size = small.dim(1)?;
        let augmentation = discriminators.augment.then(|| {
            Augmentation::random(&mut random::of_step(seed(Purpose::Augmentation), tick), course.batch, size)
        });
        let noise = seed(Purpose::Penalty).wrapping_add(tick);

        let plays = weights.adversarial > 0.0;
        let seen = plays
            .then(|| {
                let views = self.critics[style_at].views(&features)?;
                Ok::<_, candle_core::Error>(Seen { views, luminance: luminance(&small)? })
            })
            .transpose()?;
        if let Some(drawn) = &seen {
            let art = reduced(&art, reduction)?;
            let views = if discriminators.features > 0.0 {
                self.critics[style_at].views(&self.features(&grey(&art)?)?.0)?
            } else {
                Vec::new()
            };
            let real = Seen { views, luminance: luminance(&art)? };
            let smoothed = (discriminators.pixels * discriminators.edge_smoothed > 0.0)
                .then(|| {
                    let values: Vec<f32> = art.flatten_all()?.to_vec1()?;
                    let values = smooth_edges(&values, size, EdgeSmoothing::default());
                    luminance(&Tensor::from_vec(values, art.shape(), &Device::Cpu)?)
                })
                .transpose()?;
            let rate = self.discriminator_rate(recipe);
            self.critics[style_at].learn(
                &self.place,
                discriminators,
                (&real, &drawn.detached(), smoothed.as_ref()),
                (augmentation.as_ref(), noise),
                rate,
                &mut losses,
            )?;
        }

        // All that is made of features goes back through the perceptual network at once.
        let (mut content, mut own_grams, mut scores) = (Vec::new(), Vec::new(), Vec::new());
        if weights.content > 0.0 {
            content.push(self.content(&features, &reduced(&targets, reduction)?)?);
        }
        if weights.style > 0.0 {
            own_grams = grams(&features, &gram_levels)?;
        }
        if let Some(seen) = &seen {
            scores = self.critics[style_at].scores(&self.place, seen, augmentation.as_ref())?;
        }
        let counts = [content.len(), own_grams.len()];
        let mut taken = self.place.take(&[content, own_grams, scores].concat())?.into_iter();
        let content: Vec<_> = taken.by_ref().take(counts[0]).collect();
        let own_grams: Vec<_> = taken.by_ref().take(counts[1]).collect();
        let scores: Vec<_> = taken.collect();

        let statistics = &self.statistics[style_at];
        losses.add("l1", weights.l1, || l1(&luminance(&drawn)?, &luminance(&targets)?))?;
        losses.add("content", weights.content, || Ok(content[0].clone()))?;
        losses.add("style", weights.style, || style(&own_grams, &statistics.grams()?))?;
        losses.add("adversarial", weights.adversarial, || {
            self.critics[style_at].judge(discriminators, &scores)
        })?;
        losses.add("colour", weights.colour, || colour(&drawn, &targets, statistics.palette()))?;
        losses.add("smoothness", weights.smoothness, || total_variation(&drawn))?;
        losses.add("grid", weights.grid, || {
            let surfaces = surfaces(&photos, &mut random::of_step(seed(Purpose::Surfaces), tick))?;
            grid(&self.network.forward_on(&self.place, &surfaces, &self.shares()?)?)
        })?;
        let (gradients, norm) = self.generator.gradients(&losses.total()?.backward()?)?;
        losses.vitals.gradient = norm;
        if losses.is_finite() {
            self.move_generator(course, &gradients)?;
        }
        Ok(losses)
    }

    /// How far features are from those of targets, at the last level.
    pub(super) fn content(&self, features: &[Maps], targets: &Tensor) -> Result<Maps> {
        let (of_targets, _) = self.features(&grey(targets)?)?;
        match (features.last(), of_targets.last()) {
            (Some(features), Some(targets)) => content(features, targets),
            _ => candle_core::bail!("a perceptual network without levels"),
        }
    }

    /// The features of pictures, and the levels whose Gram matrices are looked at.
    pub(super) fn features(&self, pictures: &Tensor) -> Result<(Vec<Maps>, Vec<usize>)> {
        match &self.data.features {
            Some(network) => {
                Ok((network.see(&self.place.bring(pictures)?)?, Statistics::levels(network.levels())))
            }
            None => candle_core::bail!("there is no perceptual network"),
        }
    }
}

/// The Gram matrices of these levels of features.
fn grams(features: &[Maps], levels: &[usize]) -> Result<Vec<Maps>> {
    levels.iter().map(|level| features[*level].gram()).collect()
}

/// Surfaces of colours that photos have.
fn surfaces(photos: &Tensor, random: &mut impl Rng) -> Result<Tensor> {
    let photos: Vec<f32> = photos.flatten_all()?.to_vec1()?;
    let (colours, _) = photos.as_chunks::<3>();
    let picked = (0..SURFACES).map(|_| colours[random.random_range(0..colours.len())]);
    let values = picked.flat_map(|colour| colour.repeat(SURFACE_PX * SURFACE_PX)).collect();
    Tensor::from_vec(values, (SURFACES, SURFACE_PX, SURFACE_PX, 3), &Device::Cpu)
}

/// The means of `times` x `times` pixels each.
fn reduced(pictures: &Tensor, times: usize) -> Result<Tensor> {
    if times == 1 {
        return Ok(pictures.clone());
    }
    let (count, height, width, channels) = pictures.dims4()?;
    let rows = pictures.reshape((count * height / times, times, width * channels))?.mean(1)?;
    rows.reshape((count * height * width / (times * times), times, channels))?.mean(1)?.reshape((
        count,
        height / times,
        width / times,
        channels,
    ))
}
