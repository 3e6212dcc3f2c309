//! Utsushi's daemon and command line.

pub mod cli;
mod desktop;
pub mod jobs;
pub mod library;
mod log;
pub mod memory;
pub mod picture;
pub mod scheduler;
pub mod server;
pub mod session;
pub mod studio;
pub mod worker;
pub mod workshop;
