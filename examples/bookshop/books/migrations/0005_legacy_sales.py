from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("books", "0002_book_slug_squashed_0004_book_slug_unique")]
    operations = [
        migrations.RunSQL(
            "CREATE TABLE legacy_sale (id integer NOT NULL PRIMARY KEY, country varchar(2) NOT NULL,"
            " sold_on date NOT NULL, copies integer NOT NULL)",
            "DROP TABLE legacy_sale",
        ),
        migrations.RunSQL(
            "CREATE VIEW legacy_sales_by_country AS"
            " SELECT country, SUM(copies) AS copies FROM legacy_sale GROUP BY country",
            "DROP VIEW legacy_sales_by_country",
        ),
        migrations.CreateModel(
            "LegacySale",
            [
                ("id", models.IntegerField(primary_key=True, serialize=False)),
                ("country", models.CharField(max_length=2)),
                ("sold_on", models.DateField()),
                ("copies", models.IntegerField()),
            ],
            {"db_table": "legacy_sale", "managed": False},
        ),
        migrations.CreateModel(
            "SalesByCountry",
            [
                ("country", models.CharField(max_length=2, primary_key=True, serialize=False)),
                ("copies", models.IntegerField()),
            ],
            {"db_table": "legacy_sales_by_country", "managed": False, "verbose_name_plural": "sales by country"},
        ),
    ]
