//! How good is a style? By numbers that can be compared, taken from held-out pictures.
//!
//! ```text
//! distance   are results painted like the art? 0: they can't be told apart
//! content    do results show what the photos show? 0: exactly that
//! diversity  are results unlike each other? 0: all are the same
//! ```
//!
//! All are taken from what a perceptual network sees ([`Features`]), so that numbers of different networks can't be
//! compared. They depend on the scale of the pictures too: the same crops have to be judged from checkpoint to
//! checkpoint.

mod energy;
mod pooled;
mod scores;
mod stack;

use candle_core::{Device, Result, Tensor};
use utsushi_engine::arch::{Generator, Grain, Region};
use utsushi_engine::differentiable::instance_norm;

use crate::losses::{contrast_floor, grey};
use crate::networks::perceptual::Features;

pub use energy::{Energy, LEAST_PICTURES, energy};
pub use pooled::{Pooled, pooled};
pub use scores::{Bounds, Scores, best};
pub use stack::{common_side, stacked};

/// What the judge saw before: art, and photos.
pub struct Judge {
    art: Pooled,
    /// Pictures of one size, `[pictures, height, width, 3]`.
    photos: Tensor,
    photo_diversity: f64,
}

impl Judge {
    /// Judges by this art and these photos, each `[pictures, height, width, 3]` in -1..1, at least
    /// [`LEAST_PICTURES`] of each.
    ///
    /// # Errors
    /// If there are fewer, or the network fails.
    pub fn new(features: &dyn Features, art: &Tensor, photos: &Tensor) -> Result<Self> {
        for pictures in [art, photos] {
            if pictures.dim(0)? < LEAST_PICTURES {
                candle_core::bail!("{} pictures are too few to judge by", pictures.dim(0)?);
            }
        }
        let art = pooled(features, art)?;
        let photo_diversity = pooled(features, photos)?.scaled_as(&art).diversity();
        Ok(Self { art: art.scaled_as(&art), photos: photos.clone(), photo_diversity })
    }

    /// The photos that results are drawn from, in their order.
    pub fn photos(&self) -> &Tensor {
        &self.photos
    }

    /// Judges what a generator makes of the photos.
    ///
    /// # Errors
    /// If a network fails.
    pub fn hear(&self, features: &dyn Features, generator: &dyn Generator) -> Result<Scores> {
        let (count, height, width, _) = self.photos.dims4()?;
        let mut results = Vec::with_capacity(self.photos.elem_count());
        for photo in 0..count {
            let photo: Vec<f32> = self.photos.get(photo)?.flatten_all()?.to_vec1()?;
            generator.stream(Region::whole(height, width), Grain::default()).push(&photo, &mut results)?;
        }
        self.judge(features, &Tensor::from_vec(results, self.photos.shape(), &Device::Cpu)?)
    }

    /// Judges the results, one a photo and of its size. What only the trainer knows is not filled in.
    ///
    /// # Errors
    /// If they have other sizes, or the network fails.
    pub fn judge(&self, features: &dyn Features, results: &Tensor) -> Result<Scores> {
        let pooled = pooled(features, results)?.scaled_as(&self.art);
        let Energy { value, standard_error } = energy(&pooled, &self.art);
        Ok(Scores {
            distance: value,
            distance_error: standard_error,
            content: content_distance(features, results, &self.photos)?,
            diversity: pooled.diversity() / self.photo_diversity.max(f64::MIN_POSITIVE),
            art_accuracy: None,
            result_accuracy: None,
            seconds_per_megapixel: None,
        })
    }
}

/// How far the content of pictures is from that of others, pair by pair: the mean absolute difference of the
/// coarsest features of their luminance, each channel of a picture brought to mean 0 and variance 1. So neither
/// colours nor contrast count. 0 for equal pictures. In VGG19's features a photo is 0.35 from its L0 smoothing, 0.46
/// from a blurred copy, and 0.83 from another photo.
///
/// # Errors
/// If sizes differ, or the network fails.
pub fn content_distance(features: &dyn Features, a: &Tensor, b: &Tensor) -> Result<f64> {
    let (count, ..) = a.dims4()?;
    if a.dims() != b.dims() {
        candle_core::bail!("pictures of {:?} and {:?} can't be compared one by one", a.dims(), b.dims());
    }
    let mut sum = 0.0;
    for i in 0..count {
        let whitened = |pictures: &Tensor| whitened(features, &pictures.narrow(0, i, 1)?);
        sum += (whitened(a)? - whitened(b)?)?.abs()?.mean_all()?.to_scalar::<f32>()? as f64;
    }
    Ok(sum / count as f64)
}

/// The coarsest features of one picture's luminance, each channel at mean 0 and variance 1.
fn whitened(features: &dyn Features, picture: &Tensor) -> Result<Tensor> {
    let maps = features.forward(grey(&picture.clone().into())?.here()?)?;
    let Some(map) = maps.last() else { candle_core::bail!("a perceptual network without levels") };
    instance_norm(map, contrast_floor(&map.clone().into())?)
}

#[cfg(test)]
mod tests;
