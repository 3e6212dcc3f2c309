//! The art's palette, for all pictures the same: how light and how colourful it is, and which colours its lights and its
//! darks have.
//!
//! The colours of all pictures become a cloud of points like that of the art's: the linear map that moves one normal
//! distribution onto another the shortest way (Monge-Kantorovich; Pitie and Kokaram 2007,
//! <https://doi.org/10.1049/cp:20070055>). The paper of a print colours what is light, and the ink what is dark: means and
//! deviations of single channels alone (Reinhard et al. 2001) can't tell that.

use candle_core::Result;
use utsushi_engine::differentiable::Maps;

use super::colour::{YUV, shifted};

/// How much of the way colours go to the art's, unless a recipe says otherwise.
pub fn usual_share() -> f64 {
    0.7
}

/// How much the cloud may be narrowed and spread in any direction.
const GAINS: [f64; 2] = [0.4, 1.6];
/// What is added to variances: pictures may be of one colour.
const FLOOR: f64 = 1e-4;

type Matrix<T> = [[T; 3]; 3];

/// How pictures' Y, U and V become the art's: a matrix times them, plus a shift.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Palette {
    /// A row for each of Y, U and V.
    pub matrix: Matrix<f32>,
    /// Of Y, U and V.
    pub shift: [f32; 3],
}

/// Mean and covariance of Y, U and V over many pictures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Colours {
    /// Of Y, U and V.
    pub mean: [f64; 3],
    /// Of Y, U and V.
    pub covariance: Matrix<f64>,
}

impl Palette {
    /// From pictures with these colours a share of the way to art with those.
    pub fn new(pictures: Colours, art: Colours, share: f64) -> Self {
        // With P and A the covariances, P^-1/2 (P^1/2 A P^1/2)^1/2 P^-1/2.
        let [p, a] = [pictures, art].map(|colours| sum(&colours.covariance, &scaled(FLOOR)));
        let root = of_values(&p, f64::sqrt);
        let inverse = of_values(&p, |value| 1.0 / value.sqrt());
        let between = of_values(&product(&product(&root, &a), &root), |value| value.max(0.0).sqrt());
        let whole = product(&product(&inverse, &between), &inverse);
        let whole = of_values(&whole, |gain| gain.clamp(GAINS[0], GAINS[1]));
        let matrix = sum(&scaled(1.0 - share), &whole.map(|row| row.map(|value| share * value)));
        let shift = |i: usize| {
            let [own, moved] = [pictures.mean[i], times(&matrix[i], &pictures.mean)];
            own + share * (art.mean[i] - own) - moved
        };
        let shift = [shift(0) as f32, shift(1) as f32, shift(2) as f32];
        Self { matrix: matrix.map(|row| row.map(|value| value as f32)), shift }
    }

    /// Y of pictures in the palette, `[.., 1]`.
    ///
    /// # Errors
    /// If they aren't RGB.
    pub fn luminance(&self, pictures: &Maps) -> Result<Maps> {
        self.rows(pictures, 0, 1)
    }

    /// U and V of pictures in the palette, `[.., 2]`.
    ///
    /// # Errors
    /// If they aren't RGB.
    pub fn chroma(&self, pictures: &Maps) -> Result<Maps> {
        self.rows(pictures, 1, 3)
    }

    fn rows(&self, pictures: &Maps, first: usize, last: usize) -> Result<Maps> {
        let of_rgb = |row: &[f32; 3]| [0, 1, 2].map(|col| (0..3).map(|i| row[i] * YUV[i][col]).sum::<f32>());
        let matrix: Vec<[f32; 3]> = self.matrix[first..last].iter().map(of_rgb).collect();
        Ok(shifted(&pictures.detach(), &matrix, &self.shift[first..last])?.detach())
    }
}

fn times(row: &[f64; 3], column: &[f64; 3]) -> f64 {
    row.iter().zip(column).map(|(a, b)| a * b).sum()
}

fn product(a: &Matrix<f64>, b: &Matrix<f64>) -> Matrix<f64> {
    a.map(|row| [0, 1, 2].map(|col| times(&row, &b.map(|row| row[col]))))
}

fn sum(a: &Matrix<f64>, b: &Matrix<f64>) -> Matrix<f64> {
    std::array::from_fn(|row| std::array::from_fn(|col| a[row][col] + b[row][col]))
}

/// The identity, so many times.
fn scaled(by: f64) -> Matrix<f64> {
    std::array::from_fn(|row| std::array::from_fn(|col| if row == col { by } else { 0.0 }))
}

/// A symmetric matrix with a function of its eigenvalues in their place (by Jacobi's rotations; Golub and Van Loan,
/// *Matrix Computations*, section 8.5).
fn of_values(matrix: &Matrix<f64>, function: impl Fn(f64) -> f64) -> Matrix<f64> {
    const SWEEPS: usize = 12;
    let (mut values, mut vectors) = (*matrix, scaled(1.0));
    for (p, q) in [(0, 1), (0, 2), (1, 2)].repeat(SWEEPS) {
        if values[p][q] == 0.0 {
            continue;
        }
        let tau = (values[q][q] - values[p][p]) / (2.0 * values[p][q]);
        let tangent = tau.signum() / (tau.abs() + tau.hypot(1.0));
        let cosine = 1.0 / tangent.hypot(1.0);
        let mut rotation = scaled(1.0);
        (rotation[p][p], rotation[q][q]) = (cosine, cosine);
        (rotation[p][q], rotation[q][p]) = (cosine * tangent, -cosine * tangent);
        values = product(&product(&transposed(&rotation), &values), &rotation);
        vectors = product(&vectors, &rotation);
    }
    let scaled: Matrix<f64> = vectors.map(|row| [0, 1, 2].map(|i| row[i] * function(values[i][i])));
    product(&scaled, &transposed(&vectors))
}

fn transposed(matrix: &Matrix<f64>) -> Matrix<f64> {
    [0, 1, 2].map(|col| matrix.map(|row| row[col]))
}
