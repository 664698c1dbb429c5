"""What becomes of a candidate that passed the gate has three answers now, not two.

The old column stays in the database, with a default, for the code that still runs meanwhile.
"""

import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models


def carry_over(apps, schema_editor):
    """Who promoted automatically goes on to."""
    policies = apps.get_model("retraining", "RetrainPolicy").objects.using(schema_editor.connection.alias)
    policies.filter(promote_automatically=True).update(after_gate="promote")


def carry_back(apps, schema_editor):
    policies = apps.get_model("retraining", "RetrainPolicy").objects.using(schema_editor.connection.alias)
    policies.filter(after_gate="promote").update(promote_automatically=True)


DEFAULT = "ALTER TABLE {} ALTER COLUMN promote_automatically {}"
TABLES = ("retraining_retrainpolicy", "retraining_retrainpolicyevent")


class Migration(migrations.Migration):
    dependencies = [("retraining", "0004_rollouts")]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name="retrainpolicy",
            name="insert_insert",
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name="retrainpolicy",
            name="update_update",
        ),
        migrations.AddField(
            model_name="retrainpolicy",
            name="after_gate",
            field=models.CharField(
                choices=[
                    ("keep", "A person decides"),
                    ("roll_out", "It is rolled out, step by step"),
                    ("promote", "It answers all callers at once"),
                ],
                db_default="keep",
                default="keep",
                help_text="What becomes of a candidate that passed the gate.",
                max_length=8,
            ),
        ),
        migrations.AddField(
            model_name="retrainpolicyevent",
            name="after_gate",
            field=models.CharField(
                choices=[
                    ("keep", "A person decides"),
                    ("roll_out", "It is rolled out, step by step"),
                    ("promote", "It answers all callers at once"),
                ],
                db_default="keep",
                default="keep",
                help_text="What becomes of a candidate that passed the gate.",
                max_length=8,
            ),
        ),
        migrations.RunPython(carry_over, carry_back),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    DEFAULT.format(table, "SET DEFAULT false"), DEFAULT.format(table, "DROP DEFAULT")
                )
                for table in TABLES
            ],
            state_operations=[
                migrations.RemoveField(
                    model_name="retrainpolicy",
                    name="promote_automatically",
                ),
                migrations.RemoveField(
                    model_name="retrainpolicyevent",
                    name="promote_automatically",
                ),
            ],
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="retrainpolicy",
            trigger=pgtrigger.compiler.Trigger(
                name="insert_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "retraining_retrainpolicyevent" ("after_gate", "enabled", "id", "margin", "max_age_days", "max_base_drop", "max_label_drop", "max_quiet_wait_seconds", "min_test_documents", "must_be_better", "new_corrections", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "project_id", "quiet_seconds") VALUES (NEW."after_gate", NEW."enabled", NEW."id", NEW."margin", NEW."max_age_days", NEW."max_base_drop", NEW."max_label_drop", NEW."max_quiet_wait_seconds", NEW."min_test_documents", NEW."must_be_better", NEW."new_corrections", _pgh_attach_context(), NOW(), \'insert\', NEW."id", NEW."project_id", NEW."quiet_seconds"); RETURN NULL;',
                    hash="64f376d8049b62a6fd3dce5648792d2babae0a72",
                    operation="INSERT",
                    pgid="pgtrigger_insert_insert_96fac",
                    table="retraining_retrainpolicy",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="retrainpolicy",
            trigger=pgtrigger.compiler.Trigger(
                name="update_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                    func='INSERT INTO "retraining_retrainpolicyevent" ("after_gate", "enabled", "id", "margin", "max_age_days", "max_base_drop", "max_label_drop", "max_quiet_wait_seconds", "min_test_documents", "must_be_better", "new_corrections", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "project_id", "quiet_seconds") VALUES (NEW."after_gate", NEW."enabled", NEW."id", NEW."margin", NEW."max_age_days", NEW."max_base_drop", NEW."max_label_drop", NEW."max_quiet_wait_seconds", NEW."min_test_documents", NEW."must_be_better", NEW."new_corrections", _pgh_attach_context(), NOW(), \'update\', NEW."id", NEW."project_id", NEW."quiet_seconds"); RETURN NULL;',
                    hash="3ac33d6b1669d6bbf8663b69b25bca93f4de2e3f",
                    operation="UPDATE",
                    pgid="pgtrigger_update_update_47b22",
                    table="retraining_retrainpolicy",
                    when="AFTER",
                ),
            ),
        ),
    ]
