//! Style files: one `.safetensors` file that holds a network and the styles it can draw.
//!
//! # Format, version 1
//! A safetensors file (<https://github.com/huggingface/safetensors>) of at most [`MAX_FILE_BYTES`], whose
//! `__metadata__` has:
//!
//! | key | value |
//! |---|---|
//! | `format` | `utsushi-style` |
//! | `format_version` | `1` |
//! | `arch` | the network: `brush-1`, `brush-2`, these with `-pruned` behind them, `animegan2-1` |
//! | `sizes` | the network's sizes, JSON: `{"c1":48,"c2":96,"blocks":[3,6,3],"ch":24,"cf":12}`; `{"widths":[32,64,128,256]}` |
//! | `styles` | an array of [`StyleMeta`], JSON; 1 to [`MAX_STYLES`] |
//! | `crc32` | the checksum of all the rest ([`crate::checksum`]); files of 0.1.0 may lack it |
//!
//! and whose tensors are the network's weights under the names in its module ([`crate::arch::brush`],
//! [`crate::arch::animegan2`]), `F16` (what this program writes), `BF16` or `F32`, without NaN or infinity. In a
//! brush, a norm's scale `g` and shift `b` are `[styles, channels]`, in the order of `styles`. A style may have a
//! thumbnail, the tensor `thumbnail.ID`, `U8` `[height, width, 3]`, at most [`MAX_THUMBNAIL_PX`] a side. Other
//! tensors are refused.
//!
//! What enlarges is no style: `format` is `utsushi-enlarger` there, `arch` `enlarger-1` ([`crate::arch::enlarger`]),
//! `sizes` `{"c":32,"blocks":8,"cf":12}`, and `styles` describes the one network.
//!
//! Weights without a description can be read too, and are given one ([`crate::weights`]).
//!
//! Files come from strangers: every size is checked before anything is allocated by it, and every field before
//! a [`StyleFile`] exists.

mod tensors;

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::{Deserialize, Serialize};

use crate::Generator;
use crate::arch::Arch;
use crate::arch::brush::Sizes;
use crate::checksum;
use crate::device;
use crate::in_order::in_order;
use crate::pth;
use crate::weights::Weights;
use crate::{write_new, write_whole};

use self::tensors::thumbnail;
pub(crate) use self::tensors::{safetensors, tensor, weight};

/// The largest file that is read.
pub const MAX_FILE_BYTES: u64 = 64 << 20;
/// The most styles in a file.
pub const MAX_STYLES: usize = 64;
/// The longest side of a thumbnail.
pub const MAX_THUMBNAIL_PX: usize = 512;
const MAX_ID_CHARS: usize = 64;
const MAX_NAME_CHARS: usize = 120;
const MAX_TEXT_CHARS: usize = 4000;
const FORMAT: &str = "utsushi-style";
const ENLARGER_FORMAT: &str = "utsushi-enlarger";
const FORMAT_VERSION: &str = "1";

/// What a style is called and whom it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StyleMeta {
    /// 1 to 64 lower-case letters, digits and hyphens, the first no hyphen.
    pub id: String,
    /// For people.
    pub name: String,
    /// Who trained it.
    #[serde(default)]
    pub author: String,
    /// An SPDX expression, or `private`.
    pub licence: String,
    /// Whom to credit for what it was trained on.
    #[serde(default)]
    pub attribution: String,
    /// How it was trained, in words.
    #[serde(default)]
    pub training: String,
    /// Where it was had from, an address or words; of imported weights.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
}

/// Is it a style's id?
pub fn is_style_id(id: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=MAX_ID_CHARS).contains(&id.len()) && id.chars().all(plain) && !id.starts_with('-')
}

/// Why a style file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StyleFileError {
    /// Reading or writing failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Too large to be one.
    #[error("it has {bytes} bytes, and a style file has at most {MAX_FILE_BYTES}")]
    TooLarge {
        /// The file's size.
        bytes: u64,
    },
    /// Not a safetensors file, or a broken one.
    #[error("it is no style file, or a damaged one ({0})")]
    NotSafetensors(String),
    /// A PyTorch file that holds no weights, or hides something else.
    #[error("its weights can't be read: {0}")]
    NotWeights(String),
    /// Weights, and not of a network that is known.
    #[error(
        "it holds the weights of a network that Utsushi doesn't know: it knows AnimeGANv2's generator, under the names of its PyTorch port"
    )]
    UnknownWeights,
    /// Not one of ours.
    #[error("it holds weights, but it does not say that it is an Utsushi style")]
    NotAStyle,
    /// From a newer program.
    #[error("it has format version {0}, which this version of Utsushi can't read: get a newer one")]
    Version(String),
    /// A network that this program doesn't know.
    #[error("it holds a network of the kind {0:?}, which this version of Utsushi can't run: get a newer one")]
    Arch(String),
    /// A network that can't be written as ONNX.
    #[error("a network of the kind {0:?} can't be written as ONNX")]
    NoOnnx(&'static str),
    /// A field that can't be right.
    #[error("its {field} can't be right: {why}")]
    Field {
        /// The field or the tensor.
        field: String,
        /// What is wrong with it.
        why: String,
    },
}

pub(crate) fn field(field: impl Into<String>, why: impl std::fmt::Display) -> StyleFileError {
    StyleFileError::Field { field: field.into(), why: why.to_string() }
}

/// A network and its styles, checked.
#[derive(Debug, Clone)]
pub struct StyleFile {
    arch: Arch,
    styles: Vec<StyleMeta>,
    /// `f32`; norms `[styles, channels]`.
    weights: HashMap<String, Tensor>,
    /// A style's id to its thumbnail.
    thumbnails: HashMap<String, Thumbnail>,
}

/// A small picture, RGB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thumbnail {
    /// In pixels.
    pub width: usize,
    /// In pixels.
    pub height: usize,
    /// `height * width * 3` bytes.
    pub rgb: Vec<u8>,
}

impl StyleFile {
    /// Reads a file.
    pub fn open(path: &Path) -> Result<Self, StyleFileError> {
        Self::parse(&read_capped(path)?)
    }

    /// Reads a file's bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, StyleFileError> {
        Self::parse_as(FORMAT, bytes)
    }

    /// Reads the bytes of a file that holds what enlarges.
    pub fn parse_enlarger(bytes: &[u8]) -> Result<Self, StyleFileError> {
        Self::parse_as(ENLARGER_FORMAT, bytes)
    }

    fn parse_as(format: &str, bytes: &[u8]) -> Result<Self, StyleFileError> {
        if pth::is_pth(bytes) {
            return Err(StyleFileError::NotAStyle);
        }
        let (file, metadata) = safetensors(bytes)?;
        let get = |key: &str| metadata.get(key).map(String::as_str);
        if get("format") != Some(format) {
            return Err(StyleFileError::NotAStyle);
        }
        match get("format_version") {
            Some(FORMAT_VERSION) => {}
            other => return Err(StyleFileError::Version(other.unwrap_or("none").to_owned())),
        }
        checksum::check(&metadata, &file).map_err(StyleFileError::NotSafetensors)?;
        let name = check_arch(get("arch"))?;
        let arch = Arch::parse(name, get("sizes").unwrap_or_default()).map_err(|why| field("sizes", why))?;
        if format != format_of(&arch) {
            return Err(field("arch", format!("it is {name} in a file of the format {format}")));
        }
        let styles: Vec<StyleMeta> =
            serde_json::from_str(get("styles").unwrap_or_default()).map_err(|e| field("styles", e))?;
        let (mut weights, mut thumbnails) = (HashMap::new(), HashMap::new());
        for (name, view) in file.tensors() {
            match name.strip_prefix("thumbnail.") {
                Some(id) => {
                    if !styles.iter().any(|style| style.id == id) {
                        return Err(field(name, "no style has that id"));
                    }
                    thumbnails.insert(id.to_owned(), thumbnail(&name, &view)?);
                }
                None => {
                    let tensor = weight(Some(&arch), &name, &view)?;
                    weights.insert(name, tensor);
                }
            }
        }
        Self { arch, styles, weights, thumbnails }.checked()
    }

    /// Makes weights a style.
    pub fn from_weights(weights: Weights, style: StyleMeta) -> Result<Self, StyleFileError> {
        let Weights { arch, tensors, .. } = weights;
        Self { arch, styles: vec![style], weights: tensors, thumbnails: HashMap::new() }.checked()
    }

    fn checked(self) -> Result<Self, StyleFileError> {
        let Self { arch, styles, weights, .. } = &self;
        if !(1..=MAX_STYLES).contains(&styles.len()) || !arch.can_hold(styles.len()) {
            return Err(field("styles", format!("there are {}", styles.len())));
        }
        for (i, style) in styles.iter().enumerate() {
            check_meta(style)?;
            if styles[..i].iter().any(|other| other.id == style.id) {
                return Err(field("styles", format!("two have the id {}", style.id)));
            }
        }
        arch.check(weights, styles.len()).map_err(|why| field("weights", why))?;
        Ok(self)
    }

    /// The file's bytes, weights as `f16`.
    pub fn to_bytes(&self) -> Result<Vec<u8>, StyleFileError> {
        let mut tensors = Vec::new();
        for (name, tensor) in &self.weights {
            let values: Vec<f32> =
                tensor.flatten_all().and_then(|t| t.to_vec1()).map_err(|e| field(name.clone(), e))?;
            let bytes: Vec<u8> = values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect();
            tensors.push((name.clone(), Dtype::F16, tensor.dims().to_vec(), bytes));
        }
        for (id, picture) in &self.thumbnails {
            let shape = vec![picture.height, picture.width, 3];
            tensors.push((format!("thumbnail.{id}"), Dtype::U8, shape, picture.rgb.clone()));
        }
        let views = tensors
            .iter()
            .map(|(name, dtype, shape, bytes)| Ok((name, TensorView::new(*dtype, shape.clone(), bytes)?)))
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(|e| field("weights", e))?;
        let json = |value: serde_json::Result<String>| value.map_err(|e| field("metadata", e));
        let mut metadata = HashMap::from([
            ("format".to_owned(), format_of(&self.arch).to_owned()),
            ("format_version".to_owned(), FORMAT_VERSION.to_owned()),
            ("arch".to_owned(), self.arch.name().to_owned()),
            ("sizes".to_owned(), json(self.arch.sizes())?),
            ("styles".to_owned(), json(serde_json::to_string(&self.styles))?),
        ]);
        checksum::add(&mut metadata, views.iter().map(|(name, view)| (name.as_str(), view.clone())));
        let bytes = safetensors::serialize(views, Some(metadata)).map_err(|e| field("weights", e))?;
        in_order(&bytes).map_err(|e| field("metadata", e))
    }

    /// Writes the file: under another name first, so that whatever stood there stays until all is on disk.
    pub fn save(&self, path: &Path) -> Result<(), StyleFileError> {
        let bytes = self.to_bytes()?;
        write_whole(path, &bytes).map_err(|source| StyleFileError::Io { path: path.to_owned(), source })
    }

    /// Writes the file where none is, as [`Self::save`]; also if another process does so at the same time.
    ///
    /// # Errors
    /// If there is a file, [`std::io::ErrorKind::AlreadyExists`].
    pub fn save_new(&self, path: &Path) -> Result<(), StyleFileError> {
        let bytes = self.to_bytes()?;
        write_new(path, &bytes).map_err(|source| StyleFileError::Io { path: path.to_owned(), source })
    }

    /// Writes one of the styles as an ONNX file, from RGB to RGB, 0..1, `[n, 3, height, width]` of any size; as
    /// [`Self::save`].
    ///
    /// # Panics
    /// If the file has no such style.
    pub fn save_onnx(&self, id: &str, path: &Path) -> Result<(), StyleFileError> {
        let style = self.styles.iter().find(|style| style.id == id).expect("a style of this file");
        let shares: Vec<_> = self.styles.iter().map(|style| f32::from(style.id == id)).collect();
        let notes = [
            ("name", &style.name[..]),
            ("author", &style.author),
            ("licence", &style.licence),
            ("attribution", &style.attribution),
        ];
        let weights = VarBuilder::from_tensors(self.weights.clone(), DType::F32, &Device::Cpu);
        let bytes = self.arch.to_onnx(&shares, &weights, &notes);
        let bytes = bytes.ok_or(StyleFileError::NoOnnx(self.arch()))?.map_err(|e| field("weights", e))?;
        write_whole(path, &bytes).map_err(|source| StyleFileError::Io { path: path.to_owned(), source })
    }

    /// Do both hold the same, to the last bit?
    pub fn is_same(&self, other: &Self) -> bool {
        let values = |tensor: &Tensor| tensor.flatten_all().and_then(|all| all.to_vec1::<f32>()).ok();
        let is_in_other = |(name, weight): (&String, &Tensor)| {
            let same = other.weights.get(name).filter(|same| same.dims() == weight.dims());
            same.is_some_and(|same| values(same) == values(weight))
        };
        (self.arch, &self.styles, &self.thumbnails, self.weights.len())
            == (other.arch, &other.styles, &other.thumbnails, other.weights.len())
            && self.weights.iter().all(is_in_other)
    }

    /// The styles, in the order of the shares.
    pub fn styles(&self) -> &[StyleMeta] {
        &self.styles
    }

    /// The same network and thumbnails, the styles described otherwise.
    pub fn with_styles(mut self, styles: Vec<StyleMeta>) -> Result<Self, StyleFileError> {
        if styles.len() != self.styles.len() {
            return Err(field(
                "styles",
                format!("{}, where the network has {}", styles.len(), self.styles.len()),
            ));
        }
        styles.iter().try_for_each(check_meta)?;
        let mut thumbnails = HashMap::new();
        for (old, new) in self.styles.iter().zip(&styles) {
            thumbnails.extend(self.thumbnails.remove(&old.id).map(|picture| (new.id.clone(), picture)));
        }
        Ok(Self { styles, thumbnails, ..self })
    }

    /// A style's small picture.
    pub fn thumbnail(&self, id: &str) -> Option<&Thumbnail> {
        self.thumbnails.get(id)
    }

    /// Gives a style a small picture.
    pub fn set_thumbnail(&mut self, id: &str, picture: Thumbnail) {
        self.thumbnails.insert(id.to_owned(), picture);
    }

    /// A style's network, to be trained further: its sizes and its weights, `f32`, under their names in this file; those
    /// of brush-1 lack the noise's. `None` where the file has no such style, or a network that isn't trained here.
    pub fn trainable(&self, id: &str) -> Option<(Sizes, HashMap<String, Tensor>)> {
        let Arch::Brush(_, sizes) = self.arch else { return None };
        let style = self.styles.iter().position(|style| style.id == id)?;
        let of_style = |weight: &Tensor| match is_of_styles(weight) {
            true => weight.narrow(0, style, 1).and_then(|row| row.contiguous()),
            false => Ok(weight.clone()),
        };
        let weights = self.weights.iter().map(|(name, weight)| Ok((name.clone(), of_style(weight)?)));
        Some((sizes, weights.collect::<candle_core::Result<_>>().ok()?))
    }

    /// The same styles, drawn by another network.
    pub(crate) fn with_network(
        &self,
        arch: Arch,
        weights: HashMap<String, Tensor>,
    ) -> Result<Self, StyleFileError> {
        let Self { styles, thumbnails, .. } = self.clone();
        Self { arch, styles, weights, thumbnails }.checked()
    }

    /// The network's kind and its weights.
    pub(crate) fn network(&self) -> (Arch, &HashMap<String, Tensor>) {
        (self.arch, &self.weights)
    }

    /// The network's kind.
    pub fn arch(&self) -> &'static str {
        self.arch.name()
    }

    /// How far beyond a pixel the network looks, in pixels.
    pub fn reach_px(&self) -> u32 {
        self.arch.reach_px()
    }

    /// The network, drawing the mix of its styles that the shares say.
    ///
    /// # Errors
    /// If a weight is missing or has another shape than the network's.
    ///
    /// # Panics
    /// If there are not as many shares as styles.
    pub fn generator(&self, shares: &[f32]) -> candle_core::Result<Arc<dyn Generator>> {
        self.generator_on(&device::Device::cpu(), shares)
    }

    /// The same on this device, or on the processor if the device can't draw it.
    ///
    /// # Errors
    /// If a weight is missing or has another shape than the network's.
    ///
    /// # Panics
    /// If there are not as many shares as styles.
    pub fn generator_on(
        &self,
        device: &device::Device,
        shares: &[f32],
    ) -> candle_core::Result<Arc<dyn Generator>> {
        assert_eq!(shares.len(), self.styles.len());
        let weights = VarBuilder::from_tensors(self.weights.clone(), DType::F32, &Device::Cpu);
        self.arch.load(shares, &weights, device)
    }
}

/// The format of files that hold such a network.
fn format_of(arch: &Arch) -> &'static str {
    match arch {
        Arch::Enlarger(_) => ENLARGER_FORMAT,
        Arch::Brush(..) | Arch::PrunedBrush(..) | Arch::AnimeGan2(_) => FORMAT,
    }
}

/// A norm's scale or shift has a row for each style; no other weight has two dimensions.
fn is_of_styles(weight: &Tensor) -> bool {
    weight.rank() == 2
}

/// A file's bytes, which are not too many for a style file.
pub fn read_capped(path: &Path) -> Result<Vec<u8>, StyleFileError> {
    let io = |source| StyleFileError::Io { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(io)?;
    let mut bytes = Vec::new();
    // Not by the size that the file system tells, which a pipe doesn't have.
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(StyleFileError::TooLarge { bytes: bytes.len() as u64 });
    }
    Ok(bytes)
}

/// A network's name, if it is that of one that is known.
pub(crate) fn check_arch(name: Option<&str>) -> Result<&str, StyleFileError> {
    match name {
        Some(name) if Arch::is_known(name) => Ok(name),
        Some(other) => Err(StyleFileError::Arch(other.chars().take(MAX_ID_CHARS).collect())),
        None => Err(StyleFileError::NotAStyle),
    }
}

fn check_meta(style: &StyleMeta) -> Result<(), StyleFileError> {
    if !is_style_id(&style.id) {
        let shown: String = style.id.chars().take(MAX_ID_CHARS).collect();
        return Err(field("id", format!("{shown:?} is not made of lower-case letters, digits and hyphens")));
    }
    let texts = [
        ("name", &style.name, 1, MAX_NAME_CHARS),
        ("author", &style.author, 0, MAX_NAME_CHARS),
        ("licence", &style.licence, 1, MAX_NAME_CHARS),
        ("attribution", &style.attribution, 0, MAX_TEXT_CHARS),
        ("training", &style.training, 0, MAX_TEXT_CHARS),
        ("source", &style.source, 0, MAX_TEXT_CHARS),
    ];
    for (name, text, least, most) in texts {
        let chars = text.chars().count();
        if !(least..=most).contains(&chars) {
            return Err(field(name, format!("it has {chars} characters, not {least} to {most}")));
        }
        // Terminals would obey them.
        if text.chars().any(char::is_control) {
            return Err(field(name, "it has control characters"));
        }
    }
    Ok(())
}
