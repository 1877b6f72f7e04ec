from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import F, Q

from books.constraints import check


class User(AbstractUser):
    avatar = models.ImageField(upload_to="images/avatars", max_length=255, blank=True)
    biography = models.TextField(blank=True)
    language = models.ForeignKey("books.Language", null=True, blank=True, on_delete=models.SET_NULL)
    books = models.ManyToManyField("books.Book", through="BookCollaborator", through_fields=("user", "book"))


class BookCollaborator(models.Model):
    class Role(models.TextChoices):
        EDITOR = "editor"
        TRANSLATOR = "translator"
        READER = "reader"

    book = models.ForeignKey("books.Book", on_delete=models.CASCADE, related_name="collaborators")
    user = models.ForeignKey(User, on_delete=models.CASCADE)
    invited_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="invitations")
    role = models.CharField(max_length=12, choices=Role.choices)
    since = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["book", "user"], name="collaborator_once_on_a_book")]


class TranslationAssignment(models.Model):
    class Status(models.TextChoices):
        OPEN = "open"
        DONE = "done"

    chapter = models.ForeignKey("books.Chapter", on_delete=models.CASCADE)
    translator = models.ForeignKey(User, on_delete=models.CASCADE)
    language = models.ForeignKey("books.Language", on_delete=models.PROTECT)
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.OPEN)
    fee = models.DecimalField(max_digits=8, decimal_places=2)
    started = models.DateField()
    due = models.DateField()

    class Meta:
        constraints = [
            check("assignment_due_after_start", Q(due__gte=F("started"))),
            models.UniqueConstraint(
                fields=["chapter", "language"],
                condition=Q(status="open"),
                name="assignment_one_open_for_a_language",
            ),
        ]
