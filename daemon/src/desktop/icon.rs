//! The icon: a seal with a brush in it, and what it tells at the size of a panel.
//!
//! It is drawn by a few shapes on a grid of 24 x 24, and drawn anew for every size, so that its edges are those of its
//! pixels. `packaging/icons` has the same shapes as a file, for what is not the tray.

use super::state::Face;

/// The grid's side.
const GRID: f32 = 24.0;
/// What panels ask for: 16 px and up, some of them twice as fine as others.
const SIDES_PX: [usize; 6] = [16, 22, 24, 32, 44, 48];

const SEAL: Colour = [0xd2, 0x3c, 0x28];
const PAPER: Colour = [0xff, 0xfb, 0xf2];
const INK: Colour = [0x1c, 0x20, 0x28];
const DONE: Colour = [0x63, 0xd8, 0x7c];
const BUSY: Colour = [0x3f, 0xa7, 0xf5];
const WARNING: Colour = [0xff, 0xc8, 0x2e];

type Colour = [u8; 3];
type Point = (f32, f32);

#[derive(Debug, Clone, PartialEq)]
enum Shape {
    /// From its upper left corner, so wide and high, with corners of this radius.
    Rect(Point, Point, f32),
    /// Between two points, so thick, with round ends.
    Line(Point, Point, f32),
    Disc(Point, f32),
    Polygon(Vec<Point>),
}

/// The same in pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pixmap {
    pub(super) side_px: usize,
    /// Alpha, red, green and blue; the colours not multiplied with alpha.
    pub(super) argb: Vec<u8>,
}

/// The icon, at every size.
pub(super) fn pixmaps(face: Face) -> Vec<Pixmap> {
    let shapes = shapes(face);
    SIDES_PX.iter().map(|side_px| draw(&shapes, *side_px)).collect()
}

fn shapes(face: Face) -> Vec<(Shape, Colour)> {
    let mut shapes = vec![(Shape::Rect((1.0, 1.0), (22.0, 22.0), 5.5), SEAL)];
    match face {
        Face::Idle => brush(&mut shapes, 1.0, (0.0, 0.0)),
        Face::Working => {
            brush(&mut shapes, 1.0, (0.0, 0.0));
            shapes.push((Shape::Disc((18.0, 18.0), 6.0), INK));
            shapes.push((Shape::Disc((18.0, 18.0), 4.2), BUSY));
        }
        Face::Training(percent) => {
            brush(&mut shapes, 0.74, (3.2, -0.4));
            shapes.push((Shape::Rect((0.0, 16.5), (24.0, 7.0), 3.0), INK));
            let width = 20.0 * f32::from(percent.min(100)) / 100.0;
            if width > 0.0 {
                shapes.push((Shape::Rect((2.0, 18.5), (width, 3.0), 1.0), DONE));
            }
        }
        Face::Problem => {
            brush(&mut shapes, 0.8, (0.0, 0.0));
            shapes.push((Shape::Polygon(vec![(16.0, 8.0), (24.0, 23.5), (8.0, 23.5)]), INK));
            shapes.push((Shape::Polygon(vec![(16.0, 10.8), (22.0, 22.3), (10.0, 22.3)]), WARNING));
            shapes.push((Shape::Line((16.0, 14.6), (16.0, 17.8), 2.0), INK));
            shapes.push((Shape::Disc((16.0, 20.4), 1.1), INK));
        }
    }
    shapes
}

/// A brush that has just been put down, scaled and moved.
fn brush(shapes: &mut Vec<(Shape, Colour)>, scale: f32, (dx, dy): Point) {
    let at = |(x, y): Point| (x * scale + dx, y * scale + dy);
    let hair = [(11.2, 9.6), (14.4, 12.8), (13.6, 15.8), (11.0, 18.2), (4.6, 19.4), (7.0, 16.4), (8.0, 12.2)];
    shapes.push((Shape::Polygon(hair.map(at).to_vec()), PAPER));
    shapes.push((Shape::Line(at((14.5, 9.5)), at((18.6, 5.4)), 3.2 * scale), PAPER));
}

impl Shape {
    /// How far a point is outside; negative inside.
    fn distance(&self, (x, y): Point) -> f32 {
        match self {
            Self::Rect((left, top), (width, height), radius) => {
                let radius = radius.min(width / 2.0).min(height / 2.0);
                let over =
                    |at: f32, from: f32, size: f32| (at - from - size / 2.0).abs() - size / 2.0 + radius;
                let (dx, dy) = (over(x, *left, *width), over(y, *top, *height));
                dx.max(0.0).hypot(dy.max(0.0)) + dx.max(dy).min(0.0) - radius
            }
            Self::Line(from, to, width) => to_segment((x, y), *from, *to) - width / 2.0,
            Self::Disc((at_x, at_y), radius) => (x - at_x).hypot(y - at_y) - radius,
            Self::Polygon(points) => {
                let mut is_inside = false;
                let mut nearest = f32::INFINITY;
                let last = points.last().copied().unwrap_or_default();
                for (from, to) in std::iter::once(&last).chain(points).zip(points) {
                    nearest = nearest.min(to_segment((x, y), *from, *to));
                    let crosses = (from.1 > y) != (to.1 > y);
                    if crosses && x < from.0 + (y - from.1) / (to.1 - from.1) * (to.0 - from.0) {
                        is_inside = !is_inside;
                    }
                }
                if is_inside { -nearest } else { nearest }
            }
        }
    }

    fn svg(&self, [r, g, b]: Colour) -> String {
        let colour = format!("#{r:02x}{g:02x}{b:02x}");
        match self {
            Self::Rect((x, y), (width, height), radius) => format!(
                "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{radius}\" fill=\"{colour}\"/>"
            ),
            Self::Line(from, to, width) => format!(
                "<path d=\"M{} {} {} {}\" stroke=\"{colour}\" stroke-width=\"{width}\" stroke-linecap=\"round\"/>",
                from.0, from.1, to.0, to.1
            ),
            Self::Disc((x, y), radius) => {
                format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" fill=\"{colour}\"/>")
            }
            Self::Polygon(points) => {
                let points: Vec<_> = points.iter().map(|(x, y)| format!("{x},{y}")).collect();
                format!("<polygon points=\"{}\" fill=\"{colour}\"/>", points.join(" "))
            }
        }
    }
}

fn to_segment((x, y): Point, from: Point, to: Point) -> f32 {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let along = ((x - from.0) * dx + (y - from.1) * dy) / (dx * dx + dy * dy);
    let along = along.clamp(0.0, 1.0);
    (x - from.0 - along * dx).hypot(y - from.1 - along * dy)
}

/// Paints one over the other; an edge covers a pixel in so far as it passes its centre.
fn draw(shapes: &[(Shape, Colour)], side_px: usize) -> Pixmap {
    let scale = GRID / side_px as f32;
    let mut argb = Vec::with_capacity(side_px * side_px * 4);
    for y in 0..side_px {
        for x in 0..side_px {
            let centre = ((x as f32 + 0.5) * scale, (y as f32 + 0.5) * scale);
            // The colours are multiplied with alpha until the end.
            let (mut alpha, mut rgb) = (0.0, [0.0; 3]);
            for (shape, colour) in shapes {
                let cover = (0.5 - shape.distance(centre) / scale).clamp(0.0, 1.0);
                alpha = alpha * (1.0 - cover) + cover;
                rgb = std::array::from_fn(|c| rgb[c] * (1.0 - cover) + f32::from(colour[c]) * cover);
            }
            argb.push((alpha * 255.0_f32).round() as u8);
            argb.extend(rgb.map(|value| if alpha > 0.0 { (value / alpha).round() as u8 } else { 0 }));
        }
    }
    Pixmap { side_px, argb }
}

/// The icon at rest, as a file.
#[cfg_attr(not(test), expect(dead_code, reason = "the file is kept beside the program"))]
fn svg() -> String {
    let shapes: String =
        shapes(Face::Idle).iter().map(|(shape, colour)| format!("  {}\n", shape.svg(*colour))).collect();
    format!("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {GRID} {GRID}\">\n{shapes}</svg>\n")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const FACES: [Face; 6] = [
        Face::Idle,
        Face::Working,
        Face::Training(0),
        Face::Training(50),
        Face::Training(100),
        Face::Problem,
    ];

    /// `UTSUSHI_UPDATE_ICONS` writes the file anew.
    #[test]
    fn the_file_is_the_same_icon() {
        let path = "../packaging/icons/hicolor/scalable/apps/org.utsushi.Utsushi.svg";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        if std::env::var_os("UTSUSHI_UPDATE_ICONS").is_some() {
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(&path, svg()).expect("written");
        }
        assert_eq!(std::fs::read_to_string(path).expect("the file"), svg());
    }

    #[test]
    fn faces_can_be_told_apart_at_every_size() {
        for (index, side_px) in SIDES_PX.iter().enumerate() {
            for (number, face) in FACES.iter().enumerate() {
                let pixmap = &pixmaps(*face)[index];
                assert_eq!((pixmap.side_px, pixmap.argb.len()), (*side_px, side_px * side_px * 4));
                for other in &FACES[..number] {
                    let other = &pixmaps(*other)[index];
                    let pairs = pixmap.argb.chunks(4).zip(other.argb.chunks(4));
                    let far = |(a, b): &(&[u8], &[u8])| a.iter().zip(*b).any(|(a, b)| a.abs_diff(*b) > 64);
                    let changed = pairs.filter(far).count();
                    assert!(changed * 40 > side_px * side_px, "{face:?} at {side_px} px: {changed}");
                }
            }
        }
    }

    #[test]
    fn shapes_cover_what_they_should() {
        /// Is the point inside?
        fn check(shape: &Shape, point: Point, expected: bool) {
            assert_eq!(shape.distance(point) < 0.0, expected, "{point:?} of {shape:?}");
        }
        let rect = Shape::Rect((0.0, 0.0), (10.0, 4.0), 2.0);
        check(&rect, (5.0, 2.0), true);
        check(&rect, (5.0, 0.1), true);
        check(&rect, (0.1, 0.1), false);
        check(&rect, (10.1, 2.0), false);
        let line = Shape::Line((0.0, 0.0), (4.0, 4.0), 1.0);
        check(&line, (2.0, 2.3), true);
        check(&line, (2.0, 3.0), false);
        check(&line, (4.3, 4.3), true);
        check(&Shape::Disc((1.0, 1.0), 1.0), (1.0, 1.9), true);
        check(&Shape::Disc((1.0, 1.0), 1.0), (1.9, 1.9), false);
        let triangle = Shape::Polygon(vec![(0.0, 0.0), (4.0, 0.0), (0.0, 4.0)]);
        check(&triangle, (1.0, 1.0), true);
        check(&triangle, (3.0, 3.0), false);
        check(&triangle, (-1.0, 1.0), false);
        // Its middle is all seal or brush, and its corners are nothing.
        let pixmap = draw(&shapes(Face::Idle), 24);
        assert_eq!(&pixmap.argb[..4], [0; 4]);
        assert_eq!(pixmap.argb[(12 * 24 + 3) * 4..][..4], [255, SEAL[0], SEAL[1], SEAL[2]]);
    }
}
