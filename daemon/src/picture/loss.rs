//! What a file holds besides the picture that was read from it.

use std::fmt;

/// Something that [`open`](super::open) left out, or couldn't be sure of. The picture is whole without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Loss {
    /// More pictures in the same file: pages, frames of an animation, other views.
    Parts {
        /// What they are.
        part: Part,
        /// How many were left out; at least one.
        count: u64,
    },
    /// The gain map of a JPEG, by which HDR screens show it brighter.
    GainMap,
    /// A JPEG's end mark is missing, so that it may have been cut short.
    EndMark,
    /// The profile of a CMYK JPEG can't be used, so that its colours are those of ideal inks.
    InkProfile,
    /// It has values above 1, which the format that it is written in hasn't.
    Highlights,
    /// The profile of its colours can't be used, so that they are drawn as if they were sRGB.
    Profile,
}

/// What a file can hold several of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Of a TIFF.
    Page,
    /// Of an animated PNG or WebP.
    Frame,
    /// Of an MPO, which holds several JPEGs.
    View,
}

impl Loss {
    /// More pictures of this kind, unless there are none.
    pub(super) fn parts(part: Part, count: u64) -> Option<Self> {
        (count > 0).then_some(Self::Parts { part, count })
    }

    /// Would something be destroyed if the picture took the place of its file?
    pub fn is_destructive(&self) -> bool {
        match self {
            Self::Parts { .. } => true,
            Self::GainMap | Self::EndMark | Self::InkProfile | Self::Profile | Self::Highlights => false,
        }
    }
}

impl Part {
    /// Its name, of one.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Frame => "frame",
            Self::View => "picture",
        }
    }

    /// A count with its noun, as in "1 page" and "3 frames".
    pub fn counted(self, count: u64) -> String {
        let plural = if count == 1 { "" } else { "s" };
        format!("{count} {}{plural}", self.name())
    }
}

/// Says what is the case; goes on after the file's name and a colon.
impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parts { part, count } => {
                write!(f, "only its first {} is read; {} left out", part.name(), part.counted(*count))
            }
            Self::GainMap => f.write_str("its gain map, for HDR screens, is left out"),
            Self::InkProfile => {
                f.write_str("its CMYK profile can't be used; convert it to RGB first if its colours are off")
            }
            Self::Highlights => f.write_str("its values above 1 are clipped to white; write TIFF to keep them"),
            Self::Profile => f.write_str(
                "its colour profile can't be used, and it is drawn as sRGB; convert it to sRGB first if its colours are off",
            ),
            Self::EndMark => f.write_str("its end mark is missing; if it was cut short, fetch it again"),
        }
    }
}
