//! Which pictures of a folder can be learned from, and why the others can't.

use std::collections::HashMap;
use std::collections::hash_map::{DefaultHasher, Entry};
use std::hash::{Hash, Hasher};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Sheet;
use super::animated::is_animated;
use super::twins::Print;
use super::walk::{Files, walk};

/// The shortest side of a usable picture, also after it was reduced to the working size.
pub const MIN_SIDE_PX: u32 = 128;
/// With fewer usable pictures nothing is learned but these pictures: training is refused.
pub const MIN_PICTURES: usize = 10;
/// With fewer usable pictures training works, and more would make it better: worth a warning.
pub const ENOUGH_PICTURES: usize = 20;

/// Reads a file as an upright picture, or says in words why it can't: `is broken or cut short; export it again`.
pub type Open = dyn Fn(&Path) -> Result<Sheet, String> + Sync;

/// How much is kept in memory: at most `long_side_px² * 3` bytes a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The working size: pictures are reduced to it.
    pub long_side_px: u32,
    /// Of a folder with more of them, so many are chosen, always the same ones.
    pub max_pictures: usize,
}

/// A usable picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Its file.
    pub path: PathBuf,
    /// At working size, without borders where there is nothing.
    pub sheet: Sheet,
}

/// A file that isn't used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Which.
    pub path: PathBuf,
    /// In words.
    pub why: String,
}

impl Skipped {
    pub(super) fn new(path: PathBuf, why: impl Into<String>) -> Self {
        Self { path, why: why.into() }
    }
}

/// What was found in a folder.
#[derive(Debug, Default)]
pub struct Scan {
    /// The usable ones, by name.
    pub pictures: Vec<Found>,
    /// The others, by name.
    pub skipped: Vec<Skipped>,
    /// Files that weren't looked at, because there are enough without them.
    pub surplus: usize,
}

/// How far a scan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Files that were looked at.
    pub done: usize,
    /// Files in all.
    pub of: usize,
}

/// Why there are no pictures.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The folder itself.
    #[error("{}: the folder can't be read ({source}); check its name and its permissions", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not enough to learn from.
    #[error(
        "{}: {usable} of its {files} pictures can be used, and at least {MIN_PICTURES} are needed; {ENOUGH_PICTURES} \
         or more are better: add pictures of at least {MIN_SIDE_PX} pixels a side{}", folder.display(), examples(skipped)
    )]
    TooFew {
        /// Where.
        folder: PathBuf,
        /// How many are usable.
        usable: usize,
        /// How many files there are.
        files: usize,
        /// What was skipped.
        skipped: Vec<Skipped>,
    },
    /// The caller's wish.
    #[error("looking through the pictures was cancelled")]
    Cancelled,
}

/// The first few that were skipped, for a message.
fn examples(skipped: &[Skipped]) -> String {
    let name = |s: &Skipped| format!("{}: {}", s.path.file_name().unwrap_or_default().display(), s.why);
    let few: Vec<String> = skipped.iter().take(3).map(name).collect();
    if few.is_empty() { String::new() } else { format!(" (skipped, for example: {})", few.join("; ")) }
}

/// Looks through a folder and all folders below it, through symbolic links; hidden ones are left out. The result
/// depends on the files alone, not on threads or the file system's order.
pub fn scan(
    folder: &Path,
    limits: Limits,
    open: &Open,
    mut progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Scan, ScanError> {
    let Files { pictures: mut files, skipped } =
        walk(folder).map_err(|source| ScanError::Folder { folder: folder.to_owned(), source })?;
    let of = files.len();
    if of > limits.max_pictures {
        // Spread over all of them, and not the first folder's alone.
        files.shuffle(&mut ChaCha8Rng::seed_from_u64(0));
    }
    let mut sieve = Sieve { scan: Scan { skipped, ..Scan::default() }, ..Sieve::default() };
    let mut rest = &files[..];
    while !rest.is_empty() && sieve.scan.pictures.len() < limits.max_pictures {
        if progress(Progress { done: of - rest.len(), of }).is_break() {
            return Err(ScanError::Cancelled);
        }
        // Whole pictures are large: no more of them at once than there are threads.
        let wanted = limits.max_pictures - sieve.scan.pictures.len();
        let (some, later) = rest.split_at(rest.len().min(rayon::current_num_threads()).min(wanted));
        let looked: Vec<_> = some.par_iter().map(|path| look(path, limits.long_side_px, open)).collect();
        some.iter().zip(looked).for_each(|(path, looked)| sieve.push(path, looked));
        rest = later;
    }
    let mut scan = sieve.scan;
    scan.surplus = rest.len();
    scan.pictures.sort_by(|a, b| a.path.cmp(&b.path));
    scan.skipped.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(scan)
}

impl Scan {
    /// The usable pictures, if they are enough to learn from.
    pub fn enough(self, folder: &Path) -> Result<Self, ScanError> {
        let (usable, skipped) = (self.pictures.len(), self.skipped.len());
        if usable >= MIN_PICTURES {
            return Ok(self);
        }
        let files = usable + skipped + self.surplus;
        Err(ScanError::TooFew { folder: folder.to_owned(), usable, files, skipped: self.skipped })
    }
}

/// A picture at working size and the hash of all of its content, or why it can't be used.
fn look(path: &Path, long_side_px: u32, open: &Open) -> Result<(Sheet, u64), String> {
    if is_animated(path).map_err(|error| format!("can't be read: {error}"))? {
        return Err("is animated; save the frames that matter as pictures of their own".into());
    }
    let sheet = open(path)?.trimmed();
    let (width, height) = (sheet.picture.width, sheet.picture.height);
    if width.min(height) < MIN_SIDE_PX {
        return Err(format!(
            "is too small: {width} x {height} pixels, and at least {MIN_SIDE_PX} a side are needed"
        ));
    }
    let mut hasher = DefaultHasher::new();
    sheet.picture.hash(&mut hasher);
    let reduced = sheet.reduced(long_side_px);
    if reduced.picture.width.min(reduced.picture.height) < MIN_SIDE_PX {
        return Err(format!("is too long and narrow: {width} x {height} pixels; cut it into parts"));
    }
    Ok((reduced, hasher.finish()))
}

/// Lets every picture through once.
#[derive(Default)]
struct Sieve {
    scan: Scan,
    /// A content's hash to its file.
    contents: HashMap<u64, PathBuf>,
    prints: Vec<Print>,
}

impl Sieve {
    fn push(&mut self, path: &Path, looked: Result<(Sheet, u64), String>) {
        match looked.and_then(|(sheet, hash)| self.sift(path, sheet, hash)) {
            Ok(sheet) => self.scan.pictures.push(Found { path: path.to_owned(), sheet }),
            Err(why) => self.scan.skipped.push(Skipped::new(path.to_owned(), why)),
        }
    }

    fn sift(&mut self, path: &Path, sheet: Sheet, hash: u64) -> Result<Sheet, String> {
        match self.contents.entry(hash) {
            Entry::Occupied(first) => {
                return Err(format!("is the same picture as {}", first.get().display()));
            }
            Entry::Vacant(place) => place.insert(path.to_owned()),
        };
        // Characters without a ground differ by a face, and little else.
        if sheet.opacity.is_some() {
            return Ok(sheet);
        }
        let print = Print::of(&sheet.picture);
        if let Some(twin) = self.prints.iter().position(|other| other.is_twin_of(&print)) {
            return Err(format!("is almost the same picture as {}", self.scan.pictures[twin].path.display()));
        }
        self.prints.push(print);
        Ok(sheet)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use crate::data::Picture;

    use super::*;

    /// A folder whose files say which picture they are: `WIDTH HEIGHT NUMBER`.
    struct Folder(TempDir);

    impl Folder {
        fn new(files: &[(&str, &str)]) -> Self {
            let folder = Self(tempfile::tempdir().expect("a folder"));
            files.iter().for_each(|(name, content)| folder.put(name, content.as_bytes()));
            folder
        }

        fn put(&self, name: &str, content: &[u8]) {
            let path = self.0.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, content).expect("written");
        }

        fn scan(&self, max_pictures: usize) -> Scan {
            let limits = Limits { long_side_px: 256, max_pictures };
            scan(self.0.path(), limits, &open, |_| ControlFlow::Continue(())).expect("scanned")
        }

        fn name(&self, path: &Path) -> String {
            path.strip_prefix(self.0.path()).expect("a file of the folder").display().to_string()
        }

        /// What is used, and what isn't: as `name` and `name: why`.
        #[track_caller]
        fn check(&self, used: &[&str], skipped: &[&str]) {
            let scan = self.scan(100);
            assert_eq!(scan.pictures.iter().map(|f| self.name(&f.path)).collect::<Vec<_>>(), used);
            let root = format!("{}/", self.0.path().display());
            let why = |s: &Skipped| format!("{}: {}", self.name(&s.path), s.why).replace(&root, "");
            assert_eq!(scan.skipped.iter().map(why).collect::<Vec<_>>(), skipped);
        }
    }

    fn open(path: &Path) -> Result<Sheet, String> {
        let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
        let numbers: Vec<u32> = text.split(' ').filter_map(|number| number.parse().ok()).collect();
        let [width, height, number] = numbers[..] else { return Err("is broken".into()) };
        Ok(picture(width, height, number).into())
    }

    /// Waves of an own direction for each number, the same at every size.
    fn picture(width: u32, height: u32, number: u32) -> Picture {
        let direction = number as f32 * 2.4;
        let value = |i: u32| {
            let (x, y) = ((i % width) as f32 / width as f32, (i / width) as f32 / height as f32);
            (127.0 + 100.0 * (9.0 * (x * direction.cos() + y * direction.sin())).sin()) as u8
        };
        Picture { width, height, rgb: (0..width * height).flat_map(|i| [value(i); 3]).collect() }
    }

    #[test]
    fn usable_pictures_are_found_and_the_others_named() {
        let folder = Folder::new(&[
            ("b/one.png", "200 200 1"),
            ("a.JPG", "300 200 2"),
            ("again.png", "200 200 1"),
            ("larger.png", "400 400 1"),
            ("broken.png", "nonsense"),
            ("tiny.png", "400 127 3"),
            ("strip.png", "4000 200 4"),
            ("notes.txt", "not a picture"),
            (".hidden/c.png", "200 200 5"),
            (".d.png", "200 200 6"),
            ("moves.gif", "GIF89a NETSCAPE2.0"),
        ]);
        let used = ["a.JPG", "again.png"];
        let skipped = [
            "b/one.png: is the same picture as again.png",
            "broken.png: is broken",
            "larger.png: is almost the same picture as again.png",
            "moves.gif: is animated; save the frames that matter as pictures of their own",
            "strip.png: is too long and narrow: 4000 x 200 pixels; cut it into parts",
            "tiny.png: is too small: 400 x 127 pixels, and at least 128 a side are needed",
        ];
        folder.check(&used, &skipped);
        assert_eq!(
            (
                folder.scan(100).pictures[0].sheet.picture.width,
                folder.scan(100).pictures[0].sheet.picture.height
            ),
            (256, 171)
        );
    }

    #[test]
    fn links_are_followed_and_loops_end() {
        let folder = Folder::new(&[("a/one.png", "200 200 1")]);
        let elsewhere = Folder::new(&[("two.png", "200 200 2")]);
        symlink(folder.0.path(), folder.0.path().join("a/up")).expect("a link");
        symlink("a", folder.0.path().join("same")).expect("a link");
        symlink(elsewhere.0.path(), folder.0.path().join("other")).expect("a link");
        symlink("nowhere", folder.0.path().join("gone.png")).expect("a link");
        let scan = folder.scan(100);
        let used: Vec<_> = scan.pictures.iter().map(|f| folder.name(&f.path)).collect();
        assert_eq!(used, ["a/one.png", "other/two.png"]);
        assert_eq!(scan.skipped.iter().map(|s| folder.name(&s.path)).collect::<Vec<_>>(), ["gone.png"]);
        assert!(scan.skipped[0].why.starts_with("can't be opened: "), "{:?}", scan.skipped);
    }

    #[test]
    fn of_many_pictures_the_same_ones_are_chosen() {
        let folder = Folder::new(&[]);
        (0..30).for_each(|n| folder.put(&format!("{n:02}.png"), format!("150 140 {n}").as_bytes()));
        folder.put("broken.png", b"");
        let scan = folder.scan(12);
        assert_eq!(scan.pictures.len(), 12);
        assert_eq!(scan.surplus + scan.skipped.len(), 31 - 12);
        assert_eq!(folder.scan(12).pictures, scan.pictures);
        let first_twelve = (0..12).map(|n| format!("{n:02}.png")).collect::<Vec<_>>();
        assert_ne!(scan.pictures.iter().map(|f| folder.name(&f.path)).collect::<Vec<_>>(), first_twelve);
    }

    #[test]
    fn too_few_are_refused_with_what_to_do() {
        let folder = Folder::new(&[("broken.png", "")]);
        (1..MIN_PICTURES).for_each(|n| folder.put(&format!("{n}.png"), format!("150 140 {n}").as_bytes()));
        let error = folder.scan(100).enough(Path::new("art")).expect_err("one is missing");
        assert_eq!(
            error.to_string(),
            "art: 9 of its 10 pictures can be used, and at least 10 are needed; 20 or more are better: \
             add pictures of at least 128 pixels a side (skipped, for example: broken.png: is broken)"
        );
        folder.put("another.png", b"150 140 77");
        assert_eq!(folder.scan(100).enough(Path::new("art")).expect("enough").pictures.len(), MIN_PICTURES);
    }

    #[test]
    fn no_folder_and_a_cancelled_scan_are_errors() {
        let limits = Limits { long_side_px: 256, max_pictures: 9 };
        let go_on = |_| ControlFlow::Continue(());
        let error = scan(Path::new("no/such/folder"), limits, &open, go_on).expect_err("there is none");
        assert!(matches!(error, ScanError::Folder { .. }), "{error}");
        let folder = Folder::new(&[("one.png", "200 200 1")]);
        let mut seen = Vec::new();
        let cancel = |progress| {
            seen.push(progress);
            ControlFlow::Break(())
        };
        let error = scan(folder.0.path(), limits, &open, cancel).expect_err("cancelled");
        assert!(matches!(error, ScanError::Cancelled), "{error}");
        assert_eq!(seen, [Progress { done: 0, of: 1 }]);
    }
}
