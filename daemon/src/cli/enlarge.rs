//! `utsushi enlarge`: pictures at two or four times their size. One file becomes another; folders, and several files,
//! go the way of a batch.

use std::path::{Path, PathBuf};

use clap::Args;
use utsushi_ipc::protocol::Priority;

use super::batch::{Depth, Folder, Format, Keep, is_video};
use super::order::Order;
use super::painter::Painter;
use super::pipeline;
use super::report::ReportArgs;
use super::stylize::SingleFile;
use super::values::{Kind, Scale};
use super::{Address, Ending, Usage};
use crate::picture;

/// Enlarge pictures to two or four times their size
///
/// A network draws what the picture would show if it were larger, and leaves out what JPEG, noise and scanners have
/// added. Reads and writes PNG, JPEG, WebP and TIFF; colour profile, EXIF data, resolution and bits a channel are kept.
///
/// OUT is a file for a single picture, and its extension says what is written; or a folder, for which IN may be files,
/// folders and patterns such as 'scans/*.png'. Each output appears under its name only when it is complete. A run into a
/// folder that was interrupted goes on when the same command is run again.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  utsushi enlarge photo.jpg -o large.png
  utsushi enlarge page.png -o page-2x.png --kind drawing
  utsushi enlarge icon.png -o poster.png --scale 4 --kind drawing
  utsushi enlarge scans/ -o large/ --recursive --kind drawing --format png

Exit code: 0 all done, 1 some failed, 2 the request makes no sense, 130 interrupted.")]
pub(super) struct Enlarge {
    /// A picture; or files, folders and patterns
    #[arg(value_name = "IN", required = true)]
    inputs: Vec<PathBuf>,
    /// Where the enlarged picture goes; for several, the folder, which is made if it isn't there
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// How many times longer each side becomes
    #[arg(long, value_name = "TIMES", default_value = "2")]
    scale: Scale,
    /// What the pictures are: a network was trained for each
    #[arg(long, value_name = "KIND", default_value = "photo")]
    kind: Kind,
    /// The quality of JPEG files [default: 95]; other formats are written without loss
    #[arg(long, value_name = "1..100", value_parser = clap::value_parser!(u8).range(1..=100))]
    quality: Option<u8>,
    /// Refuse to replace a file that is already at OUT
    #[arg(long)]
    no_clobber: bool,
    /// Go into subfolders, and make the same ones in OUT
    #[arg(short, long, help_heading = "Into a folder")]
    recursive: bool,
    /// Skip what is there already, whatever it was made from
    #[arg(long, help_heading = "Into a folder")]
    skip_existing: bool,
    /// Enlarge everything again, also what an earlier run has done
    #[arg(long, conflicts_with = "skip_existing", help_heading = "Into a folder")]
    redo: bool,
    /// The format of the outputs [default: same]
    #[arg(long, value_name = "FORMAT", help_heading = "Into a folder")]
    format: Option<Format>,
    #[command(flatten)]
    report: ReportArgs,
}

impl Enlarge {
    pub(super) fn execute(self, address: Address) -> anyhow::Result<Ending> {
        if let Some(video) = self.inputs.iter().find(|input| is_video(input)) {
            let message = format!("{} is a video, and only pictures are enlarged", video.display());
            return Err(Usage::new(message).into());
        }
        match self.single()? {
            Some(source) => self.one(&source, address),
            None => self.many(address),
        }
    }

    /// The picture, if it is one that becomes a file.
    fn single(&self) -> Result<Option<PathBuf>, Usage> {
        let is_file = |path: &Path| !path.is_dir() && picture::Format::from_path(path).is_some();
        match &self.inputs[..] {
            [source] if is_file(&self.output) && !source.is_dir() => {
                self.only_for_folders().map(|()| Some(source.clone()))
            }
            _ if self.no_clobber => {
                Err(Usage::new("--no-clobber is for a single file; into a folder, say --skip-existing"))
            }
            _ => Ok(None),
        }
    }

    fn only_for_folders(&self) -> Result<(), Usage> {
        let given = [
            (self.recursive, "--recursive"),
            (self.skip_existing, "--skip-existing"),
            (self.redo, "--redo"),
            (self.format.is_some(), "--format"),
        ];
        match given.iter().find(|(is_given, _)| *is_given) {
            Some((_, option)) => {
                let output = self.output.display();
                Err(Usage::new(format!(
                    "{option} is for folders, and {output} names a file: leave one of them out"
                )))
            }
            None => Ok(()),
        }
    }

    fn one(self, source: &Path, address: Address) -> anyhow::Result<Ending> {
        let file = SingleFile { source, output: Some(&self.output), no_clobber: self.no_clobber };
        let job = file.job()?;
        let order = self.order(Priority::Interactive);
        if let Some(message) = order.unheard_quality(job.format) {
            return Err(Usage::new(format!("{}: {message}", job.output.display())).into());
        }
        let painter = Painter::connect(address)?;
        let jobs = vec![job];
        let mut report = self.report.begin(jobs.len(), order.seed());
        let outcome = pipeline::run(jobs.clone(), order, painter, |event| report.event(&jobs, event));
        Ok(report.end(outcome))
    }

    fn many(self, address: Address) -> anyhow::Result<Ending> {
        let order = self.order(Priority::Batch);
        let folder = Folder {
            inputs: self.inputs,
            output: self.output,
            depth: if self.recursive { Depth::Tree } else { Depth::Folder },
            keep: Keep::of(self.skip_existing, self.redo),
            format: self.format.unwrap_or(Format::Same),
        };
        folder.draw(order, address, None, self.report)
    }

    fn order(&self, priority: Priority) -> Order {
        Order::enlarge(self.scale.0, self.kind.0, self.quality, priority)
    }
}
