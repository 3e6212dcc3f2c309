//! `utsushi batch`: many pictures into a folder. The same command again goes on where the last run ended.
//!
//! ```text
//! inputs > sources > plan > journal: done before?  > pipeline > outputs, and a line each in the journal
//! ```
//!
//! Whatever makes no sense (a missing input, two pictures for the same output) is found before anything is
//! drawn. A picture that fails, or a subfolder that can't be read, is named and counted, and the others are drawn.
//!
//! On a farm, each task draws a share ([`shard`]) with a daemon of its own ([`own_daemon`]) and writes a journal of
//! its own; [`merge`] reads them all. A video is drawn by [`video`].

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use utsushi_ipc::paths;
use utsushi_ipc::protocol::Priority;

use self::journal::{Entry, Journal};
use self::own_daemon::OwnDaemon;
use self::plan::Planned;
use self::shard::{Shard, Which};
use self::sources::Finds;
use super::left_out::LeftOut;
use super::order::{Order, OrderArgs};
use super::painter::Painter;
use super::pipeline::{self, Event, Job, Outcome};
use super::report::{Report, ReportArgs, Skip};
use super::{Address, Ending, Usage, complain};
use crate::library::Library;
use crate::picture;

mod journal;
mod merge;
mod mistaken;
mod own_daemon;
mod plan;
mod shard;
mod sources;
mod video;

pub(super) use self::plan::Format;
pub(super) use self::sources::Depth;
pub(super) use self::video::{drawn_name, is_video};

/// Re-draw many pictures into a folder, or a video
///
/// IN may be files, folders (the PNG, JPEG, WebP and TIFF files in them) and patterns such as 'shots/*.png'.
/// Each output appears under its name only when it is complete.
///
/// If the run is interrupted, run the same command again: it goes on where it was. The file .utsushi-batch.jsonl
/// in DIR remembers what each output was drawn from and how, so that only pictures are drawn again that have
/// changed since, or whose settings or styles have.
///
/// On a farm, each of N tasks runs the same command with its --shard, and draws its share with a daemon of its own,
/// which ends with it. The tasks share nothing but the folders. A picture's share follows from its name alone, and the
/// frames of a sequence are dealt out evenly. A task that ended early is run again as it was; --report says which,
/// and what failed. Each share keeps a journal of its own, and reads all of them.
///
/// With --shard auto, the share is that of the task in an array of Slurm's (SLURM_ARRAY_TASK_ID, and
/// SLURM_ARRAY_TASK_COUNT, _MIN, _MAX and _STEP), or of the pod in an indexed job of Kubernetes'
/// (JOB_COMPLETION_INDEX, and JOB_COMPLETIONS, which the job's description has to set). With auto/N, there are N
/// shares, and SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX is from 0 to N-1, so that a part of an array can be run
/// again.
///
/// A video (mp4, mov, mkv, webm and others) is drawn frame by frame, through the system's ffmpeg. OUT is then a file
/// (.mp4, .m4v, .mov, .mkv or .webm), or a folder for one of the same name. Sound, frame rate, shape and colour space
/// stay; a variable frame rate becomes constant, by frames that stand longer. Where the source stands still, the result
/// is held still, too (--damping).
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  utsushi batch frames/ -o out/
  utsushi batch photos/ -o comics/ --recursive --format jpeg --quality 90
  utsushi batch 'shots/*.png' cover.jpg -o out/ --style cel=0.7 --style ink=0.3
  utsushi batch frames/ -o out/ --json | jq 'select(.event == \"failed\")'
  utsushi batch frames/ -o out/ --shard 3/8
  utsushi batch --report -o out/
  utsushi batch clip.mp4 -o drawn.mp4

Exit code: 0 all done, 1 some failed, 2 the request makes no sense, 130 interrupted.")]
pub(super) struct Batch {
    /// Files, folders and patterns; or a video
    #[arg(value_name = "IN", required_unless_present = "merge", conflicts_with = "merge")]
    inputs: Vec<PathBuf>,
    /// The folder for the drawn pictures; it is made if it isn't there. For a video, its file or a folder
    #[arg(short, long, value_name = "DIR|VIDEO")]
    output: PathBuf,
    /// Go into subfolders, and make the same ones in DIR
    #[arg(short, long)]
    recursive: bool,
    /// Skip what is there already, whatever it was drawn from
    #[arg(long)]
    skip_existing: bool,
    /// Draw everything again, also what an earlier run has drawn
    #[arg(long, conflicts_with = "skip_existing")]
    redo: bool,
    /// The format of the outputs
    #[arg(long, value_name = "FORMAT", default_value = "same")]
    format: Format,
    /// Draw only this share of the pictures: the I-th of N, or the one that Slurm or Kubernetes says
    #[arg(long, value_name = "I/N|auto|auto/N", value_parser = shard::which)]
    #[arg(help_heading = "On a farm")]
    shard: Option<Which>,
    /// Draw nothing, but say what all tasks have done, and what is missing
    #[arg(long = "report", conflicts_with_all = ["shard", "recursive", "skip_existing", "redo", "format"])]
    #[arg(help_heading = "On a farm")]
    merge: bool,
    #[command(flatten)]
    film: video::FilmArgs,
    #[command(flatten)]
    order: OrderArgs,
    #[command(flatten)]
    report: ReportArgs,
}

/// Which outputs are left as they are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Keep {
    /// Those that an earlier run drew in the same way.
    Finished,
    Existing,
    Nothing,
}

impl Batch {
    pub(super) fn execute(self, address: Address) -> anyhow::Result<Ending> {
        if self.merge {
            return merge::report(&self.output, self.report.is_json());
        }
        let keep = Keep::of(self.skip_existing, self.redo);
        let order = self.order.clone().order(Priority::Batch)?;
        if let Some(film) = self.film()? {
            return film.draw(&order, address, self.report);
        }
        let folder = Folder {
            inputs: self.inputs,
            output: self.output,
            depth: if self.recursive { Depth::Tree } else { Depth::Folder },
            keep,
            format: self.format,
        };
        folder.draw(order, address, self.shard, self.report)
    }

    /// The video that is to be drawn, if it is one.
    fn film(&self) -> Result<Option<video::Film>, Usage> {
        let film = video::Film::among(&self.inputs, &self.output, self.film, self.skip_existing)?;
        let unfit = [
            (self.shard.is_some(), "--shard: a video is drawn by one task; cut it into pictures for more"),
            (self.recursive, "--recursive: a video has no subfolders"),
            (self.format != Format::Same, "--format: the name of the output says what a video becomes"),
        ];
        match unfit.into_iter().find(|(is_given, _)| film.is_some() && *is_given) {
            Some((_, message)) => Err(Usage::new(message)),
            None => Ok(film),
        }
    }
}

/// Many pictures into a folder.
pub(super) struct Folder {
    pub(super) inputs: Vec<PathBuf>,
    pub(super) output: PathBuf,
    pub(super) depth: Depth,
    pub(super) keep: Keep,
    pub(super) format: Format,
}

impl Folder {
    /// Draws them, or a share of them, unless it makes no sense.
    pub(super) fn draw(
        self,
        order: Order,
        address: Address,
        shard: Option<Which>,
        report: ReportArgs,
    ) -> anyhow::Result<Ending> {
        mistaken::check(&self.inputs, &self.output)?;
        if let (Format::Webp, Some(message)) = (self.format, order.unheard_quality(picture::Format::WebP)) {
            return Err(Usage::new(message).into());
        }
        let shard = shard.map(|which| which.resolve(|name| std::env::var(name).ok())).transpose()?;
        let Finds { found, mut lost, mut others } = sources::find(&self.inputs, self.depth, &self.output)?;
        let mut planned = plan::plan(found, &self.output, self.format)?;
        let total = planned.len() + lost.len();
        if let Some(shard) = shard {
            planned.retain(|planned| shard.has(below(&self.output, &planned.job.output)));
            lost.retain(|lost| shard.has(&lost.path));
            others.retain(|other| shard.has(&other.path));
        }
        let mut journal = open_journal(&self.output, shard)?;
        let styles = style_marks(&order);

        let mut report = report.begin(planned.len() + lost.len(), order.seed());
        let other_files: LeftOut = others.iter().map(|other| other.kind).collect();
        report.left_out(other_files.clone());
        let (mut jobs, mut entries, mut skipped) = (Vec::new(), Vec::new(), 0);
        let pictures = planned.len() + lost.len();
        for Planned { job, stamp } in planned {
            let settings = order.describe(job.format) + &styles;
            let entry = Entry::new(&self.output, &job, stamp, settings);
            match self.keep.skips(&job, &journal, &entry) {
                Some(reason) => {
                    report.skipped(&job, reason);
                    skipped += 1;
                }
                None => {
                    jobs.push(job);
                    entries.push(entry);
                }
            }
        }
        warn_unless_noted(journal.begin(shard, total, pictures, skipped), &journal, &report);
        warn_unless_noted(journal.leave_out(None, other_files), &journal, &report);
        for lost in &lost {
            report.lost(&lost.path, &lost.message);
            warn_unless_noted(journal.fail(&lost.path, None, &lost.message), &journal, &report);
        }
        // Among others, which hear it, it is no reason to draw nothing.
        if let Some(message) = jobs.iter().find_map(|job| order.unheard_quality(job.format)) {
            report.warn(&message);
        }
        utsushi_engine::remove_leftovers(jobs.iter().map(|job| job.output.as_path()));
        let drawn = match jobs.is_empty() {
            true => Ok(Outcome::Finished),
            false => connect(address, shard, &order).map(|(painter, _own)| {
                pipeline::run(jobs.clone(), order, painter, |event| {
                    note(event, &jobs, &entries, &mut journal, &report);
                    report.event(&jobs, event);
                })
            }),
        };
        let ended = drawn.as_ref().map_or(Outcome::GaveUp, |outcome| *outcome);
        warn_unless_noted(journal.end(ended), &journal, &report);
        let outcome = drawn?;
        let ending = report.end(outcome);
        if outcome != Outcome::Finished {
            complain("not all was drawn; run the same command again to go on");
        }
        Ok(ending)
    }
}

impl Keep {
    pub(super) fn of(skip_existing: bool, redo: bool) -> Self {
        match (skip_existing, redo) {
            (true, _) => Self::Existing,
            (_, true) => Self::Nothing,
            _ => Self::Finished,
        }
    }

    fn skips(self, job: &Job, journal: &Journal, entry: &Entry) -> Option<Skip> {
        let exists = || job.output.symlink_metadata().is_ok();
        match self {
            Self::Finished if journal.holds(entry) && exists() => Some(Skip::Finished),
            Self::Existing if exists() => Some(Skip::Exists),
            _ => None,
        }
    }
}

/// Where a picture is below the folder for outputs.
fn below<'a>(folder: &Path, output: &'a Path) -> &'a Path {
    output.strip_prefix(folder).unwrap_or(output)
}

fn open_journal(folder: &Path, shard: Option<Shard>) -> anyhow::Result<Journal> {
    if folder.metadata().is_ok_and(|metadata| !metadata.is_dir()) {
        return Err(
            Usage::new(format!("{} is no folder: name another for the outputs", folder.display())).into()
        );
    }
    std::fs::create_dir_all(folder)
        .and_then(|()| {
            Journal::open(folder, shard, || {
                complain("another process draws this share into this folder: waiting for its end");
            })
        })
        .with_context(|| format!("{}: can't write there", folder.display()))
}

/// The user's daemon; or, for a share, one that lives as long as the second value.
fn connect(
    address: Address,
    shard: Option<Shard>,
    order: &Order,
) -> anyhow::Result<(Painter, Option<OwnDaemon>)> {
    let own = (shard.is_some() && !address.is_named).then(OwnDaemon::new).transpose()?;
    let program = || address.starter.program.clone();
    let address = own.as_ref().map(|own| own.address(program())).unwrap_or(address);
    let mut painter = Painter::connect(address)?;
    painter.require(order.styles())?;
    Ok((painter, own))
}

/// What tells this training of the styles from the next.
fn style_marks(order: &Order) -> String {
    let library = Library::open(paths::styles());
    let mark = |id| match Library::built_in_mark(id) {
        Some(mark) => Some(format!(" built-in {mark}")),
        None => Some(format!(" file {}", sources::Stamp::of(&library.find(id)?.file?).ok()?)),
    };
    order.styles().filter_map(mark).collect()
}

fn note(event: &Event, jobs: &[Job], entries: &[Entry], journal: &mut Journal, report: &Report) {
    let noted = match event {
        Event::Started(index) => journal.forget(&entries[*index]),
        Event::Done(index, ..) => journal.record(&entries[*index]),
        Event::Lost(index, loss) => {
            let mut left_out = LeftOut::default();
            left_out.add_loss(loss);
            journal.leave_out(Some(&jobs[*index].source), left_out)
        }
        Event::Failed(index, message) => {
            let Job { source, output, .. } = &jobs[*index];
            journal.fail(source, Some(output), message)
        }
        _ => Ok(()),
    };
    warn_unless_noted(noted, journal, report);
}

fn warn_unless_noted(noted: std::io::Result<()>, journal: &Journal, report: &Report) {
    if let Err(error) = noted {
        let journal = journal.path().display();
        report.warn(&format!(
            "{journal}: can't be written ({error}); the next run may draw again what this one has drawn"
        ));
    }
}
