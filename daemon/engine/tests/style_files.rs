//! Style files as strangers might send them.

use std::path::Path;

use utsushi_engine::style_file::{MAX_FILE_BYTES, StyleFile, StyleFileError, Thumbnail};

/// A style without a checksum, as files of 0.1.0 are, so that other things can be wrong with it.
fn cel() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/styles/brush-1.safetensors");
    let (mut header, data) = split(&std::fs::read(path).expect("the style"));
    if let Some(start) = header.find(r#""crc32":""#) {
        header.replace_range(start..start + r#""crc32":"01234567","#.len(), "");
    }
    join(&header, &data)
}

/// Header and data of a safetensors file.
fn split(bytes: &[u8]) -> (String, Vec<u8>) {
    let n = u64::from_le_bytes(*bytes.first_chunk().expect("a length")) as usize;
    (String::from_utf8(bytes[8..8 + n].to_vec()).expect("JSON"), bytes[8 + n..].to_vec())
}

fn join(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

fn replaced(from: &str, to: &str) -> Vec<u8> {
    let (header, data) = split(&cel());
    assert!(header.contains(from), "{from} is not in {header}");
    join(&header.replacen(from, to, 1), &data)
}

#[test]
fn what_is_written_is_read_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("style.safetensors");
    let mut file = StyleFile::parse(&cel()).expect("a style");
    let picture = Thumbnail { width: 2, height: 1, rgb: vec![1, 2, 3, 4, 5, 6] };
    file.set_thumbnail("cel", picture.clone());
    file.save(&path).expect("saved");
    let again = StyleFile::open(&path).expect("a style");
    assert_eq!(again.styles(), file.styles());
    assert_eq!(again.thumbnail("cel"), Some(&picture));
    // Equal styles are equal files, in the next process, too: entries come in alphabetical order.
    assert!(again.to_bytes().expect("written") == std::fs::read(&path).expect("a file"));
    let (header, _) = split(&std::fs::read(&path).expect("a file"));
    let places = ["\"arch\"", "\"format\"", "\"format_version\"", "\"sizes\"", "\"styles\"", "\"b2."];
    assert!(places.map(|name| header.find(name).expect("an entry")).is_sorted(), "{header}");
    // Nothing but the thumbnail is larger, and nothing is left lying about.
    assert!(std::fs::metadata(&path).expect("a file").len() < cel().len() as u64 + 200);
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 1);
}

#[test]
fn a_file_that_cannot_be_right_says_what_is_wrong() {
    let (header, data) = split(&cel());
    let mut infinite = cel();
    let first = infinite.len() - data.len();
    infinite[first..first + 2].copy_from_slice(&half::f16::INFINITY.to_le_bytes());
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("nothing", vec![], "no style file"),
        ("text", b"hello, I am a style, really I am".to_vec(), "no style file"),
        (
            "an endless header",
            join(&header, &data).iter().enumerate().map(|(i, b)| if i == 5 { 255 } else { *b }).collect(),
            "header of",
        ),
        ("cut short", cel()[..cel().len() - 7].to_vec(), "damaged"),
        ("cut in the header", cel()[..100].to_vec(), "damaged"),
        ("another format", replaced("utsushi-style", "other-style"), "does not say"),
        (
            "a newer format",
            replaced(r#""format_version":"1""#, r#""format_version":"9""#),
            "format version 9",
        ),
        ("another network", replaced("brush-1", "brush-9"), "\"brush-9\""),
        ("other sizes", replaced(r#"\"c1\":48"#, r#"\"c1\":49"#), "weights"),
        ("mad sizes", replaced(r#"\"c1\":48"#, r#"\"c1\":99999999"#), "sizes"),
        ("no blocks", replaced(r#"[3,6,3]"#, r#"[3,6]"#), "sizes"),
        ("many blocks", replaced(r#"[3,6,3]"#, r#"[3,6,9999999]"#), "sizes"),
        ("an id that is a path", replaced(r#"\"id\":\"cel\""#, r#"\"id\":\"../x\""#), "id"),
        ("no id", replaced(r#"\"id\":\"cel\""#, r#"\"id\":\"\""#), "id"),
        ("no licence", replaced(r#"\"licence\":\"MIT OR Apache-2.0\""#, r#"\"licence\":\"\""#), "licence"),
        ("a name with an escape", replaced(r#"\"name\":\"Cel\""#, r#"\"name\":\"\\u001b[2J\""#), "control"),
        ("an unknown field", replaced(r#"\"name\""#, r#"\"nome\""#), "styles"),
        ("a tensor less", replaced("stem.bias", "stem.bios"), "weights"),
        ("infinite weights", infinite, "no numbers"),
    ];
    for (what, bytes, message) in cases {
        match StyleFile::parse(&bytes) {
            Ok(_) => panic!("{what} was taken for a style"),
            Err(error) => assert!(error.to_string().contains(message), "{what}: {error}"),
        }
    }
}

#[test]
fn no_cut_and_no_flipped_bit_of_the_header_brings_the_reader_down() {
    let good = cel();
    let header = split(&good).0.len() + 8;
    for cut in (0..header).step_by(97) {
        assert!(StyleFile::parse(&good[..cut]).is_err());
    }
    for at in (0..header).step_by(131) {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        // Some flips only change a letter of a name.
        let _ = StyleFile::parse(&bytes);
    }
}

#[test]
fn flipped_bits_are_noticed() {
    let file = StyleFile::parse(&cel()).expect("a style").to_bytes().expect("written");
    let (header, data) = split(&file);
    let start = file.len() - data.len();
    let author = 8 + header.find("The Utsushi authors").expect("the author");
    for at in [author, start, start + data.len() / 4 * 2, file.len() - 2] {
        let mut flipped = file.clone();
        // A bit of a letter's case, or of a value's last digits.
        flipped[at] ^= 1 << 5;
        let error = StyleFile::parse(&flipped).expect_err("it isn't what was written").to_string();
        assert!(error.contains("checksum"), "{at}: {error}");
    }
}

#[test]
fn a_huge_file_is_not_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("huge.safetensors");
    let file = std::fs::File::create(&path).expect("a file");
    file.set_len(MAX_FILE_BYTES * 100).expect("a hole");
    assert!(matches!(StyleFile::open(&path), Err(StyleFileError::TooLarge { .. })));
}

#[test]
fn a_failed_save_leaves_what_was_there() {
    let file = StyleFile::parse(&cel()).expect("a style");
    let folder = tempfile::tempdir().expect("a folder");
    // The target is a folder, so that the last step, the renaming, fails.
    let target = folder.path().join("target");
    std::fs::create_dir(&target).expect("a folder");
    assert!(matches!(file.save(&target), Err(StyleFileError::Io { .. })));
    assert!(matches!(file.save(&folder.path().join("nowhere/x")), Err(StyleFileError::Io { .. })));
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 1);
}
