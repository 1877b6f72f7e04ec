//! What goes wrong with sites and with stored bytes, and bytes that make work.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::python::run_python;
use crate::site::Site;

/// Inverts every bit of the byte at `offset`.
pub fn flip_byte(path: &Path, offset: u64) {
    let file = File::options().read(true).write(true).open(path).expect("the file can be opened");
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).expect("the offset lies inside the file");
    byte[0] ^= 0xff;
    file.write_all_at(&byte, offset).expect("the file can be written");
}

/// Bytes that no compressor makes smaller; the same seed gives the same bytes.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    // Xorshift (Marsaglia, 2003) must not begin with zero.
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let words = std::iter::from_fn(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Some(state.to_le_bytes())
    });
    words.flatten().take(length).collect()
}

const DAMAGE: &str = r#"
import os, sqlite3, sys
root = sys.argv[1]
db = sqlite3.connect(os.path.join(root, "db.sqlite3"))
tables = {name for name, in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
if "books_book" in tables:
    db.execute("UPDATE books_book SET price = 0, title = 'oops ' || id WHERE id % 2")
    db.execute("DELETE FROM books_changelog")
    db.execute("DROP TABLE IF EXISTS books_note")
else:
    db.execute("UPDATE book SET title = 'oops ' || id WHERE id % 2")
    db.execute("DELETE FROM author WHERE id > 5")
    db.execute("DROP TABLE IF EXISTS log")
    db.execute("CREATE TABLE IF NOT EXISTS stranger (id INTEGER PRIMARY KEY)")
db.commit()
db.close()
for top in ("media", "private"):
    paths = []
    for folder, _, names in os.walk(os.path.join(root, top)):
        paths += [os.path.join(folder, name) for name in names if name[0] != "." and name[-1] != "~"]
    for number, path in enumerate(sorted(paths)):
        if number % 4 == 0:
            os.remove(path)
        elif number % 4 == 1 and not os.path.islink(path):
            with open(path, "r+b") as file:
                file.write(b"overwritten")
with open(os.path.join(root, "media", "ransom note.txt"), "w") as file:
    file.write("This file was not there before.\n")
"#;

/// A bad day of a site: rows changed and deleted, a table dropped, files deleted, overwritten and
/// added. What a backup leaves out by rule is not touched.
pub fn damage(site: &Site) {
    run_python(DAMAGE, &[site.root()]);
}
