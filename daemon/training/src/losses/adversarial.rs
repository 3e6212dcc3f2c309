//! The game that generator and discriminator play.

use candle_core::{Result, Tensor};

/// The score above which a picture counts as real.
pub const THRESHOLD: f32 = 0.0;

/// What the discriminator minimises, over its scores d of what is real and of what the generator made (geometric GAN;
/// Lim and Ye 2017, <https://arxiv.org/abs/1705.02894>, section 3): mean max(0, 1 - d(real)) + mean max(0, 1 + d(fake)).
///
/// # Errors
/// If memory can't be had.
pub fn hinge(real: &Tensor, fake: &Tensor) -> Result<Tensor> {
    (1.0 - real)?.relu()?.mean_all()? + (1.0 + fake)?.relu()?.mean_all()?
}

/// What the generator minimises: -mean d(fake).
///
/// # Errors
/// If memory can't be had.
pub fn generator(fake: &Tensor) -> Result<Tensor> {
    fake.mean_all()?.neg()
}
