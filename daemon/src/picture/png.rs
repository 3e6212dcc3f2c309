//! PNG, by the `png` crate.
//!
//! Palettes, 1, 2 and 4 bits and transparent colours are expanded. Of an animated PNG the first frame is read, or
//! the still picture that stands in for it. Written with fast compression: about as small as libpng's level 2 or 3,
//! several times as fast.

mod colour;
mod text;

use std::borrow::Cow;
use std::io::{BufRead, Seek, Write};

use png::{
    BitDepth, ColorType, Compression, DecodingError, EncodingError, PixelDimensions, Transformations, Unit,
};
use utsushi_ipc::pixels::{Channels, Depth, PixelFormat};

pub(super) use self::colour::ColourChunks;
pub use self::text::PngTexts;
use super::{
    Decoded, Format, Loss, Metadata, Orientation, Part, Picture, PngColour, Problem, Resolution, allocate,
    convert, exif,
};

pub(super) fn decode(mut source: impl BufRead + Seek) -> Result<Decoded, Problem> {
    let (png_texts, xmp) = text::read(&mut source).map_err(|e| Problem::reading(Format::Png, e))?;
    let mut decoder = png::Decoder::new(source);
    decoder.set_transformations(Transformations::EXPAND);
    decoder.set_ignore_text_chunk(true);
    let mut reader = decoder.read_info().map_err(reading)?;

    let (color, depth) = reader.output_color_type();
    let channels = match color {
        ColorType::Grayscale => Channels::Grey,
        ColorType::GrayscaleAlpha => Channels::GreyAlpha,
        ColorType::Rgb => Channels::Rgb,
        ColorType::Rgba => Channels::Rgba,
        ColorType::Indexed => return Err(Problem::broken(Format::Png, "a palette that can't be expanded")),
    };
    let depth = if depth == BitDepth::Sixteen { Depth::U16 } else { Depth::U8 };
    let (width, height) = reader.info().size();
    // The still picture of an animated PNG may be its first frame, or none of them.
    let frames = reader.info().animation_control.map_or(0, |animation| u64::from(animation.num_frames));
    let is_a_frame = reader.info().frame_control.is_some();
    let losses = Loss::parts(Part::Frame, frames.saturating_sub(u64::from(is_a_frame)));
    let (raster, mut pixels) = allocate(width, height, PixelFormat { channels, depth })?;
    let frame = reader.next_frame(&mut pixels).map_err(reading)?;
    if (frame.width, frame.height) != (width, height) {
        return Err(Problem::broken(Format::Png, "its first frame doesn't cover it"));
    }
    // To the end, where a file that is cut short shows, and EXIF data may follow.
    reader.finish().map_err(reading)?;
    if depth == Depth::U16 {
        convert::u16_swap_be(&mut pixels);
    }

    let info = reader.info();
    let exif = info.exif_metadata.as_deref().and_then(exif::from_chunk);
    let orientation = exif.as_deref().map_or(Orientation::UPRIGHT, exif::orientation);
    let resolution = match info.pixel_dims {
        Some(PixelDimensions { xppu, yppu, unit: Unit::Meter }) => Resolution::per_metre(xppu, yppu),
        _ => exif.as_deref().and_then(exif::resolution),
    };
    let icc = info.icc_profile.as_deref().map(<[u8]>::to_vec);
    let icc = Metadata::profile(icc, is_colour(channels));
    let chunks = ColourChunks::of(info);
    let icc = icc.or_else(|| chunks.as_ref()?.to_profile(is_colour(channels)));
    let png_colour = chunks.map(|chunks| PngColour { chunks, icc: icc.clone() });
    let metadata = Metadata { icc, png_colour, exif, resolution, xmp, png_texts, iptc: None };
    let losses = losses.into_iter().collect();
    Ok(Decoded { picture: Picture { raster, pixels, metadata }, orientation, losses })
}

pub(super) fn encode(out: &mut impl Write, picture: &Picture) -> Result<(), Problem> {
    let Picture { raster, pixels, metadata } = picture;
    let PixelFormat { channels, depth } = raster.format();
    let samples = match depth {
        Depth::U8 => Cow::Borrowed(pixels),
        Depth::U16 => {
            let mut swapped = pixels.clone();
            convert::u16_swap_be(&mut swapped);
            Cow::Owned(swapped)
        }
        Depth::F32 => Cow::Owned(convert::f32_to_u16_be(pixels)),
    };

    let mut info = png::Info::with_size(raster.width(), raster.height());
    info.color_type = match channels {
        Channels::Grey => ColorType::Grayscale,
        Channels::GreyAlpha => ColorType::GrayscaleAlpha,
        Channels::Rgb => ColorType::Rgb,
        Channels::Rgba => ColorType::Rgba,
    };
    info.bit_depth = if depth == Depth::U8 { BitDepth::Eight } else { BitDepth::Sixteen };
    let icc = metadata.icc_for(is_colour(channels));
    let chunks =
        metadata.png_colour.as_ref().and_then(|colour| colour.chunks_beside(metadata.icc.as_deref()));
    info.icc_profile = icc.map(Cow::Borrowed);
    if let Some(chunks) = chunks {
        chunks.set(&mut info);
    }
    info.exif_metadata = metadata.exif.as_deref().map(Cow::Borrowed);
    info.pixel_dims = metadata.resolution.map(|resolution| {
        let (xppu, yppu) = resolution.to_metre();
        PixelDimensions { xppu, yppu, unit: Unit::Meter }
    });
    let mut encoder = png::Encoder::with_info(out, info).map_err(writing)?;
    encoder.set_compression(Compression::Fast);
    let mut writer = encoder.write_header().map_err(writing)?;
    if let Some(chunks) = chunks {
        chunks.write(&mut writer).map_err(writing)?;
    }
    metadata.png_texts.write(&mut writer).map_err(writing)?;
    if let Some(xmp) = &metadata.xmp {
        text::write_xmp(&mut writer, xmp).map_err(writing)?;
    }
    writer.write_image_data(&samples).map_err(writing)?;
    writer.finish().map_err(writing)
}

fn is_colour(channels: Channels) -> bool {
    matches!(channels, Channels::Rgb | Channels::Rgba)
}

fn reading(error: DecodingError) -> Problem {
    match error {
        DecodingError::IoError(error) => Problem::reading(Format::Png, error),
        other => Problem::broken(Format::Png, other),
    }
}

fn writing(error: EncodingError) -> Problem {
    match error {
        EncodingError::IoError(error) => Problem::Write(error),
        other => Problem::encoding(other),
    }
}
