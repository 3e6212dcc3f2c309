//! Writing a file so that it is there as a whole, or not at all.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, Permissions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{BUFFER_BYTES, Problem};

/// Lets `fill` write a temporary file in the target's folder, and gives it the target's name when it is safely on
/// the disk. If anything fails, the temporary file is removed, and what was there before is as it was.
///
/// A new file gets the permissions that any program's new files get (0666 less the umask), a replaced one keeps
/// its own. A symbolic link stays, and the file it points at is replaced.
pub(super) fn replace(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<&File>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let before = fs::metadata(path).ok();
    if before.as_ref().is_some_and(|before| !before.is_file()) {
        return Err(Problem::NotAFile);
    }
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let temporary = tempfile::Builder::new()
        .prefix(&prefix(&target))
        .suffix(SUFFIX)
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder(&target))
        .map_err(Problem::Write)?;
    // Tells `remove_leftovers` that it is being written. A file system may have no locks.
    let _ = temporary.as_file().try_lock();

    let mut out = BufWriter::with_capacity(BUFFER_BYTES, temporary.as_file());
    fill(&mut out)?;
    out.flush().map_err(Problem::Write)?;
    drop(out);

    if let Some(before) = before {
        temporary.as_file().set_permissions(before.permissions()).map_err(Problem::Write)?;
    }
    temporary.as_file().sync_all().map_err(Problem::Write)?;
    temporary.persist(&target).map_err(|error| Problem::Write(error.error))?;
    Ok(())
}

const SUFFIX: &str = ".tmp";

/// How the names of a target's temporary files begin. Not with its own name, which may be as long as names can be.
fn prefix(target: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    target.file_name().hash(&mut hasher);
    format!(".utsushi-{:016x}-", hasher.finish())
}

fn folder(target: &Path) -> &Path {
    target.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}

/// Removes the temporary files that a process left which was killed while it wrote one of these targets. Those that
/// somebody is writing stay, and, where that can't be known, all.
pub(crate) fn remove_leftovers<'a>(targets: impl Iterator<Item = &'a Path>) {
    let mut prefixes: HashMap<&Path, HashSet<String>> = HashMap::new();
    for target in targets {
        prefixes.entry(folder(target)).or_default().insert(prefix(target));
    }
    for (folder, prefixes) in prefixes {
        // The folder may not be there yet; and what can't be removed does no harm.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let is_left = name
                .to_str()
                .and_then(|name| name.strip_suffix(SUFFIX))
                .is_some_and(|name| name.rfind('-').is_some_and(|end| prefixes.contains(&name[..=end])));
            if is_left && File::open(entry.path()).is_ok_and(|file| file.try_lock_shared().is_ok()) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_of_these_targets_alone_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let left = |name: &str| format!("{}Ab3xYz.tmp", prefix(&path(name)));
        for name in [&left("a.png"), &left("b.png"), "a.png", ".utsushi-batch.jsonl", ".utsushi-x.tmp"] {
            fs::write(path(name), "").unwrap();
        }
        let targets = [path("a.png"), path("c.png"), path("nowhere/a.png")];
        let remove = || remove_leftovers(targets.iter().map(AsRef::as_ref));
        replace(&path("c.png"), |out| {
            out.write_all(b"new").map_err(Problem::Write)?;
            remove();
            Ok(())
        })
        .expect("nobody takes away what is being written");
        fs::remove_file(path("c.png")).unwrap();
        fs::write(path(&left("a.png")), "").unwrap();
        remove();
        assert!(!path(&left("a.png")).exists());
        assert!(path(&left("b.png")).exists(), "it is of another target");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
    }
}
