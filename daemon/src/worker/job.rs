//! A picture on its way through the worker.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

use utsushi_ipc::protocol::{PictureSpec, StylizeReport};
use utsushi_ipc::wire;

use super::patience::Patience;
use super::places::Behind;
use super::{Engine, Parcel, Refusal, Stream, WAITING_BANDS, defect};

/// A picture that was submitted, and how far it is.
pub(super) struct Job {
    pub(super) spec: PictureSpec,
    pub(super) bands: Receiver<Vec<u8>>,
    pub(super) results: SyncSender<Parcel>,
    /// Bands that wait at the entrance.
    pub(super) given: usize,
    /// Results that wait at the exit.
    pub(super) untaken: usize,
    pub(super) patience: Patience,
    pub(super) behind: Arc<Behind>,
    /// The engine's state, once the job is started.
    pub(super) stream: Option<Box<dyn Stream>>,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    /// Of both, what is to the client's credit already.
    pub(super) bytes_paid: u64,
    pub(super) submitted_at: Instant,
    pub(super) queued_time: Duration,
    pub(super) engine_time: Duration,
}

impl Job {
    pub(super) fn new(
        spec: PictureSpec,
        bands: Receiver<Vec<u8>>,
        results: SyncSender<Parcel>,
        behind: Arc<Behind>,
    ) -> Self {
        let now = Instant::now();
        Self {
            spec,
            bands,
            results,
            given: 0,
            untaken: 0,
            patience: Patience::new(now),
            behind,
            stream: None,
            bytes_in: 0,
            bytes_out: 0,
            bytes_paid: 0,
            submitted_at: now,
            queued_time: Duration::ZERO,
            engine_time: Duration::ZERO,
        }
    }

    /// Counts what was worked on to the client's credit, either way: some networks give nothing before they have all.
    pub(super) fn pay(&mut self, grace: Duration) {
        let raster = &self.spec.raster();
        let band_bytes = f64::from(wire::band_rows(raster)) * raster.row_bytes() as f64;
        let bytes = self.bytes_in + self.bytes_out;
        self.patience.pay((bytes - self.bytes_paid) as f64 / band_bytes, grace);
        self.bytes_paid = bytes;
    }

    pub(super) fn is_ready(&self) -> bool {
        (self.given > 0 || self.has_all_rows()) && self.untaken < WAITING_BANDS
    }

    /// Gives the next band to the engine, or lets it go on when it has all; returns the rows that came out.
    pub(super) fn advance(&mut self, engine: &mut impl Engine) -> Result<Vec<u8>, Refusal> {
        let began = Instant::now();
        let goes_on = self.has_all_rows();
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let stream = engine.open(&self.spec)?;
                self.queued_time = began - self.submitted_at;
                none.insert(stream)
            }
        };
        let rows = if goes_on {
            Vec::new()
        } else {
            self.given -= 1;
            self.bands.try_recv().map_err(|_| defect("a band was announced and not handed over"))?
        };
        let mut out = Vec::new();
        stream.push(&rows, &mut out)?;
        self.engine_time += began.elapsed();
        self.bytes_in += rows.len() as u64;
        self.bytes_out += out.len() as u64;

        let raster = &self.spec.result();
        let is_whole_rows = out.len().is_multiple_of(raster.row_bytes());
        let is_missing = goes_on && out.is_empty();
        if !is_whole_rows || is_missing || self.bytes_out > raster.total_bytes() {
            return Err(defect("the engine made another number of rows than the picture has").into());
        }
        Ok(out)
    }

    pub(super) fn has_all_rows(&self) -> bool {
        self.bytes_in == self.spec.raster().total_bytes()
    }

    pub(super) fn is_finished(&self) -> bool {
        self.bytes_out == self.spec.result().total_bytes()
    }

    pub(super) fn report(&self) -> StylizeReport {
        StylizeReport {
            queued_ms: self.queued_time.as_secs_f32() * 1e3,
            engine_ms: self.engine_time.as_secs_f32() * 1e3,
            brush_size: self.spec.brush_factor(),
        }
    }
}
