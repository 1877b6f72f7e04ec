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
pub(crate) fn runs(block: &Block, probe: &mut Probe) -> Vec<Run> {
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
    runs
}
