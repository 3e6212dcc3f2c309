//! For tests: a GIMP of arrays, and a daemon that inverts every byte but talks like the real one.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle, ThreadId};

use tempfile::TempDir;
use utsushi_ipc::client::{Client, ClientError};
use utsushi_ipc::endpoint::{Connection, Listener};
use utsushi_ipc::pixels::PixelFormat;
use utsushi_ipc::protocol::{
    Fault, FaultKind, Hello, Profile, Progress, Reply, Request, StyleInfo, StylizeReport, StylizeSpec,
};
use utsushi_ipc::wire::{read_frame, write_frame};

use crate::filter::{Host, HostError, Rows, Target, TargetKind, pixel_format};
use crate::params::{Output, PARAMS, Param, Settings, Value};
use crate::region::Rect;

/// The fake network sees this far.
pub(crate) const REACH_PX: u32 = 7;

/// What a fake daemon does with a picture that it is sent, once it has the first band.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Deed {
    Invert,
    /// Waits to be let go on, then inverts.
    Hold,
    /// Lets others go first, then inverts.
    Wait,
    /// Does nothing until the client hangs up.
    Stall,
    /// Gives the band back, and is gone.
    Die,
    /// Gives the band back, and says that it can't go on.
    Fail,
    /// Says that the connection gave way to another while it was idle.
    GiveWay,
}

/// A daemon that serves one connection after the other.
pub(crate) struct Daemon {
    folder: TempDir,
    thread: JoinHandle<()>,
    /// What it was asked for, each as it gets its turn.
    pub(crate) pictures: Receiver<StylizeSpec>,
    go: Sender<()>,
}

impl Daemon {
    /// As many connections, each with as many pictures at most.
    pub(crate) fn start<const N: usize>(connections: [&'static [Deed]; N]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = Listener::bind(&folder.path().join("run/daemon.sock")).expect("a free path");
        let (begun, pictures) = mpsc::channel();
        let (go, gate) = mpsc::channel();
        let thread = thread::spawn(move || {
            for deeds in connections {
                serve(listener.accept().expect("a client"), deeds, &begun, &gate);
            }
        });
        Self { folder, thread, pictures, go }
    }

    /// What a client connects by, from any thread.
    pub(crate) fn connector(&self) -> impl Fn() -> Result<Client, ClientError> + Send + 'static {
        let socket = self.folder.path().join("run/daemon.sock");
        move || Client::connect(&socket)
    }

    /// Lets it go on with one picture that it holds.
    pub(crate) fn let_go(&self) {
        self.go.send(()).expect("it waits");
    }

    /// Waits until all connections have ended; gives the pictures that nobody has looked at yet.
    pub(crate) fn finish(self) -> Vec<StylizeSpec> {
        self.thread.join().expect("the daemon's script holds");
        self.pictures.iter().collect()
    }
}

fn serve(mut connection: Connection, deeds: &[Deed], begun: &Sender<StylizeSpec>, gate: &Receiver<()>) {
    let mut deeds = deeds.iter();
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
            Request::Stylize(mut spec) => {
                spec.profile = Profile(std::mem::take(&mut body).into());
                let rows = spec.raster.height();
                let deed = *deeds.next().unwrap_or_else(|| panic!("{spec:?} was not expected"));
                begun.send(spec).expect("the test waits");
                if draw(&mut connection, rows, deed, gate).is_none() {
                    break;
                }
            }
            other => panic!("{other:?} was not expected"),
        }
    }
}

pub(crate) fn style(id: &str) -> StyleInfo {
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

/// Nothing if the connection is of no more use.
fn draw(connection: &mut Connection, rows: u32, deed: Deed, gate: &Receiver<()>) -> Option<()> {
    let mut body = Vec::new();
    let mut rows_done = 0;
    while rows_done < rows {
        let Ok(Request::Rows(some)) = read_frame(connection, &mut body) else { return None };
        match deed {
            Deed::Hold if rows_done == 0 => gate.recv().ok()?,
            Deed::Wait if rows_done == 0 => {
                for behind in [Some(2), Some(2), Some(1), None] {
                    let waiting = Reply::Progress(Progress { rows_done, rows, behind });
                    write_frame(connection, &waiting, &[]).ok()?;
                }
            }
            Deed::GiveWay => {
                let fault = Fault::new(FaultKind::Busy, "this connection was idle, and gave way");
                write_frame(connection, &Reply::Fault(fault), &[]).ok()?;
                return None;
            }
            Deed::Stall => while read_frame::<Request>(connection, &mut body).is_ok() {},
            _ => {}
        }
        rows_done += some;
        body.iter_mut().for_each(|byte| *byte = !*byte);
        write_frame(connection, &Reply::Rows(some), &body).ok()?;
        let progress = Reply::Progress(Progress { rows_done, rows, behind: None });
        write_frame(connection, &progress, &[]).ok()?;
        match deed {
            Deed::Die => return None,
            Deed::Fail => {
                let fault = Fault::new(FaultKind::OutOfMemory, "there is no memory left");
                write_frame(connection, &Reply::Fault(fault), &[]).ok()?;
                return None;
            }
            _ => {}
        }
    }
    let report = StylizeReport { queued_ms: 0.0, engine_ms: 0.0, brush_size: 1.0 };
    write_frame(connection, &Reply::Stylized(report), &[]).ok()
}

/// A layer in no GIMP.
pub(crate) struct Fake {
    pub(crate) target: Target,
    pub(crate) selection: Option<Rect>,
    pub(crate) layer: Vec<u8>,
    pub(crate) pixel_bytes: usize,
    /// What was drawn but isn't seen yet.
    pub(crate) shadow: Option<(Output, Vec<u8>)>,
    pub(crate) new_layer: Option<(String, Vec<u8>)>,
    pub(crate) refuses: bool,
    pub(crate) progress: Vec<f64>,
    pub(crate) announced: Vec<String>,
    pub(crate) reads: usize,
    pub(crate) largest_band_bytes: usize,
    /// libgimp's only thread.
    pub(crate) thread: ThreadId,
}

impl Fake {
    pub(crate) fn new(width: i32, height: i32, encoding: &str) -> Self {
        let extent = Rect::new(0, 0, width, height);
        let pixel_bytes = pixel_format(encoding).map_or(1, PixelFormat::pixel_bytes);
        let bytes = width as usize * height as usize * pixel_bytes;
        Self {
            target: Target {
                kind: TargetKind::Layer,
                extent,
                encoding: encoding.into(),
                profile: Profile::default(),
                is_linear: false,
            },
            selection: Some(extent),
            layer: (0..bytes).map(|i| (i * 7 % 251) as u8).collect(),
            pixel_bytes,
            shadow: None,
            new_layer: None,
            refuses: false,
            progress: Vec::new(),
            announced: Vec::new(),
            reads: 0,
            largest_band_bytes: 0,
            thread: thread::current().id(),
        }
    }

    pub(crate) fn selecting(self, selection: Option<Rect>) -> Self {
        Self { selection, ..self }
    }

    pub(crate) fn of_kind(mut self, kind: TargetKind) -> Self {
        self.target.kind = kind;
        self
    }

    /// Where the rows of an area lie.
    pub(crate) fn rows(&self, area: Rect) -> impl Iterator<Item = std::ops::Range<usize>> + use<> {
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
    pub(crate) fn inverted(&self, area: Rect) -> Vec<u8> {
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
    /// Of a copy, the nearest pixels.
    fn read(&mut self, area: Rect, scale: f64, format: PixelFormat, pixels: &mut [u8]) {
        self.on_its_thread();
        self.reads += 1;
        assert_eq!(format.pixel_bytes(), self.pixel_bytes);
        self.largest_band_bytes = self.largest_band_bytes.max(pixels.len());
        let row_bytes = area.width as usize * self.pixel_bytes;
        for (y, row) in (area.y..).zip(pixels.chunks_exact_mut(row_bytes)) {
            for (x, pixel) in (area.x..).zip(row.chunks_exact_mut(self.pixel_bytes)) {
                let at = |px: i32| (f64::from(px) / scale) as i32;
                let range = self.rows(Rect::new(at(x), at(y), 1, 1)).next().expect("a pixel");
                pixel.copy_from_slice(&self.layer[range]);
            }
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

    fn announce(&mut self, what: &str) {
        self.on_its_thread();
        self.announced.push(what.into());
    }
}

impl Host for Fake {
    fn target(&mut self) -> Target {
        self.target.clone()
    }

    fn selection(&mut self) -> Option<Rect> {
        self.selection
    }

    fn mask(&mut self, area: Rect, scale: f64) -> Option<Vec<u8>> {
        let selected = self.selection.filter(|selected| *selected != self.target.extent)?;
        let pixels =
            (area.y..area.y + area.height).flat_map(|y| (area.x..area.x + area.width).map(move |x| (x, y)));
        let at = |px: i32| (f64::from(px) / scale) as i32;
        let is_selected = |(x, y)| Rect::new(at(x), at(y), 1, 1).within(selected).is_some();
        Some(pixels.map(|place| if is_selected(place) { 255 } else { 0 }).collect())
    }

    fn look_again(&mut self) {}

    /// The screen's colours are this one's.
    fn show(&self, _format: PixelFormat, _pixels: &mut [u8]) {}

    fn begin(&mut self, output: Output, _area: Rect) -> Result<(), HostError> {
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
}

/// The defaults, but for these values.
pub(crate) fn settings(changes: &[(&str, Value)]) -> Settings {
    let value = |param: &Param| {
        let change = changes.iter().find(|(name, _)| param.name.to_str() == Ok(name));
        change.map_or_else(|| param.default(), |(_, value)| value.clone())
    };
    Settings::parse(&PARAMS.iter().map(value).collect::<Vec<_>>()).expect("values")
}
