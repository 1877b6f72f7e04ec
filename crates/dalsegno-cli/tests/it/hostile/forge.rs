//! Makes archives whose every sum, hash, index and trailer is right, whatever they hold: a good one
//! is taken apart, changed, and put together again by the format document alone.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::cut::Cut;
use super::header::{Header, mend, pad};

const CLOSING: [&str; 3] = ["entries.tsv", "checksums.sha256", "backup_complete.json"];

/// A member as it lies in the tar, and what the lists say of it.
#[derive(Clone)]
pub(super) struct Member {
    /// Path below the top folder, for finding it again.
    pub(super) name: Vec<u8>,
    /// Extended header, header, and map of holes.
    pub(super) head: Vec<u8>,
    /// Data without padding.
    pub(super) data: Vec<u8>,
    /// Its line in `entries.tsv`.
    pub(super) line: Option<Vec<u8>>,
    /// Its digest in `checksums.sha256`.
    pub(super) sum: Option<[u8; 32]>,
    /// Counted in `bytes` of the completion record.
    pub(super) size: u64,
}

/// A tar form being forged.
#[derive(Clone)]
pub(super) struct Forge {
    pub(super) top: String,
    top_head: Vec<u8>,
    /// All up to and with `restore.sh`.
    pub(super) members: Vec<Member>,
    closing: Vec<Member>,
    pub(super) index_head: Vec<u8>,
    pub(super) manifest: Value,
    pub(super) lies: Lies,
}

/// What is changed after everything has been made right.
#[derive(Clone, Default)]
pub(super) struct Lies {
    pub(super) entries: Option<fn(&mut Vec<u8>)>,
    pub(super) checksums: Option<fn(&mut Vec<u8>)>,
    pub(super) completion: Option<fn(&mut Value)>,
    /// Bytes of the tar after the completion record, before the index.
    pub(super) after: Vec<u8>,
    /// The offsets of members.
    pub(super) table: Option<fn(&mut Vec<u64>)>,
    /// The number of a frame, and what is stored in its place.
    pub(super) frame: Option<(usize, Vec<u8>)>,
    /// The records of the frame table: stored length, length, hash.
    pub(super) frames: Option<fn(&mut Vec<(u32, u32, u64)>)>,
    pub(super) trailer: Option<fn(&mut [u8])>,
}

impl Forge {
    /// Takes a good archive of the form `tar` apart.
    pub(super) fn of(tar: &Path) -> Self {
        let bytes = fs::read(tar).expect("the archive can be read");
        let sidecar = fs::read(format!("{}.manifest.json", tar.display())).expect("it has one");
        let manifest: Value = serde_json::from_slice(&sidecar).expect("it is JSON");
        let top = manifest["metadata"]["folder"].as_str().expect("it has one").to_owned();
        let mut all = Vec::new();
        let (top_head, mut at) = (head_at(&bytes, 0), head_at(&bytes, 0).end);
        while bytes[at] != 0 {
            let head = head_at(&bytes, at);
            let main = &bytes[head.end - 512..head.end];
            let octal = std::str::from_utf8(&main[124..135]).expect("digits");
            let size = usize::from_str_radix(octal, 8).expect("octal digits");
            let name = name_of(&bytes[head.clone()]);
            let name = name.strip_prefix(format!("{top}/").as_bytes()).expect("below the top");
            let data = bytes[head.end..head.end + size].to_vec();
            at = head.end + size.div_ceil(512) * 512;
            all.push(Member {
                name: name.strip_suffix(b"/").unwrap_or(name).to_vec(),
                head: bytes[head].to_vec(),
                data,
                line: None,
                sum: None,
                size: 0,
            });
        }
        let index_head = all.pop().expect("the index is the last").head;
        let mut closing = all.split_off(all.len() - CLOSING.len());
        for (member, name) in closing.iter().zip(CLOSING) {
            assert_eq!(member.name, name.as_bytes());
        }
        let lines: Vec<Vec<u8>> =
            closing[0].data.split(|&b| b == b'\n').map(<[u8]>::to_vec).collect();
        for (member, line) in all.iter_mut().zip(lines) {
            if line[0] == b'f' {
                member.sum = Some(Sha256::digest(&member.data).into());
                member.size = member.data.len() as u64;
            }
            member.line = Some(line);
        }
        for member in &mut closing {
            member.data.clear();
        }
        let top_head = bytes[top_head].to_vec();
        Self { top, top_head, members: all, closing, index_head, manifest, lies: Lies::default() }
    }

    /// Where a member stands.
    pub(super) fn place(&self, name: &str) -> usize {
        let found = self.members.iter().position(|m| m.name == name.as_bytes());
        found.expect("the backup has it")
    }

    pub(super) fn member(&mut self, name: &str) -> &mut Member {
        let place = self.place(name);
        &mut self.members[place]
    }

    /// Puts members behind the last one of the media.
    pub(super) fn push(&mut self, members: impl IntoIterator<Item = Member>) {
        let place = self.place("restore.sh");
        self.members.splice(place..place, members);
    }

    /// A member that the lists know.
    pub(super) fn listed(&self, kind: char, path: &[u8], header: &Header, data: &[u8]) -> Member {
        let size = if kind == 'f' { data.len().to_string() } else { "-".to_owned() };
        let start =
            format!("{kind}\t{:04o}\t0\t0\t\t\t{}.000000000\t{size}\t", header.mode, header.mtime);
        let target = match kind {
            'h' => header
                .link
                .strip_prefix(format!("{}/", self.top).as_bytes())
                .unwrap_or(&header.link),
            _ => &header.link,
        };
        let line = [start.as_bytes(), &escaped(path), b"\t", &escaped(target)].concat();
        let file = kind == 'f';
        Member {
            name: path.to_vec(),
            head: header.bytes(),
            data: data.to_vec(),
            line: Some(line),
            sum: file.then(|| Sha256::digest(data).into()),
            size: if file { data.len() as u64 } else { 0 },
        }
    }

    pub(super) fn file(&self, path: impl AsRef<[u8]>, data: &[u8]) -> Member {
        let path = path.as_ref();
        let size = data.len() as u64;
        let header = Header { size, ..Header::new(self.full(path), b'0') };
        self.listed('f', path, &header, data)
    }

    pub(super) fn folder(&self, path: &str) -> Member {
        let header = Header::new([&self.full(path.as_bytes())[..], b"/"].concat(), b'5');
        self.listed('d', path.as_bytes(), &header, b"")
    }

    pub(super) fn symlink(&self, path: &str, target: &str) -> Member {
        let link = target.as_bytes().to_vec();
        let header = Header { link, mode: 0o777, ..Header::new(self.full(path.as_bytes()), b'2') };
        self.listed('l', path.as_bytes(), &header, b"")
    }

    /// `target` is below the top folder unless it is absolute.
    pub(super) fn hard(&self, path: &str, target: &str) -> Member {
        let absolute = target.starts_with('/');
        let link = if absolute { target.as_bytes().to_vec() } else { self.full(target.as_bytes()) };
        let header = Header { link, ..Header::new(self.full(path.as_bytes()), b'1') };
        self.listed('h', path.as_bytes(), &header, b"")
    }

    pub(super) fn full(&self, path: &[u8]) -> Vec<u8> {
        [self.top.as_bytes(), b"/", path].concat()
    }

    /// Puts it together as `folder/name` with the form's suffix, its sidecar beside it.
    pub(super) fn write(&self, folder: &Path, name: &str, form: &str) -> PathBuf {
        let path = folder.join(format!("{name}.{form}"));
        let (bytes, manifest) = self.seal(form);
        fs::write(&path, bytes).expect("the archive can be written");
        fs::write(format!("{}.manifest.json", path.display()), manifest).expect("so can this");
        path
    }

    /// The bytes of the archive, and its manifest.
    pub(super) fn seal(&self, form: &str) -> (Vec<u8>, Vec<u8>) {
        let mut forge = self.clone();
        let manifest = forge.close();
        let mut cut = Cut::default();
        cut.stream.extend_from_slice(&forge.top_head);
        for (number, member) in forge.members.iter().chain(&forge.closing).enumerate() {
            cut.offsets.push(cut.stream.len() as u64);
            cut.stream.extend_from_slice(&member.head);
            cut.stream.extend_from_slice(&member.data);
            pad(&mut cut.stream);
            if number == 0 {
                cut.ends.push(cut.stream.len());
            }
        }
        cut.stream.extend_from_slice(&forge.lies.after);
        while cut.ends.last().is_some_and(|&end| end + (1 << 20) < cut.stream.len()) {
            cut.ends.extend(cut.ends.last().map(|end| end + (1 << 20)));
        }
        cut.ends.push(cut.stream.len());
        (cut.finish(&forge, form, &manifest), manifest)
    }

    /// Makes lists and completion record, and gives the manifest.
    fn close(&mut self) -> Vec<u8> {
        let lies = self.lies.clone();
        let metadata = self.manifest["metadata"].clone();
        let text = serde_json::to_vec_pretty(&metadata).expect("it is JSON");
        self.member("backup_metadata.json").set_data(&text);
        let mut entries = Vec::new();
        let mut checksums = Vec::new();
        for member in &self.members {
            if let Some(line) = &member.line {
                entries.extend_from_slice(line);
                entries.push(b'\n');
            }
            if let Some(sum) = &member.sum {
                checksums.extend(checksum(sum, &member.name));
            }
        }
        lies.entries.inspect(|lie| lie(&mut entries));
        checksums.extend(checksum(&Sha256::digest(&entries), b"entries.tsv"));
        lies.checksums.inspect(|lie| lie(&mut checksums));
        let listed = (entries.len() + checksums.len()) as u64;
        let bytes = self.members.iter().fold(listed, |sum, m| sum.wrapping_add(m.size));
        let completion = &mut self.manifest["completion"];
        completion["members"] = json!(self.members.len() + CLOSING.len());
        completion["digests"]["entries"] = json!(hex(&Sha256::digest(&entries)));
        completion["digests"]["checksums"] = json!(hex(&Sha256::digest(&checksums)));
        completion["bytes"] = json!(bytes);
        lies.completion.inspect(|lie| lie(completion));
        let completion = serde_json::to_vec_pretty(completion).expect("it is JSON");
        for (member, data) in self.closing.iter_mut().zip([entries, checksums, completion]) {
            member.set_data(&data);
        }
        serde_json::to_vec(&self.manifest).expect("it is JSON")
    }
}

impl Member {
    /// Gives it another content; lists and header agree.
    pub(super) fn set_data(&mut self, data: &[u8]) {
        self.data = data.to_vec();
        set_size(&mut self.head, data.len() as u64);
        if let Some(line) = &mut self.line {
            self.sum = Some(Sha256::digest(data).into());
            self.size = data.len() as u64;
            let mut fields: Vec<&[u8]> = line.split(|&b| b == b'\t').collect();
            let size = data.len().to_string();
            fields[7] = size.as_bytes();
            *line = fields.join(&b'\t');
        }
    }

    /// Changes the last block of the header; its sum is right again.
    pub(super) fn change(mut self, change: impl FnOnce(&mut [u8])) -> Self {
        let at = self.head.len() - 512;
        change(&mut self.head[at..]);
        mend(&mut self.head[at..]);
        self
    }

    /// No list knows it.
    pub(super) fn unlisted(mut self) -> Self {
        (self.line, self.sum, self.size) = (None, None, 0);
        self
    }
}

fn checksum(sum: &[u8], name: &[u8]) -> Vec<u8> {
    let odd = name.iter().any(|b| b"\\\n\r".contains(b));
    let mut text = Vec::new();
    for &byte in name {
        match byte {
            b'\\' => text.extend(b"\\\\"),
            b'\n' => text.extend(b"\\n"),
            b'\r' => text.extend(b"\\r"),
            other => text.push(other),
        }
    }
    [if odd { "\\" } else { "" }.as_bytes(), hex(sum).as_bytes(), b"  ", &text, b"\n"].concat()
}

fn escaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for &byte in text {
        match byte {
            b'\\' => out.extend(b"\\\\"),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            0 => out.extend(b"\\0"),
            other => out.push(other),
        }
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    let mut out = String::new();
    for byte in bytes {
        out += &format!("{byte:02x}");
    }
    out
}

pub(super) fn set_size(head: &mut [u8], size: u64) {
    let at = head.len() - 512;
    head[at + 124..at + 135].copy_from_slice(format!("{size:011o}").as_bytes());
    mend(&mut head[at..]);
}

/// The blocks of the head at `at`.
fn head_at(bytes: &[u8], at: usize) -> Range<usize> {
    if bytes[at + 156] != b'x' {
        return at..at + 512;
    }
    let octal = std::str::from_utf8(&bytes[at + 124..at + 135]).expect("digits");
    let length = usize::from_str_radix(octal, 8).expect("octal digits");
    at..at + 1024 + length.div_ceil(512) * 512
}

/// The name in a head of a site without odd names.
fn name_of(head: &[u8]) -> Vec<u8> {
    let main = &head[head.len() - 512..];
    main[..100].split(|&b| b == 0).next().unwrap_or_default().to_vec()
}
