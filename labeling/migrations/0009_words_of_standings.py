"""The words of a text move to its standing: lists search, filter and sort by the indexes of one narrow table."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import django.contrib.postgres.indexes
import django.contrib.postgres.search
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

REFRESH = """
CREATE OR REPLACE FUNCTION labeling_standing_refresh(ids uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM labeling_standing WHERE document_id = ANY(ids) ORDER BY document_id FOR UPDATE;
    INSERT INTO labeling_standing AS known
        (document_id, project_id, state, reviewer_id, arrived_at, uncertainty, facets, words)
    SELECT d.id, d.project_id,
        CASE WHEN d.redacted_at IS NOT NULL THEN 'erased'
             WHEN t.status = 'open' THEN 'waiting'
             WHEN c.id IS NOT NULL THEN 'done'
             WHEN t.status = 'skipped' THEN 'skipped'
             WHEN s.like_id IS NOT NULL THEN 'left_out'
             ELSE 'new' END,
        COALESCE(c.author_id, CASE WHEN t.status <> 'open' THEN t.claimed_by_id END),
        d.created_at,
        p.uncertainty,
        CASE WHEN d.redacted_at IS NOT NULL THEN ARRAY['source:' || d.source]
             ELSE ARRAY['source:' || d.source, 'language:' || d.language]
                  || CASE WHEN COALESCE(t.stratum, c.stratum) IS NULL THEN '{}'::text[]
                          ELSE ARRAY['stratum:' || COALESCE(t.stratum, c.stratum)] END
                  || ARRAY(SELECT DISTINCT 'label:' || (span ->> 'label')
                           FROM jsonb_array_elements(COALESCE(c.spans, p.spans, '[]'::jsonb)) AS span
                           ORDER BY 1) END,
        CASE WHEN d.redacted_at IS NOT NULL THEN NULL
             -- A text never changes: its words are gathered once.
             ELSE COALESCE(s.words, labeling_words(d.text)) END
    FROM corpus_document d
    LEFT JOIN labeling_standing s ON s.document_id = d.id
    LEFT JOIN LATERAL (
        SELECT status, stratum, prediction_id, claimed_by_id FROM labeling_task
        WHERE document_id = d.id ORDER BY status = 'open' DESC, id DESC LIMIT 1) t ON true
    LEFT JOIN inference_prediction p ON p.id = t.prediction_id
    LEFT JOIN LATERAL (
        SELECT id, spans, author_id, stratum FROM feedback_correction
        WHERE document_id = d.id ORDER BY number DESC LIMIT 1) c ON true
    WHERE d.id = ANY(ids)
    ORDER BY d.id
    ON CONFLICT (document_id) DO UPDATE SET
        state = EXCLUDED.state, reviewer_id = EXCLUDED.reviewer_id,
        uncertainty = EXCLUDED.uncertainty, facets = EXCLUDED.facets, words = EXCLUDED.words
    WHERE (known.state, known.reviewer_id, known.uncertainty, known.facets::text[], known.words)
        IS DISTINCT FROM (EXCLUDED.state, EXCLUDED.reviewer_id, EXCLUDED.uncertainty,
                          EXCLUDED.facets::text[], EXCLUDED.words);
END $$;
"""

#: What a text is found by: its beginning, see labeling.models.standing.SEARCHED_CHARACTERS.
WORDS = """
CREATE FUNCTION labeling_words(text text) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN to_tsvector('simple'::regconfig, left(text, 60000));
"""

#: An import stores the corrections of new documents first, so that each standing is written once.
FOLLOW_DOCUMENTS = """
CREATE OR REPLACE FUNCTION labeling_follow_new_documents() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE corrected uuid[] := ARRAY(
    SELECT a.id FROM added a WHERE EXISTS (SELECT FROM feedback_correction c WHERE c.document_id = a.id));
BEGIN
    IF cardinality(corrected) > 0 THEN
        PERFORM labeling_standing_refresh(corrected);
    END IF;
    INSERT INTO labeling_standing (document_id, project_id, state, arrived_at, facets, words)
    SELECT id, project_id, 'new', created_at, ARRAY['source:' || source, 'language:' || language],
        labeling_words(text)
    FROM added a WHERE NOT EXISTS (SELECT FROM feedback_correction c WHERE c.document_id = a.id);
    RETURN NULL;
END $$;
"""

BACKFILL = """
UPDATE labeling_standing s SET words = labeling_words(d.text)
    FROM corpus_document d WHERE d.id = s.document_id AND d.redacted_at IS NULL;
"""

_BEFORE = import_module("labeling.migrations.0003_standing_triggers")
_REPLACED = r"CREATE FUNCTION (labeling_standing_refresh|labeling_follow_new_documents)\b.*?END \$\$;"
UNDO = (
    "\n".join(
        match[0].replace("CREATE", "CREATE OR REPLACE", 1)
        for match in re.finditer(_REPLACED, _BEFORE.REFRESH + _BEFORE.FOLLOW_DOCUMENTS, re.DOTALL)
    )
    + "DROP FUNCTION labeling_words;"
)


class Migration(migrations.Migration):
    dependencies: list[Any] = [
        ("corpus", "0004_fewer_indexes"),
        ("feedback", "0007_fewer_indexes"),
        ("labeling", "0008_assignments"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="standing",
            name="words",
            field=django.contrib.postgres.search.SearchVectorField(
                help_text="What search finds it by; none of an erased text.", null=True
            ),
        ),
        migrations.RunSQL("\n".join([WORDS, REFRESH, FOLLOW_DOCUMENTS, BACKFILL]), UNDO),
        migrations.AlterField(
            model_name="task",
            name="claimed_by",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="claimed_tasks",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AlterField(
            model_name="task",
            name="project",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="tasks",
                to="corpus.project",
            ),
        ),
        migrations.AddIndex(
            model_name="standing",
            index=django.contrib.postgres.indexes.GinIndex(fields=["words"], name="standing_words"),
        ),
    ]
