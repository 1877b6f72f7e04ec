"""The rows of every table, as generators of dicts by column attribute."""

import datetime as dt
import random
import uuid
from decimal import Decimal

from django.contrib.admin.models import LogEntry
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.utils.text import slugify

from accounts.models import BookCollaborator, TranslationAssignment, User
from books import models

from . import names as named
from .words import EPOCH, NASTY, WORDS, day, moment, phrase, span, text

# Rows per hundred; the change log takes what the others leave.
SHARES = {
    "users": 4,
    "authors": 4,
    "publishers": 1,
    "books": 8,
    "audiobooks": 1,
    "contributions": 6,
    "chapters": 16,
    "media": 10,
    "files": 5,
    "invoices": 4,
    "notes": 4,
    "collaborators": 4,
    "assignments": 4,
    "sales": 2,
    "sessions": 1,
    "log": 1,
}
FEWEST_ROWS = 300
LANGUAGES, GENRES, GROUPS = 8, 10, ["editors", "translators", "readers"]

# How many rows of `SHARES` may hold a file of each kind of `names.KINDS`.
ROWS_OF_KIND = {
    "avatar": "users",
    "photo": "authors",
    "cover": "books",
    "content": "chapters",
    "book": "files",
    "sample": "audiobooks",
    "invoice": "invoices",
}
MEDIA_KINDS = {
    "image": "picture",
    "audio": "audio",
    "document": "document",
    "video": "video",
}
MEDIA_CYCLE = ["image", "audio", "image", "document", "image", "video", "image", "audio", "document", "image"]


class Rows:
    def __init__(self, rows, names, seed):
        self.rng = random.Random(f"rows {seed}")
        self.names = names
        self.n = {table: max(5, rows * share // 100) for table, share in SHARES.items()}

    def tables(self):
        """(model, rows) for every table but the change log, in the order in which they are to be inserted."""
        # The database checks foreign keys at the end: authors and books point at each other.
        return [
            (Group, self.groups()),
            (User, self.users()),
            (User.groups.through, self.memberships()),
            (models.Publisher, self.publishers()),
            (models.Author, self.authors()),
            (models.Author.languages.through, self.author_languages()),
            (models.Author.influences.through, self.influences()),
            (models.Book, self.books()),
            (models.Book.genres.through, self.book_genres()),
            (models.AudioBook, self.audiobooks()),
            (models.Contribution, self.contributions()),
            (models.Chapter, self.chapters()),
            (models.ChapterMedia, self.media()),
            (models.BookFile, self.files()),
            (models.Invoice, self.invoices()),
            (models.Note, self.notes()),
            (models.LegacySale, self.sales()),
            (BookCollaborator, self.collaborators()),
            (TranslationAssignment, self.assignments()),
            (Session, self.sessions()),
            (LogEntry, self.log()),
        ]

    def room(self):
        """How many different files the rows can hold, by kind."""
        room = {kind: self.n[table] for kind, table in ROWS_OF_KIND.items()}
        # Three rows of book files are taken by the links and by the missing file.
        room["book"] -= 3
        for media_kind, kind in MEDIA_KINDS.items():
            room[kind] = self.n["media"] // len(MEDIA_CYCLE) * MEDIA_CYCLE.count(media_kind)
        return room

    def each(self, table):
        return range(1, self.n[table] + 1)

    def one(self, table):
        return self.rng.randint(1, self.n[table])

    def uuid(self):
        return uuid.UUID(int=self.rng.getrandbits(128), version=4)

    def groups(self):
        for i, name in enumerate(GROUPS, 1):
            yield {"id": i, "name": name}

    def users(self):
        # One hash for all: hashing is slow on purpose.
        password = make_password("bookshop", salt="bookshop")
        for i in self.each("users"):
            yield {
                "id": i,
                "password": password if i % 10 else "!unusable",
                "last_login": moment(self.rng) if i % 3 == 0 else None,
                "is_superuser": i == 1,
                "username": "admin" if i == 1 else f"reader{i}" if i % 8 else f"Leser_ß_{i}",
                "first_name": self.rng.choice(WORDS),
                "last_name": "O'Neil" if i % 7 == 0 else self.rng.choice(WORDS),
                "email": f"reader{i}@example.com",
                "is_staff": i <= 3,
                "is_active": i % 11 != 0,
                "date_joined": moment(self.rng),
                "avatar": self.names.pick("avatar", i - 1),
                "biography": text(self.rng, i, 5, 30),
                "language_id": None if i % 4 == 0 else self.rng.randint(1, LANGUAGES),
            }

    def memberships(self):
        members = (i for i in self.each("users") if i % 4 == 0)
        for number, i in enumerate(members, 1):
            yield {"id": number, "user_id": i, "group_id": 1 + i % len(GROUPS)}

    def publishers(self):
        self.publisher_ids = [self.uuid() for _ in self.each("publishers")]
        for i, key in enumerate(self.publisher_ids, 1):
            yield {
                "id": key,
                "name": f"{phrase(self.rng, 1, 2)} & Söhne {i}",
                "country": self.rng.choice(["DE", "FR", "JP", "UA", "EG"]),
                "founded": [None, dt.date(1, 1, 1), dt.date(9999, 12, 31), day(self.rng)][min(i, 4) - 1],
            }

    def authors(self):
        last = self.n["authors"]
        for i in self.each("authors"):
            yield {
                "id": i,
                "created": EPOCH,
                "updated": moment(self.rng),
                "name": f"{phrase(self.rng, 2, 3)} {i}",
                "born": None if i % 5 == 0 else day(self.rng),
                "biography": text(self.rng, i, 10, 60),
                "photo": self.names.pick("photo", i - 1),
                # Some point at a row that comes later.
                "pseudonym_of_id": None if i % 6 else min(i + 1, last) if i % 12 else i // 2,
                "best_known_for_id": None if i % 3 == 0 else self.one("books"),
            }

    def author_languages(self):
        for i in self.each("authors"):
            yield {"id": i, "author_id": i, "language_id": 1 + i % LANGUAGES}

    def influences(self):
        pairs = ((i, i // 2) for i in self.each("authors") if i % 5 == 2)
        for number, (i, other) in enumerate(pairs, 1):
            yield {"id": number, "from_author_id": i, "to_author_id": other}

    def books(self):
        taken = ""
        for i in self.each("books"):
            deleted = i % 9 == 0
            title = f"{phrase(self.rng, 1, 5)} {i}" if i % 9 != 4 else f"{NASTY[i // 9 % len(NASTY)]} {i}"
            # A deleted book has the slug of one that is for sale.
            slug = taken if deleted else f"{slugify(title, allow_unicode=True)[:200]}-{i}"
            taken = slug
            status = "published" if i % 4 else "draft" if i % 8 else "withdrawn"
            yield {
                "id": i,
                "created": moment(self.rng),
                "updated": moment(self.rng),
                "title": title,
                "slug": slug,
                "author_id": self.one("authors"),
                "language_id": self.rng.randint(1, LANGUAGES),
                "publisher_id": None if i % 5 == 0 else self.rng.choice(self.publisher_ids),
                "translation_of_id": None if i % 7 else self.one("books"),
                "status": status,
                "summary": text(self.rng, i, 15, 90),
                "cover": self.names.pick("cover", i - 1),
                "price": Decimal(self.rng.randrange(10_000)) / 100,
                "rating": None if i % 6 == 0 else self.rng.random() * 5,
                "reading_time": None if i % 5 == 1 else span(self.rng),
                "metadata": self.metadata(i),
                "published_on": day(self.rng) if status == "published" else None,
                "deleted_at": moment(self.rng) if deleted else None,
            }

    def metadata(self, i):
        if i % 10 == 3:
            return None
        return {
            "isbn": f"978-{self.rng.randrange(10**9):09d}-{i % 10}",
            "beyond double": 2**53 + i,
            "weight": self.rng.random(),
            "tags": self.rng.sample(WORDS, i % 4),
            "nested": {"nothing": None, "yes": i % 2 == 0, "empty": [], "ключ 😀\n": self.rng.choice(NASTY)},
        }

    def book_genres(self):
        pairs = ((book, genre) for book in self.each("books") for genre in range(1, 1 + book % 3))
        for number, (book, genre) in enumerate(pairs, 1):
            yield {"id": number, "book_id": book, "genre_id": 1 + (book + 3 * genre) % GENRES}

    def audiobooks(self):
        for i in self.each("audiobooks"):
            yield {
                "book_ptr_id": min(2, self.n["books"] // self.n["audiobooks"]) * i,
                "narrator": phrase(self.rng, 2, 3)[:120],
                "length": span(self.rng),
                "sample": self.names.pick("sample", i - 1),
            }

    def contributions(self):
        roles = ["foreword", "illustrations", "translation"]
        for i in self.each("contributions"):
            yield {
                "id": i,
                "book_id": 1 + i % self.n["books"],
                "author_id": self.one("authors"),
                # One author may take two roles in a book; the round through the books changes the role.
                "role": roles[i // self.n["books"] % len(roles)],
                "share": Decimal(self.rng.randrange(100_001)) / 100_000,
            }

    def chapters(self):
        per_book = 5
        for i in self.each("chapters"):
            book, number = divmod(i - 1, per_book)
            # Once every book has its chapters the counting starts again with higher numbers.
            again, book = divmod(book, self.n["books"])
            yield {
                "id": i,
                "created": moment(self.rng),
                "updated": moment(self.rng),
                "book_id": book + 1,
                "number": again * per_book + number + 1,
                "title": f"{i}. {phrase(self.rng, 1, 4)}",
                "previous_id": i - 1 if number else None,
                "content": self.names.pick("content", i - 1),
            }

    def media(self):
        used = dict.fromkeys(MEDIA_KINDS, 0)
        for i in self.each("media"):
            kind = MEDIA_CYCLE[i % len(MEDIA_CYCLE)]
            yield {
                "id": i,
                "chapter_id": 1 + i % self.n["chapters"],
                "kind": kind,
                "position": i // self.n["chapters"],
                "file": self.names.pick(MEDIA_KINDS[kind], used[kind]),
                "caption": text(self.rng, i, 3, 12),
                "thumbnail": [None, b"", self.rng.randbytes(self.rng.randint(1, 600))][min(i % 5, 2)],
            }
            used[kind] += 1

    def files(self):
        special = [named.SYMLINK, named.HARD_LINK, named.MISSING] if self.names.total else []
        for i in self.each("files"):
            yield {
                "id": self.uuid(),
                "book_id": self.one("books"),
                "format": ["epub", "pdf"][i % 2],
                "file": special[i - 1] if i <= len(special) else self.names.pick("book", i - 1 - len(special)),
                "checksum": self.rng.randbytes(32),
            }

    def invoices(self):
        for i in self.each("invoices"):
            yield {
                "id": self.uuid(),
                "number": f"2024-{i:07d}",
                "customer_id": self.one("users"),
                "issued": moment(self.rng),
                "total": Decimal(self.rng.randrange(-(10**9), 10**11)) / 10_000,
                "lines": [{"book": self.one("books"), "price": "9.90"} for _ in range(i % 4)],
                "document": self.names.pick("invoice", i - 1),
                "signature": None if i % 3 == 0 else self.rng.randbytes(64),
            }

    def notes(self):
        types = {model: ContentType.objects.get_for_model(model).pk for model in (models.Book, models.Publisher, User)}
        for i in self.each("notes"):
            model = list(types)[i % len(types)]
            keys = {models.Book: self.one("books"), User: self.one("users")}
            subject = self.rng.choice(self.publisher_ids) if model is models.Publisher else keys[model]
            yield {
                "id": i,
                "content_type_id": types[model],
                "object_id": str(subject),
                "user_id": None if i % 5 == 0 else self.one("users"),
                "text": NASTY[i % len(NASTY)],
                "at": None if i % 4 == 0 else moment(self.rng).time(),
            }

    def sales(self):
        for i in self.each("sales"):
            country = self.rng.choice(["DE", "FR", "JP", "UA", "EG"])
            yield {"id": i, "country": country, "sold_on": day(self.rng, 1990), "copies": self.rng.randrange(500)}

    def collaborators(self):
        # Strides through all pairs of book and user, so that none comes twice.
        for i in self.each("collaborators"):
            again, user = divmod(i - 1, self.n["users"])
            yield {
                "id": i,
                "book_id": 1 + (user * 2 + again) % self.n["books"],
                "user_id": user + 1,
                "invited_by_id": None if i % 3 == 0 else self.one("users"),
                "role": ["editor", "translator", "reader"][i % 3],
                "since": moment(self.rng),
            }

    def assignments(self):
        for i in self.each("assignments"):
            started = day(self.rng, 2020)
            yield {
                "id": i,
                "chapter_id": i,
                "translator_id": self.one("users"),
                "language_id": self.rng.randint(1, LANGUAGES),
                "status": ["open", "done"][i % 2],
                "fee": Decimal(self.rng.randrange(100_000)) / 100,
                "started": started,
                "due": started + dt.timedelta(days=self.rng.randrange(90)),
            }

    def sessions(self):
        for _ in self.each("sessions"):
            yield {
                "session_key": f"{self.rng.getrandbits(160):032x}"[:32],
                "session_data": phrase(self.rng, 4, 9),
                "expire_date": moment(self.rng),
            }

    def log(self):
        book = ContentType.objects.get_for_model(models.Book).pk
        for i in self.each("log"):
            key = self.one("books")
            yield {
                "id": i,
                "action_time": moment(self.rng),
                "user_id": 1 + i % 3,
                "content_type_id": book,
                "object_id": str(key),
                "object_repr": f"book {key}",
                "action_flag": 2,
                "change_message": '[{"changed": {"fields": ["Price"]}}]',
            }

    def changes(self, count):
        for i in range(1, count + 1):
            yield {
                "id": i,
                "chapter_id": self.one("chapters"),
                "user_id": None if i % 8 == 0 else self.one("users"),
                "at": moment(self.rng),
                "revision": [i, -i, 2**63 - i, -(2**63) + i][i % 4],
                "comment": text(self.rng, i, 2, 12),
                "changes": {
                    "words": [self.rng.randrange(10**4), self.rng.randrange(10**4)],
                    "title": self.rng.choice(WORDS),
                },
                "took": None if i % 5 == 0 else span(self.rng),
            }
