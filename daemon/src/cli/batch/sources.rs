//! Finds the pictures that a batch's inputs stand for.

use std::fmt;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use glob::MatchOptions;

use super::super::Usage;
use super::super::file_id::FileId;
use super::super::left_out::{Kind, LeftOut};
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

/// Something below the inputs that can't be read, and a message that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) path: PathBuf,
    pub(super) message: String,
}

/// A file of a kind that isn't drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Other {
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
}

/// What inputs stand for.
#[derive(Debug, Default)]
pub(super) struct Finds {
    pub(super) found: Vec<Found>,
    pub(super) lost: Vec<Lost>,
    /// Pictures of other formats and videos, in folders.
    pub(super) others: Vec<Other>,
}

/// What changes when a file's content does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) bytes: u64,
    pub(super) modified_ns: i64,
}

/// How far to look into a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Depth {
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
///
/// An input that can't be read makes no sense; what can't be read among those that it stands for is lost, and the
/// rest goes on.
pub(super) fn find(inputs: &[PathBuf], depth: Depth, output: &Path) -> Result<Finds, Usage> {
    let mut search = Search { depth, output, finds: Finds::default() };
    for input in inputs {
        search.input(input)?;
    }
    let finds = search.finds;
    if finds.found.is_empty() && finds.lost.is_empty() {
        let inputs: Vec<_> = inputs.iter().map(|input| input.display().to_string()).collect();
        let hint = match depth {
            Depth::Folder => "; --recursive looks into subfolders",
            Depth::Tree => "",
        };
        let left_out: LeftOut = finds.others.iter().map(|other| other.kind).collect();
        return Err(Usage::new(format!(
            "{}: no PNG, JPEG, WebP or TIFF files there{}{hint}",
            inputs.join(", "),
            left_out.in_words()
        )));
    }
    Ok(finds)
}

struct Search<'a> {
    depth: Depth,
    output: &'a Path,
    finds: Finds,
}

impl Search<'_> {
    fn input(&mut self, input: &Path) -> Result<(), Usage> {
        match fs::metadata(input) {
            Ok(metadata) => self.add(input, &metadata).map_err(|error| Usage::new(unreadable(input, &error))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.pattern(input, &error),
            Err(error) => Err(Usage::new(unreadable(input, &error))),
        }
    }

    fn pattern(&mut self, input: &Path, missing: &io::Error) -> Result<(), Usage> {
        let Some(pattern) = input.to_str().filter(|text| text.contains(['*', '?', '['])) else {
            return Err(Usage::new(unreadable(input, missing)));
        };
        let options = MatchOptions { require_literal_leading_dot: true, ..MatchOptions::new() };
        let matches = glob::glob_with(pattern, options)
            .map_err(|error| Usage::new(format!("{pattern}: no good pattern: {error}")))?;
        let mut matches = matches.peekable();
        if matches.peek().is_none() {
            return Err(Usage::new(format!("{pattern}: nothing matches")));
        }
        for path in matches {
            match path {
                Ok(path) => {
                    let added = fs::metadata(&path).and_then(|metadata| self.add(&path, &metadata));
                    self.lose_if_failed(&path, added);
                }
                Err(error) => self.lose(error.path(), error.error()),
            }
        }
        Ok(())
    }

    fn add(&mut self, path: &Path, metadata: &Metadata) -> io::Result<()> {
        if metadata.is_dir() {
            return self.folder(path, Path::new(""));
        }
        let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        self.file(path, PathBuf::from(name), metadata);
        Ok(())
    }

    /// Fails only if the folder itself can't be read.
    fn folder(&mut self, folder: &Path, relative: &Path) -> io::Result<()> {
        let mut entries: Vec<_> = fs::read_dir(folder)?.collect::<io::Result<_>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let (path, name) = (entry.path(), entry.file_name());
            if name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let searched = self.entry(&entry, &path, &relative.join(name));
            self.lose_if_failed(&path, searched);
        }
        Ok(())
    }

    fn entry(&mut self, entry: &fs::DirEntry, path: &Path, relative: &Path) -> io::Result<()> {
        if entry.file_type()?.is_dir() {
            // Asked each time: another task may make it in the middle of the search.
            let is_output = FileId::of(path).is_ok_and(|id| FileId::of(self.output).is_ok_and(|it| it == id));
            if self.depth == Depth::Tree && !is_output {
                self.folder(path, relative)?;
            }
        } else if Format::from_path(path).is_some() {
            let metadata = fs::metadata(path)?;
            // A link to a folder is no picture.
            if metadata.is_file() {
                self.file(path, relative.into(), &metadata);
            }
        } else if let Some(kind) = Kind::of_file(path) {
            self.finds.others.push(Other { path: path.into(), kind });
        }
        Ok(())
    }

    fn lose_if_failed(&mut self, path: &Path, result: io::Result<()>) {
        if let Err(error) = result {
            self.lose(path, &error);
        }
    }

    fn lose(&mut self, path: &Path, error: &io::Error) {
        self.finds.lost.push(Lost { path: path.into(), message: unreadable(path, error) });
    }

    fn file(&mut self, source: &Path, relative: PathBuf, metadata: &Metadata) {
        let (id, stamp) = (FileId::of_metadata(metadata), Stamp::of_metadata(metadata));
        self.finds.found.push(Found { source: source.into(), relative, id, stamp });
    }
}

fn unreadable(path: &Path, error: &io::Error) -> String {
    format!("{}: can't be read: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

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
            let found = found
                .map(|finds| finds.found.into_iter().map(|found| (found.source, found.relative)).collect());
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
        check(&["in/*.png"], Depth::Folder, Some(&[("in/b.png", "b.png")]));
        check(&["in/*.JPG"], Depth::Folder, Some(&[("in/a.JPG", "a.JPG")]));
        check(&["in/sub/**/*.webp"], Depth::Folder, Some(&[("in/sub/c.webp", "c.webp")]));
        check(&["x[1].png"], Depth::Folder, Some(&[("x[1].png", "x[1].png")]));
        check(&["empty"], Depth::Folder, None);
        check(&["empty", "in/b.png"], Depth::Folder, Some(&[("in/b.png", "b.png")]));
        check(&["missing.png"], Depth::Folder, None);
        check(&["missing-*.png"], Depth::Folder, None);
        check(&["in/***.png"], Depth::Folder, None);
    }

    #[test]
    fn files_of_other_kinds_are_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for path in ["in/a.png", "in/b.heic", "in/c.gif", "in/d.txt", "in/sub/e.MP4", "in/.f.gif", "g/h.gif"]
        {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), "").unwrap();
        }
        let check = |depth: Depth, expected: &[&str]| {
            let finds = find(&[root.join("in")], depth, &root.join("out")).unwrap();
            let others: Vec<_> = finds.others.into_iter().map(|other| other.path).collect();
            assert_eq!(others, expected.iter().map(|path| root.join(path)).collect::<Vec<_>>());
        };
        check(Depth::Folder, &["in/b.heic", "in/c.gif"]);
        check(Depth::Tree, &["in/b.heic", "in/c.gif", "in/sub/e.MP4"]);
        let error = find(&[root.join("g")], Depth::Folder, &root.join("out")).unwrap_err().to_string();
        assert!(error.contains("left out: 1 GIF file"), "{error}");
    }

    #[test]
    fn what_cannot_be_read_is_lost_alone() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("in/sub")).unwrap();
        fs::write(root.join("in/a.png"), "").unwrap();
        for link in ["in/b.png", "in/c.txt", "in/sub/d.png", "e.png"] {
            std::os::unix::fs::symlink(root.join("nowhere"), root.join(link)).unwrap();
        }
        let check = |input: &str, depth: Depth, expected: Option<(usize, &[&str])>| {
            let result = find(&[root.join(input)], depth, &root.join("out")).ok();
            let lost = |lost: Vec<Lost>| lost.into_iter().map(|lost| lost.path).collect::<Vec<_>>();
            let result = result.map(|finds| (finds.found.len(), lost(finds.lost)));
            let expected =
                expected.map(|(count, lost)| (count, lost.iter().map(|lost| root.join(lost)).collect()));
            assert_eq!(result, expected, "{input} {depth:?}");
        };
        check("in", Depth::Folder, Some((1, &["in/b.png"])));
        check("in", Depth::Tree, Some((1, &["in/b.png", "in/sub/d.png"])));
        check("in/sub", Depth::Folder, Some((0, &["in/sub/d.png"])));
        check("in/?.png", Depth::Folder, Some((1, &["in/b.png"])));
        check("in/b.png", Depth::Folder, None);
        check("e.png", Depth::Folder, None);

        // Closed to us, unless we are root.
        let closed = root.join("in/sub");
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
        if fs::read_dir(&closed).is_err() {
            check("in", Depth::Tree, Some((1, &["in/b.png", "in/sub"])));
            check("i*", Depth::Tree, Some((1, &["in/b.png", "in/sub"])));
            check("in/sub", Depth::Tree, None);
        }
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    }
}
