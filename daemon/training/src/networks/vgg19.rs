//! VGG19's first eight convolutions (Simonyan & Zisserman, 2014, <https://arxiv.org/abs/1409.1556>).
//!
//! ```text
//! relu1_1, relu1_2    64 channels, full size
//! max-pool 2
//! relu2_1, relu2_2   128 channels, 1/2
//! max-pool 2
//! relu3_1 .. relu3_4 256 channels, 1/4
//! ```
//!
//! All convolutions are 3x3, padded with zeros, and each is followed by a ReLU. The network wants BGR in
//! 0..255 minus the mean colour of its own training. The weights are not part of this project: whoever has
//! them names the file, a safetensors with `block1_conv1.weight` (OIHW) and `block1_conv1.bias` to
//! `block3_conv4`, in f32.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Result, Tensor, bail};
use utsushi_engine::differentiable::{Border, FrozenConv, Maps, WholeConv};

use super::perceptual::{Features, Level};

/// Name of the weights, name of the level, stride.
const LAYERS: [(&str, &str, usize); 8] = [
    ("block1_conv1", "relu1_1", 1),
    ("block1_conv2", "relu1_2", 1),
    ("block2_conv1", "relu2_1", 2),
    ("block2_conv2", "relu2_2", 2),
    ("block3_conv1", "relu3_1", 4),
    ("block3_conv2", "relu3_2", 4),
    ("block3_conv3", "relu3_3", 4),
    ("block3_conv4", "relu3_4", 4),
];

/// Of ImageNet's pictures: red, green, blue in 0..255.
const MEAN: [f32; 3] = [123.68, 116.779, 103.939];

const CONV: WholeConv = WholeConv { slope: 0.0, border: Border::Zero, ..WholeConv::same(3) };

/// No layer of a VGG is wider.
const MOST_CHANNELS: usize = 512;

/// VGG19 up to some layer, frozen.
#[derive(Debug)]
pub struct Vgg19 {
    levels: Vec<Level>,
    /// Takes the mean colour away. Not in the first layer's bias, since borders are zero after it.
    shift: [Tensor; 2],
    layers: Vec<FrozenConv>,
}

/// Why there is no VGG19.
#[derive(Debug, thiserror::Error)]
pub enum Vgg19Error {
    /// The file can't be read, or is no safetensors file.
    #[error("{path} can't be read as weights: {source}. Name a safetensors file with VGG19's first layers.")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What candle says.
        source: candle_core::Error,
    },
    /// Weights of something else.
    #[error("{path} doesn't hold VGG19: {why}")]
    NotVgg19 {
        /// The file.
        path: PathBuf,
        /// What is missing or has another shape.
        why: String,
    },
}

impl Vgg19 {
    /// Reads the layers as far as the level `deepest`: `relu3_1` for what losses look at, `relu3_4` for all
    /// there is.
    ///
    /// # Errors
    /// If the file can't be read or lacks a layer.
    ///
    /// # Panics
    /// If there is no such level.
    pub fn read(path: &Path, deepest: &str) -> std::result::Result<Self, Vgg19Error> {
        let tensors = candle_core::safetensors::load(path, &Device::Cpu)
            .map_err(|source| Vgg19Error::Unreadable { path: path.to_owned(), source })?;
        Self::load(&tensors, deepest)
            .map_err(|why| Vgg19Error::NotVgg19 { path: path.to_owned(), why: why.to_string() })
    }

    fn load(tensors: &HashMap<String, Tensor>, deepest: &str) -> Result<Self> {
        let count = 1 + LAYERS.iter().position(|(_, level, _)| *level == deepest).expect("a level of VGG19");
        let (mut levels, mut layers) = (Vec::new(), Vec::new());
        let mut inputs = 3;
        for (name, level, stride) in &LAYERS[..count] {
            let (mut weight, bias) = layer(tensors, name, inputs)?;
            if layers.is_empty() {
                weight = of_pictures(&weight)?;
            }
            inputs = bias.dim(0)?;
            levels.push(Level { name: level, channels: inputs, stride: *stride });
            layers.push(FrozenConv::new(&weight, &bias, CONV)?);
        }
        let shift = [
            Tensor::eye(3, candle_core::DType::F32, &Device::Cpu)?.reshape((3, 3, 1, 1))?,
            Tensor::new(&MEAN.map(|mean| 1.0 - mean / 127.5), &Device::Cpu)?,
        ];
        Ok(Self { levels, shift, layers })
    }
}

/// The first layer's weights, for RGB in units of 127.5 instead of BGR in units of 1.
fn of_pictures(weight: &Tensor) -> Result<Tensor> {
    (weight.flip(&[1])?.contiguous()? * 127.5)?.contiguous()
}

/// A layer's weights and biases.
fn layer(tensors: &HashMap<String, Tensor>, name: &str, inputs: usize) -> Result<(Tensor, Tensor)> {
    let get = |name: String| match tensors.get(&name) {
        Some(tensor) => tensor.to_dtype(candle_core::DType::F32),
        None => bail!("{name} is missing"),
    };
    let (weight, bias) = (get(format!("{name}.weight"))?, get(format!("{name}.bias"))?);
    let outputs = bias.dims1()?;
    let want = [outputs, inputs, CONV.kernel, CONV.kernel];
    if weight.dims() != want || !(1..=MOST_CHANNELS).contains(&outputs) {
        bail!("{name}.weight is {:?}, not {want:?}", weight.dims());
    }
    Ok((weight, bias))
}

impl Features for Vgg19 {
    fn levels(&self) -> &[Level] {
        &self.levels
    }

    fn see(&self, pictures: &Maps) -> Result<Vec<Maps>> {
        let [weight, bias] = &self.shift;
        let mut x = pictures.conv(weight, bias, WholeConv::same(1))?;
        let (mut maps, mut stride) = (Vec::with_capacity(self.layers.len()), 1);
        for (level, layer) in self.levels.iter().zip(&self.layers) {
            if level.stride != stride {
                (x, stride) = (x.max_pool2()?, level.stride);
            }
            x = x.frozen_conv(layer)?;
            maps.push(x.clone());
        }
        Ok(maps)
    }
}
