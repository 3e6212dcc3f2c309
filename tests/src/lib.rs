//! Fixtures of the end-to-end tests: the real daemon, in this process or as the real binary, in a folder of
//! its own.

pub mod binary;
pub mod browser;
pub mod daemon;
pub mod dbus;
pub mod emulator;
pub mod gimp;
pub mod measure;
pub mod mirror;
pub mod mutation;
pub mod panel;
pub mod pictures;
pub mod screen;
pub mod training;
pub mod waiting;
pub mod window;
