//! Randomness that is a function of the seed, what it is for, and the step.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What something random is for. The numbers belong to old checkpoints: never reuse one
/// (4, 5 and 7 had a meaning once).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    GeneratorWeights = 1,
    Photos = 2,
    Art = 3,
    DiscriminatorWeights = 6,
    Noise = 8,
}

/// A seed of its own for a purpose of a style.
pub(super) fn seed(seed: u64, purpose: Purpose, style: usize) -> u64 {
    // An odd factor takes no two to the same.
    (seed ^ ((purpose as u64) << 56) ^ ((style as u64) << 40)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The numbers of a step.
pub(super) fn of_step(seed: u64, step: u64) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(step);
    random
}
