//! Colour spaces: from what a picture's ICC profile says to sRGB, which networks are trained on, and back.
//!
//! ```text
//! samples -- tone curves --> light -- matrix --> sRGB's light -- sRGB's curve --> sRGB
//! ```
//!
//! Neither direction clips: colours outside of sRGB have values below 0 or above 1 there. Light beyond white, as HDR
//! pictures have it, is told apart from such colours as a pixel's *gain*. Profiles that describe their space by tables
//! instead of curves and a matrix go through moxcms, which clips.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use moxcms::{
    CmsError, ColorProfile, DataColorSpace, Matrix3d, ToneReprCurve, TransferCharacteristics,
    TransformF32Executor, TransformOptions,
};

use crate::colour::{Codec, in_range, shown};
use crate::pixels::{Depth, Layout};

/// Spaces that differ less than this from sRGB, of 1, are taken for it: half a step of 8 bits.
const SAME: f32 = 0.5 / 255.0;
/// A way back that is off by less than this is exact: a third of a step of 16 bits.
const EXACT: f32 = 0.33 / 65535.0;
/// Near black, small errors of light are large ones of gamma-encoded values; from here on they aren't.
const BRIGHT: f32 = 1.0 / 16.0;
/// Intervals of a curve's table.
const INTERVALS: usize = 4096;

/// A profile that pictures can't be drawn by.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// It is broken.
    #[error("the colour profile can't be read ({0}); assign another, or convert the picture to sRGB")]
    Broken(String),
    /// It is for CMYK, or for one direction only, as some scanners' are.
    #[error("the colour profile leads to no RGB and back; convert the picture to sRGB")]
    OneWay,
}

/// The colour space of a picture's samples, if it isn't sRGB.
pub struct ColourSpace {
    way: Way,
    /// If a colour has a value below this, the way back isn't exact: the result is then the source, changed by the
    /// difference that the style makes.
    exact_from: f32,
}

enum Way {
    Curves(Box<Curves>),
    Tables { there: Arc<TransformF32Executor>, back: Arc<TransformF32Executor> },
}

/// Tone curves and a matrix.
struct Curves {
    curves: [Arc<Curve>; 3],
    srgb: Curve,
    /// To sRGB's light, in which 1 is white.
    there: [[f32; 3]; 3],
    back: [[f32; 3]; 3],
}

/// A tone curve; odd below 0, and a power of the same slope beyond 1.
struct Curve {
    /// Light by sample.
    light: Table,
    /// Sample by a root of light.
    sample: Table,
    root: Root,
    /// The light of 1, and its inverse.
    most: f32,
    per_light: f32,
    exponent: f32,
}

type Table = Box<[f32; INTERVALS + 1]>;

/// For which the inverse of a curve is straight enough for its table: sRGB's is for the square root, those of HDR are for
/// the eighth.
#[derive(Clone, Copy)]
enum Root {
    Second,
    Fourth,
    Eighth,
}

impl ColourSpace {
    /// Of an ICC profile; `None` if it is sRGB's, or as good as.
    ///
    /// # Errors
    /// If it can't be read, or doesn't lead from RGB or grey to sRGB and back.
    pub fn from_icc(icc: &[u8]) -> Result<Option<Self>, ProfileError> {
        // The reader is other people's work, and profiles come from files.
        let read = || -> Result<Option<Self>, ProfileError> {
            let profile = ColorProfile::new_from_slice(icc).map_err(|e| broken(&e))?;
            let space = Self { way: Way::of(&profile)?, exact_from: 0.0 };
            Ok(space.settled())
        };
        catch_unwind(AssertUnwindSafe(read))
            .unwrap_or_else(|_| Err(ProfileError::Broken("it is of an unusual kind".into())))
    }

    /// Tries some colours: `None` if all are as in sRGB.
    fn settled(mut self) -> Option<Self> {
        let steps = 0..=8;
        let value = |step: i32| step as f32 / 8.0;
        let colours = steps.clone().flat_map(|r| {
            let steps = steps.clone();
            steps.clone().flat_map(move |g| steps.clone().map(move |b| [r, g, b].map(value)))
        });
        let greys = (0..=255).map(|grey| [grey as f32 / 255.0; 3]);
        let (mut to_srgb, mut to_itself, mut bright_to_itself) = (0.0_f32, 0.0_f32, 0.0_f32);
        for colour in colours.chain(greys) {
            let srgb = self.to_srgb(colour).0;
            to_srgb = to_srgb.max(distance(srgb, colour));
            let off = distance(self.out_of_srgb(srgb), colour);
            to_itself = to_itself.max(off);
            if colour.iter().all(|value| *value >= BRIGHT) {
                bright_to_itself = bright_to_itself.max(off);
            }
        }
        self.exact_from = match (bright_to_itself > EXACT, to_itself > EXACT) {
            (true, _) => f32::INFINITY,
            (false, true) => BRIGHT,
            (false, false) => 0.0,
        };
        (to_srgb > SAME).then_some(self)
    }

    /// A colour in sRGB, gamma-encoded, and its gain: how many times the light goes beyond white, on the scale of
    /// the encoded values; at least 1.
    pub(crate) fn to_srgb(&self, colour: [f32; 3]) -> ([f32; 3], f32) {
        match &self.way {
            Way::Curves(curves) => curves.to_srgb(colour),
            Way::Tables { there, .. } => (through(there, colour.map(in_range)), 1.0),
        }
    }

    /// What an SDR screen shows of a row's colours, in sRGB, 0..1.
    pub(crate) fn show(&self, rgb: &mut [f32]) {
        rgb.as_chunks_mut::<3>().0.iter_mut().for_each(|pixel| {
            let (srgb, gain) = self.to_srgb(*pixel);
            *pixel = shown(srgb, gain);
        });
    }

    /// Pixels as an SDR screen shows them, in sRGB with 8 bits a sample; alpha stays.
    ///
    /// # Panics
    /// If there are no whole pixels.
    pub fn shown(&self, layout: Layout, depth: Depth, samples: &[u8]) -> Vec<u8> {
        const AT_A_TIME: usize = 1 << 12;
        let (from, to) = (Codec { layout, depth }, Codec { layout, depth: Depth::U8 });
        assert!(samples.len().is_multiple_of(from.pixel_bytes()));
        let mut result = vec![0; samples.len() / from.pixel_bytes() * to.pixel_bytes()];
        let parts = result.chunks_mut(AT_A_TIME * to.pixel_bytes());
        for (samples, part) in samples.chunks(AT_A_TIME * from.pixel_bytes()).zip(parts) {
            let pixels = samples.len() / from.pixel_bytes();
            let (mut rgb, mut alpha) = (vec![0.0; pixels * 3], vec![0.0; pixels]);
            from.read_rgb(samples, &mut rgb);
            self.show(&mut rgb);
            to.write_rgb(&rgb, part);
            if layout.has_alpha() {
                from.read_alpha(samples, &mut alpha);
                let bytes = part.iter_mut().skip(layout.channels() - 1).step_by(layout.channels());
                bytes.zip(alpha).for_each(|(byte, alpha)| *byte = (alpha * 255.0 + 0.5) as u8);
            }
        }
        result
    }

    /// The way back.
    pub(crate) fn out_of_srgb(&self, colour: [f32; 3]) -> [f32; 3] {
        match &self.way {
            Way::Curves(curves) => curves.out_of_srgb(colour),
            Way::Tables { back, .. } => through(back, colour.map(in_range)),
        }
    }

    /// What becomes of a colour of the picture's whose colour in sRGB, `before`, became `after`.
    pub(crate) fn changed(&self, source: [f32; 3], before: [f32; 3], after: [f32; 3]) -> [f32; 3] {
        if before == after {
            return source;
        }
        let after = self.out_of_srgb(after);
        if source[0].min(source[1]).min(source[2]) >= self.exact_from {
            return after;
        }
        let before = self.out_of_srgb(before);
        std::array::from_fn(|c| source[c] + (after[c] - before[c]))
    }
}

/// A colour by its gain: the largest value, where that is above 1.
pub(crate) fn gain(colour: [f32; 3]) -> f32 {
    let most = colour.iter().fold(1.0_f32, |most, value| most.max(*value));
    if most.is_finite() { most } else { 1.0 }
}

fn distance(a: [f32; 3], b: [f32; 3]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn broken(error: &CmsError) -> ProfileError {
    ProfileError::Broken(error.to_string())
}

fn through(transform: &Arc<TransformF32Executor>, colour: [f32; 3]) -> [f32; 3] {
    let mut result = [0.0; 3];
    // Fails only for slices that are no pixels.
    match transform.transform(&colour, &mut result) {
        Ok(()) => result,
        Err(_) => colour,
    }
}

impl Way {
    fn of(profile: &ColorProfile) -> Result<Self, ProfileError> {
        let grey = profile.gray_trc.as_ref().filter(|_| profile.color_space == DataColorSpace::Gray);
        if let Some(curve) = grey {
            let curve = Arc::new(Curve::of(curve)?);
            let curves = [Arc::clone(&curve), Arc::clone(&curve), curve];
            return Ok(Self::Curves(Box::new(Curves::new(curves, Matrix3d::IDENTITY, 1.0)?)));
        }
        if profile.color_space != DataColorSpace::Rgb {
            return Err(ProfileError::OneWay);
        }
        let srgb = ColorProfile::new_srgb();
        let has_tables = profile.lut_a_to_b_perceptual.is_some() && profile.lut_b_to_a_perceptual.is_some();
        let (Some(red), Some(green), Some(blue), false) =
            (&profile.red_trc, &profile.green_trc, &profile.blue_trc, has_tables)
        else {
            let options = TransformOptions::default();
            let way = |from: &ColorProfile, to: &ColorProfile| {
                from.create_transform_f32(moxcms::Layout::Rgb, to, moxcms::Layout::Rgb, options)
                    .map_err(|_| ProfileError::OneWay)
            };
            return Ok(Self::Tables { there: way(profile, &srgb)?, back: way(&srgb, profile)? });
        };
        let matrix = profile.transform_matrix(&srgb);
        let hdr = profile.cicp.map(|cicp| cicp.transfer_characteristics).and_then(reference_white);
        let (curves, white) = match hdr {
            Some((transfer, white)) => {
                let light = |sample: f32| transfer.linearize(f64::from(sample)) as f32;
                let curve = Arc::new(Curve::new(light)?);
                let white = curve.light(white);
                ([Arc::clone(&curve), Arc::clone(&curve), curve], white)
            }
            None if red == green && red == blue => {
                let curve = Arc::new(Curve::of(red)?);
                ([Arc::clone(&curve), Arc::clone(&curve), curve], 1.0)
            }
            None => {
                let curve = |curve| Curve::of(curve).map(Arc::new);
                ([curve(red)?, curve(green)?, curve(blue)?], 1.0)
            }
        };
        Ok(Self::Curves(Box::new(Curves::new(curves, matrix, white)?)))
    }
}

/// The transfer functions of HDR, with the sample that is white on paper, by ITU-R BT.2408: beyond it are highlights.
fn reference_white(transfer: TransferCharacteristics) -> Option<(TransferCharacteristics, f32)> {
    match transfer {
        TransferCharacteristics::Smpte2084 => Some((transfer, 0.58)),
        TransferCharacteristics::Hlg => Some((transfer, 0.75)),
        _ => None,
    }
}

impl Curves {
    /// `white`: the light that is white.
    fn new(curves: [Arc<Curve>; 3], matrix: Matrix3d, white: f32) -> Result<Self, ProfileError> {
        let back = matrix.inverse();
        let there = matrix.v.map(|row| row.map(|value| value as f32 / white));
        let back = back.v.map(|row| row.map(|value| value as f32 * white));
        if there.iter().chain(&back).flatten().any(|value| !value.is_finite()) {
            return Err(ProfileError::OneWay);
        }
        let srgb = ColorProfile::new_srgb().red_trc.ok_or(ProfileError::OneWay)?;
        Ok(Self { curves, srgb: Curve::of(&srgb)?, there, back })
    }

    fn to_srgb(&self, colour: [f32; 3]) -> ([f32; 3], f32) {
        let [red, green, blue] = &self.curves;
        let light = [red.light(colour[0]), green.light(colour[1]), blue.light(colour[2])];
        let [r, g, b] = product(&self.there, light);
        let srgb = [self.srgb.sample(r), self.srgb.sample(g), self.srgb.sample(b)];
        // Of all three the same light is a grey, which the matrix leaves as it is.
        let most = light[0].max(light[1]).max(light[2]) * self.white_gain();
        let gain = if most > 1.0 { self.srgb.sample(most) } else { 1.0 };
        (srgb, if gain.is_finite() { gain.max(1.0) } else { 1.0 })
    }

    /// What white's light is multiplied by to become 1.
    fn white_gain(&self) -> f32 {
        self.there[1][0] + self.there[1][1] + self.there[1][2]
    }

    fn out_of_srgb(&self, colour: [f32; 3]) -> [f32; 3] {
        let [red, green, blue] = &self.curves;
        let light = [self.srgb.light(colour[0]), self.srgb.light(colour[1]), self.srgb.light(colour[2])];
        let [r, g, b] = product(&self.back, light);
        [red.sample(r), green.sample(g), blue.sample(b)]
    }
}

#[inline]
fn product(matrix: &[[f32; 3]; 3], [x, y, z]: [f32; 3]) -> [f32; 3] {
    let [red, green, blue] = matrix;
    let sum = |[a, b, c]: &[f32; 3]| a * x + b * y + c * z;
    [sum(red), sum(green), sum(blue)]
}

impl Curve {
    fn of(curve: &ToneReprCurve) -> Result<Self, ProfileError> {
        let evaluator = curve.make_linear_evaluator().map_err(|e| broken(&e))?;
        Self::new(|sample| evaluator.evaluate_value(sample))
    }

    /// Of a function that doesn't fall.
    fn new(light: impl Fn(f32) -> f32) -> Result<Self, ProfileError> {
        let place = |index: usize| index as f32 / INTERVALS as f32;
        let mut least = 0.0_f32;
        let light: Vec<f32> = (0..=INTERVALS)
            .map(|index| {
                least = least.max(light(place(index)));
                least
            })
            .collect();
        let most = least;
        if !(1e-4..=1e4).contains(&most) {
            return Err(ProfileError::OneWay);
        }
        let slope = (light[INTERVALS] - light[INTERVALS - 16]) / most * (INTERVALS / 16) as f32;
        let exponent = if (0.2..=20.0).contains(&slope) { slope } else { 1.0 };
        let inverse = |root: Root| {
            table((0..=INTERVALS).map(|index| {
                let wanted = place(index).powi(root.degree()) * most;
                let after = light.partition_point(|light| *light < wanted).clamp(1, INTERVALS);
                let (low, high) = (light[after - 1], light[after]);
                let part = if high > low { (wanted - low) / (high - low) } else { 0.0 };
                (after as f32 - 1.0 + part.clamp(0.0, 1.0)) / INTERVALS as f32
            }))
        };
        let (root, per_light) = (Root::Second, most.recip());
        let light = table(light.iter().copied());
        let mut curve = Self { light, sample: inverse(root), root, most, per_light, exponent };
        // In the middle of an interval, where a table is worst.
        let sample = |index: u16| (f32::from(index) + 0.5) / 65536.0;
        let is_off =
            |curve: &Self, sample: f32| (curve.sample(curve.light(sample)) - sample).abs() > EXACT / 2.0;
        for root in [Root::Fourth, Root::Eighth] {
            if (0..=u16::MAX).step_by(13).map(sample).any(|sample| is_off(&curve, sample)) {
                curve.sample = inverse(root);
                curve.root = root;
            }
        }
        Ok(curve)
    }

    #[inline]
    fn light(&self, sample: f32) -> f32 {
        let size = sample.abs();
        let light =
            if size <= 1.0 { between(&self.light, size) } else { self.most * size.powf(self.exponent) };
        light.copysign(sample)
    }

    #[inline]
    fn sample(&self, light: f32) -> f32 {
        let size = light.abs() * self.per_light;
        let sample = if size <= 1.0 {
            between(&self.sample, self.root.of(size))
        } else {
            size.powf(self.exponent.recip())
        };
        sample.copysign(light)
    }
}

impl Root {
    fn degree(self) -> i32 {
        match self {
            Self::Second => 2,
            Self::Fourth => 4,
            Self::Eighth => 8,
        }
    }

    #[inline]
    fn of(self, size: f32) -> f32 {
        match self {
            Self::Second => size.sqrt(),
            Self::Fourth => size.sqrt().sqrt(),
            Self::Eighth => size.sqrt().sqrt().sqrt(),
        }
    }
}

fn table(values: impl Iterator<Item = f32>) -> Table {
    let mut table = Box::new([0.0; INTERVALS + 1]);
    table.iter_mut().zip(values).for_each(|(place, value)| *place = value);
    table
}

/// A table's value at a place from 0 to 1. What is no number stays none.
#[inline]
fn between(table: &Table, place: f32) -> f32 {
    let place = place * INTERVALS as f32;
    let index = (place as u32 as usize).min(INTERVALS - 1);
    let (low, high) = (table[index], table[index + 1]);
    low + (high - low) * (place - index as f32)
}

#[cfg(test)]
mod tests {
    use moxcms::{CicpColorPrimaries, CicpProfile, MatrixCoefficients};

    use super::*;

    fn space(profile: &ColorProfile) -> Option<ColourSpace> {
        let mut icc = profile.encode().unwrap();
        // As it would be read: moxcms writes no such profile that it can't read.
        let space = ColourSpace::from_icc(&icc).unwrap();
        icc.truncate(100);
        assert!(ColourSpace::from_icc(&icc).is_err());
        space
    }

    fn with_gamma(mut profile: ColorProfile, gamma: f32) -> ColorProfile {
        let curve = ToneReprCurve::Parametric(vec![gamma]);
        profile.cicp = None;
        profile.red_trc = Some(curve.clone());
        profile.green_trc = Some(curve.clone());
        profile.blue_trc = Some(curve);
        profile
    }

    fn pq() -> ColorProfile {
        ColorProfile::new_from_cicp(CicpProfile {
            color_primaries: CicpColorPrimaries::Bt2020,
            transfer_characteristics: TransferCharacteristics::Smpte2084,
            matrix_coefficients: MatrixCoefficients::Identity,
            full_range: true,
        })
    }

    #[test]
    fn colours_of_known_spaces() {
        fn check(name: &str, profile: &ColorProfile, colour: [f32; 3], expected: [f32; 3], gain: f32) {
            let space = space(profile).expect("it is not sRGB");
            let (found, found_gain) = space.to_srgb(colour);
            assert!(distance(found, expected) < 2e-3, "{name}: {found:?} of {colour:?}");
            assert!((found_gain - gain).abs() < 0.02 * gain, "{name}: gain {found_gain} of {colour:?}");
            let back = space.out_of_srgb(found);
            assert!(distance(back, colour) < 1e-5 * gain.max(1.0), "{name}: {back:?} of {colour:?}");
        }
        let linear = with_gamma(ColorProfile::new_srgb(), 1.0);
        check("linear", &linear, [0.5, 0.214, 0.0], [0.7354, 0.5, 0.0], 1.0);
        check("linear, beyond white", &linear, [4.0, 1.0, 0.214], [1.842, 1.0, 0.5], 1.842);
        let p3 = ColorProfile::new_display_p3();
        check("Display P3", &p3, [1.0, 0.0, 0.0], [1.0930, -0.2267, -0.1501], 1.0);
        check("Display P3, grey", &p3, [0.5; 3], [0.5; 3], 1.0);
        check("Adobe RGB", &ColorProfile::new_adobe_rgb(), [0.5; 3], [0.5040; 3], 1.0);
        check("gamma 1.8", &with_gamma(ColorProfile::new_srgb(), 1.8), [0.5; 3], [0.5722; 3], 1.0);
        let grey = ColorProfile::new_gray_with_gamma(1.0);
        check("linear grey", &grey, [0.214; 3], [0.5; 3], 1.0);
        // 203 cd/m2 are white; 1000 are 4.93 times as much light.
        check("PQ", &pq(), [0.58; 3], [1.0; 3], 1.0);
        check("PQ, bright", &pq(), [0.7518; 3], [2.025; 3], 2.025);
    }

    #[test]
    fn srgb_needs_no_conversion() {
        assert!(space(&ColorProfile::new_srgb()).is_none());
        let nearly = with_gamma(ColorProfile::new_srgb(), 2.2);
        assert!(space(&nearly).is_some(), "it differs by more than a step near black");
    }

    #[test]
    fn every_value_of_16_bits_comes_back() {
        let profiles = [
            with_gamma(ColorProfile::new_srgb(), 1.0),
            ColorProfile::new_display_p3(),
            ColorProfile::new_adobe_rgb(),
            ColorProfile::new_pro_photo_rgb(),
            pq(),
        ];
        for (index, profile) in profiles.iter().enumerate() {
            let space = space(profile).unwrap();
            for value in 0..=65535_u16 {
                let colour = [value, value / 2, 65535 - value].map(|value| f32::from(value) / 65535.0);
                let (before, _) = space.to_srgb(colour);
                // A change too small to show.
                let after = before.map(|value| value + 1e-9);
                let found = space.changed(colour, before, after);
                assert!(distance(found, colour) < 0.5 / 65535.0, "{index}: {found:?} of {colour:?}");
            }
        }
    }

    #[test]
    fn what_is_no_profile_of_colours_is_refused() {
        assert!(ColourSpace::from_icc(b"").is_err());
        assert!(ColourSpace::from_icc(&[0; 200]).is_err());
        let mut cmyk = ColorProfile::new_srgb();
        cmyk.color_space = DataColorSpace::Cmyk;
        assert!(matches!(Way::of(&cmyk), Err(ProfileError::OneWay)));
    }
}
