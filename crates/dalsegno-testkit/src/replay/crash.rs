//! What is left when everything stops: which of the changes that were not synced survive.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::log::Look;
use super::picture::{Content, Item, Picture};
use super::world::{File, Key, Kind, Piece, ROOT, World, offset};

/// What a crash takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Loss {
    /// Nothing: the process was killed, the machine goes on.
    Nothing,
    /// Everything that was not synced.
    Unsynced,
    /// Names survive in their order, written bytes that were not synced do not: the file that was
    /// renamed into place without a sync is empty.
    Bytes,
    /// The same, but files have their new size, with zeros where nothing arrived.
    BytesZeroed,
    /// Everything that was not synced, but for the very last change: the disk wrote that one first.
    AllButLast,
    /// Each change survives or not, by a coin of this seed; some writes in part, cut between
    /// sectors.
    Some(u64),
}

type Survivors = BTreeMap<(Key, Vec<u8>), (u64, Option<Key>)>;

/// What a disk writes at once.
const SECTOR: usize = 512;

impl World {
    /// What a crash at this instant leaves.
    pub(super) fn after(&self, loss: Loss) -> Picture {
        let mut picture = Picture::default();
        let survived = match loss {
            Loss::Some(seed) => self.survivors(|at| coin(seed, at).is_multiple_of(2)),
            Loss::AllButLast => self.survivors(|at| at == self.clock),
            _ => Survivors::new(),
        };
        self.draw(ROOT, b"", loss, &survived, &mut picture);
        picture
    }

    fn draw(&self, key: Key, path: &[u8], loss: Loss, survived: &Survivors, picture: &mut Picture) {
        let node = &self.nodes[key];
        let content = match &node.kind {
            Kind::Folder(_) => Content::Folder,
            Kind::Link(target) => Content::Link(target.clone()),
            Kind::File(file) => {
                Content::File { bytes: file.after(loss, self.clock), written: file.written }
            }
        };
        let look = self.look_after(key, loss);
        picture.items.insert(path.to_vec(), Item { key, look, content });
        let Kind::Folder(folder) = &node.kind else { return };
        let mut names = match loss {
            Loss::Nothing | Loss::Bytes | Loss::BytesZeroed => folder.names.clone(),
            Loss::Unsynced | Loss::AllButLast | Loss::Some(_) => {
                let there =
                    folder.durable.iter().filter_map(|(n, (_, k))| Some((n.clone(), (*k)?)));
                there.collect()
            }
        };
        for ((_, name), (at, now)) in survived.range((key, Vec::new())..(key + 1, Vec::new())) {
            // A later change of the same name may be durable already.
            if folder.durable.get(name).is_some_and(|(since, _)| since > at) {
                continue;
            }
            match now {
                Some(now) => names.insert(name.clone(), *now),
                None => names.remove(name),
            };
        }
        for (name, child) in names {
            let below = if path.is_empty() { name } else { [path, b"/", &name].concat() };
            self.draw(child, &below, loss, survived, picture);
        }
    }

    fn look_after(&self, key: Key, loss: Loss) -> Look {
        let node = &self.nodes[key];
        let kept = match loss {
            Loss::Nothing | Loss::Bytes | Loss::BytesZeroed => true,
            Loss::Unsynced | Loss::AllButLast => false,
            Loss::Some(seed) => coin(seed, !(key as u64)).is_multiple_of(2),
        };
        if kept { node.look } else { node.durable_look }
    }

    /// The names that survive, and the changes that made them so.
    fn survivors(&self, survives: impl Fn(u64) -> bool) -> Survivors {
        let wanted = self.changes.iter().map(|change| survives(change.at));
        let kept = self.with_implied(wanted.collect());
        let kept = self.changes.iter().zip(kept).filter(|(_, kept)| *kept);
        let names = kept.flat_map(|(change, _)| {
            let at = change.at;
            change.names.iter().map(move |(f, name, key)| ((*f, name.clone()), (at, *key)))
        });
        names.collect()
    }
}

impl File {
    fn after(&self, loss: Loss, now: u64) -> Rc<Vec<u8>> {
        if self.pieces.is_empty() {
            return Rc::clone(&self.durable);
        }
        let mut content = match loss {
            Loss::Nothing => return Rc::clone(&self.content),
            Loss::Unsynced => return Rc::clone(&self.durable),
            _ => self.durable.to_vec(),
        };
        for (at, piece) in &self.pieces {
            match (loss, piece) {
                (Loss::Some(seed), _) => piece.by_chance(coin(seed, *at), &mut content),
                (Loss::AllButLast, _) if *at != now => {}
                (Loss::AllButLast, _) | (_, Piece::Truncate(_)) => piece.apply(&mut content),
                (Loss::BytesZeroed, Piece::Write { at, data }) => {
                    let end = offset(*at) + data.len();
                    content.resize(content.len().max(end), 0);
                }
                _ => {}
            }
        }
        Rc::new(content)
    }
}

impl Piece {
    fn by_chance(&self, chance: u64, content: &mut Vec<u8>) {
        match (self, chance % 4) {
            (_, 0 | 1) => self.apply(content),
            (Self::Write { at, data }, 2) => {
                // Cut where a sector of the file ends.
                let sectors = data.len().div_ceil(SECTOR);
                let arrived = usize::try_from(chance >> 32).unwrap_or(0) % sectors.max(1);
                let end = (offset(*at) / SECTOR + arrived) * SECTOR;
                let length = end.saturating_sub(offset(*at)).min(data.len());
                Self::Write { at: *at, data: data[..length].into() }.apply(content);
            }
            _ => {}
        }
    }
}

/// `SplitMix64` (Steele, Lea and Flood, 2014): the same for the same change, however many follow.
fn coin(seed: u64, of: u64) -> u64 {
    let mut z = seed.wrapping_add(of.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
