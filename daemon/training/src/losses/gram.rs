//! Textures: which features go together.

use candle_core::{Result, Tensor};
use utsushi_engine::differentiable;

/// The Gram matrix of maps (Gatys et al. 2015, <https://arxiv.org/abs/1505.07376>, equation 1), centred, as a mean
/// over pixels and maps: G = mean (f - mean(f)) (f - mean(f))^T, `[channels, channels]`. Centred it doesn't see how
/// bright a picture is.
///
/// # Errors
/// If these are no maps.
pub fn gram_matrix(features: &Tensor) -> Result<Tensor> {
    differentiable::gram(features)
}

/// The relative L1 distance of Gram matrices from those of the art, summed over the levels:
/// sum mean |G(f) - T| / mean |T|.
///
/// # Errors
/// If there are not as many targets as levels, or of other sizes.
pub fn style(features: &[&Tensor], targets: &[Tensor]) -> Result<Tensor> {
    let distance = |(features, target): (&&Tensor, &Tensor)| -> Result<Tensor> {
        let size = target.abs()?.mean_all()?.to_scalar::<f32>()?.max(f32::MIN_POSITIVE);
        (gram_matrix(features)? - target)?.abs()?.mean_all()? / f64::from(size)
    };
    if features.is_empty() || features.len() != targets.len() {
        candle_core::bail!("{} levels, and targets for {}", features.len(), targets.len());
    }
    let distances = features.iter().zip(targets).map(distance).collect::<Result<Vec<_>>>()?;
    Tensor::stack(&distances, 0)?.sum_all()
}
