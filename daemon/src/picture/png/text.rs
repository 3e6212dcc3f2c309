//! A PNG's texts: as chunks, byte for byte, but for XMP, which other formats have, too.

use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};

use flate2::read::ZlibDecoder;
use png::chunk::ChunkType;
use png::{EncodingError, Writer};

use super::super::xmp;

/// What is kept at most, in all.
const MAX_BYTES: u64 = 16 << 20;
const XMP: &[u8] = b"XML:com.adobe.xmp\0";
/// Keywords of what lies in chunks of its own, or would show the picture as it was.
const LEFT_OUT: [&[u8]; 6] = [
    b"Raw profile type exif\0",
    b"Raw profile type APP1\0",
    b"Raw profile type icc\0",
    b"Raw profile type icm\0",
    b"Raw profile type xmp\0",
    b"Thumb::",
];

/// Texts as they lie in a file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PngTexts(Vec<([u8; 4], Vec<u8>)>);

/// The texts of a file, and its XMP; the file is at its start again. What is broken is the decoder's to tell.
pub(super) fn read(source: &mut (impl BufRead + Seek)) -> io::Result<(PngTexts, Option<Vec<u8>>)> {
    let (mut texts, mut packet, mut left) = (PngTexts::default(), None, MAX_BYTES);
    let mut at = 8;
    source.seek(SeekFrom::Start(at))?;
    let mut head = [0; 8];
    while source.read_exact(&mut head).is_ok() {
        let [a, b, c, d, name @ ..] = head;
        let length = u64::from(u32::from_be_bytes([a, b, c, d]));
        if matches!(&name, b"tEXt" | b"zTXt" | b"iTXt") && length <= left {
            let mut data = Vec::new();
            source.take(length).read_to_end(&mut data)?;
            left -= length;
            match data.strip_prefix(XMP) {
                Some(text) if name == *b"iTXt" => {
                    packet = packet.or_else(|| xmp::from_packet(&text_of(text)?))
                }
                _ if LEFT_OUT.iter().any(|keyword| data.starts_with(keyword)) => {}
                _ => texts.0.push((name, data)),
            }
        }
        at += 12 + length;
        source.seek(SeekFrom::Start(at))?;
        if name == *b"IEND" {
            break;
        }
    }
    source.rewind()?;
    Ok((texts, packet))
}

/// The text of an iTXt chunk, behind its keyword.
fn text_of(chunk: &[u8]) -> Option<Vec<u8>> {
    let ([compressed, _method], rest) = chunk.split_first_chunk()?;
    let mut parts = rest.splitn(3, |byte| *byte == 0);
    let (_language, _translated, text) = (parts.next()?, parts.next()?, parts.next()?);
    if *compressed == 0 {
        return Some(text.to_vec());
    }
    let mut inflated = Vec::new();
    ZlibDecoder::new(text).take(MAX_BYTES).read_to_end(&mut inflated).ok()?;
    Some(inflated)
}

impl PngTexts {
    /// Writes them, before the pixels.
    pub(super) fn write<W: Write>(&self, writer: &mut Writer<W>) -> Result<(), EncodingError> {
        self.0.iter().try_for_each(|(name, data)| writer.write_chunk(ChunkType(*name), data))
    }
}

/// Writes XMP, before the pixels.
pub(super) fn write_xmp<W: Write>(writer: &mut Writer<W>, packet: &[u8]) -> Result<(), EncodingError> {
    // Not compressed, without language and translated keyword.
    writer.write_chunk(ChunkType(*b"iTXt"), &[XMP, &[0; 4], packet].concat())
}
