//! What kinds of files videos come in, and what each of them is given to hold.

use std::path::Path;

/// The extensions by which a video is known.
const VIDEOS: [&str; 16] = [
    "mp4", "m4v", "mov", "mkv", "webm", "avi", "mpg", "mpeg", "ts", "mts", "m2ts", "ogv", "wmv", "flv",
    "mxf", "3gp",
];

/// Is this the name of a video?
pub(in super::super::super) fn is_video(path: &Path) -> bool {
    extension(path).is_some_and(|extension| VIDEOS.contains(&extension.as_str()))
}

fn extension(path: &Path) -> Option<String> {
    Some(path.extension()?.to_str()?.to_ascii_lowercase())
}

/// What can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    Mp4,
    Mov,
    Matroska,
    WebM,
}

impl Container {
    /// What the file's name asks for.
    pub(super) fn of(path: &Path) -> Option<Self> {
        match extension(path)?.as_str() {
            "mp4" | "m4v" => Some(Self::Mp4),
            "mov" => Some(Self::Mov),
            "mkv" => Some(Self::Matroska),
            "webm" => Some(Self::WebM),
            _ => None,
        }
    }

    /// ffmpeg's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::Mov => "mov",
            Self::Matroska => "matroska",
            Self::WebM => "webm",
        }
    }

    /// How ffmpeg encodes the pictures: hardly to be told from what was drawn.
    pub(super) fn encoding(self) -> &'static [&'static str] {
        match self {
            Self::Mp4 | Self::Mov => {
                &["-c:v", "libx264", "-crf", "18", "-preset", "medium", "-movflags", "+faststart"]
            }
            Self::Matroska => &["-c:v", "libx264", "-crf", "18", "-preset", "medium"],
            Self::WebM => &[
                "-c:v",
                "libvpx-vp9",
                "-crf",
                "24",
                "-b:v",
                "0",
                "-deadline",
                "good",
                "-cpu-used",
                "3",
                "-row-mt",
                "1",
            ],
        }
    }

    /// How its pixels are stored. H.264 halves the colours' sides only if these are even.
    pub(super) fn pixels(self, width: u32, height: u32) -> &'static str {
        if self != Self::WebM && (width % 2 == 1 || height % 2 == 1) { "yuv444p" } else { "yuv420p" }
    }

    /// Does it keep a clock that can be chosen?
    pub(super) fn has_clock(self) -> bool {
        matches!(self, Self::Mp4 | Self::Mov)
    }

    /// What to do with sound in this codec: keep it as it is, if the container can hold it.
    pub(super) fn sound(self, codec: &str) -> &'static str {
        let (holds, else_into): (&[&str], _) = match self {
            Self::Matroska => return "copy",
            Self::Mp4 => (&["aac", "mp3", "mp2", "ac3", "eac3", "alac", "opus", "flac", "dts"], "aac"),
            Self::Mov => (
                &["aac", "mp3", "ac3", "eac3", "alac", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be"],
                "aac",
            ),
            Self::WebM => (&["opus", "vorbis"], "libopus"),
        };
        if holds.contains(&codec) { "copy" } else { else_into }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_to_write() {
        fn check(name: &str, video: bool, container: Option<Container>) {
            let path = Path::new(name);
            assert_eq!((is_video(path), Container::of(path)), (video, container), "{name}");
        }
        check("a.mp4", true, Some(Container::Mp4));
        check("a.b.MOV", true, Some(Container::Mov));
        check("a.mkv", true, Some(Container::Matroska));
        check("a.webm", true, Some(Container::WebM));
        check("a.avi", true, None);
        check("a.png", false, None);
        check("mp4", false, None);
        check(".mp4", false, None);
    }

    #[test]
    fn sound_is_kept_where_it_can_be() {
        fn check(container: Container, codec: &str, expected: &str) {
            assert_eq!(container.sound(codec), expected, "{container:?} {codec}");
        }
        check(Container::Mp4, "aac", "copy");
        check(Container::Mp4, "pcm_s16le", "aac");
        check(Container::Mov, "pcm_s16le", "copy");
        check(Container::Mov, "opus", "aac");
        check(Container::Matroska, "wmav2", "copy");
        check(Container::WebM, "opus", "copy");
        check(Container::WebM, "aac", "libopus");
    }

    #[test]
    fn odd_sides_keep_all_their_pixels() {
        assert_eq!(Container::Mp4.pixels(640, 480), "yuv420p");
        assert_eq!(Container::Mp4.pixels(641, 480), "yuv444p");
        assert_eq!(Container::Matroska.pixels(640, 481), "yuv444p");
        assert_eq!(Container::WebM.pixels(641, 481), "yuv420p");
    }
}
