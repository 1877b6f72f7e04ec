import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from books.constraints import check


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
        ("books", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="language",
            field=models.ForeignKey(
                blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to="books.language"
            ),
        ),
        migrations.CreateModel(
            name="BookCollaborator",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "role",
                    models.CharField(
                        choices=[("editor", "Editor"), ("translator", "Translator"), ("reader", "Reader")],
                        max_length=12,
                    ),
                ),
                ("since", models.DateTimeField()),
                (
                    "book",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="collaborators", to="books.book"
                    ),
                ),
                (
                    "invited_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="invitations",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("user", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.AddField(
            model_name="user",
            name="books",
            field=models.ManyToManyField(
                through="accounts.BookCollaborator", through_fields=("user", "book"), to="books.book"
            ),
        ),
        migrations.CreateModel(
            name="TranslationAssignment",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "status",
                    models.CharField(choices=[("open", "Open"), ("done", "Done")], default="open", max_length=8),
                ),
                ("fee", models.DecimalField(decimal_places=2, max_digits=8)),
                ("started", models.DateField()),
                ("due", models.DateField()),
                ("chapter", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="books.chapter")),
                ("language", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="books.language")),
                (
                    "translator",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL),
                ),
            ],
        ),
        migrations.AddConstraint(
            model_name="bookcollaborator",
            constraint=models.UniqueConstraint(fields=("book", "user"), name="collaborator_once_on_a_book"),
        ),
        migrations.AddConstraint(
            model_name="translationassignment",
            constraint=check("assignment_due_after_start", models.Q(("due__gte", models.F("started")))),
        ),
        migrations.AddConstraint(
            model_name="translationassignment",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status", "open")),
                fields=("chapter", "language"),
                name="assignment_one_open_for_a_language",
            ),
        ),
    ]
