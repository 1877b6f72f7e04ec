//! Databases of an engine that only Django knows: Django's own SQLite under another name, so that the
//! judge can look into its files.

mod alone;
mod interrupted;
mod values;
mod whole;

use std::fs;

use dalsegno_testkit::Site;

/// A bookshop whose database is of an unknown engine.
fn site() -> Site {
    let site = Site::bookshop(600, 12);
    site.write("bookshop/odd/__init__.py", "");
    site.write("bookshop/odd/base.py", include_str!("odd_base.py"));
    site.settings("DATABASES['default']['ENGINE'] = 'bookshop.odd'");
    site
}

/// The same with a second one, alias `archive`: the same tables, fewer rows.
fn two() -> Site {
    let site = site();
    fs::copy(site.path("db.sqlite3"), site.path("archive.sqlite3")).expect("it can be copied");
    site.sql("archive.sqlite3", "DELETE FROM legacy_sale; UPDATE books_language SET name = 'old'");
    site.settings(
        "DATABASES['archive'] = {'ENGINE': 'bookshop.odd', 'NAME': BASE_DIR / 'archive.sqlite3'}",
    );
    site
}

/// Makes a statement that begins so fail or hang.
fn fault(site: &Site, action: &str, statement: &str) {
    site.write("fault", format!("{action}\n{statement}\n"));
}

fn mend(site: &Site) {
    fs::remove_file(site.path("fault")).expect("it was there");
}

/// What a database holds, by the judge; the marker of a restore and what comes with it left out.
fn rows(site: &Site, database: &str) -> Vec<String> {
    let state = site.state();
    let of_marker = |line: &&String| {
        ["django_migrations\t", "sqlite_sequence\t", "ALL\t"].iter().any(|t| line.starts_with(t))
    };
    state.part(database).iter().filter(|line| !of_marker(line)).cloned().collect()
}

/// A file is changed and one is added.
fn damage_media(site: &Site) {
    site.write("media/images/covers/added.png", "added");
    site.write("media/media/books/first-chapter.json", "changed");
}

/// Rows are lost, changed and added, in several tables; no foreign key is left dangling.
fn damage_rows(site: &Site, database: &str) {
    site.sql(
        database,
        "DELETE FROM books_note WHERE id % 3 = 0;
         UPDATE books_book SET title = 'gone', updated = '2001-01-01 00:00:00';
         DELETE FROM books_book_genres;
         INSERT INTO books_language (code, name, native_name, right_to_left)
             VALUES ('tlh', 'Klingon', 'tlhIngan Hol', 0);
         DELETE FROM legacy_sale;",
    );
}
