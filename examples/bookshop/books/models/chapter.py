import uuid

from django.conf import settings
from django.db import models

from books.uploads import chapter_media

from .library import Book, Dated


class Chapter(Dated):
    book = models.ForeignKey(Book, on_delete=models.CASCADE, related_name="chapters")
    number = models.PositiveIntegerField()
    title = models.CharField(max_length=200)
    previous = models.OneToOneField("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="next")
    content = models.FileField(upload_to="content", max_length=255, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["book", "number"], name="chapter_number_once_in_a_book")]

    def __str__(self):
        return self.title


class ChapterMedia(models.Model):
    class Kind(models.TextChoices):
        IMAGE = "image"
        AUDIO = "audio"
        VIDEO = "video"
        DOCUMENT = "document"

    chapter = models.ForeignKey(Chapter, on_delete=models.CASCADE, related_name="media")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    position = models.PositiveSmallIntegerField()
    file = models.FileField(upload_to=chapter_media, max_length=255)
    caption = models.TextField(blank=True)
    thumbnail = models.BinaryField(null=True)

    class Meta:
        verbose_name_plural = "chapter media"
        unique_together = [("chapter", "position")]


class BookFile(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    book = models.ForeignKey(Book, on_delete=models.CASCADE, related_name="files")
    format = models.CharField(max_length=8)
    file = models.FileField(upload_to="media/books", max_length=255)
    checksum = models.BinaryField(max_length=32)


class ChangeLog(models.Model):
    chapter = models.ForeignKey(Chapter, on_delete=models.CASCADE, related_name="changes")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    at = models.DateTimeField(db_index=True)
    revision = models.BigIntegerField()
    comment = models.TextField(blank=True)
    changes = models.JSONField(default=dict)
    took = models.DurationField(null=True)
