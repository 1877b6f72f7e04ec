//! Random changes of a tar whose sums, lists, index and trailer are made right afterwards, so that
//! what they meet is the code behind the hashes.

use std::path::PathBuf;

use super::FORMS;
use super::forge::{Forge, Member};
use super::header::mend;
use super::trap::{Trap, same};
use crate::text;

/// Rounds of the ordinary tests; `DALSEGNO_TORTURE=1` makes it many more.
const ROUNDS: u64 = 60;

/// A sequence of numbers (`SplitMix64`, Steele and others, 2014), the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides as u64).expect("as small as the sides")
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.roll(list.len())]
    }
}

const NAMES: [&str; 12] = [
    "../../outside/victim",
    "/etc/passwd",
    "files/a/../../../x",
    "files//b",
    "files/a/one.txt",
    "database/default/db.sqlite3-wal",
    "storages/x/y",
    "fixtures/a/b.json",
    "restore.sh",
    "",
    ".",
    "files/a\n\x1b[2J",
];
const NUMBERS: [&str; 6] =
    ["0", "1", "18446744073709551615", "9223372036854775808", "-1", "99999999999999999999999"];

fn change(forge: &mut Forge, dice: &mut Dice) -> String {
    let count = forge.members.len();
    let at = dice.roll(count);
    let other = dice.roll(count);
    match dice.roll(12) {
        0 => {
            forge.members.swap(at, other);
            format!("{at} and {other} exchanged")
        }
        1 => {
            forge.members.remove(at);
            format!("{at} left out")
        }
        2 => {
            let copy = forge.members[at].clone();
            forge.members.insert(other, copy);
            format!("{at} again at {other}")
        }
        3 | 4 => byte_of_header(&mut forge.members[at], dice),
        5 => {
            let tag = *dice.of(b"0123456xgLKSDMV7\0\xff");
            change_block(&mut forge.members[at], |block| block[156] = tag);
            format!("type of {at} is {tag}")
        }
        6 => {
            let name = *dice.of(&NAMES);
            let full = forge.full(name.as_bytes());
            change_block(&mut forge.members[at], |block| put(&mut block[..100], &full));
            field_of_line(&mut forge.members[at], 8, name);
            format!("{at} named {name}")
        }
        7 => {
            let name = *dice.of(&NAMES);
            change_block(&mut forge.members[at], |block| {
                put(&mut block[157..257], name.as_bytes());
            });
            field_of_line(&mut forge.members[at], 9, name);
            format!("{at} links to {name}")
        }
        8 => {
            let number = *dice.of(&NUMBERS);
            let field = [1, 2, 3, 6, 7][dice.roll(5)];
            field_of_line(&mut forge.members[at], field, number);
            format!("field {field} of {at} is {number}")
        }
        9 => {
            let length = dice.roll(forge.members[at].data.len() + 1);
            forge.members[at].data.truncate(length);
            format!("{at} cut to {length}")
        }
        10 => {
            let more = dice.roll(2000);
            forge.members[at].data.extend(vec![b'+'; more]);
            format!("{at} longer by {more}")
        }
        _ => {
            let key =
                *dice.of(&["path", "linkpath", "size", "uid", "mtime", "GNU.sparse.realsize"]);
            let value = if key.ends_with("path") { *dice.of(&NAMES) } else { *dice.of(&NUMBERS) };
            let record = super::header::record(key, value.as_bytes());
            let head = super::header::extended(b'x', &record);
            forge.members[at].head.splice(0..0, head);
            format!("{at} with {key}={value}")
        }
    }
}

fn byte_of_header(member: &mut Member, dice: &mut Dice) -> String {
    let at = dice.roll(member.head.len());
    let byte = u8::try_from(dice.roll(256)).expect("a byte");
    member.head[at] = byte;
    let block = at / 512 * 512;
    mend(&mut member.head[block..block + 512]);
    format!("byte {at} of a header is {byte}")
}

fn change_block(member: &mut Member, change: impl FnOnce(&mut [u8])) {
    let at = member.head.len() - 512;
    change(&mut member.head[at..]);
    mend(&mut member.head[at..]);
}

fn put(field: &mut [u8], text: &[u8]) {
    field.fill(0);
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text[..length]);
}

fn field_of_line(member: &mut Member, field: usize, value: &str) {
    if let Some(line) = &mut member.line {
        let mut fields: Vec<&[u8]> = line.split(|&b| b == b'\t').collect();
        if let Some(place) = fields.get_mut(field) {
            *place = value.as_bytes();
        }
        *line = fields.join(&b'\t');
    }
}

#[test]
fn random_changes_behind_the_hashes_do_no_harm() {
    let trap = Trap::new();
    let torture = std::env::var_os("DALSEGNO_TORTURE").is_some();
    let rounds = if torture { ROUNDS * 100 } else { ROUNDS };
    let site = trap.site.root();
    let mut sound = 0;
    for seed in 0..rounds {
        let mut dice = Dice(seed);
        let mut forge = trap.good.clone();
        let mut what = format!("seed {seed}:");
        for _ in 0..=dice.roll(3) {
            what = format!("{what} {};", change(&mut forge, &mut dice));
            if forge.members.len() < 4 {
                break;
            }
        }
        // The forge writes metadata anew, so there must be some.
        let gone = ["backup_metadata.json", "restore.sh"]
            .iter()
            .any(|name| !forge.members.iter().any(|m| m.name == name.as_bytes()));
        if gone {
            continue;
        }
        let form = FORMS[dice.roll(3)];
        let path = trap.write(&forge, "fuzz", form);
        let before = trap.picture();
        let verify = trap.run(&["-q", "verify", text(&path)]);
        assert!([0, 13, 20].contains(&verify.code), "{what} {verify}");
        trap.run(&["-q", "restore", text(&path), "--dry-run"]);
        trap.run(&["-q", "contents", text(&path)]);
        same(&what, &before, &trap.picture());
        trap.harmless_unverified(&what, &path);
        sound += u64::from(verify.code == 0);
        if verify.code == 20 {
            let answer = trap.run(&["-q", "restore", text(&path), "--force", "--no-pre-backup"]);
            assert!([13, 20].contains(&answer.code), "{what} {answer}");
            same(&what, &before, &trap.picture());
        } else {
            let keep = |path: &PathBuf, _: &mut String| !path.starts_with(&site);
            trap.run(&["-q", "restore", text(&path), "--force", "--no-pre-backup"]);
            let (mut before, mut after) = (before, trap.picture());
            before.retain(keep);
            after.retain(keep);
            same(&what, &before, &after);
            trap.run(&["-q", "rollback", "latest", "--force"]);
        }
    }
    // What is changed only in ways that the format allows is sound: most are not.
    assert!(sound * 4 < rounds, "{sound} of {rounds} are sound: nothing is being tested");
}
