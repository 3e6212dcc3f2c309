//! What may become of a picture: damage, and cheap imitations of styles.
//!
//! A network that only saw photos would not know how to judge what a generator makes of them.

use rand::Rng;

use crate::pictures::{Crop, luminance};

/// A way to alter a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Variant {
    Blurred,
    Noisy,
    /// Squares of one colour over it, as a decoder leaves them that was not trained for long.
    Gridded,
    Recoloured,
    /// Few values a channel.
    Posterised,
    /// Kuwahara's filter: flat patches with sharp borders, a little like oil.
    Painted,
    /// Dark lines along edges.
    Lined,
    Shifted,
    /// Reduced, and enlarged again without smoothing.
    Pixelated,
}

impl Variant {
    pub(crate) const ALL: [Self; 9] = [
        Self::Blurred,
        Self::Noisy,
        Self::Gridded,
        Self::Recoloured,
        Self::Posterised,
        Self::Painted,
        Self::Lined,
        Self::Shifted,
        Self::Pixelated,
    ];

    /// Alters a copy, as strongly as chance has it.
    pub(crate) fn of(self, crop: &Crop, random: &mut impl Rng) -> Crop {
        let mut altered = match self {
            Self::Blurred => blurred(crop, random.random_range(0.5..3.0)),
            Self::Noisy => gridded(crop, 1, random),
            Self::Gridded => {
                let side = random.random_range(2..9);
                gridded(crop, side, random)
            }
            Self::Recoloured => recoloured(crop, random),
            Self::Posterised => {
                let steps = random.random_range(2..8) as f32;
                let value = |v: &f32| ((v + 1.0) / 2.0 * steps).round() / steps * 2.0 - 1.0;
                with(crop, crop.rgb.iter().map(value).collect())
            }
            Self::Painted => painted(crop, random.random_range(1..5i32) as isize),
            Self::Lined => lined(crop, random.random_range(0.5..1.5), random.random_range(3.0..12.0)),
            Self::Shifted => {
                let by = |random: &mut _| Rng::random_range(random, -6..7i32) as isize;
                let (down, right) = (by(random), by(random));
                moved(crop, |y, x| (y + down, x + right))
            }
            Self::Pixelated => {
                let side = random.random_range(2..6i32) as isize;
                moved(crop, |y, x| (y / side * side + side / 2, x / side * side + side / 2))
            }
        };
        altered.rgb.iter_mut().for_each(|v| *v = v.clamp(-1.0, 1.0));
        altered
    }
}

fn with(crop: &Crop, rgb: Vec<f32>) -> Crop {
    Crop { size: crop.size, rgb }
}

/// Each pixel is that of another place; beyond the borders is the nearest.
fn moved(crop: &Crop, from: impl Fn(isize, isize) -> (isize, isize)) -> Crop {
    let last = crop.size as isize - 1;
    let mut rgb = Vec::with_capacity(crop.rgb.len());
    for y in 0..=last {
        for x in 0..=last {
            let (y, x) = from(y, x);
            let at = (y.clamp(0, last) * (last + 1) + x.clamp(0, last)) as usize * 3;
            rgb.extend_from_slice(&crop.rgb[at..at + 3]);
        }
    }
    with(crop, rgb)
}

fn blurred(crop: &Crop, sigma: f32) -> Crop {
    let reach = (3.0 * sigma).ceil() as isize;
    let weights: Vec<f32> = (-reach..=reach).map(|d| (-0.5 * (d as f32 / sigma).powi(2)).exp()).collect();
    let sum: f32 = weights.iter().sum();
    let along = |crop: &Crop, step: (isize, isize)| {
        let mut rgb = vec![0.0; crop.rgb.len()];
        for (weight, d) in weights.iter().zip(-reach..=reach) {
            let other = moved(crop, |y, x| (y + d * step.0, x + d * step.1));
            rgb.iter_mut().zip(&other.rgb).for_each(|(to, v)| *to += weight / sum * v);
        }
        with(crop, rgb)
    };
    along(&along(crop, (0, 1)), (1, 0))
}

fn gridded(crop: &Crop, side: usize, random: &mut impl Rng) -> Crop {
    let strength = random.random_range(0.05..0.4);
    let squares = crop.size.div_ceil(side);
    let is_grey = random.random();
    let noise: Vec<f32> =
        (0..squares * squares * 3).map(|_| random.random_range(-strength..strength)).collect();
    let value = |(i, v): (usize, &f32)| {
        let (pixel, channel) = (i / 3, if is_grey { 0 } else { i % 3 });
        let square = pixel / crop.size / side * squares + pixel % crop.size / side;
        v + noise[square * 3 + channel]
    };
    with(crop, crop.rgb.iter().enumerate().map(value).collect())
}

fn recoloured(crop: &Crop, random: &mut impl Rng) -> Crop {
    let saturation = random.random_range(0.0..2.0);
    let gains: [f32; 3] = std::array::from_fn(|_| random.random_range(0.6..1.4));
    let shifts: [f32; 3] = std::array::from_fn(|_| random.random_range(-0.3..0.3));
    let turn = random.random_range(0..3);
    let pixel = |pixel: &[f32]| {
        let grey = luminance(pixel);
        std::array::from_fn::<f32, 3, _>(|i| {
            (grey + saturation * (pixel[(i + turn) % 3] - grey)) * gains[i] + shifts[i]
        })
    };
    with(crop, crop.rgb.chunks_exact(3).flat_map(pixel).collect())
}

/// Each pixel is the mean of the quarter around it that varies least (Kuwahara et al. 1976).
fn painted(crop: &Crop, reach: isize) -> Crop {
    let last = crop.size as isize - 1;
    let mut rgb = Vec::with_capacity(crop.rgb.len());
    for y in 0..=last {
        for x in 0..=last {
            let quarters = [(-reach, -reach), (-reach, 0), (0, -reach), (0, 0)].map(|(dy, dx)| {
                let (mut sums, mut squares) = ([0.0; 3], 0.0);
                for y in y + dy..=y + dy + reach {
                    for x in x + dx..=x + dx + reach {
                        let at = (y.clamp(0, last) * (last + 1) + x.clamp(0, last)) as usize * 3;
                        let pixel = &crop.rgb[at..at + 3];
                        sums.iter_mut().zip(pixel).for_each(|(sum, v)| *sum += v);
                        squares += pixel.iter().map(|v| v * v).sum::<f32>();
                    }
                }
                let count = (reach + 1).pow(2) as f32;
                let mean = sums.map(|sum| sum / count);
                (squares / count - mean.iter().map(|m| m * m).sum::<f32>(), mean)
            });
            let (_, mean) = quarters.into_iter().min_by(|a, b| a.0.total_cmp(&b.0)).expect("four quarters");
            rgb.extend(mean);
        }
    }
    with(crop, rgb)
}

/// Darkened where the luminance lies below its surroundings (difference of Gaussians).
fn lined(crop: &Crop, sigma: f32, strength: f32) -> Crop {
    let (near, far) = (blurred(crop, sigma), blurred(crop, 2.2 * sigma));
    let pixels = crop.rgb.chunks_exact(3).zip(near.rgb.chunks_exact(3).zip(far.rgb.chunks_exact(3)));
    let pixel = |(pixel, (near, far)): (&[f32], (&[f32], &[f32]))| {
        let line = ((luminance(far) - luminance(near) - 0.02) * strength).clamp(0.0, 1.0);
        [pixel[0], pixel[1], pixel[2]].map(|v| (v + 1.0) * (1.0 - 0.8 * line) - 1.0)
    };
    with(crop, pixels.flat_map(pixel).collect())
}
