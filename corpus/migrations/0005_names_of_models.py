from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("corpus", "0004_fewer_indexes"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="document",
            options={
                "ordering": ["-created_at", "id"],
                "verbose_name": "document",
                "verbose_name_plural": "documents",
            },
        ),
        migrations.AlterModelOptions(
            name="project",
            options={"ordering": ["name"], "verbose_name": "project", "verbose_name_plural": "projects"},
        ),
    ]
