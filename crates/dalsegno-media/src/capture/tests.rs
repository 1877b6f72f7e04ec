//! Files that change or vanish under the reader.

use std::fs;
use std::io::Write as _;

use crate::fault::while_reading;
use crate::support::{put, site, take, usual};
use dalsegno_format::EntryKind;

fn append(path: std::path::PathBuf, times: u32) -> impl FnMut() + Send {
    let mut left = times;
    move || {
        if left > 0 {
            left -= 1;
            fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"+").unwrap();
        }
    }
}

#[test]
fn a_file_that_changes_is_read_again_and_then_given_up() {
    let (_home, live) = site(&[]);
    for (name, size) in [("changing-small", 10), ("changing-large", 2 << 20)] {
        for (times, read) in [(1, true), (2, true), (3, false), (9, false)] {
            let name = format!("{name}-{times}");
            fs::write(live.join(&name), vec![b'-'; size]).unwrap();
            while_reading(name.as_bytes(), append(live.join(&name), times));
            let taken = take(&live, &usual());
            let found = taken.entries.iter().find(|(e, _)| e.path.name() == name.as_bytes());
            if read {
                let (entry, data) = found.unwrap();
                assert_eq!(data.len(), size + times as usize, "{name}");
                let EntryKind::File { size, .. } = entry.kind else { panic!("{entry:?}") };
                assert_eq!(data.len() as u64, size);
                assert!(taken.unreadable.is_empty());
            } else {
                assert!(found.is_none(), "{name}");
                let why = "it changed each of the 3 times it was read".to_owned();
                assert_eq!(taken.unreadable, [(format!("files/{name}"), why)]);
            }
            fs::remove_file(live.join(&name)).unwrap();
        }
    }
}

#[test]
fn a_write_that_leaves_size_and_seconds_alone_is_seen() {
    let (_home, live) = site(&[("rewritten", "aaaa")]);
    let path = live.join("rewritten");
    let mut left = 2;
    while_reading(b"rewritten", move || {
        if left > 0 {
            left -= 1;
            fs::OpenOptions::new().write(true).open(&path).unwrap().write_all(b"bbbb").unwrap();
        }
    });
    let taken = take(&live, &usual());
    assert_eq!(taken.entries[1].1, b"bbbb");
    assert!(taken.unreadable.is_empty());
}

#[test]
fn other_names_of_a_file_that_was_lost_stand_for_themselves() {
    let (_home, live) = site(&[("lost-first", "")]);
    fs::write(live.join("lost-first"), vec![1; 2 << 20]).unwrap();
    fs::hard_link(live.join("lost-first"), live.join("second")).unwrap();
    fs::hard_link(live.join("lost-first"), live.join("third")).unwrap();
    while_reading(b"lost-first", append(live.join("lost-first"), 9));
    let taken = take(&live, &usual());
    assert_eq!(taken.unreadable.len(), 1);
    let kinds: Vec<_> = taken.entries[1..].iter().map(|(entry, _)| entry.kind.clone()).collect();
    assert!(matches!(kinds[0], EntryKind::File { extents: None, .. }), "{kinds:?}");
    assert!(matches!(&kinds[1], EntryKind::HardLink { target } if target.name() == b"second"));
}

#[test]
fn a_file_that_vanishes_before_it_is_opened() {
    let (_home, live) = site(&[("a-first", "x")]);
    // The large file is opened when its turn comes, after the small ones.
    fs::write(live.join("m-large"), vec![0; 2 << 20]).unwrap();
    put(&live, &[("z-last", "x")]);
    let gone = live.join("m-large");
    while_reading(b"a-first", move || {
        std::thread::sleep(std::time::Duration::from_millis(50));
        let _ = fs::remove_file(&gone);
    });
    let taken = take(&live, &usual());
    assert_eq!(taken.vanished, ["files/m-large"]);
    assert_eq!(taken.entries.len(), 3);
    assert!(taken.unreadable.is_empty());
}
