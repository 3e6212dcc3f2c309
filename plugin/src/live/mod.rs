//! A preview that follows the dialog without ever keeping it waiting, whatever GIMP and whatever widget: those are in
//! `preview`.
//!
//! ```text
//! the dialog's thread, libgimp's only one          the worker's thread
//! ask: read what is visible, and around it
//!                               ==== Order ====>   draw: a warm connection to the daemon
//! take: what is to be shown     <=== Answer ====   wake
//! ```
//!
//! The newest order wins: one that still waits is replaced, and one that is being drawn is given up, unless it is done
//! within a moment. Such a picture is of the same place and of values that were right just now, so it is shown, too:
//! thus the preview follows a slider that is being dragged.

#[cfg(test)]
mod tests;
mod worker;

use std::sync::Arc;
use std::time::{Duration, Instant};

use utsushi_ipc::client::{Client, ClientError};
use utsushi_ipc::pixels::{Depth, PixelFormat};
use utsushi_ipc::protocol::{StyleInfo, StylizeSpec};

use self::worker::{Answer, Drawn, Order, Worker};
use crate::filter::{self, Host, Plan, Target};
use crate::params::{BadValue, Settings};
use crate::region::Rect;

/// How long a picture may go on while a newer order waits. The daemon finishes the rows that it is at in any case.
pub(crate) const MOMENT: Duration = Duration::from_millis(100);

/// A drawn part of a layer, of 8-bit samples, as many a pixel as the layer has channels.
pub(crate) struct Look {
    area: Rect,
    pub(crate) pixels: Vec<u8>,
    pub(crate) row_bytes: i32,
}

/// How long it took from the change to the finished picture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) asked: Instant,
    /// To plan, and to read the layer.
    pub(crate) read: Duration,
    /// In the engine.
    pub(crate) engine_ms: f32,
}

/// What a preview shows, and what it waits for.
pub(crate) struct Live<'a, H> {
    host: H,
    target: Target,
    styles: &'a [StyleInfo],
    worker: Worker,
    /// What was read last, which is used again as long as only values change.
    read: Option<(Rect, Arc<[u8]>)>,
    /// What was ordered last.
    asked: Option<(Rect, StylizeSpec)>,
    orders: u64,
    look: Option<Look>,
    trouble: String,
}

impl<'a, H: Host> Live<'a, H> {
    /// `moment` is [`MOMENT`], but for tests. `connect` and `wake` are called on the worker's thread; `wake` says that
    /// there is something to take, and is not called any more once this was dropped.
    pub(crate) fn new(
        mut host: H,
        styles: &'a [StyleInfo],
        moment: Duration,
        connect: impl FnMut() -> Result<Client, ClientError> + Send + 'static,
        wake: impl Fn() + Send + 'static,
    ) -> Self {
        let target = host.target();
        let worker = Worker::start(moment, connect, wake);
        let (read, asked, look) = (None, None, None);
        Self { host, target, styles, worker, read, asked, orders: 0, look, trouble: String::new() }
    }

    /// Where the layer has pixels.
    pub(crate) fn extent(&self) -> Rect {
        self.target.extent
    }

    /// Has this part of the layer drawn by these values, unless that was the last that was asked for.
    pub(crate) fn ask(&mut self, settings: Result<Settings, BadValue>, area: Rect) {
        let asked = Instant::now();
        let Some(area) = area.within(self.target.extent) else { return };
        match self.plan(settings, area) {
            Ok(Plan { spec, .. }) if self.asked.as_ref().is_some_and(|(a, s)| *a == area && *s == spec) => {}
            Ok(Plan { spec, region, .. }) => {
                let pixels = self.pixels(region, spec.raster.format());
                let pace = Pace { asked, read: asked.elapsed(), engine_ms: 0.0 };
                self.asked = Some((area, spec.clone()));
                self.orders += 1;
                self.worker.order(Order { number: self.orders, spec, region, area, pixels, pace });
            }
            Err(trouble) => self.refuse(trouble),
        }
    }

    /// Forgets what was asked for, and shows nothing: it is asked anew next time.
    pub(crate) fn forget(&mut self) {
        self.refuse(String::new());
    }

    fn refuse(&mut self, trouble: String) {
        self.worker.cancel();
        self.orders += 1;
        self.asked = None;
        self.look = None;
        self.trouble = trouble;
    }

    fn plan(&self, settings: Result<Settings, BadValue>, area: Rect) -> Result<Plan, String> {
        let settings = settings.map_err(|bad| bad.to_string())?;
        let Target { extent, encoding, profile, is_linear, .. } = &self.target;
        let format = filter::pixel_format(encoding).ok_or("there is no preview of such pixels")?;
        let format = PixelFormat { depth: Depth::U8, ..format };
        let mut plan =
            filter::plan(&settings, self.styles, *extent, format, area).map_err(|e| e.to_string())?;
        // Of 8 bits, samples are gamma-encoded, which such a profile doesn't know.
        if !is_linear {
            plan.spec.profile = profile.clone();
        }
        Ok(plan)
    }

    /// Pixels of the layer.
    fn pixels(&mut self, region: Rect, format: PixelFormat) -> Arc<[u8]> {
        if let Some((read, pixels)) = &self.read
            && *read == region
        {
            return Arc::clone(pixels);
        }
        let mut pixels = vec![0; region.width as usize * region.height as usize * format.pixel_bytes()];
        self.host.read(region, format, &mut pixels);
        let pixels: Arc<[u8]> = Arc::from(pixels);
        self.read = Some((region, Arc::clone(&pixels)));
        pixels
    }

    /// Takes what has come; how long it took, if there is something else to be shown now.
    pub(crate) fn take(&mut self) -> Option<Pace> {
        let mut news = None;
        while let Some(Answer { number, area, outcome, pace }) = self.worker.answer() {
            let is_here = self.asked.as_ref().is_some_and(|(asked, _)| *asked == area);
            match outcome {
                Ok(Drawn { pixels, row_bytes }) if is_here => {
                    self.look = Some(Look { area, pixels, row_bytes });
                    self.trouble.clear();
                }
                Err(trouble) if number == self.orders => {
                    self.look = None;
                    self.trouble = trouble;
                }
                _ => continue,
            }
            news = Some(pace);
        }
        news
    }

    /// The newest drawing of this part of the layer, if there is one.
    pub(crate) fn look(&self, area: Rect) -> Option<&Look> {
        let area = area.within(self.target.extent)?;
        self.look.as_ref().filter(|look| look.area == area)
    }

    /// Why there is nothing to show, in words; empty if all is well.
    pub(crate) fn trouble(&self) -> &str {
        &self.trouble
    }
}
