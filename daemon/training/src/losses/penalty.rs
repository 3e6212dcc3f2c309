//! What keeps a discriminator from being steep where the art is.
//!
//! R1 (Mescheder et al. 2018, <https://arxiv.org/abs/1801.04406>, equation 9) is half the mean of |grad d(x)|^2 over
//! real pictures: learning from it takes the gradient of a gradient, which the convolutions here don't have. Its
//! approximation by finite differences takes two passes and first-order gradients only: along a random direction
//! the squared slope is, in the mean, that of R1. Beside it, a discriminator can be kept from being steep
//! everywhere by spectral normalisation ([`crate::networks::layer`]).

use candle_core::{Result, Tensor};

/// Approximate R1 (Lin et al. 2025, <https://arxiv.org/abs/2501.08316>, there without the division): mean (d(x) - d(x + s n))^2 / s^2,
/// where n is normally distributed, of each value of x with deviation 1, and s is the noise's `deviation`.
///
/// # Errors
/// If there are not as many scores of the one as of the other.
pub fn approximate_r1(real: &Tensor, disturbed: &Tensor, deviation: f64) -> Result<Tensor> {
    (real - disturbed)?.sqr()?.mean_all()? / (deviation * deviation)
}
