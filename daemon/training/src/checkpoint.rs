//! All of a training's state in one file, to go on from.
//!
//! # Format, version 1
//! A safetensors file of at most [`MAX_FILE_BYTES`], whose `__metadata__` has:
//!
//! | key | value |
//! |---|---|
//! | `format` | `utsushi-checkpoint` |
//! | `format_version` | `1` |
//! | `recipe` | the [`Recipe`], TOML |
//! | `now`, `good` | where the training is, and the last state in which all was well: stage, steps, rates; JSON |
//! | `crc32` | the checksum of all the rest ([`utsushi_engine::checksum`]), eight hexadecimal digits; files of 0.1.0 may lack it |
//!
//! and whose tensors, `F32` and `F64`, all finite, are `now.NAME` and `good.NAME`: weights and moments of the
//! generator and of each discriminator, the generator's moving average, what was measured of the art, and what
//! the trainer remembers of the steps before. All randomness is a function of the seed and the step, which are in
//! it, too.
//!
//! A file is written under another name first, so that what stood there stays until all is on disk. It is read
//! as if it came from a stranger: every size is checked before memory is taken by it, and whether it fits its
//! recipe before a step is taken. The checksum is there for disks that return other bits than they were given.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use utsushi_engine::{checksum, write_whole};

use crate::optimiser::Tensors;
use crate::recipe::{Recipe, RecipeError};
use crate::trainer::Snapshot;

/// The largest file that is read.
pub const MAX_FILE_BYTES: u64 = 1 << 30;
/// The longest `__metadata__`, and all that describes tensors.
const MAX_HEADER_BYTES: u64 = 4 << 20;
const FORMAT: &str = "utsushi-checkpoint";
const FORMAT_VERSION: &str = "1";

/// A training at one moment.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// What it follows.
    pub recipe: Recipe,
    pub(crate) now: Snapshot,
    pub(crate) good: Snapshot,
}

/// Why there is no checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Reading or writing failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Too large to be one.
    #[error("it is larger than a checkpoint, which has at most {MAX_FILE_BYTES} bytes")]
    TooLarge,
    /// Not one, or a broken one.
    #[error("it is no checkpoint, or a damaged one ({0})")]
    Damaged(String),
    /// From a newer program.
    #[error("it has format version {0}, which this version of Utsushi can't read: get a newer one")]
    Version(String),
    /// Its recipe can't be followed.
    #[error("its recipe can't be followed: {0}")]
    Recipe(#[from] RecipeError),
}

fn damaged(why: impl ToString) -> CheckpointError {
    CheckpointError::Damaged(why.to_string())
}

impl Checkpoint {
    /// Writes a file in place of what stood there.
    ///
    /// # Errors
    /// If the disk is full or can't be written; what stood there then still does.
    pub fn write(&self, path: &Path) -> Result<(), CheckpointError> {
        write_whole(path, &self.to_bytes()?)
            .map_err(|source| CheckpointError::Io { path: path.to_owned(), source })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// If it can't be read or is no checkpoint.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        let io = |source| CheckpointError::Io { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        File::open(path).map_err(io)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
        Self::parse(&bytes)
    }

    /// Reads a file's bytes.
    ///
    /// # Errors
    /// If they are no checkpoint.
    pub fn parse(bytes: &[u8]) -> Result<Self, CheckpointError> {
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(CheckpointError::TooLarge);
        }
        if let Some(header) = bytes.first_chunk().map(|n| u64::from_le_bytes(*n))
            && header > MAX_HEADER_BYTES
        {
            return Err(damaged(format!("a header of {header} bytes")));
        }
        let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
        let metadata = metadata.metadata().clone().unwrap_or_default();
        let get = |key: &str| {
            metadata.get(key).map(String::as_str).ok_or_else(|| damaged(format!("it has no {key}")))
        };
        if get("format")? != FORMAT {
            return Err(damaged("it is something else"));
        }
        match get("format_version")? {
            FORMAT_VERSION => {}
            other => return Err(CheckpointError::Version(other.chars().take(20).collect())),
        }
        checksum::check(&metadata, &file).map_err(damaged)?;
        let snapshot = |name: &str| -> Result<Snapshot, CheckpointError> {
            let mut snapshot: Snapshot = serde_json::from_str(get(name)?).map_err(damaged)?;
            snapshot.tensors = tensors(&file, name)?;
            Ok(snapshot)
        };
        Ok(Self { recipe: Recipe::parse(get("recipe")?)?, now: snapshot("now")?, good: snapshot("good")? })
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// If a tensor is neither `f32` nor `f64`.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CheckpointError> {
        let mut tensors = Vec::new();
        for (prefix, snapshot) in [("now", &self.now), ("good", &self.good)] {
            for (name, tensor) in &snapshot.tensors {
                let (dtype, bytes) = bytes_of(tensor).map_err(damaged)?;
                tensors.push((format!("{prefix}.{name}"), dtype, tensor.dims().to_vec(), bytes));
            }
        }
        let views = tensors
            .iter()
            .map(|(name, dtype, shape, bytes)| Ok((name, TensorView::new(*dtype, shape.clone(), bytes)?)))
            .collect::<Result<Vec<(&String, TensorView)>, safetensors::SafeTensorError>>()
            .map_err(damaged)?;
        let json = |snapshot| serde_json::to_string(snapshot).map_err(damaged);
        let mut metadata = HashMap::from([
            ("format".to_owned(), FORMAT.to_owned()),
            ("format_version".to_owned(), FORMAT_VERSION.to_owned()),
            ("recipe".to_owned(), self.recipe.to_toml()?),
            ("now".to_owned(), json(&self.now)?),
            ("good".to_owned(), json(&self.good)?),
        ]);
        checksum::add(&mut metadata, views.iter().map(|(name, view)| (name.as_str(), view.clone())));
        safetensors::serialize(views, Some(metadata)).map_err(damaged)
    }
}

fn bytes_of(tensor: &Tensor) -> candle_core::Result<(Dtype, Vec<u8>)> {
    let flat = tensor.flatten_all()?;
    match tensor.dtype() {
        candle_core::DType::F64 => {
            Ok((Dtype::F64, flat.to_vec1::<f64>()?.iter().flat_map(|v| v.to_le_bytes()).collect()))
        }
        _ => Ok((Dtype::F32, flat.to_vec1::<f32>()?.iter().flat_map(|v| v.to_le_bytes()).collect())),
    }
}

/// Those of `PREFIX.NAME`, by their names.
fn tensors(file: &SafeTensors, prefix: &str) -> Result<Tensors, CheckpointError> {
    let mut tensors = Tensors::new();
    for (name, view) in file.tensors() {
        let Some(short) = name.strip_prefix(prefix).and_then(|name| name.strip_prefix('.')) else { continue };
        let (shape, bytes) = (view.shape(), view.data());
        let tensor = match view.dtype() {
            Dtype::F32 => {
                let values: Vec<f32> = bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
                let is_sound = values.iter().all(|v| v.is_finite());
                is_sound.then(|| Tensor::from_vec(values, shape, &Device::Cpu))
            }
            Dtype::F64 => {
                let values: Vec<f64> = bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect();
                let is_sound = values.iter().all(|v| v.is_finite());
                is_sound.then(|| Tensor::from_vec(values, shape, &Device::Cpu))
            }
            other => return Err(damaged(format!("{name} is made of {other:?}"))),
        };
        let tensor = tensor.ok_or_else(|| damaged(format!("{name} has values that are no numbers")))?;
        tensors.insert(short.to_owned(), tensor.map_err(damaged)?);
    }
    Ok(tensors)
}
