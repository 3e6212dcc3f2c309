//! WebP: decoded by the `image` crate, encoded by `image-webp`, lossless.
//!
//! Of an animation the first frame is read. The resolution has no place of its own in a WebP file: it lives in the
//! EXIF data.

use std::borrow::Cow;
use std::io::{BufRead, Seek, SeekFrom, Write};

use image::codecs::webp::WebPDecoder;
use image::{ImageDecoder, ImageError};
use image_webp::{ColorType, EncodingError, WebPEncoder};
use utsushi_ipc::pixels::{Channels, Depth, PixelFormat};

use super::exif::{self, Fields};
use super::{Decoded, Format, Loss, Metadata, Orientation, Part, Picture, Problem, allocate, convert, xmp};

pub(super) const MAX_SIDE_PX: u32 = 16383;

pub(super) fn decode(mut source: impl BufRead + Seek) -> Result<Decoded, Problem> {
    let frames = check_chunks(&mut source)?;
    let mut decoder = WebPDecoder::new(source).map_err(reading)?;
    let (width, height) = decoder.dimensions();
    let channels =
        if decoder.color_type() == image::ColorType::Rgba8 { Channels::Rgba } else { Channels::Rgb };
    let (raster, mut pixels) = allocate(width, height, PixelFormat { channels, depth: Depth::U8 })?;
    let icc = Metadata::profile(decoder.icc_profile().map_err(reading)?, true);
    let exif = decoder.exif_metadata().map_err(reading)?.as_deref().and_then(exif::from_chunk);
    let xmp = decoder.xmp_metadata().map_err(reading)?.as_deref().and_then(xmp::from_packet);
    decoder.read_image(&mut pixels).map_err(reading)?;

    let icc = icc.or_else(|| Metadata::profile_by_exif(exif.as_deref(), true));
    let orientation = exif.as_deref().map_or(Orientation::UPRIGHT, exif::orientation);
    let resolution = exif.as_deref().and_then(exif::resolution);
    let metadata = Metadata { icc, exif, resolution, xmp, ..Metadata::default() };
    let losses = Loss::parts(Part::Frame, frames.saturating_sub(1)).into_iter().collect();
    Ok(Decoded { picture: Picture { raster, pixels, metadata }, orientation, losses })
}

pub(super) fn encode(out: &mut impl Write, picture: &Picture) -> Result<(), Problem> {
    let Picture { raster, metadata, .. } = picture;
    let (width, height) = (raster.width(), raster.height());
    Format::WebP.check(*raster)?;
    let color = match raster.format().channels {
        Channels::Grey => ColorType::L8,
        Channels::GreyAlpha => ColorType::La8,
        Channels::Rgb => ColorType::Rgb8,
        Channels::Rgba => ColorType::Rgba8,
    };
    let mut encoder = WebPEncoder::new(out);
    if let Some(icc) = metadata.icc_for(true) {
        encoder.set_icc_profile(icc.to_vec());
    }
    if let Some(exif) = with_resolution(metadata) {
        encoder.set_exif_metadata(exif.into_owned());
    }
    if let Some(xmp) = &metadata.xmp {
        encoder.set_xmp_metadata(xmp.clone());
    }
    encoder.encode(&convert::to_u8(picture), width, height, color).map_err(writing)
}

/// The EXIF data; rebuilt, or made for the purpose, if they don't tell the resolution.
fn with_resolution(metadata: &Metadata) -> Option<Cow<'_, [u8]>> {
    let exif = metadata.exif.as_deref();
    match metadata.resolution {
        Some(resolution) if !exif.and_then(exif::resolution).is_some_and(|told| told.is_near(resolution)) => {
            let fields = exif.and_then(Fields::of).unwrap_or_default();
            Some(Cow::Owned(fields.with_resolution(resolution).to_exif()))
        }
        _ => exif.map(Cow::Borrowed),
    }
}

/// Do the file and all its chunks end where they say? The decoder asks for a chunk's memory before it looks. Returns
/// how many frames of an animation there are.
fn check_chunks(source: &mut (impl BufRead + Seek)) -> Result<u64, Problem> {
    let io = |error| Problem::reading(Format::WebP, error);
    let cut_short = || Problem::broken(Format::WebP, "it ends before its last chunk does");
    let length = source.seek(SeekFrom::End(0)).map_err(io)?;
    source.rewind().map_err(io)?;
    let mut head = [0; 12];
    source.read_exact(&mut head).map_err(io)?;
    let end = 8 + u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]]));
    if end > length {
        return Err(cut_short());
    }
    let (mut at, mut frames) = (12, 0);
    while at + 8 <= end {
        let mut chunk = [0; 8];
        source.read_exact(&mut chunk).map_err(io)?;
        let size = u64::from(u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]));
        if at + 8 + size > end {
            return Err(cut_short());
        }
        frames += u64::from(chunk.starts_with(b"ANMF"));
        at += 8 + size + size % 2;
        source.seek(SeekFrom::Start(at)).map_err(io)?;
    }
    source.rewind().map_err(io)?;
    Ok(frames)
}

fn reading(error: ImageError) -> Problem {
    match error {
        ImageError::IoError(error) => Problem::reading(Format::WebP, error),
        ImageError::Unsupported(what) => Problem::unsupported(what.to_string()),
        other => Problem::broken(Format::WebP, other),
    }
}

fn writing(error: EncodingError) -> Problem {
    match error {
        EncodingError::IoError(error) => Problem::Write(error),
        other => Problem::encoding(other),
    }
}
