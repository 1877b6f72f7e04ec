//! A deflate stream (RFC 1951) that changes its mind: bytes that will not compress in stored blocks,
//! the tar headers between them in blocks with the fixed codes, all in one stream.

const MIN_MATCH: usize = 4;
const MAX_MATCH: usize = 258;
const WINDOW: usize = 32 * 1024;
const TABLE_BITS: u32 = 12;
const NONE: u32 = u32::MAX;
/// The most bytes of one stored block.
const MAX_STORED: usize = 65_535;

/// Writes one deflate stream over the bytes of one frame.
pub(crate) struct Mixer {
    /// Last place of each hash of four bytes, as an offset in the frame.
    table: Vec<u32>,
    bits: u64,
    count: u32,
}

impl Mixer {
    pub(crate) fn new() -> Self {
        Self { table: vec![NONE; 1 << TABLE_BITS], bits: 0, count: 0 }
    }

    /// Starts a stream.
    pub(crate) fn begin(&mut self) {
        self.table.fill(NONE);
        self.bits = 0;
        self.count = 0;
    }

    /// Ends the stream with an empty block.
    pub(crate) fn end(&mut self, out: &mut Vec<u8>) {
        self.put(out, 0b011, 3);
        self.put(out, 0, 7);
        self.align(out);
    }

    /// Writes bytes as they are.
    pub(crate) fn stored(&mut self, out: &mut Vec<u8>, bytes: &[u8]) {
        for chunk in bytes.chunks(MAX_STORED) {
            self.put(out, 0, 3);
            self.align(out);
            let length = u16::try_from(chunk.len()).expect("chunks are bounded");
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(&(!length).to_le_bytes());
            out.extend_from_slice(chunk);
        }
    }

    /// Writes `frame[start..end]` with the fixed codes, pointing back to earlier parts written
    /// this way where they repeat.
    pub(crate) fn fixed(&mut self, out: &mut Vec<u8>, frame: &[u8], start: usize, end: usize) {
        self.put(out, 0b010, 3);
        let mut at = start;
        while at < end {
            let (length, distance) = self.find(frame, at, end);
            if length >= MIN_MATCH {
                self.put_length(out, length);
                self.put_distance(out, distance);
                at += length;
            } else {
                self.put_symbol(out, u32::from(frame[at]));
                at += 1;
            }
        }
        self.put_symbol(out, 256);
    }

    /// The match at `at`, and its place noted.
    fn find(&mut self, frame: &[u8], at: usize, end: usize) -> (usize, usize) {
        let Some(four) = frame[at..end].first_chunk::<4>() else { return (0, 0) };
        let hash = u32::from_le_bytes(*four).wrapping_mul(0x9e37_79b1) >> (32 - TABLE_BITS);
        let slot = &mut self.table[hash as usize];
        let earlier = std::mem::replace(slot, u32::try_from(at).unwrap_or(NONE));
        if earlier == NONE || at - earlier as usize > WINDOW {
            return (0, 0);
        }
        let earlier = earlier as usize;
        let most = (end - at).min(MAX_MATCH);
        let length = (0..most).take_while(|&i| frame[earlier + i] == frame[at + i]).count();
        (length, at - earlier)
    }

    fn put(&mut self, out: &mut Vec<u8>, bits: u32, count: u32) {
        self.bits |= u64::from(bits) << self.count;
        self.count += count;
        while self.count >= 8 {
            out.push((self.bits & 0xff) as u8);
            self.bits >>= 8;
            self.count -= 8;
        }
    }

    fn align(&mut self, out: &mut Vec<u8>) {
        if self.count > 0 {
            self.put(out, 0, 8 - self.count);
        }
    }

    /// A Huffman code goes out highest bit first.
    fn put_code(&mut self, out: &mut Vec<u8>, code: u32, count: u32) {
        self.put(out, code.reverse_bits() >> (32 - count), count);
    }

    /// Section 3.2.6.
    fn put_symbol(&mut self, out: &mut Vec<u8>, symbol: u32) {
        match symbol {
            0..144 => self.put_code(out, 0b0011_0000 + symbol, 8),
            144..256 => self.put_code(out, 0b1_1001_0000 + symbol - 144, 9),
            256..280 => self.put_code(out, symbol - 256, 7),
            _ => self.put_code(out, 0b1100_0000 + symbol - 280, 8),
        }
    }

    /// Section 3.2.5: from 11 on, four lengths classes share a number of extra bits.
    fn put_length(&mut self, out: &mut Vec<u8>, length: usize) {
        let length = u32::try_from(length).expect("matches are bounded");
        if length == 258 {
            return self.put_symbol(out, 285);
        }
        let zero = length - 3;
        if zero < 8 {
            return self.put_symbol(out, 257 + zero);
        }
        let extra = zero.ilog2() - 2;
        self.put_symbol(out, 257 + 4 * extra + (zero >> extra));
        self.put(out, zero & ((1 << extra) - 1), extra);
    }

    fn put_distance(&mut self, out: &mut Vec<u8>, distance: usize) {
        let zero = u32::try_from(distance - 1).expect("the window is bounded");
        if zero < 4 {
            return self.put_code(out, zero, 5);
        }
        let extra = zero.ilog2() - 1;
        self.put_code(out, 2 * extra + (zero >> extra), 5);
        self.put(out, zero & ((1 << extra) - 1), extra);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixed_streams_inflate() {
        let mut frame = Vec::new();
        for i in 0..400_u32 {
            frame.extend_from_slice(&i.wrapping_mul(2_654_435_761).to_le_bytes());
            frame.resize(frame.len() + (i as usize * 7) % 600, 0);
            frame.extend_from_slice(b"abcabcabcabd\xff\xfe\x90\x8f ustar");
        }
        let mut mixer = Mixer::new();
        for step in [1, 3, 100, 513, 70_000, frame.len()] {
            mixer.begin();
            let mut out = Vec::new();
            let mut at = 0;
            let mut fixed = true;
            while at < frame.len() {
                let end = (at + step).min(frame.len());
                if fixed {
                    mixer.fixed(&mut out, &frame, at, end);
                } else {
                    mixer.stored(&mut out, &frame[at..end]);
                }
                fixed = !fixed;
                at = end;
            }
            mixer.end(&mut out);
            let mut back = vec![0; frame.len()];
            let found = libdeflater::Decompressor::new().deflate_decompress(&out, &mut back);
            assert_eq!(found, Ok(frame.len()), "step {step}");
            assert!(back == frame, "step {step}");
        }
    }

    #[test]
    fn every_length_and_distance_has_its_code() {
        for length in (4..=300).chain([258, 259, 600]) {
            for distance in [1_usize, 2, 3, 4, 5, 8, 9, 33, 257, 1025, 8193, 24_577, 32_768] {
                let mut frame: Vec<u8> =
                    (0..distance).map(|i| (i.wrapping_mul(40_503) >> 7).to_le_bytes()[0]).collect();
                for i in 0..length {
                    frame.push(frame[i]);
                }
                let mut mixer = Mixer::new();
                mixer.begin();
                let mut out = Vec::new();
                mixer.fixed(&mut out, &frame, 0, frame.len());
                mixer.end(&mut out);
                let mut back = vec![0; frame.len()];
                let found = libdeflater::Decompressor::new().deflate_decompress(&out, &mut back);
                assert_eq!(found, Ok(frame.len()));
                assert!(back == frame, "{length} at {distance}");
            }
        }
    }
}
