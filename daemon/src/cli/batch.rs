//! `utsushi batch`: many pictures into a folder. The same command again goes on where the last run ended.
//!
//! ```text
//! inputs > sources > plan > journal: done before?  > pipeline > outputs, and a line each in the journal
//! ```
//!
//! Whatever makes no sense (a missing input, two pictures for the same output) is found before anything is
//! drawn. A picture that fails, or a subfolder that can't be read, is named and counted, and the others are drawn.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use utsushi_ipc::paths;
use utsushi_ipc::protocol::Priority;

use self::journal::{Entry, Journal};
use self::plan::{Format, Planned};
use self::sources::Depth;
use super::order::{Order, OrderArgs};
use super::painter::Painter;
use super::pipeline::{self, Event, Job, Outcome};
use super::report::{Report, ReportArgs, Skip};
use super::{Address, Ending, Usage, complain};
use crate::library::Library;

mod journal;
mod plan;
mod sources;

/// Re-draw many pictures into a folder
///
/// IN may be files, folders (the PNG, JPEG, WebP and TIFF files in them) and patterns such as 'shots/*.png'.
/// Each output appears under its name only when it is complete.
///
/// If the run is interrupted, run the same command again: it goes on where it was. The file .utsushi-batch.jsonl
/// in DIR remembers what each output was drawn from and how, so that only pictures are drawn again that have
/// changed since, or whose settings or styles have.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  utsushi batch frames/ -o out/
  utsushi batch photos/ -o comics/ --recursive --format jpeg --quality 90
  utsushi batch 'shots/*.png' cover.jpg -o out/ --style cel=0.7 --style ink=0.3
  utsushi batch frames/ -o out/ --json | jq 'select(.event == \"failed\")'

Exit code: 0 all done, 1 some failed, 2 the request makes no sense, 130 interrupted.")]
pub(super) struct Batch {
    /// Files, folders and patterns
    #[arg(value_name = "IN", required = true)]
    inputs: Vec<PathBuf>,
    /// The folder for the drawn pictures; it is made if it isn't there
    #[arg(short, long, value_name = "DIR")]
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
    #[command(flatten)]
    order: OrderArgs,
    #[command(flatten)]
    report: ReportArgs,
}

/// Which outputs are left as they are.
#[derive(Debug, Clone, Copy)]
enum Keep {
    /// Those that an earlier run drew in the same way.
    Finished,
    Existing,
    Nothing,
}

impl Batch {
    pub(super) fn execute(self, address: Address) -> anyhow::Result<Ending> {
        let keep = self.keep();
        let depth = if self.recursive { Depth::Tree } else { Depth::Folder };
        let order = self.order.order(Priority::Batch)?;
        let (found, lost) = sources::find(&self.inputs, depth, &self.output)?;
        let planned = plan::plan(found, &self.output, self.format)?;
        let mut journal = open_journal(&self.output)?;
        let styles = style_marks(&order);

        let mut report = self.report.begin(planned.len() + lost.len());
        lost.iter().for_each(|lost| report.lost(&lost.path, &lost.message));
        let (mut jobs, mut entries) = (Vec::new(), Vec::new());
        for Planned { job, stamp } in planned {
            let settings = order.describe(job.format) + &styles;
            let entry = Entry::new(&self.output, &job, stamp, settings);
            match keep.skips(&job, &journal, &entry) {
                Some(reason) => report.skipped(&job, reason),
                None => {
                    jobs.push(job);
                    entries.push(entry);
                }
            }
        }
        if jobs.is_empty() {
            return Ok(report.end(Outcome::Finished));
        }
        let mut painter = Painter::connect(address)?;
        painter.require(order.styles())?;
        let outcome = pipeline::run(jobs.clone(), order, painter, |event| {
            note(event, &entries, &mut journal, &report);
            report.event(&jobs, event);
        });
        let ending = report.end(outcome);
        if outcome != Outcome::Finished {
            complain("not all was drawn; run the same command again to go on");
        }
        Ok(ending)
    }

    fn keep(&self) -> Keep {
        match (self.skip_existing, self.redo) {
            (true, _) => Keep::Existing,
            (_, true) => Keep::Nothing,
            _ => Keep::Finished,
        }
    }
}

impl Keep {
    fn skips(self, job: &Job, journal: &Journal, entry: &Entry) -> Option<Skip> {
        let exists = || job.output.symlink_metadata().is_ok();
        match self {
            Self::Finished if journal.holds(entry) && exists() => Some(Skip::Finished),
            Self::Existing if exists() => Some(Skip::Exists),
            _ => None,
        }
    }
}

fn open_journal(folder: &Path) -> anyhow::Result<Journal> {
    if folder.metadata().is_ok_and(|metadata| !metadata.is_dir()) {
        return Err(
            Usage::new(format!("{} is no folder: name another for the outputs", folder.display())).into()
        );
    }
    std::fs::create_dir_all(folder)
        .and_then(|()| Journal::open(folder))
        .with_context(|| format!("{}: can't write there", folder.display()))
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

fn note(event: &Event, entries: &[Entry], journal: &mut Journal, report: &Report) {
    let noted = match event {
        Event::Started(index) => journal.forget(&entries[*index]),
        Event::Done(index, ..) => journal.record(&entries[*index]),
        _ => Ok(()),
    };
    if let Err(error) = noted {
        let journal = journal.path().display();
        report.warn(&format!(
            "{journal}: can't be written ({error}); the next run may draw this picture again"
        ));
    }
}
