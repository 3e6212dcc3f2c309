//! Which checkpoint a job goes on from, and which are kept.
//!
//! ```text
//! checkpoints/00000007-00000400.safetensors   the seventh that was written, after 400 steps
//!             00000008-00000500.unreadable    one that can't be read; only the user deletes it
//! ```
//!
//! A job goes on from the checkpoint that was written last. If that can't be read, it is set aside, and the job goes on
//! from the one before. A job that has none left fails, and says so. If the user resumes it then, those that were set
//! aside are tried again, which a newer Utsushi may be able to read; if there is none among them either, the training
//! begins anew, beside them.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::folder::JobFolder;
use super::training::Halt;

/// The newest checkpoint, and the one to fall back to should that be damaged.
const KEPT: usize = 2;
const SOUND: &str = "safetensors";
const ASIDE: &str = "unreadable";

/// What to do if no checkpoint can be read, though there are some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfLost {
    /// Stop, and tell the user.
    Stop,
    /// Begin anew: the user was told, and has resumed the job.
    BeginAnew,
}

/// Why a training can't go on from a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unread {
    /// The system didn't hand it out, which it may do another time.
    Withheld(String),
    /// It is damaged, or of another version's.
    Unreadable(String),
}

impl JobFolder {
    /// Goes on from the newest checkpoint that `read` can make something of. None if the training is to begin.
    pub fn go_on<T>(
        &self,
        if_lost: IfLost,
        mut read: impl FnMut(&Path) -> Result<T, Unread>,
    ) -> Result<Option<T>, Halt> {
        let (sound, aside) = (self.checkpoints()?, self.in_order(ASIDE)?);
        let mut problem = None;
        // Those that were set aside are asked for only where nothing else is left.
        for path in sound.iter().chain(&aside) {
            match read(path) {
                Ok(training) => {
                    if problem.is_some() {
                        self.log(&format!("goes on from {}", path.display()));
                    }
                    if aside.contains(path) {
                        let renamed = fs::rename(path, path.with_extension(SOUND));
                        renamed.map_err(|error| Halt::Disk(format!("{}: {error}", path.display())))?;
                    }
                    return Ok(Some(training));
                }
                Err(Unread::Withheld(why)) => {
                    return Err(Halt::Failed(format!(
                        "{why}; see that this checkpoint can be read, or move it elsewhere, and resume the job"
                    )));
                }
                Err(Unread::Unreadable(why)) => {
                    let kept = if aside.contains(path) { path.clone() } else { set_aside(path)? };
                    let why = format!("{}: {why}", kept.display());
                    self.log(&format!("can't go on from a checkpoint, which is kept as {why}"));
                    problem.get_or_insert(why);
                }
            }
        }
        match problem {
            // The user's leave is for what was set aside when it was given.
            Some(why) if if_lost == IfLost::Stop || !sound.is_empty() => Err(Halt::Lost(why)),
            Some(_) => {
                self.log("begins anew, as the user asked for");
                Ok(None)
            }
            None => Ok(None),
        }
    }

    /// Are there checkpoints, but none that can be read?
    pub(super) fn is_lost(&self) -> bool {
        let is_there = |extension| self.in_order(extension).is_ok_and(|all| !all.is_empty());
        !is_there(SOUND) && is_there(ASIDE)
    }

    /// Where the next checkpoint goes, which is taken after so many steps.
    pub fn next_checkpoint(&self, step: u32) -> Result<PathBuf, Halt> {
        let last = |extension| Ok(self.in_order(extension)?.first().map_or(0, |path| place(path).0));
        let number = last(SOUND)?.max(last(ASIDE)?).saturating_add(1);
        Ok(self.checkpoint_folder().join(format!("{number:08}-{step:08}.{SOUND}")))
    }

    /// The checkpoints, that which was written last first.
    pub fn checkpoints(&self) -> Result<Vec<PathBuf>, Halt> {
        self.in_order(SOUND)
    }

    fn in_order(&self, extension: &str) -> Result<Vec<PathBuf>, Halt> {
        let folder = self.checkpoint_folder();
        let mut all = match paths(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            paths => paths.map_err(|error| {
                let folder = folder.display();
                Halt::Failed(format!(
                    "{folder}: {error}; see that the folder can be read, and resume the job"
                ))
            })?,
        };
        all.retain(|path| path.extension() == Some(OsStr::new(extension)));
        all.sort_by_key(|path| std::cmp::Reverse(place(path)));
        Ok(all)
    }

    /// Deletes the checkpoints that newer ones have made useless.
    pub(super) fn thin_out(&self) {
        for path in self.checkpoints().unwrap_or_default().into_iter().skip(KEPT) {
            let _ = fs::remove_file(path);
        }
    }

    /// Deletes the checkpoints, but not those that were set aside.
    pub(super) fn clear_checkpoints(&self) {
        for path in self.checkpoints().unwrap_or_default() {
            let _ = fs::remove_file(path);
        }
        // If it is empty.
        let _ = fs::remove_dir(self.checkpoint_folder());
    }
}

fn paths(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
}

/// Which checkpoint it is in the order of writing, and its step. Names of version 0.1.0 have the step alone.
fn place(path: &Path) -> (u64, u64) {
    let name = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
    let mut numbers = name.split('-').map(|number| number.parse().unwrap_or(0));
    match (numbers.next(), numbers.next()) {
        (Some(number), Some(step)) => (number, step),
        (step, _) => (0, step.unwrap_or(0)),
    }
}

/// Gives a checkpoint another name, which no other has. Gives that.
fn set_aside(path: &Path) -> Result<PathBuf, Halt> {
    let mut kept = path.with_extension(ASIDE);
    for number in 2.. {
        if kept.symlink_metadata().is_err() {
            break;
        }
        kept = path.with_extension(format!("{number}.{ASIDE}"));
    }
    fs::rename(path, &kept).map_err(|error| Halt::Disk(format!("{}: {error}", path.display())))?;
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::folder::tests::folder;

    /// Takes a file's text for what it holds; `withheld` can't be had, and what begins with `bad` can't be read.
    fn read(path: &Path) -> Result<String, Unread> {
        match fs::read_to_string(path).expect("a file") {
            text if text == "withheld" => Err(Unread::Withheld("the disk is away".into())),
            text if text.starts_with("bad") => Err(Unread::Unreadable(text)),
            text => Ok(text),
        }
    }

    fn names(folder: &JobFolder) -> Vec<String> {
        let mut names: Vec<_> = paths(&folder.checkpoint_folder()).expect("a folder");
        names.sort();
        names.iter().map(|path| path.file_name().expect("a name").to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_job_goes_on_from_what_can_be_read() {
        use IfLost::{BeginAnew, Stop};
        type Found<'a> = Result<Option<&'a str>, &'a str>;
        fn check(files: &[(&str, &str)], if_lost: IfLost, found: Found<'_>, left: &[&str]) {
            let jobs = tempfile::tempdir().expect("a folder");
            let folder = folder(jobs.path());
            for (name, text) in files {
                fs::write(folder.checkpoint_folder().join(name), text).expect("written");
            }
            match (folder.go_on(if_lost, read), found) {
                (Ok(got), Ok(want)) => assert_eq!(got.as_deref(), want, "{files:?}"),
                (Err(Halt::Lost(why) | Halt::Failed(why)), Err(words)) => {
                    assert!(why.contains(words), "{files:?}: {why}");
                }
                (got, want) => panic!("{files:?}: {got:?}, not {want:?}"),
            }
            assert_eq!(names(&folder), left, "{files:?}");
        }
        check(&[], Stop, Ok(None), &[]);
        // Of the order of writing, not of the steps; old names come before all others.
        let (first, second, third) = ("00000900.safetensors", "1-20.safetensors", "2-10.safetensors");
        let three = [(first, "a"), (second, "b"), (third, "c")];
        check(&three, Stop, Ok(Some("c")), &[first, second, third]);
        let last_bad = [(first, "a"), (second, "b"), (third, "bad")];
        check(&last_bad, Stop, Ok(Some("b")), &[first, second, "2-10.unreadable"]);
        let withheld = [(first, "a"), (second, "withheld"), (third, "bad")];
        check(&withheld, Stop, Err("move it elsewhere"), &[first, second, "2-10.unreadable"]);
        // The newest one's problem is told. Leave to begin anew is of no use to what was thought sound.
        let bad = [(second, "bad one"), (third, "bad two")];
        for if_lost in [Stop, BeginAnew] {
            check(&bad, if_lost, Err("2-10.unreadable: bad two"), &["1-20.unreadable", "2-10.unreadable"]);
        }
        let aside = [("1-20.unreadable", "bad"), ("2-10.unreadable", "bad")];
        check(&aside, Stop, Err("bad"), &["1-20.unreadable", "2-10.unreadable"]);
        check(&aside, BeginAnew, Ok(None), &["1-20.unreadable", "2-10.unreadable"]);
        // A newer program can read them.
        for if_lost in [Stop, BeginAnew] {
            let readable = [("1-20.unreadable", "b"), ("2-10.unreadable", "bad")];
            check(&readable, if_lost, Ok(Some("b")), &[second, "2-10.unreadable"]);
        }
        check(&[("1-20.unreadable", "b"), (third, "c")], Stop, Ok(Some("c")), &["1-20.unreadable", third]);
        // No file takes another's place.
        check(
            &[("1-20.unreadable", "bad"), (second, "bad")],
            Stop,
            Err("1-20.2.unreadable"),
            &["1-20.2.unreadable", "1-20.unreadable"],
        );
    }

    #[test]
    fn the_newest_written_are_kept() {
        let jobs = tempfile::tempdir().expect("a folder");
        let folder = folder(jobs.path());
        for step in [5, utsushi_ipc::protocol::MAX_STEPS, 20, 10] {
            fs::write(folder.next_checkpoint(step).expect("a name"), "").expect("written");
            fs::write(folder.checkpoint_folder().join(format!("9-{step}.unreadable")), "").expect("written");
            folder.thin_out();
        }
        let steps = folder.checkpoints().expect("a folder").into_iter().map(|path| place(&path).1);
        assert_eq!(steps.collect::<Vec<_>>(), [10, 20]);
        let aside = names(&folder).into_iter().filter(|name| name.ends_with(ASIDE)).count();
        assert_eq!(aside, 4, "what can't be read is the user's");
        assert!(!folder.is_lost());
        folder.clear_checkpoints();
        assert_eq!((folder.checkpoints(), names(&folder).len(), folder.is_lost()), (Ok(Vec::new()), 4, true));
    }
}
