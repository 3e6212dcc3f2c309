//! Pictures as age and careless saving leave them: what a style learns to undo.
//!
//! In the order in which it happens to pictures: out of focus, made smaller, noisy, saved as JPEG; enlarged again to
//! be looked at, unless they are left smaller for a network that enlarges them. How much of each is drawn anew for each picture (as in Real-ESRGAN, Wang et al. 2021,
//! <https://arxiv.org/abs/2107.10833>, section 3, there twice over).

use image::imageops::{self, FilterType};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;

use super::Picture;
use super::resample::{Area, resample};

/// How much of each there may be, the least and the most.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Damage {
    /// Standard deviation of the blur, in pixels.
    pub blur_px: [f32; 2],
    /// How many times smaller the sides become.
    pub reduction: [f32; 2],
    /// Standard deviation of the noise, where white is 1.
    pub noise: [f32; 2],
    /// The JPEG's quality, 1 to 100.
    pub jpeg_quality: [u8; 2],
    /// The share of pictures, 0 to 1, that are spared each of these.
    pub spared: f32,
    /// How many times smaller than it was a picture is left, behind the blur, by one of several filters: 1, or what a
    /// network is to enlarge it by.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub scale: usize,
}

fn one() -> usize {
    1
}

fn is_one(scale: &usize) -> bool {
    *scale == 1
}

/// What programs reduce pictures with; `None` is the mean of the area.
const FILTERS: [Option<FilterType>; 3] = [None, Some(FilterType::CatmullRom), Some(FilterType::Lanczos3)];

/// A range that can't be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} has to be {1}")]
pub struct ImpossibleDamage(&'static str, &'static str);

impl Damage {
    /// Can it be done?
    ///
    /// # Errors
    /// The first that can't.
    pub fn check(&self) -> Result<(), ImpossibleDamage> {
        let is_range =
            |[least, most]: [f32; 2], from: f32, to: f32| from <= least && least <= most && most <= to;
        let [worst, best] = self.jpeg_quality;
        let checks = [
            (is_range(self.blur_px, 0.0, 20.0), "blur_px", "a range within 0 and 20"),
            (is_range(self.reduction, 1.0, 8.0), "reduction", "a range within 1 and 8"),
            (is_range(self.noise, 0.0, 1.0), "noise", "a range within 0 and 1"),
            (1 <= worst && worst <= best && best <= 100, "jpeg_quality", "a range within 1 and 100"),
            ((0.0..=1.0).contains(&self.spared), "spared", "within 0 and 1"),
            ([1, 2].contains(&self.scale), "scale", "1 or 2"),
        ];
        match checks.into_iter().find(|(is_good, ..)| !is_good) {
            Some((_, what, must)) => Err(ImpossibleDamage(what, must)),
            None => Ok(()),
        }
    }

    /// A picture after it, smaller by the scale.
    pub fn done_to(&self, picture: &Picture, random: &mut ChaCha8Rng) -> Picture {
        let mut some = |[least, most]: [f32; 2], none: f32| {
            let (spared, amount) = (random.random::<f32>() < self.spared, random.random_range(least..=most));
            if spared { none } else { amount }
        };
        let (blur, reduction, noise) =
            (some(self.blur_px, 0.0), some(self.reduction, 1.0), some(self.noise, 0.0));
        let [worst, best] = self.jpeg_quality.map(f32::from);
        let quality = some([worst, best], 100.0);
        let full = (picture.width as usize, picture.height as usize);
        let mut values = picture.rgb.iter().map(|byte| f32::from(*byte)).collect::<Vec<_>>();
        if blur > 0.0 {
            values = blurred(&values, full, blur);
        }
        let (mut picture, mut full, mut sampling) =
            (Picture::of_bytes(full, &values), full, SamplingFactor::F_2_2);
        if self.scale > 1 {
            picture = reduced(&picture, self.scale, FILTERS[random.random_range(0..FILTERS.len())]);
            full = (picture.width as usize, picture.height as usize);
            if random.random() {
                sampling = SamplingFactor::F_1_1;
            }
        }
        let side = |side: usize| ((side as f32 / reduction).round() as usize).max(1);
        let low = (side(full.0), side(full.1));
        let mut small = Picture::of_bytes(low, &resample(&picture, all(full), low));
        if noise > 0.0 {
            small.rgb.iter_mut().for_each(|byte| {
                // A sum of twelve is near enough to normal.
                let normal = (0..12).map(|_| random.random::<f32>()).sum::<f32>() - 6.0;
                *byte = (f32::from(*byte) + normal * noise * 255.0).round() as u8;
            });
        }
        if quality < 100.0 {
            small = saved(&small, quality as u8, sampling);
        }
        Picture::of_bytes(full, &resample(&small, all(low), full))
    }
}

fn all((width, height): (usize, usize)) -> Area {
    Area { left: 0, top: 0, width, height }
}

impl Picture {
    /// Of interleaved values in 0..255.
    fn of_bytes((width, height): (usize, usize), values: &[f32]) -> Self {
        // `as` saturates.
        let rgb = values.iter().map(|value| (value + 0.5) as u8).collect();
        Self { width: width as u32, height: height as u32, rgb }
    }
}

/// A picture so many times smaller; what is left over of its sides is cut off.
fn reduced(picture: &Picture, scale: usize, filter: Option<FilterType>) -> Picture {
    let side = |side: u32| (side as usize / scale).max(1);
    let low = (side(picture.width), side(picture.height));
    let whole = |low: usize, side: u32| (low * scale).min(side as usize);
    let (width, height) = (whole(low.0, picture.width), whole(low.1, picture.height));
    let Some(filter) = filter else {
        let area = Area { left: 0, top: 0, width, height };
        return Picture::of_bytes(low, &resample(picture, area, low));
    };
    let image =
        image::RgbImage::from_raw(picture.width, picture.height, picture.rgb.clone()).expect("a picture");
    let view = imageops::crop_imm(&image, 0, 0, width as u32, height as u32);
    let (width, height) = (low.0 as u32, low.1 as u32);
    Picture { width, height, rgb: imageops::resize(&*view, width, height, filter).into_raw() }
}

/// A Gaussian; the border goes on as it is.
fn blurred(values: &[f32], (width, height): (usize, usize), sigma: f32) -> Vec<f32> {
    let reach = (3.0 * sigma).ceil() as isize;
    let weights: Vec<f32> = (-reach..=reach).map(|d| (-0.5 * (d as f32 / sigma).powi(2)).exp()).collect();
    let sum: f32 = weights.iter().sum();
    let along = |values: &[f32], length: usize, stride: usize| -> Vec<f32> {
        let value = |at: usize| {
            let place = (at / stride % length) as isize;
            let tap = |(offset, weight): (isize, &f32)| {
                let from = (place + offset).clamp(0, length as isize - 1) - place;
                weight * values[(at as isize + from * stride as isize) as usize]
            };
            (-reach..).zip(&weights).map(tap).sum::<f32>() / sum
        };
        (0..values.len()).map(value).collect()
    };
    along(&along(values, width, 3), height, 3 * width)
}

/// What is left of a picture that was saved as JPEG.
fn saved(picture: &Picture, quality: u8, sampling: SamplingFactor) -> Picture {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, quality);
    encoder.set_sampling_factor(sampling);
    let (width, height) = (picture.width as u16, picture.height as u16);
    encoder.encode(&picture.rgb, width, height, ColorType::Rgb).expect("a JPEG in memory");
    let rgb = JpegDecoder::new(ZCursor::new(bytes)).decode().expect("a JPEG that was just written");
    Picture { rgb, ..*picture }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    const NONE: Damage = Damage {
        blur_px: [0.0; 2],
        reduction: [1.0; 2],
        noise: [0.0; 2],
        jpeg_quality: [100; 2],
        spared: 0.0,
        scale: 1,
    };

    /// Stripes of 4 pixels, black and white.
    fn stripes() -> Picture {
        Picture {
            width: 40,
            height: 24,
            rgb: (0..40 * 24).flat_map(|i| [255 * (i / 4 % 2) as u8; 3]).collect(),
        }
    }

    fn done(damage: Damage, seed: u64) -> Picture {
        damage.check().expect("it can be done");
        damage.done_to(&stripes(), &mut ChaCha8Rng::seed_from_u64(seed))
    }

    #[test]
    fn each_kind_does_what_it_is_called() {
        fn check(what: &str, damage: Damage, differs: std::ops::Range<f32>) {
            let picture = done(damage, 1);
            assert_eq!((picture.width, picture.height), (40, 24));
            let sum: f32 = picture.rgb.iter().zip(stripes().rgb).map(|(a, b)| f32::from(a.abs_diff(b))).sum();
            let mean = sum / picture.rgb.len() as f32 / 255.0;
            assert!(differs.contains(&mean), "{what}: {mean}");
            assert_eq!(done(damage, 1), picture, "{what}: the same seed");
        }

        check("nothing", NONE, 0.0..1e-6);
        check("blur", Damage { blur_px: [2.0; 2], ..NONE }, 0.2..0.5);
        check("reduction", Damage { reduction: [2.0; 2], ..NONE }, 0.02..0.3);
        // Half of the noise is beyond black and white.
        check("noise", Damage { noise: [0.1; 2], ..NONE }, 0.03..0.05);
        check("JPEG", Damage { jpeg_quality: [10; 2], ..NONE }, 0.01..0.2);
        check("spared", Damage { noise: [0.1; 2], spared: 1.0, ..NONE }, 0.0..1e-6);
    }

    #[test]
    fn pictures_are_left_half_as_large_by_several_filters() {
        let halved = Damage { scale: 2, ..NONE };
        let mut filters = Vec::new();
        for seed in 0..40 {
            let picture = done(halved, seed);
            assert_eq!((picture.width, picture.height), (20, 12));
            let mean =
                picture.rgb.iter().map(|byte| f32::from(*byte)).sum::<f32>() / picture.rgb.len() as f32;
            assert!((mean - 127.5).abs() < 3.0, "{mean}");
            if !filters.contains(&picture) {
                filters.push(picture);
            }
        }
        assert_eq!(filters.len(), FILTERS.len());
        // What is left over of odd sides is cut off.
        let odd = Picture { width: 7, height: 1, rgb: vec![9; 21] };
        for seed in 0..9 {
            let random = &mut ChaCha8Rng::seed_from_u64(seed);
            assert_eq!(halved.done_to(&odd, random), Picture { width: 3, height: 1, rgb: vec![9; 9] });
        }
    }

    #[test]
    fn impossible_ranges_are_named() {
        for (damage, name) in [
            (Damage { blur_px: [2.0, 1.0], ..NONE }, "blur_px"),
            (Damage { reduction: [0.5, 1.0], ..NONE }, "reduction"),
            (Damage { noise: [0.0, f32::NAN], ..NONE }, "noise"),
            (Damage { jpeg_quality: [0, 50], ..NONE }, "jpeg_quality"),
            (Damage { spared: 1.5, ..NONE }, "spared"),
            (Damage { scale: 3, ..NONE }, "scale"),
        ] {
            let error = damage.check().expect_err("impossible").to_string();
            assert!(error.starts_with(name), "{error}");
        }
    }
}
