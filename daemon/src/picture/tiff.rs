//! TIFF and BigTIFF, by the `tiff` crate.
//!
//! Read ([`stored`]): grey and RGB, with alpha or without, of 8 or 16 bits or floating point of 16 or 32, grey of 1, 2
//! or 4 bits, CMYK and YCbCr; in strips or tiles, interleaved or in planes, with any compression the crate knows. The
//! first full page only ([`pages`]).
//! Written: strips of fast deflate, with a predictor where samples are whole numbers.

mod pages;
mod stored;

use std::borrow::Cow;
use std::io::{BufRead, Seek, Write};

use moxcms::ColorProfile;
use tiff::decoder::ifd::Value;
use tiff::decoder::{Decoder, IfdDecoder, Limits};
use tiff::encoder::colortype::{
    ColorType, Gray8, Gray16, Gray32Float, RGB8, RGB16, RGB32Float, RGBA8, RGBA16, RGBA32Float,
};
use tiff::encoder::compression::DeflateLevel;
use tiff::encoder::{
    Compression, DirectoryEncoder, Rational, TiffEncoder, TiffKind, TiffKindBig, TiffKindStandard, TiffValue,
};
use tiff::tags::{
    ExtraSamples, PhotometricInterpretation, Predictor, ResolutionUnit, SampleFormat, Tag, Type, ValueBuffer,
};
use tiff::{Directory, TiffError, TiffResult};
use utsushi_ipc::pixels::{Channels, Depth, PixelFormat};

use self::stored::Stored;
use super::exif::{self, Field, Fields};
use super::{
    Decoded, Format, Loss, MAX_PIXEL_BYTES, Metadata, Orientation, Part, Picture, Problem, Resolution,
    allocate, convert, encode_profile, inks, xmp,
};

/// The largest value of a tag: an ICC profile, or the places of 262144 strips in a BigTIFF.
const MAX_TAG_BYTES: usize = 16 << 20;
const XMP: u16 = 700;
const IPTC: u16 = 33723;
/// How each of IPTC's records begins.
const IPTC_MARK: u8 = 0x1c;
/// From so many bytes of pixels on, offsets may not fit into 32 bits.
const BIG_TIFF_BYTES: u64 = 3 << 30;

pub(super) fn decode(source: impl BufRead + Seek) -> Result<Decoded, Problem> {
    let mut limits = Limits::default();
    limits.decoding_buffer_size = MAX_PIXEL_BYTES as usize;
    limits.intermediate_buffer_size = 1 << 30;
    limits.ifd_value_size = MAX_TAG_BYTES;
    let mut decoder = Decoder::new(source).map_err(reading)?.with_limits(limits);
    let other_pages = pages::choose(&mut decoder)?;

    let (width, height) = decoder.dimensions().map_err(reading)?;
    let stored = Stored::of(&mut decoder)?;
    let (raster, mut pixels) = allocate(width, height, stored.format)?;
    let icc = bytes_of(&mut decoder, Tag::IccProfile);
    let inks = icc.as_deref().filter(|icc| stored.is_inks() && inks::describes(icc));
    let is_srgb = stored.read(&mut decoder, raster, &mut pixels, inks)?;
    let ink_loss = (inks.is_some() && !is_srgb).then_some(Loss::InkProfile);
    let icc = if is_srgb { encode_profile(&ColorProfile::new_srgb()) } else { icc };

    // A tag that can't be read is no reason to refuse the picture.
    let orientation = decoder.find_tag_unsigned(Tag::Orientation).ok().flatten();
    let resolution = resolution(&mut decoder);
    let xmp = bytes_of(&mut decoder, Tag::from_u16_exhaustive(XMP));
    let iptc = bytes_of(&mut decoder, Tag::from_u16_exhaustive(IPTC));
    let fields = fields(&mut decoder);
    let metadata = Metadata {
        icc: Metadata::profile(icc, is_colour(stored.format.channels)),
        exif: (!fields.is_empty()).then(|| fields.to_exif()),
        resolution,
        xmp: xmp.as_deref().and_then(xmp::from_packet),
        // Some programs call it numbers of 32 bits, whose bytes may have been turned around.
        iptc: iptc.filter(|iptc| iptc.first() == Some(&IPTC_MARK)),
        ..Metadata::default()
    };
    let orientation = orientation.map_or(Orientation::UPRIGHT, Orientation::from_tag);
    let losses = Loss::parts(Part::Page, other_pages).into_iter().chain(ink_loss).collect();
    Ok(Decoded { picture: Picture { raster, pixels, metadata }, orientation, losses })
}

fn is_colour(channels: Channels) -> bool {
    matches!(channels, Channels::Rgb | Channels::Rgba)
}

fn resolution<R: BufRead + Seek>(decoder: &mut Decoder<R>) -> Option<Resolution> {
    let mut rational = |tag| match decoder.find_tag(tag).ok()?? {
        Value::Rational(numerator, denominator) => Some(f64::from(numerator) / f64::from(denominator)),
        _ => None,
    };
    let (x, y) = (rational(Tag::XResolution)?, rational(Tag::YResolution)?);
    match decoder.find_tag_unsigned::<u16>(Tag::ResolutionUnit).ok()?.and_then(ResolutionUnit::from_u16) {
        Some(ResolutionUnit::None) => None,
        Some(ResolutionUnit::Centimeter) => Resolution::per_centimetre(x, y),
        _ => Resolution::per_inch(x, y),
    }
}

fn bytes_of<R: BufRead + Seek>(decoder: &mut Decoder<R>, tag: Tag) -> Option<Vec<u8>> {
    value_of(&mut decoder.image_ifd(), tag, MAX_TAG_BYTES).map(|value| value.as_bytes().to_vec())
}

/// A tag's value, unless it tells of more bytes than these, for which the crate (0.11) would take memory.
fn value_of(directory: &mut IfdDecoder<'_>, tag: Tag, most: usize) -> Option<ValueBuffer> {
    let entry = directory.directory().get(tag)?;
    let value_bytes = exif::kind_bytes(entry.field_type().to_u16())?;
    if usize::try_from(entry.count()).ok()?.checked_mul(value_bytes)? > most {
        return None;
    }
    let mut value = ValueBuffer::empty(Type::BYTE);
    directory.find_tag_buf(tag, &mut value).ok()??;
    Some(value)
}

/// The fields that EXIF data would have, from the picture's directory and the two it may point at.
fn fields<R: BufRead + Seek>(decoder: &mut Decoder<R>) -> Fields {
    let mut pointed = |tag| {
        let pointer = decoder.find_tag(Tag::from_u16_exhaustive(tag)).ok()??.into_ifd_pointer().ok()?;
        let directory = decoder.read_directory(pointer).ok()?;
        Some(directory_fields(decoder.read_directory_tags(&directory), exif::is_portable))
    };
    let (exif, gps) = (pointed(exif::tag::EXIF), pointed(exif::tag::GPS));
    Fields {
        main: directory_fields(decoder.image_ifd(), exif::is_about_the_picture),
        exif: exif.unwrap_or_default(),
        gps: gps.unwrap_or_default(),
    }
}

fn directory_fields(mut directory: IfdDecoder<'_>, wanted: fn(u16) -> bool) -> Vec<Field> {
    let mut left = exif::MAX_VALUE_BYTES;
    let tags: Vec<Tag> = directory.directory().iter().map(|(tag, _)| tag).collect();
    let mut fields = Vec::new();
    for tag in tags.into_iter().filter(|tag| wanted(tag.to_u16())) {
        let Some(value) = value_of(&mut directory, tag, left) else { continue };
        let (kind, value) = (value.data_type().to_u16(), value.as_bytes());
        left -= value.len();
        fields.push(Field { tag: tag.to_u16(), kind, value: value.to_vec() });
    }
    fields
}

pub(super) fn encode<W: Write + Seek>(out: &mut W, picture: &Picture) -> Result<(), Problem> {
    let written = if picture.raster.total_bytes() >= BIG_TIFF_BYTES {
        TiffEncoder::<_, TiffKindBig>::new_generic(out).and_then(|encoder| encode_as(encoder, picture))
    } else {
        TiffEncoder::<_, TiffKindStandard>::new_generic(out).and_then(|encoder| encode_as(encoder, picture))
    };
    written.map_err(|error| match error {
        TiffError::IoError(error) => Problem::Write(error),
        other => Problem::encoding(other),
    })
}

fn encode_as<W: Write + Seek, K: TiffKind>(encoder: TiffEncoder<W, K>, picture: &Picture) -> TiffResult<()> {
    let Picture { raster, pixels, .. } = picture;
    let PixelFormat { channels, depth } = raster.format();
    // The predictor is for whole numbers.
    let predictor = if depth == Depth::F32 { Predictor::None } else { Predictor::Horizontal };
    let encoder =
        encoder.with_compression(Compression::Deflate(DeflateLevel::Fast)).with_predictor(predictor);
    let u8s = || Cow::Borrowed(pixels.as_slice());
    let u16s = || aligned(pixels, convert::u16s);
    let f32s = || aligned(pixels, convert::f32s);
    match (channels, depth) {
        (Channels::Grey, Depth::U8) => encode_samples::<_, _, Gray8>(encoder, picture, &u8s()),
        (Channels::Grey, Depth::U16) => encode_samples::<_, _, Gray16>(encoder, picture, &u16s()),
        (Channels::Grey, Depth::F32) => encode_samples::<_, _, Gray32Float>(encoder, picture, &f32s()),
        (Channels::GreyAlpha, Depth::U8) => encode_samples::<_, _, GreyAlpha8>(encoder, picture, &u8s()),
        (Channels::GreyAlpha, Depth::U16) => encode_samples::<_, _, GreyAlpha16>(encoder, picture, &u16s()),
        (Channels::GreyAlpha, Depth::F32) => {
            encode_samples::<_, _, GreyAlpha32Float>(encoder, picture, &f32s())
        }
        (Channels::Rgb, Depth::U8) => encode_samples::<_, _, RGB8>(encoder, picture, &u8s()),
        (Channels::Rgb, Depth::U16) => encode_samples::<_, _, RGB16>(encoder, picture, &u16s()),
        (Channels::Rgb, Depth::F32) => encode_samples::<_, _, RGB32Float>(encoder, picture, &f32s()),
        (Channels::Rgba, Depth::U8) => encode_samples::<_, _, RGBA8>(encoder, picture, &u8s()),
        (Channels::Rgba, Depth::U16) => encode_samples::<_, _, RGBA16>(encoder, picture, &u16s()),
        (Channels::Rgba, Depth::F32) => encode_samples::<_, _, RGBA32Float>(encoder, picture, &f32s()),
    }
}

fn encode_samples<W: Write + Seek, K: TiffKind, C: ColorType>(
    mut encoder: TiffEncoder<W, K>,
    picture: &Picture,
    samples: &[C::Inner],
) -> TiffResult<()>
where
    [C::Inner]: TiffValue,
{
    let Picture { raster, metadata, .. } = picture;
    let channels = raster.format().channels;
    let fields = metadata.exif.as_deref().and_then(Fields::of).unwrap_or_default();
    // Directories that are pointed at have to be in the file first.
    let mut pointers = Vec::new();
    for (tag, fields) in [(exif::tag::EXIF, &fields.exif), (exif::tag::GPS, &fields.gps)] {
        if !fields.is_empty() {
            let mut directory = encoder.extra_directory()?;
            write_fields(&mut directory, fields)?;
            pointers.push((tag, directory.finish_with_offsets()?.offset));
        }
    }

    let mut image = encoder.new_image::<C>(raster.width(), raster.height())?;
    let directory = image.encoder();
    write_fields(directory, &fields.main)?;
    for (tag, offset) in pointers {
        directory.write_tag(Tag::from_u16_exhaustive(tag), offset)?;
    }
    directory.write_tag(Tag::Orientation, 1_u16)?;
    if channels.has_alpha() {
        directory.write_tag(Tag::ExtraSamples, ExtraSamples::UnassociatedAlpha.to_u16())?;
    }
    let texts = [
        (Tag::IccProfile.to_u16(), exif::kind::UNDEFINED, metadata.icc_for(is_colour(channels))),
        (XMP, exif::kind::BYTE, metadata.xmp.as_deref()),
        (IPTC, exif::kind::UNDEFINED, metadata.iptc.as_deref()),
    ];
    for (tag, kind, value) in texts {
        if let Some(value) = value {
            write_fields(directory, &[Field { tag, kind, value: value.to_vec() }])?;
        }
    }
    if let Some(Resolution { x_ppi, y_ppi }) = metadata.resolution {
        let rational = |value| {
            let (n, d) = exif::to_rational(value);
            Rational { n, d }
        };
        directory.write_tag(Tag::ResolutionUnit, ResolutionUnit::Inch.to_u16())?;
        directory.write_tag(Tag::XResolution, rational(x_ppi))?;
        directory.write_tag(Tag::YResolution, rational(y_ppi))?;
    }
    image.write_data(samples)
}

fn write_fields<W: Write + Seek, K: TiffKind>(
    directory: &mut DirectoryEncoder<'_, W, K>,
    fields: &[Field],
) -> TiffResult<()> {
    let mut written = Directory::empty();
    for field in fields {
        if let Some(kind) = Type::from_u16(field.kind) {
            let entry = directory.write_entry_bytes(kind, &field.value)?;
            written.extend([(Tag::from_u16_exhaustive(field.tag), entry)]);
        }
    }
    directory.extend_from(&written);
    Ok(())
}

/// Bytes as samples, without a copy where they lie on the right boundary: they nearly always do.
fn aligned<'a, T: bytemuck::AnyBitPattern, I: Iterator<Item = T>>(
    bytes: &'a [u8],
    copied: fn(&'a [u8]) -> I,
) -> Cow<'a, [T]> {
    bytemuck::try_cast_slice(bytes).map_or_else(|_| Cow::Owned(copied(bytes).collect()), Cow::Borrowed)
}

/// Grey with alpha, which the crate has no type for.
macro_rules! grey_alpha {
    ($name:ident, $sample:ty, $bits:literal, $format:ident, |$row:ident, $result:ident| $predict:expr) => {
        struct $name;

        impl ColorType for $name {
            type Inner = $sample;
            const TIFF_VALUE: PhotometricInterpretation = PhotometricInterpretation::BlackIsZero;
            const BITS_PER_SAMPLE: &'static [u16] = &[$bits; 2];
            const SAMPLE_FORMAT: &'static [SampleFormat] = &[SampleFormat::$format; 2];

            fn horizontal_predict($row: &[$sample], $result: &mut Vec<$sample>) {
                $predict
            }
        }
    };
}

grey_alpha!(GreyAlpha8, u8, 8, Uint, |row, result| {
    result.extend_from_slice(&row[..2]);
    result.extend(row.iter().zip(&row[2..]).map(|(before, sample)| sample.wrapping_sub(*before)));
});
grey_alpha!(GreyAlpha16, u16, 16, Uint, |row, result| {
    result.extend_from_slice(&row[..2]);
    result.extend(row.iter().zip(&row[2..]).map(|(before, sample)| sample.wrapping_sub(*before)));
});
grey_alpha!(GreyAlpha32Float, f32, 32, IEEEFP, |row, result| result.extend_from_slice(row));

fn reading(error: TiffError) -> Problem {
    match error {
        TiffError::IoError(error) => Problem::reading(Format::Tiff, error),
        TiffError::UnsupportedError(what) => stored::unsupported_by_crate(&what),
        other => Problem::broken(Format::Tiff, other),
    }
}
