//! Differences at a pixel, and between neighbours.

use candle_core::{Result, Tensor};

/// mean |x - t|.
///
/// # Errors
/// If the shapes differ.
pub fn l1(x: &Tensor, target: &Tensor) -> Result<Tensor> {
    (x - target)?.abs()?.mean_all()
}

/// Anisotropic total variation (Rudin, Osher and Fatemi 1992, <https://doi.org/10.1016/0167-2789(92)90242-F>):
/// mean |x(i, j+1) - x(i, j)| + mean |x(i+1, j) - x(i, j)|.
///
/// # Errors
/// If these are no maps of 2 x 2 pixels or more.
pub fn total_variation(x: &Tensor) -> Result<Tensor> {
    slope(x, 2)?.abs()?.mean_all()? + slope(x, 1)?.abs()?.mean_all()?
}

/// The L1 distance of the gradients (Mathieu et al. 2016, <https://arxiv.org/abs/1511.05440>, equation 6, with
/// signs and exponent 1): the total variation of x - t.
///
/// # Errors
/// If the shapes differ.
pub fn gradient_l1(x: &Tensor, target: &Tensor) -> Result<Tensor> {
    total_variation(&(x - target)?)
}

fn slope(x: &Tensor, dim: usize) -> Result<Tensor> {
    let len = x.dim(dim)?.saturating_sub(1);
    x.narrow(dim, 1, len)? - x.narrow(dim, 0, len)?
}
