//! Abstractions that were computed before, on the disk.
//!
//! A file's name is a hash of the photo's content, of what made it (the settings, or a style's weights) and the
//! version of the method; it is a PNG that can be looked at. Files appear as a whole. One that is broken, or of
//! another size, is computed again. What wasn't used for the longest time goes first when they become too many.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufReader, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rayon::prelude::*;

use super::{Settings, abstraction};
use crate::data::{Picture, Progress};

/// Grows whenever the same settings give another picture.
const METHOD_VERSION: u32 = 1;
/// Temporary files of this age are nobody's any more.
const ABANDONED: Duration = Duration::from_secs(3600);
const TEMPORARY: &str = ".abstraction-";

/// A folder of abstractions.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
    max_bytes: u64,
}

/// The abstractions of photos.
#[derive(Debug, Default)]
pub struct Prepared {
    /// In the photos' order.
    pub pictures: Vec<Picture>,
    /// So many of them were there already.
    pub cached: usize,
    /// Why some could not be kept for the next time, if so: the disk is full, the folder can't be written.
    pub trouble: Option<String>,
}

/// Why photos aren't prepared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unprepared {
    /// The caller gave it up.
    #[error("preparing the photos was cancelled")]
    Cancelled,
    /// One could not be drawn.
    #[error("a photo can't be drawn: {0}")]
    Undrawn(String),
}

impl Cache {
    /// A cache in a folder of its own, which is made when it is needed. It keeps at most `max_bytes` of files.
    pub fn new(folder: PathBuf, max_bytes: u64) -> Self {
        Self { folder, max_bytes }
    }

    /// The abstractions of photos, on all threads of the current pool, a photo each.
    pub fn prepare(
        &self,
        photos: &[Picture],
        settings: &Settings,
        progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Prepared, Unprepared> {
        let numbers = serde_json::to_string(settings).expect("numbers can be written");
        self.prepare_by(photos, &numbers, &|photo| Ok(abstraction(photo, settings)), progress)
    }

    /// The same of what something else draws, which `key` tells from all others: what is drawn is a function of it and
    /// the photo.
    ///
    /// # Errors
    /// If the caller gives it up, or a photo can't be drawn.
    pub fn prepare_by(
        &self,
        photos: &[Picture],
        key: &str,
        draw: &(dyn Fn(&Picture) -> Result<Picture, String> + Sync),
        mut progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Prepared, Unprepared> {
        let mut prepared = Prepared::default();
        for some in photos.chunks(rayon::current_num_threads()) {
            if progress(Progress { done: prepared.pictures.len(), of: photos.len() }).is_break() {
                return Err(Unprepared::Cancelled);
            }
            let pictures: Vec<_> = some.par_iter().map(|photo| self.get(photo, key, draw)).collect();
            for got in pictures {
                let (picture, source) = got.map_err(Unprepared::Undrawn)?;
                prepared.pictures.push(picture);
                match source {
                    Source::Cached => prepared.cached += 1,
                    Source::Computed(Err(error)) if prepared.trouble.is_none() => {
                        prepared.trouble = Some(format!("{}: {error}", self.folder.display()));
                    }
                    Source::Computed(_) => {}
                }
            }
        }
        if let Err(error) = self.trim() {
            prepared.trouble.get_or_insert(format!("{}: {error}", self.folder.display()));
        }
        Ok(prepared)
    }

    fn get(
        &self,
        photo: &Picture,
        key: &str,
        draw: &(dyn Fn(&Picture) -> Result<Picture, String> + Sync),
    ) -> Result<(Picture, Source), String> {
        let path = self.path(photo, key);
        if let Some(picture) = read(&path, photo.width, photo.height) {
            return Ok((picture, Source::Cached));
        }
        let picture = draw(photo)?;
        let written = self.write(&path, &picture);
        Ok((picture, Source::Computed(written)))
    }

    fn path(&self, photo: &Picture, key: &str) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        (METHOD_VERSION, key, photo).hash(&mut hasher);
        self.folder.join(format!("{:016x}.png", hasher.finish()))
    }

    fn write(&self, path: &Path, picture: &Picture) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let file = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(&self.folder)?;
        let mut out = BufWriter::new(file.as_file());
        let mut encoder = png::Encoder::new(&mut out, picture.width, picture.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_compression(png::Compression::Fast);
        let mut writer = encoder.write_header().map_err(io::Error::other)?;
        writer.write_image_data(&picture.rgb).map_err(io::Error::other)?;
        writer.finish().map_err(io::Error::other)?;
        out.flush()?;
        drop(out);
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    /// Removes what was not used for the longest time, until the rest is small enough.
    fn trim(&self) -> io::Result<()> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        let mut kept = Vec::new();
        for entry in entries {
            let path = entry?.path();
            // Another daemon's may have gone in the meantime.
            let Ok((bytes, used)) = fs::metadata(&path).and_then(|m| Ok((m.len(), m.modified()?))) else {
                continue;
            };
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(TEMPORARY) {
                let age = SystemTime::now().duration_since(used).unwrap_or_default();
                if age > ABANDONED {
                    fs::remove_file(&path)?;
                }
            } else if is_ours(&name) {
                kept.push((used, bytes, path));
            }
        }
        kept.sort();
        let mut total: u64 = kept.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, bytes, path) in kept {
            if total <= self.max_bytes {
                break;
            }
            fs::remove_file(path)?;
            total -= bytes;
        }
        Ok(())
    }
}

/// Where an abstraction came from.
enum Source {
    Cached,
    /// And kept for the next time, or not.
    Computed(io::Result<()>),
}

fn is_ours(name: &str) -> bool {
    name.strip_suffix(".png")
        .is_some_and(|hash| hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// A picture of this size, if it is there and whole.
fn read(path: &Path, width: u32, height: u32) -> Option<Picture> {
    let file = File::open(path).ok()?;
    // For `trim`: it was used now. If that can't be written, it may go early.
    let _ = file.set_modified(SystemTime::now());
    let mut reader = png::Decoder::new(BufReader::new(file)).read_info().ok()?;
    let info = reader.info();
    let is_as_expected = (info.width, info.height) == (width, height)
        && (info.color_type, info.bit_depth) == (png::ColorType::Rgb, png::BitDepth::Eight);
    if !is_as_expected {
        return None;
    }
    let mut rgb = vec![0; width as usize * height as usize * 3];
    reader.next_frame(&mut rgb).ok()?;
    reader.finish().ok()?;
    Some(Picture { width, height, rgb })
}
