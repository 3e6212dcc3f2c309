//! The trainer as the jobs know it.

use std::ops::ControlFlow;

use utsushi_ipc::protocol::{Fault, FaultKind};

use crate::jobs::folder::JobFolder;
use crate::jobs::order::Order;
use crate::jobs::training::{Halt, News, Trainers, Training};

/// Begins trainings.
pub struct Workshop;

impl Trainers for Workshop {
    fn check(&self, _order: &Order) -> Result<(), Fault> {
        Err(Fault::new(FaultKind::Invalid, "this version of Utsushi doesn't train yet"))
    }

    fn begin(
        &self,
        _order: &Order,
        _folder: &JobFolder,
        _tell: &mut dyn FnMut(News<'_>) -> ControlFlow<()>,
    ) -> Result<Box<dyn Training>, Halt> {
        Err(Halt::Failed("this version of Utsushi doesn't train yet".into()))
    }
}
