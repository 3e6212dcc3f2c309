//! The first stage: the generator learns to draw what a filter makes of a photo.
//!
//! It needs no art and no discriminator, and what it teaches, flat surfaces and crisp edges, is what the second
//! stage can't teach in a short time. Losses: L1 at pixels and between neighbours, and where the recipe wants it
//! what a perceptual network sees.

use candle_core::{Device, Result, Tensor, bail};
use utsushi_engine::differentiable::Maps;

use super::{Outcome, Trainer};
use crate::abstraction::Brushwork;
use crate::losses::{gradient_l1, grey, l1};
use crate::recipe::Imitation;

impl Trainer {
    pub(super) fn imitate(&mut self, recipe: &Imitation) -> Result<Outcome> {
        let course = &recipe.course;
        let (photos, targets) = self.photos(course)?;
        let photos = self.place.bring(&photos)?;
        let targets = match &recipe.brushwork {
            Some(brushwork) => self.painted(brushwork, &photos, &targets)?,
            None => targets,
        };
        let targets = self.place.bring(&targets)?;
        let drawn = self.redraw(&photos)?;
        let mut losses = Outcome::default();
        losses.vitals.variation = drawn.deviation()? / targets.deviation()?;
        let mut wanted = vec![l1(&drawn, &targets)?, gradient_l1(&drawn, &targets)?];
        if recipe.content > 0.0 {
            wanted.push(self.content(&self.features(&grey(&drawn)?)?.0, &grey(&targets)?)?);
        }
        let taken = self.place.take(&wanted)?;
        let weights = [("l1", recipe.l1), ("gradient", recipe.gradient), ("content", recipe.content)];
        for ((name, weight), loss) in weights.into_iter().zip(&taken) {
            losses.add(name, weight, || Ok(loss.clone()))?;
        }
        let store = losses.total()?.backward()?;
        let (gradients, norm) = self.generator.gradients(&store)?;
        losses.vitals.gradient = norm;
        if losses.is_finite() {
            self.move_generator(course, &gradients)?;
        }
        Ok(losses)
    }

    /// Targets as brushes paint them where the noise of the photos says.
    fn painted(&self, brushwork: &Brushwork, photos: &Maps, targets: &Tensor) -> Result<Tensor> {
        let (count, height, width, _) = targets.dims4()?;
        let Some(sizes) = self.recipe.generator.brush() else { bail!("brushwork is for styles") };
        let layers = Brushwork::layers(&sizes);
        let strokes = self.network.strokes(photos, &self.grains(count), &layers)?;
        let maps = strokes.iter().map(|map| map.flatten_all()?.to_vec1()).collect::<Result<Vec<_>>>()?;
        let pictures: Vec<f32> = targets.flatten_all()?.to_vec1()?;
        Tensor::from_vec(brushwork.paint(&pictures, (width, height), &maps), targets.dims(), &Device::Cpu)
    }
}
