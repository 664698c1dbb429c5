"""Triggers that keep `Standing` and `Tally`: they hold under COPY, bulk inserts and raw SQL alike.

All are per statement, so a batch of a thousand costs one call. `labeling_standing_refresh` is the one
definition of where a document stands; the repair command calls it too.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations

#: Locks first, computes second: as two statements, so that the second sees what the lock waited for. One
#: statement would write what it had seen before a concurrent decision on the same document was committed.
REFRESH = """
CREATE FUNCTION labeling_standing_refresh(ids uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM labeling_standing WHERE document_id = ANY(ids) ORDER BY document_id FOR UPDATE;
    INSERT INTO labeling_standing AS known
        (document_id, project_id, state, reviewer_id, arrived_at, uncertainty, facets)
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
                           ORDER BY 1) END
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
        uncertainty = EXCLUDED.uncertainty, facets = EXCLUDED.facets
    WHERE (known.state, known.reviewer_id, known.uncertainty, known.facets::text[])
        IS DISTINCT FROM (EXCLUDED.state, EXCLUDED.reviewer_id, EXCLUDED.uncertainty, EXCLUDED.facets::text[]);
END $$;
"""

FOLLOW_DOCUMENTS = """
CREATE FUNCTION labeling_follow_new_documents() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO labeling_standing (document_id, project_id, state, arrived_at, facets)
    SELECT id, project_id, 'new', created_at, ARRAY['source:' || source, 'language:' || language]
    FROM added;
    RETURN NULL;
END $$;
CREATE TRIGGER labeling_follow_new AFTER INSERT ON corpus_document
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION labeling_follow_new_documents();

CREATE FUNCTION labeling_follow_gone_documents() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM labeling_standing WHERE document_id IN (SELECT id FROM gone);
    RETURN NULL;
END $$;
CREATE TRIGGER labeling_follow_gone AFTER DELETE ON corpus_document
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION labeling_follow_gone_documents();

CREATE FUNCTION labeling_follow_erased_document() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM labeling_fingerprint WHERE document_id = NEW.id;
    PERFORM labeling_standing_refresh(ARRAY[NEW.id]);
    RETURN NULL;
END $$;
CREATE TRIGGER labeling_follow_erased AFTER UPDATE OF redacted_at ON corpus_document FOR EACH ROW
    WHEN (OLD.redacted_at IS DISTINCT FROM NEW.redacted_at)
    EXECUTE FUNCTION labeling_follow_erased_document();
"""

FOLLOW_WORK = """
CREATE FUNCTION labeling_follow_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM labeling_standing_refresh(ARRAY(SELECT DISTINCT document_id FROM changed));
    RETURN NULL;
END $$;
CREATE TRIGGER labeling_follow_new AFTER INSERT ON labeling_task
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION labeling_follow_rows();
CREATE TRIGGER labeling_follow_gone AFTER DELETE ON labeling_task
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION labeling_follow_rows();
CREATE TRIGGER labeling_follow_new AFTER INSERT ON feedback_correction
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION labeling_follow_rows();

-- A lease that is taken, renewed or given back changes nothing that a list shows.
CREATE FUNCTION labeling_follow_changed_tasks() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE ids uuid[] := ARRAY(
    SELECT DISTINCT n.document_id FROM after n JOIN before o ON o.id = n.id
    WHERE (n.status, n.stratum, n.prediction_id, n.correction_id)
        IS DISTINCT FROM (o.status, o.stratum, o.prediction_id, o.correction_id));
BEGIN
    IF cardinality(ids) > 0 THEN
        PERFORM labeling_standing_refresh(ids);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER labeling_follow_change AFTER UPDATE ON labeling_task
    REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION labeling_follow_changed_tasks();
"""


def _tally(table: str, kind: str, state: str, stratum: str) -> str:
    """Three triggers on a table that write what changed of its counters."""
    key = f"project_id, '{kind}', {state}, {stratum}"
    columns = "project_id, kind, state, stratum, change"
    name = f"labeling_tally_{kind}"
    return f"""
CREATE FUNCTION {name}_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO labeling_tally ({columns}) SELECT {key}, count(*) FROM added GROUP BY 1, 2, 3, 4;
    RETURN NULL;
END $$;
CREATE TRIGGER labeling_tally_added AFTER INSERT ON {table}
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION {name}_added();

CREATE FUNCTION {name}_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO labeling_tally ({columns}) SELECT {key}, -count(*) FROM gone GROUP BY 1, 2, 3, 4;
    RETURN NULL;
END $$;
CREATE TRIGGER labeling_tally_gone AFTER DELETE ON {table}
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION {name}_gone();

CREATE FUNCTION {name}_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO labeling_tally ({columns})
    SELECT project_id, '{kind}', state, stratum, sum(one) FROM (
        SELECT project_id, {state} AS state, {stratum} AS stratum, 1 AS one FROM after
        UNION ALL SELECT project_id, {state}, {stratum}, -1 FROM before) both_sides
    GROUP BY 1, 3, 4 HAVING sum(one) <> 0;
    RETURN NULL;
END $$;
CREATE TRIGGER labeling_tally_changed AFTER UPDATE ON {table}
    REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION {name}_changed();
"""  # noqa: S608  (names of ours, written below)


#: What was there before the triggers.
BACKFILL = """
INSERT INTO labeling_standing (document_id, project_id, state, arrived_at, facets)
    SELECT id, project_id, 'new', created_at, ARRAY['source:' || source, 'language:' || language]
    FROM corpus_document;
SELECT labeling_standing_refresh(ARRAY(
    SELECT document_id FROM labeling_task UNION SELECT document_id FROM feedback_correction
    UNION SELECT id FROM corpus_document WHERE redacted_at IS NOT NULL));
INSERT INTO labeling_tally (project_id, kind, state, stratum, change)
    SELECT project_id, 'task', status, stratum, count(*) FROM labeling_task GROUP BY 1, 3, 4;
"""

UNDO = """
DROP FUNCTION labeling_follow_new_documents, labeling_follow_gone_documents, labeling_follow_erased_document,
    labeling_follow_rows, labeling_follow_changed_tasks,
    labeling_tally_task_added, labeling_tally_task_gone, labeling_tally_task_changed,
    labeling_tally_text_added, labeling_tally_text_gone, labeling_tally_text_changed CASCADE;
DROP FUNCTION labeling_standing_refresh;
DELETE FROM labeling_tally;
DELETE FROM labeling_standing;
"""


class Migration(migrations.Migration):
    dependencies: list[Any] = [
        ("labeling", "0002_standing_and_tally"),
        ("feedback", "0004_diverse_stratum"),
        ("inference", "0001_initial"),
    ]

    operations = [
        migrations.RunSQL(
            "\n".join(
                [
                    REFRESH,
                    FOLLOW_DOCUMENTS,
                    FOLLOW_WORK,
                    _tally("labeling_standing", "text", "state", "''"),
                    BACKFILL,
                    _tally("labeling_task", "task", "status", "stratum"),
                ]
            ),
            UNDO,
        )
    ]
