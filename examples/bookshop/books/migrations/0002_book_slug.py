from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("books", "0001_initial")]
    operations = [
        migrations.AddField("book", "slug", models.SlugField(allow_unicode=True, max_length=220, null=True)),
    ]
