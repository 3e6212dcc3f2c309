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
mod material;
mod nearest;

use std::ops::ControlFlow;
use std::path::PathBuf;

use utsushi_engine::Device;
use utsushi_engine::differentiable::Place;
use utsushi_ipc::protocol::{Fault, FaultKind, JobState};
use utsushi_training::checkpoint::Checkpoint;
use utsushi_training::trainer::Trainer;

use self::apprentice::Apprentice;
pub(crate) use self::eyes::features;
use self::material::Material;
pub(crate) use self::material::open;
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
        for path in folder.checkpoints() {
            let resumed = Checkpoint::read(&path)
                .map_err(|error| error.to_string())
                .and_then(|from| Trainer::resume(&from, material.data()).map_err(|error| error.to_string()));
            match resumed {
                Ok(trainer) => {
                    let trainer = trainer.in_place(place);
                    return Ok(Box::new(Apprentice::new(trainer, material, order.clone(), folder)?));
                }
                Err(why) => folder.log(&format!("{}: can't go on from here: {why}", path.display())),
            }
        }
        let weights = start.map(|start| start.weights);
        let trainer = Trainer::new(recipe, material.data(), weights.as_ref())
            .map_err(|error| Halt::Failed(error.to_string()))?
            .in_place(place);
        Ok(Box::new(Apprentice::new(trainer, material, order.clone(), folder)?))
    }

    fn settled(&self, folder: &JobFolder, state: &JobState) {
        diary::settle(folder, state);
    }
}
