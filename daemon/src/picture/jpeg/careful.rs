//! JPEGs of the kinds that the fast decoder gets wrong, by `jpeg-decoder`: slower, and right about all of them. And
//! JPEGs of inks with a profile, since this decoder gives them as they are.
//!
//! This decoder, too, goes on where data are missing. So the picture is decoded twice, with other bytes behind the
//! end of its data each time: if the results differ, they were needed.

use std::io;

use jpeg_decoder::{Decoder, Error, PixelFormat};
use utsushi_ipc::pixels::{Channels, Depth, Raster};

use super::super::{Format, MAX_PIXEL_BYTES, Problem, inks};
use super::allocate_for;
use super::headers::Headers;

/// What is put behind the data: of codes that mean something else in any table, or nothing.
const PADDINGS: [[u8; 64]; 2] = [[0x00; 64], [0x5a; 64]];
const END_MARK: [u8; 2] = [0xff, 0xd9];

/// A picture, and what it couldn't be given.
pub(super) struct Careful {
    pub(super) raster: Raster,
    pub(super) pixels: Vec<u8>,
    /// Were its inks turned into sRGB by its profile?
    pub(super) is_srgb: bool,
}

/// `end`: where the picture's data ends. `profile`: of its inks.
pub(super) fn decode(
    mut file: Vec<u8>,
    headers: &Headers,
    mut end: usize,
    profile: Option<&[u8]>,
) -> Result<Careful, Problem> {
    // Half an end mark.
    while file[..end].last() == Some(&0xff) {
        end -= 1;
    }
    let mut decode_with = |padding: [u8; 64]| {
        file.truncate(end);
        file.extend(padding);
        file.extend(END_MARK);
        decode_once(&file, headers, end)
    };
    let [first, second] = PADDINGS;
    let (raster, format, samples) = decode_with(first)?;
    // A progressive picture's passes may be many, and each of them short; it has its end mark.
    if !headers.progressive && decode_with(second).map_or(true, |(.., again)| again != samples) {
        return Err(Problem::broken(Format::Jpeg, "its data ends early"));
    }
    if format != PixelFormat::CMYK32 {
        return Ok(Careful { raster, pixels: samples, is_srgb: false });
    }
    if let Some(pixels) = profile.and_then(|profile| inks::by_profile(&samples, Depth::U8, profile)) {
        return Ok(Careful { raster, pixels, is_srgb: true });
    }
    let pixels = inks::without_profile(&samples, Depth::U8);
    Ok(Careful { raster, pixels, is_srgb: false })
}

fn decode_once(
    file: &[u8],
    headers: &Headers,
    end: usize,
) -> Result<(Raster, PixelFormat, Vec<u8>), Problem> {
    let mut decoder = Decoder::new(file);
    decoder.set_max_decoding_buffer_size(usize::try_from(MAX_PIXEL_BYTES).unwrap_or(usize::MAX));
    decoder.read_info().map_err(reading)?;
    let info = decoder.info().ok_or_else(|| Problem::broken(Format::Jpeg, "it has no picture"))?;
    let channels = match info.pixel_format {
        PixelFormat::L8 => Channels::Grey,
        PixelFormat::RGB24 | PixelFormat::CMYK32 => Channels::Rgb,
        PixelFormat::L16 => return Err(Problem::unsupported("JPEG of more than 8 bits isn't supported")),
    };
    let (raster, _) =
        allocate_for(usize::from(info.width), usize::from(info.height), channels, headers, end)?;
    Ok((raster, info.pixel_format, decoder.decode().map_err(reading)?))
}

fn reading(error: Error) -> Problem {
    match error {
        Error::Unsupported(what) => Problem::unsupported(format!("it is a JPEG of a rare kind ({what:?})")),
        Error::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => Problem::Read(error),
        other => Problem::broken(Format::Jpeg, other),
    }
}
