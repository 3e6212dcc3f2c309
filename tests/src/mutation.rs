//! Bytes that were sound once: what readers of strangers' files and frames are tried with.
//!
//! Every mutant is a function of a seed and its number, so that one that a reader fails at can be made again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How long a single mutant may take: much longer than any does on any machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Has `read` read so many mutants of the sound ones, each of which has to come to an end without a panic.
pub fn try_mutants(what: &str, sound: Vec<Vec<u8>>, count: u64, read: impl Fn(&[u8]) + Send + 'static) {
    assert!(
        !sound.is_empty() && sound.iter().all(|bytes| !bytes.is_empty()),
        "{what}: nothing to begin with"
    );
    let at = Arc::new(AtomicU64::new(0));
    let (ended, end) = mpsc::channel();
    thread::spawn({
        let at = Arc::clone(&at);
        move || {
            let failed = (0..count).find(|number| {
                at.store(*number, Ordering::Relaxed);
                let mutant = mutant(&sound, *number);
                catch_unwind(AssertUnwindSafe(|| read(&mutant))).is_err()
            });
            ended.send(failed)
        }
    });
    loop {
        let before = at.load(Ordering::Relaxed);
        match end.recv_timeout(PATIENCE) {
            Ok(None) => return,
            Ok(Some(number)) => panic!("{what}: mutant {number} made its reader panic"),
            Err(_) => assert!(
                at.load(Ordering::Relaxed) != before,
                "{what}: mutant {before} is read without an end"
            ),
        }
    }
}

/// One to four changes, half of them near the start, where headers are.
fn mutant(sound: &[Vec<u8>], number: u64) -> Vec<u8> {
    let mut random = ChaCha8Rng::seed_from_u64(number);
    let mut bytes = sound.choose(&mut random).expect("one at least").clone();
    for _ in 0..random.random_range(1..=4) {
        let range = if random.random() { bytes.len() } else { bytes.len().min(256) };
        if range == 0 {
            break;
        }
        let start = random.random_range(0..range);
        let end = start + random.random_range(0..=(bytes.len() - start).min(64));
        match random.random_range(0..8) {
            0 => bytes[start] ^= 1 << random.random_range(0..8),
            1 => bytes[start] = *[0, 1, 0x7f, 0x80, 0xff].choose(&mut random).expect("some"),
            // A number of two or four bytes, either way round, as lengths and offsets are.
            2 => {
                let number: u32 = *[0, 1, 0xffff, 0x7fff_ffff, 0xffff_ffff, random.random()]
                    .choose(&mut random)
                    .expect("some");
                let number = if random.random() { number.to_le_bytes() } else { number.to_be_bytes() };
                bytes.iter_mut().skip(start).zip(number).for_each(|(byte, new)| *byte = new);
            }
            3 => bytes.truncate(start),
            4 => drop(bytes.drain(start..end)),
            5 => {
                let again = bytes[start..end].to_vec();
                bytes.splice(start..start, again);
            }
            6 => {
                let noise: Vec<u8> = (start..end).map(|_| random.random()).collect();
                bytes.splice(start..end, noise);
            }
            // A part of another, or of itself.
            _ => {
                let other = sound.choose(&mut random).expect("one at least");
                let from = random.random_range(0..other.len());
                let part = &other[from..other.len().min(from + end - start)];
                bytes.splice(start..end, part.iter().copied());
            }
        }
    }
    bytes
}
