//! `utsushi jobs`: which trainings there are, and what becomes of them.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::process::{Command, Stdio};

use clap::{Args, Subcommand};
use utsushi_ipc::client::{Client, ClientError};
use utsushi_ipc::protocol::{FaultKind, JobId, JobInfo, JobState};

use super::follow::{Manner, Told, describe, follow, state};
use super::{Address, Ending, Usage, complain};

/// List the trainings, follow them, pause and cancel them
///
/// A job is named by its number, or by its style. One trains at a time, in their order; paused ones make way. Those
/// that were in the queue, or trained, when the daemon ended, go on when one runs again, from their last checkpoint.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "Examples:
  utsushi jobs
  utsushi jobs watch hana
  utsushi jobs pause 3
  utsushi jobs report hana --open")]
pub(super) struct Jobs {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, Subcommand)]
enum Action {
    List(List),
    /// Follow a job to its end
    Watch {
        #[command(flatten)]
        job: Name,
        /// Write an object a line to standard output, all there is to know each time
        #[arg(long)]
        json: bool,
    },
    /// Have a job wait, after a checkpoint
    Pause(Name),
    /// Have a job go on that waits or has failed, also on battery power
    Resume(Name),
    /// End a job for good; its log and report stay until it is removed
    Cancel(Name),
    /// Delete all that is left of a job that has ended; the style it made stays
    Remove(Name),
    /// Show a job's log
    Log(Name),
    /// Tell where a job's page is, with its pictures and curves
    Report {
        /// The job's number, or the id of its style [default: the job that trains, or else the newest]
        #[arg(value_name = "JOB")]
        job: Option<String>,
        /// Show it in the browser
        #[arg(long)]
        open: bool,
    },
}

/// List the jobs: number, style, state, how much is done, and what it does
#[derive(Debug, Clone, Copy, Args)]
struct List {
    /// Write one JSON array, with everything that is known
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Name {
    /// The job's number, or the id of its style
    #[arg(value_name = "JOB")]
    job: String,
}

impl Jobs {
    pub(super) fn execute(self, address: &Address) -> anyhow::Result<Ending> {
        let mut client = Client::connect_or_start(&address.socket, &address.starter)?;
        let jobs = client.jobs()?;
        let find = |name: &Name| find(&jobs, &name.job);
        let changed = match self.action.unwrap_or(Action::List(self.list)) {
            Action::List(list) => {
                list.show(&jobs)?;
                return Ok(Ending::Done);
            }
            Action::Watch { job, json } => {
                return follow(client, find(&job)?.id, Manner::new(json));
            }
            Action::Log(name) => {
                show_log(find(&name)?)?;
                return Ok(Ending::Done);
            }
            Action::Report { job, open } => {
                let job = match job {
                    Some(name) => self::find(&jobs, &name),
                    None => latest(&jobs),
                };
                let shown = job.map_err(anyhow::Error::from).and_then(|job| report(job, open));
                // It is an entry of menus, too.
                return if open { shown.inspect_err(super::tell_on_the_desktop) } else { shown };
            }
            Action::Remove(name) => {
                let id = find(&name)?.id;
                client.remove_job(id).map_err(refusal)?;
                writeln!(io::stdout(), "job {id}: removed")?;
                return Ok(Ending::Done);
            }
            Action::Pause(name) => client.pause_job(find(&name)?.id),
            Action::Resume(name) => client.resume_job(find(&name)?.id),
            Action::Cancel(name) => client.cancel_job(find(&name)?.id),
        };
        let job = changed.map_err(refusal)?;
        writeln!(io::stdout(), "job {}: {}", job.id, describe(&job))?;
        Ok(Ending::Done)
    }
}

/// What the daemon won't do is the user's to ask otherwise.
fn refusal(error: ClientError) -> anyhow::Error {
    match error {
        ClientError::Fault(fault) if fault.kind == FaultKind::Invalid => Usage::new(fault.message).into(),
        other => other.into(),
    }
}

/// By its number, or the newest of a style.
fn find<'a>(jobs: &'a [JobInfo], name: &str) -> Result<&'a JobInfo, Usage> {
    let id = name.parse().ok().map(JobId);
    let numbered = jobs.iter().find(|job| Some(job.id) == id);
    numbered.or_else(|| jobs.iter().rev().find(|job| job.style == name)).ok_or_else(|| {
        Usage::new(format!("there is no job `{name}`; `utsushi jobs` lists them by number and style"))
    })
}

/// The one that trains, or else the newest.
fn latest(jobs: &[JobInfo]) -> Result<&JobInfo, Usage> {
    let training = jobs.iter().find(|job| matches!(job.state, JobState::Preparing | JobState::Running));
    let latest = training.or(jobs.last());
    latest.ok_or_else(|| Usage::new("there are no jobs; `utsushi train` begins one"))
}

impl List {
    fn show(self, jobs: &[JobInfo]) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        if self.json {
            let all: Vec<_> = jobs.iter().map(Told::of).collect();
            writeln!(out, "{}", serde_json::to_string_pretty(&all)?)?;
        } else if out.is_terminal() {
            match jobs {
                [] => writeln!(out, "there are no jobs; `utsushi train` begins one")?,
                jobs => out.write_all(table(jobs).as_bytes())?,
            }
        } else {
            for job in jobs {
                writeln!(out, "{}", row(job).map(|cell| cell.replace(['\t', '\n'], " ")).join("\t"))?;
            }
        }
        Ok(())
    }
}

fn row(job: &JobInfo) -> [String; 5] {
    let percent = format!("{} %", (job.done * 100.0) as u32);
    [job.id.to_string(), job.style.clone(), state(&job.state).to_owned(), percent, describe(job)]
}

/// Columns as wide as their widest cell, under their names; the last is as wide as it likes.
fn table(jobs: &[JobInfo]) -> String {
    let header = ["JOB", "STYLE", "STATE", "DONE", "WHAT"].map(str::to_owned);
    let lines: Vec<_> = std::iter::once(header).chain(jobs.iter().map(row)).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2), width(3)];
    let mut text = String::new();
    for line in &lines {
        for (cell, width) in line.iter().zip(widths) {
            text += &format!("{cell:width$}  ");
        }
        text += &line[4];
        text.push('\n');
    }
    text
}

fn show_log(job: &JobInfo) -> anyhow::Result<()> {
    let path = job.folder.join("log.txt");
    let mut log = fs::File::open(&path).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
    io::copy(&mut log, &mut io::stdout().lock())?;
    Ok(())
}

fn report(job: &JobInfo, open: bool) -> anyhow::Result<Ending> {
    let Some(report) = &job.report else {
        anyhow::bail!("job {} has no report yet: it comes with the first checkpoint", job.id);
    };
    writeln!(io::stdout(), "{}", report.display())?;
    if open {
        let mut browser = Command::new("xdg-open");
        browser.arg(report).stdin(Stdio::null()).stdout(Stdio::null());
        match browser.status() {
            Ok(status) if status.success() => {}
            Ok(status) => {
                complain(format_args!("xdg-open can't show it ({status}); open the file in a browser"));
                return Ok(Ending::Failed);
            }
            Err(error) => {
                complain(format_args!("can't run xdg-open ({error}); open the file in a browser"));
                return Ok(Ending::Failed);
            }
        }
    }
    Ok(Ending::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::fake::info;

    #[test]
    fn jobs_are_found_by_number_and_by_style() {
        let named = |id, style: &str| JobInfo { style: style.into(), ..info(id, JobState::Queued) };
        let jobs = [named(1, "hana"), named(2, "7"), named(3, "hana"), named(7, "oil")];
        let check = |name: &str, expected: Option<u32>| {
            assert_eq!(find(&jobs, name).ok().map(|job| job.id.0), expected, "{name}");
        };
        check("1", Some(1));
        check("hana", Some(3));
        check("oil", Some(7));
        check("7", Some(7));
        check("9", None);
        check("ink", None);
        check("", None);
    }

    #[test]
    fn the_latest_is_the_one_that_trains() {
        fn check(states: &[JobState], expected: Option<u32>) {
            let jobs = (1..).zip(states).map(|(id, state)| info(id, state.clone()));
            let jobs: Vec<_> = jobs.collect();
            assert_eq!(latest(&jobs).ok().map(|job| job.id.0), expected, "{states:?}");
        }
        check(&[], None);
        check(&[JobState::Finished, JobState::Cancelled], Some(2));
        check(&[JobState::Finished, JobState::Running, JobState::Queued], Some(2));
        check(&[JobState::Preparing], Some(1));
    }

    #[test]
    fn lists() {
        let jobs = [info(3, JobState::Running), JobInfo { done: 1.0, ..info(12, JobState::Finished) }];
        assert_eq!(
            table(&jobs),
            "JOB  STYLE  STATE     DONE   WHAT\n\
             3    hana   running   43 %   imitation, step 120 of 4000, l1 0.062, 12 min left\n\
             12   hana   finished  100 %  finished: the style \"hana\" is there\n"
        );
    }
}
