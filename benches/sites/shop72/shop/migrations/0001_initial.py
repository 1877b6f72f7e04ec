from django.conf import settings
from django.db import migrations
from django.db.migrations.state import ModelState

from shop.models import ALL


def create(model):
    state = ModelState.from_model(model)
    return migrations.CreateModel(state.name, list(state.fields.items()), state.options, state.bases)


class Migration(migrations.Migration):
    initial = True
    dependencies = [migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    operations = [create(model) for model in ALL.values()]
