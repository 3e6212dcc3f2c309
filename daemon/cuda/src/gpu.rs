//! A GPU, opened.

#![allow(unsafe_code)]

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use cudarc::driver::sys::{CUdevice_attribute, CUfunction_attribute, is_culib_present};
use cudarc::driver::{CudaContext, CudaFunction, CudaStream, result};
use cudarc::nvrtc::Ptx;

use crate::Error;
use crate::launch::kernels;
use crate::workspace::Workspace;

/// From the highest on: for the GPUs of this compute capability, and later ones.
const PTX: [((i32, i32), &str); 2] = [
    ((8, 0), include_str!(concat!(env!("OUT_DIR"), "/sm_80.ptx"))),
    ((7, 5), include_str!(concat!(env!("OUT_DIR"), "/sm_75.ptx"))),
];

/// Shared memory that a kernel may have without asking, in bytes.
const UNASKED_SHARED: usize = 48 << 10;

/// A GPU with the kernels in its memory, and room for the maps of a picture.
///
/// All of its memory is given back when the last of it, and of the networks on it, is dropped.
pub struct Gpu {
    context: Arc<CudaContext>,
    pub(crate) stream: Arc<CudaStream>,
    kernels: HashMap<&'static str, CudaFunction>,
    name: String,
    capability: (i32, i32),
    pub(crate) workspace: Mutex<Workspace>,
}

impl fmt::Debug for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gpu").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The name of the driver's GPU of this number, if [`Gpu::open`] can be expected to open it; takes none of its memory.
///
/// # Errors
/// As [`Gpu::open`].
pub fn check(number: usize) -> Result<String, Error> {
    Ok(find(number)?.name)
}

/// What is known of a GPU that isn't open.
struct Found {
    name: String,
    capability: (i32, i32),
    /// The kernels for it.
    ptx: &'static str,
}

fn find(number: usize) -> Result<Found, Error> {
    if PTX[0].1.is_empty() {
        return Err(Error::NoKernels);
    }
    if !has_driver() {
        return Err(Error::NoDriver);
    }
    result::init()?;
    let count = result::device::get_count()?;
    let Some(number) = i32::try_from(number).ok().filter(|number| *number < count) else {
        return Err(Error::NoDevice(number, count));
    };
    let device = result::device::get(number)?;
    let name = result::device::get_name(device)?;
    // SAFETY: The device is one that the driver has just told of.
    let attribute = |attribute| unsafe { result::device::get_attribute(device, attribute) };
    let capability = (
        attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
        attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
    );
    match PTX.into_iter().find(|(least, _)| capability >= *least) {
        Some((_, ptx)) => Ok(Found { name, capability, ptx }),
        None => Err(Error::TooOld { name, major: capability.0, minor: capability.1 }),
    }
}

/// cudarc panics when it is called without.
fn has_driver() -> bool {
    // SAFETY: This opens the driver's library, whose initialisers expect nothing of the program; it stays open only while
    // it is looked at, and is opened again, in the same process, by what uses it.
    unsafe { is_culib_present() }
}

impl Gpu {
    /// Opens the driver's GPU of this number, from 0.
    ///
    /// # Errors
    /// If there is none that can be used.
    pub fn open(number: usize) -> Result<Arc<Self>, Error> {
        let Found { name, capability, ptx } = find(number)?;
        let context = CudaContext::new(number)?;
        // All work on a buffer is in one stream, in order, so that nothing has to wait for events.
        // SAFETY: No buffer of this context is ever used in two streams: pictures have one, and training has its own.
        unsafe { context.disable_event_tracking() };
        let stream = context.new_stream()?;
        let module = context.load_module(Ptx::from_src(ptx))?;
        let mut functions = HashMap::new();
        for kernel in kernels() {
            let function = module.load_function(kernel.name)?;
            if kernel.shared > UNASKED_SHARED {
                let attribute = CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
                function.set_attribute(attribute, kernel.shared as i32)?;
            }
            functions.insert(kernel.name, function);
        }
        Ok(Arc::new(Self {
            context,
            stream,
            kernels: functions,
            name,
            capability,
            workspace: Mutex::default(),
        }))
    }

    /// What its maker calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn capability(&self) -> (i32, i32) {
        self.capability
    }

    pub(crate) fn context(&self) -> &Arc<CudaContext> {
        &self.context
    }

    /// Its memory that is free, and all of it, in bytes.
    ///
    /// # Errors
    /// If the GPU is gone.
    pub fn memory(&self) -> Result<(u64, u64), Error> {
        let (free, total) = self.context.mem_get_info()?;
        Ok((free as u64, total as u64))
    }

    pub(crate) fn kernel(&self, name: &str) -> &CudaFunction {
        &self.kernels[name]
    }
}
