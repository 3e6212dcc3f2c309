//! Decides where each picture goes, and refuses what would overwrite: two pictures with the same output, or an
//! output that is one of the sources.
//!
//! Pictures that differ in their format alone, as `a.png` and `a.tif`, would become the same `a.jpg`. They keep their
//! old extensions in front of the new one: `a.png.jpg`. One that is an `a.jpg` already stays that.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::super::Usage;
use super::super::file_id::FileId;
use super::super::pipeline::Job;
use super::sources::{Found, Stamp};
use crate::picture;

/// What format the outputs have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in super::super) enum Format {
    /// That of the source; PNG if its name doesn't say
    Same,
    Png,
    Jpeg,
    Webp,
    Tiff,
}

/// A picture and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Planned {
    pub(super) job: Job,
    pub(super) stamp: Stamp,
}

/// Gives each picture its output. A picture that was found twice is drawn once.
pub(super) fn plan(found: Vec<Found>, output: &Path, format: Format) -> Result<Vec<Planned>, Usage> {
    let sources: HashSet<FileId> = found.iter().map(|found| found.id).collect();
    let contested = contested(&found, format);
    let mut taken: HashMap<PathBuf, (FileId, PathBuf)> = HashMap::new();
    let mut planned = Vec::with_capacity(found.len());
    for Found { source, relative, id, stamp } in found {
        let (name, format) = match name(&relative, format) {
            (name, format) if contested.contains(&name) => (full_name(&relative, name, format), format),
            named => named,
        };
        let output = output.join(name);
        if let Some((other_id, other)) = taken.get(&output) {
            if *other_id == id {
                continue;
            }
            return Err(Usage::new(format!(
                "{} and {} would both become {}: use --recursive with their folder, or two batches",
                other.display(),
                source.display(),
                output.display()
            )));
        }
        if FileId::of(&output).is_ok_and(|id| sources.contains(&id)) {
            return Err(Usage::new(format!(
                "{} would be overwritten, and is itself to be drawn: choose another folder for the outputs",
                output.display()
            )));
        }
        taken.insert(output.clone(), (id, source.clone()));
        planned.push(Planned { job: Job { source, output, format }, stamp });
    }
    Ok(planned)
}

/// The names that more than one picture would get.
fn contested(found: &[Found], format: Format) -> HashSet<PathBuf> {
    let mut first: HashMap<PathBuf, FileId> = HashMap::new();
    let mut contested = HashSet::new();
    for Found { relative, id, .. } in found {
        let (name, _) = name(relative, format);
        if *first.entry(name.clone()).or_insert(*id) != *id {
            contested.insert(name);
        }
    }
    contested
}

/// A name with the old extension and the new one; or the name as it was, if both are the same format's.
fn full_name(relative: &Path, name: PathBuf, format: picture::Format) -> PathBuf {
    match picture::Format::from_path(relative) {
        Some(own) if own == format => name,
        _ => with_another_extension(relative, format.extensions()[0]),
    }
}

fn with_another_extension(relative: &Path, extension: &str) -> PathBuf {
    let mut name = relative.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

/// The output's name and format. A name without a format's extension keeps all of itself and gets one.
fn name(relative: &Path, format: Format) -> (PathBuf, picture::Format) {
    let own = picture::Format::from_path(relative);
    let format = match format {
        Format::Same => own.unwrap_or(picture::Format::Png),
        Format::Png => picture::Format::Png,
        Format::Jpeg => picture::Format::Jpeg,
        Format::Webp => picture::Format::WebP,
        Format::Tiff => picture::Format::Tiff,
    };
    let extension = format.extensions()[0];
    let name = match own {
        Some(own) if own == format => relative.into(),
        Some(_) => relative.with_extension(extension),
        None => with_another_extension(relative, extension),
    };
    (name, format)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn names() {
        fn check(relative: &str, format: Format, expected: &str, expected_format: picture::Format) {
            let expected = (PathBuf::from(expected), expected_format);
            assert_eq!(name(Path::new(relative), format), expected, "{relative} {format:?}");
        }
        check("a.png", Format::Same, "a.png", picture::Format::Png);
        check("a.JPEG", Format::Same, "a.JPEG", picture::Format::Jpeg);
        check("a.JPEG", Format::Jpeg, "a.JPEG", picture::Format::Jpeg);
        check("a.JPEG", Format::Png, "a.png", picture::Format::Png);
        check("sub/shot.0001.png", Format::Jpeg, "sub/shot.0001.jpg", picture::Format::Jpeg);
        check("a.png", Format::Webp, "a.webp", picture::Format::WebP);
        check("a.png", Format::Tiff, "a.tif", picture::Format::Tiff);
        check("scan", Format::Same, "scan.png", picture::Format::Png);
        check("shot.0001", Format::Webp, "shot.0001.webp", picture::Format::WebP);
    }

    #[test]
    fn outputs() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for path in ["one/a.png", "one/a.jpg", "two/a.png", "out/b.png"] {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), "").unwrap();
        }
        let found = |source: &str, relative: &str| {
            let source = root.join(source);
            let (id, stamp) = (FileId::of(&source).unwrap(), Stamp::of(&source).unwrap());
            Found { source, relative: relative.into(), id, stamp }
        };
        let check = |pictures: &[(&str, &str)], format: Format, expected: Option<&[&str]>| {
            let found = pictures.iter().map(|(source, relative)| found(source, relative)).collect();
            let planned = plan(found, &root.join("out"), format).ok();
            let outputs =
                planned.map(|planned| planned.into_iter().map(|planned| planned.job.output).collect());
            let expected = expected
                .map(|expected| expected.iter().map(|output| root.join("out").join(output)).collect());
            assert_eq!(outputs, expected as Option<Vec<_>>, "{pictures:?} {format:?}");
        };
        check(&[("one/a.png", "a.png"), ("one/a.jpg", "a.jpg")], Format::Same, Some(&["a.png", "a.jpg"]));
        let both = [("one/a.png", "a.png"), ("one/a.jpg", "a.jpg")];
        check(&both, Format::Webp, Some(&["a.png.webp", "a.jpg.webp"]));
        check(&both, Format::Jpeg, Some(&["a.png.jpg", "a.jpg"]));
        check(&[both[1], both[0]], Format::Png, Some(&["a.jpg.png", "a.png"]));
        // Found twice, it contests nothing.
        check(&[both[0], ("one/../one/a.png", "a.png")], Format::Jpeg, Some(&["a.jpg"]));
        // The longer name may be somebody's, too.
        check(&[both[0], both[1], ("two/a.png", "a.png.jpg")], Format::Jpeg, None);
        check(&[both[0], ("two/a.png", "a.png")], Format::Jpeg, None);
        check(&[("one/a.png", "a.png"), ("two/a.png", "a.png")], Format::Same, None);
        check(
            &[("one/a.png", "1/a.png"), ("two/a.png", "2/a.png")],
            Format::Same,
            Some(&["1/a.png", "2/a.png"]),
        );
        check(&[("one/a.png", "a.png"), ("one/../one/a.png", "a.png")], Format::Same, Some(&["a.png"]));
        check(&[("out/b.png", "b.png")], Format::Same, None);
        check(&[("out/b.png", "b.png")], Format::Jpeg, Some(&["b.jpg"]));
        check(&[("one/a.png", "b.png")], Format::Same, Some(&["b.png"]));
        check(&[("one/a.png", "b.png"), ("out/b.png", "c.png")], Format::Same, None);
    }
}
