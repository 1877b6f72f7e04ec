"""The models of `tables.MODELS`, made in a loop; `ALL` holds them by name, parents first."""

from django.db import models

from .tables import LINKS, MODELS

PARTS = {
    "n": lambda: {"name": models.CharField(max_length=120)},
    "t": lambda: {"text": models.TextField(blank=True)},
    "m": lambda: {"amount": models.DecimalField(max_digits=12, decimal_places=2)},
    "j": lambda: {"data": models.JSONField(null=True)},
    "d": lambda: {"at": models.DateTimeField(db_index=True)},
    "i": lambda: {"image": models.FileField(upload_to="products", max_length=200, blank=True)},
}


def parent(target):
    name = "parent" if target == "self" else target.split(".")[-1].lower()
    optional = target == "self"
    return {name: models.ForeignKey(target, null=optional, on_delete=models.CASCADE, related_name="+")}


def model(name, parents, parts):
    attributes = {"__module__": __name__, "code": models.CharField(max_length=24, unique=True)}
    for target in parents:
        attributes |= parent(target)
    for part in parts:
        attributes |= PARTS[part]()
    for owner, field, target, _ in LINKS:
        if owner == name:
            attributes[field] = models.ManyToManyField(target, symmetrical=False, related_name="+")
    return type(name, (models.Model,), attributes)


ALL = {name: model(name, parents, parts) for name, _, parents, parts in MODELS}
