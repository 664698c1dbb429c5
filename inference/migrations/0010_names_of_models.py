from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("inference", "0009_arm_failures"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="apikey",
            options={
                "ordering": ["-created_at"],
                "verbose_name": "API key",
                "verbose_name_plural": "API keys",
            },
        ),
        migrations.AlterModelOptions(
            name="deployment",
            options={
                "ordering": ["project", "slot"],
                "verbose_name": "deployment",
                "verbose_name_plural": "deployments",
            },
        ),
        migrations.AlterModelOptions(
            name="modelversion",
            options={
                "ordering": ["-created_at", "-id"],
                "permissions": [("promote_modelversion", "Can promote and roll back model versions")],
                "verbose_name": "model version",
                "verbose_name_plural": "model versions",
            },
        ),
        migrations.AlterModelOptions(
            name="prediction",
            options={
                "ordering": ["-created_at", "-id"],
                "verbose_name": "prediction",
                "verbose_name_plural": "predictions",
            },
        ),
        migrations.AlterModelOptions(
            name="shadowcomparison",
            options={
                "ordering": ["-created_at", "-id"],
                "verbose_name": "shadow comparison",
                "verbose_name_plural": "shadow comparisons",
            },
        ),
    ]
