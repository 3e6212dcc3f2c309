//! What colours a PNG's samples are, as its chunks tell it in place of an ICC profile: cICP, sRGB, gAMA and cHRM.
//!
//! A PNG gets its chunks back. Other formats get an ICC profile that says the same, so that nobody takes the picture
//! for sRGB when it isn't.

use std::io::Write;

use moxcms::{
    Chromaticity, CicpColorPrimaries, CicpProfile, ColorPrimaries, ColorProfile, DataColorSpace,
    LocalizableString, MatrixCoefficients, ProfileText, ToneReprCurve, TransferCharacteristics,
    WHITE_POINT_D65,
};
use png::chunk;
use png::{
    CodingIndependentCodePoints, ContentLightLevelInfo, EncodingError, Info, MasteringDisplayColorVolume,
    ScaledFloat, SourceChromaticities, SrgbRenderingIntent, Writer,
};

use super::super::encode_profile;

/// The chunks of one PNG.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::picture) struct ColourChunks {
    code_points: Option<CodingIndependentCodePoints>,
    mastering: Option<MasteringDisplayColorVolume>,
    light_level: Option<ContentLightLevelInfo>,
    srgb: Option<SrgbRenderingIntent>,
    gamma: Option<ScaledFloat>,
    chromaticities: Option<SourceChromaticities>,
    /// Is there an ICC profile beside them, which stands above all but cICP?
    has_profile: bool,
}

/// sRGB's gamma in gAMA, and its primaries in cHRM, to whatever digit they are rounded.
const SRGB_GAMMA: f64 = 0.45455;
const SRGB_CHROMATICITIES: [f64; 8] = [0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06];
const TOLERANCE: f64 = 0.002;

impl ColourChunks {
    /// None if there are none.
    pub(super) fn of(info: &Info<'_>) -> Option<Self> {
        let has_profile = info.icc_profile.is_some();
        let chunks = Self {
            code_points: info.coding_independent_code_points,
            mastering: info.mastering_display_color_volume,
            light_level: info.content_light_level,
            srgb: info.srgb.filter(|_| !has_profile),
            gamma: info.gama_chunk.filter(|_| !has_profile),
            chromaticities: info.chrm_chunk.filter(|_| !has_profile),
            has_profile,
        };
        let has_any = chunks.code_points.is_some()
            || chunks.srgb.is_some()
            || chunks.gamma.is_some()
            || chunks.chromaticities.is_some();
        has_any.then_some(chunks)
    }

    /// A profile that says the same. None for sRGB, and where the chunks say nothing that is known.
    pub(super) fn to_profile(&self, is_colour: bool) -> Option<Vec<u8>> {
        let profile = match (self.code_points, self.srgb) {
            (Some(points), _) => by_code_points(points, is_colour)?,
            (None, Some(_)) => return None,
            (None, None) => self.by_gamma_and_chromaticities(is_colour)?,
        };
        encode_profile(&described(profile))
    }

    fn by_gamma_and_chromaticities(&self, is_colour: bool) -> Option<ColorProfile> {
        let gamma = self.gamma.map(|gamma| f64::from(gamma.into_scaled()) / 1e5);
        let gamma = gamma.filter(|gamma| (0.01..=100.0).contains(gamma) && !is_near(*gamma, SRGB_GAMMA));
        let curve = gamma.map(|gamma| ToneReprCurve::Parametric(vec![(1.0 / gamma) as f32]));
        let chromaticities = self.chromaticities.map(numbers).filter(|numbers| {
            is_colour && !numbers.iter().zip(SRGB_CHROMATICITIES).all(|(number, srgb)| is_near(*number, srgb))
        });
        if curve.is_none() && chromaticities.is_none() {
            return None;
        }
        if !is_colour {
            let mut profile = ColorProfile::new_gray_with_gamma(1.0);
            profile.gray_trc = curve;
            return Some(profile);
        }
        let mut profile = ColorProfile::new_srgb();
        if let Some(curve) = curve {
            set_curve(&mut profile, &curve);
        }
        if let Some(numbers) = chromaticities {
            let [white, red, green, blue] = *numbers.as_chunks().0 else { return None };
            let of = |[x, y]: [f64; 2]| Chromaticity::new(x as f32, y as f32);
            if numbers.iter().any(|number| !(0.0..1.0).contains(number)) || white[1] == 0.0 {
                return None;
            }
            let white = of(white).to_xyyb();
            let primaries = ColorPrimaries { red: of(red), green: of(green), blue: of(blue) };
            profile.update_rgb_colorimetry(white, primaries);
            profile.media_white_point = Some(white.to_xyzd());
        }
        profile.cicp = None;
        Some(profile)
    }

    /// Into the header's chunks: those that the crate writes by itself. A profile of the picture's, which was made of
    /// them, isn't needed then.
    pub(super) fn set(&self, info: &mut Info<'_>) {
        if !self.has_profile {
            info.icc_profile = None;
        }
        info.srgb = self.srgb;
        info.source_gamma = self.gamma;
        info.source_chromaticities = self.chromaticities;
    }

    /// Writes the others, which have to come before the pixels.
    pub(super) fn write<W: Write>(&self, writer: &mut Writer<W>) -> Result<(), EncodingError> {
        if let Some(points) = self.code_points {
            let range = u8::from(points.is_video_full_range_image);
            let data = [points.color_primaries, points.transfer_function, points.matrix_coefficients, range];
            writer.write_chunk(chunk::cICP, &data)?;
        }
        if let Some(mastering) = self.mastering {
            let SourceChromaticities { white, red, green, blue } = mastering.chromaticities;
            let mut data = Vec::new();
            for (x, y) in [red, green, blue, white] {
                // In steps of 0.00002 here.
                data.extend(((x.into_scaled() / 2) as u16).to_be_bytes());
                data.extend(((y.into_scaled() / 2) as u16).to_be_bytes());
            }
            data.extend(mastering.max_luminance.to_be_bytes());
            data.extend(mastering.min_luminance.to_be_bytes());
            writer.write_chunk(chunk::mDCV, &data)?;
        }
        if let Some(level) = self.light_level {
            let levels = [level.max_content_light_level, level.max_frame_average_light_level];
            writer.write_chunk(chunk::cLLI, &levels.map(u32::to_be_bytes).concat())?;
        }
        Ok(())
    }
}

fn by_code_points(points: CodingIndependentCodePoints, is_colour: bool) -> Option<ColorProfile> {
    let color_primaries = CicpColorPrimaries::try_from(points.color_primaries).ok()?;
    let transfer_characteristics = TransferCharacteristics::try_from(points.transfer_function).ok()?;
    let is_srgb = color_primaries == CicpColorPrimaries::Bt709
        && transfer_characteristics == TransferCharacteristics::Srgb;
    if is_srgb || !points.is_video_full_range_image {
        return None;
    }
    let mut profile = ColorProfile::new_from_cicp(CicpProfile {
        color_primaries,
        transfer_characteristics,
        matrix_coefficients: MatrixCoefficients::Identity,
        full_range: true,
    });
    let curve = match profile.red_trc.clone()? {
        // As long as an even number of bytes, which other tags' places want.
        ToneReprCurve::Lut(gamma) if gamma.len() == 1 => {
            ToneReprCurve::Parametric(vec![f32::from(gamma[0]) / 256.0])
        }
        curve => curve,
    };
    profile.media_white_point = Some(WHITE_POINT_D65.to_xyzd());
    if is_colour {
        set_curve(&mut profile, &curve);
        return Some(profile);
    }
    let mut grey = ColorProfile::new_gray_with_gamma(1.0);
    grey.gray_trc = Some(curve);
    Some(grey)
}

fn set_curve(profile: &mut ColorProfile, curve: &ToneReprCurve) {
    profile.red_trc = Some(curve.clone());
    profile.green_trc = Some(curve.clone());
    profile.blue_trc = Some(curve.clone());
}

/// With the texts that a profile must have.
fn described(mut profile: ColorProfile) -> ColorProfile {
    let text = |text: &str| {
        let english = LocalizableString::new("en".to_owned(), "US".to_owned(), text.to_owned());
        Some(ProfileText::Localizable(vec![english]))
    };
    let grey = if profile.color_space == DataColorSpace::Gray { "Grey" } else { "Colours" };
    profile.description = text(&format!("{grey} as told by a PNG"));
    profile.copyright = text("Public Domain");
    profile
}

/// White, red, green and blue; x and y of each.
fn numbers(chromaticities: SourceChromaticities) -> [f64; 8] {
    let SourceChromaticities { white, red, green, blue } = chromaticities;
    [white.0, white.1, red.0, red.1, green.0, green.1, blue.0, blue.1]
        .map(|number| f64::from(number.into_scaled()) / 1e5)
}

fn is_near(number: f64, other: f64) -> bool {
    (number - other).abs() <= TOLERANCE
}
