//! The game that generator and discriminator play.

use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};

/// What both sides of the game minimise, over the discriminator's scores d: of what is real, high; of what the
/// generator made, low.
///
/// | form | discriminator | generator |
/// |---|---|---|
/// | BCE | softplus(-d(real)) + softplus(d(fake)) | softplus(-d(fake)) |
/// | LSGAN | ((d(real) - 1)^2 + d(fake)^2) / 2 | (d(fake) - 1)^2 / 2 |
/// | hinge | max(0, 1 - d(real)) + max(0, 1 + d(fake)) | -d(fake) |
///
/// each as a mean over all scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// Binary cross entropy of sigmoid(d), the generator's side not saturating (Goodfellow et al. 2014,
    /// <https://arxiv.org/abs/1406.2661>, section 3).
    Bce,
    /// Least squares (Mao et al. 2017, <https://arxiv.org/abs/1611.04076>, equation 9).
    Lsgan,
    /// Geometric GAN (Lim and Ye 2017, <https://arxiv.org/abs/1705.02894>, section 3).
    Hinge,
}

impl Form {
    /// The score above which a picture counts as real.
    pub fn threshold(self) -> f64 {
        match self {
            Self::Bce | Self::Hinge => 0.0,
            Self::Lsgan => 0.5,
        }
    }

    /// What the discriminator minimises where pictures are real.
    ///
    /// # Errors
    /// If memory can't be had.
    pub fn real(self, scores: &Tensor) -> Result<Tensor> {
        let losses = match self {
            Self::Bce => softplus(&scores.neg()?),
            Self::Lsgan => (scores - 1.0)?.sqr()? * 0.5,
            Self::Hinge => (1.0 - scores)?.relu(),
        };
        losses?.mean_all()
    }

    /// What it minimises where they are not.
    ///
    /// # Errors
    /// If memory can't be had.
    pub fn fake(self, scores: &Tensor) -> Result<Tensor> {
        let losses = match self {
            Self::Bce => softplus(scores),
            Self::Lsgan => scores.sqr()? * 0.5,
            Self::Hinge => (1.0 + scores)?.relu(),
        };
        losses?.mean_all()
    }

    /// What the generator minimises.
    ///
    /// # Errors
    /// If memory can't be had.
    pub fn generator(self, scores: &Tensor) -> Result<Tensor> {
        match self {
            Self::Bce | Self::Lsgan => self.real(scores),
            Self::Hinge => scores.mean_all()?.neg(),
        }
    }
}

/// ln(1 + e^x), as max(0, x) + ln(1 + e^-|x|), which no x is too large for.
fn softplus(x: &Tensor) -> Result<Tensor> {
    x.relu()? + (x.abs()?.neg()?.exp()? + 1.0)?.log()?
}
