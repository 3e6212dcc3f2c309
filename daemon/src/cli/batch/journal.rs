//! Remembers what a batch has drawn: a line of JSON for each output, appended when the output is complete.
//!
//! An output is finished if the last line about it tells of the same source, unchanged, and the same settings.
//! So the same command again draws only what is missing or has changed, and a command with other settings draws
//! everything. An output whose last line has no settings was being drawn again when the run ended. A line that was
//! cut off by a crash, or mangled by two machines that share the folder, counts as absent: at worst, a picture is
//! drawn twice.
//!
//! A share of a batch ([`super::shard`]) writes a journal of its own, so that machines never write the same file, and
//! holds its lock while it runs, so that no share is drawn twice at once. Everybody reads all of them: a picture that
//! one run has drawn is finished for all, also if there are more shares the next time. Which line is the last, among
//! those of several files, their times say: a run's are after all that it has read (Lamport's clock), whatever the
//! machines' clocks say.
//!
//! Beside the outputs, a journal tells of the runs: when one began and with what, what failed, and how it ended.
//! That is what [`super::merge`] reads.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::super::left_out::LeftOut;
use super::super::pipeline::{Job, Outcome};
use super::shard::Shard;
use super::sources::Stamp;

const NAME: &str = ".utsushi-batch.jsonl";

/// What an output was drawn from, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Below the journal's folder.
    output: String,
    /// From the root.
    source: String,
    source_bytes: u64,
    source_modified_ns: i64,
    settings: String,
}

impl Entry {
    pub(super) fn new(folder: &Path, job: &Job, stamp: Stamp, settings: String) -> Self {
        let output = job.output.strip_prefix(folder).unwrap_or(&job.output);
        Self {
            output: output.to_string_lossy().into(),
            source: from_the_root(&job.source),
            source_bytes: stamp.bytes,
            source_modified_ns: stamp.modified_ns,
            settings,
        }
    }
}

fn from_the_root(source: &Path) -> String {
    let source = std::path::absolute(source).unwrap_or_else(|_| source.to_owned());
    source.to_string_lossy().into()
}

/// A line about an output.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Drawn {
    #[serde(flatten)]
    entry: Entry,
    /// Since 1970; older programs wrote none.
    #[serde(default)]
    at_ms: u64,
}

/// A line about a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "run", rename_all = "lowercase")]
pub(super) enum Run {
    Begun(Begun),
    Failed {
        source: String,
        /// Absent for what can't even be looked into.
        output: Option<String>,
        message: String,
    },
    /// What isn't drawn: files of other kinds, or of one source, what is behind its first picture.
    #[serde(rename = "left_out")]
    LeftOut {
        /// Absent for files.
        source: Option<String>,
        left_out: LeftOut,
    },
    Ended {
        how: End,
    },
}

/// What a run set out to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Begun {
    pub(super) at_ms: u64,
    pub(super) host: String,
    /// From 1.
    pub(super) shard: u32,
    pub(super) shards: u32,
    /// Pictures of all shares.
    pub(super) total: usize,
    /// Pictures of this share.
    pub(super) pictures: usize,
    /// How many of them needn't be drawn.
    pub(super) skipped: usize,
}

/// How a run ended, unless it was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum End {
    Finished,
    Stopped,
    Interrupted,
}

/// What a line of a journal says.
pub(super) enum Line {
    Run(Run),
    /// An output is complete; or, without settings, about to be replaced.
    Output {
        /// What it was drawn from.
        source: String,
        is_complete: bool,
    },
}

/// The journal of a folder of outputs, or of a share's.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// Is the last line cut off?
    is_torn: bool,
    /// The latest time that was read or written.
    latest_ms: u64,
    entries: HashMap<String, Entry>,
}

impl Journal {
    /// Reads the folder's journals, and goes on with one, or begins it. If another process works on the same share,
    /// tells `on_wait` of it, and waits for its end.
    pub(super) fn open(folder: &Path, shard: Option<Shard>, on_wait: impl FnOnce()) -> io::Result<Self> {
        let path = folder.join(name(shard));
        let file = OpenOptions::new().append(true).create(true).open(&path)?;
        if shard.is_some() {
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => {
                    on_wait();
                    file.lock()?;
                }
                // A file system without locks.
                Ok(()) | Err(TryLockError::Error(_)) => {}
            }
        }
        let is_torn = fs::read(&path)?.last().is_some_and(|last| *last != b'\n');
        let mut newest: HashMap<String, Drawn> = HashMap::new();
        let mut latest_ms = 0;
        for path in paths(folder)? {
            for line in String::from_utf8_lossy(&fs::read(path)?).lines() {
                if let Ok(drawn) = serde_json::from_str::<Drawn>(line) {
                    latest_ms = latest_ms.max(drawn.at_ms);
                    let known = newest.get(&drawn.entry.output);
                    if known.is_none_or(|known| known.at_ms <= drawn.at_ms) {
                        newest.insert(drawn.entry.output.clone(), drawn);
                    }
                } else if let Ok(Run::Begun(begun)) = serde_json::from_str(line) {
                    latest_ms = latest_ms.max(begun.at_ms);
                }
            }
        }
        let entries = newest.into_iter().map(|(output, drawn)| (output, drawn.entry)).collect();
        Ok(Self { path, file, is_torn, latest_ms, entries })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Was the output drawn from the same source in the same way?
    pub(super) fn holds(&self, entry: &Entry) -> bool {
        self.entries.get(&entry.output) == Some(entry)
    }

    /// Notes that the output is complete.
    pub(super) fn record(&mut self, entry: &Entry) -> io::Result<()> {
        let at_ms = self.tick();
        self.write(&Drawn { entry: entry.clone(), at_ms })?;
        self.entries.insert(entry.output.clone(), entry.clone());
        Ok(())
    }

    /// Notes that the output is about to be replaced, so that a crash between its writing and [`Self::record`]
    /// doesn't leave it described as what it was before.
    pub(super) fn forget(&mut self, entry: &Entry) -> io::Result<()> {
        if !self.entries.contains_key(&entry.output) {
            return Ok(());
        }
        self.record(&Entry { settings: String::new(), ..entry.clone() })
    }

    /// Notes that a run begins, with so many pictures of so many in all shares, less those that needn't be drawn.
    pub(super) fn begin(
        &mut self,
        shard: Option<Shard>,
        total: usize,
        pictures: usize,
        skipped: usize,
    ) -> io::Result<()> {
        let Shard { number, count } = shard.unwrap_or(Shard { number: 1, count: 1 });
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let at_ms = self.tick();
        self.write(&Run::Begun(Begun { at_ms, host, shard: number, shards: count, total, pictures, skipped }))
    }

    /// Notes that a picture can't be drawn, or something can't even be looked into.
    pub(super) fn fail(&mut self, source: &Path, output: Option<&Path>, message: &str) -> io::Result<()> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        self.write(&Run::Failed { source: text(source), output: output.map(text), message: message.into() })
    }

    /// Notes what isn't drawn, if anything isn't: of a source, or, without one, files of other kinds.
    pub(super) fn leave_out(&mut self, source: Option<&Path>, left_out: LeftOut) -> io::Result<()> {
        if left_out.is_empty() {
            return Ok(());
        }
        let source = source.map(from_the_root);
        self.write(&Run::LeftOut { source, left_out })
    }

    /// Notes how the run ends.
    pub(super) fn end(&mut self, outcome: Outcome) -> io::Result<()> {
        let how = match outcome {
            Outcome::Finished => End::Finished,
            Outcome::GaveUp => End::Stopped,
            Outcome::Interrupted => End::Interrupted,
        };
        self.write(&Run::Ended { how })
    }

    fn write(&mut self, line: &impl Serialize) -> io::Result<()> {
        let end = if self.is_torn { "\n" } else { "" };
        let line = format!("{end}{}\n", serde_json::to_string(line)?);
        let written = self.file.write_all(line.as_bytes());
        // Of a full disk's last line, a part may be there.
        self.is_torn = written.is_err();
        written
    }

    fn tick(&mut self) -> u64 {
        self.latest_ms = now_ms().max(self.latest_ms.saturating_add(1));
        self.latest_ms
    }
}

fn name(shard: Option<Shard>) -> String {
    match shard {
        None => NAME.into(),
        Some(Shard { number, count }) => NAME.replace(".jsonl", &format!(".{number}-of-{count}.jsonl")),
    }
}

/// Every journal in the folder, in the order of their names.
pub(super) fn paths(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let is_journal =
        |name: &str| name.strip_prefix(".utsushi-batch.").is_some_and(|rest| rest.ends_with("jsonl"));
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(is_journal) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// Does a process hold this journal's lock?
pub(super) fn is_in_use(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// The lines that make sense.
pub(super) fn lines(path: &Path) -> io::Result<Vec<Line>> {
    let content = fs::read(path)?;
    let read = |line: &str| match serde_json::from_str(line) {
        Ok(run) => Some(Line::Run(run)),
        Err(_) => serde_json::from_str::<Entry>(line)
            .ok()
            .map(|entry| Line::Output { is_complete: !entry.settings.is_empty(), source: entry.source }),
    };
    Ok(String::from_utf8_lossy(&content).lines().filter_map(read).collect())
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Format;

    fn entry(output: &str, bytes: u64, settings: &str) -> Entry {
        let job =
            Job { source: "/in/a.png".into(), output: Path::new("out").join(output), format: Format::Png };
        Entry::new(Path::new("out"), &job, Stamp { bytes, modified_ns: 5 }, settings.into())
    }

    fn open(folder: &Path, shard: Option<Shard>) -> Journal {
        Journal::open(folder, shard, || panic!("nobody else has it")).unwrap()
    }

    #[test]
    fn what_counts_as_finished() {
        let drawn = |entry: &Entry| serde_json::to_string(entry).unwrap() + "\n";
        let check = |content: String, expected: bool| {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(NAME), &content).unwrap();
            let journal = open(folder.path(), None);
            assert_eq!(journal.holds(&entry("a.png", 1, "cel")), expected, "{content}");
        };
        let same = drawn(&entry("a.png", 1, "cel"));
        check(String::new(), false);
        check(same.clone(), true);
        check(drawn(&entry("b.png", 1, "cel")), false);
        check(drawn(&entry("a.png", 2, "cel")), false);
        check(drawn(&entry("a.png", 1, "oil")), false);
        check(same.clone() + &drawn(&entry("a.png", 1, "oil")), false);
        check(drawn(&entry("a.png", 1, "oil")) + &same, true);
        check(same.clone() + &drawn(&entry("a.png", 1, "")), false);
        check(same[..same.len() / 2].into(), false);
        check(same.clone() + &same[..same.len() / 2], true);
        check("\u{fffd} no JSON\n".to_owned() + &same, true);
    }

    #[test]
    fn a_line_that_was_cut_off_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        open(folder.path(), None).record(&entry("a.png", 1, "cel")).unwrap();
        let content = fs::read_to_string(&path).unwrap();
        fs::write(&path, content.clone() + &content[..content.len() / 2]).unwrap();
        open(folder.path(), None).record(&entry("b.png", 1, "cel")).unwrap();
        let journal = open(folder.path(), None);
        assert!(journal.holds(&entry("a.png", 1, "cel")));
        assert!(journal.holds(&entry("b.png", 1, "cel")));
    }

    #[test]
    fn the_newest_line_of_all_journals_counts() {
        let line = |settings: &str, at_ms: u64| {
            serde_json::to_string(&Drawn { entry: entry("a.png", 1, settings), at_ms }).unwrap() + "\n"
        };
        let check = |journals: &[(&str, String)], expected: bool| {
            let folder = tempfile::tempdir().unwrap();
            for (name, content) in journals {
                fs::write(folder.path().join(name), content).unwrap();
            }
            let journal = open(folder.path(), Some(Shard { number: 2, count: 3 }));
            assert_eq!(journal.holds(&entry("a.png", 1, "cel")), expected, "{journals:?}");
        };
        let [all, first, second] = [NAME, ".utsushi-batch.1-of-8.jsonl", ".utsushi-batch.2-of-3.jsonl"];
        check(&[], false);
        check(&[(first, line("cel", 5))], true);
        check(&[(first, line("cel", 5)), (second, line("oil", 6))], false);
        check(&[(first, line("cel", 7)), (second, line("oil", 6))], true);
        check(&[(first, line("oil", 5)), (all, line("cel", 6))], true);
        check(&[(first, line("oil", 7)), (all, line("cel", 6))], false);
        check(&[(first, line("cel", 5)), (second, line("", 6))], false);
        check(&[("other.jsonl", line("cel", 5))], false);
    }

    #[test]
    fn a_clock_that_was_wrong_spoils_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let future = Drawn { entry: entry("a.png", 1, "oil"), at_ms: now_ms() + 1_000_000 };
        let line = serde_json::to_string(&future).unwrap() + "\n";
        for (name, shard) in
            [(NAME, None), (".utsushi-batch.1-of-8.jsonl", Some(Shard { number: 1, count: 2 }))]
        {
            fs::write(folder.path().join(name), &line).unwrap();
            open(folder.path(), shard).record(&entry("a.png", 1, "cel")).unwrap();
            assert!(open(folder.path(), shard).holds(&entry("a.png", 1, "cel")), "{name}");
        }
    }

    #[test]
    fn a_share_is_drawn_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let shard = |number| Some(Shard { number, count: 2 });
        let first = open(folder.path(), shard(1));
        assert!(is_in_use(first.path()));
        drop(open(folder.path(), shard(2)));
        drop(open(folder.path(), None));
        std::thread::scope(|scope| {
            let (waits, waited) = std::sync::mpsc::channel();
            let path = folder.path();
            let second = scope.spawn(move || {
                Journal::open(path, shard(1), || waits.send(()).unwrap())
                    .unwrap()
                    .holds(&entry("a.png", 1, "cel"))
            });
            waited.recv().unwrap();
            let mut first = first;
            first.record(&entry("a.png", 1, "cel")).unwrap();
            drop(first);
            assert!(second.join().unwrap(), "it reads what the first has written until then");
        });
        assert!(!is_in_use(&folder.path().join(name(shard(1)))));
    }
}
