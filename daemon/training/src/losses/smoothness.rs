//! Differences at a pixel, and between neighbours.

use candle_core::Result;
use utsushi_engine::differentiable::Maps;

/// mean |x - t|.
///
/// # Errors
/// If the shapes differ.
pub fn l1(x: &Maps, target: &Maps) -> Result<Maps> {
    x.distance(target)
}

/// The L1 distance of the gradients (Mathieu et al. 2016, <https://arxiv.org/abs/1511.05440>, equation 6, with
/// signs and exponent 1): the [total variation](Maps::total_variation) of x - t.
///
/// # Errors
/// If the shapes differ.
pub fn gradient_l1(x: &Maps, target: &Maps) -> Result<Maps> {
    x.sub(target)?.total_variation()
}
