//! The end of the real daemon.

use std::process::{Command, Stdio};
use std::time::Duration;

use utsushi_ipc::client::{Client, ClientError};
use utsushi_ipc::pixels::{Channels, Depth, PixelFormat, Raster};
use utsushi_ipc::protocol::{BrushSize, Hello, Priority, Request, StyleShare, StylizeSpec};
use utsushi_ipc::{endpoint, wire};
use utsushi_tests::binary::Home;
use utsushi_tests::daemon::socket;

#[test]
fn a_second_signal_does_not_wait_for_pictures() {
    let home = Home::new();
    let mut daemon = home.utsushi(&["serve"]).stderr(Stdio::null()).spawn().expect("the binary runs");
    let socket = socket(home.path());
    while let Err(ClientError::NotRunning { .. }) = Client::connect(&socket) {
        assert!(daemon.try_wait().expect("a child").is_none(), "the daemon runs");
        std::thread::sleep(Duration::from_millis(5));
    }

    // A picture of which not all rows come keeps the daemon from ending by itself, once it is begun.
    let format = PixelFormat { channels: Channels::Rgb, depth: Depth::U8 };
    let spec = StylizeSpec {
        raster: Raster::new(8, 8, format).expect("a raster"),
        mix: vec![StyleShare { id: "cel".to_owned(), share: 1.0 }],
        strength: 1.0,
        brush_size: BrushSize::Auto,
        keep_colours: 0.0,
        seed: 0,
        priority: Priority::Interactive,
    };
    let mut client = endpoint::connect(&socket).expect("the daemon listens");
    let _: Hello = wire::read_frame(&mut client, &mut Vec::new()).expect("a greeting");
    wire::write_frame(&mut client, &Hello::ours(), &[]).expect("the daemon reads");
    wire::write_frame(&mut client, &Request::Stylize(spec), &[]).expect("the daemon reads");
    wire::write_frame(&mut client, &Request::Rows(1), &[0; 24]).expect("the daemon reads");
    let mut other = Client::connect(&socket).expect("the daemon answers");
    while other.status().expect("the daemon answers").running == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }

    // Two signals that come close together count as one, so send them until it ends.
    let pid = daemon.id().to_string();
    let status = loop {
        if let Some(status) = daemon.try_wait().expect("a child") {
            break status;
        }
        assert!(Command::new("kill").arg(&pid).status().expect("kill runs").success());
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(130));
}
