//! What was drawn last, as much as there is room for, by what it was drawn of: so that what is undone, shown again or
//! shown at another size is there at once, and what is below may change in whatever way.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use utsushi_ipc::protocol::StylizeSpec;

use crate::region::Rect;

/// Names a drawn block: a hash of all that it depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key(u64);

/// Drawn pixels of a block, without gaps between rows.
pub(super) type Pixels = Arc<[u8]>;

/// The newest are kept.
pub(super) struct Cache {
    hashing: RandomState,
    most_bytes: usize,
    bytes: usize,
    blocks: HashMap<Key, Pixels>,
    /// The one that was used last is at the end.
    order: VecDeque<Key>,
}

impl Cache {
    pub(super) fn new(most_bytes: usize) -> Self {
        let (hashing, blocks, order) = (RandomState::new(), HashMap::new(), VecDeque::new());
        Self { hashing, most_bytes, bytes: 0, blocks, order }
    }

    /// The name of what is drawn of these pixels by this request, of which this block is kept.
    pub(super) fn key(&self, spec: &StylizeSpec, block: Rect, pixels: &[u8]) -> Key {
        let mut hasher = self.hashing.build_hasher();
        // Numbers are written such that different ones differ, and a profile is told apart by its bytes.
        hasher.write(format!("{spec:?} {block:?}").as_bytes());
        hasher.write(&spec.profile.0);
        hasher.write(pixels);
        Key(hasher.finish())
    }

    pub(super) fn get(&mut self, key: Key) -> Option<Pixels> {
        let pixels = self.blocks.get(&key).cloned()?;
        self.order.retain(|other| *other != key);
        self.order.push_back(key);
        Some(pixels)
    }

    /// Keeps a block, and forgets those that weren't used for longest. One that is larger than all the room is kept
    /// alone, or the picture would be drawn anew for each of its tiles.
    pub(super) fn put(&mut self, key: Key, pixels: Pixels) {
        self.bytes += pixels.len();
        self.order.retain(|other| *other != key);
        self.order.push_back(key);
        if let Some(before) = self.blocks.insert(key, pixels) {
            self.bytes -= before.len();
        }
        while self.bytes > self.most_bytes
            && self.order.len() > 1
            && let Some(oldest) = self.order.pop_front()
        {
            self.bytes -= self.blocks.remove(&oldest).map_or(0, |pixels| pixels.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let mut cache = Cache::new(100);
        let is_there = |cache: &mut Cache, keys: &[u64]| {
            let there: Vec<_> = (1..=5).filter(|key| cache.blocks.contains_key(&Key(*key))).collect();
            assert_eq!(there, keys);
            assert_eq!(cache.bytes, cache.blocks.values().map(|pixels| pixels.len()).sum::<usize>());
            assert_eq!(cache.order.len(), cache.blocks.len());
        };
        let pixels = |bytes: usize| Pixels::from(vec![7; bytes]);
        cache.put(Key(1), pixels(40));
        cache.put(Key(2), pixels(40));
        assert_eq!(cache.get(Key(1)), Some(pixels(40)));
        assert_eq!(cache.get(Key(3)), None);
        cache.put(Key(3), pixels(40));
        is_there(&mut cache, &[1, 3]);
        cache.put(Key(1), pixels(50));
        is_there(&mut cache, &[1, 3]);
        cache.put(Key(4), pixels(500));
        is_there(&mut cache, &[4]);
        cache.put(Key(5), pixels(1));
        is_there(&mut cache, &[5]);
    }
}
