//! L0 gradient minimisation (Xu, Lu, Xu and Jia 2011, doi 10.1145/2024156.2024208): the picture that is near the
//! photo and changes at as few pixels as possible.
//!
//! `min Σ (S - I)² + λ #{p: ∂S(p) ≠ 0}` (equation 4) is solved by half-quadratic splitting: auxiliary gradients
//! `g`, tied to ∂S by a weight β that grows by κ from 2λ to 10⁵. Each step first drops gradients that don't pay,
//! `g = 0` where `|∂S|² < λ/β`, over all channels together (equation 12), and then solves
//! `(1 + β ∂ᵀ∂) S = I + β ∂ᵀg` (equation 8).
//!
//! **Borders.** The paper, and what follows it, solve this by Fourier transforms, for which the left border touches
//! the right one: unlike borders smear into each other. Here a picture goes on mirrored: there is no gradient across
//! a border. The cosine transform makes the system diagonal along rows, and then each column is a tridiagonal system,
//! which two sweeps solve: half the transforms, and rows are read in order.
//!
//! **Rounding.** With β near 10⁵ `I + β ∂ᵀg` leaves single precision few digits for what matters. So it is solved for
//! the change: `(1/β + ∂ᵀ∂) δ = (I - S)/β - ∂ᵀq`, where `q` are the gradients that were dropped, all of them small.

use std::f64::consts::PI;

use super::Planes;
use super::cosine::Cosine;

/// β ends here: by then gradients are dropped that no byte shows.
const MAX_BETA: f32 = 1e5;

/// Smooths a picture.
pub(super) fn smooth(picture: &mut Planes, lambda: f32, kappa: f32) {
    if picture.width == 0 || picture.height == 0 {
        return;
    }
    let photo = picture.clone();
    let mut system = System::new(picture.width, picture.height);
    let mut beta = 2.0 * lambda;
    while beta < MAX_BETA {
        system.descend(&photo, picture, lambda / beta, beta);
        system.ascend(picture);
        beta *= kappa;
    }
}

/// The system of one step, transformed along rows and on its way of being solved along columns.
struct System {
    width: usize,
    height: usize,
    cosine: Cosine,
    /// Of -∂ᵀ∂ along a row: `2 - 2 cos(πk/W)`.
    eigenvalues: Vec<f32>,
    /// What a row of the solution takes from the row below: each row of columns.
    ratios: Vec<f32>,
    /// The change, by channel.
    change: [Vec<f32>; 3],
    /// One row of zeros, the partner of a last row without one.
    partner: Vec<f32>,
}

/// The gradients of a row that are dropped, by channel; zero where they stay.
struct Dropped {
    across: [Vec<f32>; 3],
    down: [Vec<f32>; 3],
    length: Vec<f32>,
}

impl System {
    fn new(width: usize, height: usize) -> Self {
        let zeros = |count: usize| vec![0.0; count];
        let eigenvalue = |k: usize| (2.0 - 2.0 * (PI * k as f64 / width as f64).cos()) as f32;
        Self {
            width,
            height,
            cosine: Cosine::new(width),
            eigenvalues: (0..width).map(eigenvalue).collect(),
            ratios: zeros(width * height),
            change: std::array::from_fn(|_| zeros(width * height)),
            partner: zeros(width),
        }
    }

    /// From the first row to the last: what is to be solved, transformed, and each row freed from the one above.
    fn descend(&mut self, photo: &Planes, picture: &Planes, threshold: f32, beta: f32) {
        let (width, height) = (self.width, self.height);
        let (mut above, mut here) = (Dropped::new(width), Dropped::new(width));
        for top in (0..height).step_by(2) {
            let bottom = (top + 2).min(height);
            for y in top..bottom {
                here.fill(picture, y, threshold);
                for c in 0..3 {
                    let row = y * width..(y + 1) * width;
                    let change = &mut self.change[c][row.clone()];
                    let (photo, picture) = (&photo.rgb[c][row.clone()], &picture.rgb[c][row]);
                    right_side(
                        change,
                        photo,
                        picture,
                        &here.across[c],
                        [&above.down[c], &here.down[c]],
                        beta,
                    );
                }
                std::mem::swap(&mut above, &mut here);
            }
            for c in 0..3 {
                let (a, b) = pair(&mut self.change[c], &mut self.partner, top, width);
                self.cosine.forward(a, b);
            }
            (top..bottom).for_each(|y| self.eliminate(y, beta));
        }
    }

    /// Frees a row from the one above it.
    fn eliminate(&mut self, y: usize, beta: f32) {
        let (width, height) = (self.width, self.height);
        let neighbours = f32::from(u8::from(y > 0) + u8::from(y + 1 < height));
        let (above, rest) = self.ratios.split_at_mut(y * width);
        let ratios = &mut rest[..width];
        let diagonal = self.eigenvalues.iter().map(|eigenvalue| 1.0 / beta + eigenvalue + neighbours);
        if y == 0 {
            ratios.iter_mut().zip(diagonal).for_each(|(ratio, diagonal)| *ratio = 1.0 / diagonal);
        } else {
            let above = &above[(y - 1) * width..];
            for ((ratio, diagonal), above) in ratios.iter_mut().zip(diagonal).zip(above) {
                *ratio = 1.0 / (diagonal - above);
            }
        }
        for change in &mut self.change {
            let (above, rest) = change.split_at_mut(y * width);
            let row = rest[..width].iter_mut().zip(&*ratios);
            if y == 0 {
                row.for_each(|(change, ratio)| *change *= ratio);
            } else {
                row.zip(&above[(y - 1) * width..])
                    .for_each(|((change, ratio), above)| *change = (*change + above) * ratio);
            }
        }
    }

    /// From the last row to the first: each row of the change from the one below, transformed back and added.
    fn ascend(&mut self, picture: &mut Planes) {
        let (width, height) = (self.width, self.height);
        let mut below: [Vec<f32>; 3] = std::array::from_fn(|_| vec![0.0; width]);
        for top in (0..height).step_by(2).rev() {
            for (c, below) in below.iter_mut().enumerate() {
                for y in (top..(top + 2).min(height)).rev() {
                    let change = &mut self.change[c][y * width..(y + 1) * width];
                    let ratios = &self.ratios[y * width..(y + 1) * width];
                    for ((change, ratio), below) in change.iter_mut().zip(ratios).zip(&mut *below) {
                        *change += ratio * *below;
                        *below = *change;
                    }
                }
                let (a, b) = pair(&mut self.change[c], &mut self.partner, top, width);
                self.cosine.inverse(a, b);
                let rows = top * width..(top + 2).min(height) * width;
                let change = &self.change[c][rows.clone()];
                picture.rgb[c][rows].iter_mut().zip(change).for_each(|(value, change)| *value += change);
            }
        }
    }
}

/// The row `top` and the one below it, or zeros if it is the last.
fn pair<'a>(
    plane: &'a mut [f32],
    partner: &'a mut [f32],
    top: usize,
    width: usize,
) -> (&'a mut [f32], &'a mut [f32]) {
    let (a, rest) = plane[top * width..].split_at_mut(width);
    if rest.is_empty() {
        partner.fill(0.0);
        (a, partner)
    } else {
        (a, &mut rest[..width])
    }
}

/// `(I - S)/β - ∂ᵀq` of a row; `down` are the dropped gradients from the row above to this one, and on to the next.
fn right_side(
    change: &mut [f32],
    photo: &[f32],
    picture: &[f32],
    across: &[f32],
    down: [&[f32]; 2],
    beta: f32,
) {
    let scale = 1.0 / beta;
    let rows = change.iter_mut().zip(photo).zip(picture).zip(across).zip(down[0]).zip(down[1]);
    for (((((change, photo), picture), across), above), below) in rows {
        *change = (photo - picture) * scale + across + below - above;
    }
    change[1..].iter_mut().zip(across).for_each(|(change, left)| *change -= left);
}

impl Dropped {
    fn new(width: usize) -> Self {
        let zeros = || std::array::from_fn(|_| vec![0.0; width]);
        Self { across: zeros(), down: zeros(), length: vec![0.0; width] }
    }

    /// The gradients from row `y` to the right and downwards whose squared length is under the threshold.
    fn fill(&mut self, picture: &Planes, y: usize, threshold: f32) {
        let (width, is_last) = (picture.width, y + 1 == picture.height);
        self.length.fill(0.0);
        for c in 0..3 {
            let row = &picture.rgb[c][y * width..(y + 1) * width];
            let next = if is_last { row } else { &picture.rgb[c][(y + 1) * width..(y + 2) * width] };
            for ((across, here), right) in self.across[c].iter_mut().zip(row).zip(&row[1..]) {
                *across = right - here;
            }
            for ((down, here), below) in self.down[c].iter_mut().zip(row).zip(next) {
                *down = below - here;
            }
            for ((length, across), down) in self.length.iter_mut().zip(&self.across[c]).zip(&self.down[c]) {
                *length += across * across + down * down;
            }
        }
        for values in self.across.iter_mut().chain(&mut self.down) {
            for (value, length) in values.iter_mut().zip(&self.length) {
                *value = if *length < threshold { *value } else { 0.0 };
            }
        }
    }
}
