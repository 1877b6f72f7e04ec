//! Whether bytes are worth compressing, told from a few of them.

use libdeflater::{CompressionLvl, Compressor};

/// Bytes looked at by either test.
const SAMPLE: usize = 4096;

/// Places the first test takes its sample from.
const PLACES: usize = 16;

/// Bits a byte of the sample must carry for the bytes to count as random, of the 7.95 that 4096
/// random bytes seem to carry.
const RANDOM: f64 = 7.8;

/// Tells compressible bytes from others: first by how evenly byte values are spread, then, where
/// they are, by compressing a piece, since repetition does not show in the first test.
pub(crate) struct Probe {
    trial: Compressor,
    out: Vec<u8>,
}

impl Probe {
    pub(crate) fn new() -> Self {
        let level = CompressionLvl::new(1).expect("level 1 exists");
        Self { trial: Compressor::new(level), out: vec![0; SAMPLE] }
    }

    pub(crate) fn compressible(&mut self, bytes: &[u8]) -> bool {
        if entropy(bytes) < RANDOM {
            return true;
        }
        let most = SAMPLE.min(bytes.len());
        let start = (bytes.len() - most) / 2;
        let sample = &bytes[start..start + most];
        // Less than a thirtieth saved: the buffer is too small, which is an error.
        self.trial.deflate_compress(sample, &mut self.out[..most - most / 30]).is_ok()
    }
}

/// Bits of information for each byte, by the frequency of single bytes in a sample.
fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    let mut count = |part: &[u8]| part.iter().for_each(|&b| counts[usize::from(b)] += 1);
    let total = if bytes.len() <= SAMPLE {
        count(bytes);
        bytes.len()
    } else {
        let step = bytes.len() / PLACES;
        let each = SAMPLE / PLACES;
        (0..PLACES).for_each(|place| count(&bytes[place * step..place * step + each]));
        SAMPLE
    };
    let total = f64::from(u32::try_from(total).unwrap_or(u32::MAX));
    counts
        .iter()
        .filter(|&&n| n > 0)
        .map(|&n| {
            let p = f64::from(n) / total;
            -p * p.log2()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::super::noise;
    use super::*;

    #[test]
    fn texts_and_repetitions_are_worth_it_and_noise_is_not() {
        let mut probe = Probe::new();
        for length in [2048, 5000, 70_000, 131_072] {
            assert!(!probe.compressible(&noise(length, 1)), "{length}");
            assert!(probe.compressible(&b"one, two, three\n".repeat(length / 16)), "{length}");
            assert!(probe.compressible(&noise(1024, 1).repeat(length / 1024)), "{length}");
        }
    }
}
