//! Where a block is cut: data worth compressing apart from data that are not.

use super::probe::Probe;
use super::{Block, Part};

/// Data that is probed as one.
const PIECE: usize = 128 * 1024;

/// Data shorter than this follow their neighbours: cutting would cost more than it saves.
pub(crate) const SMALL: usize = 2048;

/// A range of a block that becomes one frame.
pub(crate) struct Run {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Whether its data are worth compressing; all that is small is.
    pub(crate) compress: bool,
}

/// Cuts the block where compressible data meet others; headers go with the data they precede.
///
/// Where that would leave fewer than `least` bytes to be stored as they are beside others that are
/// compressed, it is not cut: they are compressed too, since a cut forgets all that came before.
pub(crate) fn runs(block: &Block, probe: &mut Probe, least: usize) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut head = 0;
    for (start, end, part) in block.ranges() {
        if part == Part::Head || end - start < SMALL {
            continue;
        }
        let mut at = start;
        while at < end {
            // The last piece takes a short rest with it.
            let next = if end - at < PIECE + PIECE / 2 { end } else { at + PIECE };
            let compress = probe.compressible(&block.bytes[at..next]);
            match runs.last_mut() {
                Some(run) if run.compress == compress => run.end = next,
                _ => runs.push(Run { start: head, end: next, compress }),
            }
            head = next;
            at = next;
        }
    }
    match runs.last_mut() {
        Some(run) => run.end = block.bytes.len(),
        None => runs.push(Run { start: 0, end: block.bytes.len(), compress: true }),
    }
    joined(runs, least)
}

fn joined(runs: Vec<Run>, least: usize) -> Vec<Run> {
    if runs.len() == 1 {
        return runs;
    }
    let mut joined: Vec<Run> = Vec::new();
    for mut run in runs {
        run.compress |= run.end - run.start < least;
        match joined.last_mut() {
            Some(last) if last.compress == run.compress => last.end = run.end,
            _ => joined.push(run),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::super::noise;
    use super::*;

    #[test]
    fn short_stretches_of_noise_do_not_cut_text() {
        let text = b"some text, some more\n".repeat(4 * PIECE / 21 + 1);
        let mut block = Block::default();
        let mut places = Vec::new();
        for (stretch, seed) in [(PIECE, 1), (3 * PIECE, 2)] {
            block.push(&text[..4 * PIECE], Part::Data);
            places.push(block.bytes.len());
            block.push(&noise(stretch, seed), Part::Data);
        }
        let cuts = |least| -> Vec<(usize, usize, bool)> {
            runs(&block, &mut Probe::new(), least)
                .iter()
                .map(|run| (run.start, run.end, run.compress))
                .collect()
        };
        let end = block.bytes.len();
        assert_eq!(cuts(2 * PIECE), [(0, places[1], true), (places[1], end, false)]);
        assert_eq!(cuts(0).len(), 4);
        assert_eq!(cuts(usize::MAX), [(0, end, true)]);
    }
}
