//! Values that fixtures usually lose.

use super::{rows, site};
use crate::{backup, ok, restore, run};

const MODELS: &str = r#"
import datetime, enum, json, uuid
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models

class Nothing(models.Manager):
    def get_queryset(self):
        return super().get_queryset().none()

class Shouting(models.CharField):
    "Only Python understands it."
    def from_db_value(self, value, expression, connection):
        return None if value is None else ("shouted", value.lower())
    def to_python(self, value):
        return value if isinstance(value, tuple) or value is None else ("shouted", value)
    def get_prep_value(self, value):
        return None if value is None else value[1].upper()
    def value_to_string(self, obj):
        value = self.value_from_object(obj)
        return value[1]

class Place(models.Model):
    name = models.CharField(max_length=20)
    class Meta:
        app_label = "odds"

class Odd(Place):
    "A child table, hidden by its managers, which would change whatever is saved."
    stamp = models.DateTimeField(auto_now=True)
    day = models.DateField(auto_now_add=True)
    time = models.TimeField(null=True)
    took = models.DurationField(null=True)
    number = models.DecimalField(max_digits=20, decimal_places=10, null=True)
    real = models.FloatField(null=True)
    big = models.BigIntegerField(null=True)
    blob = models.BinaryField(null=True)
    key = models.UUIDField(default=uuid.uuid4)
    file = models.FileField(null=True)
    data = models.JSONField(null=True)
    always = models.JSONField()
    coded = models.JSONField(null=True, encoder=DjangoJSONEncoder)
    shout = Shouting(max_length=20, null=True)
    hidden = models.IntegerField(default=1, serialize=False)
    address = models.GenericIPAddressField(null=True)
    near = models.ManyToManyField("self", symmetrical=False)

    objects = Nothing()

    class Meta:
        app_label = "odds"
        base_manager_name = "objects"

    def __init__(self, *args, **kwargs):
        raise RuntimeError("no instance is made of a row")

class Slug(models.Model):
    "Its key is text, and another table points at a unique column that is no key."
    name = models.CharField(max_length=40, primary_key=True)
    code = models.IntegerField(unique=True)
    class Meta:
        app_label = "odds"

class Points(models.Model):
    at = models.ForeignKey(Slug, to_field="code", on_delete=models.CASCADE, null=True)
    class Meta:
        app_label = "odds"
"#;

const ROWS: &str = r#"
INSERT INTO odds_place (id, name) VALUES (1, 'full'), (7, 'empty'), (9, ' spaces and
lines	'), (4000000000000000000, 'Zoë "quoted" \ back');
INSERT INTO odds_odd (place_ptr_id, stamp, day, time, took, number, real, big, blob, key, file, data, always,
        coded, shout, hidden, address) VALUES
    (1, '2024-02-29 23:59:59.000001', '0999-12-31', '12:34:56.654321', -90061000001, 0.1234567891, 0.1,
        -9223372036854775808, x'00ff0d0a', '00000000000000000000000000000001', '', '"half \ud800"',
        '{"b": 1, "a": [1.5, null, "\u00e9\\n"]}', '["2024-01-01T00:00:00Z"]', 'LOUD', 42, '::1'),
    (7, '2024-02-29 23:59:59', '2024-01-01', NULL, NULL, NULL, 9e999, 9223372036854775807, x'',
        '00000000000000000000000000000002', NULL, NULL, 'null', NULL, NULL, 0, NULL),
    (9, '1000-01-01 00:00:00', '9999-12-31', '00:00:00', 0, 0, -9e999, 0, NULL,
        '00000000000000000000000000000003', 'a/b.txt', 'null', '0', 'null', '', -1, '10.0.0.1');
INSERT INTO odds_odd_near (id, from_odd_id, to_odd_id) VALUES (100, 1, 7), (3, 7, 1), (50, 9, 9);
INSERT INTO odds_slug (name, code) VALUES ('a/b ''c''', 5), ('', 6);
INSERT INTO odds_points (id, at_id) VALUES (2, 6), (1, NULL), (3, 5);
"#;

fn odds() -> dalsegno_testkit::Site {
    let site = site();
    site.write("odds/__init__.py", "");
    site.write("odds/models.py", MODELS);
    site.settings("INSTALLED_APPS += ['odds']");
    site.manage(&["migrate", "--run-syncdb", "--verbosity", "0"]);
    site.sql("db.sqlite3", ROWS);
    site
}

#[test]
fn every_kind_of_value_is_what_it_was() {
    let site = odds();
    let before = rows(&site, "db.sqlite3");
    backup(&site, "b", &["--skip-media"]);
    site.sql(
        "db.sqlite3",
        "DELETE FROM odds_odd_near; DELETE FROM odds_odd; DELETE FROM odds_points;
         DELETE FROM odds_slug; UPDATE odds_place SET name = 'x'",
    );
    restore(&site, &["b"]);
    assert_eq!(rows(&site, "db.sqlite3"), before);
}

#[test]
fn large_tables_are_cut_into_fixtures_and_large_rows_refused() {
    let site = odds();
    site.sql(
        "db.sqlite3",
        "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 50)
         INSERT INTO odds_place SELECT i, 'many' FROM n;
         INSERT INTO odds_odd (place_ptr_id, stamp, day, blob, key, always, hidden)
         SELECT id, '2024-01-01 00:00:00', '2024-01-01', randomblob(700000), printf('%032d', id), '1', 1
         FROM odds_place WHERE name = 'many';",
    );
    let before = rows(&site, "db.sqlite3");
    let path = backup(&site, "b", &["--skip-media", "--form", "folder"]);
    let data = path.join("database/default/4-data");
    let parts: Vec<u64> = std::fs::read_dir(data)
        .expect("it is there")
        .map(|entry| entry.and_then(|e| e.metadata()).expect("it can be asked").len())
        .collect();
    assert!(parts.len() > 2 && parts.iter().all(|size| *size <= 16 << 20), "{parts:?}");
    site.sql("db.sqlite3", "DELETE FROM odds_odd");
    restore(&site, &["b"]);
    assert_eq!(rows(&site, "db.sqlite3"), before);
    site.sql("db.sqlite3", "UPDATE odds_odd SET blob = zeroblob(40000000) WHERE place_ptr_id = 33");
    let answer = run(&site, &["backup", "--skip-media"]).expect(1);
    assert!(answer.stderr.contains("the row place_ptr 33 of `odds.odd`"), "{answer}");
    ok(&site, &["backup", "--skip-media", "--exclude-data", "odds.Odd"]);
}
