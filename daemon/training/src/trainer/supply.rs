//! What a training learns from, and a step's share of it.

use std::sync::Arc;

use candle_core::{Device, Result, Tensor};

use super::random::{self, Purpose};
use super::{TrainError, Trainer};
use crate::data::Crops;
use crate::networks::perceptual::Features;
use crate::recipe::{Adversarial, Course, Recipe};

/// Where batches come from.
pub trait Batches: Send + Sync {
    /// The batch of a step: for each version of the pictures `count` crops of `size` x `size` pixels, NHWC,
    /// values in -1..1. The first version is smaller where the generator enlarges. The same arguments give the same batch, whatever was asked for before.
    fn batch(&self, seed: u64, step: u64, count: usize, size: usize) -> Vec<Vec<f32>>;
}

impl Batches for Crops {
    fn batch(&self, seed: u64, step: u64, count: usize, size: usize) -> Vec<Vec<f32>> {
        self.batch(seed, step, count, size)
    }
}

/// What is learned from.
#[derive(Clone)]
pub struct TrainingData {
    /// Photos, and as the second version what a filter makes of them.
    pub photos: Arc<dyn Batches>,
    /// The art of each style; none where there is no adversarial stage.
    pub art: Vec<Arc<dyn Batches>>,
    /// The perceptual network, where a loss looks at features.
    pub features: Option<Arc<dyn Features + Send + Sync>>,
}

impl Trainer {
    /// The step's photos and targets.
    pub(super) fn photos(&self, course: &Course) -> Result<(Tensor, Tensor)> {
        let (count, size) = (course.batch, self.crop_px(course));
        let seed = random::seed(self.recipe.seed, Purpose::Photos, 0);
        let mut versions = self.data.photos.batch(seed, self.progress.tick, count, size).into_iter();
        let mut next = |size| {
            let tensor = |values| Tensor::from_vec(values, (count, size, size, 3), &Device::Cpu);
            versions.next().map(tensor).transpose()
        };
        match (next(size / self.recipe.generator.factor())?, next(size)?) {
            (Some(photos), Some(targets)) => Ok((photos, targets)),
            (Some(photos), None) if !self.recipe.has_targets() => Ok((photos.clone(), photos)),
            _ => candle_core::bail!("photos come without targets"),
        }
    }

    /// A batch of the style's art.
    pub(super) fn art(&self, recipe: &Adversarial) -> Result<Tensor> {
        let (course, style) = (&recipe.course, self.style());
        let (count, size) = (course.batch, self.crop_px(course));
        let seed = random::seed(self.recipe.seed, Purpose::Art, style);
        match self.data.art[style].batch(seed, self.progress.tick, count, size).into_iter().next() {
            Some(values) => Tensor::from_vec(values, (count, size, size, 3), &Device::Cpu),
            None => candle_core::bail!("there is no art"),
        }
    }
}

/// Is there all that the recipe asks for?
pub(super) fn check_data(recipe: &Recipe, data: &TrainingData) -> std::result::Result<(), TrainError> {
    let unfit = |why: String| Err(TrainError::Unfit(why));
    let looks = recipe.adversarial.is_some() || recipe.imitation.as_ref().is_some_and(|i| i.content > 0.0);
    if looks && data.features.is_none() {
        return unfit("the recipe's losses look at features, and there is no perceptual network".into());
    }
    if recipe.adversarial.is_some() && data.art.len() != recipe.styles {
        return unfit(format!(
            "the recipe has {} styles, and there is art for {}",
            recipe.styles,
            data.art.len()
        ));
    }
    Ok(())
}
