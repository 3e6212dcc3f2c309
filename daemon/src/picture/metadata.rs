//! What a picture file tells besides its pixels, and is kept.

use moxcms::ColorProfile;
use utsushi_ipc::protocol::MAX_PROFILE_BYTES;

use super::exif;
use super::png::{ColourChunks, PngTexts};

/// In a profile's header, as numbers of 16 bits before and after the point.
const D50: [u8; 12] = [0, 0, 0xf6, 0xd6, 0, 1, 0, 0, 0, 0, 0xd3, 0x2d];

/// What is kept besides the pixels.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metadata {
    /// The ICC profile, as it is.
    pub icc: Option<Vec<u8>>,
    /// A PNG's own words for the colours, while the profile is as it came with them.
    pub png_colour: Option<PngColour>,
    /// EXIF data, from its byte-order mark on, with an orientation of 1 and no thumbnail.
    pub exif: Option<Vec<u8>>,
    /// How large the picture is on paper.
    pub resolution: Option<Resolution>,
    /// XMP, in UTF-8, with an orientation of 1.
    pub xmp: Option<Vec<u8>>,
    /// IPTC's records, as they are.
    pub iptc: Option<Vec<u8>>,
    /// A PNG's texts.
    pub png_texts: PngTexts,
}

/// The chunks by which a PNG told its colours, and the profile that it had, or that says the same to other formats.
#[derive(Debug, Clone, PartialEq)]
pub struct PngColour {
    pub(super) chunks: ColourChunks,
    pub(super) icc: Option<Vec<u8>>,
}

impl PngColour {
    /// The chunks, unless the pixels have another profile by now.
    pub(super) fn chunks_beside(&self, icc: Option<&[u8]>) -> Option<&ColourChunks> {
        (self.icc.as_deref() == icc).then_some(&self.chunks)
    }
}

/// Pixels per inch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resolution {
    /// Across.
    pub x_ppi: f64,
    /// Down.
    pub y_ppi: f64,
}

const METRES_AN_INCH: f64 = 0.0254;

impl Metadata {
    /// An ICC profile as it came from a file; `colour`: it lies on RGB and not on grey pixels. A profile that is
    /// for something else (CMYK of a converted picture, say) or doesn't look like one is left behind.
    pub(super) fn profile(icc: Option<Vec<u8>>, colour: bool) -> Option<Vec<u8>> {
        icc.filter(|icc| describes(icc, colour))
    }

    /// The profile of a picture without one, for what its EXIF data say of its colours: Adobe RGB or, unsaid, sRGB.
    pub(super) fn profile_by_exif(exif: Option<&[u8]>, colour: bool) -> Option<Vec<u8>> {
        let is_adobe_rgb = colour && exif.is_some_and(exif::is_adobe_rgb);
        is_adobe_rgb.then(|| encode_profile(&ColorProfile::new_adobe_rgb()))?
    }

    /// The ICC profile, if it describes what is about to be written.
    pub(super) fn icc_for(&self, colour: bool) -> Option<&[u8]> {
        self.icc.as_deref().filter(|icc| describes(icc, colour))
    }
}

/// A profile as a file holds it, such as libpng, too, takes: its length is a multiple of 4, and its header names D50, to
/// which all profiles' colours are adapted.
pub fn encode_profile(profile: &ColorProfile) -> Option<Vec<u8>> {
    let mut icc = profile.encode().ok()?;
    icc.resize(icc.len().next_multiple_of(4), 0);
    let length = u32::try_from(icc.len()).ok()?;
    icc.get_mut(..4)?.copy_from_slice(&length.to_be_bytes());
    icc.get_mut(68..80)?.copy_from_slice(&D50);
    Some(icc)
}

/// The profile's header names its colour space at byte 16.
fn describes(icc: &[u8], colour: bool) -> bool {
    let expected: &[u8] = if colour { b"RGB " } else { b"GRAY" };
    icc.len() <= MAX_PROFILE_BYTES && icc.get(16..20) == Some(expected)
}

impl Resolution {
    /// From pixels per inch; nothing if they are no sensible size.
    pub(super) fn per_inch(x: f64, y: f64) -> Option<Self> {
        let sensible = |value: &f64| (0.01..=1e6).contains(value);
        (sensible(&x) && sensible(&y)).then_some(Self { x_ppi: x, y_ppi: y })
    }

    /// From pixels per centimetre.
    pub(super) fn per_centimetre(x: f64, y: f64) -> Option<Self> {
        Self::per_inch(x * 2.54, y * 2.54)
    }

    /// From whole pixels per metre. 300 an inch is 11811.02 a metre: what was a whole number an inch, and only
    /// lost its fraction a metre, comes back whole.
    pub(super) fn per_metre(x: u32, y: u32) -> Option<Self> {
        let per_inch = |metre: u32| {
            let inch = f64::from(metre) * METRES_AN_INCH;
            let whole = inch.round();
            if (whole / METRES_AN_INCH).round() == f64::from(metre) { whole } else { inch }
        };
        Self::per_inch(per_inch(x), per_inch(y))
    }

    /// In whole pixels per metre.
    pub(super) fn to_metre(self) -> (u32, u32) {
        let per_metre = |inch: f64| (inch / METRES_AN_INCH).round() as u32;
        (per_metre(self.x_ppi), per_metre(self.y_ppi))
    }

    /// The same, but for what other formats round off?
    pub(super) fn is_near(self, other: Self) -> bool {
        (self.x_ppi - other.x_ppi).abs() <= 0.5 && (self.y_ppi - other.y_ppi).abs() <= 0.5
    }

    pub(super) fn swapped(self) -> Self {
        Self { x_ppi: self.y_ppi, y_ppi: self.x_ppi }
    }
}
