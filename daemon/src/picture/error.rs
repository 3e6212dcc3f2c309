//! What goes wrong with picture files, in words for the person whose file it is.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use utsushi_ipc::pixels::RasterError;

use super::{Format, MAX_PIXEL_BYTES};

/// A file that couldn't be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct PictureError {
    /// Which file.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It couldn't be opened or read.
    #[error("can't be read: {}", Hint(.0))]
    Read(io::Error),
    /// Its content is none of the known formats.
    #[error("is not a picture that Utsushi reads; save it as PNG, JPEG, WebP or TIFF first")]
    UnknownFormat,
    /// Its content breaks the rules of its format, or ends too early.
    #[error("is broken or cut short ({}: {detail}); fetch or export it again", format.name())]
    Broken {
        /// What it should have been.
        format: Format,
        /// What the decoder says.
        detail: String,
    },
    /// Its content is valid, and of a kind that isn't handled.
    #[error("can't be read: {what}; save it as 8-bit or 16-bit RGB first")]
    Unsupported {
        /// The kind.
        what: String,
    },
    /// Its sides are beyond the limits.
    #[error("can't be read: {0}")]
    Size(RasterError),
    /// Its pixels don't fit into memory.
    #[error(
        "needs {} MiB of memory for its pixels: at most {} MiB are given, and not more than the machine has; \
         reduce it or cut it first", bytes >> 20, MAX_PIXEL_BYTES >> 20
    )]
    Memory {
        /// For the pixels alone.
        bytes: u64,
    },
    /// The picture doesn't fit into the format.
    #[error(
        "can't be written: the picture is {width} x {height} pixels, and {} holds at most {max_side_px} a side; \
         write PNG or TIFF", format.name()
    )]
    FormatTooSmall {
        /// Which was asked for.
        format: Format,
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
        /// The format's limit.
        max_side_px: u32,
    },
    /// The pixels are fewer or more than the picture's size and format say: a mistake of the caller's.
    #[error("can't be written: {found} bytes of pixels were given where its size asks for {expected}")]
    WrongLength {
        /// By size and format.
        expected: u64,
        /// Given.
        found: u64,
    },
    /// The target exists, and is a folder or a device.
    #[error("can't be written: there is something else than a file under this name; choose another name")]
    NotAFile,
    /// It couldn't be written. Nothing is left of the attempt, and a file that was there is as it was.
    #[error("can't be written: {}", Hint(.0))]
    Write(io::Error),
}

impl PictureError {
    pub(super) fn new(path: &Path, problem: Problem) -> Self {
        Self { path: path.to_owned(), problem }
    }
}

impl Problem {
    pub(super) fn broken(format: Format, detail: impl fmt::Display) -> Self {
        Self::Broken { format, detail: detail.to_string() }
    }

    pub(super) fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into() }
    }

    /// A reading error inside a decoder: an early end is the file's fault, the rest is the disk's.
    pub(super) fn reading(format: Format, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                Self::broken(format, error)
            }
            _ => Self::Read(error),
        }
    }

    /// An encoder's error that is none of the disk's.
    pub(super) fn encoding(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Write(io::Error::other(error))
    }
}

/// An I/O error and what to do about it.
struct Hint<'a>(&'a io::Error);

impl fmt::Display for Hint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.kind() {
            io::ErrorKind::NotFound => f.write_str("there is no such file or folder; check the name"),
            io::ErrorKind::IsADirectory => f.write_str("it is a folder; name a picture inside it"),
            io::ErrorKind::PermissionDenied => f.write_str(
                "permission denied; change the permissions of the file and its folder, or choose another",
            ),
            io::ErrorKind::ReadOnlyFilesystem => f.write_str("the disk is read-only; choose another folder"),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                f.write_str("the disk is full; free some space, or choose another folder")
            }
            _ => write!(f, "{}", self.0),
        }
    }
}
