//! The end of a tree: `restore.sh`, the lists, the completion record, and a look at the result.

use dalsegno_format::{
    Completion, Entry, EntryKind, Form, ListDigests, Manifest, Metadata, Sha256 as Digest, hex,
    tree,
};
use sha2::{Digest as _, Sha256};

use super::TreeWriter;
use crate::spool::Spool;
use crate::write::{Closing, Written, control};
use crate::{Archive, ArchiveError};

impl TreeWriter {
    /// Ends the tree: `restore.sh`, the lists, the completion record that `completion` makes from
    /// what was written, the index; fsyncs everything, opens the result again and compares.
    pub fn finish(
        mut self,
        restore_sh: &[u8],
        completion: impl FnOnce(&Closing) -> Completion,
    ) -> Result<Written, ArchiveError> {
        let Some(metadata) = self.metadata.clone() else {
            return Err(ArchiveError::Sequence { reason: "it has no metadata" });
        };
        if self.broken {
            return Err(ArchiveError::Sequence { reason: "the last member is incomplete" });
        }
        let digest: Digest = Sha256::digest(restore_sh).into();
        let script = self.control_file(tree::RESTORE_SH, restore_sh.len(), 0o700);
        self.put(&script, restore_sh)?;
        self.list(&script, Some(digest))?;
        let digests = self.put_lists()?;
        let closing =
            Closing { members: self.totals.members + 1, bytes: self.totals.bytes, digests };
        let completion = completion(&closing);
        #[cfg(test)]
        let closing = if self.forging {
            Closing { members: completion.members, bytes: completion.bytes, ..closing }
        } else {
            closing
        };
        let manifest = check_manifest(metadata, completion, &closing)?;
        let record = manifest.completion.to_json();
        let entry = self.control_file(tree::COMPLETE, record.len(), 0o600);
        self.put(&entry, &record)?;
        self.totals.members += 1;
        let manifest_bytes = manifest.to_json();
        let sink = self.sink.take().ok_or(ArchiveError::Sequence { reason: "it is finished" })?;
        // A folder takes the bytes of its files, holes included, as its reader counts them.
        let in_folder = closing.bytes.saturating_add(record.len() as u64);
        let folder = self.options.form == Form::Folder;
        let stored_bytes = sink
            .finish(&manifest_bytes, self.mtime, self.options.max_size)
            .map(|bytes| if folder { in_folder } else { bytes })
            .and_then(|bytes| self.check_result(&manifest, bytes).map(|()| bytes));
        let stored_bytes = stored_bytes.inspect_err(|_| self.remove())?;
        Ok(Written {
            path: self.staged.clone(),
            form: self.options.form,
            stored_bytes,
            manifest,
            manifest_bytes,
            members: self.totals.members,
        })
    }

    /// Both lists as members; the second names the first.
    fn put_lists(&mut self) -> Result<ListDigests, ArchiveError> {
        let entries = std::mem::replace(&mut self.entries, Spool::new(&self.options.spool_dir));
        let entries_sha256 = entries.sha256();
        let entry = self.put_spool(tree::ENTRIES, &entries)?;
        self.count(&entry, Some(entries_sha256))?;
        let checksums = std::mem::replace(&mut self.checksums, Spool::new(&self.options.spool_dir));
        let entry = self.put_spool(tree::CHECKSUMS, &checksums)?;
        self.totals.members += 1;
        self.totals.files += 1;
        self.totals.bytes += entry.size().unwrap_or(0);
        Ok(ListDigests { entries: hex(&entries_sha256), checksums: hex(&checksums.sha256()) })
    }

    fn put_spool(&mut self, name: &str, spool: &Spool) -> Result<Entry, ArchiveError> {
        let kind = EntryKind::File { size: spool.len(), extents: None };
        let entry = control(name, kind, 0o600, self.mtime);
        self.sink()?.start(&entry)?;
        self.copy(&entry, spool.len(), None, &mut spool.reader())?;
        self.sink()?.end(&entry)?;
        Ok(entry)
    }

    /// Opens what was written as a reader would.
    fn check_result(&self, manifest: &Manifest, stored: u64) -> Result<(), ArchiveError> {
        let archive = Archive::open(&self.staged)?;
        let same = archive.manifest() == manifest
            && archive.form() == self.options.form
            && archive.stored_bytes() == stored;
        if same {
            return Ok(());
        }
        let what = "reading it back gives something else than was written";
        Err(ArchiveError::damaged(&self.staged, "end of the backup", what))
    }
}

fn check_manifest(
    metadata: Metadata,
    completion: Completion,
    closing: &Closing,
) -> Result<Manifest, ArchiveError> {
    let agrees = completion.members == closing.members
        && completion.bytes == closing.bytes
        && completion.digests == closing.digests
        && completion.id == metadata.id
        && completion.format == metadata.format;
    if agrees {
        Ok(Manifest { metadata, completion })
    } else {
        Err(ArchiveError::Sequence { reason: "the completion record says something else" })
    }
}
