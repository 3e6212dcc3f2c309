//! The second stage: the generator learns to draw what can't be told from the art, and keeps what is in the photo.
//!
//! The filter's picture stays the reference of what is where (content and luminance), the art that of how it is
//! drawn (Gram matrices, discriminators) and of the palette. All but the palette look at luminance alone.
//!
//! In a step the perceptual network sees the art, the filter's pictures and the drawn ones once each. First the
//! discriminator learns, then the generator, from what it knows now.

use std::ops::Range;

use candle_core::Result;
use utsushi_engine::differentiable::Maps;

use super::critic::Critic;
use super::statistics::Statistics;
use super::{Outcome, Trainer};
use crate::losses::{colour, colour_distances, content, grey, l1, luminance, style, with_local_colour};
use crate::recipe::Adversarial;

impl Trainer {
    /// Measures a batch of art.
    pub(super) fn measure(&mut self, recipe: &Adversarial) -> Result<Outcome> {
        let (photos, mut targets) = self.photos(&recipe.course)?;
        if recipe.own_targets {
            let redrawn = self.redraw_as_before(&self.place.bring(&photos)?)?;
            targets = self.place.take(&[redrawn])?.remove(0);
        }
        let art = self.art(recipe)?;
        let (features, levels) = self.features(&seen(&self.place.bring(&art)?, recipe.local_colour)?)?;
        let grams = self.place.take(&grams(&features, &levels)?)?;
        let style = self.style();
        self.statistics[style].add(&art, grams, &targets)?;
        let mut outcome = Outcome::default();
        outcome.vitals.variation = 1.0;
        Ok(outcome)
    }

    /// A round of the game.
    pub(super) fn play(&mut self, recipe: &Adversarial) -> Result<Outcome> {
        let &Adversarial { weights, ref course, local_colour, .. } = recipe;
        let mut losses = Outcome::default();
        let (photos, targets) = self.photos(course)?;
        let place = self.place.clone();
        let x = place.bring(&photos)?;
        let targets = if recipe.own_targets { self.redraw_as_before(&x)? } else { place.bring(&targets)? };
        let drawn = self.redraw(&x)?;
        losses.vitals.variation = drawn.deviation()? / targets.deviation()?;
        let (features, gram_levels) = self.features(&seen(&drawn, local_colour)?)?;
        let style_at = self.style();

        let mut views = Vec::new();
        if weights.adversarial > 0.0 {
            views = self.critics[style_at].views(&features)?;
            let art = place.bring(&self.art(recipe)?)?;
            let art = self.critics[style_at].views(&self.features(&seen(&art, local_colour)?)?.0)?;
            let without_gradients: Vec<_> = views.iter().map(Maps::detach).collect();
            let rate = self.discriminator_rate(recipe);
            self.critics[style_at].learn(&place, (&art, &without_gradients), rate, &mut losses)?;
        }

        // All of it goes back through the generator at once.
        let statistics = &self.statistics[style_at];
        let palette = statistics.palette(recipe.palette);
        let mut wanted = Wanted(Vec::new());
        let l1_at =
            wanted.add(weights.l1, || Ok(vec![l1(&luminance(&drawn)?, &palette.luminance(&targets)?)?]))?;
        let content_at = wanted
            .add(weights.content, || Ok(vec![self.content(&features, &seen(&targets, local_colour)?)?]))?;
        let grams_at = wanted.add(weights.style, || grams(&features, &gram_levels))?;
        let scores_at = wanted.add(weights.adversarial, || self.critics[style_at].scores(&views))?;
        let colour_at = wanted
            .add(weights.colour, || Ok(colour_distances(&drawn, &targets, &palette, local_colour)?.into()))?;
        let smoothness_at = wanted.add(weights.smoothness, || Ok(vec![drawn.total_variation()?]))?;
        let taken = place.take(&wanted.0)?;
        let of = |at: Range<usize>| &taken[at];

        losses.add("l1", weights.l1, || Ok(of(l1_at)[0].clone()))?;
        losses.add("content", weights.content, || Ok(of(content_at)[0].clone()))?;
        losses.add("style", weights.style, || style(of(grams_at), &statistics.grams()?))?;
        losses.add("adversarial", weights.adversarial, || Critic::judge(of(scores_at)))?;
        losses.add("colour", weights.colour, || {
            let distances = of(colour_at);
            colour(&distances[0], &distances[1], local_colour)
        })?;
        losses.add("smoothness", weights.smoothness, || Ok(of(smoothness_at)[0].clone()))?;
        let (gradients, norm) = self.generator.gradients(&losses.total()?.backward()?)?;
        losses.vitals.gradient = norm;
        if losses.is_finite() {
            self.move_generator(course, &gradients)?;
        }
        Ok(losses)
    }

    /// How far features are from those of targets, as networks see them, at the last level.
    pub(super) fn content(&self, features: &[Maps], targets: &Maps) -> Result<Maps> {
        let (of_targets, _) = self.features(targets)?;
        match (features.last(), of_targets.last()) {
            (Some(features), Some(targets)) => content(features, targets),
            _ => candle_core::bail!("a perceptual network without levels"),
        }
    }

    /// The features of pictures, and the levels whose Gram matrices are looked at.
    pub(super) fn features(&self, pictures: &Maps) -> Result<(Vec<Maps>, Vec<usize>)> {
        match &self.data.features {
            Some(network) => Ok((network.see(pictures)?, Statistics::levels(network.levels()))),
            None => candle_core::bail!("there is no perceptual network"),
        }
    }
}

/// Pictures as networks see them.
fn seen(pictures: &Maps, local_colour: bool) -> Result<Maps> {
    if local_colour { with_local_colour(pictures) } else { grey(pictures) }
}

/// What is to be taken from where networks are computed.
struct Wanted(Vec<Maps>);

impl Wanted {
    /// Adds what a loss is made of, and says where it will be; nothing for a loss that doesn't count.
    fn add(&mut self, weight: f64, maps: impl FnOnce() -> Result<Vec<Maps>>) -> Result<Range<usize>> {
        let first = self.0.len();
        if weight != 0.0 {
            self.0.extend(maps()?);
        }
        Ok(first..self.0.len())
    }
}

/// The Gram matrices of these levels of features.
fn grams(features: &[Maps], levels: &[usize]) -> Result<Vec<Maps>> {
    levels.iter().map(|level| features[*level].gram()).collect()
}
