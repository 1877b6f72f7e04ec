//! Cuts a forged tar into frames and closes it with index and trailer, as the format document says.

use sha2::{Digest, Sha256};
use xxhash_rust::xxh3::xxh3_64;

use super::forge::{Forge, set_size};

/// The tar stream with the places where frames end.
#[derive(Default)]
pub(super) struct Cut {
    pub(super) stream: Vec<u8>,
    pub(super) offsets: Vec<u64>,
    pub(super) ends: Vec<usize>,
}

impl Cut {
    pub(super) fn finish(mut self, forge: &Forge, form: &str, manifest: &[u8]) -> Vec<u8> {
        let lies = &forge.lies;
        self.offsets.push(self.stream.len() as u64);
        lies.table.inspect(|lie| lie(&mut self.offsets));
        let table: Vec<u8> = self.offsets.iter().flat_map(|at| at.to_le_bytes()).collect();
        let frame_count = self.ends.len() + 1;
        let parts = manifest.len() + table.len() + frame_count * 16 + 2 * 16;
        let index = parts.div_ceil(512) * 512 + if form == "tar" { 512 } else { 0 };
        let mut head = forge.index_head.clone();
        set_size(&mut head, index as u64);
        self.stream.extend_from_slice(&head);
        self.ends.push(self.stream.len());

        let mut out = Vec::new();
        let mut records = Vec::new();
        let mut start = 0;
        for (number, end) in self.ends.iter().enumerate() {
            let plain = &self.stream[start..*end];
            let stored = match &lies.frame {
                Some((lying, stored)) if *lying == number => stored.clone(),
                _ => stored(form, plain),
            };
            records.push((number32(stored.len()), number32(plain.len()), xxh3_64(&stored)));
            out.extend(stored);
            start = *end;
        }
        lies.frames.inspect(|lie| lie(&mut records));
        let frames: Vec<u8> = records.iter().flat_map(|r| frame_record(*r)).collect();
        let mut place = |plain: &[u8]| {
            let (offset, stored) = (out.len() as u64, stored(form, plain));
            let record =
                frame_record((number32(stored.len()), number32(plain.len()), xxh3_64(&stored)));
            out.extend(stored);
            (offset, record)
        };
        let at_manifest = place(manifest);
        let root = [place(&table).1, place(&frames).1].concat();
        let at_root = place(&root);
        let used = manifest.len() + table.len() + frames.len() + root.len();
        let rest = vec![0; used.div_ceil(512) * 512 - used];
        let tar_len = (self.stream.len() + index + 1024) as u64;
        let at_closing = if form == "tar" {
            let record = frame_record((0, 0, xxh3_64(b"")));
            let offset = out.len() as u64;
            out.extend(&rest);
            (offset, record)
        } else {
            place(&[&rest[..], &[0; 1024]].concat())
        };
        let digest: [u8; 32] =
            Sha256::new().chain_update(&table).chain_update(&frames).finalize().into();
        let mut trailer = b"DALSEGNO".to_vec();
        let (number, tail) = match form {
            "tar" => (1_u32, 1536),
            "tar.gz" => (2, 282),
            _ => (3, 264),
        };
        trailer.extend(1_u32.to_le_bytes());
        trailer.extend(number.to_le_bytes());
        for value in [out.len() + tail, 0, records.len(), self.offsets.len()] {
            trailer.extend((value as u64).to_le_bytes());
        }
        trailer[24..32].copy_from_slice(&tar_len.to_le_bytes());
        for (offset, record) in [at_manifest, at_root, at_closing] {
            trailer.extend(offset.to_le_bytes());
            trailer.extend(record);
        }
        trailer.extend(<[u8; 32]>::from(Sha256::digest(manifest)));
        trailer.extend(digest);
        trailer.resize(248, 0);
        lies.trailer.inspect(|lie| lie(&mut trailer));
        let hash = xxh3_64(&trailer);
        trailer.extend(hash.to_le_bytes());
        out.extend(wrapped(form, &trailer));
        out
    }
}

/// A trailer's 256 bytes as the form ends.
fn wrapped(form: &str, payload: &[u8]) -> Vec<u8> {
    match form {
        "tar" => [payload, &[0; 1536 - 256]].concat(),
        "tar.gz" => {
            let start = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 4, 1, b'D', b'S', 0, 1];
            [&start[..], payload, &[3, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat()
        }
        _ => [&0x184D_2A5D_u32.to_le_bytes(), &256_u32.to_le_bytes(), payload].concat(),
    }
}

/// One frame of these bytes.
pub(super) fn stored(form: &str, plain: &[u8]) -> Vec<u8> {
    match form {
        "tar" => plain.to_vec(),
        "tar.gz" => gzip(plain),
        _ => zstd::bulk::compress(plain, 3).expect("it compresses"),
    }
}

pub(super) fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut deflate = libdeflater::Compressor::new(libdeflater::CompressionLvl::default());
    let mut body = vec![0; deflate.deflate_compress_bound(plain.len())];
    let length = deflate.deflate_compress(plain, &mut body).expect("there is room");
    body.truncate(length);
    let header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let sum = crc32fast::hash(plain).to_le_bytes();
    [&header[..], &body, &sum, &number32(plain.len()).to_le_bytes()].concat()
}

fn frame_record((stored, length, hash): (u32, u32, u64)) -> Vec<u8> {
    [&stored.to_le_bytes()[..], &length.to_le_bytes(), &hash.to_le_bytes()].concat()
}

fn number32(length: usize) -> u32 {
    u32::try_from(length).expect("frames are short")
}
