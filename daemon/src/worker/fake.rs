//! An engine for tests: it inverts pictures, and misbehaves as the style asks.

use std::{
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, Sender},
    },
    time::Duration,
};

use utsushi_ipc::{
    pixels::{Channels, Depth, PixelFormat, Raster},
    protocol::{BrushSize, Fault, FaultKind, PictureSpec, Priority, Profile, StyleShare, StylizeSpec},
};

use super::{Engine, Refusal, Stream};
use crate::memory::{Budget, Reservation, Supply};

/// Each byte inverted, and mixed with the seed, so that every request has its own result.
///
/// Styles: `invert`; `late` holds all rows back until the last; `looks-first` gives none before it is asked without
/// rows, and then a row at a time; `large` takes more than half of the memory; `gated` waits for leave before every band;
/// `unknown` isn't there; `panic-open`, `panic-push`, `fault-push`, `short`, `long` and `torn` fail in their ways,
/// those of a push at the second; `cursed` takes the whole engine along.
pub(crate) struct FakeEngine {
    events: Sender<Event>,
    gate: Arc<Mutex<Receiver<()>>>,
    loaded: Vec<String>,
    budget: Budget,
}

/// The engine's memory, in which two `large` pictures have no room together.
const ROOM: u64 = 100;
const LARGE: u64 = 60;

/// So that a test that fails doesn't hang.
const GATE_TIMEOUT: Duration = Duration::from_secs(60);

/// What the engine was asked for; jobs are told apart by their seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Opened(u64),
    Pushed(u64),
    Dropped(u64),
    Unloaded,
}

/// The test's side of the engine.
pub(crate) struct Remote {
    pub(crate) events: Receiver<Event>,
    /// A message lets one band of a `gated` picture pass; dropping it lets all pass.
    pub(crate) gate: Sender<()>,
}

impl FakeEngine {
    pub(crate) fn new() -> (Self, Remote) {
        let (event_sender, events) = mpsc::channel();
        let (gate, passes) = mpsc::channel();
        let gate_keeper = Arc::new(Mutex::new(passes));
        let budget = Budget::new(|| [Some(Supply { free: 2 * ROOM, held: 0 }), None, None]);
        let engine = Self { events: event_sender, gate: gate_keeper, loaded: Vec::new(), budget };
        (engine, Remote { events, gate })
    }
}

/// What the engine makes of these bytes.
pub(crate) fn redrawn(seed: u64, rows: &[u8]) -> Vec<u8> {
    rows.iter().map(|byte| !byte ^ seed as u8).collect()
}

/// A grey picture of 8 bits to be re-drawn in this style.
pub(crate) fn spec(style: &str, seed: u64, width: u32, height: u32) -> StylizeSpec {
    let format = PixelFormat { channels: Channels::Grey, depth: Depth::U8 };
    StylizeSpec {
        raster: Raster::new(width, height, format).expect("the test's picture is sound"),
        mix: vec![StyleShare { id: style.into(), share: 1.0 }],
        strength: 1.0,
        brush_size: BrushSize::Auto,
        keep_colours: 0.0,
        seed,
        grain: 1.0,
        place: None,
        priority: Priority::Interactive,
        profile: Profile::default(),
    }
}

impl Engine for FakeEngine {
    fn open(&mut self, job: &PictureSpec) -> Result<Box<dyn Stream>, Refusal> {
        let job = match job {
            PictureSpec::Stylize(job) => job,
            PictureSpec::Enlarge(job) => {
                let (row_bytes, times) = (job.raster().row_bytes(), job.scale().times() as usize);
                return Ok(Box::new(Repeated { row_bytes, times }));
            }
        };
        let style = job.mix[0].id.clone();
        let _ = self.events.send(Event::Opened(job.seed));
        match style.as_str() {
            "unknown" => return Err(Fault::new(FaultKind::UnknownStyle, "there is no such style").into()),
            "panic-open" => panic!("the test asked for it"),
            _ => {}
        }
        let bytes = if style == "large" { LARGE } else { 0 };
        let reservation = self.budget.reserve(bytes).map_err(|_no_room| {
            Refusal::Later(Fault::new(FaultKind::OutOfMemory, "no paper is left for a picture so large"))
        })?;
        if !self.loaded.contains(&style) {
            self.loaded.push(style.clone());
        }
        Ok(Box::new(FakeStream {
            style,
            seed: job.seed,
            events: self.events.clone(),
            gate: self.gate.clone(),
            missing_bytes: job.raster.total_bytes(),
            row_bytes: job.raster.row_bytes(),
            pushes: 0,
            kept: Vec::new(),
            reservation: Some(reservation),
        }))
    }

    fn unload(&mut self) {
        self.loaded.clear();
        let _ = self.events.send(Event::Unloaded);
    }

    fn loaded(&self) -> Vec<String> {
        assert!(!self.loaded.iter().any(|style| style == "cursed"), "the test asked for it");
        self.loaded.clone()
    }

    fn device(&self) -> String {
        "a pencil".into()
    }
}

/// Enlarges pictures of one byte a pixel by repeating each.
struct Repeated {
    row_bytes: usize,
    times: usize,
}

/// What the engine makes of these rows when it enlarges them.
pub(crate) fn repeated(rows: &[u8], row_bytes: usize, times: usize) -> Vec<u8> {
    let row = |row: &[u8]| row.iter().flat_map(|byte| vec![*byte; times]).collect::<Vec<_>>().repeat(times);
    rows.chunks(row_bytes).flat_map(row).collect()
}

impl Stream for Repeated {
    fn push(&mut self, rows: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        out.extend(repeated(rows, self.row_bytes, self.times));
        Ok(())
    }
}

struct FakeStream {
    style: String,
    seed: u64,
    events: Sender<Event>,
    gate: Arc<Mutex<Receiver<()>>>,
    missing_bytes: u64,
    row_bytes: usize,
    pushes: usize,
    kept: Vec<u8>,
    reservation: Option<Reservation>,
}

impl Stream for FakeStream {
    fn push(&mut self, rows: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let _ = self.events.send(Event::Pushed(self.seed));
        self.pushes += 1;
        self.missing_bytes -= rows.len() as u64;
        let is_second = self.pushes == 2;
        let redrawn = redrawn(self.seed, rows);
        match self.style.as_str() {
            "gated" => {
                let _ = self.gate.lock().expect("one thread at a time").recv_timeout(GATE_TIMEOUT);
                out.extend(redrawn);
            }
            "late" => {
                self.kept.extend(redrawn);
                if self.missing_bytes == 0 {
                    out.append(&mut self.kept);
                }
            }
            "looks-first" if rows.is_empty() => out.extend(self.kept.drain(..self.row_bytes)),
            "looks-first" => self.kept.extend(redrawn),
            "panic-push" if is_second => panic!("the test asked for it"),
            "fault-push" if is_second => return Err(Fault::new(FaultKind::OutOfMemory, "no paper left")),
            "short" if is_second => {}
            "long" if is_second => out.extend(redrawn.repeat(2)),
            "torn" if is_second => out.extend(&redrawn[1..]),
            _ => out.extend(redrawn),
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Option<Reservation> {
        self.reservation.take()
    }
}

impl Drop for FakeStream {
    fn drop(&mut self) {
        let _ = self.events.send(Event::Dropped(self.seed));
    }
}
