//! Which part of a layer a preview shows, and how large: fitting, zooming and moving.

use crate::region::Rect;

/// The largest zoom: pixels of the screen a pixel of the layer.
const MOST: f64 = 8.0;
/// The smallest zoom at which the whole of a huge layer fits.
const LEAST: f64 = 1.0 / 2048.0;
/// Pixels that the network may have to draw for a preview: what a whole layer has at the automatic brush size, and more.
const NETWORK_PX: f64 = 1.3e6;

/// What is seen. Places on the screen are from the preview's top left corner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct View {
    /// In pixels.
    layer: (f64, f64),
    /// What there is on the screen, in pixels.
    room: (f64, f64),
    /// Unless all of the layer is to be seen.
    zoom: Option<f64>,
    /// The place of the layer in the middle of the screen.
    centre: (f64, f64),
}

/// How well a reduced copy shows what the layer will look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Likeness {
    /// It is the layer.
    Exact,
    /// Strokes are as large as they will be.
    Reduced,
    /// Strokes are larger than they will be.
    Coarse,
}

impl View {
    /// Shows all of a layer of this size.
    pub(crate) fn new(width: i32, height: i32) -> Self {
        let layer = (f64::from(width.max(1)), f64::from(height.max(1)));
        Self { layer, room: (1.0, 1.0), zoom: None, centre: (layer.0 / 2.0, layer.1 / 2.0) }
    }

    /// The preview has another size on the screen.
    pub(crate) fn set_room(&mut self, (width, height): (i32, i32)) {
        self.room = (f64::from(width.max(1)), f64::from(height.max(1)));
        self.hold();
    }

    /// At which all of the layer is seen; small layers aren't enlarged.
    fn fitting(&self) -> f64 {
        (self.room.0 / self.layer.0).min(self.room.1 / self.layer.1).clamp(LEAST, 1.0)
    }

    /// Pixels of the screen a pixel of the layer.
    pub(crate) fn scale(&self) -> f64 {
        self.zoom.unwrap_or_else(|| self.fitting())
    }

    /// Shows all of the layer.
    pub(crate) fn fit(&mut self) {
        self.zoom = None;
        self.hold();
    }

    /// Shows the layer's own pixels.
    pub(crate) fn one_to_one(&mut self) {
        self.zoom = Some(1.0);
        self.hold();
    }

    /// One step nearer, or farther, of a factor of the square root of 2; what is at this place of the screen stays there.
    pub(crate) fn step(&mut self, nearer: bool, (x, y): (f64, f64)) {
        let (at, scale) = (self.to_layer((x, y)), self.scale());
        let steps = 2.0 * scale.log2();
        let next = if nearer { (steps + 0.01).floor() + 1.0 } else { (steps - 0.01).ceil() - 1.0 };
        let next = (next / 2.0).exp2().min(MOST);
        self.zoom = (next > self.fitting() || nearer).then_some(next.max(LEAST));
        let scale = self.scale();
        self.centre = (at.0 - (x - self.room.0 / 2.0) / scale, at.1 - (y - self.room.1 / 2.0) / scale);
        self.hold();
    }

    /// Moves the layer by so many pixels of the screen.
    pub(crate) fn drag(&mut self, dx: f64, dy: f64) {
        let scale = self.scale();
        self.centre = (self.centre.0 - dx / scale, self.centre.1 - dy / scale);
        self.hold();
    }

    /// The middle of the screen.
    pub(crate) fn middle(&self) -> (f64, f64) {
        (self.room.0 / 2.0, self.room.1 / 2.0)
    }

    /// Where the layer's top left corner lies on the screen: on whole pixels, so that nothing is blurred.
    pub(crate) fn origin(&self) -> (f64, f64) {
        let scale = self.scale();
        let at = |room: f64, centre: f64| (room / 2.0 - centre * scale).round();
        (at(self.room.0, self.centre.0), at(self.room.1, self.centre.1))
    }

    fn to_layer(self, (x, y): (f64, f64)) -> (f64, f64) {
        let (scale, origin) = (self.scale(), self.origin());
        ((x - origin.0) / scale, (y - origin.1) / scale)
    }

    /// The part of the layer that is seen.
    pub(crate) fn visible(&self) -> Rect {
        let (from, to) = (self.to_layer((0.0, 0.0)), self.to_layer(self.room));
        let clip = |px: f64, most: f64| px.clamp(0.0, most) as i32;
        let (x, y) = (clip(from.0.floor(), self.layer.0), clip(from.1.floor(), self.layer.1));
        let (right, below) = (clip(to.0.ceil(), self.layer.0), clip(to.1.ceil(), self.layer.1));
        Rect::new(x, y, right - x, below - y)
    }

    /// Which copy of the layer is to be drawn for it, of this brush size: pixels of the copy a pixel of the layer. It is large
    /// enough for the screen and for the style's strokes, unless that would take too long.
    pub(crate) fn copy(&self, brush_size: f32) -> (f64, Likeness) {
        let scale = self.scale();
        if scale >= 1.0 {
            return (1.0, Likeness::Exact);
        }
        let Rect { width, height, .. } = self.visible();
        let wanted = scale.max(1.0 / f64::from(brush_size));
        let possible = (NETWORK_PX / (f64::from(width) * f64::from(height)).max(1.0)).sqrt().max(scale);
        match wanted {
            wanted if wanted > possible => (possible, Likeness::Coarse),
            wanted if wanted < 1.0 => (wanted, Likeness::Reduced),
            _ => (1.0, Likeness::Exact),
        }
    }

    /// Keeps the layer where it can be seen: in the middle, or without a gap beside it.
    fn hold(&mut self) {
        let scale = self.scale();
        let hold = |centre: f64, layer: f64, room: f64| {
            let half = room / scale / 2.0;
            if layer <= half * 2.0 { layer / 2.0 } else { centre.clamp(half, layer - half) }
        };
        self.centre =
            (hold(self.centre.0, self.layer.0, self.room.0), hold(self.centre.1, self.layer.1, self.room.1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(layer: (i32, i32), room: (i32, i32)) -> View {
        let mut view = View::new(layer.0, layer.1);
        view.set_room(room);
        view
    }

    #[test]
    fn all_of_a_layer_is_seen_at_first() {
        let check = |layer: (i32, i32), room, scale: f64, origin| {
            let view = view(layer, room);
            assert!((view.scale() - scale).abs() < 1e-9, "{layer:?} in {room:?}: {}", view.scale());
            assert_eq!(view.visible(), Rect::new(0, 0, layer.0, layer.1), "{layer:?} in {room:?}");
            assert_eq!(view.origin(), origin, "{layer:?} in {room:?}");
        };
        check((4000, 3000), (400, 400), 0.1, (0.0, 50.0));
        check((3000, 4000), (400, 400), 0.1, (50.0, 0.0));
        check((100, 50), (400, 400), 1.0, (150.0, 175.0));
        check((1, 1), (400, 400), 1.0, (200.0, 200.0));
        check((500_000, 1), (400, 400), 0.0008, (0.0, 200.0));
    }

    #[test]
    fn steps_lead_to_1_to_1_and_back_to_all() {
        let mut view = view((4000, 3000), (400, 300));
        let mut scales = Vec::new();
        for _ in 0..20 {
            view.step(true, view.middle());
            scales.push(view.scale());
        }
        assert!(scales.windows(2).all(|pair| pair[0] <= pair[1]), "{scales:?}");
        assert!(scales.contains(&1.0) && scales.last() == Some(&8.0), "{scales:?}");
        for _ in 0..20 {
            view.step(false, view.middle());
        }
        assert_eq!((view.zoom, view.visible()), (None, Rect::new(0, 0, 4000, 3000)));
    }

    #[test]
    fn what_is_under_the_pointer_stays_there() {
        let mut view = view((4000, 3000), (400, 300));
        view.one_to_one();
        for place in [(100.0, 200.0), (399.0, 1.0)] {
            let before = view.to_layer(place);
            view.step(true, place);
            let after = view.to_layer(place);
            assert!(
                (before.0 - after.0).abs() < 1.0 && (before.1 - after.1).abs() < 1.0,
                "{before:?} {after:?}"
            );
        }
    }

    #[test]
    fn nothing_is_dragged_off_the_screen() {
        let mut view = view((1000, 800), (400, 300));
        view.one_to_one();
        assert_eq!(view.visible(), Rect::new(300, 250, 400, 300));
        view.drag(10.0, -20.0);
        assert_eq!(view.visible(), Rect::new(290, 270, 400, 300));
        view.drag(1e6, 1e6);
        assert_eq!((view.visible(), view.origin()), (Rect::new(0, 0, 400, 300), (0.0, 0.0)));
        view.drag(-1e6, -1e6);
        assert_eq!(view.visible(), Rect::new(600, 500, 400, 300));
        view.set_room((2000, 300));
        assert_eq!((view.visible().x, view.origin().0), (0, 500.0));
    }

    #[test]
    fn copies_are_as_large_as_screen_and_strokes_need() {
        let check = |layer: (i32, i32), brush: f32, expected: (f64, Likeness)| {
            let (scale, likeness) = view(layer, (600, 450)).copy(brush);
            assert!(
                (scale - expected.0).abs() < 1e-3 && likeness == expected.1,
                "{layer:?}, {brush}: {scale} {likeness:?}"
            );
        };
        // As large as the screen is enough for broad strokes.
        check((4000, 3000), 16.0, (0.15, Likeness::Reduced));
        check((4000, 3000), 3.383, (0.2956, Likeness::Reduced));
        check((4000, 3000), 1.0, (0.3291, Likeness::Coarse));
        check((1000, 750), 1.0, (1.0, Likeness::Exact));
        check((500, 400), 1.0, (1.0, Likeness::Exact));
        check((60_000, 45_000), 1.0, (0.0219, Likeness::Coarse));
        check((60_000, 45_000), 50.7, (0.0197, Likeness::Reduced));
    }
}
