//! Textures: which features go together.

use candle_core::{Result, Tensor};

/// The relative L1 distance of maps' [Gram matrices](utsushi_engine::differentiable::gram) (Gatys et al. 2015,
/// <https://arxiv.org/abs/1505.07376>, equation 1), centred so that they don't see how bright a picture is, from those of
/// the art, summed over the levels: sum mean |G - T| / mean |T|.
///
/// # Errors
/// If there are not as many targets as levels, or of other sizes.
pub fn style(grams: &[Tensor], targets: &[Tensor]) -> Result<Tensor> {
    let distance = |(gram, target): (&Tensor, &Tensor)| -> Result<Tensor> {
        let size = target.abs()?.mean_all()?.to_scalar::<f32>()?.max(f32::MIN_POSITIVE);
        (gram - target)?.abs()?.mean_all()? / f64::from(size)
    };
    if grams.is_empty() || grams.len() != targets.len() {
        candle_core::bail!("{} levels, and targets for {}", grams.len(), targets.len());
    }
    let distances = grams.iter().zip(targets).map(distance).collect::<Result<Vec<_>>>()?;
    Tensor::stack(&distances, 0)?.sum_all()
}
