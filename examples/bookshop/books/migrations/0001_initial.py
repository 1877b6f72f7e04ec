import uuid

import django.db.models.deletion
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models

import books.uploads
from books.constraints import check


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("contenttypes", "0002_remove_content_type_name"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Book",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("created", models.DateTimeField(auto_now_add=True)),
                ("updated", models.DateTimeField(auto_now=True)),
                ("title", models.CharField(max_length=200)),
                (
                    "status",
                    models.CharField(
                        choices=[("draft", "Draft"), ("published", "Published"), ("withdrawn", "Withdrawn")],
                        db_index=True,
                        default="draft",
                        max_length=12,
                    ),
                ),
                ("summary", models.TextField(blank=True)),
                ("cover", models.ImageField(blank=True, max_length=255, upload_to="images/covers")),
                ("price", models.DecimalField(decimal_places=2, max_digits=10)),
                ("rating", models.FloatField(blank=True, null=True)),
                ("reading_time", models.DurationField(blank=True, null=True)),
                ("metadata", models.JSONField(blank=True, null=True)),
                ("published_on", models.DateField(blank=True, null=True)),
                ("deleted_at", models.DateTimeField(blank=True, null=True)),
                (
                    "translation_of",
                    models.ForeignKey(
                        blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to="books.book"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Author",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("created", models.DateTimeField(auto_now_add=True)),
                ("updated", models.DateTimeField(auto_now=True)),
                ("name", models.CharField(max_length=160)),
                ("born", models.DateField(blank=True, null=True)),
                ("biography", models.TextField(blank=True)),
                ("photo", models.ImageField(blank=True, max_length=255, upload_to="images/authors")),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="Language",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("code", models.CharField(max_length=12, unique=True)),
                ("name", models.CharField(max_length=60)),
                ("native_name", models.CharField(max_length=60)),
                ("right_to_left", models.BooleanField(default=False)),
            ],
        ),
        migrations.CreateModel(
            name="Publisher",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(db_column="PubName", max_length=120)),
                ("country", models.CharField(db_column="cc", max_length=2)),
                ("founded", models.DateField(blank=True, null=True)),
            ],
            options={
                "db_table": "legacy_publisher",
            },
        ),
        migrations.CreateModel(
            name="AudioBook",
            fields=[
                (
                    "book_ptr",
                    models.OneToOneField(
                        auto_created=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        parent_link=True,
                        primary_key=True,
                        serialize=False,
                        to="books.book",
                    ),
                ),
                ("narrator", models.CharField(max_length=120)),
                ("length", models.DurationField()),
                ("sample", models.FileField(blank=True, max_length=255, upload_to="media/samples")),
            ],
            options={
                "abstract": False,
            },
            bases=("books.book",),
        ),
        migrations.CreateModel(
            name="DraftBook",
            fields=[],
            options={
                "proxy": True,
                "indexes": [],
                "constraints": [],
            },
            bases=("books.book",),
        ),
        migrations.AddField(
            model_name="book",
            name="author",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="books", to="books.author"
            ),
        ),
        migrations.AddField(
            model_name="author",
            name="best_known_for",
            field=models.ForeignKey(
                blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to="books.book"
            ),
        ),
        migrations.AddField(
            model_name="author",
            name="influences",
            field=models.ManyToManyField(blank=True, related_name="influenced", to="books.author"),
        ),
        migrations.AddField(
            model_name="author",
            name="pseudonym_of",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="pseudonyms",
                to="books.author",
            ),
        ),
        migrations.CreateModel(
            name="BookFile",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("format", models.CharField(max_length=8)),
                ("file", models.FileField(max_length=255, upload_to="media/books")),
                ("checksum", models.BinaryField(max_length=32)),
                (
                    "book",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="files", to="books.book"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Chapter",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("created", models.DateTimeField(auto_now_add=True)),
                ("updated", models.DateTimeField(auto_now=True)),
                ("number", models.PositiveIntegerField()),
                ("title", models.CharField(max_length=200)),
                ("content", models.FileField(blank=True, max_length=255, upload_to="content")),
                (
                    "book",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="chapters", to="books.book"
                    ),
                ),
                (
                    "previous",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="next",
                        to="books.chapter",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ChangeLog",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField(db_index=True)),
                ("revision", models.BigIntegerField()),
                ("comment", models.TextField(blank=True)),
                ("changes", models.JSONField(default=dict)),
                ("took", models.DurationField(null=True)),
                (
                    "user",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "chapter",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="changes", to="books.chapter"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ChapterMedia",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[("image", "Image"), ("audio", "Audio"), ("video", "Video"), ("document", "Document")],
                        max_length=10,
                    ),
                ),
                ("position", models.PositiveSmallIntegerField()),
                ("file", models.FileField(max_length=255, upload_to=books.uploads.chapter_media)),
                ("caption", models.TextField(blank=True)),
                ("thumbnail", models.BinaryField(null=True)),
                (
                    "chapter",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="media", to="books.chapter"
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "chapter media",
            },
        ),
        migrations.CreateModel(
            name="Contribution",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("role", models.CharField(max_length=20)),
                ("share", models.DecimalField(decimal_places=5, max_digits=6)),
                ("author", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="books.author")),
                ("book", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="books.book")),
            ],
        ),
        migrations.AddField(
            model_name="book",
            name="contributors",
            field=models.ManyToManyField(
                related_name="contributed_to", through="books.Contribution", to="books.author"
            ),
        ),
        migrations.CreateModel(
            name="Genre",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=80)),
                (
                    "parent",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="children",
                        to="books.genre",
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="book",
            name="genres",
            field=models.ManyToManyField(blank=True, to="books.genre"),
        ),
        migrations.CreateModel(
            name="Invoice",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("number", models.CharField(max_length=20, unique=True)),
                ("issued", models.DateTimeField()),
                ("total", models.DecimalField(decimal_places=4, max_digits=14)),
                ("lines", models.JSONField(default=list)),
                (
                    "document",
                    models.FileField(blank=True, max_length=255, storage=books.uploads.invoices, upload_to="%Y"),
                ),
                ("signature", models.BinaryField(null=True)),
                (
                    "customer",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL),
                ),
            ],
        ),
        migrations.AddField(
            model_name="book",
            name="language",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="books.language"),
        ),
        migrations.AddField(
            model_name="author",
            name="languages",
            field=models.ManyToManyField(blank=True, to="books.language"),
        ),
        migrations.CreateModel(
            name="Note",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("object_id", models.CharField(max_length=36)),
                ("text", models.TextField()),
                ("at", models.TimeField(null=True)),
                (
                    "content_type",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="contenttypes.contenttype"),
                ),
                (
                    "user",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="book",
            name="publisher",
            field=models.ForeignKey(
                blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to="books.publisher"
            ),
        ),
        migrations.AddConstraint(
            model_name="chapter",
            constraint=models.UniqueConstraint(fields=("book", "number"), name="chapter_number_once_in_a_book"),
        ),
        migrations.AlterUniqueTogether(
            name="chaptermedia",
            unique_together={("chapter", "position")},
        ),
        migrations.AddConstraint(
            model_name="contribution",
            constraint=models.UniqueConstraint(fields=("book", "author", "role"), name="contribution_once"),
        ),
        migrations.AddConstraint(
            model_name="contribution",
            constraint=check("contribution_share_is_a_part", models.Q(("share__gte", 0), ("share__lte", 1))),
        ),
        migrations.AddConstraint(
            model_name="genre",
            constraint=models.UniqueConstraint(
                django.db.models.functions.text.Lower("name"), name="genre_name_unique_in_any_case"
            ),
        ),
        migrations.AddIndex(
            model_name="note",
            index=models.Index(fields=["content_type", "object_id"], name="note_subject"),
        ),
        migrations.AddConstraint(
            model_name="book",
            constraint=check("book_price_not_negative", models.Q(("price__gte", 0))),
        ),
    ]
