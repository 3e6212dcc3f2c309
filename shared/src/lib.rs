//! The protocol between Utsushi's daemon and its clients.

pub mod client;
pub mod endpoint;
pub mod paths;
pub mod pixels;
pub mod protocol;
pub mod wire;
