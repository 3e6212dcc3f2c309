//! A preview that follows the dialog without ever keeping it waiting, whatever GIMP and whatever widget: those are in
//! `dialog/preview`.
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
use utsushi_ipc::protocol::{Profile, StyleInfo, StylizeSpec};

use self::worker::{Answer, Order, Worker};
use crate::ffi::canvas::Pixels;
use crate::filter::{self, Host, Plan, Target};
use crate::params::{BadValue, Settings};
use crate::region::{Rect, Scaled};
use crate::screen;

/// How long a picture may go on while a newer order waits. The daemon finishes the rows that it is at in any case.
pub(crate) const MOMENT: Duration = Duration::from_millis(100);

/// A part of a layer, or of a copy of it, in whose pixels it is then.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Frame {
    pub(crate) area: Rect,
    pub(crate) copy: Scaled,
}

/// A drawn part of a layer, as a screen shows it.
pub(crate) struct Look {
    pub(crate) frame: Frame,
    pub(crate) pixels: Pixels,
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
pub(crate) struct Live<H> {
    host: H,
    target: Target,
    selected: Option<Rect>,
    styles: Arc<[StyleInfo]>,
    worker: Worker,
    /// What was read last, which is used again as long as only values change.
    read: Option<(Frame, Arc<[u8]>)>,
    /// What was ordered last.
    asked: Option<(Frame, StylizeSpec)>,
    orders: u64,
    /// Has the last order no answer yet?
    is_waiting: bool,
    look: Option<Look>,
    before: Option<Look>,
    trouble: String,
}

impl<H: Host> Live<H> {
    /// `moment` is [`MOMENT`], but for tests. `connect` and `wake` are called on the worker's thread; `wake` says that
    /// there is something to take, and is not called any more once this was dropped.
    pub(crate) fn new(
        mut host: H,
        styles: Arc<[StyleInfo]>,
        moment: Duration,
        connect: impl FnMut() -> Result<Client, ClientError> + Send + 'static,
        wake: impl Fn() + Send + 'static,
    ) -> Self {
        let (target, selected) = (host.target(), host.selection());
        let worker = Worker::start(moment, connect, wake);
        let (read, asked, look, before) = (None, None, None, None);
        let (orders, is_waiting, trouble) = (0, false, String::new());
        Self {
            host,
            target,
            selected,
            styles,
            worker,
            read,
            asked,
            orders,
            is_waiting,
            look,
            before,
            trouble,
        }
    }

    /// There are these styles.
    pub(crate) fn set_styles(&mut self, styles: &Arc<[StyleInfo]>) {
        self.styles = Arc::clone(styles);
    }

    /// The layer may be another than it was: a person has converted the image, for instance.
    pub(crate) fn renew(&mut self) {
        self.host.look_again();
        self.target = self.host.target();
        self.selected = self.host.selection();
        (self.read, self.before) = (None, None);
        self.forget();
    }

    /// The part of the layer that is selected, as of the last [`Self::follow_selection`].
    pub(crate) fn selected(&self) -> Option<Rect> {
        self.selected
    }

    /// A person may have selected something else.
    pub(crate) fn follow_selection(&mut self) {
        let selected = self.host.selection();
        if selected != self.selected {
            self.selected = selected;
            self.forget();
        }
    }

    /// Where the layer has pixels.
    pub(crate) fn extent(&self) -> Rect {
        self.target.extent
    }

    /// Has this part of the layer drawn by these values, unless that was the last that was asked for.
    pub(crate) fn ask(&mut self, settings: Result<Settings, BadValue>, frame: Frame) {
        let asked = Instant::now();
        let Some(frame) = within(frame) else { return };
        match self.plan(settings, frame) {
            Ok(Plan { spec, .. }) if self.asked.as_ref().is_some_and(|(f, s)| *f == frame && *s == spec) => {}
            Ok(Plan { spec, region, .. }) => {
                let format = spec.raster.format();
                let pixels = self.pixels(Frame { area: region, ..frame }, format);
                let pace = Pace { asked, read: asked.elapsed(), engine_ms: 0.0 };
                self.asked = Some((frame, spec.clone()));
                self.orders += 1;
                self.is_waiting = true;
                self.worker.order(Order { number: self.orders, spec, region, frame, pixels, pace });
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
        self.is_waiting = false;
        self.asked = None;
        self.look = None;
        self.trouble = trouble;
    }

    fn plan(&self, settings: Result<Settings, BadValue>, frame: Frame) -> Result<Plan, String> {
        let settings = settings.map_err(|bad| bad.to_string())?;
        let format = self.format().ok_or_else(|| self.target.encoding.clone())?;
        let mut plan = filter::plan(&settings, &self.styles, frame.copy, format, frame.area)
            .map_err(|error| error.to_string())?;
        // Of 8 bits, samples are gamma-encoded, which such a profile doesn't know.
        if !self.target.is_linear {
            plan.spec.profile = self.target.profile.clone();
        }
        Ok(plan)
    }

    /// What the layer is read as.
    fn format(&self) -> Option<PixelFormat> {
        let format = filter::pixel_format(&self.target.encoding)?;
        Some(PixelFormat { depth: Depth::U8, ..format })
    }

    /// Pixels of the layer.
    fn pixels(&mut self, frame: Frame, format: PixelFormat) -> Arc<[u8]> {
        if let Some((read, pixels)) = &self.read
            && *read == frame
        {
            return Arc::clone(pixels);
        }
        let pixels: Arc<[u8]> = Arc::from(read(&mut self.host, frame, format));
        self.read = Some((frame, Arc::clone(&pixels)));
        pixels
    }

    /// Takes what has come; how long it took, if there is something else to be shown now.
    pub(crate) fn take(&mut self) -> Option<Pace> {
        let mut news = None;
        while let Some(Answer { number, frame, outcome, pace }) = self.worker.answer() {
            let is_here = self.asked.as_ref().is_some_and(|(asked, _)| *asked == frame);
            self.is_waiting &= number != self.orders;
            match outcome {
                Ok(drawn) if is_here => {
                    self.look = Some(self.look_of(frame, drawn));
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

    /// What was drawn, as far as it is selected.
    fn look_of(&mut self, frame: Frame, mut drawn: Vec<u8>) -> Look {
        let format = self.format().expect("what was drawn has a format");
        self.host.show(format, &mut drawn);
        let mut pixels = screen::pack(&drawn, format, frame.area);
        if let Some(mask) = self.host.mask(frame.area, frame.copy.scale) {
            let before = read(&mut self.host, frame, format);
            screen::select(&mut pixels, &shown(&self.host, format, frame, before), &mask);
        }
        Look { frame, pixels }
    }

    /// The newest drawing, if there is one: maybe of another part of the layer than was asked for.
    pub(crate) fn look(&self) -> Option<&Look> {
        self.look.as_ref()
    }

    /// This part of the layer as it is, if there is such a part.
    pub(crate) fn before(&mut self, frame: Frame) -> Option<&Look> {
        let (frame, format) = (within(frame)?, self.format()?);
        if self.before.as_ref().is_none_or(|before| before.frame != frame) {
            let samples = read(&mut self.host, frame, format);
            let pixels = shown(&self.host, format, frame, samples);
            self.before = Some(Look { frame, pixels });
        }
        self.before.as_ref()
    }

    /// Samples of a small copy of the layer, to be drawn in every style: the copy, and how it is to be read.
    pub(crate) fn small(&mut self, side_px: i32) -> Option<Small> {
        let (format, extent) = (self.format()?, self.target.extent);
        let copy = Scaled::new(extent, f64::from(side_px) / f64::from(extent.width.max(extent.height)));
        let frame = Frame { area: copy.extent(), copy };
        let samples: Arc<[u8]> = read(&mut self.host, frame, format).into();
        let pixels = shown(&self.host, format, frame, samples.to_vec());
        let mut target = self.target.clone();
        if target.is_linear {
            target.profile = Default::default();
        }
        Some(Small { area: frame.area, format, samples, pixels, profile: target.profile })
    }

    /// Small samples that were drawn, as a screen shows them.
    pub(crate) fn show_small(&self, small: &Small, mut drawn: Vec<u8>) -> Pixels {
        self.host.show(small.format, &mut drawn);
        screen::pack(&drawn, small.format, small.area)
    }

    /// Is something still being drawn?
    pub(crate) fn is_waiting(&self) -> bool {
        self.is_waiting
    }

    /// Why there is nothing to show, in words; empty if all is well.
    pub(crate) fn trouble(&self) -> &str {
        &self.trouble
    }
}

/// A small copy of a layer.
#[derive(Clone)]
pub(crate) struct Small {
    pub(crate) area: Rect,
    pub(crate) format: PixelFormat,
    pub(crate) samples: Arc<[u8]>,
    /// As a screen shows it.
    pub(crate) pixels: Pixels,
    pub(crate) profile: Profile,
}

fn within(frame: Frame) -> Option<Frame> {
    Some(Frame { area: frame.area.within(frame.copy.extent())?, ..frame })
}

fn read(host: &mut impl Host, Frame { area, copy }: Frame, format: PixelFormat) -> Vec<u8> {
    let mut samples = vec![0; area.width as usize * area.height as usize * format.pixel_bytes()];
    host.read(area, copy.scale, format, &mut samples);
    samples
}

fn shown(host: &impl Host, format: PixelFormat, frame: Frame, mut samples: Vec<u8>) -> Pixels {
    host.show(format, &mut samples);
    screen::pack(&samples, format, frame.area)
}
