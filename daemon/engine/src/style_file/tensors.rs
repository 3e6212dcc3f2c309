//! Tensors out of a safetensors file.

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::{MAX_FILE_BYTES, MAX_THUMBNAIL_PX, StyleFileError, Thumbnail, field};
use crate::arch::Arch;

/// The longest `__metadata__`, and all that describes tensors.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// A safetensors file and its metadata.
pub(crate) fn safetensors(
    bytes: &[u8],
) -> Result<(SafeTensors<'_>, HashMap<String, String>), StyleFileError> {
    let broken = |e: safetensors::SafeTensorError| StyleFileError::NotSafetensors(e.to_string());
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(StyleFileError::TooLarge { bytes: bytes.len() as u64 });
    }
    if let Some(header) = bytes.first_chunk().map(|n| u64::from_le_bytes(*n))
        && header > MAX_HEADER_BYTES
    {
        return Err(StyleFileError::NotSafetensors(format!("a header of {header} bytes")));
    }
    let file = SafeTensors::deserialize(bytes).map_err(broken)?;
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(broken)?;
    Ok((file, metadata.metadata().clone().unwrap_or_default()))
}

/// A weight as `f32`, in the shape that its network has for it.
pub(crate) fn weight(arch: Option<&Arch>, name: &str, view: &TensorView) -> Result<Tensor, StyleFileError> {
    let bytes = view.data();
    let values: Vec<f32> = match view.dtype() {
        Dtype::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        Dtype::F16 => bytes.as_chunks().0.iter().map(|b| half::f16::from_le_bytes(*b).to_f32()).collect(),
        Dtype::BF16 => bytes.as_chunks().0.iter().map(|b| half::bf16::from_le_bytes(*b).to_f32()).collect(),
        other => return Err(field(name, format!("it is made of {other:?}"))),
    };
    tensor(
        name,
        values,
        arch.map_or_else(|| view.shape().to_vec(), |arch| arch.weight_shape(name, view.shape())),
    )
}

/// A weight, whose values must be numbers that can be written again.
pub(crate) fn tensor(name: &str, values: Vec<f32>, shape: Vec<usize>) -> Result<Tensor, StyleFileError> {
    if !values.iter().all(|v| half::f16::from_f32(*v).is_finite()) {
        return Err(field(name, "it has values that are no numbers, or too large"));
    }
    Tensor::from_vec(values, shape, &Device::Cpu).map_err(|e| field(name, e))
}

/// A style's small picture.
pub(super) fn thumbnail(name: &str, view: &TensorView) -> Result<Thumbnail, StyleFileError> {
    match (view.dtype(), view.shape()) {
        (Dtype::U8, &[height, width, 3])
            if (1..=MAX_THUMBNAIL_PX).contains(&height) && (1..=MAX_THUMBNAIL_PX).contains(&width) =>
        {
            Ok(Thumbnail { width, height, rgb: view.data().to_vec() })
        }
        (dtype, shape) => Err(field(name, format!("it is {dtype:?} {shape:?}"))),
    }
}
