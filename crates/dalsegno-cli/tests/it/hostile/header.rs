//! Tar headers, right in every sum and whatever else is asked for.

/// What goes into a header. Texts and numbers that fit no field become records of an extended
/// header, in the one way that the format document allows; `pax` records are added as they are.
#[derive(Clone)]
pub(super) struct Header {
    /// The whole name, top folder included.
    pub(super) name: Vec<u8>,
    pub(super) tag: u8,
    pub(super) mode: u32,
    pub(super) size: u64,
    pub(super) link: Vec<u8>,
    pub(super) mtime: u64,
    pub(super) pax: Vec<(String, Vec<u8>)>,
}

impl Header {
    pub(super) fn new(name: impl AsRef<[u8]>, tag: u8) -> Self {
        Self {
            name: name.as_ref().to_vec(),
            tag,
            mode: if tag == b'5' { 0o755 } else { 0o644 },
            size: 0,
            link: Vec::new(),
            mtime: 1_600_000_000,
            pax: Vec::new(),
        }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut pax = Vec::new();
        let mut name = &self.name[..];
        let mut link = &self.link[..];
        let forced = |key: &str| self.pax.iter().any(|(known, _)| known == key);
        for (key, value) in [("path", &mut name), ("linkpath", &mut link)] {
            if forced(key) || value.len() > 100 || !value.is_ascii() {
                if !forced(key) {
                    pax.extend(record(key, value));
                }
                *value = b"";
            }
        }
        for (key, value) in &self.pax {
            pax.extend(record(key, value));
        }
        let mut out = Vec::new();
        if !pax.is_empty() {
            out.extend(extended(b'x', &pax));
        }
        let size = if forced("size") { 0 } else { self.size };
        out.extend(block(name, self.tag, self.mode, size, self.mtime, link));
        out
    }
}

/// An extended header with these records, right or wrong.
pub(super) fn extended(tag: u8, records: &[u8]) -> Vec<u8> {
    let length = records.len() as u64;
    let mut out = block(b"././@PaxHeader", tag, 0o644, length, 0, b"").to_vec();
    out.extend_from_slice(records);
    pad(&mut out);
    out
}

/// One record with its right length.
pub(super) fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let digits = (1..10).find(|digits| (rest + digits).to_string().len() == *digits);
    let length = rest + digits.expect("records are short");
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

/// One block of 512 bytes.
pub(super) fn block(
    name: &[u8],
    tag: u8,
    mode: u32,
    size: u64,
    mtime: u64,
    link: &[u8],
) -> [u8; 512] {
    let mut block = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name);
    put(100, format!("{mode:07o}").as_bytes());
    put(108, b"0000000");
    put(116, b"0000000");
    put(124, format!("{size:011o}").as_bytes());
    put(136, format!("{mtime:011o}").as_bytes());
    put(157, link);
    put(257, b"ustar\x0000");
    put(329, b"0000000");
    put(337, b"0000000");
    block[156] = tag;
    mend(&mut block);
    block
}

/// Gives a block of a header its right sum.
pub(super) fn mend(block: &mut [u8]) {
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|&b| u32::from(b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// Fills up with zeros to a multiple of 512.
pub(super) fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().div_ceil(512) * 512, 0);
}
