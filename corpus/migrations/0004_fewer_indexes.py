"""Search reads the standings' index; other indexes begin with the columns that lose theirs."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("corpus", "0003_team_settings"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="document",
            name="document_words",
        ),
        migrations.AlterField(
            model_name="document",
            name="project",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="documents",
                to="corpus.project",
            ),
        ),
    ]
