//! Networks that others trained: their weights come in, with a licence and a source, and draw.

use std::fs;
use std::path::Path;

use serde_json::Value;
use utsushi_ipc::pixels::{Channels, Depth};
use utsushi_tests::binary::{Home, errors};
use utsushi_tests::pictures::write_drawn;

/// A tiny network with random weights, under the names of AnimeGANv2's.
fn weights(home: &Home, name: &str) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/goldens").join(name);
    fs::copy(golden, home.path().join(name)).expect("a copy");
}

const DESCRIPTION: &str = "--name Tiny --licence CC0-1.0 --author Somebody --source https://example.org/tiny";

fn args(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

#[test]
fn imported_weights_draw_whatever_file_they_came_in() {
    let home = Home::new();
    for (id, file) in [("tiny", "animegan2-tiny.safetensors"), ("torch", "animegan2-tiny.pth")] {
        weights(&home, file);
        let output = home.expect(0, &args(&format!("styles import {file} --id {id} {DESCRIPTION}")));
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{id}: Tiny, CC0-1.0\n"));
    }
    let shown = home.expect(0, &["styles", "show", "torch", "--json"]).stdout;
    let shown: Value = serde_json::from_slice(&shown).expect("an object");
    for (key, value) in [
        ("licence", "CC0-1.0"),
        ("author", "Somebody"),
        ("source", "https://example.org/tiny"),
        ("architecture", "animegan2-1"),
    ] {
        assert_eq!(shown[key], value, "{shown}");
    }
    let told = String::from_utf8(home.expect(0, &["styles", "show", "tiny"]).stdout).expect("UTF-8");
    assert!(told.contains("source        https://example.org/tiny\n"), "{told}");
    let listed = String::from_utf8(home.expect(0, &["styles"]).stdout).expect("UTF-8");
    assert!(listed.contains("tiny\tTiny\tSomebody\tCC0-1.0\thttps://example.org/tiny\n"), "{listed}");

    // Drawn at once, and in bands with the statistics of a reduced copy; with alpha; reduced first.
    for (name, width, height, channels, brush_size) in [
        ("small.png", 90, 61, Channels::Rgb, "1"),
        ("alpha.png", 50, 70, Channels::Rgba, "1"),
        ("large.png", 1200, 900, Channels::Rgb, "1"),
        ("large-alpha.png", 1100, 1000, Channels::Rgba, "1"),
        ("reduced.png", 700, 500, Channels::Rgb, "3"),
    ] {
        write_drawn(&home.path().join(name), width, height, channels, Depth::U8);
        let draw = |style: &str| {
            let line = format!("stylize {name} -o out.png --brush-size {brush_size} --style {style}");
            home.expect(0, &args(&line));
            let drawn = home.files(".").remove("out.png");
            fs::remove_file(home.path().join("out.png")).expect("removed");
            drawn
        };
        let drawn = draw("tiny");
        assert!(drawn == draw("torch"), "{name}: the same weights draw another picture");
        assert!(drawn != home.files(".").remove(name) && drawn != draw("cel"), "{name}");
    }
    home.expect(0, &args("stylize small.png -o mix.png --style tiny=1 --style cel=2"));
    home.expect(0, &args("batch small.png alpha.png -o out --style torch"));

    let output = home.expect(1, &args("styles export tiny --onnx -o tiny.onnx"));
    assert!(errors(&output).contains("can't be written as ONNX"), "{}", errors(&output));
    home.expect(0, &args("styles export cel --onnx -o cel.onnx"));
    assert!(home.path().join("cel.onnx").is_file() && !home.path().join("tiny.onnx").exists());

    // What was imported is a style as any other: given away, it describes itself.
    home.expect(0, &args("styles export tiny -o mine.safetensors"));
    home.expect(0, &args("styles remove tiny"));
    home.expect(0, &args("styles import mine.safetensors"));
    let told = String::from_utf8(home.expect(0, &["styles", "show", "tiny"]).stdout).expect("UTF-8");
    assert!(told.contains("https://example.org/tiny") && told.contains("CC0-1.0"), "{told}");
}

#[test]
fn weights_without_a_licence_or_a_source_stay_outside() {
    let home = Home::new();
    weights(&home, "animegan2-tiny.pth");
    for (options, words) in [
        ("", "--id, --name, --licence, --source"),
        ("--id tiny --name Tiny --source x", "--licence"),
        ("--id tiny --name Tiny --licence MIT", "--source"),
        ("--id tiny --name Tiny --licence MIT --source=", "--source"),
    ] {
        let output = home.expect(2, &args(&format!("styles import animegan2-tiny.pth {options}")));
        assert!(errors(&output).contains(words), "{options}: {}", errors(&output));
        assert!(home.names("styles").is_empty(), "{options}");
    }
}

#[test]
fn weights_that_cannot_be_right_say_what_is_wrong() {
    let home = Home::new();
    weights(&home, "animegan2-tiny.pth");
    weights(&home, "animegan2-tiny.safetensors");
    let (pth, safetensors) = {
        let mut files = home.files(".");
        let mut take = |name: &str| files.remove(name).expect("a file");
        (take("animegan2-tiny.pth"), take("animegan2-tiny.safetensors"))
    };
    let replaced = |bytes: &[u8], from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let at = bytes.windows(from.len()).position(|window| window == from.as_bytes());
        let at = at.unwrap_or_else(|| panic!("{from} is not in the file"));
        [&bytes[..at], to.as_bytes(), &bytes[at + to.len()..]].concat()
    };
    let mut infinite = safetensors.clone();
    let end = infinite.len();
    infinite[end - 4..].copy_from_slice(&f32::INFINITY.to_le_bytes());
    for (what, bytes, words) in [
        ("an archive cut short", pth[..pth.len() / 2].to_vec(), "can't be read"),
        // The archive's checksum finds it before the reader does.
        (
            "a call",
            replaced(&pth, "torch._utils\n_rebuild_tensor_v2", "subprocess__\ncheck_output______"),
            "can't be read",
        ),
        ("an archive in name only", b"PK\x03\x04 and nothing more".to_vec(), "can't be read"),
        ("an old PyTorch's", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.".to_vec(), "before 1.6"),
        (
            "another network",
            replaced(&safetensors, "out_layer.0.weight", "out_layer.1.weight"),
            "doesn't know",
        ),
        ("a layer less", replaced(&safetensors, "block_d.1.1.weight", "block_d.9.1.weight"), "weights"),
        ("another shape", replaced(&safetensors, "[4,6,7,7]", "[6,4,7,7]"), "weights"),
        ("infinite weights", infinite, "no numbers"),
        ("nothing", Vec::new(), "no style file"),
    ] {
        fs::write(home.path().join("bad"), bytes).expect("written");
        let output = home.expect(1, &args(&format!("styles import bad --id bad {DESCRIPTION}")));
        assert!(errors(&output).contains(words), "{what}: {}", errors(&output));
        assert!(home.names("styles").is_empty(), "{what}");
    }
}
