"""A task knows the version of its prediction, whoever wrote the task and however."""

from __future__ import annotations

from typing import Any

from django.db import migrations

KEEP = """
CREATE FUNCTION labeling_task_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version_id := (SELECT version_id FROM inference_prediction WHERE id = NEW.prediction_id);
    RETURN NEW;
END $$;
CREATE TRIGGER labeling_task_version BEFORE INSERT OR UPDATE OF prediction_id ON labeling_task
    FOR EACH ROW EXECUTE FUNCTION labeling_task_version();
UPDATE labeling_task t SET version_id = p.version_id
    FROM inference_prediction p WHERE p.id = t.prediction_id;
"""

UNDO = "DROP FUNCTION labeling_task_version CASCADE;"


class Migration(migrations.Migration):
    dependencies: list[Any] = [("labeling", "0006_propagations")]

    operations = [migrations.RunSQL(KEEP, UNDO)]
