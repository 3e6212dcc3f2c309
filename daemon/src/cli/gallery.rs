//! Pictures to measure a style with.

use std::path::Path;

use utsushi_training::data::Picture;

use super::{Usage, complain};
use crate::picture::Format;
use crate::workshop;

/// Which pictures of a folder are wanted.
pub(super) struct Wanted {
    /// Of more, some are taken, spread over all of them by name.
    pub(super) most: usize,
    pub(super) least: usize,
    /// They are reduced to this.
    pub(super) long_side_px: u32,
    /// Those that then are smaller are of no use.
    pub(super) short_side_px: u32,
}

impl Wanted {
    /// Reads the folder; what can't be used is named.
    pub(super) fn read(&self, folder: &Path) -> Result<Vec<Picture>, Usage> {
        let Self { most, least, long_side_px, short_side_px } = *self;
        let wrong = |why: String| Usage::new(format!("{}: {why}", folder.display()));
        let entries = std::fs::read_dir(folder).map_err(|error| wrong(format!("can't be read: {error}")))?;
        let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|path| Format::from_path(path).is_some());
        files.sort();
        let mut pictures = Vec::new();
        for path in files.iter().step_by(files.len().div_ceil(most).max(1)) {
            match workshop::open(path).map(|picture| picture.reduced(long_side_px)) {
                Ok(picture) if picture.width.min(picture.height) < short_side_px => {
                    let why = "it is too small, or too long and narrow";
                    complain(format_args!("{}: skipped: {why}", path.display()));
                }
                Ok(picture) => pictures.push(picture),
                Err(why) => complain(format_args!("{}: skipped: it {why}", path.display())),
            }
        }
        if pictures.len() < least {
            let count = pictures.len();
            return Err(wrong(format!(
                "{count} pictures there can be used, of at least {short_side_px} pixels a side, and {least} or more \
                 are needed; name a folder with more"
            )));
        }
        Ok(pictures)
    }
}
