//! JPEG: decoded by `zune-jpeg`, encoded by `jpeg-encoder`, its metadata segments read here ([`headers`]).
//!
//! Some kinds that this decoder gets wrong are left to a slower one ([`careful`]): colours that come one after the
//! other or are sampled unusually, inks with a profile, and files without an end mark.
//!
//! The decoder would rather give half a picture than none: where data are missing it goes on with zeros, for as
//! many pixels as the header asks for. So a progressive file without an end mark is refused before it is decoded, as is
//! one with too few bytes for its size; and a baseline file is decoded with its end mark cut off, as the decoder does
//! notice when it runs off the end. (Not noticed: a progressive file that lost data and got an end mark again. It
//! comes out less sharp somewhere.)

mod careful;
mod headers;
mod iptc;

use std::io::{BufRead, Read, Write};

use jpeg_encoder::{Encoder, EncodingError, PixelDensity, PixelDensityUnit};
use moxcms::ColorProfile;
use utsushi_ipc::pixels::{Channels, Depth, PixelFormat, Raster};
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use self::careful::Careful;
use self::headers::Headers;
use super::{
    Decoded, Format, Loss, MAX_PIXEL_BYTES, Metadata, Orientation, Picture, Problem, Resolution,
    WriteOptions, allocate, convert, encode_profile, exif, inks,
};

/// The largest file that is read into memory.
const MAX_FILE_BYTES: u64 = 1 << 30;
pub(super) const MAX_SIDE_PX: u32 = 65535;
const EXIF_NAME: &[u8] = b"Exif\0\0";
const XMP_NAME: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
const ICC_NAME: &[u8] = b"ICC_PROFILE\0";
/// A block of 64 pixels takes at least a bit, and at least one component has at least a quarter of the pixels.
const MAX_PIXELS_A_BYTE: u64 = 64 * 8 * 4;
/// Bytes that the decoder may look at behind the last it needs.
const LOOK_AHEAD: [u8; 16] = [0; 16];
/// The longest content of a segment.
const MAX_SEGMENT_BYTES: usize = 65533;
/// The longest EXIF data that fits into its one segment.
const MAX_EXIF_BYTES: usize = MAX_SEGMENT_BYTES - EXIF_NAME.len();

pub(super) fn decode(source: impl BufRead) -> Result<Decoded, Problem> {
    let mut file = Vec::new();
    source.take(MAX_FILE_BYTES + 1).read_to_end(&mut file).map_err(Problem::Read)?;
    if file.len() as u64 > MAX_FILE_BYTES {
        return Err(Problem::unsupported("it is a JPEG of more than 1 GiB"));
    }
    let headers = Headers::read(&file);
    if headers.precision > 8 {
        return Err(Problem::unsupported(format!("{}-bit JPEG isn't supported", headers.precision)));
    }
    let mut losses: Vec<_> = headers.losses().collect();
    let ends_early = || Problem::broken(Format::Jpeg, "it ends before its end mark");
    let end = match headers.end {
        Some(end) => end,
        // Whether a progressive one has all of its passes, nobody could tell.
        None if headers.progressive || headers.scans == 0 => return Err(ends_early()),
        None => {
            losses.push(Loss::EndMark);
            file.len()
        }
    };
    let inks = headers.icc.as_deref().filter(|icc| headers.sampling.len() == 4 && inks::describes(icc));
    // The fast decoder may take the next scan's header for the end of this one, and mix up the colours.
    let is_one_by_one = headers.scans > 1 && !headers.progressive;
    let is_usual = headers.is_sampled_as_usual() && !is_one_by_one && headers.end.is_some() && inks.is_none();
    let (raster, pixels, icc) = if is_usual {
        let (raster, pixels) = decode_usual(file, &headers, end)?;
        (raster, pixels, headers.icc)
    } else {
        let decoded = careful::decode(file, &headers, end, inks);
        let Careful { raster, pixels, is_srgb } = match decoded {
            Err(Problem::Broken { .. } | Problem::Unsupported { .. }) if headers.end.is_none() => {
                return Err(ends_early());
            }
            decoded => decoded?,
        };
        if inks.is_some() && !is_srgb {
            losses.push(Loss::InkProfile);
        }
        let srgb = || encode_profile(&ColorProfile::new_srgb());
        (raster, pixels, if is_srgb { srgb() } else { headers.icc })
    };

    let exif = headers.exif;
    let orientation = exif.as_deref().map_or(Orientation::UPRIGHT, exif::orientation);
    let resolution = headers.resolution.or_else(|| exif.as_deref().and_then(exif::resolution));
    let is_colour = raster.format().channels == Channels::Rgb;
    let icc = Metadata::profile(icc, is_colour);
    let icc = icc.or_else(|| Metadata::profile_by_exif(exif.as_deref(), is_colour));
    let (xmp, iptc) = (headers.xmp, headers.iptc);
    let metadata = Metadata { icc, exif, resolution, xmp, iptc, ..Metadata::default() };
    Ok(Decoded { picture: Picture { raster, pixels, metadata }, orientation, losses })
}

/// By the fast decoder. `end`: where the picture's data ends.
fn decode_usual(mut file: Vec<u8>, headers: &Headers, end: usize) -> Result<(Raster, Vec<u8>), Problem> {
    if !headers.progressive {
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
    let (raster, mut pixels) = allocate_for(width, height, channels, headers, end)?;
    decoder.decode_into(&mut pixels).map_err(reading)?;
    Ok((raster, pixels))
}

/// Checks a size that a header tells by what the file could hold.
fn allocate_for(
    width: usize,
    height: usize,
    channels: Channels,
    headers: &Headers,
    end: usize,
) -> Result<(Raster, Vec<u8>), Problem> {
    let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
    let allocated = allocate(side(width), side(height), PixelFormat { channels, depth: Depth::U8 })?;
    let raster = allocated.0;
    // All coefficients of a progressive picture are held, at 16 bits, until its last pass.
    let needed = raster.total_bytes() * 3;
    if headers.progressive && needed > MAX_PIXEL_BYTES {
        return Err(Problem::Memory { bytes: needed });
    }
    if u64::from(raster.width()) * u64::from(raster.height()) > end as u64 * MAX_PIXELS_A_BYTE {
        return Err(Problem::broken(Format::Jpeg, "it has too few data for its size"));
    }
    Ok(allocated)
}

/// Alpha is laid over white. What is too long for a segment of a JPEG is left out.
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
    let xmp = metadata.xmp.as_deref().map(|xmp| (1, [XMP_NAME, xmp].concat()));
    let iptc = metadata.iptc.as_deref().map(|records| (13, iptc::to_segment(records)));
    for (number, segment) in [xmp, iptc].into_iter().flatten() {
        if segment.len() <= MAX_SEGMENT_BYTES {
            encoder.add_app_segment(number, segment).map_err(writing)?;
        }
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
