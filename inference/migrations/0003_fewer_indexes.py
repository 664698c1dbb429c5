"""The other indexes begin with the columns that lose theirs."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("corpus", "0004_fewer_indexes"),
        ("inference", "0002_external_versions_and_transfer_scopes"),
    ]

    operations = [
        migrations.AlterField(
            model_name="prediction",
            name="project",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="predictions",
                to="corpus.project",
            ),
        ),
        migrations.AlterField(
            model_name="prediction",
            name="version",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="predictions",
                to="inference.modelversion",
            ),
        ),
    ]
