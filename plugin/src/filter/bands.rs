//! A picture's rows between the thread that may call libgimp and the client's threads.

use std::io;
use std::ops::ControlFlow;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

use utsushi_ipc::client::{Client, ClientError};
use utsushi_ipc::pixels::PixelFormat;
use utsushi_ipc::protocol::{Progress, StylizeSpec};

use super::Rows;
use crate::region::Rect;
use crate::words;

/// How many events may wait for this thread: more would only be memory.
const WAITING: usize = 2;

/// What the client's threads ask of this one.
enum Event {
    /// These rows are wanted, in this band.
    Want { area: Rect, band: Band },
    /// These pixels are drawn.
    Drawn { area: Rect, band: Band },
    /// This much is done, or so many pictures go first.
    Progress(Progress),
}

/// Pixels, aligned for every depth.
#[derive(Default)]
struct Band(Vec<u32>);

impl Band {
    /// Room for this many bytes.
    fn bytes(&mut self, count: usize) -> &mut [u8] {
        self.0.resize(count.div_ceil(size_of::<u32>()), 0);
        &mut bytemuck::cast_slice_mut(&mut self.0)[..count]
    }
}

/// Streams `region` through the daemon, and writes what lies within `selected`. `title` says what is done, in place of
/// which the host is told that others go first while that is so.
pub(super) fn draw(
    host: &mut impl Rows,
    client: Client,
    spec: &StylizeSpec,
    region: Rect,
    selected: Rect,
    title: &str,
) -> Result<(), ClientError> {
    let format = spec.raster.format();
    thread::scope(|scope| {
        let (events, inbox) = mpsc::sync_channel(WAITING);
        let (filled, bands) = mpsc::channel();
        let drawing = scope.spawn(move || {
            let drawn = Drawn { format, region, selected, events: events.clone() };
            let mut wanted = Wanted { region, events: events.clone(), bands, spare: Band::default() };
            client.stylize(
                spec,
                move |first_row, rows, pixels| wanted.fetch(first_row, rows, pixels),
                |first_row, rows, pixels| drawn.send(first_row, rows, pixels),
                |progress| match events.send(Event::Progress(progress)) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                },
            )
        });

        let bytes = |area: Rect| area.width as usize * area.height as usize * format.pixel_bytes();
        let mut announced = title.to_owned();
        for event in inbox {
            match event {
                Event::Want { area, mut band } => {
                    host.read(area, 1.0, format, band.bytes(bytes(area)));
                    // If nobody takes it, `drawing` has failed, and says so at the end.
                    let _ = filled.send(band);
                }
                Event::Drawn { area, mut band } => host.write(area, format, band.bytes(bytes(area))),
                Event::Progress(progress) => {
                    let now = waiting(progress).unwrap_or_else(|| title.to_owned());
                    if now != announced {
                        host.announce(&now);
                        announced = now;
                    }
                    host.progress(f64::from(progress.rows_done) / f64::from(progress.rows.max(1)));
                }
            }
        }
        let ended = drawing.join().unwrap_or_else(|payload| std::panic::resume_unwind(payload));
        ended.map(|_| ())
    })
}

/// What is said while others go first.
fn waiting(progress: Progress) -> Option<String> {
    match progress.behind? {
        0 => None,
        1 => Some(words::WAITING_FOR_ONE.text().into()),
        more => Some(words::WAITING_FOR_MORE.with(&[("count", &more.to_string())])),
    }
}

/// The other thread is gone, which means that it panicked.
fn gone() -> io::Error {
    io::Error::other("the plug-in broke off")
}

/// Where rows come from: the thread that may read them.
struct Wanted {
    region: Rect,
    events: SyncSender<Event>,
    bands: Receiver<Band>,
    /// To be filled next.
    spare: Band,
}

impl Wanted {
    fn fetch(&mut self, first_row: u32, rows: u32, pixels: &mut [u8]) -> io::Result<()> {
        let area = Rect { y: self.region.y + first_row as i32, height: rows as i32, ..self.region };
        let band = std::mem::take(&mut self.spare);
        self.events.send(Event::Want { area, band }).map_err(|_| gone())?;
        self.spare = self.bands.recv().map_err(|_| gone())?;
        pixels.copy_from_slice(self.spare.bytes(pixels.len()));
        Ok(())
    }
}

/// Where drawn rows go.
struct Drawn {
    format: PixelFormat,
    region: Rect,
    selected: Rect,
    events: SyncSender<Event>,
}

impl Drawn {
    /// Sends what is selected of these rows.
    fn send(&self, first_row: u32, rows: u32, pixels: &[u8]) -> io::Result<()> {
        let Some(area) = self.selected.rows_within(self.region, first_row, rows) else { return Ok(()) };
        let pixel_bytes = self.format.pixel_bytes();
        let row_bytes = self.region.width as usize * pixel_bytes;
        let from_row = (area.y - self.region.y) as usize - first_row as usize;
        let from = (area.x - self.region.x) as usize * pixel_bytes;
        let wanted_bytes = area.width as usize * pixel_bytes;

        let mut band = Band::default();
        let wanted = band.bytes(wanted_bytes * area.height as usize);
        let rows = pixels.chunks_exact(row_bytes).skip(from_row);
        for (wanted, row) in wanted.chunks_exact_mut(wanted_bytes).zip(rows) {
            wanted.copy_from_slice(&row[from..from + wanted_bytes]);
        }
        self.events.send(Event::Drawn { area, band }).map_err(|_| gone())
    }
}
