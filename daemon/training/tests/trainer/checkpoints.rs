//! Checkpoints' files: damaged ones are refused, and old ones are read.

use utsushi_training::checkpoint::{Checkpoint, CheckpointError};
use utsushi_training::trainer::Trainer;

use super::{data, imitation, run};

/// A checkpoint's file.
fn written() -> Vec<u8> {
    let mut trainer = Trainer::new(imitation(4), data(), None).expect("a trainer");
    run(&mut trainer, 2);
    trainer.checkpoint().expect("a state").to_bytes().expect("bytes")
}

/// What is said of a checkpoint's file in which bytes were changed: even if no checksum tells of it, as in old files.
fn check_damage(change: impl Fn(&mut Vec<u8>), want: &str) {
    let mut bytes = written();
    change(&mut bytes);
    assert!(Checkpoint::parse(&bytes).is_err(), "{want}");
    forget_checksum(&mut bytes);
    let error = match Checkpoint::parse(&bytes) {
        Ok(checkpoint) => Trainer::resume(&checkpoint, data()).err().expect("it is damaged").to_string(),
        Err(error) => error.to_string(),
    };
    assert!(error.contains(want), "{error}");
}

fn forget_checksum(bytes: &mut [u8]) {
    let key = b"\"crc32\":";
    if let Some(at) = bytes.windows(key.len()).position(|window| window == key) {
        bytes[at + 1..at + 6].copy_from_slice(b"other");
    }
}

/// One text for another of the same length.
fn swap(from: &'static str, to: &'static str) -> impl Fn(&mut Vec<u8>) {
    assert_eq!(from.len(), to.len());
    move |bytes| {
        let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).expect("it is there");
        bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
    }
}

#[test]
fn damaged_checkpoints_are_refused() {
    check_damage(|bytes| bytes.truncate(bytes.len() - 1), "no checkpoint, or a damaged one");
    check_damage(Vec::clear, "no checkpoint, or a damaged one");
    check_damage(|bytes| bytes[7] = 1, "a header of");
    check_damage(swap("utsushi-checkpoint", "utsushi-checkpiont"), "something else");
    check_damage(swap("\"format_version\":\"1\"", "\"format_version\":\"2\""), "version 2");
    check_damage(swap("c1 = 8", "c1 = 9"), "generator is another network");
    check_damage(swap("batch = 2", "batch = 0"), "batch is 0");
    check_damage(swap("now.generator.moments.first.h1", "now.generator.moments.frist.h1"), "h1.bias");
    check_damage(swap("\"now.average.rgb.bias", "\"now.average.rbg.bias"), "rbg.bias");
    check_damage(swap("\\\"stage\\\":\\\"imitation", "\\\"stage\\\":\\\"imitatoin"), "unknown variant");
    check_damage(
        swap("\\\"stage\\\":\\\"imitation", "\\\"stage\\\":\\\"measuring"),
        "stage that the recipe doesn't",
    );
    let last = |bytes: &mut Vec<u8>| {
        let len = bytes.len();
        bytes[len - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    };
    check_damage(last, "no numbers");
}

/// What still is a sound checkpoint, but another than was written.
#[test]
fn flipped_bits_are_found() {
    let sound = written();
    assert!(Checkpoint::parse(&sound).is_ok());
    fn check(sound: &[u8], change: impl Fn(&mut Vec<u8>)) {
        let mut bytes = sound.to_vec();
        change(&mut bytes);
        let error = Checkpoint::parse(&bytes).expect_err("it is damaged").to_string();
        assert!(error.contains("its checksum is"), "{error}");
        forget_checksum(&mut bytes);
        assert!(Checkpoint::parse(&bytes).is_ok(), "there would be nothing else to see");
    }
    let tensors = 8 + u64::from_le_bytes(*sound.first_chunk().expect("a length")) as usize;
    let len = sound.len();
    // The lowest bits, with which a number stays one.
    for at in [tensors, tensors + (len - tensors) / 8 * 4, len - 4] {
        check(&sound, |bytes| bytes[at] ^= 1);
    }
    check(&sound, swap("batch = 2", "batch = 3"));
    check(&sound, swap("\\\"tick\\\":2", "\\\"tick\\\":3"));
    check(&sound, swap("\"now.average.rgb.bias", "\"now.average.rbg.bias"));
}

/// One of an older network, which version 0.1.0 wrote, is read, and told to be of another network.
#[test]
fn checkpoints_of_older_networks_are_told_of() {
    let bytes = include_bytes!("../data/checkpoint-0.1.0.safetensors");
    let checkpoint = Checkpoint::parse(bytes).expect("a checkpoint");
    let error = Trainer::resume(&checkpoint, data()).err().expect("another network").to_string();
    assert_eq!(
        error,
        "the checkpoint's generator is another network than this version's: the training has to begin anew"
    );
}

#[test]
fn a_checkpoint_that_can_not_be_written_leaves_the_old_one() {
    let trainer = Trainer::new(imitation(4), data(), None).expect("a trainer");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("missing").join("checkpoint");
    let checkpoint = trainer.checkpoint().expect("a state");
    assert!(matches!(checkpoint.write(&path), Err(CheckpointError::Io { .. })));
    let path = folder.path().join("checkpoint");
    std::fs::write(&path, b"old").expect("a file");
    checkpoint.write(&path).expect("a checkpoint");
    assert!(Checkpoint::read(&path).is_ok());
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing else is left");
}
