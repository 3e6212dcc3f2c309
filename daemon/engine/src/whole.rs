//! Files that are there as a whole or not at all.
//!
//! A file is written under another name beside its place, and renamed. A process that is killed meanwhile leaves it there.
//! Whoever writes holds a lock on the file, which the system lets go of with the process: so leftovers can be told from
//! files that are being written, whatever a process's number is, and on whatever machine it runs.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, Permissions, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

const PREFIX: &str = ".utsushi-";
const SUFFIX: &str = ".tmp";

/// Writes a file in place of what stood there, which stays until all of the new one is on the disk.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    finished(path, bytes)?.persist(path).map_err(|error| error.error)?;
    sync_name(path)
}

/// Writes a file where none is, also if another process does so at the same time: one of them finds
/// [`io::ErrorKind::AlreadyExists`].
pub fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    finished(path, bytes)?.persist_noclobber(path).map_err(|error| error.error)?;
    sync_name(path)
}

fn finished(path: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    remove_leftovers([path].into_iter());
    // As any new file: less the umask.
    let mut file = unfinished(path, Permissions::from_mode(0o666))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn sync_name(path: &Path) -> io::Result<()> {
    File::open(folder(path))?.sync_all()
}

/// An empty file in the target's folder, with these permissions less the umask, to be written and then renamed to the
/// target. [`remove_leftovers`] leaves it alone as long as it is open.
pub fn unfinished(target: &Path, permissions: Permissions) -> io::Result<NamedTempFile> {
    loop {
        let file = tempfile::Builder::new()
            .prefix(&prefix(target))
            .suffix(SUFFIX)
            .permissions(permissions.clone())
            .tempfile_in(folder(target))?;
        match file.as_file().try_lock() {
            // Somebody looks whether it is a leftover, and finds that it is one.
            Err(TryLockError::WouldBlock) => {}
            // Or did so before it was locked.
            Ok(()) if file.as_file().metadata()?.nlink() == 0 => {}
            // Where a file system has no locks, leftovers stay.
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(file),
        }
    }
}

/// Removes the files that a process left which was killed while it wrote one of these targets. Those that somebody is
/// writing stay, and, where that can't be known, all.
pub fn remove_leftovers<'a>(targets: impl Iterator<Item = &'a Path>) {
    let mut prefixes: HashMap<&Path, HashSet<String>> = HashMap::new();
    for target in targets {
        prefixes.entry(folder(target)).or_default().insert(prefix(target));
    }
    for (folder, prefixes) in prefixes {
        for path in unfinished_in(folder) {
            let name = path.file_name().and_then(|name| name.to_str());
            if name.is_some_and(|name| name.rfind('-').is_some_and(|end| prefixes.contains(&name[..=end]))) {
                remove_leftover(&path);
            }
        }
    }
}

/// Removes what was left of any target in a folder, as [`remove_leftovers`] does.
pub fn remove_leftovers_in(folder: &Path) {
    unfinished_in(folder).for_each(|path| {
        remove_leftover(&path);
    });
}

/// Those leftovers that [`remove_leftovers_in`] would remove.
pub fn leftovers_in(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = unfinished_in(folder).filter(|path| locked(path).is_some()).collect();
    found.sort();
    found
}

/// Removes a file if it is a leftover; tells whether it was.
pub fn remove_leftover(path: &Path) -> bool {
    // The lock is held until it is removed. What can't be removed does no harm.
    locked(path).is_some_and(|_lock| fs::remove_file(path).is_ok())
}

/// Nobody writes it, as long as this is open.
fn locked(path: &Path) -> Option<File> {
    File::open(path).ok().filter(|file| file.try_lock_shared().is_ok())
}

/// Files with the names of those that are being written, or were. The folder may not be there yet.
fn unfinished_in(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_so = |name: &str| name.starts_with(PREFIX) && name.ends_with(SUFFIX);
    let entries = entries.filter(move |entry| {
        entry.file_name().to_str().is_some_and(is_so) && entry.file_type().is_ok_and(|kind| kind.is_file())
    });
    entries.map(|entry| entry.path())
}

/// How the names of a target's unfinished files begin. Not with its own name, which may be as long as names can be.
fn prefix(target: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    target.file_name().hash(&mut hasher);
    format!("{PREFIX}{:016x}-", hasher.finish())
}

fn folder(target: &Path) -> &Path {
    target.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    /// A leftover of this target's, as a killed process leaves it.
    fn leave(target: &Path) -> PathBuf {
        let left = folder(target).join(format!("{}Ab3xYz{SUFFIX}", prefix(target)));
        fs::write(&left, "half").expect("written");
        left
    }

    #[test]
    fn leftovers_of_these_targets_alone_go() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let (a, b) = (leave(&path("a")), leave(&path("b")));
        for name in ["a", ".utsushi-batch.jsonl", ".utsushi-x.tmp"] {
            fs::write(path(name), "").expect("written");
        }
        let targets = [path("a"), path("c"), path("nowhere/a")];
        let being_written = unfinished(&path("c"), Permissions::from_mode(0o600)).expect("made");
        remove_leftovers(targets.iter().map(AsRef::as_ref));
        assert!(!a.exists() && b.exists() && being_written.path().exists());
        assert_eq!(leftovers_in(folder.path()), [b.clone(), path(".utsushi-x.tmp")]);
        remove_leftovers_in(folder.path());
        assert!(!b.exists() && being_written.path().exists());
        being_written.persist(path("c")).expect("renamed");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 3);

        // Whoever writes a target again clears up after those that died of it.
        let left = leave(&path("a"));
        write_whole(&path("a"), b"new").expect("written");
        assert!(!left.exists());
    }

    #[test]
    fn of_those_that_write_a_new_file_one_wins() {
        let folder = tempfile::tempdir().expect("a folder");
        let (target, barrier) = (folder.path().join("new"), Barrier::new(8));
        let write = |number: u8| {
            barrier.wait();
            write_new(&target, &[number; 1000])
        };
        let written: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|number| scope.spawn(move || write(number))).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        let winners: Vec<_> = (0..8).filter(|i| written[*i].is_ok()).collect();
        assert_eq!(winners.len(), 1, "{written:?}");
        assert_eq!(fs::read(&target).expect("a file"), [winners[0] as u8; 1000]);
        for lost in written.into_iter().filter_map(Result::err) {
            assert_eq!(lost.kind(), io::ErrorKind::AlreadyExists);
        }
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn nobody_takes_away_what_is_being_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let targets: Vec<_> = (0..4).map(|i| folder.path().join(format!("{i}"))).collect();
        let is_done = std::sync::atomic::AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
                    remove_leftovers_in(folder.path());
                }
            });
            let written: Vec<_> =
                (0..200_usize).map(|i| write_whole(&targets[i % 4], b"all of it")).collect();
            is_done.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(written.iter().all(Result::is_ok), "{written:?}");
        });
    }
}
