//! The file that takes what a daemon says that was started by a client. There are two at most, this and an older one, of
//! a bounded size each.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

/// The variable that tells a daemon that its standard error is this file, so that it keeps it small.
pub const FILE_VARIABLE: &str = "UTSUSHI_LOG_FILE";

/// A file beyond this size makes way for a new one, and replaces the older one.
pub const MOST_BYTES: u64 = 1 << 20;

/// Opens it at its end; only its user may read it, since it names files.
pub fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    if fs::metadata(path).is_ok_and(|log| log.len() > MOST_BYTES) {
        fs::rename(path, path.with_extension("log.old"))?;
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}
