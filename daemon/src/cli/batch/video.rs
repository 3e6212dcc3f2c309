//! `utsushi batch clip.mp4 -o drawn.mp4`: a video, frame by frame, through the system's ffmpeg.
//!
//! ```text
//! ffprobe > probe   what it is     > recipe    what ffmpeg is told
//!           reel    the frames     > damping   what stands still is held still
//!           telling the news
//! ```
//!
//! What stays: the size (a turned video comes out upright), the frame rate and the clock, the pixels' shape, range,
//! matrix and transfer of the colours, sound, chapters, titles. Frames are drawn with 8 bits.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use self::container::Container;
pub(in super::super) use self::container::is_video;
use self::reel::Reel;
use self::telling::Teller;
use super::super::file_id::FileId;
use super::super::order::Order;
use super::super::painter::Painter;
use super::super::report::ReportArgs;
use super::super::{Address, Ending, Usage, describe, values};

mod container;
mod damping;
mod probe;
mod recipe;
mod reel;
mod telling;
mod tool;

/// Lets little flicker through, and follows what changes slowly within five frames.
const DEFAULT_DAMPING: f32 = 0.8;

#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Videos")]
pub(super) struct FilmArgs {
    /// How still the result is held where the source stands still: 0 lets it flicker, 1 freezes it [default: 0.8]
    #[arg(long, value_name = "0..1", value_parser = values::fraction)]
    damping: Option<f32>,
}

/// A video, and where it goes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Film {
    source: PathBuf,
    output: PathBuf,
    container: Container,
    damping: f32,
    keep_existing: bool,
}

impl Film {
    /// The video among a batch's inputs. None if they are pictures.
    pub(super) fn among(
        inputs: &[PathBuf],
        output: &Path,
        args: FilmArgs,
        keep_existing: bool,
    ) -> Result<Option<Self>, Usage> {
        let is_film = |path: &&PathBuf| is_video(path) && path.is_file();
        let source = match inputs.iter().find(is_film) {
            Some(film) if inputs.len() == 1 => film.clone(),
            Some(film) => {
                let film = film.display();
                return Err(Usage::new(format!("{film} is a video: draw it by itself, with `-o drawn.mp4`")));
            }
            None if args.damping.is_some() => {
                return Err(Usage::new("--damping is for a video, which is not there"));
            }
            None => return Ok(None),
        };
        let (output, container) = target(&source, output)?;
        if FileId::of(&source).is_ok_and(|id| FileId::of(&output).is_ok_and(|other| other == id)) {
            let message = format!("{} is the video itself: give the result another name", output.display());
            return Err(Usage::new(message));
        }
        let damping = args.damping.unwrap_or(DEFAULT_DAMPING);
        Ok(Some(Self { source, output, container, damping, keep_existing }))
    }

    pub(super) fn draw(self, order: &Order, address: Address, report: ReportArgs) -> anyhow::Result<Ending> {
        if self.keep_existing && self.output.symlink_metadata().is_ok() {
            Teller::new(report, &self.source, &self.output, None).skipped();
            return Ok(Ending::Done);
        }
        let clip = probe::probe(&self.source)?;
        if let Some(folder) = self.output.parent() {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        let mut painter = Painter::connect(address)?;
        painter.require(order.styles())?;

        let mut teller = Teller::new(report, &self.source, &self.output, clip.frames);
        teller.started();
        self.notes(&clip).iter().for_each(|note| teller.warn(note));
        let named = format!("{}: ", self.source.display());
        let Self { source, output, container, damping, .. } = self;
        let spec = order.spec(clip.raster)?;
        let reel = Reel { source, output, container, clip, spec, damping };
        Ok(match reel::run(reel, painter, |event| teller.event(event)) {
            Some(Ok(())) => {
                teller.done(order.seed());
                Ending::Done
            }
            Some(Err(error)) => {
                teller.failed(&(named + &describe(&error)));
                Ending::Failed
            }
            None => {
                teller.interrupted();
                Ending::Interrupted
            }
        })
    }

    /// What doesn't stay as it was, in words.
    fn notes(&self, clip: &probe::Clip) -> Vec<String> {
        let name = self.source.display();
        let mut notes = Vec::new();
        if clip.is_variable {
            let rate = clip.rate.value();
            notes.push(format!(
                "{name}: its frame rate varies; the result has {rate:.3} frames in every second"
            ));
        }
        if clip.is_deep {
            notes.push(format!("{name}: it has more than 8 bits a sample; the result has 8"));
        }
        if clip.is_interlaced {
            notes.push(format!("{name}: it is interlaced; the result is not"));
        }
        if clip.has_alpha {
            notes.push(format!("{name}: its transparency is left out"));
        }
        if clip.has_unknown_sound {
            notes.push(format!("{name}: it has sound that this ffmpeg doesn't know, which is left out"));
        }
        if clip.has_subtitles {
            notes.push(format!("{name}: its subtitles are left out"));
        }
        let changed = |sound: &&probe::Sound| self.container.sound(&sound.codec) != "copy";
        if let Some(probe::Sound { codec, .. }) = clip.sounds.iter().find(changed) {
            let (kind, into) = (self.container.name(), self.container.sound(codec));
            notes
                .push(format!("{name}: {kind} doesn't hold sound as {codec}; it is encoded anew, by {into}"));
        }
        notes
    }
}

/// A name for what is drawn of a video, in a container that can be written.
pub(in super::super) fn drawn_name(source: &Path) -> PathBuf {
    let drawn = Path::new("drawn").with_extension(source.extension().unwrap_or_default());
    if Container::of(&drawn).is_some() { drawn } else { drawn.with_extension("mp4") }
}

/// A file of its own name, or one in a folder by the source's.
fn target(source: &Path, output: &Path) -> Result<(PathBuf, Container), Usage> {
    if !output.is_dir() && output.extension().is_some() {
        let container = Container::of(output).ok_or_else(|| {
            let message = "its extension must say what to write: .mp4, .m4v, .mov, .mkv or .webm";
            Usage::new(format!("{}: {message}", output.display()))
        })?;
        return Ok((output.into(), container));
    }
    let output = output.join(source.file_name().unwrap_or_default());
    Ok(match Container::of(&output) {
        Some(container) => (output, container),
        None => (output.with_extension("mp4"), Container::Mp4),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_video_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["a.mp4", "b.avi", "c.MOV", "d.png"] {
            fs::write(path(name), "").unwrap();
        }
        fs::create_dir(path("there")).unwrap();
        fs::create_dir(path("folder.mp4")).unwrap();
        // None: it makes no sense. Some(None): no video.
        let check = |inputs: &[&str], output: &str, expected: Option<Option<(&str, Container)>>| {
            let inputs: Vec<_> = inputs.iter().map(|name| path(name)).collect();
            let film = Film::among(&inputs, &path(output), FilmArgs { damping: None }, false).ok();
            let film = film.map(|film| film.map(|film| (film.output, film.container)));
            let expected = expected.map(|film| film.map(|(name, container)| (path(name), container)));
            assert_eq!(film, expected, "{inputs:?} {output}");
        };
        check(&["a.mp4"], "out.mp4", Some(Some(("out.mp4", Container::Mp4))));
        check(&["a.mp4"], "out.webm", Some(Some(("out.webm", Container::WebM))));
        check(&["a.mp4"], "there", Some(Some(("there/a.mp4", Container::Mp4))));
        check(&["b.avi"], "new", Some(Some(("new/b.mp4", Container::Mp4))));
        check(&["c.MOV"], "folder.mp4", Some(Some(("folder.mp4/c.MOV", Container::Mov))));
        check(&["a.mp4"], "out.png", None);
        check(&["a.mp4"], "a.mp4", None);
        check(&["a.mp4", "d.png"], "out", None);
        check(&["d.png"], "out", Some(None));
        check(&["folder.mp4"], "out", Some(None));
        check(&["missing.mp4"], "out", Some(None));
        let damped = FilmArgs { damping: Some(0.5) };
        assert!(Film::among(&[path("d.png")], &path("out"), damped, false).is_err());
    }
}
