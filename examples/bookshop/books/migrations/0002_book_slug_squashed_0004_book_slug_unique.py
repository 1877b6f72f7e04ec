from django.db import migrations, models

from ._slugs import fill_slugs


class Migration(migrations.Migration):
    replaces = [("books", "0002_book_slug"), ("books", "0003_fill_slugs"), ("books", "0004_book_slug_unique")]
    dependencies = [("books", "0001_initial")]
    operations = [
        migrations.AddField("book", "slug", models.SlugField(allow_unicode=True, max_length=220, null=True)),
        migrations.RunPython(fill_slugs, migrations.RunPython.noop, elidable=True),
        migrations.AlterField("book", "slug", models.SlugField(allow_unicode=True, max_length=220)),
        migrations.AddConstraint(
            "book",
            models.UniqueConstraint(
                fields=["slug"],
                condition=models.Q(deleted_at__isnull=True),
                name="book_slug_unique_while_not_deleted",
            ),
        ),
    ]
