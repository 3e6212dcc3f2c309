//! The kernels for training, and memory for what they work on.

#![allow(unsafe_code)]

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cudarc::driver::{CudaFunction, CudaSlice, CudaStream, LaunchConfig, PushKernelArg};
use cudarc::nvrtc::Ptx;

use super::conv::Gather;
use crate::{Error, Gpu};

const PTX: &str = include_str!(concat!(env!("OUT_DIR"), "/training_sm_80.ptx"));
/// The compute capability that has TF32.
const LEAST: (i32, i32) = (8, 0);

/// What `kernels/training/kernels.h` lists.
fn names() -> impl Iterator<Item = &'static str> {
    let list = include_str!("../../kernels/training/kernels.h").lines();
    list.filter_map(|line| line.strip_prefix("TRAINING(")?.strip_suffix(')'))
}

/// Values that are handed out again have room for a multiple of so many, so that maps of nearly the same size share it.
const GRANULE: usize = 1024;

/// The shape of maps: how many, and each one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// How many.
    pub maps: usize,
    /// Of each.
    pub rows: usize,
    /// Of each.
    pub cols: usize,
    /// Of each pixel.
    pub channels: usize,
}

impl Batch {
    /// How many pixels there are in all.
    pub fn pixels(self) -> usize {
        self.maps * self.rows * self.cols
    }

    /// How many values there are in all.
    pub fn len(self) -> usize {
        self.pixels() * self.channels
    }

    /// Is there none?
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// A GPU that trains. Its memory is handed from one operation to the next, and given back when the last value is dropped.
pub struct Workbench {
    gpu: Arc<Gpu>,
    stream: Arc<CudaStream>,
    kernels: HashMap<&'static str, CudaFunction>,
    /// By how much room they have.
    spare: Mutex<HashMap<usize, Vec<CudaSlice<f32>>>>,
}

impl fmt::Debug for Workbench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workbench").field("gpu", &self.gpu).finish_non_exhaustive()
    }
}

/// Values in a GPU's memory.
pub struct Values {
    slice: Option<CudaSlice<f32>>,
    len: usize,
    bench: Arc<Workbench>,
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Values").field("len", &self.len).finish_non_exhaustive()
    }
}

impl Values {
    /// How many.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn slice(&self) -> &CudaSlice<f32> {
        self.slice.as_ref().expect("it is taken by drop alone")
    }

    fn slice_mut(&mut self) -> &mut CudaSlice<f32> {
        self.slice.as_mut().expect("it is taken by drop alone")
    }
}

impl Drop for Values {
    fn drop(&mut self) {
        if let Some(slice) = self.slice.take() {
            // All work is in one stream, in order: who gets it next comes after whoever still reads it.
            self.bench.spare().entry(slice.len()).or_default().push(slice);
        }
    }
}

/// What a kernel is given.
pub(super) enum Arg<'a> {
    In(&'a Values),
    Out(&'a mut Values),
    /// A null pointer, or values.
    Maybe(Option<&'a Values>),
    Int(usize),
    Float(f32),
    Gather(Gather),
}

/// An argument as C has it.
enum Given<'a> {
    Slice(&'a CudaSlice<f32>),
    Null(u64),
    Int(i32),
    Float(f32),
    Gather(Gather),
}

impl Workbench {
    /// Prepares a GPU for training.
    ///
    /// # Errors
    /// If it is from before Ampere, or fails.
    pub fn new(gpu: Arc<Gpu>) -> Result<Arc<Self>, Error> {
        let (major, minor) = gpu.capability();
        if (major, minor) < LEAST {
            return Err(Error::TooOldToTrain { name: gpu.name().to_owned(), major, minor });
        }
        // A stream of its own: a picture that somebody waits for doesn't stand behind a step.
        // Nothing is used in both.
        let stream = gpu.context().new_stream()?;
        let module = gpu.context().load_module(Ptx::from_src(PTX))?;
        let load = |name| Ok((name, module.load_function(name)?));
        let kernels = names().map(load).collect::<Result<_, Error>>()?;
        Ok(Arc::new(Self { gpu, stream, kernels, spare: Mutex::default() }))
    }

    fn spare(&self) -> MutexGuard<'_, HashMap<usize, Vec<CudaSlice<f32>>>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for values; what is in it is not known.
    pub(super) fn room(self: &Arc<Self>, len: usize) -> Result<Values, Error> {
        let room = len.next_multiple_of(GRANULE).max(GRANULE);
        let spare = self.spare().get_mut(&room).and_then(Vec::pop);
        let slice = match spare {
            Some(slice) => slice,
            None => self.alloc(room)?,
        };
        Ok(Values { slice: Some(slice), len, bench: Arc::clone(self) })
    }

    fn alloc(&self, room: usize) -> Result<CudaSlice<f32>, Error> {
        // SAFETY: Whoever asks for room fills it, by a copy or by a kernel, before anything reads it.
        let alloc = || unsafe { self.stream.alloc(room) }.map_err(Error::from);
        match alloc() {
            Err(Error::OutOfMemory) => {
                // Of other sizes, which may not be needed any more.
                self.spare().clear();
                alloc()
            }
            other => other,
        }
    }

    /// Copies values to the GPU.
    ///
    /// # Errors
    /// If its memory is full, or it fails.
    pub fn upload(self: &Arc<Self>, values: &[f32]) -> Result<Values, Error> {
        let mut room = self.room(values.len())?;
        self.stream.memcpy_htod(values, room.slice_mut())?;
        Ok(room)
    }

    /// Copies values from the GPU, one after the other, when all that was asked of it is done.
    ///
    /// # Errors
    /// If it failed.
    pub fn download(&self, all: &[&Values]) -> Result<Vec<f32>, Error> {
        let mut out = vec![0.0; all.iter().map(|values| values.len).sum()];
        let mut rest = &mut out[..];
        for values in all {
            let (part, others) = rest.split_at_mut(values.len);
            self.stream.memcpy_dtoh(&values.slice().slice(..values.len), part)?;
            rest = others;
        }
        self.stream.synchronize()?;
        Ok(out)
    }

    /// Starts a kernel. The arguments are those that it declares, and values are as long as it takes them to be.
    pub(super) fn run(&self, kernel: &str, config: LaunchConfig, args: &[&[Arg<'_>]]) -> Result<(), Error> {
        let given = args.iter().copied().flatten().map(|arg| match arg {
            Arg::In(values) | Arg::Maybe(Some(values)) => Given::Slice(values.slice()),
            Arg::Out(values) => Given::Slice(values.slice()),
            Arg::Maybe(None) => Given::Null(0),
            Arg::Int(value) => Given::Int(i32::try_from(*value).expect("sizes of crops")),
            Arg::Float(value) => Given::Float(*value),
            Arg::Gather(gather) => Given::Gather(*gather),
        });
        let given: Vec<_> = given.collect();
        let mut launch = self.stream.launch_builder(&self.kernels[kernel]);
        for arg in &given {
            match arg {
                Given::Slice(slice) => launch.arg(*slice),
                Given::Null(null) => launch.arg(null),
                Given::Int(value) => launch.arg(value),
                Given::Float(value) => launch.arg(value),
                Given::Gather(gather) => launch.arg(gather),
            };
        }
        // SAFETY: This is private to the operations beside it, each of which gives a kernel what it declares, with shapes
        // that it has compared with the values' lengths.
        unsafe { launch.launch(config) }?;
        Ok(())
    }
}

/// A thread for each of so many values, or pixels.
pub(super) fn each(count: usize) -> LaunchConfig {
    const THREADS: usize = 256;
    blocks([count.div_ceil(THREADS), 1, 1], THREADS, 0)
}

/// Channels that a thread has at a time, four where all these counts are multiples of four; and what kernels of so many are
/// called.
pub(super) fn width(counts: &[usize]) -> (usize, &'static str) {
    if counts.iter().all(|count| count.is_multiple_of(4)) { (4, "fours") } else { (1, "values") }
}

/// So many blocks of so many threads, each with so many bytes of shared memory.
pub(super) fn blocks(count: [usize; 3], threads: usize, shared: usize) -> LaunchConfig {
    let [x, y, z] = count.map(|n| u32::try_from(n).expect("sizes of crops"));
    LaunchConfig {
        grid_dim: (x, y, z),
        block_dim: (threads as u32, 1, 1),
        shared_mem_bytes: u32::try_from(shared).expect("some kilobytes"),
    }
}

/// Sizes, as arguments.
pub(super) fn ints<const N: usize>(sizes: [usize; N]) -> [Arg<'static>; N] {
    sizes.map(Arg::Int)
}
