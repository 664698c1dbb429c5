from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("feedback", "0008_quality_estimates"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="correction",
            options={
                "ordering": ["-created_at", "-id"],
                "verbose_name": "correction",
                "verbose_name_plural": "corrections",
            },
        ),
        migrations.AlterModelOptions(
            name="golditem",
            options={
                "ordering": ["-created_at", "-id"],
                "verbose_name": "gold item",
                "verbose_name_plural": "gold items",
            },
        ),
        migrations.AlterModelOptions(
            name="opinion",
            options={
                "ordering": ["-created_at", "-id"],
                "verbose_name": "opinion",
                "verbose_name_plural": "opinions",
            },
        ),
        migrations.AlterModelOptions(
            name="rating",
            options={
                "ordering": ["-created_at", "-id"],
                "verbose_name": "rating",
                "verbose_name_plural": "ratings",
            },
        ),
    ]
