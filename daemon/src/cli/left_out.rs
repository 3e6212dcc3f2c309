//! What among a command's inputs isn't drawn: pages and frames behind the first, and files of other kinds.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::batch::is_video;
use crate::picture::{Format, Loss, Part};

/// Pictures of kinds that aren't read, by how their files' names end.
const OTHER_PICTURES: [(&str, &[&str]); 8] = [
    ("AVIF", &["avif", "avifs"]),
    ("BMP", &["bmp", "dib"]),
    ("GIF", &["gif"]),
    ("HEIC", &["heic", "heif", "hif"]),
    ("JPEG 2000", &["jp2", "j2k", "jpf", "jpx"]),
    ("JPEG XL", &["jxl"]),
    ("PSD", &["psd", "psb"]),
    ("raw", &["arw", "cr2", "cr3", "dng", "nef", "orf", "pef", "raf", "rw2", "srw"]),
];

/// Counts of what is left out, each kind by its name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct LeftOut(BTreeMap<Kind, u64>);

/// What can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Part(Part),
    /// Of pictures, by the format's name.
    File(&'static str),
    Video,
}

impl Kind {
    /// The kind of a file that isn't drawn, and that somebody might expect to be: pictures and videos, but no text.
    pub(super) fn of_file(path: &Path) -> Option<Self> {
        if Format::from_path(path).is_some() {
            return None;
        }
        if is_video(path) {
            return Some(Self::Video);
        }
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        let is_of = |(_, extensions): &&(&str, &[&str])| extensions.contains(&extension.as_str());
        OTHER_PICTURES.iter().find(is_of).map(|(name, _)| Self::File(name))
    }

    fn counted(self, count: u64) -> String {
        let plural = if count == 1 { "" } else { "s" };
        match self {
            Self::Part(part) => part.counted(count),
            Self::File(name) => format!("{count} {name} file{plural}"),
            Self::Video => format!("{count} video{plural}"),
        }
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Part(part) => part.name(),
            Self::File(name) => name,
            Self::Video => "video",
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        let parts = [Part::Page, Part::Frame, Part::View].map(Self::Part);
        let files = OTHER_PICTURES.map(|(name, _)| Self::File(name));
        parts.into_iter().chain(files).chain([Self::Video]).find(|kind| kind.name() == name)
    }
}

impl Serialize for Kind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::of_name(&name).ok_or_else(|| serde::de::Error::custom(format!("{name} is no kind of file")))
    }
}

impl FromIterator<Kind> for LeftOut {
    fn from_iter<T: IntoIterator<Item = Kind>>(kinds: T) -> Self {
        let mut left_out = Self::default();
        kinds.into_iter().for_each(|kind| left_out.add(kind));
        left_out
    }
}

impl LeftOut {
    fn add(&mut self, kind: Kind) {
        *self.0.entry(kind).or_default() += 1;
    }

    /// Counts a loss, if it is one of parts.
    pub(super) fn add_loss(&mut self, loss: &Loss) {
        if let Loss::Parts { part, count } = loss {
            *self.0.entry(Kind::Part(*part)).or_default() += count;
        }
    }

    /// Counts all of these, too.
    pub(super) fn add_all(&mut self, others: &Self) {
        others.0.iter().for_each(|(kind, count)| *self.0.entry(*kind).or_default() += count);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Are there files that were left out?
    pub(super) fn has_files(&self) -> bool {
        self.0.keys().any(|kind| !matches!(kind, Kind::Part(_)))
    }

    /// To go on with after a summary, as in "; left out: 1 page, 2 GIF files". Nothing if nothing is left out.
    pub(super) fn in_words(&self) -> String {
        let parts: Vec<_> = self.0.iter().map(|(kind, count)| kind.counted(*count)).collect();
        if parts.is_empty() { String::new() } else { format!("; left out: {}", parts.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_files() {
        fn check(name: &str, expected: Option<Kind>) {
            assert_eq!(Kind::of_file(Path::new(name)), expected, "{name}");
        }
        check("a.heic", Some(Kind::File("HEIC")));
        check("a.HEIF", Some(Kind::File("HEIC")));
        check("a.avif", Some(Kind::File("AVIF")));
        check("a.gif", Some(Kind::File("GIF")));
        check("a.bmp", Some(Kind::File("BMP")));
        check("a.CR2", Some(Kind::File("raw")));
        check("a.mp4", Some(Kind::Video));
        check("a.png", None);
        check("a.txt", None);
        check("gif", None);
    }

    #[test]
    fn what_is_left_out_is_counted() {
        let mut left_out = LeftOut::default();
        assert_eq!((left_out.in_words().as_str(), left_out.has_files()), ("", false));
        left_out.add_loss(&Loss::EndMark);
        assert!(left_out.is_empty());
        for count in [1, 3] {
            left_out.add_loss(&Loss::Parts { part: Part::Frame, count });
        }
        assert_eq!((left_out.in_words().as_str(), left_out.has_files()), ("; left out: 4 frames", false));
        for name in ["a.gif", "b.mov", "b.GIF"] {
            left_out.add(Kind::of_file(Path::new(name)).unwrap());
        }
        assert_eq!(left_out.in_words(), "; left out: 4 frames, 2 GIF files, 1 video");
        let json = r#"{"frame":4,"GIF":2,"video":1}"#;
        assert_eq!(serde_json::to_string(&left_out).unwrap(), json);
        assert_eq!(serde_json::from_str::<LeftOut>(json).unwrap(), left_out);
        assert!(serde_json::from_str::<LeftOut>(r#"{"thing":1}"#).is_err());
    }
}
