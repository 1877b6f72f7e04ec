//! What follows the members that the lists name: the lists, the completion record, the index.

use dalsegno_format::{Completion, Entry, sha256_from_hex, tree};

use super::{Moving, Next, TarWalk};
use crate::read::ReadError;
use crate::read::entries::Lists;
use crate::read::walk::{difference, expected_control};
use crate::tar::{BLOCK, data_len};
use crate::{ArchiveError, Damage};

impl TarWalk<'_, '_> {
    /// A list or the completion record.
    pub(super) fn unlisted(
        &mut self,
        moving: &mut Moving<'_, '_>,
        top: &str,
        name: &str,
        place: (u64, u64),
    ) -> Result<Next, ReadError> {
        let entry = match self.head(moving, top, name, place)? {
            Ok(entry) => entry,
            Err(next) => return Ok(next),
        };
        if let Some(what) = difference(&entry, &expected_control(name, &entry, moving.mtime)) {
            let what = what.replace("entries.tsv says", "it should be");
            self.find(Damage::new(format!("header of {name}"), what))?;
        }
        let digests = &self.manifest.completion.digests;
        let digest = match name {
            tree::ENTRIES => {
                let listed = moving.lists.as_mut().map(Lists::end);
                if let Some(Err(damage)) = listed {
                    self.find(damage)?;
                } else if let Some(Ok(listed)) = listed
                    && sha256_from_hex(digests.entries.as_bytes()) != Some(listed)
                {
                    let what = "its line for entries.tsv is not what the completion record says";
                    self.find(Damage::new(tree::CHECKSUMS, what))?;
                }
                sha256_from_hex(digests.entries.as_bytes())
            }
            tree::CHECKSUMS => sha256_from_hex(digests.checksums.as_bytes()),
            _ => return self.completion(moving, &entry, place.1),
        };
        // No visitor is given the lists.
        self.pass_on(true)?;
        let visit = self.visit.take();
        let next = self.content(moving, &entry, digest.as_ref(), place.1);
        self.visit = visit;
        next
    }

    /// Whatever the member says must be what the index says.
    fn completion(
        &mut self,
        moving: &mut Moving<'_, '_>,
        entry: &Entry,
        next: u64,
    ) -> Result<Next, ReadError> {
        let expected = self.manifest.completion.to_json();
        let mut found = Vec::new();
        let length = data_len(&entry.kind);
        if length <= 16 << 20 {
            found.resize(usize::try_from(length).unwrap_or(0), 0);
            let filled = crate::tar::Source::fill(&mut moving.stream, &mut found);
            if let Err(error) = filled {
                if moving.stream.cancelled {
                    return Err(ArchiveError::Cancelled.into());
                }
                let subject = format!("contents of {}", entry.path);
                self.find(Damage::new(subject, error.to_string()))?;
                return Ok(Next::Stop);
            }
        }
        let same = found == expected
            || Completion::from_json(&found).is_ok_and(|it| it == self.manifest.completion);
        if !same {
            let what = "it is not the completion record in the index";
            self.find(Damage::new(format!("contents of {}", entry.path), what))?;
        }
        moving.report.members += 1;
        self.padding(moving, entry, next)
    }

    /// The head of the index, which ends the frames of the frame table.
    pub(super) fn index(
        &mut self,
        moving: &mut Moving<'_, '_>,
        top: &str,
        at: u64,
    ) -> Result<(), ReadError> {
        let trailer = &self.tar.trailer;
        let Ok(entry) = self.head(moving, top, tree::INDEX, (at, at))? else { return Ok(()) };
        let expected = expected_control(tree::INDEX, &entry, moving.mtime);
        if let Some(what) = difference(&entry, &expected) {
            let what = what.replace("entries.tsv says", "it should be");
            self.find(Damage::new(format!("header of {}", tree::INDEX), what))?;
        }
        let size = entry.size().unwrap_or(0);
        let end = moving.stream.offset.checked_add(size);
        let right = end.and_then(|end| end.checked_add(2 * BLOCK as u64)) == Some(trailer.tar_len);
        let frames_end = self.tar.tables().map_or(0, |tables| tables.frames.ends().1);
        if !right || moving.stream.offset != frames_end {
            let what = "it has not the size the trailer says";
            self.find(Damage::new(format!("header of {}", tree::INDEX), what))?;
        }
        self.closing()
    }

    /// What follows the root of the index is zero.
    fn closing(&mut self) -> Result<(), ReadError> {
        use std::os::unix::fs::FileExt as _;
        let trailer = &self.tar.trailer;
        let subject = "end of the tar";
        let bytes = if trailer.form == dalsegno_format::Form::Tar {
            let end = trailer.closing.offset.div_ceil(BLOCK as u64) * BLOCK as u64;
            let mut bytes = vec![0; usize::try_from(end - trailer.closing.offset).unwrap_or(0)];
            let read = self.tar.file.read_exact_at(&mut bytes, trailer.closing.offset);
            read.map(|()| bytes).map_err(|error| Damage::new(subject, error.to_string()))
        } else {
            self.tar.region(&trailer.closing, subject)
        };
        match bytes {
            Ok(bytes) if bytes.iter().all(|&b| b == 0) => {}
            Ok(_) => self.find(Damage::new(subject, "its padding is not zero"))?,
            Err(damage) => self.find(damage)?,
        }
        Ok(())
    }
}
