//! Which of a TIFF's pages is read.

use std::collections::HashSet;
use std::io::{BufRead, Seek};

use tiff::decoder::Decoder;
use tiff::tags::Tag;

use super::super::Problem;
use super::reading;

/// Bits of a page's `NewSubfileType`.
const REDUCED: u32 = 1;
const MASK: u32 = 4;
/// The older `SubfileType` of a reduced page.
const OLD_REDUCED: u32 = 2;
/// A file with more is not looked through.
const MAX_PAGES: usize = 1 << 16;

/// Goes to the first page that is neither a thumbnail nor a mask, or to the first of all if none is. Returns how many
/// other pages there are; thumbnails are none.
pub(super) fn choose<R: BufRead + Seek>(decoder: &mut Decoder<R>) -> Result<u64, Problem> {
    let kinds = kinds(decoder);
    let first = kinds.iter().position(|kind| kind & (REDUCED | MASK) == 0).unwrap_or(0);
    if first > 0 {
        decoder.seek_to_image(first).map_err(reading)?;
    }
    let others = kinds.iter().enumerate().filter(|(page, kind)| *page != first && *kind & REDUCED == 0);
    Ok(others.count() as u64)
}

/// The kinds of all pages, so far as they can be read: what is broken behind the first page doesn't spoil it.
fn kinds<R: BufRead + Seek>(decoder: &mut Decoder<R>) -> Vec<u32> {
    let (mut kinds, mut seen) = (Vec::new(), HashSet::new());
    let mut next = decoder.ifd_pointer();
    while let Some(page) = next.take_if(|page| kinds.len() < MAX_PAGES && seen.insert(page.0)) {
        let Ok(directory) = decoder.read_directory(page) else { break };
        let mut tags = decoder.read_directory_tags(&directory);
        let new = tags.find_tag_unsigned(Tag::NewSubfileType).ok().flatten();
        let old = tags.find_tag_unsigned::<u32>(Tag::SubfileType).ok().flatten();
        kinds.push(new.unwrap_or(if old == Some(OLD_REDUCED) { REDUCED } else { 0 }));
        next = directory.next();
    }
    kinds
}
