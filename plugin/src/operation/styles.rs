//! The styles to choose from, by files alone: this is asked in every process that begins with GEGL, where no daemon may be
//! started for it.
//!
//! GEGL and GIMP keep a choice as a number, also in files. So a style's number is a hash of its id, the same whatever
//! other styles there are.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

/// What the daemon has built in, in its order: ids, and their names. The first is the default.
const BUILT_IN: [(&str, &str); 9] = [
    ("anime", "Anime"),
    ("comic", "Comic"),
    ("ukiyo-e", "Ukiyo-e"),
    ("oil", "Oil"),
    ("van-gogh", "Van Gogh"),
    ("impressionist", "Impressionist"),
    ("cel", "Cel"),
    ("paint", "Paint"),
    ("restore", "Restore"),
];

/// The number for none.
pub(crate) const NONE: i32 = 0;

/// A style.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Style {
    pub(crate) number: i32,
    pub(crate) id: String,
    pub(crate) name: String,
}

impl Style {
    fn new(id: &str, name: &str) -> Self {
        // Signed, above `NONE`.
        let number = (crc32fast::hash(id.as_bytes()) & 0x7fff_ffff).max(1) as i32;
        Self { number, id: id.into(), name: name.into() }
    }
}

/// The built-in styles, and those in the user's folder. Of two with the same number, which are as likely as to win in a
/// lottery, the first is there.
pub(crate) fn installed(folder: &Path) -> Vec<Style> {
    let own = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut own: Vec<String> = own
        .map(|entry| entry.path())
        .filter(|path| path.extension() == Some(OsStr::new("safetensors")))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .filter(|id| is_id(id))
        .collect();
    own.sort();

    let built_in = BUILT_IN.iter().map(|(id, name)| Style::new(id, name));
    let mut styles: Vec<Style> = Vec::new();
    for style in built_in.chain(own.iter().map(|id| Style::new(id, id))) {
        if styles.iter().all(|other| other.number != style.number) {
            styles.push(style);
        }
    }
    styles
}

/// Lower-case letters, digits and hyphens, as the daemon demands.
fn is_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_are_found_by_their_files_and_keep_their_numbers() {
        let folder = tempfile::tempdir().expect("a folder");
        let ids = |styles: &[Style]| styles.iter().map(|style| style.id.clone()).collect::<Vec<_>>();
        let none = installed(&folder.path().join("nowhere"));
        assert_eq!(ids(&none), BUILT_IN.map(|(id, _)| id));
        for name in
            ["ink.safetensors", "anime.safetensors", "Bad Name.safetensors", "notes.txt", ".safetensors"]
        {
            fs::write(folder.path().join(name), "").expect("written");
        }
        let some = installed(folder.path());
        assert_eq!(some[..none.len()], none);
        assert_eq!(ids(&some[none.len()..]), ["ink"]);
        // These stand in pictures of users'.
        let number = |id: &str| some.iter().find(|style| style.id == id).map(|style| style.number);
        assert_eq!(number("anime"), Some(319_052_098));
        assert_eq!(number("ink"), Some(425_318_212));
    }
}
