//! How samples lie in a TIFF, and how they become what a picture has.

use std::io::{BufRead, Seek};

use half::f16;
use tiff::decoder::{ChunkType, Decoder};
use tiff::tags::{ExtraSamples, SampleFormat, Tag};
use tiff::{ColorType, TiffUnsupportedError};
use utsushi_ipc::pixels::{Channels, Depth, PixelFormat, Raster};

use super::super::{Format, Problem, convert, inks};
use super::reading;

/// How samples lie in the file.
pub(super) struct Stored {
    /// What they become.
    pub(super) format: PixelFormat,
    bits: u8,
    /// Of a pixel.
    samples: usize,
    kind: Kind,
    alpha_is_multiplied_in: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// As in a picture.
    Plain,
    /// Floating point of 16 bits.
    Half,
    /// Luma and chroma, of 8 bits.
    YCbCr,
    /// Cyan, magenta, yellow and black.
    Inks,
}

impl Stored {
    pub(super) fn of<R: BufRead + Seek>(decoder: &mut Decoder<R>) -> Result<Self, Problem> {
        let color = decoder.colortype().map_err(reading)?;
        let formats =
            decoder.find_tag_unsigned_vec::<u16>(Tag::SampleFormat).map_err(reading)?.unwrap_or_default();
        let is_floating = formats.first() == Some(&SampleFormat::IEEEFP.to_u16());
        let is_whole = formats.iter().all(|&format| format == SampleFormat::Uint.to_u16());
        let (channels, bits, kind) = match color {
            ColorType::Gray(bits) => (Channels::Grey, bits, Kind::Plain),
            ColorType::GrayA(bits) | ColorType::Multiband { bit_depth: bits, num_samples: 2 } => {
                (Channels::GreyAlpha, bits, Kind::Plain)
            }
            ColorType::RGB(bits) => (Channels::Rgb, bits, Kind::Plain),
            ColorType::RGBA(bits) => (Channels::Rgba, bits, Kind::Plain),
            ColorType::CMYK(bits) => (Channels::Rgb, bits, Kind::Inks),
            ColorType::YCbCr(8) => (Channels::Rgb, 8, Kind::YCbCr),
            other => return Err(unsupported(other, is_floating)),
        };
        let (depth, kind) = match bits {
            1 | 2 | 4 if is_whole && channels == Channels::Grey => (Depth::U8, kind),
            8 if is_whole => (Depth::U8, kind),
            16 if is_whole => (Depth::U16, kind),
            16 if is_floating && kind == Kind::Plain => (Depth::F32, Kind::Half),
            32 if is_floating && kind == Kind::Plain => (Depth::F32, kind),
            _ => return Err(unsupported(color, is_floating)),
        };
        let extra =
            decoder.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples).map_err(reading)?.unwrap_or_default();
        let alpha_is_multiplied_in =
            channels.has_alpha() && extra.first() == Some(&ExtraSamples::AssociatedAlpha.to_u16());
        let samples = if kind == Kind::Inks { 4 } else { channels.count() };
        Ok(Self { format: PixelFormat { channels, depth }, bits, samples, kind, alpha_is_multiplied_in })
    }

    /// Are its colours amounts of ink?
    pub(super) fn is_inks(&self) -> bool {
        self.kind == Kind::Inks
    }

    /// The picture's samples, into `pixels`. `profile`: of its inks. Says whether that could be used.
    pub(super) fn read<R: BufRead + Seek>(
        &self,
        decoder: &mut Decoder<R>,
        raster: Raster,
        pixels: &mut Vec<u8>,
        profile: Option<&[u8]>,
    ) -> Result<bool, Problem> {
        let layout = decoder.image_buffer_layout().map_err(reading)?;
        let (width, height) = (raster.width() as usize, raster.height() as usize);
        // Samples of less than a byte are packed in rows of whole bytes.
        let row_bytes = (width * self.samples * usize::from(self.bits)).div_ceil(8);
        if layout.complete_len != row_bytes * height {
            return Err(Problem::unsupported("it is a TIFF with more channels than colours and alpha"));
        }
        let is_as_stored = matches!(self.kind, Kind::Plain | Kind::YCbCr) && self.bits >= 8;
        let mut stored = if is_as_stored { std::mem::take(pixels) } else { Vec::new() };
        stored.resize(layout.complete_len, 0);
        if layout.planes > 1 {
            self.read_planes(decoder, raster, &mut stored)?;
        } else {
            decoder.read_image_bytes(&mut stored).map_err(reading)?;
        }
        let mut is_by_profile = false;
        match self.kind {
            Kind::Plain if is_as_stored => *pixels = stored,
            Kind::Plain => expand_bits(&stored, self.bits, width, pixels),
            Kind::Half => {
                for (to, from) in pixels.as_chunks_mut().0.iter_mut().zip(stored.as_chunks().0) {
                    *to = f16::from_ne_bytes(*from).to_f32().to_ne_bytes();
                }
            }
            Kind::YCbCr => {
                stored.as_chunks_mut().0.iter_mut().for_each(|pixel| *pixel = rgb(*pixel));
                *pixels = stored;
            }
            Kind::Inks => {
                let depth = self.format.depth;
                let converted = profile.and_then(|profile| inks::by_profile(&stored, depth, profile));
                is_by_profile = converted.is_some();
                *pixels = converted.unwrap_or_else(|| inks::without_profile(&stored, depth));
            }
        }
        if self.alpha_is_multiplied_in {
            divide_by_alpha(pixels, self.format);
        }
        Ok(is_by_profile)
    }

    fn read_planes<R: BufRead + Seek>(
        &self,
        decoder: &mut Decoder<R>,
        raster: Raster,
        stored: &mut [u8],
    ) -> Result<(), Problem> {
        if self.bits < 8 || self.kind == Kind::YCbCr {
            return Err(Problem::unsupported(
                "it is a TIFF whose colours come one after the other, of a rare kind",
            ));
        }
        let sample_bytes = usize::from(self.bits) / 8;
        let mut planes = vec![0; stored.len()];
        match decoder.get_chunk_type() {
            ChunkType::Strip => decoder.read_image_bytes(&mut planes).map_err(reading)?,
            ChunkType::Tile => {
                let plane_bytes = planes.len() / self.samples;
                for (index, plane) in planes.chunks_exact_mut(plane_bytes).enumerate() {
                    read_tiles(decoder, sample_bytes, raster, index, plane)?;
                }
            }
        }
        let plane_bytes = planes.len() / self.samples;
        for (channel, plane) in planes.chunks_exact(plane_bytes).enumerate() {
            let pixels = stored.chunks_exact_mut(self.samples * sample_bytes);
            for (sample, pixel) in plane.chunks_exact(sample_bytes).zip(pixels) {
                pixel[channel * sample_bytes..][..sample_bytes].copy_from_slice(sample);
            }
        }
        Ok(())
    }
}

fn unsupported(color: ColorType, is_floating: bool) -> Problem {
    let kind = match color {
        ColorType::Gray(_) | ColorType::GrayA(_) => "grey",
        ColorType::RGB(_) | ColorType::RGBA(_) => "RGB",
        ColorType::CMYK(_) => "CMYK",
        ColorType::CMYKA(_) => "CMYK with alpha",
        ColorType::YCbCr(_) => "YCbCr",
        ColorType::Palette(_) => "a palette",
        ColorType::Lab(_) => "CIELAB",
        _ => "unusual channels",
    };
    let samples = if is_floating { "floating-point samples" } else { "samples" };
    let bits = color.bit_depth();
    Problem::unsupported(format!("a TIFF of {kind} in {bits}-bit {samples} isn't supported"))
}

/// The words for what the crate doesn't support.
pub(super) fn unsupported_by_crate(what: &TiffUnsupportedError) -> Problem {
    Problem::unsupported(match what {
        TiffUnsupportedError::UnsupportedCompressionMethod(method) => {
            format!("a TIFF with {method:?} compression isn't supported")
        }
        TiffUnsupportedError::ChromaSubsampling => {
            "a TIFF of YCbCr with reduced chroma and without JPEG compression isn't supported".into()
        }
        TiffUnsupportedError::UnsupportedInterpretation(colours)
        | TiffUnsupportedError::InterpretationWithBits(colours, _) => {
            format!("a TIFF of {colours:?} colours isn't supported")
        }
        other => format!("it is a TIFF of a rare kind: {other}"),
    })
}

/// 1, 2 or 4 bits a sample, in rows of whole bytes, to 8.
fn expand_bits(packed: &[u8], bits: u8, width: usize, samples: &mut [u8]) {
    let (max, per_byte) = ((1_u8 << bits) - 1, usize::from(8 / bits));
    let row_bytes = width.div_ceil(per_byte);
    for (from, to) in packed.chunks_exact(row_bytes).zip(samples.chunks_exact_mut(width)) {
        for (x, sample) in to.iter_mut().enumerate() {
            let shift = 8 - bits - bits * (x % per_byte) as u8;
            *sample = (from[x / per_byte] >> shift & max) * (255 / max);
        }
    }
}

/// Luma and chroma of ITU-R BT.601 in full range, as JPEG has them.
fn rgb([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let (y, cb, cr) = (f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0);
    [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb].map(|value| (value + 0.5) as u8)
}

/// A plane in tiles. At once, the crate (0.11) can't read them: from the second plane on it takes the lowest tiles for
/// whole ones, and panics where they don't fit.
fn read_tiles<R: BufRead + Seek>(
    decoder: &mut Decoder<R>,
    sample_bytes: usize,
    raster: Raster,
    plane: usize,
    samples: &mut [u8],
) -> Result<(), Problem> {
    let (width, height) = (raster.width() as usize, raster.height() as usize);
    let (tile_width, tile_height) = decoder.chunk_dimensions();
    let (tile_width, tile_height) = (tile_width as usize, tile_height as usize);
    let (across, down) = (width.div_ceil(tile_width), height.div_ceil(tile_height));
    for tile in 0..across * down {
        let index = u32::try_from(plane * across * down + tile)
            .map_err(|_| Problem::broken(Format::Tiff, "it has too many tiles"))?;
        let layout = decoder.image_chunk_buffer_layout(index).map_err(reading)?;
        let mut bytes = vec![0; layout.len];
        decoder.read_chunk_bytes(index, &mut bytes).map_err(reading)?;
        let (left, top) = (tile % across * tile_width, tile / across * tile_height);
        let row_bytes = tile_width.min(width - left) * sample_bytes;
        let rows = samples.chunks_exact_mut(width * sample_bytes).skip(top).take(tile_height);
        for (to, from) in rows.zip(bytes.chunks_exact(row_bytes)) {
            to[left * sample_bytes..][..row_bytes].copy_from_slice(from);
        }
    }
    Ok(())
}

/// Pictures here have colours as they are, whatever their alpha.
fn divide_by_alpha(pixels: &mut [u8], format: PixelFormat) {
    for pixel in pixels.chunks_exact_mut(format.pixel_bytes()) {
        let (colours, alpha) = pixel.split_at_mut(format.pixel_bytes() - format.depth.bytes());
        match format.depth {
            Depth::U8 => {
                let alpha = u32::from(alpha[0]).max(1);
                colours
                    .iter_mut()
                    .for_each(|c| *c = ((u32::from(*c) * 255 + alpha / 2) / alpha).min(255) as u8);
            }
            Depth::U16 => {
                let alpha = convert::u16s(alpha).next().map_or(1, u64::from).max(1);
                for colour in colours.as_chunks_mut().0 {
                    let value = (u64::from(u16::from_ne_bytes(*colour)) * 65535 + alpha / 2) / alpha;
                    *colour = (value.min(65535) as u16).to_ne_bytes();
                }
            }
            Depth::F32 => {
                let alpha = convert::f32s(alpha).next().unwrap_or(1.0);
                for colour in colours.as_chunks_mut().0 {
                    let value = f32::from_ne_bytes(*colour);
                    *colour = if alpha > 0.0 { value / alpha } else { value }.to_ne_bytes();
                }
            }
        }
    }
}
