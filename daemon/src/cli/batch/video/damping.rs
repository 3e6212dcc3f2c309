//! Holds the drawn frames still where the source stands still, so that what the camera's noise makes a style do
//! differently in every frame doesn't flicker.
//!
//! ```text
//! out_t = out_t-1 + a * (drawn_t - out_t-1)       a = 1 - damping * (1 - s(d))
//! d     = max over 9 x 9 px of |blur(Y_t - Y_t-1)|      Y: the source's luma, 0..255
//! s(d)  = 3 u² - 2 u³,  u = (d - low) / (high - low) within 0..1
//! ```
//!
//! - The blur, two boxes of 5 x 5 px, leaves 0.136 of independent noise. It has a sign, so that noise cancels out, and
//!   a line that moves by a pixel doesn't, but for its middle: hence the maximum around.
//! - `low` is five times the noise that is left, between 1 and 4 levels, and `high` three times that. How much noise
//!   there is, the lower quartile of |Y_t - Y_t-1| says, which is noise as long as a quarter of the picture stands still.
//! - Where the source changes by more than `high`, as at a cut, the drawn frame stands unchanged. A change so slow that
//!   it stays under `low` from each frame to the next is followed late, by some 1 / (1 - damping) frames.

/// Half the side of a box.
const BOX_RADIUS_PX: usize = 2;
/// How far around a change counts.
const REACH_PX: usize = 4;
/// What the blur leaves of independent noise.
const NOISE_LEFT: f32 = 0.136;
/// Below so many times the noise, nothing has changed.
const LOW_IN_NOISES: f32 = 5.0;
const LEAST_LOW: f32 = 1.0;
const MOST_LOW: f32 = 4.0;
const HIGH_IN_LOWS: f32 = 3.0;
/// The lower quartile of a normal distribution's absolute values, in standard deviations.
const QUARTILE: f32 = 0.3186;
/// Steps of `d` a level; 256 of them are more than the greatest `high`.
const STEPS: f32 = 16.0;
/// What two boxes, across and down, sum up.
const WEIGHT: f32 = (2 * BOX_RADIUS_PX + 1).pow(4) as f32;

/// Damps the frames of one video, 8-bit RGB, in their order.
pub(super) struct Damping {
    strength: f32,
    width: usize,
    /// The last frame's.
    luma: Vec<u8>,
    /// The last result, with fractions, so that it doesn't stop short of where it goes.
    held: Vec<f32>,
    change: Vec<i32>,
    spare: Vec<i32>,
    steps: Vec<u8>,
    spare_steps: Vec<u8>,
}

impl Damping {
    /// `strength` is from 0, which changes nothing, to 1, at which what stands still is frozen.
    pub(super) fn new(strength: f32, width_px: u32) -> Self {
        Self {
            strength,
            width: width_px as usize,
            luma: Vec::new(),
            held: Vec::new(),
            change: Vec::new(),
            spare: Vec::new(),
            steps: Vec::new(),
            spare_steps: Vec::new(),
        }
    }

    /// Makes the frame that was drawn from `source` the one to show.
    pub(super) fn damp(&mut self, source: &[u8], drawn: &mut [u8]) {
        if self.strength == 0.0 {
            return;
        }
        if self.luma.is_empty() {
            self.luma = luma(source).collect();
            self.held = drawn.iter().map(|sample| f32::from(*sample)).collect();
            return;
        }
        let noise = self.measure(source);
        let shares = shares(noise, self.strength);
        let pixels = self.held.chunks_exact_mut(3).zip(drawn.chunks_exact_mut(3));
        for ((held, drawn), step) in pixels.zip(&self.steps) {
            let share = shares[usize::from(*step)];
            for (held, drawn) in held.iter_mut().zip(drawn) {
                *held += share * (f32::from(*drawn) - *held);
                *drawn = held.round() as u8;
            }
        }
    }

    /// Fills `steps` with `d`, takes the source's luma, and gives the noise of a difference, in levels.
    fn measure(&mut self, source: &[u8]) -> f32 {
        let mut counts = [0_usize; 256];
        self.change.clear();
        for (before, now) in self.luma.iter_mut().zip(luma(source)) {
            counts[usize::from(now.abs_diff(*before))] += 1;
            self.change.push(i32::from(now) - i32::from(*before));
            *before = now;
        }
        for _ in 0..2 {
            join_around(&mut self.change, &mut self.spare, self.width, BOX_RADIUS_PX, |a, b| a + b);
        }
        self.steps.clear();
        // The conversion saturates.
        self.steps.extend(self.change.iter().map(|sum| (sum.abs() as f32 * (STEPS / WEIGHT)) as u8));
        join_around(&mut self.steps, &mut self.spare_steps, self.width, REACH_PX, u8::max);
        quartile(&counts) / QUARTILE
    }
}

/// Y', near enough.
fn luma(rgb: &[u8]) -> impl Iterator<Item = u8> {
    rgb.chunks_exact(3)
        .map(|rgb| ((77 * u32::from(rgb[0]) + 150 * u32::from(rgb[1]) + 29 * u32::from(rgb[2])) >> 8) as u8)
}

/// `a` for each step of `d`.
fn shares(noise: f32, strength: f32) -> [f32; 256] {
    let low = (LOW_IN_NOISES * NOISE_LEFT * noise).clamp(LEAST_LOW, MOST_LOW);
    let high = HIGH_IN_LOWS * low;
    std::array::from_fn(|step| {
        let u = ((step as f32 / STEPS - low) / (high - low)).clamp(0.0, 1.0);
        1.0 - strength * (1.0 - u * u * (3.0 - 2.0 * u))
    })
}

/// What a quarter of the values are below; a value stands for all that are rounded to it.
fn quartile(counts: &[usize; 256]) -> f32 {
    let quarter = counts.iter().sum::<usize>() as f32 / 4.0;
    let mut below = 0.0;
    for (value, count) in counts.iter().enumerate() {
        let count = *count as f32;
        if below + count >= quarter && count > 0.0 {
            let within = (quarter - below) / count;
            return if value == 0 { within / 2.0 } else { value as f32 - 0.5 + within };
        }
        below += count;
    }
    0.0
}

/// Joins each value of a plane with all within a square around it; beyond the plane, its border goes on.
fn join_around<T: Copy>(
    plane: &mut [T],
    spare: &mut Vec<T>,
    width: usize,
    radius: usize,
    join: impl Fn(T, T) -> T,
) {
    let mut line = Vec::with_capacity(width + 2 * radius);
    spare.clear();
    for row in plane.chunks_exact(width) {
        line.clear();
        line.extend(std::iter::repeat_n(row[0], radius));
        line.extend_from_slice(row);
        line.extend(std::iter::repeat_n(row[width - 1], radius));
        let start = spare.len();
        spare.extend_from_slice(&line[..width]);
        for shift in 1..=2 * radius {
            let joined = spare[start..].iter_mut().zip(&line[shift..]);
            joined.for_each(|(joined, value)| *joined = join(*joined, *value));
        }
    }
    let height = plane.len() / width;
    for (y, row) in plane.chunks_exact_mut(width).enumerate() {
        let near = |shift: usize| (y + shift).saturating_sub(radius).min(height - 1) * width;
        row.copy_from_slice(&spare[near(0)..][..width]);
        for shift in 1..=2 * radius {
            let joined = row.iter_mut().zip(&spare[near(shift)..]);
            joined.for_each(|(joined, value)| *joined = join(*joined, *value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTH: usize = 48;
    const HEIGHT: usize = 40;

    /// A frame of this grey, with noise, and a white square whose left edge is there.
    fn frame(grey: u8, noise: i32, seed: u32, square_x: Option<usize>) -> Vec<u8> {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        let mut frame = Vec::new();
        for y in 0..HEIGHT {
            for x in 0..WIDTH {
                // Marsaglia's xorshift, a sum of four for a bell.
                let mut sum = 0;
                for _ in 0..4 {
                    state ^= state << 13;
                    state ^= state >> 17;
                    state ^= state << 5;
                    sum += (state >> 16) as i32 % (noise + 1) - noise / 2;
                }
                let is_white =
                    square_x.is_some_and(|left| (left..left + 10).contains(&x) && (10..30).contains(&y));
                let value = if is_white { 230 } else { (i32::from(grey) + sum).clamp(0, 255) as u8 };
                frame.extend([value; 3]);
            }
        }
        frame
    }

    fn mean_difference(a: &[u8], b: &[u8], within: impl Fn(usize, usize) -> bool) -> f32 {
        let at = |index: usize| (index / 3 % WIDTH, index / 3 / WIDTH);
        let chosen = a.iter().zip(b).enumerate().filter(|(index, _)| {
            let (x, y) = at(*index);
            within(x, y)
        });
        let differences: Vec<_> = chosen.map(|(_, (a, b))| f32::from(a.abs_diff(*b))).collect();
        differences.iter().sum::<f32>() / differences.len() as f32
    }

    #[test]
    fn noise_is_damped_and_change_is_not() {
        // What is drawn flickers twice as much as the source.
        fn check(strength: f32, noise: i32, still: (f32, f32), moved: (f32, f32)) {
            let mut damping = Damping::new(strength, WIDTH as u32);
            let mut shown: Vec<Vec<u8>> = Vec::new();
            for t in 0..12 {
                let source = frame(100, noise, t, Some(4 + 3 * t as usize));
                let mut drawn = frame(100, 2 * noise, 100 + t, Some(4 + 3 * t as usize));
                damping.damp(&source, &mut drawn);
                shown.push(drawn);
            }
            let flickers = mean_difference(&shown[10], &shown[11], |_, y| !(4..36).contains(&y));
            assert!((still.0..=still.1).contains(&flickers), "{strength} {noise}: still {flickers}");
            // Where the square came to be, and where it was before, nothing of the other is left.
            let truth = frame(100, 0, 0, Some(37));
            let off =
                mean_difference(&shown[11], &truth, |x, y| (32..48).contains(&x) && (12..28).contains(&y));
            assert!((moved.0..=moved.1).contains(&off), "{strength} {noise}: moved {off}");
        }
        check(0.0, 8, (7.0, 12.0), (0.0, 5.0));
        check(0.8, 8, (0.5, 3.0), (0.0, 5.0));
        check(0.95, 8, (0.0, 1.0), (0.0, 5.0));
        check(0.8, 0, (0.0, 0.0), (0.0, 0.0));
        check(1.0, 2, (0.0, 0.8), (0.0, 3.0));
    }

    #[test]
    fn a_cut_shows_the_new_scene_at_once() {
        let mut damping = Damping::new(1.0, WIDTH as u32);
        for (t, grey) in [40, 40, 200, 200].into_iter().enumerate() {
            let mut drawn = frame(grey, 0, 0, None);
            damping.damp(&frame(grey, 4, t as u32, None), &mut drawn);
            assert!(drawn == frame(grey, 0, 0, None), "{t}");
        }
    }

    #[test]
    fn a_thin_line_leaves_nothing_behind() {
        let line = |x: usize| {
            let mut frame = vec![100; WIDTH * HEIGHT * 3];
            frame.chunks_exact_mut(3).skip(x).step_by(WIDTH).for_each(|pixel| pixel.fill(200));
            frame
        };
        let mut damping = Damping::new(0.9, WIDTH as u32);
        for x in 10..30 {
            let mut shown = line(x);
            damping.damp(&line(x), &mut shown);
            assert!(shown == line(x), "{x}");
        }
    }

    #[test]
    fn what_stands_still_is_reached_in_the_end() {
        let mut damping = Damping::new(0.9, WIDTH as u32);
        let source = frame(100, 0, 0, None);
        damping.damp(&source, &mut frame(100, 0, 0, None));
        let mut shown = Vec::new();
        for _ in 0..60 {
            shown = frame(103, 0, 0, None);
            damping.damp(&source, &mut shown);
        }
        assert!(shown == frame(103, 0, 0, None));
    }

    #[test]
    fn quartiles() {
        fn check(values: &[(usize, usize)], expected: f32) {
            let mut counts = [0; 256];
            values.iter().for_each(|(value, count)| counts[*value] = *count);
            assert_eq!(quartile(&counts), expected, "{values:?}");
        }
        check(&[], 0.0);
        check(&[(0, 8)], 0.125);
        check(&[(0, 1), (7, 1)], 0.25);
        check(&[(5, 8)], 4.75);
        check(&[(1, 1), (2, 1), (3, 2)], 1.5);
    }
}
