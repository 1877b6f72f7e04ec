from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("books", "0003_fill_slugs")]
    operations = [
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
