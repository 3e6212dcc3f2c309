//! The plug-in in the real GIMP: what it draws is what `utsushi stylize` draws of the same pixels.

mod colours;
mod dialog;
mod languages;
mod layers;
mod live;
mod live_window;
mod new_layer;
mod window;

use utsushi::picture::{self, Picture};
use utsushi_ipc::pixels::Depth;
use utsushi_tests::gimp::Session;

fn read(session: &Session, name: &str, log: &str) -> Picture {
    let path = session.home().path().join(name);
    picture::read(&path).unwrap_or_else(|error| panic!("{error}\nGIMP said:\n{log}"))
}

/// What the command line makes of it.
fn stylize(session: &Session, name: &str, options: &[&str]) -> Picture {
    let out = format!("expected-{name}");
    let args = [&["stylize", name, "-o", &out, "--brush-size", "1"], options].concat();
    let output = session.home().run(&args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    read(session, &out, "")
}

/// The samples, out of 65535.
fn samples(picture: &Picture) -> Vec<i32> {
    match picture.raster.format().depth {
        Depth::U8 => picture.pixels.iter().map(|sample| i32::from(*sample) * 257).collect(),
        Depth::U16 => {
            picture.pixels.as_chunks().0.iter().map(|sample| i32::from(u16::from_ne_bytes(*sample))).collect()
        }
        Depth::F32 => panic!("no test needs it"),
    }
}

fn assert_alike(found: &Picture, expected: &Picture, most: i32, what: &str) {
    assert_eq!(found.raster, expected.raster, "{what}");
    let alpha = found.raster.format().channels.has_alpha();
    let channels = found.raster.format().channels.count();
    let (found, expected) = (samples(found), samples(expected));
    for (i, (found, expected)) in found.chunks(channels).zip(expected.chunks(channels)).enumerate() {
        // What is wholly transparent is nobody's concern, and GIMP leaves it out of files.
        if alpha && found[channels - 1] == 0 && expected[channels - 1] == 0 {
            continue;
        }
        let difference = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).max();
        assert!(difference <= Some(most), "{what}, pixel {i}: {found:?}, not {expected:?}");
    }
}
