//! Pictures to measure a style with: those of a folder that training would take.

use std::ops::ControlFlow;
use std::path::Path;

use utsushi_training::data::{Limits, MIN_SIDE_PX, Picture, scan};

use super::{Usage, complain};
use crate::workshop;

/// What training keeps of a picture at most, whose limits are asked for here.
const WORKING_PX: u32 = 1024;

/// Which pictures of a folder are wanted.
pub(super) struct Wanted {
    /// Of more, some are taken.
    pub(super) most: usize,
    pub(super) least: usize,
    /// They are reduced to this, ...
    pub(super) long_side_px: u32,
    /// ... but so that the short side stays as long as this.
    pub(super) short_side_px: u32,
}

impl Wanted {
    /// Reads the folder; what can't be used is named.
    pub(super) fn read(&self, folder: &Path) -> Result<Vec<Picture>, Usage> {
        let Self { most, least, long_side_px, short_side_px } = *self;
        let limits = Limits { long_side_px: WORKING_PX, max_pictures: most };
        let scan = scan(folder, limits, &workshop::sheet, |_| ControlFlow::Continue(()))
            .map_err(|error| Usage::new(error.to_string()))?;
        for skipped in &scan.skipped {
            complain(format_args!("{}: skipped: it {}", skipped.path.display(), skipped.why));
        }
        let count = scan.pictures.len();
        if count < least {
            return Err(Usage::new(format!(
                "{}: {count} pictures there can be used, of at least {MIN_SIDE_PX} pixels a side, and {least} or more \
                 are needed; name a folder with more",
                folder.display()
            )));
        }
        let pictures = scan.pictures.into_iter().map(|found| found.sheet.picture);
        Ok(pictures.map(|picture| picture.reduced_within(long_side_px, short_side_px)).collect())
    }
}
