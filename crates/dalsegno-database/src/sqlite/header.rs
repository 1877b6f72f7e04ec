/// Length of the database header, the start of page 1.
pub(super) const HEADER: usize = 100;

/// Offset of the byte range that SQLite locks; the page that holds it is never used
/// (file format, section 1.4).
const LOCK_BYTE: u64 = 0x4000_0000;

/// Offset of the two bytes that tell the journal mode (file format, section 1.3.3).
pub(super) const JOURNAL: u64 = 18;

/// The database header (<https://www.sqlite.org/fileformat2.html>, section 1.3).
#[derive(Debug, Clone, Copy)]
pub(super) struct Header([u8; HEADER]);

impl Header {
    /// The header at the start of `page`; `None` if this is no SQLite database.
    pub(super) fn of(page: &[u8]) -> Option<Self> {
        let bytes: [u8; HEADER] = page.get(..HEADER)?.try_into().ok()?;
        let header = Self(bytes);
        let size = header.page_size();
        let sound = bytes.starts_with(b"SQLite format 3\0")
            && size.is_power_of_two()
            && (512..=65536).contains(&size)
            && bytes[21..24] == [64, 32, 32];
        sound.then_some(header)
    }

    /// What decides whether one database can be written over another: page size and encoding.
    pub(super) fn compared(&self) -> (u32, &'static str) {
        (self.page_size(), self.encoding().name())
    }

    /// Bytes of a page; 1 stands for 65536.
    pub(super) fn page_size(&self) -> u32 {
        match u16::from_be_bytes([self.0[16], self.0[17]]) {
            1 => 65536,
            size => u32::from(size),
        }
    }

    /// Pages, as the header says.
    pub(super) fn pages(&self) -> u32 {
        self.word(28)
    }

    pub(super) fn schema_cookie(&self) -> u32 {
        self.word(40)
    }

    pub(super) fn encoding(&self) -> Encoding {
        match self.word(56) {
            1 => Encoding::Utf8,
            2 => Encoding::Utf16le,
            3 => Encoding::Utf16be,
            _ => Encoding::Unset,
        }
    }

    pub(super) fn user_version(&self) -> i32 {
        self.word(60).cast_signed()
    }

    pub(super) fn application_id(&self) -> i32 {
        self.word(68).cast_signed()
    }

    pub(super) fn auto_vacuum(&self) -> &'static str {
        match (self.word(52), self.word(64)) {
            (0, _) => "none",
            (_, 0) => "full",
            _ => "incremental",
        }
    }

    /// File format versions for writing and reading: 1 rollback journal, 2 WAL.
    pub(super) fn journal_bytes(&self) -> [u8; 2] {
        [self.0[18], self.0[19]]
    }

    fn word(&self, at: usize) -> u32 {
        u32::from_be_bytes([self.0[at], self.0[at + 1], self.0[at + 2], self.0[at + 3]])
    }
}

/// How texts are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// No table was ever made.
    Unset,
    Utf8,
    Utf16le,
    Utf16be,
}

impl Encoding {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Unset | Self::Utf8 => "UTF-8",
            Self::Utf16le => "UTF-16le",
            Self::Utf16be => "UTF-16be",
        }
    }
}

/// Makes the page count in the header of page 1 valid.
///
/// It counts only while the version-valid-for number equals the change counter; a writer older
/// than SQLite 3.7 leaves both as they were, and the next commit would then vouch for a wrong count.
pub(super) fn set_pages(page1: &mut [u8], pages: u32) {
    if page1.len() >= HEADER {
        page1[28..32].copy_from_slice(&pages.to_be_bytes());
        page1.copy_within(24..28, 92);
    }
}

pub(super) fn set_journal_bytes(page1: &mut [u8], bytes: [u8; 2]) {
    page1[18..20].copy_from_slice(&bytes);
}

pub(super) fn set_schema_cookie(page1: &mut [u8], cookie: u32) {
    page1[40..44].copy_from_slice(&cookie.to_be_bytes());
}

/// Blanks what changes without the content changing: journal mode, change counter, schema cookie,
/// version-valid-for and library version.
pub(super) fn mask(page1: &mut [u8], pages: u32) {
    if page1.len() < HEADER {
        return;
    }
    set_pages(page1, pages);
    for volatile in [18..20, 24..28, 40..44, 92..100] {
        page1[volatile].fill(0);
    }
}

/// The number of the page that holds the lock bytes: it exists only in files beyond 1 GiB, holds
/// nothing and can be neither read nor written.
pub(super) fn lock_page(page_size: u32) -> u64 {
    LOCK_BYTE / u64::from(page_size) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_page_holds_the_first_byte_past_one_gibibyte() {
        for (size, page) in [(512, 2_097_153), (4096, 262_145), (65536, 16385)] {
            assert_eq!(lock_page(size), page);
            assert_eq!((page - 1) * u64::from(size), 1 << 30);
        }
    }

    #[test]
    fn the_mask_covers_the_volatile_fields_only() {
        let mut page: Vec<u8> = (0..=255).cycle().take(512).collect();
        let before = page.clone();
        mask(&mut page, 7);
        let changed: Vec<usize> = (0..512).filter(|&i| page[i] != before[i]).collect();
        let expected: Vec<usize> =
            [18..20, 24..32, 40..44, 92..100].into_iter().flatten().collect();
        assert_eq!(changed, expected);
        assert_eq!(page[28..32], [0, 0, 0, 7]);
    }

    #[test]
    fn what_is_no_header_is_none() {
        assert!(Header::of(&[0; 100]).is_none());
        assert!(Header::of(b"SQLite format 3\0").is_none());
        let mut page = vec![0; 100];
        page[..16].copy_from_slice(b"SQLite format 3\0");
        page[16..18].copy_from_slice(&[0, 1]);
        page[21..24].copy_from_slice(&[64, 32, 32]);
        assert_eq!(Header::of(&page).unwrap().page_size(), 65536);
        page[17] = 2;
        assert!(Header::of(&page).is_none(), "page size 2");
    }
}
