import os
import random
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction
from django.db.migrations.recorder import MigrationRecorder

from shop.models import ALL
from shop.tables import LINKS, MODELS, USERS

TABLES, ROWS, FILES, MEGABYTES = 72, 5_284, 40, 19.2
# Each image model's part of the 40 files, and the bytes of all files together.
IMAGES = {"Brand": 4, "Category": 4, "Product": 12, "ProductImage": 20}
MEDIA_BYTES = 17_440_000
EPOCH = datetime(2023, 1, 1, tzinfo=timezone.utc)
WORDS = 'blue wool oak small café Größe lamp chair soap linen jacket 東京 tray bottle tea 😀 paper it\'s "new"'.split()


class Command(BaseCommand):
    help = f"Fills the empty shop: {TABLES} tables, {ROWS} rows, {FILES} files, {MEGABYTES} MB, always the same."

    def handle(self, **options):
        if User.objects.exists():
            raise CommandError(
                f"the database {connection.settings_dict['NAME']} already holds a shop; fill an empty one"
            )
        if os.path.isdir(settings.MEDIA_ROOT) and os.listdir(settings.MEDIA_ROOT):
            raise CommandError(f"the folder {settings.MEDIA_ROOT} is not empty; move it away first")
        self.rng = random.Random("shop72")
        with transaction.atomic():
            self.users()
            self.link_rows()
            for name, rows, parents, parts in MODELS:
                self.rows(name, ROWS - count_rows() if rows is None else rows, parents, parts)
            MigrationRecorder(connection).migration_qs.update(applied=EPOCH)
            connection.check_constraints()
        self.files()
        self.confirm()

    def phrase(self, low, high):
        return " ".join(self.rng.choices(WORDS, k=self.rng.randint(low, high)))

    def moment(self):
        return EPOCH + timedelta(seconds=self.rng.randrange(2 * 365 * 86_400), microseconds=self.rng.randrange(10**6))

    def users(self):
        password = make_password("shop", salt="shop")
        User.objects.bulk_create(
            User(id=i, username=f"user{i}", password=password, is_staff=i == 1, date_joined=self.moment())
            for i in range(1, USERS + 1)
        )
        for i, name in enumerate(["staff", "warehouse"], 1):
            Group.objects.create(id=i, name=name).user_set.set(User.objects.filter(pk__lte=4 * i))
        Session.objects.bulk_create(
            Session(session_key=f"{i:032x}", session_data=self.phrase(4, 9), expire_date=self.moment())
            for i in range(1, 7)
        )

    def rows(self, name, rows, parents, parts):
        ALL[name].objects.bulk_create(self.row(name, i, parents, parts) for i in range(1, rows + 1))

    def row(self, name, i, parents, parts):
        row = ALL[name](id=i, code=f"{name[:12]}-{i:06d}")
        for target in parents:
            if target == "self":
                row.parent_id = None if i % 5 == 1 else self.rng.randint(1, i - 1)
            elif target == settings.AUTH_USER_MODEL:
                row.user_id = 1 + i % USERS
            else:
                setattr(row, f"{target.lower()}_id", self.rng.randint(1, SIZES[target]))
        for part in parts:
            if part == "n":
                row.name = self.phrase(1, 4)
            elif part == "t":
                row.text = self.phrase(10, 60)
            elif part == "m":
                row.amount = Decimal(self.rng.randrange(10**6)) / 100
            elif part == "j":
                row.data = {"step": self.rng.choice(WORDS), "n": i, "parts": [self.rng.random(), None, i % 2 == 0]}
            elif part == "d":
                row.at = self.moment()
            elif part == "i" and i <= IMAGES[name]:
                row.image = image_name(name, i)
        return row

    def link_rows(self):
        """Rows of the tables without a model; the rows that they join come later in the same transaction."""
        for owner, field, target, each in LINKS:
            through = getattr(ALL[owner], field).through
            left, right = (f.attname for f in through._meta.fields if f.is_relation)
            size = SIZES[owner if target == "self" else target]
            through.objects.bulk_create(
                through(**{left: i, right: 1 + (i * 7 + step) % size})
                for i in range(1, SIZES[owner] + 1)
                for step in range(each)
            )

    def files(self):
        names = [image_name(model, i) for model, count in IMAGES.items() for i in range(1, count + 1)]
        # Sizes between a half and one and a half of the mean, adding up to MEDIA_BYTES.
        weights = [500 + self.rng.randrange(1000) for _ in names]
        for name, weight in zip(names, weights):
            path = os.path.join(settings.MEDIA_ROOT, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(b"\xff\xd8\xff\xe0" + self.rng.randbytes(MEDIA_BYTES * weight // sum(weights)) + b"\xff\xd9")
            os.chmod(path, 0o644)
            when = int(self.moment().replace(microsecond=0).timestamp())
            os.utime(path, (when, when))

    def confirm(self):
        sizes = [os.path.getsize(os.path.join(f, n)) for f, _, names in os.walk(settings.MEDIA_ROOT) for n in names]
        tables, rows = len(tables_of_database()), count_rows()
        megabytes = (sum(sizes) + os.path.getsize(connection.settings_dict["NAME"])) / 1e6
        figures = f"{tables} tables, {rows} rows, {len(sizes)} files, {megabytes:.2f} MB"
        if (tables, rows, len(sizes)) != (TABLES, ROWS, FILES) or abs(megabytes - MEGABYTES) > 0.2:
            raise CommandError(f"the shop has come out with {figures}")
        self.stdout.write(figures)


SIZES = {name: rows for name, rows, _, _ in MODELS}


def image_name(model, i):
    return f"products/{model.lower()}/{i:03d}.jpg"


def tables_of_database():
    with connection.cursor() as cursor:
        return connection.introspection.table_names(cursor)


def count_rows():
    with connection.cursor() as cursor:
        total = 0
        for table in tables_of_database():
            cursor.execute(f"SELECT COUNT(*) FROM {connection.ops.quote_name(table)}")
            total += cursor.fetchone()[0]
        return total
