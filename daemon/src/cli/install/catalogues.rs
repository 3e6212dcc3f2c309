//! The plug-in's words in other languages: a folder `locale` beside it, as gettext wants it.
//!
//! ```text
//! plug-ins/utsushi-gimp/locale/de/LC_MESSAGES/utsushi-gimp.mo
//! ```

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use utsushi_po::{CATALOGUES, DOMAIN};

use super::folder::{self, Source, Step};

/// The name of the folder.
const LOCALE: &str = "locale";
/// The name of the folder in that of a language.
const MESSAGES: &str = "LC_MESSAGES";

/// Where gettext looks in a folder called `locale`, and what it finds there.
pub(in super::super) fn files(locale: &Path) -> impl Iterator<Item = (PathBuf, &'static [u8])> + use<'_> {
    CATALOGUES.iter().map(|(language, catalogue)| (file_of(&locale.join(language)), *catalogue))
}

fn file_of(language: &Path) -> PathBuf {
    language.join(MESSAGES).join(format!("{DOMAIN}.mo"))
}

/// The steps after which the plug-in's folder has every catalogue.
pub(super) fn installation(plug_in: &Path) -> io::Result<Vec<Step>> {
    files(&plug_in.join(LOCALE))
        .map(|(file, catalogue)| {
            let mut steps = file.parent().map(folder::clearing).unwrap_or_default();
            steps.push(folder::placing(Source::Catalogue(catalogue), file)?);
            Ok(steps)
        })
        .collect::<io::Result<Vec<_>>>()
        .map(|steps| steps.concat())
}

/// The steps after which it has none, whatever its language, and no folder that was for these alone.
pub(super) fn removal(plug_in: &Path) -> io::Result<Vec<Step>> {
    let locale = plug_in.join(LOCALE);
    let Some(mut languages) = entries(&locale)? else { return Ok(Vec::new()) };
    languages.sort();
    let (mut steps, mut left) = (Vec::new(), 0);
    for language in languages {
        let (file, messages) = (file_of(&language), language.join(MESSAGES));
        let is_alone = [&language, &messages]
            .iter()
            .all(|folder| matches!(entries(folder), Ok(Some(entries)) if entries.len() == 1));
        let is_there = file.is_file();
        if is_there {
            steps.push(Step::Remove(file));
        }
        if is_there && is_alone {
            steps.extend([messages, language].map(Step::RemoveFolder));
        } else {
            left += 1;
        }
    }
    if left == 0 && !locale.is_symlink() {
        steps.push(Step::RemoveFolder(locale));
    }
    Ok(steps)
}

/// What is in a folder; nothing if it is none.
fn entries(folder: &Path) -> io::Result<Option<Vec<PathBuf>>> {
    match fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        entries => entries?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>().map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(steps: io::Result<Vec<Step>>) -> usize {
        let steps = steps.expect("steps");
        steps.iter().for_each(|step| step.take().expect("taken"));
        steps.iter().filter(|step| step.changes()).count()
    }

    #[test]
    fn catalogues_come_and_go_and_what_is_not_ours_stays() {
        let check = |others: &[&str], left: bool| {
            let root = tempfile::tempdir().expect("a folder");
            let plug_in = root.path().join("utsushi-gimp");
            for other in others {
                let file = plug_in.join(LOCALE).join(other);
                fs::create_dir_all(file.parent().expect("a folder")).expect("made");
                fs::write(file, "theirs").expect("written");
            }
            assert_eq!(take(installation(&plug_in)), CATALOGUES.len(), "{others:?}");
            for (file, catalogue) in files(&plug_in.join(LOCALE)) {
                assert_eq!(fs::read(file).expect("a file"), catalogue, "{others:?}");
            }
            assert_eq!(take(installation(&plug_in)), 0, "{others:?}");
            take(removal(&plug_in));
            assert_eq!(plug_in.join(LOCALE).exists(), left, "{others:?}");
            for other in others {
                // A catalogue of an earlier version, in a language that there isn't any more, is ours.
                assert_eq!(plug_in.join(LOCALE).join(other).exists(), left, "{other}");
            }
            assert_eq!(take(removal(&plug_in)), 0, "{others:?}");
        };
        check(&[], false);
        check(&["de/LC_MESSAGES/other.mo"], true);
        check(&["de/notes"], true);
        check(&["notes"], true);
        check(&["xx/LC_MESSAGES/utsushi-gimp.mo"], false);
    }
}
