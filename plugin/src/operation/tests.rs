//! The operation without GEGL: over pictures of arrays, with a daemon that inverts.

use std::time::Duration;

use super::*;
use crate::fake::{Daemon, Deed, Fake};

/// Much longer than anything takes on any machine.
const STUCK: Duration = Duration::from_secs(60);
/// Where the picture lies in the graph.
const CORNER: (i32, i32) = (-20, 30);

/// What is below, and the tile that is being drawn.
struct Canvas {
    below: Fake,
    shown: Vec<u8>,
}

impl Canvas {
    /// Of 8-bit grey. Blocks are 896 pixels wide, as the daemon says how far its networks look.
    fn new(width: i32, height: i32) -> Self {
        let below = Fake::new(width, height, "Y' u8");
        let shown = vec![0; below.layer.len()];
        Self { below, shown }
    }

    fn picture(&self) -> Picture {
        let Rect { width, height, .. } = self.below.target.extent;
        let format = filter::pixel_format("Y' u8").expect("a format");
        let extent = Rect::new(CORNER.0, CORNER.1, width, height);
        Picture { extent, format, profile: Profile::default() }
    }

    fn rows(&self, area: Rect) -> impl Iterator<Item = std::ops::Range<usize>> + use<> {
        self.below.rows(Rect { x: area.x - CORNER.0, y: area.y - CORNER.1, ..area })
    }

    /// Draws an area; gives the trouble, if there was any.
    fn draw(&mut self, studio: &Studio, operation: &Operation, area: Rect) -> Option<Trouble> {
        let picture = self.picture();
        let needed = operation.needed_for(studio, &picture, area);
        assert!(needed.is_ok_and(|needed| joined(needed, area) == needed));
        operation.draw(studio, &picture, area, self).err()
    }

    /// Whether an area is shown as the daemon draws it.
    fn is_drawn(&self, area: Rect) -> bool {
        self.rows(area).all(|row| {
            let below = &self.below.layer[row.clone()];
            self.shown[row].iter().zip(below).all(|(shown, below)| *shown == !*below)
        })
    }
}

impl Buffers for Canvas {
    fn read(&mut self, area: Rect, pixels: &mut [u8]) {
        for (row, to) in self.rows(area).zip(pixels.chunks_exact_mut(area.width as usize)) {
            to.copy_from_slice(&self.below.layer[row]);
        }
    }

    fn write(&mut self, area: Rect, pixels: &[u8]) {
        for (row, from) in self.rows(area).zip(pixels.chunks_exact(area.width as usize)) {
            self.shown[row].copy_from_slice(from);
        }
    }
}

/// With the finest brush, with which a picture is cut into blocks soonest.
fn finest() -> Operation {
    let operation = Operation::new();
    operation.set(2, Value::Number(1.0));
    operation
}

fn studio(daemon: &Daemon, patience: Duration) -> Studio {
    let connect = std::sync::Mutex::new(daemon.connector());
    Studio::with_patience(Arc::new(move || connect.lock().expect("nobody panics")()), patience)
}

#[test]
fn every_tile_is_drawn_and_every_block_once() {
    const EACH: [Deed; 6] = [Deed::Invert; 6];
    let daemon = Daemon::start([&EACH]);
    let studio = studio(&daemon, STUCK);
    let (operation, mut canvas) = (finest(), Canvas::new(2000, 900));
    let whole = canvas.picture().extent;
    // From the last one to the first, of sizes that don't fit.
    for y in (0..900).step_by(110).rev() {
        for x in (0..2000).step_by(333).rev() {
            let tile = Rect::new(CORNER.0 + x, CORNER.1 + y, 333, 110).within(whole).expect("a tile");
            assert!(canvas.draw(&studio, &operation, tile).is_none(), "{tile:?}");
            assert!(canvas.is_drawn(tile), "{tile:?}");
        }
    }
    assert!(canvas.is_drawn(whole));
    // Another operation finds all of it.
    canvas.shown.fill(0);
    assert!(canvas.draw(&studio, &finest(), whole).is_none());
    assert!(canvas.is_drawn(whole));
    drop(studio);
    assert!(daemon.finish().iter().all(|spec| spec.place.is_some()));
}

#[test]
fn all_at_once_is_asked_for_at_once() {
    let daemon = Daemon::start([&[Deed::Invert]]);
    let studio = studio(&daemon, STUCK);
    let mut canvas = Canvas::new(2000, 900);
    let whole = canvas.picture().extent;
    assert!(canvas.draw(&studio, &finest(), whole).is_none());
    assert!(canvas.is_drawn(whole));
    drop(studio);
    assert_eq!(daemon.finish().len(), 1);
}

#[test]
fn what_changes_is_drawn_anew_and_what_comes_back_is_there() {
    let daemon = Daemon::start([&[Deed::Invert, Deed::Invert, Deed::Invert]]);
    let studio = studio(&daemon, STUCK);
    let (operation, mut canvas) = (Operation::new(), Canvas::new(300, 200));
    let (picture, whole) = (canvas.picture(), canvas.picture().extent);
    let show = |canvas: &mut Canvas, operation: &Operation, what: &str| {
        canvas.shown.fill(0);
        assert!(canvas.draw(&studio, operation, whole).is_none(), "{what}");
        assert!(canvas.is_drawn(whole), "{what}");
    };
    show(&mut canvas, &operation, "at first");
    let before = canvas.below.layer.clone();
    canvas.below.layer[7777] ^= 0xff;
    let spot = Rect::new(CORNER.0 + 7777 % 300, CORNER.1 + 7777 / 300, 1, 1);
    // As far as the network looks, from a place on its grid.
    let changed = operation.changed_by(&studio, Some(&picture), spot);
    let around = spot.x - CORNER.0 - 8;
    assert_eq!((changed.x - CORNER.0) / 8, around / 8);
    assert!(changed.x <= spot.x - 8 && changed.x + changed.width >= spot.x + 9, "{changed:?}");
    assert!(changed.width < 40 && changed.height < 40, "{changed:?}");
    show(&mut canvas, &operation, "painted");
    canvas.below.layer = before;
    operation.changed_by(&studio, Some(&picture), spot);
    show(&mut canvas, &operation, "undone");

    // Other values, and back.
    operation.set(1, Value::Number(0.5));
    show(&mut canvas, &operation, "half");
    operation.set(1, Value::Number(1.0));
    show(&mut canvas, &operation, "all");
    drop(studio);
    let strengths: Vec<_> = daemon.finish().iter().map(|spec| spec.strength).collect();
    assert_eq!(strengths, [1.0, 1.0, 0.5]);
}

#[test]
fn a_daemon_that_fails_is_told_once_and_left_alone() {
    let check = |deeds: &'static [Deed], patience, expected: &str| {
        // A connection that is lost is taken for one that has gone cold.
        let daemon = Daemon::start([deeds]);
        let studio = studio(&daemon, patience);
        let (operation, mut canvas) = (Operation::new(), Canvas::new(300, 200));
        let whole = canvas.picture().extent;
        let trouble = canvas.draw(&studio, &operation, whole).expect("trouble");
        let words = studio.words(&trouble).expect("words");
        assert!(words.contains(expected) && words.contains("shown without the style"), "{words}");
        assert_eq!(studio.words(&trouble), None, "it is told once");
        let again = operation.draw(&studio, &canvas.picture(), whole, &mut canvas);
        assert!(matches!(again, Err(Trouble::Resting)), "{again:?}");
        assert_eq!(studio.words(&Trouble::Resting), None);
        assert!(canvas.shown.iter().all(|byte| *byte == 0), "nothing is half drawn");
        drop(studio);
        daemon.finish();
    };
    check(&[Deed::Fail], STUCK, "there is no memory left");
    check(&[Deed::Stall], Duration::from_millis(300), "the daemon has got on with nothing");
}

#[test]
fn a_connection_that_is_lost_is_made_anew_once() {
    let daemon = Daemon::start([&[Deed::Die], &[Deed::Invert]]);
    let studio = studio(&daemon, STUCK);
    let mut canvas = Canvas::new(300, 200);
    let whole = canvas.picture().extent;
    assert!(canvas.draw(&studio, &Operation::new(), whole).is_none());
    assert!(canvas.is_drawn(whole));
    drop(studio);
    daemon.finish();
}

#[test]
fn what_makes_no_sense_is_told() {
    let daemon = Daemon::start([&[]]);
    let studio = studio(&daemon, STUCK);
    let operation = Operation::new();
    let picture = Canvas::new(300, 200).picture();
    let check = |index, value: Value, picture: &Picture, expected: &str| {
        operation.set(index, value);
        let trouble = operation.needed_for(&studio, picture, picture.extent).expect_err("trouble");
        assert!(trouble.to_string().contains(expected), "{trouble}");
        operation.set(index, PARAMS[index].default());
        assert!(operation.needed_for(&studio, &Canvas::new(9, 9).picture(), Rect::new(0, 0, 1, 1)).is_ok());
    };
    check(0, Value::Style("ochre".into()), &picture, "there is no style `ochre`; there are: cel, ink");
    check(1, Value::Number(2.0), &picture, "strength must be a number from 0 to 1");
    let endless = Rect::new(-(1 << 30), -(1 << 30), i32::MAX, i32::MAX);
    let endless = Picture { extent: endless, ..picture };
    check(1, Value::Number(1.0), &endless, "at most 262144 a side");
    drop(studio);
    daemon.finish();
}

#[test]
fn a_brush_size_has_no_gap() {
    for (set, expected) in [(0.0, 0.0), (0.4, 0.0), (0.6, 1.0), (1.0, 1.0), (1.3, 1.3), (64.0, 64.0)] {
        let operation = Operation::new();
        operation.set(2, Value::Number(set));
        assert_eq!(operation.value(2), Some(Value::Number(expected)), "{set}");
    }
}
