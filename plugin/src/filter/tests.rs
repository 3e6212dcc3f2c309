//! The filter over a GIMP of arrays, with a daemon that inverts every byte but talks like the real one.

use std::thread::{self, JoinHandle, ThreadId};

use tempfile::TempDir;
use utsushi_ipc::endpoint::{Connection, Listener};
use utsushi_ipc::protocol::{Fault, FaultKind, Hello, Progress, Reply, Request, StyleInfo, StylizeReport};
use utsushi_ipc::wire::{read_frame, write_frame};

use super::*;
use crate::params::{PARAMS, Param, Value};

/// The fake network sees this far.
const REACH_PX: u32 = 7;

/// What a fake daemon does with the picture that it is sent.
#[derive(Clone, Copy, PartialEq)]
enum Deed {
    Invert,
    /// Takes a band, gives it back, and is gone.
    Die,
    /// Takes a band, gives it back, and says that it can't go on.
    Fail,
}

/// A daemon for one connection; its thread ends with the pictures that it was asked for.
struct Daemon {
    folder: TempDir,
    thread: JoinHandle<Vec<StylizeSpec>>,
}

impl Daemon {
    fn start(deed: Deed) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = Listener::bind(&folder.path().join("run/daemon.sock")).expect("a free path");
        let thread = thread::spawn(move || serve(listener.accept().expect("a client"), deed));
        Self { folder, thread }
    }

    fn connect(&self) -> Result<Client, ClientError> {
        Client::connect(&self.folder.path().join("run/daemon.sock"))
    }
}

fn serve(mut connection: Connection, deed: Deed) -> Vec<StylizeSpec> {
    let mut specs = Vec::new();
    let mut body = Vec::new();
    let _: Hello = read_frame(&mut connection, &mut body).expect("a greeting");
    write_frame(&mut connection, &Hello::ours(), &[]).expect("the client reads");
    while let Ok(request) = read_frame(&mut connection, &mut body) {
        match request {
            Request::Styles => {
                for reply in [Reply::Style(style("cel")), Reply::Style(style("ink")), Reply::Done] {
                    write_frame(&mut connection, &reply, &[]).expect("the client reads");
                }
            }
            Request::Stylize(spec) => {
                let rows = spec.raster.height();
                specs.push(spec);
                if !draw(&mut connection, rows, deed) {
                    break;
                }
            }
            other => panic!("{other:?} was not expected"),
        }
    }
    specs
}

fn style(id: &str) -> StyleInfo {
    StyleInfo {
        id: id.into(),
        name: id.to_uppercase(),
        author: String::new(),
        licence: String::new(),
        attribution: String::new(),
        built_in: true,
        reach_px: REACH_PX,
    }
}

/// False if the connection is of no more use.
fn draw(connection: &mut Connection, rows: u32, deed: Deed) -> bool {
    let mut body = Vec::new();
    let mut rows_done = 0;
    while rows_done < rows {
        let Ok(Request::Rows(some)) = read_frame(connection, &mut body) else { return false };
        rows_done += some;
        body.iter_mut().for_each(|byte| *byte = !*byte);
        write_frame(connection, &Reply::Rows(some), &body).expect("the client reads");
        let progress = Reply::Progress(Progress { rows_done, rows });
        write_frame(connection, &progress, &[]).expect("the client reads");
        match deed {
            Deed::Invert => {}
            Deed::Die => return false,
            Deed::Fail => {
                let fault = Fault::new(FaultKind::OutOfMemory, "there is no memory left");
                write_frame(connection, &Reply::Fault(fault), &[]).expect("the client reads");
                return false;
            }
        }
    }
    let report = StylizeReport { queued_ms: 0.0, engine_ms: 0.0, brush_size: 1.0 };
    write_frame(connection, &Reply::Stylized(report), &[]).expect("the client reads");
    true
}

/// A layer in no GIMP.
struct Fake {
    target: Target,
    selection: Option<Rect>,
    layer: Vec<u8>,
    pixel_bytes: usize,
    /// What was drawn but isn't seen yet.
    shadow: Option<(Output, Vec<u8>)>,
    new_layer: Option<(String, Vec<u8>)>,
    refuses: bool,
    progress: Vec<f64>,
    largest_band_bytes: usize,
    /// libgimp's only thread.
    thread: ThreadId,
}

impl Fake {
    fn new(width: i32, height: i32, encoding: &str) -> Self {
        let extent = Rect::new(0, 0, width, height);
        let pixel_bytes = pixel_format(encoding).map_or(1, PixelFormat::pixel_bytes);
        let bytes = width as usize * height as usize * pixel_bytes;
        Self {
            target: Target { kind: TargetKind::Layer, extent, encoding: encoding.into() },
            selection: Some(extent),
            layer: (0..bytes).map(|i| (i * 7 % 251) as u8).collect(),
            pixel_bytes,
            shadow: None,
            new_layer: None,
            refuses: false,
            progress: Vec::new(),
            largest_band_bytes: 0,
            thread: thread::current().id(),
        }
    }

    fn selecting(self, selection: Option<Rect>) -> Self {
        Self { selection, ..self }
    }

    fn of_kind(mut self, kind: TargetKind) -> Self {
        self.target.kind = kind;
        self
    }

    /// Where the rows of an area lie.
    fn rows(&self, area: Rect) -> impl Iterator<Item = std::ops::Range<usize>> + use<> {
        let (width, pixel_bytes) = (self.target.extent.width as usize, self.pixel_bytes);
        assert!(area.x >= 0 && area.x + area.width <= self.target.extent.width, "{area:?}");
        assert!(area.y >= 0 && area.y + area.height <= self.target.extent.height, "{area:?}");
        (area.y as usize..(area.y + area.height) as usize).map(move |y| {
            let start = (y * width + area.x as usize) * pixel_bytes;
            start..start + area.width as usize * pixel_bytes
        })
    }

    fn copy_rows(&self, area: Rect, from: &[u8], to: &mut [u8]) {
        for range in self.rows(area) {
            to[range.clone()].copy_from_slice(&from[range]);
        }
    }

    /// The layer as it should be: inverted in this area.
    fn inverted(&self, area: Rect) -> Vec<u8> {
        let mut layer = self.layer.clone();
        for range in self.rows(area) {
            layer[range].iter_mut().for_each(|byte| *byte = !*byte);
        }
        layer
    }

    fn on_its_thread(&self) {
        assert_eq!(thread::current().id(), self.thread, "libgimp is called on one thread");
    }
}

impl Rows for Fake {
    fn read(&mut self, area: Rect, format: PixelFormat, pixels: &mut [u8]) {
        self.on_its_thread();
        assert_eq!(format.pixel_bytes(), self.pixel_bytes);
        self.largest_band_bytes = self.largest_band_bytes.max(pixels.len());
        let row_bytes = area.width as usize * self.pixel_bytes;
        for (range, row) in self.rows(area).zip(pixels.chunks_exact_mut(row_bytes)) {
            row.copy_from_slice(&self.layer[range]);
        }
    }

    fn write(&mut self, area: Rect, _format: PixelFormat, pixels: &[u8]) {
        self.on_its_thread();
        self.largest_band_bytes = self.largest_band_bytes.max(pixels.len());
        let rows = self.rows(area);
        let (_, shadow) = self.shadow.as_mut().expect("the filter begins first");
        let row_bytes = area.width as usize * self.pixel_bytes;
        for (range, row) in rows.zip(pixels.chunks_exact(row_bytes)) {
            shadow[range].copy_from_slice(row);
        }
    }

    fn progress(&mut self, fraction: f64) {
        self.on_its_thread();
        self.progress.push(fraction);
    }
}

impl Host for Fake {
    fn target(&mut self) -> Target {
        self.target.clone()
    }

    fn selection(&mut self) -> Option<Rect> {
        self.selection
    }

    fn begin(&mut self, output: Output) -> Result<(), HostError> {
        self.shadow = Some((output, vec![0; self.layer.len()]));
        Ok(())
    }

    fn finish(&mut self, area: Rect, name: &str) -> Result<(), HostError> {
        let (output, shadow) = self.shadow.take().expect("the filter begins first");
        if self.refuses {
            return Err(HostError("do it"));
        }
        let mut drawn = self.layer.clone();
        self.copy_rows(area, &shadow, &mut drawn);
        match output {
            Output::Layer => self.layer = drawn,
            Output::NewLayer => self.new_layer = Some((name.into(), drawn)),
        }
        Ok(())
    }

    fn abandon(&mut self) {
        self.shadow = None;
    }

    fn announce(&mut self, _what: &str) {}
}

/// The defaults, but for these values.
fn settings(changes: &[(&str, Value)]) -> Settings {
    let value = |param: &Param| {
        let change = changes.iter().find(|(name, _)| param.name.to_str() == Ok(name));
        change.map_or_else(|| param.default(), |(_, value)| value.clone())
    };
    Settings::parse(&PARAMS.iter().map(value).collect::<Vec<_>>()).expect("values")
}

/// Runs the filter; gives what the daemon was asked for, too.
fn run_with(host: &mut Fake, settings: &Settings, deed: Deed) -> (Result<(), FilterError>, Vec<StylizeSpec>) {
    let daemon = Daemon::start(deed);
    let result = run(host, settings, || daemon.connect());
    (result, daemon.thread.join().expect("the daemon's script holds"))
}

#[test]
fn a_layer_is_drawn_in_its_own_format_or_a_finer_one() {
    use Channels::{Grey, GreyAlpha, Rgb, Rgba};
    let check = |encoding: &str, expected: Option<(Channels, Depth)>| {
        let expected = expected.map(|(channels, depth)| PixelFormat { channels, depth });
        assert_eq!(pixel_format(encoding), expected, "{encoding}");
    };
    check("R'G'B' u8", Some((Rgb, Depth::U8)));
    check("R'G'B'A u8", Some((Rgba, Depth::U8)));
    check("R'G'B'A u16", Some((Rgba, Depth::U16)));
    check("R'G'B'A u32", Some((Rgba, Depth::F32)));
    check("R'G'B'A half", Some((Rgba, Depth::F32)));
    check("R'G'B' float", Some((Rgb, Depth::F32)));
    check("R'G'B' double", Some((Rgb, Depth::F32)));
    check("Y' u8", Some((Grey, Depth::U8)));
    check("Y'A u16", Some((GreyAlpha, Depth::U16)));
    check("YA float", Some((GreyAlpha, Depth::F32)));
    check("RGBA float", Some((Rgba, Depth::F32)));
    // Fewer bits are enough for gamma-encoded values only.
    check("RGB u8", Some((Rgb, Depth::F32)));
    check("R~G~B~A u8", Some((Rgba, Depth::F32)));
    check("CMYK u8", None);
    check("R'G'B' u15", None);
    check("", None);
}

#[test]
fn a_whole_layer_goes_through_the_daemon_in_bands() {
    fn check(width: i32, height: i32, encoding: &str) {
        let mut host = Fake::new(width, height, encoding);
        let expected = host.inverted(host.target.extent);
        let (result, specs) = run_with(&mut host, &settings(&[]), Deed::Invert);
        result.unwrap_or_else(|error| panic!("{encoding}: {error}"));
        assert!(host.layer == expected, "{width} x {height} {encoding}");
        assert!(host.largest_band_bytes <= 2 << 20, "{} bytes", host.largest_band_bytes);
        assert_eq!(host.progress.last(), Some(&1.0));

        let raster = &specs[0].raster;
        assert_eq!((raster.width(), raster.height()), (width as u32, height as u32));
        assert_eq!(Some(raster.format()), pixel_format(encoding));
        let brush = BrushSize::Auto.resolve(width as u32, height as u32);
        assert_eq!(specs[0].brush_size, BrushSize::Factor(brush));
    }
    for model in ["Y'", "Y'A", "R'G'B'", "R'G'B'A"] {
        for samples in ["u8", "u16", "float"] {
            check(31, 17, &format!("{model} {samples}"));
        }
    }
    check(1, 1, "R'G'B'A u8");
    check(1300, 1100, "R'G'B'A float");
}

#[test]
fn a_selection_is_drawn_with_what_the_network_sees_around_it() {
    let selected = Rect::new(40, 50, 9, 5);
    let mut host = Fake::new(200, 150, "R'G'B'A u8").selecting(Some(selected));
    let expected = host.inverted(selected);
    let (result, specs) = run_with(&mut host, &settings(&[]), Deed::Invert);
    result.expect("it is drawn");
    assert!(host.layer == expected);
    let region = selected.with_context(host.target.extent, REACH_PX, 1.0);
    let raster = &specs[0].raster;
    assert_eq!((raster.width() as i32, raster.height() as i32), (region.width, region.height));
    assert!(region.width < 200 && region.height < 150);
}

#[test]
fn what_is_asked_for_reaches_the_daemon() {
    let number = Value::Number;
    let settings = settings(&[
        ("style", Value::Style("ink".into())),
        ("strength", number(0.5)),
        ("brush-size", number(2.5)),
        ("keep-colours", number(0.25)),
        ("second-style", Value::Style("cel".into())),
        ("second-share", number(0.25)),
    ]);
    let (result, specs) = run_with(&mut Fake::new(20, 10, "R'G'B' u8"), &settings, Deed::Invert);
    result.expect("it is drawn");
    let [spec] = &specs[..] else { panic!("{} pictures", specs.len()) };
    let share = |id: &str, share| StyleShare { id: id.into(), share };
    assert_eq!(spec.mix, [share("ink", 0.75), share("cel", 0.25)]);
    assert_eq!((spec.strength, spec.keep_colours), (0.5, 0.25));
    assert_eq!(spec.brush_size, BrushSize::Factor(2.5));
    assert_eq!(spec.priority, Priority::Interactive);
}

#[test]
fn a_new_layer_leaves_the_old_one_alone() {
    let mut host = Fake::new(20, 10, "R'G'B' u8");
    let (before, expected) = (host.layer.clone(), host.inverted(host.target.extent));
    let settings = settings(&[("output", Value::Choice(1))]);
    run_with(&mut host, &settings, Deed::Invert).0.expect("it is drawn");
    assert_eq!(host.layer, before);
    assert_eq!(host.new_layer, Some(("CEL".into(), expected)));
}

#[test]
fn what_cannot_be_drawn_on_is_said_before_the_daemon_is_asked() {
    fn check(host: Fake, changes: &[(&str, Value)], expected: &str) {
        let mut host = host;
        let before = host.layer.clone();
        let error =
            run(&mut host, &settings(changes), || panic!("no daemon is needed")).expect_err("a refusal");
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(host.layer, before);

        // A dialog isn't even shown where nothing that can be chosen in it would help.
        let is_hopeless = !matches!(host.target.kind, TargetKind::Layer | TargetKind::FloatingSelection);
        assert_eq!(super::check(&mut host).is_err(), is_hopeless, "{error}");
    }
    let host = || Fake::new(20, 10, "R'G'B' u8");
    let new_layer = [("output", Value::Choice(1))];
    check(host().of_kind(TargetKind::Group), &[], "choose a layer in it");
    check(host().of_kind(TargetKind::Mask), &[], "choose the layer itself");
    check(host().of_kind(TargetKind::Channel), &[], "choose a layer");
    check(host().of_kind(TargetKind::Indexed), &[], "Image > Mode > RGB");
    check(host().of_kind(TargetKind::Locked), &[], "unlock them");
    check(host().of_kind(TargetKind::FloatingSelection), &new_layer, "anchor it first");
    check(host().selecting(None), &[], "the selection doesn't touch the layer");
    check(Fake::new(20, 10, "CMYK u8"), &[], "`CMYK u8`");
}

#[test]
fn a_failure_leaves_the_layer_as_it_was() {
    fn check(host: Fake, style: &str, deed: Deed, expected: &str) {
        let mut host = host;
        let before = host.layer.clone();
        let settings = settings(&[("style", Value::Style(style.into()))]);
        let error = run_with(&mut host, &settings, deed).0.expect_err("a failure");
        assert!(error.to_string().contains(expected), "{error}");
        assert!(host.layer == before, "{error}");
        assert!(host.shadow.is_none() && host.new_layer.is_none(), "{error}");
    }
    let large = || Fake::new(1300, 1100, "R'G'B'A float");
    check(large(), "oil", Deed::Invert, "there is no style `oil`; there are: cel, ink");
    check(large(), "cel", Deed::Die, "the daemon was lost before it had finished");
    check(large(), "cel", Deed::Fail, "there is no memory left; the layer is unchanged");
    check(Fake { refuses: true, ..large() }, "cel", Deed::Invert, "GIMP could not do it");

    let mut host = large();
    let socket = std::path::PathBuf::from("/nowhere/daemon.sock");
    let error =
        run(&mut host, &settings(&[]), || Err(ClientError::NotRunning { socket })).expect_err("no daemon");
    assert!(error.to_string().contains("no daemon is running"), "{error}");
}

#[test]
fn a_look_is_of_8_bits_and_changes_nothing() {
    let area = Rect::new(40, 50, 9, 5);
    let look = |host: &mut Fake, area, deed| {
        let daemon = Daemon::start(deed);
        let styles = ["cel", "ink"].map(style);
        let look = preview(host, &settings(&[]), area, &styles, || daemon.connect());
        (look, daemon.thread.join().expect("the daemon's script holds"))
    };
    let mut host = Fake::new(200, 150, "R'G'B'A u8");
    let before = host.layer.clone();
    let rows = |host: &Fake, layer: &[u8], area| -> Vec<u8> {
        host.rows(area).flat_map(|range| layer[range].to_vec()).collect()
    };

    let (found, specs) = look(&mut host, area, Deed::Invert);
    let found = found.expect("something to show");
    assert_eq!(found.row_bytes, 9 * 4);
    assert_eq!(found.pixels, rows(&host, &host.inverted(area), area));
    assert!(specs[0].raster.width() < 200, "only what the network sees is sent");

    // Beyond the layer there is nothing to show.
    let beyond = Rect::new(195, 145, 20, 20);
    let (found, _) = look(&mut host, beyond, Deed::Invert);
    assert_eq!(found.expect("a corner").pixels.len(), 5 * 5 * 4);

    let (found, _) = look(&mut host, area, Deed::Fail);
    assert_eq!(found.expect("the layer as it is").pixels, rows(&host, &before, area));
    assert_eq!(host.layer, before);
    assert!(host.shadow.is_none());
}
