//! The preview without a widget: over a GIMP of arrays, with a daemon that inverts.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};

use super::*;
use crate::fake::{Daemon, Deed, Fake, settings, style};
use crate::params::Value;

use utsushi_ipc::protocol::BrushSize;

/// Much longer than anything takes on any machine.
const STUCK: Duration = Duration::from_secs(60);

const HERE: Rect = Rect::new(40, 50, 9, 5);
const THERE: Rect = Rect::new(90, 20, 9, 5);

/// A preview, and what it shows.
struct Stage {
    live: Live<Fake>,
    woken: Receiver<()>,
}

impl Stage {
    fn new(
        styles: &Arc<[StyleInfo]>,
        connect: impl FnMut() -> Result<Client, ClientError> + Send + 'static,
    ) -> Self {
        Self::with_moment(STUCK, styles, connect)
    }

    fn with_moment(
        moment: Duration,
        styles: &Arc<[StyleInfo]>,
        connect: impl FnMut() -> Result<Client, ClientError> + Send + 'static,
    ) -> Self {
        let (sender, woken) = mpsc::channel();
        let host = Fake::new(200, 150, "R'G'B'A u8");
        let live = Live::new(host, Arc::clone(styles), moment, connect, move || {
            sender.send(()).expect("somebody wants to know")
        });
        Self { live, woken }
    }

    fn ask(&mut self, strength: f64, area: Rect) {
        self.live.ask(Ok(settings(&[("strength", Value::Number(strength))])), whole(area));
    }

    /// Waits for the worker; is there something else to show?
    fn take(&mut self) -> bool {
        self.woken.recv_timeout(STUCK).expect("an answer");
        self.live.take().is_some()
    }

    /// Is this part of the layer shown as the daemon draws it?
    fn shows(&self, area: Rect) -> bool {
        self.look(area).is_some_and(|look| {
            let inverted = self.live.host.inverted(area);
            let drawn = self.live.host.rows(area).flat_map(|range| inverted[range].to_vec());
            let format = self.live.format().expect("a format");
            assert!(look.pixels == screen::pack(&drawn.collect::<Vec<_>>(), format, area), "{area:?}");
            true
        })
    }

    /// What is shown of this part of the layer.
    fn look(&self, area: Rect) -> Option<&Look> {
        self.live.look().filter(|look| look.frame == whole(area))
    }
}

/// A part of the layer itself.
fn whole(area: Rect) -> Frame {
    Frame { area, copy: Scaled::whole(Rect::new(0, 0, 200, 150)) }
}

fn styles() -> Arc<[StyleInfo]> {
    ["cel", "ink"].map(style).into()
}

fn strengths(pictures: &[StylizeSpec]) -> Vec<f32> {
    pictures.iter().map(|spec| spec.strength).collect()
}

#[test]
fn what_is_visible_is_drawn_with_what_the_network_sees_around_it() {
    let (styles, daemon) = (styles(), Daemon::start([&[Deed::Invert; 3]]));
    let mut stage = Stage::new(&styles, daemon.connector());
    let before = stage.live.host.layer.clone();
    stage.ask(1.0, HERE);
    assert!(stage.look(HERE).is_none(), "nothing waits for the daemon");
    assert!(stage.take() && stage.shows(HERE));
    assert!(stage.look(THERE).is_none());

    // The same again isn't drawn again, and other values aren't read again.
    stage.ask(1.0, HERE);
    stage.live.ask(
        Ok(settings(&[("output", Value::Whole(1)), ("style", Value::Style("cel".into()))])),
        whole(HERE),
    );
    stage.ask(0.5, HERE);
    assert!(stage.shows(HERE), "what was there stays until there is something else");
    assert!(stage.take() && stage.shows(HERE));
    assert_eq!(stage.live.host.reads, 1);

    // Beyond the layer there is nothing.
    let corner = Rect::new(195, 145, 5, 5);
    stage.ask(0.5, Rect::new(195, 145, 20, 20));
    assert!(stage.take() && stage.shows(corner));
    assert_eq!(stage.live.host.reads, 2);
    stage.ask(0.5, Rect::new(300, 300, 20, 20));
    assert_eq!(stage.live.trouble(), "");
    assert!(stage.live.host.layer == before && stage.live.host.shadow.is_none());

    drop(stage);
    let pictures = daemon.finish();
    assert_eq!(strengths(&pictures), [1.0, 0.5, 0.5]);
    assert!(pictures.iter().all(|spec| spec.raster.width() < 200), "only what the network sees is sent");
    for (spec, area) in pictures.iter().zip([HERE, HERE, corner]) {
        let place = spec.place.expect("it is a part of the layer");
        assert_eq!((place.width, place.height), (200, 150));
        let part = Rect::new(
            place.x as i32,
            place.y as i32,
            spec.raster.width() as i32,
            spec.raster.height() as i32,
        );
        assert_eq!(area.within(part), Some(area));
    }
}

#[test]
fn the_newest_order_wins() {
    let (styles, daemon) = (styles(), Daemon::start([&[Deed::Hold; 3]]));
    let mut stage = Stage::new(&styles, daemon.connector());
    stage.ask(0.1, HERE);
    let first = daemon.pictures.recv().expect("a picture");
    stage.ask(0.2, HERE);
    stage.ask(0.3, HERE);
    daemon.let_go();
    assert!(stage.take() && stage.shows(HERE), "of the same place, it is shown until the next is there");

    let third = daemon.pictures.recv().expect("a picture");
    stage.ask(0.4, THERE);
    daemon.let_go();
    let fourth = daemon.pictures.recv().expect("a picture");
    assert!(!stage.take() && stage.look(THERE).is_none(), "of another place, it isn't");
    daemon.let_go();
    assert!(stage.take() && stage.shows(THERE));

    drop(stage);
    assert_eq!(strengths(&[first, third, fourth]), [0.1, 0.3, 0.4]);
    assert!(daemon.finish().is_empty());
}

#[test]
fn a_long_picture_gives_way_to_a_newer_one() {
    let (styles, daemon) = (styles(), Daemon::start([&[Deed::Stall], &[Deed::Invert]]));
    let mut stage = Stage::with_moment(Duration::ZERO, &styles, daemon.connector());
    stage.ask(0.1, HERE);
    daemon.pictures.recv().expect("a picture");
    stage.ask(0.2, HERE);
    assert!(stage.take() && stage.shows(HERE));
    drop(stage);
    assert_eq!(strengths(&daemon.finish()), [0.2]);
}

#[test]
fn a_daemon_that_went_away_is_connected_to_anew() {
    let check = |first: &'static [Deed]| {
        let (styles, daemon) = (styles(), Daemon::start([first, &[Deed::Invert]]));
        let mut stage = Stage::new(&styles, daemon.connector());
        stage.ask(0.1, HERE);
        assert!(stage.take() && stage.shows(HERE));
        stage.ask(0.2, HERE);
        assert!(stage.take() && stage.shows(HERE), "{first:?}: {}", stage.live.trouble());
        assert_eq!(stage.live.trouble(), "");
        drop(stage);
        assert_eq!(strengths(&daemon.finish()), [0.1, 0.2, 0.2]);
    };
    check(&[Deed::Invert, Deed::Die]);
    check(&[Deed::Invert, Deed::GiveWay]);
}

#[test]
fn what_goes_wrong_is_said_until_it_is_right() {
    let styles = styles();
    let check = |deeds: [&'static [Deed]; 2], expected: &str| {
        let daemon = Daemon::start(deeds);
        let mut stage = Stage::new(&styles, daemon.connector());
        stage.ask(0.1, HERE);
        assert!(stage.take() && stage.look(HERE).is_none(), "{expected}");
        let trouble = stage.live.trouble();
        assert!(trouble.contains(expected), "{trouble}");
        // It isn't tried again by itself.
        stage.ask(0.1, HERE);
        stage.ask(0.2, HERE);
        assert!(stage.take() && stage.shows(HERE), "{expected}");
        assert_eq!(stage.live.trouble(), "");
        drop(stage);
        daemon.finish();
    };
    check([&[Deed::Fail], &[Deed::Invert]], "there is no memory left");
    check([&[Deed::Die], &[Deed::Invert]], "the daemon was lost");

    let socket = std::path::PathBuf::from("/nowhere/daemon.sock");
    let refuse = move || Err(ClientError::NotRunning { socket: socket.clone() });
    let mut stage = Stage::new(&styles, refuse);
    stage.ask(0.1, HERE);
    assert!(stage.take());
    assert!(stage.live.trouble().contains("no daemon is running"), "{}", stage.live.trouble());

    // What can't be asked for is said without a daemon.
    let oil = settings(&[("style", Value::Style("oil".into()))]);
    stage.live.ask(Ok(oil), whole(HERE));
    assert!(stage.live.trouble().contains("there is no style `oil`"), "{}", stage.live.trouble());
    stage.live.ask(Settings::parse(&[]), whole(HERE));
    assert!(stage.live.trouble().contains("values are needed"), "{}", stage.live.trouble());
    stage.live.forget();
    assert_eq!(stage.live.trouble(), "");
}

#[test]
fn what_nobody_wants_any_more_is_not_shown() {
    let (styles, daemon) = (styles(), Daemon::start([&[Deed::Stall], &[Deed::Invert]]));
    let mut stage = Stage::new(&styles, daemon.connector());
    stage.ask(0.1, HERE);
    daemon.pictures.recv().expect("a picture");
    stage.live.forget();
    stage.ask(0.1, HERE);
    assert!(stage.take() && stage.shows(HERE), "it is drawn anew");
    stage.live.forget();
    assert!(stage.look(HERE).is_none());
    drop(stage);
    assert_eq!(strengths(&daemon.finish()), [0.1]);
}

#[test]
fn nothing_comes_after_the_end() {
    for deed in [Deed::Hold, Deed::Stall] {
        let deeds: &'static [Deed] = if deed == Deed::Hold { &[Deed::Hold] } else { &[Deed::Stall] };
        let (styles, daemon) = (styles(), Daemon::start([deeds]));
        let Stage { mut live, woken } = Stage::new(&styles, daemon.connector());
        live.ask(Ok(settings(&[])), whole(HERE));
        daemon.pictures.recv().expect("a picture");
        drop(live);
        if deed == Deed::Hold {
            daemon.let_go();
        }
        daemon.finish();
        // The thread's end is the only news.
        assert_eq!(woken.recv_timeout(STUCK), Err(RecvTimeoutError::Disconnected), "{deed:?}");
    }
}

#[test]
fn a_copy_is_drawn_with_the_brush_that_it_takes() {
    let (styles, daemon) = (styles(), Daemon::start([&[Deed::Invert; 2]]));
    let mut stage = Stage::new(&styles, daemon.connector());
    let copy = Scaled::new(Rect::new(0, 0, 200, 150), 0.25);
    for brush in [8.0, 2.0] {
        let frame = Frame { area: copy.extent(), copy };
        stage.live.ask(Ok(settings(&[("brush-size", Value::Number(brush))])), frame);
        assert!(stage.take() && stage.live.look().is_some_and(|look| look.frame == frame));
    }
    drop(stage);
    let pictures = daemon.finish();
    let found: Vec<_> = pictures.iter().map(|spec| (spec.raster.width(), spec.brush_size)).collect();
    assert_eq!(found, [(50, BrushSize::Factor(2.0)), (50, BrushSize::Factor(1.0))]);
}

#[test]
fn what_is_not_selected_is_shown_as_it_is() {
    let (styles, daemon) = (styles(), Daemon::start([&[Deed::Invert; 2]]));
    let mut stage = Stage::new(&styles, daemon.connector());
    let half = Rect::new(0, 0, 44, 150);
    stage.live.host.selection = Some(half);
    stage.live.follow_selection();
    assert_eq!(stage.live.selected(), Some(half));
    stage.ask(1.0, HERE);
    assert!(stage.take());
    let drawn = stage.look(HERE).expect("it is drawn").pixels.clone();
    let before = stage.live.before(whole(HERE)).expect("a part").pixels.clone();
    let same = |x: usize| {
        (0..5).all(|y| drawn.bytes[(y * 9 + x) * 4..][..4] == before.bytes[(y * 9 + x) * 4..][..4])
    };
    assert_eq!((0..9).map(same).collect::<Vec<_>>(), [[false; 4].as_slice(), &[true; 5]].concat());

    // Another selection has it drawn anew.
    stage.live.host.selection = Some(stage.live.host.target.extent);
    stage.live.follow_selection();
    assert!(stage.live.look().is_none());
    stage.ask(1.0, HERE);
    assert!(stage.take() && stage.shows(HERE));
    drop(stage);
    daemon.finish();
}

#[test]
fn a_layer_that_was_converted_is_drawn_as_it_is_then() {
    let (styles, daemon) = (styles(), Daemon::start([&[Deed::Invert]]));
    let mut stage = Stage::new(&styles, daemon.connector());
    stage.live.target.encoding = "of a palette".into();
    stage.ask(1.0, HERE);
    assert!(stage.live.before(whole(HERE)).is_none() && !stage.live.trouble().is_empty());
    stage.live.renew();
    assert_eq!(stage.live.trouble(), "");
    stage.ask(1.0, HERE);
    assert!(stage.take() && stage.shows(HERE) && stage.live.before(whole(HERE)).is_some());
    drop(stage);
    daemon.finish();
}
