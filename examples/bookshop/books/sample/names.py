"""Which files the shop has, and which column of which table holds the name of each."""

from dataclasses import dataclass, field

STEMS = ["café", "Größe", "фото", "写真", "صورة", "😀 smile", "e\u0301te\u0301", "it's 100% (copy)", "naïve résumé"]

# kind of file: its share of all files, folder, extensions.  Chapter texts get what the others leave.
KINDS = {
    "avatar": (4, "images/avatars", ["png"]),
    "photo": (5, "images/authors", ["jpg"]),
    "cover": (12, "images/covers", ["jpg", "png"]),
    "picture": (14, "images/chapters", ["png", "jpg"]),
    "audio": (4, "media/audio", ["mp3"]),
    "video": (2, "media/video", ["mp4"]),
    "document": (5, "media/document", ["pdf", "csv"]),
    "book": (8, "media/books", ["epub", "pdf"]),
    "sample": (1, "media/samples", ["ogg"]),
    "invoice": (5, "2024", ["pdf"]),
    "content": (0, "content", ["json"]),
}

SYMLINK = "media/books/first-chapter.json"
HARD_LINK = "media/books/first-chapter-again.json"
MISSING = "media/books/lost in the move.epub"


@dataclass
class Names:
    """The names of all files that rows hold, by kind; those of `invoice` are names in the storage `invoices`."""

    of: dict[str, list[str]] = field(default_factory=dict)

    @property
    def total(self):
        return sum(len(names) for names in self.of.values())

    def pick(self, kind, index):
        """The name for the row `index` (from 0) of a table; rows share files where there are more rows."""
        names = self.of[kind]
        return names[index % len(names)] if names else ""


def plan(files):
    """Names for exactly `files` files."""
    counts = {kind: files * share // 100 for kind, (share, _, _) in KINDS.items()}
    counts["content"] = files - sum(counts.values())
    return Names({kind: [name(kind, number) for number in range(1, count + 1)] for kind, count in counts.items()})


def name(kind, number):
    _, folder, extensions = KINDS[kind]
    stem = f"{kind}-{number:05d}"
    if number % 12 == 5:
        stem = f"{STEMS[number // 12 % len(STEMS)]} {number}"
    # Folders of a hundred files each, as sites with many uploads have them.
    return f"{folder}/{number // 100:03d}/{stem}.{extensions[number % len(extensions)]}"
