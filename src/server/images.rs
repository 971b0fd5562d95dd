//! Spectrograms and waveforms, drawn once and kept while there is room.
//!
//! In: what of which sound, and how large. Out: PNG. Refuses sizes that no screen has.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;

use super::errand::{Levels, Picture};

/// Bytes of pictures that are kept.
const MOST_BYTES: usize = 64 << 20;
/// The largest picture, and the usual one.
pub(super) const MOST_SIZE: (usize, usize) = (4_096, 1_024);
pub(super) const USUAL_SIZE: (usize, usize) = (900, 256);

/// Which picture: of a file with its tag, from and to in bits, and its size.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) of: String,
    pub(super) stretch: Option<(u64, Option<u64>)>,
    pub(super) picture: Picture,
    pub(super) size: (usize, usize),
}

/// Files whose levels are remembered.
const MOST_LEVELS: usize = 4_096;

/// The levels of one file, once they were looked for.
type LevelsOfOne = Arc<OnceLock<Option<Levels>>>;

/// Pictures that were drawn.
#[derive(Debug, Default)]
pub(super) struct Pictures {
    kept: Mutex<Kept>,
    /// By file with its tag: what colours stand for in all pictures of one.
    levels: Mutex<HashMap<String, LevelsOfOne>>,
}

#[derive(Debug, Default)]
struct Kept {
    pictures: HashMap<Key, Bytes>,
    /// The oldest first.
    order: VecDeque<Key>,
    bytes: usize,
}

impl Pictures {
    pub(super) fn get(&self, key: &Key) -> Option<Bytes> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).pictures.get(key).cloned()
    }

    /// What colours stand for in pictures of a file, which is known as `of`: as `find` finds once. Whoever
    /// asks meanwhile waits for that; where it finds nothing, nothing is known for good.
    pub(super) fn levels(&self, of: &str, find: impl FnOnce() -> Option<Levels>) -> Option<Levels> {
        let place = {
            let mut levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
            if levels.len() >= MOST_LEVELS && !levels.contains_key(of) {
                // They are found again.
                levels.clear();
            }
            Arc::clone(levels.entry(of.to_owned()).or_default())
        };
        *place.get_or_init(find)
    }

    pub(super) fn put(&self, key: Key, picture: Bytes) {
        if picture.len() > MOST_BYTES / 4 {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += picture.len();
        if let Some(earlier) = kept.pictures.insert(key.clone(), picture) {
            kept.bytes -= earlier.len();
        } else {
            kept.order.push_back(key);
        }
        while kept.bytes > MOST_BYTES
            && let Some(oldest) = kept.order.pop_front()
        {
            let gone = kept.pictures.remove(&oldest);
            kept.bytes -= gone.map_or(0, |picture| picture.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_make_room() {
        let pictures = Pictures::default();
        let key = |number: u64| Key {
            of: number.to_string(),
            stretch: None,
            picture: Picture::Waveform,
            size: (1, 1),
        };
        let large = Bytes::from(vec![0; MOST_BYTES / 8]);
        for number in 0..10 {
            pictures.put(key(number), large.clone());
        }
        assert!(pictures.get(&key(0)).is_none() && pictures.get(&key(1)).is_none());
        assert!((2..10).all(|number| pictures.get(&key(number)).is_some()));
        pictures.put(key(20), Bytes::from(vec![0; MOST_BYTES]));
        assert!(pictures.get(&key(20)).is_none());
        pictures.put(key(9), Bytes::from_static(b"x"));
        assert_eq!(pictures.get(&key(9)).unwrap().len(), 1);
        assert!(pictures.get(&key(2)).is_some());
    }
}
