//! `utsushi stylize`: one picture, at once.

use std::path::{Path, PathBuf};

use clap::Args;
use utsushi_ipc::protocol::Priority;

use super::batch::{drawn_name, is_video};
use super::file_id::FileId;
use super::order::OrderArgs;
use super::painter::Painter;
use super::pipeline::{self, Job};
use super::report::ReportArgs;
use super::{Address, Ending, Usage};
use crate::picture::Format;

/// Re-draw one picture
///
/// Reads and writes PNG, JPEG, WebP and TIFF; the extension of OUT says which. Colour profile, EXIF data and
/// resolution are kept. A file that is already at OUT is replaced when the new one is complete.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  utsushi stylize photo.jpg -o comic.png
  utsushi stylize photo.jpg -o comic.png --strength 0.6 --keep-colours 0.5
  utsushi stylize photo.jpg -o comic.png --style cel=0.7 --style ink=0.3
  utsushi stylize photo.jpg -o comic.png --style oil --seed 7 --grain 0.5
  utsushi stylize scan.tiff --in-place --brush-size 4")]
pub(super) struct Stylize {
    /// The picture
    #[arg(value_name = "IN")]
    source: PathBuf,
    /// Where the drawn picture goes
    #[arg(
        short,
        long,
        value_name = "OUT",
        required_unless_present = "in_place",
        conflicts_with = "in_place"
    )]
    output: Option<PathBuf>,
    /// Put the drawn picture in the place of IN
    #[arg(long)]
    in_place: bool,
    /// Refuse to replace a file that is already at OUT
    #[arg(long, conflicts_with = "in_place")]
    no_clobber: bool,
    #[command(flatten)]
    order: OrderArgs,
    #[command(flatten)]
    report: ReportArgs,
}

impl Stylize {
    pub(super) fn execute(self, address: Address) -> anyhow::Result<Ending> {
        let job = self.job()?;
        let order = self.order.order(Priority::Interactive)?;
        if let Some(message) = order.unheard_quality(job.format) {
            return Err(Usage::new(format!("{}: {message}", job.output.display())).into());
        }
        let mut painter = Painter::connect(address)?;
        painter.require(order.styles())?;
        let jobs = vec![job];
        let mut report = self.report.begin(jobs.len(), order.seed());
        let outcome = pipeline::run(jobs.clone(), order, painter, |event| report.event(&jobs, event));
        Ok(report.end(outcome))
    }

    fn job(&self) -> Result<Job, Usage> {
        let file =
            SingleFile { source: &self.source, output: self.output.as_deref(), no_clobber: self.no_clobber };
        file.job()
    }
}

/// One picture, and where it goes: into its own place, if nothing is said.
pub(super) struct SingleFile<'a> {
    pub(super) source: &'a Path,
    pub(super) output: Option<&'a Path>,
    /// Is a file that is there left as it is?
    pub(super) no_clobber: bool,
}

impl SingleFile<'_> {
    /// What to do, if it makes sense.
    pub(super) fn job(&self) -> Result<Job, Usage> {
        let source = self.source.to_owned();
        let source_id = FileId::of(&source)
            .map_err(|error| Usage::new(format!("{}: can't be read: {error}", source.display())))?;
        if source.is_dir() {
            let message = format!("{} is a folder: draw its pictures with `utsushi batch`", source.display());
            return Err(Usage::new(message));
        }
        if is_video(&source) {
            let shown = source.display();
            let drawn = drawn_name(&source).display().to_string();
            let message = format!("{shown} is a video: draw it with `utsushi batch {shown} -o {drawn}`");
            return Err(Usage::new(message));
        }
        let output = match self.output {
            None => source.clone(),
            Some(output) => {
                self.check_output(output, source_id)?;
                output.to_owned()
            }
        };
        let format = Format::from_path(&output).ok_or_else(|| {
            let message = "its extension must say what to write: .png, .jpg, .webp or .tiff";
            Usage::new(format!("{}: {message}", output.display()))
        })?;
        Ok(Job { source, output, format })
    }

    fn check_output(&self, output: &Path, source_id: FileId) -> Result<(), Usage> {
        let shown = output.display();
        if output.is_dir() {
            return Err(Usage::new(format!("{shown} is a folder: name a file in it")));
        }
        if let Some(folder) = output.parent().filter(|folder| *folder != Path::new("") && !folder.is_dir()) {
            let message = format!("{shown}: there is no folder {}; make it first", folder.display());
            return Err(Usage::new(message));
        }
        if FileId::of(output).is_ok_and(|id| id == source_id) {
            let message =
                format!("{shown} is the picture itself: to replace it, say --in-place instead of -o");
            return Err(Usage::new(message));
        }
        if self.no_clobber && output.symlink_metadata().is_ok() {
            let message = format!("{shown} is there already: give another name, or leave out --no-clobber");
            return Err(Usage::new(message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        stylize: Stylize,
    }

    #[test]
    fn where_the_picture_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("in.png"), "").unwrap();
        fs::write(path("there.jpg"), "").unwrap();
        fs::hard_link(path("in.png"), path("link.png")).unwrap();
        fs::create_dir(path("folder.png")).unwrap();
        let check = |line: &str, expected: Option<(&str, Format)>| {
            let words = line.split_whitespace().map(|word| match word.starts_with('-') {
                true => word.into(),
                false => path(word),
            });
            let words = std::iter::once("utsushi".into()).chain(words);
            let job = Line::try_parse_from(words.map(PathBuf::into_os_string))
                .ok()
                .and_then(|line| line.stylize.job().ok())
                .map(|job| (job.output, job.format));
            assert_eq!(job, expected.map(|(name, format)| (path(name), format)), "{line}");
        };
        check("in.png -o out.jpg", Some(("out.jpg", Format::Jpeg)));
        check("in.png -o there.jpg", Some(("there.jpg", Format::Jpeg)));
        check("in.png -o there.jpg --no-clobber", None);
        check("in.png -o out.jpg --no-clobber", Some(("out.jpg", Format::Jpeg)));
        check("in.png --in-place", Some(("in.png", Format::Png)));
        check("in.png -o in.png", None);
        check("in.png -o link.png", None);
        check("in.png -o out.png --in-place", None);
        check("in.png", None);
        check("in.png -o out.gif", None);
        check("in.png -o out", None);
        check("in.png -o new/out.png", None);
        check("in.png -o folder.png", None);
        check("folder.png -o out.png", None);
        check("missing.png -o out.png", None);
    }

    #[test]
    fn a_video_is_sent_to_the_right_command() {
        let folder = tempfile::tempdir().unwrap();
        for (name, expected) in
            [("a.mp4", "-o drawn.mp4`"), ("b.avi", "-o drawn.mp4`"), ("c.mkv", "-o drawn.mkv`")]
        {
            let path = folder.path().join(name);
            fs::write(&path, "").unwrap();
            let output = path.with_extension("png");
            let words = ["x".into(), path.clone().into_os_string(), "-o".into(), output.into_os_string()];
            let error = Line::try_parse_from(words).unwrap().stylize.job().unwrap_err().to_string();
            assert!(error.contains(&format!("`utsushi batch {}", path.display())), "{error}");
            assert!(error.ends_with(expected), "{error}");
        }
    }
}
