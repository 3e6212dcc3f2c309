//! Remembers what a batch has drawn: a line of JSON for each output, appended when the output is complete.
//!
//! An output is finished if the last line about it tells of the same source, unchanged, and the same settings.
//! So the same command again draws only what is missing or has changed, and a command with other settings draws
//! everything. An output whose last line has no settings was being drawn again when the run ended. A line that was
//! cut off by a crash, or mangled by two machines that share the folder, counts as absent: at worst, a picture is
//! drawn twice.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::pipeline::Job;
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
        let source = std::path::absolute(&job.source).unwrap_or_else(|_| job.source.clone());
        Self {
            output: output.to_string_lossy().into(),
            source: source.to_string_lossy().into(),
            source_bytes: stamp.bytes,
            source_modified_ns: stamp.modified_ns,
            settings,
        }
    }
}

/// The journal of a folder of outputs.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    entries: HashMap<String, Entry>,
}

impl Journal {
    /// Reads the folder's journal, or begins one.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join(NAME);
        let mut file = OpenOptions::new().append(true).create(true).open(&path)?;
        let content = fs::read(&path)?;
        if content.last().is_some_and(|last| *last != b'\n') {
            file.write_all(b"\n")?;
        }
        Ok(Self { path, file, entries: parse(&String::from_utf8_lossy(&content)) })
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
        let line = serde_json::to_string(entry)? + "\n";
        self.file.write_all(line.as_bytes())?;
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
}

fn parse(content: &str) -> HashMap<String, Entry> {
    let entries = content.lines().filter_map(|line| serde_json::from_str::<Entry>(line).ok());
    entries.map(|entry| (entry.output.clone(), entry)).collect()
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

    #[test]
    fn what_counts_as_finished() {
        let drawn = |entry: &Entry| serde_json::to_string(entry).unwrap() + "\n";
        let check = |content: String, expected: bool| {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(NAME), &content).unwrap();
            let journal = Journal::open(folder.path()).unwrap();
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
        Journal::open(folder.path()).unwrap().record(&entry("a.png", 1, "cel")).unwrap();
        let content = fs::read_to_string(&path).unwrap();
        fs::write(&path, content.clone() + &content[..content.len() / 2]).unwrap();
        Journal::open(folder.path()).unwrap().record(&entry("b.png", 1, "cel")).unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        assert!(journal.holds(&entry("a.png", 1, "cel")));
        assert!(journal.holds(&entry("b.png", 1, "cel")));
    }
}
