//! A picture that keeps the daemon waiting.

use std::path::Path;

use utsushi_ipc::endpoint::{self, Connection};
use utsushi_ipc::pixels::{Channels, Depth, PixelFormat, Raster};
use utsushi_ipc::protocol::{BrushSize, Hello, Priority, Profile, Request, StyleShare, StylizeSpec};
use utsushi_ipc::wire;

/// A picture of a few pixels, to be drawn at once.
pub fn small_picture() -> StylizeSpec {
    let format = PixelFormat { channels: Channels::Rgb, depth: Depth::U8 };
    StylizeSpec {
        raster: Raster::new(8, 8, format).expect("a raster"),
        mix: vec![StyleShare { id: "cel".to_owned(), share: 1.0 }],
        strength: 1.0,
        brush_size: BrushSize::Auto,
        keep_colours: 0.0,
        seed: 0,
        grain: 1.0,
        place: None,
        priority: Priority::Interactive,
        profile: Profile::default(),
    }
}

/// Asks the daemon for a picture whose rows don't come, for as long as the connection is open.
pub fn waiting_picture(socket: &Path) -> Connection {
    let mut client = endpoint::connect(socket).expect("the daemon listens");
    let _: Hello = wire::read_frame(&mut client, &mut Vec::new()).expect("a greeting");
    wire::write_frame(&mut client, &Hello::ours(), &[]).expect("the daemon reads");
    wire::write_frame(&mut client, &Request::Stylize(small_picture()), &[]).expect("the daemon reads");
    client
}
