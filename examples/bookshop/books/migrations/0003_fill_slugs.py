from django.db import migrations

from ._slugs import fill_slugs


class Migration(migrations.Migration):
    dependencies = [("books", "0002_book_slug")]
    operations = [migrations.RunPython(fill_slugs, migrations.RunPython.noop, elidable=True)]
