//! Weights as the kernels read them.

use half::f16;

/// The input channels of a product that are multiplied at a time; maps have their channels padded to a multiple.
pub(crate) const DEPTH: usize = 16;
/// The output channels of a product at a time.
const COLUMNS: usize = 8;

/// Channels with the padding.
pub(crate) fn padded(channels: usize) -> usize {
    channels.next_multiple_of(DEPTH)
}

/// A matrix of `inputs` x `outputs`, both padded, as fragments of `mma.m16n8k16`: for each [`DEPTH`] inputs, for each
/// [`COLUMNS`] outputs, 32 threads' two words. `weight` is asked for each input and output, padding included.
pub(crate) fn fragments(
    inputs: usize,
    outputs: usize,
    weight: impl Fn(usize, usize) -> f32,
) -> impl Iterator<Item = u32> {
    assert!(inputs.is_multiple_of(DEPTH) && outputs.is_multiple_of(COLUMNS));
    let tiles = (0..inputs / DEPTH).flat_map(move |k| (0..outputs / COLUMNS).map(move |n| (k, n)));
    let words = tiles.flat_map(|(k, n)| (0..64).map(move |word| (k, n, word / 2, word % 2)));
    words.map(move |(k, n, thread, word)| {
        let output = n * COLUMNS + thread / 4;
        let input = k * DEPTH + thread % 4 * 2 + word * 8;
        let value = |input| u32::from(f16::from_f32(weight(input, output)).to_bits());
        value(input) | value(input + 1) << 16
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PTX manual, "Matrix Fragments for mma.m16n8k16": a thread holds rows (inputs) `thread % 4 * 2`, the next, and those 8
    /// further, of column (output) `thread / 4`.
    #[test]
    fn each_thread_has_its_part_of_the_matrix() {
        let words: Vec<u32> = fragments(32, 16, |input, output| (input * 16 + output) as f32).collect();
        assert_eq!(words.len(), 32 * 16 / 2);
        let at = |k: usize, n: usize, thread: usize, word: usize| {
            let word = words[((k * 2 + n) * 32 + thread) * 2 + word];
            [word & 0xffff, word >> 16].map(|bits| f16::from_bits(bits as u16).to_f32())
        };
        let value = |input: usize, output: usize| (input * 16 + output) as f32;
        assert_eq!(at(0, 0, 0, 0), [value(0, 0), value(1, 0)]);
        assert_eq!(at(0, 0, 0, 1), [value(8, 0), value(9, 0)]);
        assert_eq!(at(0, 1, 7, 0), [value(6, 9), value(7, 9)]);
        assert_eq!(at(1, 1, 31, 1), [value(16 + 14, 15), value(16 + 15, 15)]);
    }
}
