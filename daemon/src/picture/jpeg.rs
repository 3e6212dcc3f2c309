//! JPEG: decoded by `zune-jpeg`, encoded by `jpeg-encoder`, its metadata segments read here.
//!
//! The decoder would rather give half a picture than none: where data are missing it goes on with zeros, for as
//! many pixels as the header asks for. So a file without an end mark is refused before it is decoded, as is one
//! with too few bytes for its size; and a baseline file is decoded with its end mark cut off, as the decoder does
//! notice when it runs off the end. (Not noticed: a progressive file that lost data and got an end mark again. It
//! comes out less sharp somewhere.)

use std::io::{BufRead, Read, Write};

use jpeg_encoder::{Encoder, EncodingError, PixelDensity, PixelDensityUnit};
use utsushi_ipc::pixels::{Channels, Depth, PixelFormat};
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::{
    Decoded, Format, MAX_PIXEL_BYTES, Metadata, Orientation, Picture, Problem, Resolution, WriteOptions,
    allocate, convert, exif,
};

/// The largest file that is read into memory.
const MAX_FILE_BYTES: u64 = 1 << 30;
const MAX_SIDE_PX: u32 = 65535;
const EXIF_NAME: &[u8] = b"Exif\0\0";
const ICC_NAME: &[u8] = b"ICC_PROFILE\0";
/// A block of 64 pixels takes at least a bit, and at least one component has at least a quarter of the pixels.
const MAX_PIXELS_A_BYTE: u64 = 64 * 8 * 4;
/// Bytes that the decoder may look at behind the last it needs.
const LOOK_AHEAD: [u8; 16] = [0; 16];
/// The longest EXIF data that fits into its one segment.
const MAX_EXIF_BYTES: usize = 65533 - EXIF_NAME.len();

pub(super) fn decode(source: impl BufRead) -> Result<Decoded, Problem> {
    let mut file = Vec::new();
    source.take(MAX_FILE_BYTES + 1).read_to_end(&mut file).map_err(Problem::Read)?;
    if file.len() as u64 > MAX_FILE_BYTES {
        return Err(Problem::unsupported("it is a JPEG of more than 1 GiB"));
    }
    let headers = Headers::read(&file);
    let end = headers.end.ok_or_else(|| Problem::broken(Format::Jpeg, "it ends before its end mark"))?;
    if !headers.progressive {
        // The decoder may take the next scan's header for the end of this one, and mix up the colours.
        if headers.scans > 1 {
            return Err(Problem::unsupported("it is a JPEG with its colours one after the other"));
        }
        file.truncate(end);
        file.extend(LOOK_AHEAD);
    }

    // Headers are taken as they come, as cameras write odd ones. In the picture itself an error is an error.
    let options =
        DecoderOptions::default().set_max_width(usize::MAX).set_max_height(usize::MAX).set_strict_mode(false);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(file.as_slice()), options);
    decoder.decode_headers().map_err(reading)?;
    let (channels, space) = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => (Channels::Grey, ColorSpace::Luma),
        Some(ColorSpace::YCbCr | ColorSpace::RGB | ColorSpace::CMYK | ColorSpace::YCCK) => {
            (Channels::Rgb, ColorSpace::RGB)
        }
        other => return Err(Problem::unsupported(format!("it is a JPEG of unusual colours ({other:?})"))),
    };
    decoder.set_options(options.jpeg_set_out_colorspace(space).set_strict_mode(true));
    let (width, height) = decoder.dimensions().unwrap_or_default();
    let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
    let (raster, mut pixels) =
        allocate(side(width), side(height), PixelFormat { channels, depth: Depth::U8 })?;
    // All coefficients of a progressive picture are held, at 16 bits, until its last pass.
    let needed = raster.total_bytes() * 3;
    if headers.progressive && needed > MAX_PIXEL_BYTES {
        return Err(Problem::Memory { bytes: needed });
    }
    if u64::from(raster.width()) * u64::from(raster.height()) > end as u64 * MAX_PIXELS_A_BYTE {
        return Err(Problem::broken(Format::Jpeg, "it has too few data for its size"));
    }
    decoder.decode_into(&mut pixels).map_err(reading)?;

    let exif = headers.exif;
    let orientation = exif.as_deref().map_or(Orientation::UPRIGHT, exif::orientation);
    let resolution = headers.resolution.or_else(|| exif.as_deref().and_then(exif::resolution));
    let icc = Metadata::profile(headers.icc, channels == Channels::Rgb);
    let metadata = Metadata { icc, exif, resolution };
    Ok(Decoded { picture: Picture { raster, pixels, metadata }, orientation })
}

/// Alpha is laid over white. EXIF data that is too long for a JPEG is left out.
pub(super) fn encode(out: &mut impl Write, picture: &Picture, options: &WriteOptions) -> Result<(), Problem> {
    let Picture { raster, metadata, .. } = picture;
    let too_small = |_| Problem::FormatTooSmall {
        format: Format::Jpeg,
        width: raster.width(),
        height: raster.height(),
        max_side_px: MAX_SIDE_PX,
    };
    let width = u16::try_from(raster.width()).map_err(too_small)?;
    let height = u16::try_from(raster.height()).map_err(too_small)?;

    let samples = convert::to_u8(picture);
    let (samples, color) = match raster.format().channels {
        Channels::Grey => (samples, jpeg_encoder::ColorType::Luma),
        Channels::GreyAlpha => (convert::over_white::<1>(&samples).into(), jpeg_encoder::ColorType::Luma),
        Channels::Rgb => (samples, jpeg_encoder::ColorType::Rgb),
        Channels::Rgba => (convert::over_white::<3>(&samples).into(), jpeg_encoder::ColorType::Rgb),
    };
    let mut encoder = Encoder::new(out, options.jpeg_quality.clamp(1, 100));
    if let Some(density) = metadata.resolution.and_then(density) {
        encoder.set_density(density);
    }
    if let Some(exif) = metadata.exif.as_deref().filter(|exif| exif.len() <= MAX_EXIF_BYTES) {
        encoder.add_exif_metadata(exif).map_err(writing)?;
    }
    if let Some(icc) = metadata.icc_for(color == jpeg_encoder::ColorType::Rgb) {
        encoder.add_icc_profile(icc).map_err(writing)?;
    }
    encoder.encode(&samples, width, height, color).map_err(writing)
}

fn density(resolution: Resolution) -> Option<PixelDensity> {
    let whole =
        |ppi: f64| Some(ppi.round()).filter(|ppi| (1.0..=65535.0).contains(ppi)).map(|ppi| ppi as u16);
    let density = (whole(resolution.x_ppi)?, whole(resolution.y_ppi)?);
    Some(PixelDensity { density, unit: PixelDensityUnit::Inches })
}

fn reading(error: DecodeErrors) -> Problem {
    match error {
        DecodeErrors::Unsupported(scheme) => {
            Problem::unsupported(format!("it is a JPEG of a rare kind ({scheme:?})"))
        }
        other => Problem::broken(Format::Jpeg, format_args!("{other:?}")),
    }
}

fn writing(error: EncodingError) -> Problem {
    match error {
        EncodingError::IoError(error) => Problem::Write(error),
        other => Problem::encoding(other),
    }
}

/// What the segments before and between the scans tell.
#[derive(Debug, Default, PartialEq)]
struct Headers {
    resolution: Option<Resolution>,
    exif: Option<Vec<u8>>,
    icc: Option<Vec<u8>>,
    /// Does the picture come in several passes?
    progressive: bool,
    scans: usize,
    /// Where the end mark lies.
    end: Option<usize>,
}

impl Headers {
    fn read(file: &[u8]) -> Self {
        let mut headers = Self::default();
        let mut icc = IccChunks::default();
        let mut rest = file.get(2..).unwrap_or_default();
        // Between segments there are fill bytes (0xff), and, after a scan's header, its data. In the data 0xff is
        // followed by 0 or is a restart mark; so this loop looks for the next real mark in both cases.
        while let Some(mark) = rest.iter().position(|&byte| byte == 0xff) {
            rest = &rest[mark + 1..];
            let marker = match rest.first() {
                Some(0xd9) => {
                    headers.end = Some(file.len() - rest.len() - 1);
                    break;
                }
                Some(0xff) => continue,
                Some(&(0x01 | 0xd0..=0xd8 | 0)) => {
                    rest = &rest[1..];
                    continue;
                }
                Some(&marker) => marker,
                None => break,
            };
            let Some(&[high, low]) = rest.get(1..3) else { break };
            let length = usize::from(u16::from_be_bytes([high, low]));
            let Some(payload) = rest.get(3..1 + length) else { break };
            match marker {
                0xc2 => headers.progressive = true,
                0xda => headers.scans += 1,
                0xe0 => headers.resolution = headers.resolution.or_else(|| jfif_resolution(payload)),
                0xe1 if payload.starts_with(EXIF_NAME) && headers.exif.is_none() => {
                    headers.exif = exif::from_chunk(payload);
                }
                0xe2 => icc.push(payload),
                _ => {}
            }
            rest = &rest[1 + length..];
        }
        headers.icc = icc.joined();
        headers
    }
}

fn jfif_resolution(payload: &[u8]) -> Option<Resolution> {
    let &[unit, x_high, x_low, y_high, y_low] = payload.strip_prefix(b"JFIF\0")?.get(2..7)? else {
        return None;
    };
    let x = f64::from(u16::from_be_bytes([x_high, x_low]));
    let y = f64::from(u16::from_be_bytes([y_high, y_low]));
    match unit {
        1 => Resolution::per_inch(x, y),
        2 => Resolution::per_centimetre(x, y),
        _ => None,
    }
}

/// An ICC profile comes in up to 255 numbered pieces, in any order.
#[derive(Default)]
struct IccChunks<'a> {
    count: u8,
    pieces: Vec<(u8, &'a [u8])>,
}

impl<'a> IccChunks<'a> {
    fn push(&mut self, payload: &'a [u8]) {
        if let Some([number, count, piece @ ..]) = payload.strip_prefix(ICC_NAME) {
            self.count = *count;
            self.pieces.push((*number, piece));
        }
    }

    /// All pieces, or nothing if one is missing or there twice.
    fn joined(mut self) -> Option<Vec<u8>> {
        self.pieces.sort_by_key(|(number, _)| *number);
        let numbers = self.pieces.iter().map(|(number, _)| *number);
        (self.count > 0 && numbers.eq(1..=self.count))
            .then(|| self.pieces.iter().flat_map(|(_, piece)| piece.iter().copied()).collect())
    }
}
