from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("labeling", "0011_differing"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="assignment",
            options={"ordering": ["id"], "verbose_name": "assignment", "verbose_name_plural": "assignments"},
        ),
        migrations.AlterModelOptions(
            name="task",
            options={"ordering": ["-priority", "id"], "verbose_name": "task", "verbose_name_plural": "tasks"},
        ),
    ]
