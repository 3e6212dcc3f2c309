//! Batches in shares, on a farm, and videos: the real binary with the real Slurm and the real ffmpeg.
//!
//! A test that finds one of these missing says so and passes, unless `UTSUSHI_REQUIRE_FARM` is set. On Debian,
//! `apt install slurm-wlm munge ffmpeg` brings them.

mod fixture;
mod shares;
mod slurm;
mod video;
