//! Where networks run: on the processor, or on a GPU as long as that works.

use std::fmt::{self, Display};
use std::str::FromStr;
use std::sync::Arc;
#[cfg(feature = "cuda")]
use std::sync::{Mutex, PoisonError};

#[cfg(feature = "cuda")]
use utsushi_cuda::training::Workbench;
#[cfg(feature = "cuda")]
use utsushi_cuda::{Error, Gpu};

/// Which device somebody asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The first GPU that can be used, or else the processor.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// The GPU that the driver of CUDA gives this number.
    Cuda(usize),
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.strip_prefix("cuda:")?.parse().ok();
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => number(text).map(Self::Cuda).ok_or_else(|| "it is auto, cpu, cuda or cuda:NUMBER".into()),
        }
    }
}

/// A GPU was asked for by its number, and there is no way to have it.
#[derive(Debug, thiserror::Error)]
#[error("{0}; `--device auto` draws on the processor then")]
pub struct NoDevice(String);

/// Where networks run. Copies share a GPU.
#[derive(Clone, Default)]
pub struct Device {
    #[cfg(feature = "cuda")]
    gpu: Option<Arc<Slot>>,
    #[cfg(not(feature = "cuda"))]
    _gpu: Option<Arc<()>>,
}

/// A place for a GPU, which is opened for the first picture, and closed with the last network.
#[cfg(feature = "cuda")]
struct Slot {
    number: usize,
    state: Mutex<State>,
}

#[cfg(feature = "cuda")]
enum State {
    Closed,
    Open(Arc<Gpu>),
    /// It is not tried again before the networks are unloaded.
    Failed(Error),
}

impl Device {
    /// The processor.
    pub fn cpu() -> Self {
        Self::default()
    }

    /// The device that is asked for; says in the log which it is. A GPU is not opened yet.
    ///
    /// # Errors
    /// If it is asked for by its number, and isn't there.
    #[cfg(not(feature = "cuda"))]
    pub fn choose(choice: DeviceChoice) -> Result<Self, NoDevice> {
        match choice {
            DeviceChoice::Auto | DeviceChoice::Cpu => Ok(Self::cpu()),
            DeviceChoice::Cuda(_) => Err(NoDevice("this program was built without CUDA".into())),
        }
    }

    /// The device that is asked for; says in the log which it is. A GPU is not opened yet.
    ///
    /// # Errors
    /// If it is asked for by its number, and isn't there.
    #[cfg(feature = "cuda")]
    pub fn choose(choice: DeviceChoice) -> Result<Self, NoDevice> {
        let number = match choice {
            DeviceChoice::Cpu => return Ok(Self::cpu()),
            DeviceChoice::Auto => 0,
            DeviceChoice::Cuda(number) => number,
        };
        match utsushi_cuda::check(number) {
            Ok(name) => {
                tracing::info!("networks run on {name} (cuda:{number})");
                Ok(Self { gpu: Some(Arc::new(Slot { number, state: Mutex::new(State::Closed) })) })
            }
            Err(error) if choice == DeviceChoice::Auto => {
                tracing::info!("networks run on the processor: {error}");
                Ok(Self::cpu())
            }
            Err(error) => Err(NoDevice(error.to_string())),
        }
    }

    /// Lets go of the GPU. Its memory is free when the last network on it is dropped; the next network opens it again.
    pub fn release(&self) {
        #[cfg(feature = "cuda")]
        if let Some(slot) = &self.gpu {
            *slot.lock() = State::Closed;
        }
    }

    /// The GPU, if there is one that works.
    #[cfg(feature = "cuda")]
    pub(crate) fn gpu(&self) -> Option<Arc<Gpu>> {
        let slot = self.gpu.as_ref()?;
        let mut state = slot.lock();
        if let State::Closed = *state {
            *state = match Gpu::open(slot.number) {
                Ok(gpu) => State::Open(gpu),
                Err(error) => {
                    tracing::warn!("networks run on the processor: {error}");
                    State::Failed(error)
                }
            };
        }
        match &*state {
            State::Open(gpu) => Some(Arc::clone(gpu)),
            _ => None,
        }
    }

    /// The GPU for training, if there is one that can; its memory is the training's until that lets go of it.
    #[cfg(feature = "cuda")]
    pub(crate) fn workbench(&self) -> Option<Arc<Workbench>> {
        let slot = self.gpu.as_ref()?;
        let bench = Gpu::open(slot.number).and_then(Workbench::new);
        bench.inspect_err(|error| tracing::warn!("trainings run on the processor: {error}")).ok()
    }

    /// The GPU failed while it drew; what is drawn until the networks are unloaded is drawn on the processor.
    #[cfg(feature = "cuda")]
    pub(crate) fn give_up(&self, error: Error) {
        if let Some(slot) = &self.gpu {
            tracing::warn!("networks run on the processor from here on: {error}");
            *slot.lock() = State::Failed(error);
        }
    }
}

#[cfg(feature = "cuda")]
impl Slot {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpu = format!(
            "CPU ({}), {} threads",
            utsushi_kernels::Cpu::detect().name(),
            rayon::current_num_threads()
        );
        #[cfg(feature = "cuda")]
        if let Some(slot) = &self.gpu {
            let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
            return match &*slot.lock() {
                State::Closed => write!(f, "GPU (cuda:{}), no style in its memory", slot.number),
                State::Failed(error) => write!(f, "{cpu}, since {error}"),
                State::Open(gpu) => match gpu.memory() {
                    Ok((free, total)) => write!(
                        f,
                        "{} (cuda:{}), {:.1} of {:.1} GiB in use",
                        gpu.name(),
                        slot.number,
                        gib(total - free),
                        gib(total)
                    ),
                    Err(error) => write!(f, "{} (cuda:{}), {error}", gpu.name(), slot.number),
                },
            };
        }
        f.write_str(&cpu)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_a_word_or_a_number() {
        for (text, choice) in [
            ("auto", DeviceChoice::Auto),
            ("cpu", DeviceChoice::Cpu),
            ("cuda", DeviceChoice::Cuda(0)),
            ("cuda:3", DeviceChoice::Cuda(3)),
        ] {
            assert_eq!(text.parse(), Ok(choice));
        }
        for text in ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "CPU"] {
            assert!(text.parse::<DeviceChoice>().is_err(), "{text}");
        }
    }
}
