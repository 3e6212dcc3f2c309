//! Training: from a folder of pictures and a folder of photos to a style.
//!
//! ```text
//! data          which files are usable, crops of them, a loader that prefetches
//! abstraction   a photo smoothed to flat surfaces with lines: the first teacher
//! networks      perceptual features (a network of ours is embedded: examples/distil, examples/rank) and
//!               discriminators, one a file
//! losses        a formula each
//! optimiser     Adam, moving average, learning-rate schedule, gradient clipping
//! trainer       the stages, a step at a time; going back where a step went wrong
//! checkpoint    all of a trainer's state, in one file
//! evaluate      how good is it: distance to the art, content distance, diversity
//! report        a page to look at
//! recipe        every number of it, as a file
//! ```
//!
//! Pictures come as RGB values: reading files is up to the caller. All randomness is a function of the seed and the
//! step, so that a run that was resumed is the run that was never stopped.

pub mod abstraction;
pub mod checkpoint;
pub mod data;
pub mod evaluate;
pub mod losses;
pub mod networks;
pub mod optimiser;
pub mod recipe;
pub mod report;
pub mod trainer;
