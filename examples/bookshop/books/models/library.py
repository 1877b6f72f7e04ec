import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from books.constraints import check


class Dated(models.Model):
    created = models.DateTimeField(auto_now_add=True)
    updated = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True


class Language(models.Model):
    code = models.CharField(max_length=12, unique=True)
    name = models.CharField(max_length=60)
    native_name = models.CharField(max_length=60)
    right_to_left = models.BooleanField(default=False)

    def __str__(self):
        return self.name


class Genre(models.Model):
    name = models.CharField(max_length=80)
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE, related_name="children")

    class Meta:
        constraints = [models.UniqueConstraint(Lower("name"), name="genre_name_unique_in_any_case")]

    def __str__(self):
        return self.name


class Publisher(models.Model):
    """Taken over from an older shop, whose table and column names are kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120, db_column="PubName")
    country = models.CharField(max_length=2, db_column="cc")
    founded = models.DateField(null=True, blank=True)

    class Meta:
        db_table = "legacy_publisher"

    def __str__(self):
        return self.name


class Author(Dated):
    name = models.CharField(max_length=160)
    born = models.DateField(null=True, blank=True)
    biography = models.TextField(blank=True)
    photo = models.ImageField(upload_to="images/authors", max_length=255, blank=True)
    pseudonym_of = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="pseudonyms"
    )
    # Book.author points back here: the two tables cannot be filled one after the other.
    best_known_for = models.ForeignKey("Book", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    languages = models.ManyToManyField(Language, blank=True)
    influences = models.ManyToManyField("self", symmetrical=False, blank=True, related_name="influenced")

    def __str__(self):
        return self.name


class PublishedManager(models.Manager):
    def get_queryset(self):
        return super().get_queryset().filter(status=Book.Status.PUBLISHED, deleted_at__isnull=True)


class Book(Dated):
    class Status(models.TextChoices):
        DRAFT = "draft"
        PUBLISHED = "published"
        WITHDRAWN = "withdrawn"

    title = models.CharField(max_length=200)
    slug = models.SlugField(max_length=220, allow_unicode=True)
    author = models.ForeignKey(Author, on_delete=models.PROTECT, related_name="books")
    language = models.ForeignKey(Language, on_delete=models.PROTECT)
    publisher = models.ForeignKey(Publisher, null=True, blank=True, on_delete=models.SET_NULL)
    translation_of = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL)
    genres = models.ManyToManyField(Genre, blank=True)
    contributors = models.ManyToManyField(Author, through="Contribution", related_name="contributed_to")
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.DRAFT, db_index=True)
    summary = models.TextField(blank=True)
    cover = models.ImageField(upload_to="images/covers", max_length=255, blank=True)
    price = models.DecimalField(max_digits=10, decimal_places=2)
    rating = models.FloatField(null=True, blank=True)
    reading_time = models.DurationField(null=True, blank=True)
    metadata = models.JSONField(null=True, blank=True)
    published_on = models.DateField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    # The first manager is Django's default one: drafts and deleted books are out of sight unless asked for.
    objects = PublishedManager()
    everything = models.Manager()

    class Meta:
        constraints = [
            check("book_price_not_negative", Q(price__gte=0)),
            # A deleted book gives its slug free.
            models.UniqueConstraint(
                fields=["slug"],
                condition=Q(deleted_at__isnull=True),
                name="book_slug_unique_while_not_deleted",
            ),
        ]

    def __str__(self):
        return self.title


class Contribution(models.Model):
    book = models.ForeignKey(Book, on_delete=models.CASCADE)
    author = models.ForeignKey(Author, on_delete=models.CASCADE)
    role = models.CharField(max_length=20)
    share = models.DecimalField(max_digits=6, decimal_places=5)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["book", "author", "role"], name="contribution_once"),
            check("contribution_share_is_a_part", Q(share__gte=0) & Q(share__lte=1)),
        ]


class DraftManager(models.Manager):
    def get_queryset(self):
        return super().get_queryset().filter(status=Book.Status.DRAFT)


class DraftBook(Book):
    objects = DraftManager()

    class Meta:
        proxy = True


class AudioBook(Book):
    narrator = models.CharField(max_length=120)
    length = models.DurationField()
    sample = models.FileField(upload_to="media/samples", max_length=255, blank=True)
