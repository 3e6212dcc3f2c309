//! What is in a picture: where features are, whatever their contrast.

use candle_core::Result;
use utsushi_engine::differentiable::Maps;

/// The share of the features' mean magnitude that a channel's variance is raised by, so that one that is
/// nearly silent isn't turned up.
const FLOOR_SHARE: f32 = 1e-3;

/// The L1 distance of features F(x) and F(t) (perceptual loss; Johnson et al. 2016,
/// <https://arxiv.org/abs/1603.08155>, equation 2, there L2), each channel of each map without mean and contrast
/// (as AdaIN takes a style out; Huang and Belongie 2017, <https://arxiv.org/abs/1703.06868>, section 6):
///
/// ```text
/// mean |w(F(x)) - w(F(t))|,  w(f) = (f - mean(f)) / sqrt(variance(f) + 0.001 mean |F(t)|)
/// ```
///
/// # Errors
/// If the shapes differ.
pub fn content(features: &Maps, target: &Maps) -> Result<Maps> {
    let target = target.detach();
    let floor = contrast_floor(&target)?;
    features.instance_norm(floor)?.distance(&target.instance_norm(floor)?)
}

/// What variances of these features are raised by, so that what hardly varies isn't blown up.
pub(crate) fn contrast_floor(features: &Maps) -> Result<f32> {
    let floor = FLOOR_SHARE * features.mean_abs()?;
    // Of an all-black picture.
    Ok(floor.max(f32::MIN_POSITIVE))
}
