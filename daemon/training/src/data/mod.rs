//! Which pictures there are to learn from, and crops of them.
//!
//! ```text
//! folder > walk > open (the caller's) > resample to a working size > scan: usable ones, and why the others aren't
//! usable > split: for training | held out, to judge by
//! for training > Crops: (seed, step) -> a batch > Prefetched: the next ones, ready in time
//! ```
//!
//! Memory is bounded: pictures are kept as bytes, reduced to a working size ([`Limits`]), and only so many of them.

mod animated;
mod crops;
mod damage;
mod loader;
mod picture;
mod prefetch;
mod resample;
mod scan;
mod twins;
mod walk;

pub use crops::{Crops, split};
pub use damage::{Damage, ImpossibleDamage};
pub use loader::Loader;
pub use picture::{Content, Picture, Sheet, WrongLength};
pub use prefetch::Prefetched;
pub use scan::{
    ENOUGH_PICTURES, Found, Limits, MIN_PICTURES, MIN_SIDE_PX, Open, Progress, Scan, ScanError, Skipped, scan,
};
