//! What Utsushi's daemon and its clients agree on, and a client that keeps to it.
//!
//! # The contract
//!
//! The daemon listens on a Unix socket ([`endpoint`], [`paths::socket`]) that only its own user can reach. Each side
//! opens a connection with a [`protocol::Hello`], and closes it if the other's version doesn't fit
//! ([`protocol::Hello::fits`]); the user is told to stop the older daemon. After that, the client asks and the daemon
//! answers, one request at a time ([`protocol`]).
//!
//! A message is a frame ([`wire`]): a short head that says what it is, and a body that is empty or holds rows of raw
//! pixels ([`pixels`]). While a picture is stylized, its rows go to the daemon and come back in bands of about 1 MiB,
//! both ways at once: neither side ever waits for the whole. The client holds a band of it, the daemon as many rows as
//! the network looks at.
//!
//! Whoever has nothing to say any more closes the connection. For the daemon that means: cancelled. For the client:
//! the daemon is gone, unless it has sent a [`protocol::Fault`] before, which says why in words for the user. A peer
//! that is merely slow holds up nobody but itself, because sockets block only those who use them.
//!
//! # What is not here
//!
//! No network socket, no serialising of pixels, no async, and neither networks nor image files: the daemon has these.
//! Frames are protected against accidents and lies about lengths, but not against a user's other programs, which can
//! reach the socket like any client.

pub mod client;
pub mod endpoint;
pub mod log;
pub mod paths;
pub mod pixels;
pub mod protocol;
pub mod status;
pub mod wire;
