//! The records that `shim/record.c` writes.

use std::rc::Rc;

/// Device and inode.
pub(super) type Id = (u64, u64);

/// One change, or one sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    Create { name: Place, id: Id, look: Look },
    Folder { name: Place, id: Id, look: Look },
    Symlink { name: Place, id: Id, look: Look, target: Vec<u8> },
    Write { id: Id, at: u64, data: Rc<[u8]> },
    Truncate { id: Id, size: u64 },
    Link { name: Place, id: Id },
    Unlink { name: Place },
    Rename { from: Place, to: Place, exchange: bool },
    Look { id: Id, look: Look },
    Sync { id: Id, attributes: bool },
    SyncAll { device: Option<u64> },
    Mapped { id: Id },
}

/// A name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) folder: Id,
    pub(super) name: Vec<u8>,
}

/// What a file looks like from outside; the time only if somebody set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Look {
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: Option<(i64, u32)>,
}

const HEAD: usize = 64;

/// Reads a log; a torn end is an error of the recorder, not of the program.
pub(super) fn parse(mut log: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    while !log.is_empty() {
        let size = word(log, 0) as usize;
        assert!(size >= HEAD && size <= log.len(), "the log is whole");
        let (record, rest) = log.split_at(size);
        records.push(record_of(record));
        log = rest;
    }
    records
}

fn record_of(bytes: &[u8]) -> Record {
    let n: Vec<u64> = (0..6).map(|index| long(bytes, 8 + index * 8)).collect();
    let (first, second) = bytes[HEAD..].split_at(word(bytes, 56) as usize);
    assert_eq!(second.len(), word(bytes, 60) as usize, "the log is whole");
    let (a, b) = ((n[0], n[1]), (n[2], n[3]));
    let place = |folder, name: &[u8]| Place { folder, name: name.to_vec() };
    let made = look(n[4], n[5], None);
    match word(bytes, 4) {
        1 => Record::Create { name: place(a, first), id: b, look: made },
        2 => Record::Folder { name: place(a, first), id: b, look: made },
        3 => Record::Symlink { name: place(a, first), id: b, look: made, target: second.to_vec() },
        4 => Record::Write { id: a, at: n[2], data: first.into() },
        5 => Record::Truncate { id: a, size: n[2] },
        6 => Record::Link { name: place(a, first), id: b },
        7 => Record::Unlink { name: place(a, first) },
        8 => Record::Rename { from: place(a, first), to: place(b, second), exchange: n[4] != 0 },
        9 => {
            let nanos = u32::try_from(n[5]).expect("nanoseconds");
            Record::Look { id: a, look: look(n[2], n[3], Some((n[4].cast_signed(), nanos))) }
        }
        10 => Record::Sync { id: a, attributes: true },
        11 => Record::Sync { id: a, attributes: false },
        12 => Record::SyncAll { device: Some(a.0) },
        13 => Record::SyncAll { device: None },
        14 => Record::Mapped { id: a },
        other => panic!("the recorder wrote a record of kind {other}"),
    }
}

fn look(mode: u64, who: u64, mtime: Option<(i64, u32)>) -> Look {
    let low = |n: u64| u32::try_from(n & 0xffff_ffff).expect("32 bits");
    Look { mode: low(mode), uid: low(who >> 32), gid: low(who), mtime }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
