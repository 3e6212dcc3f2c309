//! The norm over the channels at a pixel: n = (x - mean) / sqrt(variance + 1e-5), then scale * n + shift.

use rayon::prelude::*;

use super::window::add;
use super::{STRIP_PX, count, pieces, sum_in_order};
use crate::Shape;
use crate::cpu::{Cpu, Kernel, Lanes};
use crate::patch::normalise;

/// Normalises each of the pixels of `x`, which have as many channels as `scale` and `shift`.
///
/// # Panics
/// If the lengths don't fit together.
pub fn norm_forward(cpu: Cpu, scale: &[f32], shift: &[f32], x: &[f32]) -> Vec<f32> {
    let channels = scale.len();
    count(x, Shape::new(1, 1, channels));
    let mut out = vec![0.0; x.len()];
    let parts = out.par_chunks_mut(STRIP_PX * channels).zip(x.par_chunks(STRIP_PX * channels));
    parts.for_each(|(out, x)| cpu.run(Forward { scale, shift, x, out }));
    out
}

struct Forward<'a> {
    scale: &'a [f32],
    shift: &'a [f32],
    x: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let channels = self.scale.len();
        let mut pixel = vec![0.0; channels.next_multiple_of(L::COUNT)];
        for (x, out) in self.x.chunks_exact(channels).zip(self.out.chunks_exact_mut(channels)) {
            pixel[..channels].copy_from_slice(x);
            normalise(lanes, &mut pixel, channels);
            for (((out, n), scale), shift) in out.iter_mut().zip(&pixel).zip(self.scale).zip(self.shift) {
                *out = n * scale + shift;
            }
        }
    }
}

/// What [`norm_gradients`] gives.
#[derive(Debug)]
pub struct NormGradients {
    /// Of the pixels.
    pub x: Vec<f32>,
    /// Of the scale.
    pub scale: Vec<f32>,
    /// Of the shift.
    pub shift: Vec<f32>,
}

/// The gradients of a norm, from its input and its result's gradient.
///
/// # Panics
/// If the lengths don't fit together.
pub fn norm_gradients(cpu: Cpu, scale: &[f32], x: &[f32], gradient: &[f32]) -> NormGradients {
    let channels = scale.len();
    let pixels = count(x, Shape::new(1, 1, channels));
    assert_eq!(gradient.len(), x.len());
    let mut x_gradient = vec![0.0; x.len()];
    let parts = x_gradient.par_chunks_mut(STRIP_PX * channels).zip(x.par_chunks(STRIP_PX * channels));
    let parts = parts.zip(gradient.par_chunks(STRIP_PX * channels));
    parts.for_each(|((x_gradient, x), gradient)| {
        cpu.run(Backward { scale, x, gradient, x_gradient });
    });
    let sums = sum_in_order(
        pieces(1, pixels),
        || (),
        |(), piece| {
            let values = piece.rows.start * channels..piece.rows.end * channels;
            cpu.run(Sums { channels, x: &x[values.clone()], gradient: &gradient[values] })
        },
    );
    NormGradients { x: x_gradient, scale: sums[..channels].to_vec(), shift: sums[channels..].to_vec() }
}

struct Backward<'a> {
    scale: &'a [f32],
    x: &'a [f32],
    gradient: &'a [f32],
    x_gradient: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let channels = self.scale.len();
        let padded = channels.next_multiple_of(L::COUNT);
        let (mut n, mut dn) = (vec![0.0; padded], vec![0.0; padded]);
        let pixels = self.x.chunks_exact(channels).zip(self.gradient.chunks_exact(channels));
        for ((x, gradient), out) in pixels.zip(self.x_gradient.chunks_exact_mut(channels)) {
            n[..channels].copy_from_slice(x);
            let factor = normalise(lanes, &mut n, channels);
            for ((dn, gradient), scale) in dn.iter_mut().zip(gradient).zip(self.scale) {
                *dn = gradient * scale;
            }
            through_norm(lanes, &n, factor, channels, &mut dn);
            out.copy_from_slice(&dn[..channels]);
            dn[channels..].fill(0.0);
        }
    }
}

/// What some pixels add to the gradients of scale and shift.
struct Sums<'a> {
    channels: usize,
    x: &'a [f32],
    gradient: &'a [f32],
}

impl Kernel for Sums<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> Vec<f32> {
        let channels = self.channels;
        let mut sums = vec![0.0; 2 * channels];
        let (scale, shift) = sums.split_at_mut(channels);
        let mut n = vec![0.0; channels.next_multiple_of(L::COUNT)];
        for (x, gradient) in self.x.chunks_exact(channels).zip(self.gradient.chunks_exact(channels)) {
            n[..channels].copy_from_slice(x);
            normalise(lanes, &mut n, channels);
            scale.iter_mut().zip(&n).zip(gradient).for_each(|((scale, n), gradient)| *scale += n * gradient);
            add(shift, gradient);
        }
        sums
    }
}

/// Makes the gradient of a normalised pixel `n` that of the pixel: with r the factor of its deviation,
/// r (dn - mean(dn) - n mean(dn n)). Both are padded to whole vectors, `dn` with zeros; what it holds there
/// then is of no use.
#[inline(always)]
pub(super) fn through_norm<L: Lanes>(lanes: L, n: &[f32], factor: f32, channels: usize, dn: &mut [f32]) {
    let (mut sum, mut product) = (lanes.splat(0.0), lanes.splat(0.0));
    for (n, dn) in L::vectors(n).iter().zip(L::vectors(dn)) {
        sum = lanes.add(sum, *dn);
        product = lanes.mul_add(*n, *dn, product);
    }
    let scale = factor / channels as f32;
    let (mean, slope) = (lanes.splat(lanes.sum(sum) * scale), lanes.splat(lanes.sum(product) * scale));
    for (n, dn) in L::vectors(n).iter().zip(dn.chunks_exact_mut(L::COUNT)) {
        let linear = lanes.mul_add(*n, slope, mean);
        let scaled = lanes.mul(lanes.load(dn), lanes.splat(factor));
        lanes.store(dn, lanes.sub(scaled, linear));
    }
}
