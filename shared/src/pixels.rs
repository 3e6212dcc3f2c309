//! Checked descriptions of raw pixels: once a [`Raster`] exists, its sizes fit into memory arithmetic.

use serde::{Deserialize, Serialize};

/// The longest side a picture may have, in pixels.
pub const MAX_SIDE_PX: u32 = 1 << 18;
/// The most pixels a picture may have.
pub const MAX_AREA_PX: u64 = 1 << 31;

/// What a pixel is made of. Channels are interleaved; `u16` and `f32` are in the machine's byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PixelFormat {
    /// Colours and alpha.
    pub channels: Channels,
    /// The type of a sample.
    pub depth: Depth,
}

/// Colours and alpha. Values are gamma-encoded (sRGB-like), and alpha is not multiplied in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Channels {
    /// Luminance.
    Grey,
    /// Luminance and alpha.
    GreyAlpha,
    /// Red, green, blue.
    Rgb,
    /// Red, green, blue, alpha.
    Rgba,
}

/// The type of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Depth {
    /// 0..=255.
    U8,
    /// 0..=65535.
    U16,
    /// 0.0..=1.0, and beyond where the source goes beyond.
    F32,
}

impl Channels {
    /// Samples a pixel.
    pub const fn count(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::GreyAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }

    /// Is the last channel alpha?
    pub const fn has_alpha(self) -> bool {
        matches!(self, Self::GreyAlpha | Self::Rgba)
    }
}

impl Depth {
    /// Bytes a sample.
    pub const fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 => 2,
            Self::F32 => 4,
        }
    }
}

impl PixelFormat {
    /// Bytes a pixel.
    pub const fn pixel_bytes(self) -> usize {
        self.channels.count() * self.depth.bytes()
    }
}

/// A picture's size and format, with sides of at least 1 and at most [`MAX_SIDE_PX`], and at most
/// [`MAX_AREA_PX`] pixels. Deserialising checks the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawRaster")]
pub struct Raster {
    width: u32,
    height: u32,
    format: PixelFormat,
}

/// Why a picture can't be described.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RasterError {
    /// A side of 0.
    #[error("the picture is {width} x {height} pixels: it has nothing to draw on")]
    Empty {
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
    },
    /// Larger than the caps.
    #[error(
        "the picture is {width} x {height} pixels: at most {MAX_SIDE_PX} a side and {MAX_AREA_PX} in all can be \
         worked on; reduce it or cut it first"
    )]
    TooLarge {
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
    },
}

impl Raster {
    /// Checks the sizes.
    pub fn new(width: u32, height: u32, format: PixelFormat) -> Result<Self, RasterError> {
        if width == 0 || height == 0 {
            return Err(RasterError::Empty { width, height });
        }
        let area = u64::from(width) * u64::from(height);
        if width > MAX_SIDE_PX || height > MAX_SIDE_PX || area > MAX_AREA_PX {
            return Err(RasterError::TooLarge { width, height });
        }
        Ok(Self { width, height, format })
    }

    /// In pixels.
    pub const fn width(&self) -> u32 {
        self.width
    }

    /// In pixels.
    pub const fn height(&self) -> u32 {
        self.height
    }

    /// What a pixel is made of.
    pub const fn format(&self) -> PixelFormat {
        self.format
    }

    /// Bytes a row; rows follow each other without padding.
    pub const fn row_bytes(&self) -> usize {
        self.width as usize * self.format.pixel_bytes()
    }

    /// Bytes of the whole picture.
    pub const fn total_bytes(&self) -> u64 {
        self.row_bytes() as u64 * self.height as u64
    }
}

#[derive(Deserialize)]
struct RawRaster {
    width: u32,
    height: u32,
    format: PixelFormat,
}

impl TryFrom<RawRaster> for Raster {
    type Error = RasterError;

    fn try_from(raw: RawRaster) -> Result<Self, RasterError> {
        Self::new(raw.width, raw.height, raw.format)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GREY: PixelFormat = PixelFormat { channels: Channels::Grey, depth: Depth::U8 };

    #[test]
    fn sizes_are_capped() {
        fn check(width: u32, height: u32, expected: Result<u64, RasterError>) {
            let found = Raster::new(width, height, GREY).map(|raster| raster.total_bytes());
            assert_eq!(found, expected, "{width} x {height}");
        }
        let too_large = |width, height| Err(RasterError::TooLarge { width, height });

        check(1, 1, Ok(1));
        check(MAX_SIDE_PX, 1, Ok(1 << 18));
        check(1, MAX_SIDE_PX, Ok(1 << 18));
        check(MAX_SIDE_PX, 1 << 13, Ok(1 << 31));
        check(0, 5, Err(RasterError::Empty { width: 0, height: 5 }));
        check(5, 0, Err(RasterError::Empty { width: 5, height: 0 }));
        check(MAX_SIDE_PX + 1, 1, too_large(MAX_SIDE_PX + 1, 1));
        check(1, MAX_SIDE_PX + 1, too_large(1, MAX_SIDE_PX + 1));
        check(MAX_SIDE_PX, (1 << 13) + 1, too_large(MAX_SIDE_PX, (1 << 13) + 1));
        check(u32::MAX, u32::MAX, too_large(u32::MAX, u32::MAX));
    }

    #[test]
    fn bytes_follow_from_the_format() {
        fn check(channels: Channels, depth: Depth, row_bytes: usize) {
            let raster = Raster::new(7, 3, PixelFormat { channels, depth }).expect("a small picture");
            assert_eq!(raster.row_bytes(), row_bytes, "{channels:?} {depth:?}");
            assert_eq!(raster.total_bytes(), row_bytes as u64 * 3, "{channels:?} {depth:?}");
        }

        check(Channels::Grey, Depth::U8, 7);
        check(Channels::GreyAlpha, Depth::U16, 28);
        check(Channels::Rgb, Depth::U8, 21);
        check(Channels::Rgb, Depth::F32, 84);
        check(Channels::Rgba, Depth::F32, 112);
    }
}
