import uuid

from django.conf import settings
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import models

from books.uploads import invoices


class Invoice(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    number = models.CharField(max_length=20, unique=True)
    customer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    issued = models.DateTimeField()
    total = models.DecimalField(max_digits=14, decimal_places=4)
    lines = models.JSONField(default=list)
    document = models.FileField(storage=invoices, upload_to="%Y", max_length=255, blank=True)
    signature = models.BinaryField(null=True)

    def __str__(self):
        return self.number


class Note(models.Model):
    """A remark on a row of any table, whose key may be a number or a UUID."""

    content_type = models.ForeignKey(ContentType, on_delete=models.CASCADE)
    object_id = models.CharField(max_length=36)
    subject = GenericForeignKey()
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    text = models.TextField()
    at = models.TimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["content_type", "object_id"], name="note_subject")]


class LegacySale(models.Model):
    """A table that another program fills; a migration makes it here, Django never alters it."""

    id = models.IntegerField(primary_key=True)
    country = models.CharField(max_length=2)
    sold_on = models.DateField()
    copies = models.IntegerField()

    class Meta:
        managed = False
        db_table = "legacy_sale"


class SalesByCountry(models.Model):
    """A view over `LegacySale`."""

    country = models.CharField(max_length=2, primary_key=True)
    copies = models.IntegerField()

    class Meta:
        managed = False
        db_table = "legacy_sales_by_country"
        verbose_name_plural = "sales by country"
