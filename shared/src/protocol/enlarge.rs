//! Enlarging a picture, and what it has in common with stylizing one.

use serde::{Deserialize, Serialize};

use super::{Priority, Profile, Request, StylizeSpec};
use crate::pixels::{Raster, RasterError};

/// How to enlarge a picture, the result of which is small enough to be worked on. Deserialising checks the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawEnlargeSpec")]
pub struct EnlargeSpec {
    raster: Raster,
    scale: EnlargeScale,
    kind: PictureKind,
    /// What waits for it.
    pub priority: Priority,
    /// The ICC profile of its colours, as [`StylizeSpec::profile`].
    #[serde(skip)]
    pub profile: Profile,
}

impl EnlargeSpec {
    /// Of a picture of this size and format, in sRGB.
    ///
    /// # Errors
    /// If the result would be too large.
    pub fn new(
        raster: Raster,
        scale: EnlargeScale,
        kind: PictureKind,
        priority: Priority,
    ) -> Result<Self, RasterError> {
        let spec = Self { raster, scale, kind, priority, profile: Profile::default() };
        enlarged(raster, scale).map(|_| spec)
    }

    /// The source's size and pixel format.
    pub fn raster(&self) -> Raster {
        self.raster
    }

    /// How much larger it becomes.
    pub fn scale(&self) -> EnlargeScale {
        self.scale
    }

    /// What kind of picture it is.
    pub fn kind(&self) -> PictureKind {
        self.kind
    }

    /// The result's size and pixel format.
    pub fn enlarged(&self) -> Raster {
        enlarged(self.raster, self.scale).expect("it was checked when this was made")
    }
}

fn enlarged(raster: Raster, scale: EnlargeScale) -> Result<Raster, RasterError> {
    let side = |side: u32| side.saturating_mul(scale.times());
    Raster::new(side(raster.width()), side(raster.height()), raster.format())
}

#[derive(Deserialize)]
struct RawEnlargeSpec {
    raster: Raster,
    scale: EnlargeScale,
    kind: PictureKind,
    priority: Priority,
}

impl TryFrom<RawEnlargeSpec> for EnlargeSpec {
    type Error = RasterError;

    fn try_from(raw: RawEnlargeSpec) -> Result<Self, RasterError> {
        let RawEnlargeSpec { raster, scale, kind, priority } = raw;
        Self::new(raster, scale, kind, priority)
    }
}

/// How many times longer each side becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EnlargeScale {
    /// Twice.
    Two,
    /// Four times.
    Four,
}

impl EnlargeScale {
    /// As a number.
    pub const fn times(self) -> u32 {
        match self {
            Self::Two => 2,
            Self::Four => 4,
        }
    }
}

/// What there is a network for each to enlarge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PictureKind {
    /// What a camera took, or was painted.
    Photo,
    /// Lines and surfaces.
    Drawing,
}

/// Anything that is done to a picture, whose pixels stream both ways.
#[derive(Debug, Clone, PartialEq)]
pub enum PictureSpec {
    /// It is re-drawn.
    Stylize(StylizeSpec),
    /// It is enlarged.
    Enlarge(EnlargeSpec),
}

impl PictureSpec {
    /// The source's size and pixel format.
    pub fn raster(&self) -> Raster {
        match self {
            Self::Stylize(spec) => spec.raster,
            Self::Enlarge(spec) => spec.raster,
        }
    }

    /// The result's size and pixel format.
    pub fn result(&self) -> Raster {
        match self {
            Self::Stylize(spec) => spec.raster,
            Self::Enlarge(spec) => spec.enlarged(),
        }
    }

    /// What waits for it.
    pub fn priority(&self) -> Priority {
        match self {
            Self::Stylize(spec) => spec.priority,
            Self::Enlarge(spec) => spec.priority,
        }
    }

    /// The profile of its colours.
    pub fn profile(&self) -> &Profile {
        match self {
            Self::Stylize(spec) => &spec.profile,
            Self::Enlarge(spec) => &spec.profile,
        }
    }

    /// The same picture with a profile of its colours.
    #[must_use]
    pub fn with_profile(mut self, profile: Profile) -> Self {
        match &mut self {
            Self::Stylize(spec) => spec.profile = profile,
            Self::Enlarge(spec) => spec.profile = profile,
        }
        self
    }

    /// The brush size, which is 1 of what has no brush.
    pub fn brush_factor(&self) -> f32 {
        match self {
            Self::Stylize(spec) => spec.brush_factor(),
            Self::Enlarge(_) => 1.0,
        }
    }
}

impl From<StylizeSpec> for PictureSpec {
    fn from(spec: StylizeSpec) -> Self {
        Self::Stylize(spec)
    }
}

impl From<EnlargeSpec> for PictureSpec {
    fn from(spec: EnlargeSpec) -> Self {
        Self::Enlarge(spec)
    }
}

impl From<PictureSpec> for Request {
    fn from(spec: PictureSpec) -> Self {
        match spec {
            PictureSpec::Stylize(spec) => Self::Stylize(spec),
            PictureSpec::Enlarge(spec) => Self::Enlarge(spec),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pixels::{Channels, Depth, MAX_SIDE_PX, PixelFormat};
    use crate::wire;

    #[test]
    fn results_are_small_enough() {
        let format = PixelFormat { channels: Channels::Rgb, depth: Depth::U8 };
        let check = |width, height, scale: EnlargeScale, expected: Option<(u32, u32)>| {
            let raster = Raster::new(width, height, format).expect("a source");
            let spec = EnlargeSpec::new(raster, scale, PictureKind::Photo, Priority::Batch);
            let size = spec.as_ref().ok().map(|spec| (spec.enlarged().width(), spec.enlarged().height()));
            assert_eq!(size, expected, "{width} x {height} {scale:?}");
            // The same by what comes from another process.
            let spec = EnlargeSpec {
                raster,
                scale,
                kind: PictureKind::Photo,
                priority: Priority::Batch,
                profile: Profile::default(),
            };
            let mut bytes = Vec::new();
            wire::write_frame(&mut bytes, &Request::Enlarge(spec.clone()), &[]).expect("written");
            let read = wire::read_frame::<Request>(&mut &bytes[..], &mut Vec::new());
            assert_eq!(read.ok(), expected.map(|_| Request::Enlarge(spec)), "{width} x {height} {scale:?}");
        };
        check(1, 1, EnlargeScale::Two, Some((2, 2)));
        check(640, 480, EnlargeScale::Four, Some((2560, 1920)));
        check(MAX_SIDE_PX / 2, 1, EnlargeScale::Two, Some((MAX_SIDE_PX, 2)));
        check(MAX_SIDE_PX / 2 + 1, 1, EnlargeScale::Two, None);
        check(1, MAX_SIDE_PX / 4 + 1, EnlargeScale::Four, None);
        check(1 << 15, 1 << 14, EnlargeScale::Two, Some((1 << 16, 1 << 15)));
        check(1 << 15, (1 << 14) + 1, EnlargeScale::Two, None);
        check(1 << 14, 1 << 14, EnlargeScale::Four, None);
        check(MAX_SIDE_PX, 1 << 13, EnlargeScale::Four, None);
    }
}
