//! Rectangles of a layer, and how much around a selection the network has to see.

/// In pixels of the layer, from its top left corner. Laid out as `GeglRectangle` is.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rect {
    pub(crate) x: i32,
    pub(crate) y: i32,
    pub(crate) width: i32,
    pub(crate) height: i32,
}

/// The network's grid, in pixels of the reduced picture: a part of a picture that starts on it is drawn like the
/// same place of the whole.
const GRID_PX: f32 = 8.0;
/// How far colours spread under transparent pixels, in pixels of the picture.
const FILL_REACH_PX: i32 = 32;

impl Rect {
    pub(crate) const fn new(x: i32, y: i32, width: i32, height: i32) -> Self {
        Self { x, y, width, height }
    }

    /// What the two have in common.
    pub(crate) fn within(self, other: Self) -> Option<Self> {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        let width = (self.x + self.width).min(other.x + other.width) - x;
        let height = (self.y + self.height).min(other.y + other.height) - y;
        (width > 0 && height > 0).then_some(Self { x, y, width, height })
    }

    /// The part of these rows that lies within, with the rows counted from the top of `around`.
    pub(crate) fn rows_within(self, around: Self, first_row: u32, rows: u32) -> Option<Self> {
        let top = around.y + first_row as i32;
        let from = self.y.max(top);
        let to = (self.y + self.height).min(top + rows as i32);
        (from < to).then_some(Self { y: from, height: to - from, ..self })
    }

    /// What has to be drawn so that this part of the layer looks as if the whole had been: as far around it as the
    /// network looks, from a place on its grid on. With a brush size of 1 the result is the same bit for bit;
    /// with others, where the grid falls between pixels, nearly.
    pub(crate) fn with_context(self, layer: Self, reach_px: u32, brush_size: f32) -> Self {
        let margin = (reach_px as f32 + 1.0) * brush_size;
        let margin = (margin.ceil() as i32).saturating_add(FILL_REACH_PX);
        let grid = (GRID_PX * brush_size).round().max(1.0) as i32;
        let (x, width) = widen((self.x, self.width), layer.width, margin, grid);
        let (y, height) = widen((self.y, self.height), layer.height, margin, grid);
        Self { x, y, width, height }
    }
}

/// Along one axis: start and length.
fn widen((start, length): (i32, i32), layer: i32, margin: i32, grid: i32) -> (i32, i32) {
    let from = start.saturating_sub(margin).max(0) / grid * grid;
    let end = start.saturating_add(length).saturating_add(margin);
    let to = (end.saturating_add(grid - 1) / grid * grid).min(layer);
    (from, to - from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_is_what_the_network_sees_and_never_beyond_the_layer() {
        let layer = Rect::new(0, 0, 1000, 800);
        let check = |selected: Rect, reach_px, brush_size, expected| {
            let found = selected.with_context(layer, reach_px, brush_size);
            assert_eq!(found, expected, "{selected:?}, {reach_px}, {brush_size}");
        };
        check(layer, 165, 1.0, layer);
        check(layer, 165, 4.7, layer);
        check(Rect::new(400, 300, 10, 10), 7, 1.0, Rect::new(360, 256, 96, 96));
        check(Rect::new(400, 300, 10, 10), 7, 2.0, Rect::new(352, 240, 112, 128));
        check(Rect::new(0, 790, 10, 10), 7, 1.0, Rect::new(0, 744, 56, 56));
        check(Rect::new(990, 0, 10, 10), 165, 64.0, layer);
        check(Rect::new(990, 0, 10, 10), u32::MAX, 64.0, layer);
    }

    #[test]
    fn two_have_a_part_in_common_or_none() {
        let layer = Rect::new(0, 0, 30, 20);
        let check = |other: Rect, expected| assert_eq!(other.within(layer), expected, "{other:?}");
        check(Rect::new(5, 6, 7, 8), Some(Rect::new(5, 6, 7, 8)));
        check(Rect::new(25, 15, 70, 80), Some(Rect::new(25, 15, 5, 5)));
        check(Rect::new(-5, -5, 7, 8), Some(Rect::new(0, 0, 2, 3)));
        check(Rect::new(30, 0, 5, 5), None);
        check(Rect::new(0, 20, 5, 5), None);
        check(Rect::new(5, 5, 0, 5), None);
    }

    #[test]
    fn rows_are_cut_to_the_selection() {
        let selected = Rect::new(5, 20, 7, 10);
        let around = Rect::new(0, 16, 40, 30);
        let check = |first_row, rows, expected: Option<(i32, i32)>| {
            let expected = expected.map(|(y, height)| Rect { y, height, ..selected });
            assert_eq!(selected.rows_within(around, first_row, rows), expected, "{first_row}, {rows}");
        };
        check(0, 4, None);
        check(0, 5, Some((20, 1)));
        check(0, 30, Some((20, 10)));
        check(6, 4, Some((22, 4)));
        check(13, 4, Some((29, 1)));
        check(14, 4, None);
    }
}
