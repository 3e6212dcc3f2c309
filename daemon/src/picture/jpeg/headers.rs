//! What the segments of a JPEG tell: its kind, and its metadata.

use super::super::{Loss, Part, Resolution, exif, xmp};
use super::{EXIF_NAME, ICC_NAME, XMP_NAME, iptc};

/// A gain map after ISO 21496-1; Android's is announced in XMP.
const GAIN_MAP_NAME: &[u8] = b"urn:iso:std:iso:ts:21496:-1\0";
const MPF_NAME: &[u8] = b"MPF\0";

/// What the segments before and between the scans tell.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Headers {
    pub(super) resolution: Option<Resolution>,
    pub(super) exif: Option<Vec<u8>>,
    pub(super) icc: Option<Vec<u8>>,
    pub(super) xmp: Option<Vec<u8>>,
    pub(super) iptc: Option<Vec<u8>>,
    /// Does the picture come in several passes?
    pub(super) progressive: bool,
    pub(super) scans: usize,
    /// Where the end mark lies.
    pub(super) end: Option<usize>,
    /// Bits of a sample; 0 without a frame.
    pub(super) precision: u8,
    /// How densely each component is sampled, across and down.
    pub(super) sampling: Vec<(u8, u8)>,
    /// Pictures behind this one in the file.
    views: u64,
    has_gain_map: bool,
}

impl Headers {
    pub(super) fn read(file: &[u8]) -> Self {
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
                0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => headers.frame(marker, payload),
                0xda => headers.scans += 1,
                0xe0 => headers.resolution = headers.resolution.or_else(|| jfif_resolution(payload)),
                0xe1 if payload.starts_with(EXIF_NAME) && headers.exif.is_none() => {
                    headers.exif = exif::from_chunk(payload);
                }
                0xe1 if payload.starts_with(XMP_NAME) => {
                    headers.has_gain_map |= payload.windows(6).any(|bytes| bytes == b"hdrgm:");
                    headers.xmp = headers.xmp.or_else(|| xmp::from_packet(&payload[XMP_NAME.len()..]));
                }
                0xe2 if payload.starts_with(GAIN_MAP_NAME) => headers.has_gain_map = true,
                0xe2 if payload.starts_with(MPF_NAME) => {
                    headers.views = other_views(&payload[MPF_NAME.len()..]).unwrap_or(0);
                }
                0xed => headers.iptc = headers.iptc.or_else(|| iptc::from_segment(payload)),
                0xe2 => icc.push(payload),
                _ => {}
            }
            rest = &rest[1 + length..];
        }
        headers.icc = icc.joined();
        headers
    }

    fn frame(&mut self, marker: u8, payload: &[u8]) {
        self.progressive = matches!(marker, 0xc2 | 0xc6 | 0xca | 0xce);
        if let Some((&[precision, _, _, _, _, components], rest)) = payload.split_first_chunk() {
            self.precision = precision;
            let components = rest.chunks_exact(3).take(usize::from(components));
            self.sampling = components.map(|component| (component[1] >> 4, component[1] & 15)).collect();
        }
    }

    /// Is the picture sampled as nearly all are: the luminance as finely as any colour, and at most twice as finely?
    pub(super) fn is_sampled_as_usual(&self) -> bool {
        let (first, others) = self.sampling.split_first().unwrap_or((&(1, 1), &[]));
        let is_usual = |(index, component): (usize, &(u8, u8))| {
            // Black, the fourth, is as fine as luminance.
            *component == (1, 1) || (index == 2 && component == first)
        };
        matches!(first, (1 | 2, 1 | 2)) && others.iter().enumerate().all(is_usual)
    }

    /// What the file holds besides the picture.
    pub(super) fn losses(&self) -> impl Iterator<Item = Loss> {
        let views = self.views.saturating_sub(u64::from(self.has_gain_map));
        Loss::parts(Part::View, views).into_iter().chain(self.has_gain_map.then_some(Loss::GainMap))
    }
}

/// How many pictures an MPO's index tells of, without the first and what are only previews of it.
fn other_views(index: &[u8]) -> Option<u64> {
    const ENTRIES: u16 = 0xb002;
    const ENTRY_BYTES: usize = 16;
    let big_endian = index.starts_with(b"MM");
    let bytes = |at: usize, count: usize| index.get(at..at.checked_add(count)?);
    let u16_at = |at: usize| {
        let bytes = bytes(at, 2)?.try_into().ok()?;
        Some(if big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    };
    let u32_at = |at: usize| {
        let bytes = bytes(at, 4)?.try_into().ok()?;
        Some(if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    };
    let directory = u32_at(4)? as usize;
    let fields = usize::from(u16_at(directory)?);
    let field =
        (0..fields).map(|field| directory + 2 + field * 12).find(|at| u16_at(*at) == Some(ENTRIES))?;
    let (length, start) = (u32_at(field + 4)? as usize, u32_at(field + 8)? as usize);
    let entries = bytes(start, length)?.len() / ENTRY_BYTES;
    let is_preview = |entry: &usize| {
        u32_at(start + entry * ENTRY_BYTES).is_some_and(|attributes| attributes >> 16 & 0xff == 1)
    };
    Some((1..entries).filter(|entry| !is_preview(entry)).count() as u64)
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
