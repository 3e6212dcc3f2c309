//! The end of the real daemon.

use std::process::{Command, Stdio};
use std::time::Duration;

use utsushi_ipc::client::{Client, ClientError};
use utsushi_ipc::protocol::Request;
use utsushi_ipc::wire;
use utsushi_tests::binary::Home;
use utsushi_tests::daemon::socket;
use utsushi_tests::waiting::waiting_picture;

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
    let mut client = waiting_picture(&socket);
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
