//! Extended headers read back.

/// The records of an extended header that this program writes.
#[derive(Default)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) user: Option<Vec<u8>>,
    pub(super) group: Option<Vec<u8>>,
    pub(super) mtime: Option<String>,
    pub(super) sparse_name: Option<Vec<u8>>,
    pub(super) sparse_size: Option<u64>,
}

impl Pax {
    /// `None` where a record is none of these or cannot be read.
    pub(super) fn parse(mut body: &[u8]) -> Option<Self> {
        let mut pax = Self::default();
        while !body.is_empty() {
            let space = body.iter().take(8).position(|&b| b == b' ')?;
            let length: usize = number(&body[..space])?;
            if length <= space + 1 || length > body.len() {
                return None;
            }
            let record = body[space + 1..length].strip_suffix(b"\n")?;
            let equals = record.iter().position(|&b| b == b'=')?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"path" => pax.path = Some(value.to_vec()),
                b"linkpath" => pax.link = Some(value.to_vec()),
                b"size" => pax.size = Some(number(value)?),
                b"uid" => pax.uid = Some(number(value)?),
                b"gid" => pax.gid = Some(number(value)?),
                b"uname" => pax.user = Some(value.to_vec()),
                b"gname" => pax.group = Some(value.to_vec()),
                b"mtime" => pax.mtime = Some(String::from_utf8(value.to_vec()).ok()?),
                b"GNU.sparse.major" if value == b"1" => {}
                b"GNU.sparse.minor" if value == b"0" => {}
                b"GNU.sparse.name" => pax.sparse_name = Some(value.to_vec()),
                b"GNU.sparse.realsize" => pax.sparse_size = Some(number(value)?),
                _ => return None,
            }
            body = &body[length..];
        }
        Some(pax)
    }
}

fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}
