"""Where uploads go: chapter text in content/, pictures in images/, everything else in media/ below MEDIA_ROOT."""

from django.core.files.storage import storages


def chapter_media(instance, filename):
    folder = "images/chapters" if instance.kind == "image" else f"media/{instance.kind}"
    return f"{folder}/{filename}"


def invoices():
    """The storage of invoices, looked up late, so that migrations do not hold its location."""
    return storages["invoices"]
