//! The bytes before a member's data.

use dalsegno_format::{Entry, EntryKind, Extent, Timestamp};

/// Everything in a tar is a multiple of this.
pub(crate) const BLOCK: usize = 512;

/// The largest number in a field of eleven octal digits.
const MAX_11: u64 = 0o777_7777_7777;
/// The largest number in a field of seven octal digits.
const MAX_7: u32 = 0o777_7777;

/// Name of the extended header itself, which nobody extracts.
const PAX_NAME: &[u8] = b"././@PaxHeader";

/// Zero bytes after `len` bytes of data.
pub(crate) fn padding(len: u64) -> usize {
    let over = usize::try_from(len % BLOCK as u64).unwrap_or(0);
    (BLOCK - over) % BLOCK
}

/// Bytes of a member's data as it lies in the tar, without a map of holes.
pub(crate) fn data_len(kind: &EntryKind) -> u64 {
    match kind {
        EntryKind::File { size, extents: None } => *size,
        EntryKind::File { extents: Some(extents), .. } => extents.iter().map(|e| e.length).sum(),
        _ => 0,
    }
}

/// Appends the head of a member below the folder `top`.
pub(crate) fn head(out: &mut Vec<u8>, top: &str, entry: &Entry) {
    let mut name = [top.as_bytes(), b"/", entry.path.as_bytes()].concat();
    if entry.kind == EntryKind::Directory {
        name.push(b'/');
    }
    named_head(out, top, &name, entry);
}

/// Appends the head of the top folder itself.
pub(crate) fn top_head(out: &mut Vec<u8>, top: &str, mtime: Timestamp) {
    let folder = Entry {
        path: dalsegno_format::tree::path("top"),
        kind: EntryKind::Directory,
        mode: 0o700,
        uid: 0,
        gid: 0,
        user: String::new(),
        group: String::new(),
        mtime,
    };
    named_head(out, top, format!("{top}/").as_bytes(), &folder);
}

#[cfg(test)]
pub(super) fn named_head_for_tests(out: &mut Vec<u8>, name: &[u8], entry: &Entry) {
    named_head(out, "top", name, entry);
}

fn named_head(out: &mut Vec<u8>, top: &str, name: &[u8], entry: &Entry) {
    let mut pax = Vec::new();
    let mut map = Vec::new();
    let mut field_name = name.to_vec();
    let (tag, mut size, link): (u8, u64, Vec<u8>) = match &entry.kind {
        EntryKind::File { size, extents } => {
            if let Some(extents) = extents {
                map = sparse_map(*size, extents);
                field_name = beside(name);
            }
            (b'0', map.len() as u64 + data_len(&entry.kind), Vec::new())
        }
        EntryKind::Directory => (b'5', 0, Vec::new()),
        EntryKind::Symlink { target } => (b'2', 0, target.clone()),
        EntryKind::HardLink { target } => {
            (b'1', 0, [top.as_bytes(), b"/", target.as_bytes()].concat())
        }
    };
    let field_name = text_field(&mut pax, "path", &field_name, 100);
    let link = text_field(&mut pax, "linkpath", &link, 100);
    if size > MAX_11 {
        record(&mut pax, "size", size.to_string().as_bytes());
        size = 0;
    }
    let uid = number_field(&mut pax, "uid", entry.uid);
    let gid = number_field(&mut pax, "gid", entry.gid);
    let user = text_field(&mut pax, "uname", entry.user.as_bytes(), 31);
    let group = text_field(&mut pax, "gname", entry.group.as_bytes(), 31);
    let mtime = time_field(&mut pax, entry.mtime);
    if let EntryKind::File { size, extents: Some(_) } = &entry.kind {
        record(&mut pax, "GNU.sparse.major", b"1");
        record(&mut pax, "GNU.sparse.minor", b"0");
        record(&mut pax, "GNU.sparse.name", name);
        record(&mut pax, "GNU.sparse.realsize", size.to_string().as_bytes());
    }
    if !pax.is_empty() {
        let length = pax.len() as u64;
        ustar(out, &Fields { name: PAX_NAME, tag: b'x', size: length, ..Fields::default() });
        out.extend_from_slice(&pax);
        out.resize(out.len() + padding(length), 0);
    }
    let mode = entry.mode;
    let fields = Fields { name: field_name, tag, mode, uid, gid, size, mtime, link, user, group };
    ustar(out, &fields);
    out.extend_from_slice(&map);
}

/// The map of a file with holes, padded: count, then offset and length of each range, the last one
/// ending where the file ends.
fn sparse_map(size: u64, extents: &[Extent]) -> Vec<u8> {
    let to_the_end = extents.last().is_some_and(|last| last.offset + last.length == size);
    let mut text = String::new();
    let mut number = |n: u64| {
        text.push_str(&n.to_string());
        text.push('\n');
    };
    number(extents.len() as u64 + u64::from(!to_the_end));
    for extent in extents {
        number(extent.offset);
        number(extent.length);
    }
    if !to_the_end {
        number(size);
        number(0);
    }
    let mut map = text.into_bytes();
    map.resize(map.len() + padding(map.len() as u64), 0);
    map
}

/// The name under which a program that knows no sparse files extracts the map and the data.
fn beside(name: &[u8]) -> Vec<u8> {
    let split = name.iter().rposition(|&b| b == b'/').map_or(0, |slash| slash + 1);
    [&name[..split], b"GNUSparseFile.0/", &name[split..]].concat()
}

/// What goes into a field of the header: the text, or nothing when only a record can hold it.
fn text_field<'a>(pax: &mut Vec<u8>, key: &str, text: &'a [u8], most: usize) -> &'a [u8] {
    if text.len() <= most && text.is_ascii() {
        return text;
    }
    record(pax, key, text);
    b""
}

fn number_field(pax: &mut Vec<u8>, key: &str, number: u32) -> u32 {
    if number <= MAX_7 {
        return number;
    }
    record(pax, key, number.to_string().as_bytes());
    0
}

fn time_field(pax: &mut Vec<u8>, time: Timestamp) -> u64 {
    let whole = u64::try_from(time.secs).ok().filter(|&secs| secs <= MAX_11);
    match whole {
        Some(secs) if time.nanos == 0 => secs,
        _ => {
            record(pax, "mtime", decimal(time).as_bytes());
            whole.unwrap_or(0)
        }
    }
}

/// The time as a decimal number, which before 1970 counts the fraction downwards.
fn decimal(time: Timestamp) -> String {
    if time.secs < 0 && time.nanos > 0 {
        let whole = -(i128::from(time.secs) + 1);
        format!("-{whole}.{:09}", 1_000_000_000 - time.nanos)
    } else if time.nanos > 0 {
        format!("{}.{:09}", time.secs, time.nanos)
    } else {
        time.secs.to_string()
    }
}

/// One record: its length in decimal, the length's own digits counted.
fn record(pax: &mut Vec<u8>, key: &str, value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length += 1;
    }
    pax.extend_from_slice(format!("{length} {key}=").as_bytes());
    pax.extend_from_slice(value);
    pax.push(b'\n');
}

struct Fields<'a> {
    name: &'a [u8],
    tag: u8,
    mode: u32,
    uid: u32,
    gid: u32,
    size: u64,
    mtime: u64,
    link: &'a [u8],
    user: &'a [u8],
    group: &'a [u8],
}

impl Default for Fields<'_> {
    fn default() -> Self {
        let (name, link, user, group): (&[u8], &[u8], &[u8], &[u8]) = (b"", b"", b"", b"");
        Self { name, tag: b'0', mode: 0o644, uid: 0, gid: 0, size: 0, mtime: 0, link, user, group }
    }
}

fn ustar(out: &mut Vec<u8>, fields: &Fields<'_>) {
    let mut block = [0_u8; BLOCK];
    put(&mut block, 0, fields.name);
    put(&mut block, 100, format!("{:07o}", fields.mode).as_bytes());
    put(&mut block, 108, format!("{:07o}", fields.uid).as_bytes());
    put(&mut block, 116, format!("{:07o}", fields.gid).as_bytes());
    put(&mut block, 124, format!("{:011o}", fields.size).as_bytes());
    put(&mut block, 136, format!("{:011o}", fields.mtime).as_bytes());
    put(&mut block, 148, b"        ");
    block[156] = fields.tag;
    put(&mut block, 157, fields.link);
    put(&mut block, 257, b"ustar\x0000");
    put(&mut block, 265, fields.user);
    put(&mut block, 297, fields.group);
    put(&mut block, 329, b"0000000");
    put(&mut block, 337, b"0000000");
    let sum: u32 = block.iter().map(|&b| u32::from(b)).sum();
    put(&mut block, 148, format!("{sum:06o}\0 ").as_bytes());
    out.extend_from_slice(&block);
}

fn put(block: &mut [u8; BLOCK], at: usize, bytes: &[u8]) {
    block[at..at + bytes.len()].copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_its_own_digits() {
        for (value, expected) in
            [(1, "6 k=x\n".len()), (93, 99), (94, 101), (992, 999), (993, 1001)]
        {
            let mut pax = Vec::new();
            record(&mut pax, "k", &vec![b'x'; value]);
            assert_eq!(pax.len(), expected, "{value}");
            assert!(pax.starts_with(format!("{expected} k=").as_bytes()));
        }
    }

    #[test]
    fn times_as_decimals() {
        for (secs, nanos, text) in [
            (5, 0, "5"),
            (5, 1, "5.000000001"),
            (-1, 500_000_000, "-0.500000000"),
            (-2, 5, "-1.999999995"),
            (-7, 0, "-7"),
        ] {
            assert_eq!(decimal(Timestamp { secs, nanos }), text);
        }
    }
}
