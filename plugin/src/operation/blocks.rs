//! How a picture is cut into blocks, each of which is drawn in one go and kept.
//!
//! Of a block, the daemon has to see as much around it as the network looks at, so that small blocks cost more in all,
//! and large ones keep the canvas waiting. A block's own size follows from what the network has to draw for it. A picture
//! that is hardly more than that is one block, and so is one of which the network looks at everything.

use crate::region::Rect;

/// What a network draws for a block, at a side, in pixels of the reduced picture.
const DRAWN_SIDE_PX: f64 = 1024.0;
/// Up to so many pixels of the reduced picture it is drawn as one block.
const WHOLE_PX: f64 = 1.5 * DRAWN_SIDE_PX * DRAWN_SIDE_PX;
/// Sides are multiples of this, as are GIMP's and GEGL's own tiles.
const STEP_PX: i32 = 128;

/// A picture's blocks. Everything is in pixels from its top left corner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Blocks {
    picture: Rect,
    side: i32,
}

impl Blocks {
    /// `reach_px` is how far the network looks, in pixels of the reduced picture.
    pub(super) fn new(width: i32, height: i32, reach_px: u32, brush_size: f32) -> Self {
        let brush_size = f64::from(brush_size).max(1.0);
        let picture = Rect::new(0, 0, width, height);
        let longest = width.max(height);
        let reduced_px = f64::from(width) * f64::from(height) / (brush_size * brush_size);
        let drawn = DRAWN_SIDE_PX.max(3.0 * f64::from(reach_px));
        let side = (drawn - 2.0 * f64::from(reach_px)) * brush_size;
        let is_whole = reduced_px <= WHOLE_PX || side >= f64::from(longest);
        let side = if is_whole { longest } else { (side as i32 / STEP_PX).max(1) * STEP_PX };
        Self { picture, side: side.max(1) }
    }

    /// The blocks that hold some of this area, by rows.
    pub(super) fn of(self, area: Rect) -> Vec<Rect> {
        let Some(area) = area.within(self.picture) else { return Vec::new() };
        let places = |from: i32, length: i32| from / self.side..=(from + length - 1) / self.side;
        let rows = places(area.y, area.height);
        let block = |x: i32, y: i32| Rect::new(x * self.side, y * self.side, self.side, self.side);
        rows.flat_map(|y| places(area.x, area.width).filter_map(move |x| block(x, y).within(self.picture)))
            .collect()
    }

    /// The same, all together.
    pub(super) fn around(self, area: Rect) -> Option<Rect> {
        self.of(area).into_iter().reduce(joined)
    }
}

/// The smallest rectangle that holds both.
pub(super) fn joined(one: Rect, other: Rect) -> Rect {
    let (x, y) = (one.x.min(other.x), one.y.min(other.y));
    let right = (one.x + one.width).max(other.x + other.width);
    let below = (one.y + one.height).max(other.y + other.height);
    Rect::new(x, y, right - x, below - y)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_follow_from_what_is_drawn() {
        let check = |size: (i32, i32), reach_px, brush_size, expected| {
            let blocks = Blocks::new(size.0, size.1, reach_px, brush_size);
            assert_eq!(blocks.side, expected, "{size:?}, {reach_px}, {brush_size}");
        };
        check((4000, 3000), 168, 1.0, 640);
        check((4000, 3000), 168, 2.0, 1280);
        // As large as the brush size is chosen for it, it is hardly a megapixel for the network.
        check((4000, 3000), 168, 3.38, 4000);
        check((1200, 1000), 168, 1.0, 1200);
        check((2000, 1000), 168, 1.0, 640);
        check((9000, 200), 168, 1.0, 640);
        check((9000, 100), 168, 1.0, 9000);
        check((4000, 3000), 500, 1.0, 500 / 128 * 128);
        check((4000, 3000), u32::MAX, 1.0, 4000);
    }

    #[test]
    fn blocks_cover_an_area_and_end_with_the_picture() {
        let blocks = Blocks::new(2000, 1000, 168, 1.0);
        let check = |area, expected: &[Rect], around| {
            assert_eq!(blocks.of(area), expected, "{area:?}");
            assert_eq!(blocks.around(area), around, "{area:?}");
        };
        let first = Rect::new(0, 0, 640, 640);
        check(Rect::new(0, 0, 1, 1), &[first], Some(first));
        check(Rect::new(639, 639, 1, 1), &[first], Some(first));
        let last = Rect::new(1920, 640, 80, 360);
        check(Rect::new(1990, 990, 100, 100), &[last], Some(last));
        check(
            Rect::new(600, 600, 80, 80),
            &[first, Rect::new(640, 0, 640, 640), Rect::new(0, 640, 640, 360), Rect::new(640, 640, 640, 360)],
            Some(Rect::new(0, 0, 1280, 1000)),
        );
        check(Rect::new(-50, 0, 50, 50), &[], None);
    }
}
