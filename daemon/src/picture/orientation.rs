//! Turning pictures upright, as EXIF and TIFF ask for.

use utsushi_ipc::pixels::Raster;

/// How the stored picture has to be turned to be upright; numbered as in EXIF and TIFF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Orientation {
    /// Rows become columns, first.
    transpose: bool,
    /// Then left and right are swapped.
    mirror: bool,
    /// Then top and bottom are swapped.
    flip: bool,
}

/// Turned in squares of this many pixels a side, so that both pictures' lines stay in the cache.
const SQUARE_PX: usize = 32;

impl Orientation {
    pub(super) const UPRIGHT: Self = Self { transpose: false, mirror: false, flip: false };

    /// What isn't 1..=8 is taken as upright, as all viewers do.
    pub(super) fn from_tag(value: u16) -> Self {
        let (transpose, mirror, flip) = match value {
            2 => (false, true, false),
            3 => (false, true, true),
            4 => (false, false, true),
            5 => (true, false, false),
            6 => (true, true, false),
            7 => (true, true, true),
            8 => (true, false, true),
            _ => return Self::UPRIGHT,
        };
        Self { transpose, mirror, flip }
    }

    pub(super) const fn swaps_sides(self) -> bool {
        self.transpose
    }

    /// Turns the picture.
    pub(super) fn apply(self, raster: Raster, mut pixels: Vec<u8>) -> (Raster, Vec<u8>) {
        let (width, height) = (raster.width() as usize, raster.height() as usize);
        let pixel_bytes = raster.format().pixel_bytes();
        if !self.transpose {
            self.turn_in_place(&mut pixels, raster.row_bytes(), pixel_bytes);
            return (raster, pixels);
        }
        let turned = match pixel_bytes {
            1 => self.transposed::<1>(&pixels, width, height),
            2 => self.transposed::<2>(&pixels, width, height),
            3 => self.transposed::<3>(&pixels, width, height),
            4 => self.transposed::<4>(&pixels, width, height),
            6 => self.transposed::<6>(&pixels, width, height),
            8 => self.transposed::<8>(&pixels, width, height),
            12 => self.transposed::<12>(&pixels, width, height),
            16 => self.transposed::<16>(&pixels, width, height),
            other => unreachable!("no pixel format has {other} bytes a pixel"),
        };
        let raster = Raster::new(raster.height(), raster.width(), raster.format())
            .expect("the limits are the same for both sides");
        (raster, turned)
    }

    fn turn_in_place(self, pixels: &mut [u8], row_bytes: usize, pixel_bytes: usize) {
        if self.mirror {
            for row in pixels.chunks_exact_mut(row_bytes) {
                // Reversing all bytes reverses the pixels, and the bytes of each; the latter is then undone.
                row.reverse();
                row.chunks_exact_mut(pixel_bytes).for_each(<[u8]>::reverse);
            }
        }
        if self.flip {
            let half = pixels.len() / row_bytes / 2 * row_bytes;
            let (top, rest) = pixels.split_at_mut(half);
            for (upper, lower) in top.chunks_exact_mut(row_bytes).zip(rest.rchunks_exact_mut(row_bytes)) {
                upper.swap_with_slice(lower);
            }
        }
    }

    fn transposed<const N: usize>(self, pixels: &[u8], width: usize, height: usize) -> Vec<u8> {
        let mut turned = vec![0; pixels.len()];
        let (from, to) = (pixels.as_chunks::<N>().0, turned.as_chunks_mut::<N>().0);
        for top in (0..width).step_by(SQUARE_PX) {
            for left in (0..height).step_by(SQUARE_PX) {
                for y in top..width.min(top + SQUARE_PX) {
                    let column = if self.flip { width - 1 - y } else { y };
                    for x in left..height.min(left + SQUARE_PX) {
                        let row = if self.mirror { height - 1 - x } else { x };
                        to[y * height + x] = from[row * width + column];
                    }
                }
            }
        }
        turned
    }
}
