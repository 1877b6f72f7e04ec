//! The fixtures of a backup, loaded by Django alone.

use super::{rows, site};
use crate::{backup, text};

#[test]
fn loaddata_alone_fills_an_empty_database() {
    let site = site();
    // The one thing that `loaddata` cannot take: it reads a JSON null as NULL.
    site.sql("db.sqlite3", "UPDATE books_book SET metadata = NULL WHERE metadata = 'null'");
    let before = rows(&site, "db.sqlite3");
    let path = backup(&site, "b", &["--form", "folder", "--skip-media"]);
    site.settings(
        "DATABASES['empty'] = {'ENGINE': 'django.db.backends.sqlite3', 'NAME': BASE_DIR / 'archive.sqlite3'}",
    );
    site.manage(&["migrate", "--database", "empty", "--verbosity", "0"]);
    // What migrations fill in by themselves has other keys.
    site.sql(
        "archive.sqlite3",
        "DELETE FROM auth_permission; DELETE FROM django_content_type; DELETE FROM legacy_sale;
         DELETE FROM books_language; DELETE FROM books_genre;",
    );
    let part = path.join("database/default/4-data/000001.json");
    let said = site.manage(&["loaddata", "--database", "empty", text(&part)]);
    assert!(said.contains("Installed"), "{said}");
    assert_eq!(rows(&site, "archive.sqlite3"), before);
}
