//! Which network a recipe trains.

use std::collections::HashMap;

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use utsushi_engine::arch::{Arch, brush, enlarger};
use utsushi_engine::weights::Weights;

use super::checks::{range, wrong};
use super::{Recipe, RecipeError};

/// Which network is trained: which it is, its sizes tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Generator {
    /// A style's.
    Brush(brush::Sizes),
    /// One whose pictures are twice as large as what it is shown: out of damage of that scale.
    Enlarger(enlarger::Sizes),
}

impl Generator {
    /// How many times longer the sides of what it draws are than those of what it is shown.
    pub fn factor(self) -> usize {
        match self {
            Self::Brush(_) => 1,
            Self::Enlarger(_) => enlarger::FACTOR,
        }
    }

    /// A style's sizes.
    pub fn brush(self) -> Option<brush::Sizes> {
        match self {
            Self::Brush(sizes) => Some(sizes),
            Self::Enlarger(_) => None,
        }
    }
}

impl From<Generator> for Arch {
    fn from(generator: Generator) -> Self {
        match generator {
            Generator::Brush(sizes) => Self::Brush(brush::Version::Two, sizes),
            Generator::Enlarger(sizes) => Self::Enlarger(sizes),
        }
    }
}

impl Recipe {
    /// What a training by it gives.
    pub fn weights(&self, tensors: HashMap<String, Tensor>) -> Weights {
        Weights::of_training(self.generator.into(), tensors)
    }

    pub(super) fn check_generator(&self) -> Result<(), RecipeError> {
        let Self { generator, damage, imitation, styles, .. } = self;
        let brushwork = imitation.as_ref().and_then(|stage| stage.brushwork.as_ref());
        let (is_sane, must) = match generator {
            Generator::Brush(sizes) => (sizes.are_sane(), "1 to 512 channels, at most 32 blocks"),
            Generator::Enlarger(sizes) => (sizes.are_sane(), "1 to 256 channels, at most 64 blocks"),
        };
        if !is_sane {
            return Err(wrong("generator", format!("{generator:?}"), must));
        }
        let scale = damage.map_or(1, |damage| damage.scale);
        if scale != generator.factor() {
            return Err(wrong("damage.scale", scale, format!("{}, as the generator's", generator.factor())));
        }
        match generator {
            Generator::Brush(sizes) => {
                let [before, at_eighth, after] = sizes.blocks;
                let has_layers = at_eighth > 0 && before + after > 0;
                let must = "with some at a quarter and at an eighth for brushwork";
                let blocks = format!("{:?}", sizes.blocks);
                if brushwork.is_none() || has_layers {
                    Ok(())
                } else {
                    Err(wrong("generator.blocks", blocks, must))
                }
            }
            Generator::Enlarger(_) if brushwork.is_some() => {
                Err(wrong("imitation.brushwork", "there", "left out for a network that enlarges"))
            }
            Generator::Enlarger(_) => range("styles", *styles, 1, 1),
        }
    }
}
