//! The first stage: the generator learns to draw what a filter makes of a photo.
//!
//! It needs no art and no discriminator, and what it teaches, flat surfaces and crisp edges, is what the second
//! stage can't teach in a short time. Losses: L1 at pixels and between neighbours, and where the recipe wants it
//! what a perceptual network sees.

use candle_core::Result;

use super::{Outcome, Trainer, deviation};
use crate::losses::{gradient_l1, grey, l1};
use crate::recipe::Imitation;

impl Trainer {
    pub(super) fn imitate(&mut self, recipe: &Imitation) -> Result<Outcome> {
        let course = &recipe.course;
        let (photos, targets) = self.photos(course)?;
        let drawn = self.network.forward_on(&self.place, &photos, &self.shares()?)?;
        let mut losses = Outcome::default();
        losses.add("l1", recipe.l1, || l1(&drawn, &targets))?;
        losses.add("gradient", recipe.gradient, || gradient_l1(&drawn, &targets))?;
        losses.add("content", recipe.content, || {
            let distance = self.content(&self.features(&grey(&drawn)?)?.0, &targets)?;
            Ok(self.place.take(&[distance])?.remove(0))
        })?;
        let variation = deviation(&drawn)? / deviation(&targets)?;
        let store = losses.total()?.backward()?;
        let (gradients, norm) = self.generator.gradients(&store)?;
        losses.vitals.gradient = norm;
        losses.vitals.variation = variation;
        if losses.is_finite() {
            self.move_generator(course, &gradients)?;
        }
        Ok(losses)
    }
}
