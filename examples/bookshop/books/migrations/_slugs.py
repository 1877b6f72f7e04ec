"""The data step of the slug migrations, shared by 0003 and by the migration that squashes it."""

from django.utils.text import slugify


def fill_slugs(apps, schema_editor):
    Book = apps.get_model("books", "Book")
    for book in Book._base_manager.using(schema_editor.connection.alias).filter(slug=None).only("title").iterator():
        book.slug = f"{slugify(book.title, allow_unicode=True)}-{book.pk}"
        book.save(update_fields=["slug"])
