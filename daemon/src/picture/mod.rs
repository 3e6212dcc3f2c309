//! Picture files: PNG, JPEG, WebP and TIFF in, the same out.
//!
//! [`read`] turns a file into a [`Picture`]: plain pixels, upright, with what has to survive a trip through the
//! network and back into a file: the ICC profile, the EXIF data and the resolution. [`write()`] is the way back.
//!
//! ```text
//! file > Format::of > png | jpeg | webp | tiff ::decode > orientation, exif::settle > Picture
//! Picture > png | jpeg | webp | tiff ::encode > replace (a temporary file, renamed) > file
//! ```
//!
//! Files are untrusted. A header's sizes are checked before anything is allocated, a file that is broken or cut
//! short is refused as a whole, and no input makes this module panic.
//!
//! What a format can't hold is converted when it is written:
//!
//! | format | channels                     | samples                | sides at most |
//! |--------|------------------------------|------------------------|---------------|
//! | PNG    | all                          | 8, 16; f32 becomes 16  | as a raster's |
//! | JPEG   | alpha is laid over white     | 8                      | 65535         |
//! | WebP   | grey comes back as RGB       | 8, lossless            | 16383         |
//! | TIFF   | all                          | 8, 16, f32             | as a raster's |
//!
//! A file may hold more than one picture, of which the first is read; [`open`] tells of that as a [`Loss`].
//!
//! XMP is kept in all formats, IPTC in JPEG and TIFF, and a PNG's texts in PNG. What isn't kept: comments; thumbnails,
//! which would show the picture as it was; XMP of what else was in the file; maker notes on the way into or out of a
//! TIFF, as they point at places of the file they were in. An ICC profile is left out where it doesn't
//! describe the written channels. What a PNG tells of its colours in other chunks, it gets back; other formats get a
//! profile that says the same. A CMYK JPEG or TIFF becomes sRGB by its
//! profile, or without one, RGB.

mod convert;
mod error;
mod exif;
mod inks;
mod jpeg;
mod loss;
mod metadata;
mod orientation;
mod panics;
mod png;
mod replace;
#[cfg(test)]
mod tests;
mod tiff;
mod webp;
mod xmp;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, Write};
use std::path::Path;

use utsushi_ipc::pixels::{Channels, Depth, MAX_SIDE_PX, PixelFormat, Raster};

pub use self::error::{PictureError, Problem};
pub use self::loss::{Loss, Part};
pub use self::metadata::{Metadata, PngColour, Resolution, encode_profile};
use self::orientation::Orientation;
pub use self::png::PngTexts;

/// The most bytes of pixels that are read into memory: 4 GiB, a gigapixel of 8-bit RGBA.
pub const MAX_PIXEL_BYTES: u64 = 4 << 30;
/// Readers and writers go through a buffer of this size.
const BUFFER_BYTES: usize = 256 << 10;

/// A picture in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Size and format.
    pub raster: Raster,
    /// Interleaved samples in the machine's byte order, upright: EXIF orientation is already applied.
    pub pixels: Vec<u8>,
    /// What else is kept.
    pub metadata: Metadata,
}

impl Picture {
    /// The ICC profile of the colours, if there is one for pixels of this kind.
    pub fn profile(&self) -> Option<&[u8]> {
        let is_colour = matches!(self.raster.format().channels, Channels::Rgb | Channels::Rgba);
        self.metadata.icc_for(is_colour)
    }

    /// The same picture with other pixels, in another size; its metadata then says so.
    #[must_use]
    pub fn redrawn(self, raster: Raster, pixels: Vec<u8>) -> Self {
        let mut metadata = self.metadata;
        if let Some(exif) = &mut metadata.exif
            && raster != self.raster
        {
            exif::settle(exif, raster.width(), raster.height());
        }
        Self { raster, pixels, metadata }
    }

    /// Does it have values above 1, which of all formats only TIFF has?
    pub fn is_brighter_than_white(&self) -> bool {
        self.raster.format().depth == Depth::F32 && convert::f32s(&self.pixels).any(|value| value > 1.0)
    }
}

/// A format of picture files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Portable Network Graphics.
    Png,
    /// JPEG, baseline and progressive.
    Jpeg,
    /// WebP; written lossless.
    WebP,
    /// TIFF and BigTIFF; written with deflate.
    Tiff,
}

/// How a picture is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteOptions {
    /// 1..=100; values beyond are taken as the nearest. From 90 on colours keep their full resolution (4:4:4),
    /// below it they are halved (4:2:0).
    pub jpeg_quality: u8,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self { jpeg_quality: 95 }
    }
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Png, Self::Jpeg, Self::WebP, Self::Tiff];

    /// How its files' names end, in lower case; the usual one first.
    pub const fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Png => &["png"],
            Self::Jpeg => &["jpg", "jpeg", "jpe", "jfif"],
            Self::WebP => &["webp"],
            Self::Tiff => &["tif", "tiff"],
        }
    }

    /// Its name, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::WebP => "WebP",
            Self::Tiff => "TIFF",
        }
    }

    /// Can a picture be held in memory, and in a file of this format?
    ///
    /// # Errors
    /// If it can't.
    pub fn check(self, raster: Raster) -> Result<(), Problem> {
        let (width, height) = (raster.width(), raster.height());
        let max_side_px = match self {
            Self::Jpeg => jpeg::MAX_SIDE_PX,
            Self::WebP => webp::MAX_SIDE_PX,
            Self::Png | Self::Tiff => MAX_SIDE_PX,
        };
        if width.max(height) > max_side_px {
            return Err(Problem::FormatTooSmall { format: self, width, height, max_side_px });
        }
        match raster.total_bytes() {
            bytes if bytes > MAX_PIXEL_BYTES => Err(Problem::Memory { bytes }),
            _ => Ok(()),
        }
    }

    /// By how the file's name ends, in upper or lower case.
    pub fn from_path(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        Self::ALL.into_iter().find(|format| format.extensions().contains(&extension.as_str()))
    }

    /// By how the file's content begins; 12 bytes are enough.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::WebP),
            [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Some(Self::Tiff),
            _ => None,
        }
    }
}

/// A picture that was read, and what its file holds besides it.
#[derive(Debug, Clone, PartialEq)]
pub struct Opened {
    /// The picture, or the first of them.
    pub picture: Picture,
    /// In no particular order; mostly empty.
    pub losses: Vec<Loss>,
}

/// Reads a picture, for callers that need nothing else of its file; others [`open`] it.
pub fn read(path: &Path) -> Result<Picture, PictureError> {
    open(path).map(|opened| opened.picture)
}

/// Reads a picture. What it is, is told by its content, not by its name.
pub fn open(path: &Path) -> Result<Opened, PictureError> {
    let read = || {
        let file = File::open(path).map_err(Problem::Read)?;
        if file.metadata().map_err(Problem::Read)?.is_dir() {
            return Err(Problem::Read(io::ErrorKind::IsADirectory.into()));
        }
        decode(BufReader::with_capacity(BUFFER_BYTES, file))
    };
    read().map_err(|problem| PictureError::new(path, problem))
}

/// Writes a picture. The file appears as a whole or not at all, and one that was there is replaced in one step.
pub fn write(
    path: &Path,
    format: Format,
    picture: &Picture,
    options: &WriteOptions,
) -> Result<(), PictureError> {
    replace::replace(path, |out| encode(out, format, picture, options))
        .map_err(|problem| PictureError::new(path, problem))
}

/// A picture as it lies in its file.
struct Decoded {
    picture: Picture,
    orientation: Orientation,
    losses: Vec<Loss>,
}

fn decode(mut source: impl BufRead + Seek) -> Result<Opened, Problem> {
    let format = Format::of(source.fill_buf().map_err(Problem::Read)?).ok_or(Problem::UnknownFormat)?;
    // The decoders are other people's work. Should one of them panic over a file, that is one unreadable file, not
    // the end of a batch.
    let decoded = panics::caught(|| match format {
        Format::Png => png::decode(source),
        Format::Jpeg => jpeg::decode(source),
        Format::WebP => webp::decode(source),
        Format::Tiff => tiff::decode(source),
    })
    .unwrap_or_else(|| {
        Err(Problem::unsupported(format!("it is a {} of a kind that isn't supported", format.name())))
    })?;
    let Decoded { picture, orientation, losses } = decoded;
    Ok(Opened { picture: upright(picture, orientation), losses })
}

fn encode<W: Write + Seek>(
    out: &mut W,
    format: Format,
    picture: &Picture,
    options: &WriteOptions,
) -> Result<(), Problem> {
    let (expected, found) = (picture.raster.total_bytes(), picture.pixels.len() as u64);
    if expected != found {
        return Err(Problem::WrongLength { expected, found });
    }
    match format {
        Format::Png => png::encode(out, picture),
        Format::Jpeg => jpeg::encode(out, picture, options),
        Format::WebP => webp::encode(out, picture),
        Format::Tiff => tiff::encode(out, picture),
    }
}

/// Applies the orientation to the pixels, and makes the metadata say so.
fn upright(picture: Picture, orientation: Orientation) -> Picture {
    let Picture { raster, pixels, mut metadata } = picture;
    let (raster, pixels) = orientation.apply(raster, pixels);
    if orientation.swaps_sides() {
        metadata.resolution = metadata.resolution.map(Resolution::swapped);
    }
    if let Some(exif) = &mut metadata.exif {
        exif::settle(exif, raster.width(), raster.height());
    }
    Picture { raster, pixels, metadata }
}

/// Checks the sizes a header tells, and only then gets the memory.
fn allocate(width: u32, height: u32, format: PixelFormat) -> Result<(Raster, Vec<u8>), Problem> {
    let raster = Raster::new(width, height, format).map_err(Problem::Size)?;
    let bytes = raster.total_bytes();
    let out_of_memory = || Problem::Memory { bytes };
    if bytes > MAX_PIXEL_BYTES {
        return Err(out_of_memory());
    }
    let length = usize::try_from(bytes).map_err(|_| out_of_memory())?;
    // Asked for once to hear of a refusal, and again as zeroed pages that cost nothing until they are written:
    // a small file that tells of an enormous picture fails before it has cost any memory.
    Vec::<u8>::new().try_reserve_exact(length).map_err(|_| out_of_memory())?;
    Ok((raster, vec![0; length]))
}
