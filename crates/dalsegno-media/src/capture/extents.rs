//! Where a sparse file holds data.

use std::os::fd::AsFd;

use dalsegno_format::Extent;
use rustix::fs::{SeekFrom, seek};
use rustix::io::{self, Errno};

/// The ranges of data of a file, if it has holes: ascending, not touching, none empty, cut at
/// `size`. `None` when it has none, or its filesystem cannot say.
pub(crate) fn extents(file: impl AsFd, size: u64) -> io::Result<Option<Vec<Extent>>> {
    let mut found: Vec<Extent> = Vec::new();
    let mut at = 0;
    while at < size {
        let start = match seek(&file, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => break,
            Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(None),
            Err(error) => return Err(error),
        };
        let end = match seek(&file, SeekFrom::Hole(start)) {
            // The file was cut short between the two questions.
            Err(Errno::NXIO) => break,
            end => end?,
        };
        let end = end.min(size);
        if start >= end {
            break;
        }
        match found.last_mut() {
            Some(last) if last.offset + last.length == start => last.length += end - start,
            _ => found.push(Extent { offset: start, length: end - start }),
        }
        at = end;
    }
    let whole = [Extent { offset: 0, length: size }];
    Ok(if size == 0 || found == whole { None } else { Some(found) })
}
