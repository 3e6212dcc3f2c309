//! The trainer as the jobs know it: an order becomes a recipe, folders become pictures, and weights become a style.
//!
//! ```text
//! order   > course: the recipe, and what to start from
//! folders > material: art, photos, and what the filter makes of these (kept for the next job)
//! both    > apprentice: steps, checkpoints, the style; diary: the page to look at; jury: which style is kept
//! ```

mod apprentice;
mod course;
mod diary;
mod eyes;
mod jury;
mod kept;
mod material;
mod nearest;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use utsushi_engine::Device;
use utsushi_engine::differentiable::Place;
use utsushi_ipc::protocol::{Fault, FaultKind, JobState};
use utsushi_training::checkpoint::{Checkpoint, CheckpointError};
use utsushi_training::trainer::Trainer;

use self::apprentice::Apprentice;
pub(crate) use self::eyes::features;
use self::material::Material;
pub(crate) use self::material::sheet;
use crate::jobs::checkpoints::{IfLost, Unread};
use crate::jobs::folder::JobFolder;
use crate::jobs::order::Order;
use crate::jobs::training::{Halt, News, Trainers, Training};
use crate::library::Library;

/// Begins trainings with Utsushi's own trainer.
#[derive(Clone)]
pub struct Workshop {
    library: Library,
    cache: PathBuf,
    device: Device,
}

impl Workshop {
    /// Starts from styles of the library; `cache` is a folder for what takes long to make of photos.
    pub fn new(library: Library, cache: PathBuf, device: Device) -> Self {
        Self { library, cache, device }
    }
}

impl Trainers for Workshop {
    fn check(&self, order: &Order) -> Result<(), Fault> {
        let recipe = course::recipe(order).map_err(|why| Fault::new(FaultKind::Invalid, why))?;
        course::start(order, &recipe, &self.library).map_err(|why| Fault::new(FaultKind::BadStyle, why))?;
        course::teacher(&recipe, &self.library).map_err(|why| Fault::new(FaultKind::BadStyle, why))?;
        material::check(order).map_err(|why| Fault::new(FaultKind::Invalid, why))
    }

    fn begin(
        &self,
        order: &Order,
        folder: &JobFolder,
        if_lost: IfLost,
        tell: &mut dyn FnMut(News<'_>) -> ControlFlow<()>,
    ) -> Result<Box<dyn Training>, Halt> {
        let order = match course::needs_start(order) {
            true => &nearest::settled(order, &self.library, folder)?,
            false => order,
        };
        let recipe = course::recipe(order).map_err(Halt::Failed)?;
        let start = course::start(order, &recipe, &self.library).map_err(Halt::Failed)?;
        let recipe = course::fitted(recipe, start.as_ref());
        let teacher = course::teacher(&recipe, &self.library).map_err(Halt::Failed)?;
        let material = Material::gather(order, &recipe, teacher.as_ref(), &self.cache, folder, tell)?;
        let place = Place::on(&self.device);
        if place.is_gpu() {
            folder.log("the GPU trains");
        }
        let trainer = match folder.go_on(if_lost, |path| resumed(path, &material))? {
            Some(trainer) => trainer,
            None => {
                let weights = start.map(|start| start.weights);
                Trainer::new(recipe, material.data(), weights.as_ref())
                    .map_err(|error| Halt::Failed(error.to_string()))?
            }
        };
        Ok(Box::new(Apprentice::new(trainer.in_place(place), material, order.clone(), folder)?))
    }

    fn settled(&self, folder: &JobFolder, state: &JobState) {
        diary::settle(folder, state);
    }
}

/// The training at a checkpoint.
fn resumed(path: &Path, material: &Material) -> Result<Trainer, Unread> {
    let checkpoint = Checkpoint::read(path).map_err(|error| match error {
        CheckpointError::Io { .. } => Unread::Withheld(error.to_string()),
        other => Unread::Unreadable(other.to_string()),
    })?;
    Trainer::resume(&checkpoint, material.data()).map_err(|error| Unread::Unreadable(error.to_string()))
}
