//! A second socket, in a folder that comes and goes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::*;
use crate::{server::SideDoor, worker::fake::spec};

/// A daemon with a side door below `theirs`, a folder that somebody else makes.
fn start(folder: TempDir) -> (Fixture, PathBuf) {
    let socket = side_socket(&folder);
    let side_door = Some(SideDoor::new(socket.clone()).every(Duration::from_millis(5)));
    let config = Config {
        budget: crate::memory::Budget::of_the_system(),
        idle_unload: None,
        stall_timeout: NO_STALL,
        side_door,
    };
    (Fixture::with_config(config, vec![style()], folder), socket)
}

fn side_socket(folder: &TempDir) -> PathBuf {
    folder.path().join("theirs/utsushi/daemon.sock")
}

fn theirs(socket: &Path) -> &Path {
    socket.ancestors().nth(2).expect("two folders above")
}

/// The styles that a client is told of who comes by this socket, once it is there.
fn styles_at(socket: &Path) -> Vec<StyleInfo> {
    let mut client = None;
    eventually(|| {
        client = Client::connect(socket).ok();
        client.is_some()
    });
    client.and_then(|mut client| client.styles().ok()).expect("the daemon answers")
}

#[test]
fn both_doors_lead_to_one_daemon() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("theirs")).expect("a new folder");
    let (fixture, socket) = start(folder);
    assert_eq!(styles_at(&socket), [style()]);

    let mut beside = Client::connect(&socket).expect("the daemon answers");
    let front = fixture.client();
    let side = Client::connect(&socket).expect("the daemon answers");
    thread::scope(|scope| {
        for (client, seed) in [(front, 1), (side, 2)] {
            scope.spawn(move || redraw(client, &spec("invert", seed, 5, 300)).expect("it is drawn"));
        }
    });
    eventually(|| beside.status().expect("the daemon answers").finished == 2);
    fixture.end();
    assert!(!socket.exists(), "it goes with the daemon");
}

#[test]
fn the_folder_comes_late_and_goes_and_comes_back() {
    let (fixture, socket) = start(tempfile::tempdir().expect("a folder"));
    fixture.check_well();
    assert!(!theirs(&socket).exists(), "the daemon doesn't make it");
    for _ in 0..3 {
        fs::create_dir(theirs(&socket)).expect("a new folder");
        assert_eq!(styles_at(&socket), [style()]);
        // Away at once, as the daemon would put a new socket into what is just being emptied.
        let gone = theirs(&socket).with_file_name("gone");
        fs::rename(theirs(&socket), &gone).expect("moved");
        fs::remove_dir_all(gone).expect("removed");
        fixture.check_well();
    }
    fixture.end();
}

#[test]
fn another_daemon_at_the_side_door_keeps_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let theirs = Listener::bind(&side_socket(&folder)).expect("a free path");
    let (fixture, socket) = start(folder);
    fixture.check_well();
    let knocking = endpoint::connect(&socket).expect("they listen");
    let answered = theirs.accept().expect("the knock");
    drop((knocking, answered, theirs));
    assert_eq!(styles_at(&socket), [style()]);
    fixture.end();
}

#[test]
fn a_folder_that_is_open_to_others_stays_unused_until_it_is_closed() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().expect("a folder");
    let ours = side_socket(&folder).with_file_name("");
    fs::create_dir_all(&ours).expect("new folders");
    let set_mode =
        |mode| fs::set_permissions(&ours, PermissionsExt::from_mode(mode)).expect("a folder of ours");
    set_mode(0o755);
    let (fixture, socket) = start(folder);
    fixture.check_well();
    assert!(!socket.exists());
    set_mode(0o700);
    assert_eq!(styles_at(&socket), [style()]);
    fixture.end();
}
