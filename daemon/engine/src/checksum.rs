//! A checksum in safetensors files, for disks that return other bits than they were given.

use std::collections::{BTreeMap, HashMap};

use safetensors::{SafeTensors, tensor::TensorView};

/// Its name in the metadata: eight hexadecimal digits.
const NAME: &str = "crc32";

/// Adds the checksum of a file with this metadata and these tensors to the metadata.
pub fn add<'a>(
    metadata: &mut HashMap<String, String>,
    tensors: impl Iterator<Item = (&'a str, TensorView<'a>)>,
) {
    let sum = of(metadata, tensors);
    metadata.insert(NAME.to_owned(), sum);
}

/// Is a file what was written? Those of before there were checksums have none.
///
/// # Errors
/// Why it isn't, in words.
pub fn check(metadata: &HashMap<String, String>, file: &SafeTensors) -> Result<(), String> {
    let Some(written) = metadata.get(NAME) else { return Ok(()) };
    let found = of(metadata, file.iter());
    if *written == found {
        return Ok(());
    }
    let written: String = written.chars().take(8).collect();
    Err(format!("its checksum is {found}, and was {written} when it was written"))
}

/// Of all that a file says, in an order that doesn't depend on the file's. Each part is preceded by its length, so that none
/// can be taken for a piece of its neighbour.
fn of<'a>(
    metadata: &HashMap<String, String>,
    tensors: impl Iterator<Item = (&'a str, TensorView<'a>)>,
) -> String {
    let mut hasher = crc32fast::Hasher::new();
    let mut add = |part: &[u8]| {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    };
    let metadata: BTreeMap<_, _> = metadata.iter().filter(|(key, _)| *key != NAME).collect();
    for (key, value) in metadata {
        add(key.as_bytes());
        add(value.as_bytes());
    }
    let tensors: BTreeMap<_, _> = tensors.collect();
    for (name, view) in tensors {
        add(format!("{name} {} {:?}", view.dtype(), view.shape()).as_bytes());
        add(view.data());
    }
    format!("{:08x}", hasher.finalize())
}
