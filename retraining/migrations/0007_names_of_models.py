from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("retraining", "0006_triggers"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="experiment",
            options={
                "ordering": ["-created_at", "-id"],
                "verbose_name": "experiment",
                "verbose_name_plural": "experiments",
            },
        ),
        migrations.AlterModelOptions(
            name="retraindecision",
            options={
                "ordering": ["-created_at", "-id"],
                "verbose_name": "retrain decision",
                "verbose_name_plural": "retrain decisions",
            },
        ),
        migrations.AlterModelOptions(
            name="retrainpolicy",
            options={"verbose_name": "retrain policy", "verbose_name_plural": "retrain policies"},
        ),
        migrations.AlterModelOptions(
            name="rollout",
            options={
                "ordering": ["-started_at", "-id"],
                "verbose_name": "rollout",
                "verbose_name_plural": "rollouts",
            },
        ),
        migrations.AlterModelOptions(
            name="trainingrun",
            options={
                "ordering": ["-queued_at", "-id"],
                "permissions": [
                    ("queue_trainingrun", "Can start a training run"),
                    ("cancel_trainingrun", "Can stop a training run"),
                ],
                "verbose_name": "training run",
                "verbose_name_plural": "training runs",
            },
        ),
        migrations.AlterModelOptions(
            name="trainingset",
            options={
                "ordering": ["-frozen_at", "-id"],
                "verbose_name": "training set",
                "verbose_name_plural": "training sets",
            },
        ),
    ]
