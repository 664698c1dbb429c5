from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("webhooks", "0004_what_a_failed_try_is_called"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="delivery",
            options={
                "ordering": ["-created_at", "id"],
                "verbose_name": "delivery",
                "verbose_name_plural": "deliveries",
            },
        ),
        migrations.AlterModelOptions(
            name="webhook",
            options={
                "ordering": ["-created_at", "id"],
                "verbose_name": "webhook",
                "verbose_name_plural": "webhooks",
            },
        ),
    ]
