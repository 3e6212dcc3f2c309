//! Files of tensors whose bytes are a function of what they hold.

use std::collections::BTreeMap;

use serde_json::Value;

/// A safetensors file with its header's entries in alphabetical order, which the library writes in that of a hash table:
/// equal styles are equal files.
pub(crate) fn in_order(file: &[u8]) -> serde_json::Result<Vec<u8>> {
    let (length, rest) = file.split_at(size_of::<u64>());
    let length = length.iter().rev().fold(0, |length, byte| length << 8 | usize::from(*byte));
    let (header, tensors) = rest.split_at(length);
    let mut entries: BTreeMap<&str, Value> = serde_json::from_slice(header)?;
    if let Some(metadata) = entries.get_mut("__metadata__") {
        let sorted: BTreeMap<String, Value> = serde_json::from_value(metadata.take())?;
        *metadata = sorted.into_iter().collect();
    }
    let mut header = serde_json::to_vec(&entries)?;
    // Tensors begin at a multiple of eight bytes.
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok([&(header.len() as u64).to_le_bytes(), &header[..], tensors].concat())
}
