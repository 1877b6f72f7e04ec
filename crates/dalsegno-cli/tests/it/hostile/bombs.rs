//! Little that says it is much, and much that says it is little.

use std::fs;
use std::io::Write;

use super::FORMS;
use super::cut::gzip;
use super::forge::{Forge, Member};
use super::header::{Header, extended, record};
use super::trap::{EVIL, Trap};
use crate::text;

const GIB: u64 = 1 << 30;

/// A gibibyte of zeros as one zstd frame; without its size in the header, or with a wrong one.
fn zstd_bomb(announced: Option<u64>) -> Vec<u8> {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).expect("a level");
    encoder.include_contentsize(announced.is_some()).expect("an option");
    if announced.is_some() {
        encoder.set_pledged_src_size(Some(GIB)).expect("an option");
    }
    let zeros = vec![0; 1 << 20];
    (0..GIB >> 20).for_each(|_| encoder.write_all(&zeros).expect("it is in memory"));
    let mut bomb = encoder.finish().expect("it is in memory");
    if let Some(announced) = announced {
        // Magic, descriptor with a size of four bytes and no window byte or one: RFC 8878, 3.1.1.1.
        let at = 5 + usize::from(bomb[4] & 0x20 == 0);
        assert_eq!(bomb[4] >> 6, 2, "the size takes four bytes");
        let size = u32::try_from(announced).expect("it is small");
        bomb[at..at + 4].copy_from_slice(&size.to_le_bytes());
    }
    bomb
}

/// Bytes of one frame of the tar, as the forge cuts it.
const METADATA_FRAME: usize = 0;

#[test]
fn frames_that_are_more_than_they_announce() {
    let trap = Trap::new();
    let zeros = vec![0; 1 << 26];
    let zst = |bytes: &[u8]| zstd::bulk::compress(bytes, 3).expect("it compresses");
    let skippable = |length: u32| {
        [&0x184D_2A50_u32.to_le_bytes()[..], &length.to_le_bytes(), &[7; 100]].concat()
    };
    // 0x84 asks for a window of 2 GiB and more, RFC 8878, 3.1.1.1.2; one raw block of nothing.
    let window = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xb0, 0x01, 0x00, 0x00];
    let widest = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xff, 0x01, 0x00, 0x00];
    let empty = zst(b"");
    let cases: [(&str, &str, Vec<u8>); 13] = [
        ("tar.zst", "no size", zstd_bomb(None)),
        ("tar.zst", "the size of the frame", zstd_bomb(Some(2048))),
        ("tar.zst", "its own size", zst(&zeros)),
        ("tar.zst", "a window of gigabytes", window.to_vec()),
        ("tar.zst", "the widest window", widest.to_vec()),
        ("tar.zst", "skippable", skippable(100)),
        ("tar.zst", "skippable and endless", skippable(u32::MAX)),
        ("tar.zst", "many empty ones", empty.repeat(10_000)),
        ("tar.zst", "nothing", Vec::new()),
        ("tar.gz", "one member", gzip(&zeros)),
        ("tar.gz", "a member too many", [gzip(&zeros[..100]), gzip(&zeros)].concat()),
        ("tar.gz", "empty members", gzip(b"").repeat(10_000)),
        ("tar", "too many bytes", zeros[..1 << 20].to_vec()),
    ];
    for (form, what, stored) in cases {
        for number in [METADATA_FRAME, 1] {
            let mut forge = trap.good.clone();
            forge.lies.frame = Some((number, stored.clone()));
            let path = trap.write(&forge, "bomb", form);
            let what = format!("{form}, {what}, frame {number}");
            trap.refused(&what, &path);
            trap.harmless_unverified(&what, &path);
            // Without its end, the stream is read from its beginning.
            let handle = fs::File::options().write(true).open(&path).expect("it is there");
            let length = handle.metadata().expect("it is open").len();
            handle.set_len(length - 1).expect("it can be cut");
            trap.harmless_unverified(&format!("{what}, cut"), &path);
        }
    }
}

#[test]
fn frame_records_that_announce_anything() {
    let trap = Trap::new();
    let lies: [fn(&mut Vec<(u32, u32, u64)>); 7] = [
        |frames| frames[0].1 = u32::MAX,
        |frames| frames[0].0 = u32::MAX,
        |frames| frames[1].1 += 1,
        |frames| frames[1].0 = 0,
        |frames| {
            frames[0].1 += 512;
            frames[1].1 -= 512;
        },
        |frames| frames.truncate(1),
        |frames| frames.resize(100_000, (0, 0, 0)),
    ];
    for (number, lie) in lies.into_iter().enumerate() {
        for form in FORMS {
            let mut forge = trap.good.clone();
            forge.lies.frames = Some(lie);
            // A table of another length moves everything: the forge counts again.
            let path = trap.write(&forge, "frames", form);
            let what = format!("{form}, lie {number}");
            trap.refused(&what, &path);
            trap.harmless_unverified(&what, &path);
        }
    }
}

/// A file of one byte and a hole, in GNU's format 1.0; the list says the same.
fn sparse(forge: &Forge, real: &str, map: &str) -> Vec<Member> {
    let mut blocks = map.as_bytes().to_vec();
    super::header::pad(&mut blocks);
    let pax = [
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.minor", "0"),
        ("GNU.sparse.name", "top/files/zz"),
        ("GNU.sparse.realsize", real),
    ];
    let pax = pax.map(|(key, value)| match key {
        "GNU.sparse.name" => (key.to_owned(), forge.full(b"files/zz")),
        _ => (key.to_owned(), value.as_bytes().to_vec()),
    });
    let header = Header {
        size: blocks.len() as u64 + 1,
        pax: pax.to_vec(),
        ..Header::new(forge.full(b"files/GNUSparseFile.0/zz"), b'0')
    };
    let mut member = forge.listed('s', b"files/zz", &header, b"E");
    member.head.extend(blocks);
    member.sum = Some([7; 32]);
    member.size = real.parse().unwrap_or(0);
    let line = member.line.take().expect("it is listed");
    let line = String::from_utf8(line).expect("it is text");
    member.line = Some(line.replacen("\t-\t", &format!("\t{real}\t"), 1).into_bytes());
    vec![member]
}

#[test]
fn holes_larger_than_any_disk() {
    let trap = Trap::new();
    let cases: [(&str, fn(&Forge) -> Vec<Member>); 12] = [
        ("2^62", |f| sparse(f, "4611686018427387904", "1\n0\n1\n4611686018427387904\n0\n")),
        ("2^64 and one", |f| sparse(f, "18446744073709551617", "1\n0\n1\n")),
        ("below zero", |f| sparse(f, "-1", "1\n0\n1\n")),
        ("beyond the end", |f| sparse(f, "100", "1\n4611686018427387904\n1\n")),
        ("an extent that overflows", |f| sparse(f, "100", "1\n18446744073709551615\n2\n")),
        ("many extents announced", |f| sparse(f, "100", "18446744073709551615\n0\n1\n")),
        ("a count of many digits", |f| sparse(f, "100", &"9".repeat(5000))),
        ("an endless map", |f| sparse(f, "100", &"1".repeat(3 << 20))),
        ("overlapping", |f| sparse(f, "100", "2\n0\n1\n0\n1\n")),
        ("no numbers", |f| sparse(f, "100", "-1\nx\ny\n")),
        ("format 0.0", |f| {
            let pax = ["GNU.sparse.size", "GNU.sparse.numblocks", "GNU.sparse.offset"];
            let pax = pax.map(|key| (key.to_owned(), b"4611686018427387904".to_vec()));
            let header =
                Header { size: 4, pax: pax.to_vec(), ..Header::new(f.full(b"files/zz"), b'0') };
            vec![f.listed('f', b"files/zz", &header, EVIL)]
        }),
        ("format 0.1", |f| {
            let pax = [
                ("GNU.sparse.size", "4611686018427387904"),
                ("GNU.sparse.numblocks", "1"),
                ("GNU.sparse.name", "files/zz"),
                ("GNU.sparse.map", "4611686018427387903,1"),
            ];
            let pax = pax.map(|(key, value)| (key.to_owned(), value.as_bytes().to_vec()));
            let header =
                Header { size: 4, pax: pax.to_vec(), ..Header::new(f.full(b"files/zz"), b'0') };
            vec![f.listed('f', b"files/zz", &header, EVIL)]
        }),
    ];
    for (what, members) in cases {
        let mut forge = trap.good.clone();
        let members = members(&forge);
        forge.push(members);
        for form in ["tar", "tar.zst"] {
            let path = trap.write(&forge, "holes", form);
            if form == "tar" {
                trap.refused(what, &path);
            } else {
                trap.run(&["-q", "verify", text(&path)]).expect(20);
            }
            trap.harmless_unverified(what, &path);
        }
    }
}

/// A pebibyte of zeros is announced and allowed, and hashing it takes days: it takes no memory and
/// no disk meanwhile, and a signal ends it with nothing changed.
#[test]
fn a_hole_that_the_format_allows_can_be_stopped() {
    let trap = Trap::new();
    let mut forge = trap.good.clone();
    let hole = sparse(&forge, "1125899906842624", "2\n0\n1\n1125899906842624\n0\n");
    forge.push(hole);
    let path = trap.write(&forge, "hole", "tar.zst");
    let before = trap.picture();
    for verb in [&["verify"][..], &["restore", "--force", "--no-pre-backup"]] {
        let script = "ulimit -v 1000000; exec timeout --preserve-status 2 \"$0\" \"$@\"";
        let mut all = vec!["-c", script, crate::BINARY, "-q"];
        all.extend(verb);
        trap.site.call("sh", &all).arg(&path).run().expect(130);
        super::trap::same("a hole", &before, &trap.picture());
    }
}

fn with_head(forge: &Forge, head: Vec<u8>) -> Vec<Member> {
    let mut member = forge.file("files/zz", EVIL);
    member.head.splice(0..0, head);
    vec![member]
}

#[test]
fn records_that_lie() {
    let trap = Trap::new();
    let cases: [(&str, fn(&Forge) -> Vec<Member>); 20] = [
        ("size 0", |f| with_head(f, extended(b'x', &record("size", b"0")))),
        ("size 1 GiB", |f| with_head(f, extended(b'x', &record("size", b"1073741824")))),
        ("the same size", |f| with_head(f, extended(b'x', &record("size", b"4")))),
        ("size 2^64", |f| with_head(f, extended(b'x', &record("size", b"18446744073709551616")))),
        ("size 2^64-1", |f| with_head(f, extended(b'x', &record("size", b"18446744073709551615")))),
        ("size -1", |f| with_head(f, extended(b'x', &record("size", b"-1")))),
        ("size in hex", |f| with_head(f, extended(b'x', &record("size", b"0x10")))),
        ("linkpath of a file", |f| with_head(f, extended(b'x', &record("linkpath", b"/etc")))),
        ("uid 2^40", |f| with_head(f, extended(b'x', &record("uid", b"1099511627776")))),
        ("time", |f| with_head(f, extended(b'x', &record("mtime", b"1e999")))),
        ("no time", |f| with_head(f, extended(b'x', &record("mtime", b"nan")))),
        ("an unknown key", |f| with_head(f, extended(b'x', &record("SCHILY.acl.access", b"x")))),
        ("a length too long", |f| with_head(f, extended(b'x', b"99 path=x\n"))),
        ("a length of nothing", |f| with_head(f, extended(b'x', b"0 path=x\n"))),
        ("a length below zero", |f| with_head(f, extended(b'x', b"-1 path=x\n"))),
        ("a length that overflows", |f| {
            with_head(f, extended(b'x', b"99999999999999999999 path=x\n"))
        }),
        ("no end of line", |f| with_head(f, extended(b'x', b"9 path=xy"))),
        ("twice the same", |f| {
            let path = f.full(b"files/zz");
            let twice = [record("path", b"/x"), record("path", &path)].concat();
            with_head(f, extended(b'x', &twice))
        }),
        ("two of them", |f| {
            let one = extended(b'x', &record("path", b"/x"));
            with_head(f, [one.clone(), one].concat())
        }),
        ("larger than any", |f| {
            let mut head = extended(b'x', &record("path", &vec![b'p'; 300_000]));
            head[124..135].copy_from_slice(b"77777777777");
            super::header::mend(&mut head[..512]);
            with_head(f, head)
        }),
    ];
    for (what, members) in cases {
        let mut forge = trap.good.clone();
        let members = members(&forge);
        forge.push(members);
        let path = trap.write(&forge, "records", "tar");
        trap.refused(what, &path);
        trap.harmless_unverified(what, &path);
    }
}

#[test]
fn numbers_of_a_header_that_lie() {
    let trap = Trap::new();
    let cases: [(&str, fn(&mut [u8])); 10] = [
        ("more bytes", |head| head[124..135].copy_from_slice(b"00000004000")),
        ("fewer bytes", |head| head[124..135].copy_from_slice(b"00000000001")),
        ("as many as can be", |head| head[124..135].copy_from_slice(b"77777777777")),
        ("base 256", |head| {
            head[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4]);
        }),
        ("base 256 below zero", |head| head[124..136].copy_from_slice(&[0xff; 12])),
        ("no digits", |head| head[124..135].copy_from_slice(b"           ")),
        ("mode with a type", |head| head[100..107].copy_from_slice(b"0120777")),
        ("another mode", |head| head[100..107].copy_from_slice(b"0006777")),
        ("another owner", |head| head[108..115].copy_from_slice(b"0001750")),
        ("a prefix", |head| head[345..349].copy_from_slice(b"/etc")),
    ];
    for (what, change) in cases {
        let mut forge = trap.good.clone();
        let member = forge.file("files/zz", EVIL).change(change);
        forge.push([member]);
        let path = trap.write(&forge, "numbers", "tar");
        trap.refused(what, &path);
        trap.harmless_unverified(what, &path);
    }
}
