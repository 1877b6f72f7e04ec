"""The shop's models: `library` is what it sells, `chapter` the text of it, `trade` the paperwork around it."""

from .chapter import BookFile, ChangeLog, Chapter, ChapterMedia
from .library import AudioBook, Author, Book, Contribution, DraftBook, Genre, Language, Publisher
from .trade import Invoice, LegacySale, Note, SalesByCountry

__all__ = [
    "AudioBook",
    "Author",
    "Book",
    "BookFile",
    "ChangeLog",
    "Chapter",
    "ChapterMedia",
    "Contribution",
    "DraftBook",
    "Genre",
    "Invoice",
    "Language",
    "LegacySale",
    "Note",
    "Publisher",
    "SalesByCountry",
]
