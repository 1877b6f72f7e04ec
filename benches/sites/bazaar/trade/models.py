"""One of each kind of field and relation whose loss nobody would see at once."""

import uuid

from django.conf import settings
from django.db import models


class Region(models.Model):
    """Some have a parent with a higher key: who loads rows in the order of their keys meets the child first."""

    name = models.CharField(max_length=80)
    code = models.SlugField(unique=True)
    within = models.ForeignKey("self", null=True, on_delete=models.CASCADE)


class Label(models.Model):
    text = models.CharField(max_length=40, unique=True)


class Ware(models.Model):
    region = models.ForeignKey(Region, on_delete=models.PROTECT)
    number = models.CharField(max_length=16, unique=True)
    title = models.CharField(max_length=160)
    about = models.TextField()
    price = models.DecimalField(max_digits=11, decimal_places=2)
    kilograms = models.FloatField(null=True)
    facts = models.JSONField(default=dict)
    picture = models.FileField(upload_to="pictures/%Y/%m", blank=True)
    listed = models.DateTimeField()
    on_sale = models.BooleanField(default=True)
    labels = models.ManyToManyField(Label)


class Buyer(models.Model):
    account = models.OneToOneField(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=100)
    address = models.TextField()
    born = models.DateField(null=True)
    credit = models.DecimalField(max_digits=14, decimal_places=4)
    since = models.DateTimeField(db_index=True)


class Order(models.Model):
    buyer = models.ForeignKey(Buyer, on_delete=models.CASCADE)
    number = models.CharField(max_length=20, unique=True)
    placed = models.DateTimeField(db_index=True)
    state = models.CharField(max_length=10)
    remark = models.TextField(blank=True)
    total = models.DecimalField(max_digits=13, decimal_places=2)
    client = models.JSONField(null=True)
    packing = models.DurationField(null=True)


class Item(models.Model):
    order = models.ForeignKey(Order, on_delete=models.CASCADE)
    ware = models.ForeignKey(Ware, on_delete=models.PROTECT)
    pieces = models.PositiveIntegerField()
    price = models.DecimalField(max_digits=11, decimal_places=2)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(pieces__gt=0), name="item_has_pieces")]


class Happening(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    order = models.ForeignKey(Order, null=True, on_delete=models.SET_NULL)
    kind = models.CharField(max_length=24, db_index=True)
    told = models.JSONField()
    at = models.DateTimeField()


class Paper(models.Model):
    order = models.ForeignKey(Order, on_delete=models.CASCADE)
    file = models.FileField(upload_to="papers/%Y/%m", max_length=200)
    scan = models.BinaryField()
    sha256 = models.CharField(max_length=64)
