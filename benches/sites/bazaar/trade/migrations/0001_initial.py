import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Label",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("text", models.CharField(max_length=40, unique=True)),
            ],
        ),
        migrations.CreateModel(
            name="Buyer",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("email", models.EmailField(max_length=254, unique=True)),
                ("name", models.CharField(max_length=100)),
                ("address", models.TextField()),
                ("born", models.DateField(null=True)),
                ("credit", models.DecimalField(decimal_places=4, max_digits=14)),
                ("since", models.DateTimeField(db_index=True)),
                (
                    "account",
                    models.OneToOneField(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Order",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.CharField(max_length=20, unique=True)),
                ("placed", models.DateTimeField(db_index=True)),
                ("state", models.CharField(max_length=10)),
                ("remark", models.TextField(blank=True)),
                ("total", models.DecimalField(decimal_places=2, max_digits=13)),
                ("client", models.JSONField(null=True)),
                ("packing", models.DurationField(null=True)),
                ("buyer", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="trade.buyer")),
            ],
        ),
        migrations.CreateModel(
            name="Happening",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("kind", models.CharField(db_index=True, max_length=24)),
                ("told", models.JSONField()),
                ("at", models.DateTimeField()),
                ("order", models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, to="trade.order")),
            ],
        ),
        migrations.CreateModel(
            name="Paper",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("file", models.FileField(max_length=200, upload_to="papers/%Y/%m")),
                ("scan", models.BinaryField()),
                ("sha256", models.CharField(max_length=64)),
                ("order", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="trade.order")),
            ],
        ),
        migrations.CreateModel(
            name="Region",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=80)),
                ("code", models.SlugField(unique=True)),
                (
                    "within",
                    models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, to="trade.region"),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Ware",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.CharField(max_length=16, unique=True)),
                ("title", models.CharField(max_length=160)),
                ("about", models.TextField()),
                ("price", models.DecimalField(decimal_places=2, max_digits=11)),
                ("kilograms", models.FloatField(null=True)),
                ("facts", models.JSONField(default=dict)),
                ("picture", models.FileField(blank=True, upload_to="pictures/%Y/%m")),
                ("listed", models.DateTimeField()),
                ("on_sale", models.BooleanField(default=True)),
                ("labels", models.ManyToManyField(to="trade.label")),
                ("region", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="trade.region")),
            ],
        ),
        migrations.CreateModel(
            name="Item",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("pieces", models.PositiveIntegerField()),
                ("price", models.DecimalField(decimal_places=2, max_digits=11)),
                ("order", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="trade.order")),
                ("ware", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="trade.ware")),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=models.Q(("pieces__gt", 0)), name="item_has_pieces")],
            },
        ),
    ]
