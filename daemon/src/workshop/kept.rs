//! What an earlier run of a job has written, for the next to go on with.

use std::fs;
use std::io;
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::jobs::folder::JobFolder;
use crate::jobs::training::Halt;

/// Reads a file of the job's; none if it isn't there. One that makes no sense is set aside, never overwritten, and the
/// log says so.
///
/// # Errors
/// If the disk doesn't let it be read or renamed.
pub(super) fn kept<T: DeserializeOwned>(folder: &JobFolder, path: &Path) -> Result<Option<T>, Halt> {
    let disk = |error: io::Error| Halt::Disk(format!("{}: {error}", path.display()));
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(disk(error)),
    };
    match serde_json::from_slice(&text) {
        Ok(kept) => Ok(Some(kept)),
        Err(error) => {
            // A newer one doesn't take the place of an older one.
            let free = (1..).map(|number| path.with_extension(format!("{number}.unreadable")));
            let aside = free.into_iter().find(|aside| !aside.exists()).unwrap_or_else(|| path.to_owned());
            fs::rename(path, &aside).map_err(disk)?;
            let (path, aside) = (path.display(), aside.display());
            folder.log(&format!("{path} can't be read ({error}); it is kept as {aside}, and begun anew"));
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_set_aside() {
        let home = tempfile::tempdir().unwrap();
        let folder = crate::jobs::folder::tests::folder(home.path());
        let path = folder.path().join("scores.json");
        assert_eq!(kept::<Vec<u32>>(&folder, &path).ok(), Some(None), "it isn't there yet");
        fs::write(&path, "[1, 2]").unwrap();
        assert_eq!(kept(&folder, &path).ok(), Some(Some(vec![1, 2])));
        for number in 1..=2 {
            fs::write(&path, format!("[{number}, ")).unwrap();
            assert_eq!(kept::<Vec<u32>>(&folder, &path).ok(), Some(None));
            let aside = folder.path().join(format!("scores.{number}.unreadable"));
            assert_eq!(fs::read_to_string(aside).unwrap(), format!("[{number}, "));
            assert!(!path.exists());
        }
        let log = fs::read_to_string(folder.path().join("log.txt")).unwrap();
        assert!(log.contains("scores.json can't be read") && log.contains("scores.2.unreadable"), "{log}");
        fs::create_dir(&path).unwrap();
        assert!(kept::<Vec<u32>>(&folder, &path).is_err(), "a folder can't be read");
    }
}
