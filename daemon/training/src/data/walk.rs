//! The files of a folder that may be pictures.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::Skipped;

/// Names of picture files end so, also of those that nobody here can read: they are named to the user then.
const ENDINGS: [&str; 20] = [
    "png", "apng", "jpg", "jpeg", "jpe", "jfif", "webp", "tif", "tiff", "gif", "bmp", "avif", "heic", "heif",
    "jxl", "jp2", "psd", "xcf", "kra", "ora",
];

/// What is in a folder.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// By name; the order doesn't depend on the file system.
    pub(super) pictures: Vec<PathBuf>,
    pub(super) skipped: Vec<Skipped>,
}

/// All picture files below a folder, through symbolic links, each folder once. Hidden ones are not looked at.
pub(super) fn walk(folder: &Path) -> std::io::Result<Files> {
    let mut files = Files::default();
    let mut seen = HashSet::from([fs::canonicalize(folder)?]);
    // That the folder itself can't be read is an error; that one below it can't, is told of.
    fs::read_dir(folder)?;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let names = fs::read_dir(&folder).and_then(|entries| {
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<std::io::Result<Vec<_>>>()
        });
        match names {
            Ok(mut paths) => {
                // Of two links to one folder, always the same one counts.
                paths.sort();
                paths.into_iter().for_each(|path| sort_in(path, &mut files, &mut folders, &mut seen));
            }
            Err(error) => {
                files.skipped.push(Skipped::new(folder, format!("the folder can't be read: {error}")))
            }
        }
    }
    files.pictures.sort();
    files.skipped.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn sort_in(path: PathBuf, files: &mut Files, folders: &mut Vec<PathBuf>, seen: &mut HashSet<PathBuf>) {
    if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
        return;
    }
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    let may_be_picture = ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()));
    match fs::metadata(&path) {
        Ok(kind) if kind.is_dir() => {
            let is_new = fs::canonicalize(&path).is_ok_and(|folder| seen.insert(folder));
            folders.extend(is_new.then_some(path));
        }
        // No pipes and devices: opening them can wait for ever.
        Ok(kind) if kind.is_file() && may_be_picture => files.pictures.push(path),
        Err(error) if may_be_picture => {
            files.skipped.push(Skipped::new(path, format!("can't be opened: {error}")));
        }
        _ => {}
    }
}
