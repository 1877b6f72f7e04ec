//! Backups older and newer than the code.

use std::fs;

use dalsegno_testkit::{Site, assert_same};
use insta::assert_snapshot;

use crate::{backup, ok, restore, run};

const NOTHING: &str = "from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [('books', '0005_legacy_sales')]
    operations = [migrations.RunSQL('CREATE TABLE later (id integer)', 'DROP TABLE later')]
";

const FILE: &str = "books/migrations/0006_later.py";

#[test]
fn an_older_backup_is_refused_with_the_list() {
    let site = Site::bookshop(600, 60);
    let before = site.state();
    backup(&site, "old", &["--skip-media"]);
    site.write(FILE, NOTHING);
    site.manage(&["migrate", "--verbosity", "0"]);
    let migrated = site.state();
    assert_snapshot!(run(&site, &["-q", "restore", "old", "--force"]), @r#"
    exit 13
    err| error: the backup lacks migrations that this code has: books.0006_later
    err| hint: `--no-migrate` takes the backup as it is; run `manage.py migrate` afterwards.
    "#);
    assert_same(&migrated, &site.state());
    let answer = ok(&site, &["restore", "old", "--force", "--no-migrate"]);
    assert!(
        answer.stdout.contains("manage.py migrate") && answer.stdout.contains("books.0006_later"),
        "{answer}"
    );
    assert_same(&before, &site.state());
    site.manage(&["migrate", "--verbosity", "0"]);
}

#[test]
fn a_newer_backup_is_refused() {
    let site = Site::bookshop(600, 60);
    site.write(FILE, NOTHING);
    site.manage(&["migrate", "--verbosity", "0"]);
    backup(&site, "new", &["--skip-media"]);
    fs::remove_file(site.path(FILE)).expect("it is there");
    let before = site.state();
    assert_snapshot!(run(&site, &["-q", "restore", "new", "--force"]), @r#"
    exit 13
    err| error: the backup has migrations that this code does not know: books.0006_later
    err| hint: Deploy the code the backup was made with, or newer, and restore again.
    "#);
    run(&site, &["-q", "restore", "new", "--force", "--no-migrate"]).expect(13);
    assert_same(&before, &site.state());
}

#[test]
fn rows_of_removed_apps_never_count() {
    let site = Site::bookshop(600, 60);
    site.sql(
        "db.sqlite3",
        "INSERT INTO django_migrations (app, name, applied) VALUES \
        ('removed', '0001_initial', '2020-01-01'), ('books', '0000_lost', '2020-01-01')",
    );
    let before = site.state();
    backup(&site, "b", &["--skip-media"]);
    site.sql("db.sqlite3", "DELETE FROM django_migrations WHERE app = 'removed'");
    restore(&site, &["b"]);
    assert_same(&before, &site.state());
}

#[test]
fn a_squashed_migration_counts_as_what_it_replaces() {
    let site = Site::bookshop(600, 60);
    site.sql(
        "db.sqlite3",
        "DELETE FROM django_migrations WHERE name = '0002_book_slug_squashed_0004_book_slug_unique';
        DELETE FROM django_migrations WHERE app = 'books' AND name IN ('0002_book_slug', '0003_fill_slugs', '0004_book_slug_unique');
        INSERT INTO django_migrations (app, name, applied) VALUES ('books', '0002_book_slug', '2020-01-01'),
        ('books', '0003_fill_slugs', '2020-01-01'), ('books', '0004_book_slug_unique', '2020-01-01')",
    );
    let before = site.state();
    backup(&site, "b", &["--skip-media"]);
    site.sql("db.sqlite3", "DELETE FROM books_changelog");
    restore(&site, &["b"]);
    assert_same(&before, &site.state());
}
