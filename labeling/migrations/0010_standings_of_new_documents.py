"""The standing of a new document is made from what the trigger has in its hands: nobody can have worked on it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.db import migrations

#: As `labeling_standing_refresh` would say it, in half the time: a new document has no standing, no task and
#: no answer of a machine yet. Only its corrections may be there, which an import stores first. One a time
#: (LIMIT), so that they are found by their index however small the table was when this was planned.
FOLLOW_DOCUMENTS = """
CREATE OR REPLACE FUNCTION labeling_follow_new_documents() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO labeling_standing (document_id, project_id, state, reviewer_id, arrived_at, facets, words)
    SELECT d.id, d.project_id, CASE WHEN c.id IS NULL THEN 'new' ELSE 'done' END, c.author_id, d.created_at,
        ARRAY['source:' || d.source, 'language:' || d.language]
            || CASE WHEN c.id IS NULL THEN '{}'::text[]
                    ELSE ARRAY['stratum:' || c.stratum]
                         || ARRAY(SELECT DISTINCT 'label:' || (span ->> 'label')
                                  FROM jsonb_array_elements(c.spans) AS span ORDER BY 1) END,
        labeling_words(d.text)
    FROM added d
    LEFT JOIN LATERAL (
        SELECT id, spans, author_id, stratum FROM feedback_correction
        WHERE document_id = d.id ORDER BY number DESC LIMIT 1) c ON true;
    RETURN NULL;
END $$;
"""

_BEFORE = import_module("labeling.migrations.0009_words_of_standings")


class Migration(migrations.Migration):
    dependencies: list[Any] = [("labeling", "0009_words_of_standings")]

    operations = [migrations.RunSQL(FOLLOW_DOCUMENTS, _BEFORE.FOLLOW_DOCUMENTS)]
