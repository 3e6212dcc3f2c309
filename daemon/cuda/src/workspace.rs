//! Room for what lies between a network's layers, kept from picture to picture.

#![allow(unsafe_code)]

use std::sync::Arc;

use cudarc::driver::{CudaSlice, CudaStream, DeviceRepr, PinnedHostSlice};

use crate::Error;
use crate::strokes::{self, Strokes};

/// Memory of the GPU that grows with what it has to hold: f16, if nothing else is said.
pub(crate) struct Buffer<T = u16>(Option<CudaSlice<T>>);

impl<T> Default for Buffer<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: DeviceRepr> Buffer<T> {
    /// Makes room for so many values. What was in it is lost.
    pub(crate) fn reserve(&mut self, stream: &Arc<CudaStream>, len: usize) -> Result<(), Error> {
        if self.0.as_ref().is_none_or(|room| room.len() < len) {
            // First the old, so that both needn't fit.
            self.0 = None;
            // SAFETY: Kernels and copies write a buffer before others read it: `Brush::draw` has them in order.
            self.0 = Some(unsafe { stream.alloc(len) }?);
        }
        Ok(())
    }

    /// # Panics
    /// If no room was made.
    pub(crate) fn slice(&self) -> &CudaSlice<T> {
        self.0.as_ref().expect("room was made")
    }

    /// # Panics
    /// If no room was made.
    pub(crate) fn slice_mut(&mut self) -> &mut CudaSlice<T> {
        self.0.as_mut().expect("room was made")
    }
}

/// Memory of the processor's for values on their way, f16.
pub(crate) enum Staging {
    /// The system keeps it where it is, so that the GPU copies by itself, while others work.
    Locked(PinnedHostSlice<u16>),
    /// For where there is no such memory, or no more: the driver copies to and from its own.
    Pageable(Vec<u16>),
}

impl Default for Staging {
    fn default() -> Self {
        Self::Pageable(Vec::new())
    }
}

impl Staging {
    /// Makes room for so many values. What was in it is lost, and nothing may be on its way.
    pub(crate) fn reserve(&mut self, stream: &CudaStream, len: usize) {
        let room = match self {
            Self::Locked(values) => values.len(),
            Self::Pageable(values) => values.len(),
        };
        if room < len {
            *self = Self::default();
            // SAFETY: It is the system's memory, whatever is in which is an `u16`; and it is written before it is read.
            let locked = unsafe { stream.context().alloc_pinned_with_flags(len, 0) };
            *self = locked.map_or_else(|_| Self::Pageable(vec![0; len]), Self::Locked);
        }
    }

    /// All of it. Of parts that are on their way, the caller keeps off until they are there.
    pub(crate) fn values(&mut self) -> Result<&mut [u16], Error> {
        match self {
            Self::Locked(values) => Ok(values.as_mut_slice()?),
            Self::Pageable(values) => Ok(values),
        }
    }
}

/// The size of a map; its values are f16, channels last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    /// Padded.
    pub(crate) channels: usize,
}

impl Shape {
    fn len(self) -> usize {
        self.rows * self.cols * self.channels
    }
}

/// A map in memory of the GPU.
#[derive(Default)]
pub(crate) struct Map {
    pub(crate) values: Buffer,
    shape: Option<Shape>,
}

impl Map {
    /// # Panics
    /// If no room was made.
    pub(crate) fn shape(&self) -> Shape {
        self.shape.expect("room was made")
    }

    fn reserve(&mut self, stream: &Arc<CudaStream>, shape: Shape) -> Result<(), Error> {
        self.values.reserve(stream, shape.len())?;
        self.shape = Some(shape);
        Ok(())
    }
}

/// The channels of brush's maps, padded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Channels {
    pub(crate) quarter: usize,
    pub(crate) eighth: usize,
    pub(crate) half: usize,
}

/// What [`Brush::draw`](crate::Brush::draw) works on.
#[derive(Default)]
pub(crate) struct Workspace {
    pub(crate) staging: Staging,
    pub(crate) picture: Buffer,
    /// What is added to the picture.
    pub(crate) result: Buffer,
    /// Squares of 4 x 4 and of 2 x 2 of the picture's pixels.
    pub(crate) by4: Map,
    pub(crate) by2: Map,
    pub(crate) quarter: [Map; 2],
    pub(crate) eighth: [Map; 2],
    pub(crate) up: Map,
    pub(crate) half: [Map; 2],
    /// Of networks that have noise.
    pub(crate) strokes: Strokes,
}

/// A picture's size as a network has it: sides are multiples of 8 pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Padded {
    pub(crate) height: usize,
    pub(crate) width: usize,
}

impl Workspace {
    /// Makes room for a picture of `values` values, and as many of a result.
    pub(crate) fn reserve(
        &mut self,
        stream: &Arc<CudaStream>,
        padded: Padded,
        channels: Channels,
        values: usize,
        result: usize,
    ) -> Result<(), Error> {
        self.picture.reserve(stream, values)?;
        self.result.reserve(stream, result)?;
        for (map, shape) in self.maps().into_iter().zip(shapes(padded, channels)) {
            map.reserve(stream, shape)?;
        }
        Ok(())
    }

    fn maps(&mut self) -> [&mut Map; 9] {
        let Self { by4, by2, quarter: [q0, q1], eighth: [e0, e1], up, half: [h0, h1], .. } = self;
        [by4, by2, q0, q1, e0, e1, up, h0, h1]
    }
}

/// The shapes of [`Workspace::maps`].
fn shapes(padded: Padded, channels: Channels) -> [Shape; 9] {
    let shape = |reduction, channels| Shape {
        rows: padded.height / reduction,
        cols: padded.width / reduction,
        channels,
    };
    let [quarter, eighth, half] =
        [shape(4, channels.quarter), shape(8, channels.eighth), shape(2, channels.half)];
    [shape(4, 48), shape(2, 16), quarter, quarter, eighth, eighth, shape(8, channels.quarter), half, half]
}

/// How much of the GPU's memory a picture takes, in bytes: maps, picture and result, and strokes where there is noise.
pub(crate) fn bytes(padded: Padded, channels: Channels, has_noise: bool) -> u64 {
    let maps: usize = shapes(padded, channels).into_iter().map(|shape| shape.len() * size_of::<u16>()).sum();
    let strokes = if has_noise { strokes::bytes(padded) } else { 0 };
    (maps + strokes + 2 * padded.height * padded.width * 3 * size_of::<u16>()) as u64
}
