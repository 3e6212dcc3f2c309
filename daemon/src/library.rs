//! The styles there are: those built into the program, and the user's own in a folder.

use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::SystemTime;

use utsushi_engine::remove_leftovers_in;
use utsushi_engine::style_file::{StyleFile, StyleFileError, StyleMeta, read_capped};
use utsushi_engine::weights::Weights;
use utsushi_ipc::protocol::{PictureKind, StyleInfo};

/// A built-in style's file, and the recipe that taught it first.
macro_rules! built_in {
    ($id:literal) => {
        (
            include_bytes!(concat!("../styles/", $id, ".safetensors")),
            include_str!(concat!("../styles/recipes/", $id, ".toml")),
        )
    };
}

/// The built-in styles, the first the default.
const BUILT_IN: &[(&[u8], &str)] = &[
    built_in!("anime"),
    built_in!("comic"),
    built_in!("ukiyo-e"),
    built_in!("oil"),
    built_in!("van-gogh"),
    built_in!("impressionist"),
    built_in!("cel"),
    built_in!("paint"),
    built_in!("restore"),
];

/// The networks that enlarge, which are no styles.
const ENLARGERS: [(PictureKind, &[u8]); 2] = [
    (PictureKind::Photo, include_bytes!("../enlargers/photo.safetensors")),
    (PictureKind::Drawing, include_bytes!("../enlargers/drawing.safetensors")),
];

/// The one for pictures of a kind.
pub(crate) fn enlarger(kind: PictureKind) -> &'static StyleFile {
    static FILES: LazyLock<Vec<(PictureKind, StyleFile)>> = LazyLock::new(|| {
        let file = |bytes| StyleFile::parse_enlarger(bytes).expect("a built-in network is whole");
        ENLARGERS.iter().map(|(kind, bytes)| (*kind, file(bytes))).collect()
    });
    let (_, file) = FILES.iter().find(|(of, _)| *of == kind).expect("there is one for each kind");
    file
}

/// What tells this training of it from the next program's, as [`Library::built_in_mark`].
pub(crate) fn enlarger_mark(kind: PictureKind) -> String {
    ENLARGERS.iter().filter(|(of, _)| *of == kind).map(|(_, bytes)| mark(bytes)).collect()
}

/// The same as they are read, once.
static BUILT_IN_FILES: LazyLock<Vec<StyleFile>> = LazyLock::new(|| {
    BUILT_IN.iter().map(|(bytes, _)| StyleFile::parse(bytes).expect("a built-in style is whole")).collect()
});

/// The most styles that a message names.
const MAX_NAMED: usize = 20;

/// What a style file is called.
const EXTENSION: &str = "safetensors";

/// Why the library can't do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// No style has that id.
    #[error("there is no style {id:?}; these there are: {}", known.join(", "))]
    Unknown {
        /// What was asked for.
        id: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A built-in style can't be removed or replaced.
    #[error(
        "{0:?} is a built-in style: it can't be removed or replaced; give the other one another id with --id"
    )]
    BuiltIn(String),
    /// An import would replace a style.
    #[error(
        "there is a style {0:?} already: remove it first (utsushi styles remove {0}) or give this one another id with --id"
    )]
    Exists(String),
    /// An import would replace a file that holds other styles, or none.
    #[error("{}: this file is in the way; move it, or give the style another id with --id", .0.display())]
    Occupied(PathBuf),
    /// A file can't be used as a style.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: StyleFileError,
    },
    /// A file holds weights without a description.
    #[error("{}: it holds weights but no description of their style; give {}", path.display(), missing.iter().map(|part| format!("--{part}")).collect::<Vec<_>>().join(", "))]
    Undescribed {
        /// The file.
        path: PathBuf,
        /// What has to be said of it.
        missing: Vec<&'static str>,
    },
    /// One description was given for several styles.
    #[error("{}: it holds {count} styles, so that one id or name can't be given to it", path.display())]
    Several {
        /// The file.
        path: PathBuf,
        /// How many styles.
        count: usize,
    },
    /// The disk said no.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// A style and where it comes from.
#[derive(Debug, Clone)]
pub struct StyleEntry {
    /// What clients are told.
    pub info: StyleInfo,
    /// Its file; `None` for a built-in one.
    pub file: Option<PathBuf>,
    /// How it was trained, in words.
    pub training: String,
    /// Where its weights were had from, if others trained them.
    pub source: String,
    /// The network's kind.
    pub arch: String,
}

/// What an import says of a style in place of what its file says.
#[derive(Debug, Clone, Default)]
pub struct ImportOverrides {
    /// Its id.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Who trained it.
    pub author: Option<String>,
    /// Its licence.
    pub licence: Option<String>,
    /// Whom to credit.
    pub attribution: Option<String>,
    /// Where its weights were had from.
    pub source: Option<String>,
}

/// The built-in styles and a folder of the user's.
#[derive(Debug, Clone)]
pub struct Library {
    folder: PathBuf,
}

/// A style file and where it is; `None` for a built-in one.
type Volume = (Option<PathBuf>, Result<StyleFile, StyleFileError>);

impl Library {
    /// With the user's styles in `folder`, which need not exist.
    pub fn open(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The id of the style that is taken where none is named.
    pub const fn default_id() -> &'static str {
        "anime"
    }

    /// Every style: the built-in ones, then the user's by their file's name. One whose id is taken already is
    /// passed over.
    pub fn list(&self) -> Vec<StyleEntry> {
        let mut entries: Vec<StyleEntry> = Vec::new();
        for (path, file) in self.volumes() {
            let Ok(file) = file else { continue };
            for style in file.styles() {
                if !entries.iter().any(|entry| entry.info.id == style.id) {
                    entries.push(entry(path.as_ref(), &file, style));
                }
            }
        }
        entries
    }

    /// The user's own styles, by their file's name. The built-in ones aren't read for that.
    pub(crate) fn own(&self) -> Vec<StyleEntry> {
        let mut entries = Vec::new();
        for path in self.paths() {
            let Ok(file) = StyleFile::open(&path) else { continue };
            entries.extend(file.styles().iter().map(|style| entry(Some(&path), &file, style)));
        }
        entries
    }

    /// The user's files that can't be used, and why.
    pub fn problems(&self) -> Vec<(PathBuf, String)> {
        self.volumes().filter_map(|(path, file)| Some((path?, file.err()?.to_string()))).collect()
    }

    /// A style.
    pub fn find(&self, id: &str) -> Option<StyleEntry> {
        let (path, file) = self.volume(id)?;
        let style = file.styles().iter().find(|style| style.id == id)?;
        Some(entry(path.as_ref(), &file, style))
    }

    /// The file that a style is in, and its path; `None` for a built-in one.
    pub fn volume(&self, id: &str) -> Option<(Option<PathBuf>, StyleFile)> {
        self.volumes().find_map(|(path, file)| {
            let file = file.ok()?;
            file.styles().iter().any(|style| style.id == id).then_some((path, file))
        })
    }

    /// What tells this training of a built-in style from the next program's: its version, and what its file holds.
    pub fn built_in_mark(id: &str) -> Option<String> {
        built_in(id).map(|(bytes, _)| mark(bytes))
    }

    /// The recipe that taught a built-in style first.
    pub(crate) fn built_in_recipe(id: &str) -> Option<&'static str> {
        built_in(id).map(|(_, recipe)| *recipe)
    }

    /// The built-in styles' ids.
    pub(crate) fn built_in_ids() -> impl Iterator<Item = &'static str> {
        BUILT_IN_FILES.iter().flat_map(StyleFile::styles).map(|style| &style.id[..])
    }

    /// The built-in styles' names. They are read for that and forgotten, as many a daemon draws by one at most.
    pub(crate) fn built_in_names() -> Vec<String> {
        let files =
            BUILT_IN.iter().map(|(bytes, _)| StyleFile::parse(bytes).expect("a built-in style is whole"));
        files
            .flat_map(|file| file.styles().iter().map(|style| style.name.clone()).collect::<Vec<_>>())
            .collect()
    }

    /// Changes whenever the user's folder does.
    pub fn stamp(&self) -> Vec<(PathBuf, Option<SystemTime>, u64)> {
        let stamp = |path: PathBuf| {
            let metadata = path.metadata().ok();
            let len = metadata.as_ref().map_or(0, std::fs::Metadata::len);
            (path, metadata.and_then(|m| m.modified().ok()), len)
        };
        self.paths().into_iter().map(stamp).collect()
    }

    fn paths(&self) -> Vec<PathBuf> {
        let Ok(folder) = std::fs::read_dir(&self.folder) else { return Vec::new() };
        let mut paths: Vec<PathBuf> = folder.flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|e| e == EXTENSION));
        paths.sort();
        paths
    }

    fn volumes(&self) -> impl Iterator<Item = Volume> {
        let built_in = BUILT_IN_FILES.iter().map(|file| (None, Ok(file.clone())));
        built_in.chain(self.paths().into_iter().map(|path| {
            let file = StyleFile::open(&path);
            (Some(path), file)
        }))
    }

    /// That there is no style of this id, and some that there are: not all of thousands.
    pub(crate) fn unknown(&self, id: &str) -> LibraryError {
        let known = self.list().into_iter().take(MAX_NAMED).map(|entry| entry.info.id).collect();
        LibraryError::Unknown { id: id.to_owned(), known }
    }

    /// Takes a file into the user's folder. Gives the styles that came with it.
    pub fn import(&self, path: &Path, overrides: &ImportOverrides) -> Result<Vec<StyleEntry>, LibraryError> {
        self.add(&self.described(path, overrides)?)
    }

    /// Removes what imports left in the user's folder that were killed.
    pub fn clear_up(&self) {
        remove_leftovers_in(&self.folder);
    }

    /// Writes a file into the user's folder. Gives the styles that came with it. Of several that would add one id at the
    /// same time, one does.
    pub fn add(&self, file: &StyleFile) -> Result<Vec<StyleEntry>, LibraryError> {
        let disk = |source| LibraryError::Io { path: self.folder.clone(), source };
        std::fs::create_dir_all(&self.folder).map_err(disk)?;
        // Where a folder can't be locked, a file that is there is still not replaced.
        let lock = File::open(&self.folder).map_err(disk)?;
        let _ = lock.lock();
        self.clear_up();
        for StyleMeta { id, .. } in file.styles() {
            match self.find(id) {
                Some(entry) if entry.info.built_in => return Err(LibraryError::BuiltIn(id.clone())),
                Some(_) => return Err(LibraryError::Exists(id.clone())),
                None => {}
            }
        }
        let target = self.folder.join(&file.styles()[0].id).with_extension(EXTENSION);
        // A file may have any name, so that no style of this id doesn't mean no file.
        match file.save_new(&target) {
            Ok(()) => {}
            Err(StyleFileError::Io { source, .. }) if source.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(LibraryError::Occupied(target));
            }
            Err(source) => return Err(LibraryError::File { path: target, source }),
        }
        Ok(self.list().into_iter().filter(|entry| entry.file.as_ref() == Some(&target)).collect())
    }

    /// Reads a file, described by itself or by the overrides.
    fn described(&self, path: &Path, overrides: &ImportOverrides) -> Result<StyleFile, LibraryError> {
        let wrong = |source| LibraryError::File { path: path.to_owned(), source };
        match StyleFile::open(path) {
            Ok(file) => {
                let mut styles = file.styles().to_vec();
                if styles.len() > 1 && (overrides.id.is_some() || overrides.name.is_some()) {
                    return Err(LibraryError::Several { path: path.to_owned(), count: styles.len() });
                }
                styles.iter_mut().for_each(|style| overrides.apply(style));
                file.with_styles(styles).map_err(wrong)
            }
            Err(StyleFileError::NotAStyle) => {
                let bytes = read_capped(path).map_err(wrong)?;
                let weights = Weights::read(&bytes).map_err(wrong)?;
                let missing = overrides.missing(weights.is_foreign());
                if !missing.is_empty() {
                    return Err(LibraryError::Undescribed { path: path.to_owned(), missing });
                }
                let mut style = StyleMeta {
                    id: String::new(),
                    name: String::new(),
                    author: String::new(),
                    licence: String::new(),
                    attribution: String::new(),
                    training: String::new(),
                    source: String::new(),
                };
                overrides.apply(&mut style);
                StyleFile::from_weights(weights, style).map_err(wrong)
            }
            Err(error) => Err(wrong(error)),
        }
    }

    /// Writes a style's file to `out`.
    pub fn export(&self, id: &str, out: &Path) -> Result<(), LibraryError> {
        let (_, file) = self.volume(id).ok_or_else(|| self.unknown(id))?;
        file.save(out).map_err(|source| LibraryError::File { path: out.to_owned(), source })
    }

    /// Writes a style to `out` as ONNX.
    pub fn export_onnx(&self, id: &str, out: &Path) -> Result<(), LibraryError> {
        let (_, file) = self.volume(id).ok_or_else(|| self.unknown(id))?;
        file.save_onnx(id, out).map_err(|source| LibraryError::File { path: out.to_owned(), source })
    }

    /// Deletes the user's file that a style is in, and with it the other styles in that file.
    pub fn remove(&self, id: &str) -> Result<(), LibraryError> {
        let (path, _) = self.volume(id).ok_or_else(|| self.unknown(id))?;
        let path = path.ok_or_else(|| LibraryError::BuiltIn(id.to_owned()))?;
        std::fs::remove_file(&path).map_err(|source| LibraryError::Io { path, source })
    }
}

fn mark(bytes: &[u8]) -> String {
    // Not the same in every release of Rust, but then the program is another, too.
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    format!("{} {}#{:016x}", env!("CARGO_PKG_VERSION"), bytes.len(), hasher.finish())
}

/// A built-in style by its id.
fn built_in(id: &str) -> Option<&'static (&'static [u8], &'static str)> {
    let holds = |file: &StyleFile| file.styles().iter().any(|style| style.id == id);
    BUILT_IN.iter().zip(&*BUILT_IN_FILES).find(|(_, file)| holds(file)).map(|(built_in, _)| built_in)
}

fn entry(path: Option<&PathBuf>, file: &StyleFile, style: &StyleMeta) -> StyleEntry {
    let StyleMeta { id, name, author, licence, attribution, training, source } = style.clone();
    let (built_in, reach_px) = (path.is_none(), file.reach_px());
    StyleEntry {
        info: StyleInfo { id, name, author, licence, attribution, built_in, reach_px },
        file: path.cloned(),
        training,
        source,
        arch: file.arch().to_owned(),
    }
}

impl ImportOverrides {
    /// What must be said of weights that don't describe themselves, and was not.
    fn missing(&self, is_foreign: bool) -> Vec<&'static str> {
        let needed = [
            ("id", &self.id, true),
            ("name", &self.name, true),
            ("licence", &self.licence, true),
            ("source", &self.source, is_foreign),
        ];
        let missing = needed.iter().filter(|(_, given, is_needed)| {
            *is_needed && given.as_deref().is_none_or(|text| text.trim().is_empty())
        });
        missing.map(|(part, ..)| *part).collect()
    }

    fn apply(&self, style: &mut StyleMeta) {
        let fields = [
            (&self.source, &mut style.source),
            (&self.id, &mut style.id),
            (&self.name, &mut style.name),
            (&self.author, &mut style.author),
            (&self.licence, &mut style.licence),
            (&self.attribution, &mut style.attribution),
        ];
        for (given, field) in fields {
            if let Some(given) = given {
                field.clone_from(given);
            }
        }
    }
}

#[cfg(test)]
mod tests;
