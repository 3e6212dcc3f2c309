//! Randomness that is a function of the seed, what it is for, and the step.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use utsushi_engine::Grain;

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

/// The noise of so many pictures in a step, each another.
pub(super) fn grains(seed: u64, step: u64, count: usize) -> Vec<Grain> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(step);
    (0..count).map(|_| Grain { seed: random.random(), ..Grain::default() }).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_picture_of_every_step_has_noise_of_its_own() {
        let seeds = |seed| -> Vec<u64> {
            let steps = (0..50).flat_map(|step| grains(seed, step, 4));
            steps.map(|grain| (grain.strength == 1.0).then_some(grain.seed).expect("all of it")).collect()
        };
        assert_eq!(seeds(1), seeds(1));
        assert_eq!(seeds(1).into_iter().chain(seeds(2)).collect::<HashSet<_>>().len(), 400);
    }
}
