//! Finds the pictures that a batch's inputs stand for.

use std::fmt;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use glob::MatchOptions;

use super::super::Usage;
use super::super::file_id::FileId;
use crate::picture::Format;

/// A picture to draw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) source: PathBuf,
    /// Where it belongs below the folder for outputs.
    pub(super) relative: PathBuf,
    pub(super) id: FileId,
    pub(super) stamp: Stamp,
}

/// What changes when a file's content does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) bytes: u64,
    pub(super) modified_ns: i64,
}

/// How far to look into a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    Folder,
    Tree,
}

impl Stamp {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|metadata| Self::of_metadata(&metadata))
    }

    fn of_metadata(metadata: &Metadata) -> Self {
        let modified_ns =
            metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec());
        Self { bytes: metadata.len(), modified_ns }
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.bytes, self.modified_ns)
    }
}

/// Every picture that `inputs` stand for, each input's in the order of their names.
///
/// A named file counts as a picture whatever its name; in a folder only files with a picture's extension do,
/// and no hidden ones. `output` is left out of folders that it lies in. Links to folders are not followed.
pub(super) fn find(inputs: &[PathBuf], depth: Depth, output: &Path) -> Result<Vec<Found>, Usage> {
    let mut search = Search { depth, output: FileId::of(output).ok(), found: Vec::new() };
    for input in inputs {
        search.input(input)?;
    }
    if search.found.is_empty() {
        let inputs: Vec<_> = inputs.iter().map(|input| input.display().to_string()).collect();
        let hint = match depth {
            Depth::Folder => "; --recursive looks into subfolders",
            Depth::Tree => "",
        };
        return Err(Usage::new(format!(
            "{}: no PNG, JPEG, WebP or TIFF files there{hint}",
            inputs.join(", ")
        )));
    }
    Ok(search.found)
}

struct Search {
    depth: Depth,
    output: Option<FileId>,
    found: Vec<Found>,
}

impl Search {
    fn input(&mut self, input: &Path) -> Result<(), Usage> {
        match fs::metadata(input) {
            Ok(metadata) => self.add(input, &metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.pattern(input, &error),
            Err(error) => Err(unreadable(input, &error)),
        }
    }

    fn pattern(&mut self, input: &Path, missing: &io::Error) -> Result<(), Usage> {
        let Some(pattern) = input.to_str().filter(|text| text.contains(['*', '?', '['])) else {
            return Err(unreadable(input, missing));
        };
        let options = MatchOptions { require_literal_leading_dot: true, ..MatchOptions::new() };
        let matches = glob::glob_with(pattern, options)
            .map_err(|error| Usage::new(format!("{pattern}: no good pattern: {error}")))?;
        let mut matches = matches.peekable();
        if matches.peek().is_none() {
            return Err(Usage::new(format!("{pattern}: nothing matches")));
        }
        for path in matches {
            let path = path.map_err(|error| unreadable(error.path(), error.error()))?;
            let metadata = fs::metadata(&path).map_err(|error| unreadable(&path, &error))?;
            self.add(&path, &metadata)?;
        }
        Ok(())
    }

    fn add(&mut self, path: &Path, metadata: &Metadata) -> Result<(), Usage> {
        if metadata.is_dir() {
            return self.folder(path, Path::new(""));
        }
        let name = path.file_name().ok_or_else(|| Usage::new(format!("{} is no file", path.display())))?;
        self.file(path, PathBuf::from(name), metadata);
        Ok(())
    }

    fn folder(&mut self, folder: &Path, relative: &Path) -> Result<(), Usage> {
        let entries: io::Result<Vec<_>> = fs::read_dir(folder).and_then(Iterator::collect);
        let mut entries = entries.map_err(|error| unreadable(folder, &error))?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let (path, name) = (entry.path(), entry.file_name());
            if name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let kind = entry.file_type().map_err(|error| unreadable(&path, &error))?;
            if kind.is_dir() {
                let is_output = FileId::of(&path).ok().is_some_and(|id| Some(id) == self.output);
                if self.depth == Depth::Tree && !is_output {
                    self.folder(&path, &relative.join(name))?;
                }
            } else if Format::from_path(&path).is_some() {
                // A link that leads nowhere is no picture; nor is a link to a folder.
                if let Ok(metadata) = fs::metadata(&path)
                    && metadata.is_file()
                {
                    self.file(&path, relative.join(name), &metadata);
                }
            }
        }
        Ok(())
    }

    fn file(&mut self, source: &Path, relative: PathBuf, metadata: &Metadata) {
        let (id, stamp) = (FileId::of_metadata(metadata), Stamp::of_metadata(metadata));
        self.found.push(Found { source: source.into(), relative, id, stamp });
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Usage {
    Usage::new(format!("{}: can't be read: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_stand_for_pictures() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for path in [
            "in/b.png",
            "in/a.JPG",
            "in/notes.txt",
            "in/.hidden.JPG",
            "in/sub/c.webp",
            "in/out/a.JPG",
            "x[1].png",
        ] {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), path).unwrap();
        }
        fs::create_dir(root.join("empty")).unwrap();
        std::os::unix::fs::symlink(root.join("in"), root.join("in/loop")).unwrap();
        std::os::unix::fs::symlink(root.join("nowhere"), root.join("in/dangling.png")).unwrap();

        let check = |inputs: &[&str], depth: Depth, expected: Option<&[(&str, &str)]>| {
            let inputs: Vec<_> = inputs.iter().map(|input| root.join(input)).collect();
            let found = find(&inputs, depth, &root.join("in/out")).ok();
            let found =
                found.map(|found| found.into_iter().map(|found| (found.source, found.relative)).collect());
            let expected = expected.map(|expected| {
                expected
                    .iter()
                    .map(|(source, relative)| (root.join(source), PathBuf::from(relative)))
                    .collect()
            });
            assert_eq!(found, expected as Option<Vec<_>>, "{inputs:?} {depth:?}");
        };
        check(&["in"], Depth::Folder, Some(&[("in/a.JPG", "a.JPG"), ("in/b.png", "b.png")]));
        check(
            &["in"],
            Depth::Tree,
            Some(&[("in/a.JPG", "a.JPG"), ("in/b.png", "b.png"), ("in/sub/c.webp", "sub/c.webp")]),
        );
        check(&["in/notes.txt"], Depth::Folder, Some(&[("in/notes.txt", "notes.txt")]));
        check(
            &["in/b*.png", "in/sub"],
            Depth::Folder,
            Some(&[("in/b.png", "b.png"), ("in/sub/c.webp", "c.webp")]),
        );
        check(&["in/*.png"], Depth::Folder, None);
        check(&["in/*.JPG"], Depth::Folder, Some(&[("in/a.JPG", "a.JPG")]));
        check(&["in/sub/**/*.webp"], Depth::Folder, Some(&[("in/sub/c.webp", "c.webp")]));
        check(&["x[1].png"], Depth::Folder, Some(&[("x[1].png", "x[1].png")]));
        check(&["empty"], Depth::Folder, None);
        check(&["empty", "in/b.png"], Depth::Folder, Some(&[("in/b.png", "b.png")]));
        check(&["missing.png"], Depth::Folder, None);
        check(&["missing-*.png"], Depth::Folder, None);
        check(&["in/***.png"], Depth::Folder, None);
    }
}
