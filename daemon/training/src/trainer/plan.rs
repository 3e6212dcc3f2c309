//! How far a stage goes, and with what crops.

use crate::recipe::{Course, Length};

/// Steps by which the time is judged, the first of them not.
const MEASURED_STEPS: u64 = 24;
const UNMEASURED_STEPS: u64 = 4;

/// A stage's length, once it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Plan {
    /// The stage's steps.
    pub(super) steps: Option<u64>,
    /// What the first took.
    seconds: f64,
    pixels: f64,
}

impl Plan {
    pub(super) fn new(course: &Course) -> Self {
        let steps = match course.length {
            Length::Steps(steps) => Some(steps),
            Length::Minutes(_) => None,
        };
        Self { steps, ..Self::default() }
    }

    /// Learns what a step took, counted from 0.
    pub(super) fn measure(&mut self, course: &Course, step: u64, seconds: f64) {
        let Length::Minutes(minutes) = course.length else { return };
        if self.steps.is_some() || step < UNMEASURED_STEPS {
            return;
        }
        self.seconds += seconds;
        self.pixels += area(self.crop_px(course, step));
        if step + 1 == MEASURED_STEPS {
            // The crops' areas have equal shares of the steps.
            let mean = course.crops_px.iter().map(|px| area(*px)).sum::<f64>() / course.crops_px.len() as f64;
            let seconds_a_step = self.seconds / self.pixels * mean;
            self.steps = Some(((minutes * 60.0 / seconds_a_step).round() as u64).max(MEASURED_STEPS));
        }
    }

    /// The share of the stage that lies behind.
    pub(super) fn done(&self, step: u64) -> f64 {
        self.steps.map_or(0.0, |steps| step as f64 / steps as f64)
    }

    /// The sides of a step's crops.
    pub(super) fn crop_px(&self, course: &Course, step: u64) -> usize {
        let sizes = &course.crops_px;
        let part = self.steps.map_or(0, |steps| u128::from(step) * sizes.len() as u128 / u128::from(steps));
        sizes[(part as usize).min(sizes.len() - 1)]
    }
}

fn area(side_px: usize) -> f64 {
    (side_px * side_px) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{Preset, Recipe};

    fn course(length: Length, crops_px: &[usize]) -> Course {
        let imitation = Recipe::preset(Preset::Fast).imitation.expect("a stage");
        Course { length, crops_px: crops_px.to_vec(), ..imitation.course }
    }

    #[test]
    fn crops_grow_through_the_stage() {
        let course = course(Length::Steps(10), &[64, 96, 128]);
        let plan = Plan::new(&course);
        let sides: Vec<_> = (0..12).map(|step| plan.crop_px(&course, step)).collect();
        assert_eq!(sides, [64, 64, 64, 64, 96, 96, 96, 128, 128, 128, 128, 128]);
        assert_eq!(plan.done(5), 0.5);
    }

    #[test]
    fn minutes_become_steps() {
        // Crops of twice and thrice the side take four and nine times as long.
        for (crops, steps) in [(&[64][..], 1200), (&[64, 128], 480), (&[64, 128, 192], 257)] {
            let course = course(Length::Minutes(2.0), crops);
            let mut plan = Plan::new(&course);
            for step in 0..100 {
                assert_eq!(plan.steps.is_some(), step >= MEASURED_STEPS);
                plan.measure(&course, step, if step < UNMEASURED_STEPS { 5.0 } else { 0.1 });
            }
            assert_eq!(plan.steps, Some(steps), "{crops:?}");
        }
    }
}
