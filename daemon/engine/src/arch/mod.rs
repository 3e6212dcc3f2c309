//! The networks: one a file.

pub mod animegan2;
pub mod brush;
pub mod enlarger;
mod staged;

use std::collections::HashMap;
use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::VarBuilder;

use crate::device::Device as Placement;

/// What is drawn: a picture, or a part of one. In pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// Its columns.
    pub width: usize,
    /// Its rows.
    pub height: usize,
    /// Where its first pixel lies in the picture: the column.
    pub x: usize,
    /// And the row.
    pub y: usize,
}

impl Region {
    /// A picture that is no part of another.
    pub fn whole(height: usize, width: usize) -> Self {
        Self { width, height, x: 0, y: 0 }
    }
}

/// The noise that a network draws strokes of, where it is one that does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grain {
    /// Another seed, other strokes.
    pub seed: u64,
    /// From 0, none, to 1, as trained.
    pub strength: f32,
}

impl Default for Grain {
    fn default() -> Self {
        Self { seed: 0, strength: 1.0 }
    }
}

/// A network with a style, or a mix of styles, settled: it re-draws rows of pictures.
pub trait Generator: Send + Sync {
    /// Begins a picture, or a part of one: away from its sides, and farther than [`Self::reach_px`], a part is drawn
    /// as in the whole, bit for bit.
    fn stream(&self, region: Region, grain: Grain) -> Box<dyn RowStream>;

    /// How far beyond a pixel it looks, in pixels.
    fn reach_px(&self) -> u32;

    /// How many times longer the sides of what it draws are than those of what it is shown.
    fn factor(&self) -> usize {
        1
    }

    /// Does it have to see a whole picture before it draws any of it? Then all rows come twice: first to
    /// [`RowStream::look`], and then to [`RowStream::push`].
    fn looks_first(&self) -> bool {
        false
    }

    /// About how much memory a picture of this size takes at most, in bytes.
    fn memory_bytes(&self, height: usize, width: usize) -> u64;
}

/// A picture on its way through a network.
pub trait RowStream: Send {
    /// Sees the next rows, as [`Self::push`] will get them, of a picture that it [looks at
    /// first](Generator::looks_first).
    fn look(&mut self, _rows: &[f32]) -> Result<()> {
        Ok(())
    }

    /// Takes the next rows, `[rows, width, 3]`, RGB in -1..1; appends those that are finished now, in the same
    /// form, [so many times](Generator::factor) as long. When the picture's last row was taken, all are.
    fn push(&mut self, rows: &[f32], out: &mut Vec<f32>) -> Result<()>;
}

/// The networks that style files may hold, with the sizes of theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arch {
    /// See [`brush`].
    Brush(brush::Version, brush::Sizes),
    /// The same with fewer channels inside its blocks. Programs that don't know such networks must not take it for
    /// the other.
    PrunedBrush(brush::Version, brush::Sizes),
    /// See [`animegan2`].
    AnimeGan2(animegan2::Sizes),
    /// See [`enlarger`]: no style.
    Enlarger(enlarger::Sizes),
}

impl Arch {
    /// Is it the name of one of them?
    pub fn is_known(name: &str) -> bool {
        [animegan2::ARCH, enlarger::ARCH].contains(&name) || brush_of_name(name).is_some()
    }

    /// The network of a name that [is known](Self::is_known), and of sizes in JSON.
    ///
    /// # Errors
    /// If these are not that network's sizes, or larger than any it has.
    pub fn parse(name: &str, sizes: &str) -> std::result::Result<Self, String> {
        let parsed = match brush_of_name(name) {
            None if name == enlarger::ARCH => serde_json::from_str(sizes).map(Self::Enlarger),
            None => serde_json::from_str(sizes).map(Self::AnimeGan2),
            Some(brush) => serde_json::from_str(sizes).map(brush),
        };
        let arch = parsed.map_err(|e| e.to_string())?;
        if arch.is_sane() { Ok(arch) } else { Err(sizes.chars().take(200).collect()) }
    }

    /// The network that the training script describes in a file's metadata, under a name that is known.
    ///
    /// # Errors
    /// The key that is wrong, and why.
    pub fn of_training(
        name: &str,
        metadata: &HashMap<String, String>,
    ) -> std::result::Result<Self, (String, String)> {
        let Some(version) = brush::Version::of_name(name) else {
            return Err(("arch".into(), format!("{name} is not trained here")));
        };
        let sizes = brush::Sizes::of_training(metadata)?;
        let arch = Self::Brush(version, sizes);
        if arch.is_sane() { Ok(arch) } else { Err(("sizes".into(), format!("{arch:?}"))) }
    }

    /// The network that has weights of these names and shapes, if it is one that others train.
    pub fn of_foreign_weights<'a>(shape: impl Fn(&str) -> Option<&'a [usize]>) -> Option<Self> {
        animegan2::Sizes::of_weights(shape).map(Self::AnimeGan2).filter(|arch| arch.is_sane())
    }

    fn is_sane(&self) -> bool {
        match self {
            Self::Brush(_, sizes) | Self::PrunedBrush(_, sizes) => sizes.are_sane(),
            Self::AnimeGan2(sizes) => sizes.are_sane(),
            Self::Enlarger(sizes) => sizes.are_sane(),
        }
    }

    /// The name in style files.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Brush(version, _) => version.name(),
            Self::PrunedBrush(version, _) => version.pruned_name(),
            Self::AnimeGan2(_) => animegan2::ARCH,
            Self::Enlarger(_) => enlarger::ARCH,
        }
    }

    /// The sizes in JSON.
    ///
    /// # Errors
    /// Never, as far as anyone knows.
    pub fn sizes(&self) -> serde_json::Result<String> {
        match self {
            Self::Brush(_, sizes) | Self::PrunedBrush(_, sizes) => serde_json::to_string(sizes),
            Self::AnimeGan2(sizes) => serde_json::to_string(sizes),
            Self::Enlarger(sizes) => serde_json::to_string(sizes),
        }
    }

    /// Can one network hold so many styles?
    pub fn can_hold(&self, styles: usize) -> bool {
        match self {
            Self::Brush(..) | Self::PrunedBrush(..) => true,
            Self::AnimeGan2(_) | Self::Enlarger(_) => styles == 1,
        }
    }

    /// The shape in which the network has a weight that files may have in this one.
    pub fn weight_shape(&self, name: &str, shape: &[usize]) -> Vec<usize> {
        match self {
            Self::Brush(..) | Self::PrunedBrush(..) | Self::Enlarger(_) => brush::weight_shape(name, shape),
            Self::AnimeGan2(_) => shape.to_vec(),
        }
    }

    /// Checks that weights are those of such a network, for so many styles: each there, in its shape, and no
    /// other.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self, weights: &HashMap<String, Tensor>, styles: usize) -> std::result::Result<(), String> {
        let check_count = |count: usize| match weights.len() == count {
            true => Ok(()),
            false => Err(format!("{} tensors, not {count}", weights.len())),
        };
        // Which is quickly built.
        let check_by_loading = || {
            let weights = VarBuilder::from_tensors(weights.clone(), DType::F32, &Device::Cpu);
            self.load(&vec![1.0; styles], &weights, &Placement::cpu()).map(drop).map_err(|e| e.to_string())
        };
        match self {
            Self::Brush(version, sizes) | Self::PrunedBrush(version, sizes) => {
                check_count(sizes.tensor_count(*version))?;
                check_by_loading()
            }
            Self::Enlarger(sizes) => {
                check_count(sizes.tensor_count())?;
                check_by_loading()
            }
            Self::AnimeGan2(sizes) => {
                let tensors = sizes.tensors();
                check_count(tensors.len())?;
                tensors.iter().try_for_each(|(name, shape)| match weights.get(name).map(Tensor::dims) {
                    None => Err(format!("there is no {name}")),
                    Some(dims) if dims != shape => Err(format!("{name} is {dims:?}, not {shape:?}")),
                    Some(_) => Ok(()),
                })
            }
        }
    }

    /// How far beyond a pixel it looks, in pixels.
    pub fn reach_px(&self) -> u32 {
        match self {
            Self::Brush(version, sizes) | Self::PrunedBrush(version, sizes) => sizes.reach_px(*version),
            Self::AnimeGan2(sizes) => sizes.reach_px(),
            Self::Enlarger(sizes) => sizes.reach_px(),
        }
    }

    /// The network, drawing the mix of its styles that the shares say.
    ///
    /// # Errors
    /// If a weight is missing or has another shape than the network's.
    pub fn load(
        &self,
        shares: &[f32],
        weights: &VarBuilder,
        device: &Placement,
    ) -> Result<Arc<dyn Generator>> {
        match self {
            Self::Brush(version, sizes) | Self::PrunedBrush(version, sizes) => {
                brush::Brush::load_on(device, *version, *sizes, shares, weights)
            }
            Self::AnimeGan2(sizes) => Ok(Arc::new(animegan2::AnimeGan2::load(*sizes, weights)?)),
            Self::Enlarger(sizes) => Ok(Arc::new(enlarger::Enlarger::load(*sizes, weights)?)),
        }
    }

    /// The network with a mix of its styles as an ONNX file's bytes; `None` where such networks can't be written
    /// so. `notes` are keys and values for readers.
    ///
    /// # Errors
    /// If a weight is missing or has another shape than the network's.
    pub fn to_onnx(
        &self,
        shares: &[f32],
        weights: &VarBuilder,
        notes: &[(&str, &str)],
    ) -> Option<Result<Vec<u8>>> {
        match self {
            Self::Brush(version, sizes) | Self::PrunedBrush(version, sizes) => {
                Some(brush::to_onnx(*version, *sizes, shares, weights, notes))
            }
            Self::AnimeGan2(_) | Self::Enlarger(_) => None,
        }
    }
}

/// The brush that has this name in style files, once its sizes are known.
fn brush_of_name(name: &str) -> Option<impl FnOnce(brush::Sizes) -> Arch> {
    let pruned = name.strip_suffix(brush::PRUNED);
    let version = brush::Version::of_name(pruned.unwrap_or(name))?;
    let is_whole = pruned.is_none();
    Some(move |sizes| if is_whole { Arch::Brush(version, sizes) } else { Arch::PrunedBrush(version, sizes) })
}
