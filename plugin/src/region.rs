//! Rectangles of a layer, and how much around a selection the network has to see.

use utsushi_ipc::protocol::BrushSize;

/// In pixels of the layer, from its top left corner. Laid out as `GeglRectangle` is.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Rect {
    pub(crate) x: i32,
    pub(crate) y: i32,
    pub(crate) width: i32,
    pub(crate) height: i32,
}

/// The networks' grid, in pixels of the reduced picture: one that doesn't know where its pixels lie in the picture draws
/// a part that starts on it like the same place of the whole.
const GRID_PX: f64 = 8.0;
/// How far colours spread under transparent pixels, in pixels of the picture: eight cells of eight pixels beyond their
/// own.
const FILL_REACH_PX: i32 = 72;
/// What reducing and enlarging look at, in pixels of the reduced picture: the one on whose place a pixel lies may not be
/// the nearest, beside which another counts, and the one at the border may be cut.
const SCALE_REACH_PX: u32 = 3;

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

    /// What has to be drawn so that this part of the layer is drawn as if the whole had been, bit for bit: as far around
    /// it as the network and the steps around it look.
    pub(crate) fn with_context(self, layer: Self, reach_px: u32, brush_size: f32, has_alpha: bool) -> Self {
        let is_reduced = brush_size > 1.0;
        let reach_px = reach_px.saturating_add(if is_reduced { SCALE_REACH_PX } else { 1 });
        let margin = (reach_px as f32 * brush_size).ceil() as i32;
        let margin = margin.saturating_add(if has_alpha { FILL_REACH_PX } else { 0 });
        let (x, width) = widen((self.x, self.width), layer.width, margin, brush_size);
        let (y, height) = widen((self.y, self.height), layer.height, margin, brush_size);
        Self { x, y, width, height }
    }
}

/// Along one axis: start and length.
fn widen((start, length): (i32, i32), layer: i32, margin: i32, brush_size: f32) -> (i32, i32) {
    let reduced = (f64::from(layer) / f64::from(brush_size)).round().max(1.0);
    let grid = GRID_PX * f64::from(layer) / reduced;
    let from = f64::from(start.saturating_sub(margin).max(0));
    // Where the grid falls into a pixel, the next one is the first that lies on it wholly.
    let from = ((from / grid).floor() * grid).ceil() as i32;
    let to = start.saturating_add(length).saturating_add(margin).min(layer);
    (from, to - from)
}

/// A layer, or a copy of it that is smaller by a factor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scaled {
    layer: Rect,
    /// Pixels of the copy a pixel of the layer, up to 1.
    pub(crate) scale: f64,
}

impl Scaled {
    /// The layer itself.
    pub(crate) fn whole(layer: Rect) -> Self {
        Self { layer, scale: 1.0 }
    }

    /// A copy.
    pub(crate) fn new(layer: Rect, scale: f64) -> Self {
        Self { layer, scale: scale.min(1.0) }
    }

    /// Its pixels. Those at the border that the layer doesn't fill are left out.
    pub(crate) fn extent(self) -> Rect {
        let side = |px: i32| ((f64::from(px) * self.scale + 1e-6).floor() as i32).max(1);
        Rect::new(0, 0, side(self.layer.width), side(self.layer.height))
    }

    /// The copy's part that shows this part of the layer, if there is one.
    pub(crate) fn part(self, area: Rect) -> Option<Rect> {
        let from = |px: i32| (f64::from(px) * self.scale).floor() as i32;
        let to = |px: i32| (f64::from(px) * self.scale).ceil() as i32;
        let (x, y) = (from(area.x), from(area.y));
        let part = Rect::new(x, y, to(area.x + area.width) - x, to(area.y + area.height) - y);
        part.within(self.extent())
    }

    /// The brush size at which the copy is drawn as the layer would be; the finest there is, if that would be finer.
    pub(crate) fn brush_size(self, size: BrushSize) -> f32 {
        let (width, height) = (self.layer.width.max(0) as u32, self.layer.height.max(0) as u32);
        let of_layer = size.resolve(width, height);
        if self.scale < 1.0 { (of_layer * self.scale as f32).max(1.0) } else { of_layer }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_is_what_the_network_sees_and_never_beyond_the_layer() {
        let layer = Rect::new(0, 0, 1000, 800);
        let check = |selected: Rect, reach_px, brush_size, has_alpha, expected| {
            let found = selected.with_context(layer, reach_px, brush_size, has_alpha);
            assert_eq!(found, expected, "{selected:?}, {reach_px}, {brush_size}, {has_alpha}");
        };
        let middle = Rect::new(400, 300, 10, 10);
        check(layer, 165, 1.0, false, layer);
        check(layer, 165, 4.7, true, layer);
        check(middle, 7, 1.0, false, Rect::new(392, 288, 26, 30));
        check(middle, 7, 1.0, true, Rect::new(320, 216, 170, 174));
        check(middle, 7, 2.0, false, Rect::new(368, 272, 62, 58));
        // 1000 pixels become 333, and 800 become 267.
        check(middle, 7, 3.0, false, Rect::new(361, 264, 79, 76));
        check(Rect::new(0, 790, 10, 10), 7, 1.0, false, Rect::new(0, 776, 18, 24));
        check(Rect::new(990, 0, 10, 10), 165, 64.0, false, layer);
        check(Rect::new(990, 0, 10, 10), u32::MAX, 64.0, true, layer);
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

    #[test]
    fn copies_are_drawn_as_their_layers() {
        let layer = Rect::new(0, 0, 4000, 3000);
        let check = |scale, area: Rect, extent, part, brush: f32| {
            let copy = Scaled::new(layer, scale);
            assert_eq!(copy.extent(), extent, "{scale}");
            assert_eq!(copy.part(area), part, "{scale}, {area:?}");
            let found = copy.brush_size(BrushSize::Factor(8.0));
            assert!((found - brush).abs() < 1e-5, "{scale}: {found}");
        };
        let middle = Rect::new(1001, 1001, 10, 10);
        check(1.0, middle, layer, Some(middle), 8.0);
        check(3.0, middle, layer, Some(middle), 8.0);
        check(0.25, middle, Rect::new(0, 0, 1000, 750), Some(Rect::new(250, 250, 3, 3)), 2.0);
        check(0.1, layer, Rect::new(0, 0, 400, 300), Some(Rect::new(0, 0, 400, 300)), 1.0);
        check(1e-4, layer, Rect::new(0, 0, 1, 1), Some(Rect::new(0, 0, 1, 1)), 1.0);
        check(0.3333, layer, Rect::new(0, 0, 1333, 999), Some(Rect::new(0, 0, 1333, 999)), 2.6664);
        check(0.5, Rect::new(4000, 0, 9, 9), Rect::new(0, 0, 2000, 1500), None, 4.0);
    }
}
