//! The table of contents of an archive in the custom format of `pg_dump -Fc`.
//!
//! The format is that of `pg_backup_archiver.c` and `pg_backup_custom.c`: a header, then an entry
//! for each object with its statements. Versions 1.12 (`PostgreSQL` 9.0) to 1.16 (17, 18) differ in
//! single fields. Data, which would follow, are never asked for.

/// The oldest version that is read, and the newest.
const OLDEST: (u8, u8) = (1, 12);
const NEWEST: (u8, u8) = (1, 16);
/// The archive format `custom`.
const CUSTOM: u8 = 1;

/// One object of the archive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TocEntry {
    pub(super) id: i32,
    pub(super) tag: String,
    pub(super) kind: String,
    pub(super) section: TocSection,
    pub(super) definition: String,
    pub(super) drop: String,
    /// `None` for what is in no schema.
    pub(super) schema: Option<String>,
    /// `None` where no tablespace is set, empty for that of the database.
    pub(super) tablespace: Option<String>,
    pub(super) access_method: Option<String>,
    /// `pg_class.relkind`, 0 before version 1.16.
    pub(super) relkind: u8,
    pub(super) owner: String,
    pub(super) depends_on: Vec<i32>,
}

/// When an entry is restored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum TocSection {
    /// With what stands before it.
    #[default]
    Any,
    Pre,
    Data,
    Post,
}

/// All entries in the order in which they are to be restored. An error says what is wrong.
pub(super) fn read(archive: &[u8]) -> Result<Vec<TocEntry>, String> {
    let mut reader = Reader::open(archive)?;
    let entries = reader.int()?;
    // Each takes more bytes than one.
    let entries = usize::try_from(entries).ok().filter(|entries| *entries <= archive.len());
    let entries = entries.ok_or("the number of entries cannot be right")?;
    (0..entries).map(|_| reader.entry()).collect()
}

struct Reader<'a> {
    left: &'a [u8],
    version: (u8, u8),
    int_size: usize,
    offset_size: usize,
}

impl<'a> Reader<'a> {
    /// Reads the header.
    fn open(archive: &'a [u8]) -> Result<Self, String> {
        let left = archive.strip_prefix(b"PGDMP").ok_or("it is not an archive")?;
        let mut reader = Self { left, version: (0, 0), int_size: 0, offset_size: 0 };
        reader.version = (reader.byte()?, reader.byte()?);
        let _revision = reader.byte()?;
        let (major, minor) = reader.version;
        if reader.version < OLDEST || reader.version > NEWEST {
            return Err(format!("archives of version {major}.{minor} are not known here"));
        }
        reader.int_size = reader.byte()?.into();
        reader.offset_size = reader.byte()?.into();
        if !(1..=8).contains(&reader.int_size) || reader.offset_size > 8 {
            return Err("its integers have an unknown size".to_owned());
        }
        if reader.byte()? != CUSTOM {
            return Err("it is not in the custom format".to_owned());
        }
        // The compression of data.
        if reader.version >= (1, 15) {
            reader.byte()?;
        } else {
            reader.int()?;
        }
        // Its time, in seven fields.
        for _ in 0..7 {
            reader.int()?;
        }
        // The database, the server's version, the program's.
        for _ in 0..3 {
            reader.text()?;
        }
        Ok(reader)
    }

    fn entry(&mut self) -> Result<TocEntry, String> {
        let mut entry = TocEntry { id: self.small()?, ..TocEntry::default() };
        let has_data = self.int()?;
        // Its place in the catalogs, in two numbers.
        self.text()?;
        self.text()?;
        entry.tag = self.text()?.unwrap_or_default();
        entry.kind = self.text()?.unwrap_or_default();
        entry.section = match self.int()? {
            1 => TocSection::Any,
            2 => TocSection::Pre,
            3 => TocSection::Data,
            4 => TocSection::Post,
            other => return Err(format!("an entry is in a section {other}")),
        };
        entry.definition = self.text()?.unwrap_or_default();
        entry.drop = self.text()?.unwrap_or_default();
        // The statement that its data would begin with.
        self.text()?;
        entry.schema = self.text()?.filter(|schema| !schema.is_empty());
        entry.tablespace = self.text()?;
        if self.version >= (1, 14) {
            entry.access_method = self.text()?.filter(|method| !method.is_empty());
        }
        if self.version >= (1, 16) {
            entry.relkind = u8::try_from(self.int()?).map_err(|_| "a relation of no kind")?;
        }
        entry.owner = self.text()?.unwrap_or_default();
        // Whether it has OIDs, which no server has any more.
        self.text()?;
        while let Some(dependency) = self.text()? {
            let id = dependency.parse().map_err(|_| "an entry depends on no number")?;
            entry.depends_on.push(id);
        }
        // The state and the place of its data.
        self.take(1 + self.offset_size)?;
        if has_data != 0 {
            return Err(format!("it has data of {} `{}`", entry.kind, entry.tag));
        }
        Ok(entry)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let (taken, left) = self.left.split_at_checked(length).ok_or("it is cut off")?;
        self.left = left;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    /// A sign, then a magnitude with its lowest byte first.
    fn int(&mut self) -> Result<i64, String> {
        let negative = self.byte()? != 0;
        let bytes = self.take(self.int_size)?;
        let magnitude = bytes.iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        let magnitude = i64::try_from(magnitude).map_err(|_| "a number is too large")?;
        Ok(if negative { -magnitude } else { magnitude })
    }

    fn small(&mut self) -> Result<i32, String> {
        i32::try_from(self.int()?).map_err(|_| "a number is too large".to_owned())
    }

    /// A length, then bytes; a negative length is no text at all.
    fn text(&mut self) -> Result<Option<String>, String> {
        let Ok(length) = usize::try_from(self.int()?) else { return Ok(None) };
        let bytes = self.take(length)?.to_owned();
        let text = String::from_utf8(bytes).map_err(|_| "a text is not in UTF-8")?;
        Ok(Some(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes archives as `pg_dump` of a version does.
    struct Writer {
        bytes: Vec<u8>,
        version: u8,
    }

    impl Writer {
        fn new(version: u8) -> Self {
            let bytes = [b"PGDMP".as_slice(), &[1, version, 0, 4, 8, CUSTOM]].concat();
            let mut writer = Self { bytes, version };
            if version >= 15 {
                writer.bytes.push(0);
            } else {
                writer.int(0);
            }
            for n in 0..7 {
                writer.int(n);
            }
            for text in ["shop", "15.1", "15.1"] {
                writer.text(Some(text));
            }
            writer
        }

        fn int(&mut self, number: i32) {
            self.bytes.push(u8::from(number < 0));
            self.bytes.extend(number.unsigned_abs().to_le_bytes());
        }

        fn text(&mut self, text: Option<&str>) {
            let length = text.map_or(-1, |text| i32::try_from(text.len()).expect("it is short"));
            self.int(length);
            self.bytes.extend(text.unwrap_or_default().as_bytes());
        }

        fn entry(&mut self, id: i32, has_data: bool) {
            self.int(id);
            self.int(has_data.into());
            for text in ["1259", "16400", "t", "TABLE"] {
                self.text(Some(text));
            }
            self.int(2);
            for text in ["CREATE TABLE", "DROP TABLE", ""] {
                self.text(Some(text));
            }
            for text in ["public", ""] {
                self.text(Some(text));
            }
            if self.version >= 14 {
                self.text(Some("heap"));
            }
            if self.version >= 16 {
                self.int(i32::from(b'r'));
            }
            for text in ["owner", "false", "7", "12"] {
                self.text(Some(text));
            }
            self.text(None);
            self.bytes.extend([1; 9]);
        }
    }

    #[test]
    fn archives_of_every_known_version_are_read() {
        for version in 12..=16 {
            let mut writer = Writer::new(version);
            writer.int(2);
            writer.entry(300, false);
            writer.entry(301, false);
            let entries = read(&writer.bytes).expect("it can be read");
            let expected = TocEntry {
                id: 300,
                tag: "t".to_owned(),
                kind: "TABLE".to_owned(),
                section: TocSection::Pre,
                definition: "CREATE TABLE".to_owned(),
                drop: "DROP TABLE".to_owned(),
                schema: Some("public".to_owned()),
                tablespace: Some(String::new()),
                access_method: (version >= 14).then(|| "heap".to_owned()),
                relkind: if version >= 16 { b'r' } else { 0 },
                owner: "owner".to_owned(),
                depends_on: vec![7, 12],
            };
            assert_eq!(entries[0], expected, "version 1.{version}");
            assert_eq!(entries[1].id, 301, "version 1.{version}");
        }
    }

    #[test]
    fn archives_of_the_future_cut_off_or_with_data_are_refused() {
        for version in [11, 17] {
            let error = read(&Writer::new(version).bytes).expect_err("it is not known");
            assert!(error.contains(&format!("1.{version}")), "{error}");
        }
        let mut writer = Writer::new(14);
        writer.int(1);
        writer.entry(1, false);
        for length in 0..writer.bytes.len() {
            assert!(read(&writer.bytes[..length]).is_err(), "cut at {length}");
        }
        let mut writer = Writer::new(14);
        writer.int(1);
        writer.entry(1, true);
        assert!(read(&writer.bytes).expect_err("it has data").contains("TABLE `t`"));
    }
}
